package rank

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
)

// Series is one signal: a value for each row of the normal period and of the issue. NaN was not observed; an empty series is
// a signal that there is not.
type Series struct{ Normal, Issue []float64 }

// Observed tells whether the issue has a value.
func (s Series) Observed() bool { return slices.ContainsFunc(s.Issue, finite) }

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

// Service is what was observed of one service.
type Service struct {
	Name     string
	Requests Series // in a row
	Latency  Series // seconds, mean or median
	Tail     Series // seconds, a high percentile
	Errors   Series // share of requests, 0 to 1
	CPU      Series // cores
}

// Call says that a service calls another, and how long it took, in seconds, as the caller and as the callee saw it, where that
// was observed. What the caller sees beyond the callee is the network's.
type Call struct {
	From, To       int // indices of services
	Client, Server Series
}

// Input is one issue.
type Input struct {
	Services []Service
	Calls    []Call
	Front    int // index of the service that users call; negative: the one without callers from which most others are reached
}

// Check tells what is wrong with an input: all of it at once.
func (in *Input) Check() error {
	var errs []error
	if len(in.Services) == 0 {
		errs = append(errs, errors.New("there is no service to rank"))
	}
	if in.Front >= len(in.Services) {
		errs = append(errs, fmt.Errorf("the front is service %d of %d", in.Front, len(in.Services)))
	}
	normal, issue := -1, -1
	length := func(what string, s Series) {
		if len(s.Normal) == 0 && len(s.Issue) == 0 {
			return
		}
		if normal < 0 {
			normal, issue = len(s.Normal), len(s.Issue)
		}
		if len(s.Normal) != normal || len(s.Issue) != issue {
			errs = append(errs, fmt.Errorf("%s has %d rows and %d of the issue, others have %d and %d", what, len(s.Normal), len(s.Issue), normal, issue))
		}
	}
	names := map[string]bool{}
	for i := range in.Services {
		s := &in.Services[i]
		if names[s.Name] {
			errs = append(errs, fmt.Errorf("two services are called %q", s.Name))
		}
		names[s.Name] = true
		for _, x := range []Series{s.Requests, s.Latency, s.Tail, s.Errors, s.CPU} {
			length(s.Name, x)
		}
	}
	for _, c := range in.Calls {
		if c.From < 0 || c.To < 0 || c.From >= len(in.Services) || c.To >= len(in.Services) {
			errs = append(errs, fmt.Errorf("a call goes from service %d to %d of %d", c.From, c.To, len(in.Services)))
			continue
		}
		length("a call of "+in.Services[c.From].Name, c.Client)
		length("a call of "+in.Services[c.From].Name, c.Server)
	}
	if normal < 1 || issue < 1 {
		errs = append(errs, fmt.Errorf("%d rows are normal and %d of the issue: there must be some of both", max(normal, 0), max(issue, 0)))
	}
	return errors.Join(errs...)
}

// Suspect is a service in its place; the first in a ranking is the likeliest culprit.
type Suspect struct {
	Service int
	Name    string
	Score   float64 // comparable within one ranking of one method
	Why     []Evidence
}

// Evidence is one sign that a service is to blame.
type Evidence struct {
	Sign  Sign
	Z     float64 // deviations from normal
	Score float64 // what it adds
}

// Sign names a kind of evidence.
type Sign string

// order makes a ranking of scores: highest first; those alike, and those that are no number at the end, by name.
func (in *Input) order(scores []float64, why [][]Evidence) []Suspect {
	out := make([]Suspect, len(scores))
	for i, s := range scores {
		if math.IsNaN(s) {
			s = math.Inf(-1)
		}
		out[i] = Suspect{Service: i, Name: in.Services[i].Name, Score: s}
		if why != nil {
			out[i].Why = why[i]
		}
	}
	slices.SortFunc(out, func(a, b Suspect) int {
		return cmp.Or(cmp.Compare(b.Score, a.Score), strings.Compare(a.Name, b.Name))
	})
	return out
}

// Method is one way to rank.
type Method struct {
	Name string
	rank func(*Input) []Suspect
}

// Rank orders all services of an input, the likeliest culprit first. In which order services and calls are told changes nothing.
func (m Method) Rank(in *Input) ([]Suspect, error) {
	if err := in.Check(); err != nil {
		return nil, err
	}
	sorted, was := in.sorted()
	out := m.rank(sorted)
	for i := range out {
		out[i].Service = was[out[i].Service]
	}
	return out, nil
}

// sorted is the input with services and calls by name, so that sums are of the same numbers in the same order whichever order
// they come in; was tells a service's index before.
func (in *Input) sorted() (out *Input, was []int) {
	was = make([]int, len(in.Services))
	for i := range was {
		was[i] = i
	}
	slices.SortFunc(was, func(a, b int) int { return strings.Compare(in.Services[a].Name, in.Services[b].Name) })
	out = &Input{Front: -1}
	is := make([]int, len(was))
	for i, w := range was {
		out.Services = append(out.Services, in.Services[w])
		is[w] = i
	}
	if in.Front >= 0 {
		out.Front = is[in.Front]
	}
	for _, c := range in.Calls {
		c.From, c.To = is[c.From], is[c.To]
		out.Calls = append(out.Calls, c)
	}
	slices.SortStableFunc(out.Calls, func(a, b Call) int { return cmp.Or(cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To)) })
	return out, was
}

// Methods are all, ours first.
func Methods() []Method {
	return []Method{{"foresail", foresail}, {"latency", latency}, {"queue", queue}, {"baro", baro}, {"random-walk", walk}}
}

// ByName finds a method.
func ByName(name string) (Method, bool) {
	all := Methods()
	i := slices.IndexFunc(all, func(m Method) bool { return m.Name == name })
	if i < 0 {
		return Method{}, false
	}
	return all[i], true
}
