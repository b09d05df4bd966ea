// Package locate says where something is wrong and for want of what, from snapshots alone: which service is to blame (package
// rank), which resource holds it up there (package resource), with the evidence of both and what to do.
package locate

import (
	"errors"
	"fmt"
	"math"
	"time"

	"foresail.dev"
	"foresail.dev/model/diagnose/rank"
	"foresail.dev/model/diagnose/resource"
)

// Config of Find. Zero fields mean the values given.
type Config struct {
	Row      time.Duration // that rank's windows are made of; 0 means 1 s
	Few      int           // suspects that are told; 0 means 3
	Resource resource.Config
}

// Suspect is a service in its place, and what holds it up.
type Suspect struct {
	Service   foresail.ServiceID
	Score     float64         // comparable within one answer
	Signs     []rank.Evidence // why it is suspected
	Diagnosis resource.Diagnosis
}

// Find compares what was observed while all was well with what is observed now, both oldest first, and returns suspects, the likeliest
// first. A service without a sign is none, so there may be none at all.
func Find(app *foresail.App, before, now []*foresail.Snapshot, c Config) ([]Suspect, error) {
	if c.Row <= 0 {
		c.Row = time.Second
	}
	if c.Few <= 0 {
		c.Few = 3
	}
	before, now = rows(before, c.Row), rows(now, c.Row)
	if len(before) == 0 || len(now) == 0 {
		return nil, errors.New("locate: nothing was observed before or now: give snapshots of both")
	}
	in := input(app, before, now)
	if len(in.Services) == 0 {
		return nil, errors.New("locate: no service was observed")
	}
	method, _ := rank.ByName("foresail")
	list, err := method.Rank(in)
	if err != nil {
		return nil, fmt.Errorf("locate: %w", err)
	}
	var out []Suspect
	for _, s := range list {
		if len(out) == c.Few || !(s.Score > 0) {
			break
		}
		id, _ := app.ServiceByName(s.Name)
		d, err := resource.Diagnose(app, id, before, now, c.Resource)
		if err != nil {
			return nil, err
		}
		out = append(out, Suspect{Service: id, Score: s.Score, Signs: s.Why, Diagnosis: d})
	}
	return out, nil
}

// rows merges snapshots until they are as long as a row; what is left at the end and shorter than half of one is dropped.
func rows(parts []*foresail.Snapshot, long time.Duration) (out []*foresail.Snapshot) {
	from := 0
	var sum time.Duration
	for i, p := range parts {
		sum += p.Duration()
		if sum < long && (i+1 < len(parts) || sum < long/2) {
			continue
		}
		if m := foresail.Merge(parts[from : i+1]...); m != nil && !m.Stale {
			out = append(out, m)
		}
		from, sum = i+1, 0
	}
	return out
}

// input tells rank what rows hold of the services that there are.
func input(app *foresail.App, before, now []*foresail.Snapshot) *rank.Input {
	in := &rank.Input{Front: -1}
	at := map[foresail.ServiceID]int{}
	series := func(of func(*foresail.Snapshot) float64) rank.Series {
		get := func(rows []*foresail.Snapshot) []float64 {
			v := make([]float64, len(rows))
			for i, r := range rows {
				v[i] = of(r)
			}
			return v
		}
		s := rank.Series{Normal: get(before), Issue: get(now)}
		if !s.Observed() {
			return rank.Series{}
		}
		return s
	}
	for i := range app.Services {
		if app.Services[i].Gone {
			continue
		}
		of := func(f func(u *foresail.Usage, d time.Duration) float64) rank.Series {
			return series(func(s *foresail.Snapshot) float64 {
				if i >= len(s.Services) {
					return math.NaN()
				}
				return f(&s.Services[i].Usage, s.Duration())
			})
		}
		at[foresail.ServiceID(i)] = len(in.Services)
		in.Services = append(in.Services, rank.Service{
			Name:     app.Services[i].Name,
			Requests: of(requests), Latency: of(latency), Tail: of(tail), Errors: of(failed), CPU: of(cores),
		})
	}
	seen := map[[2]foresail.ServiceID]bool{}
	for _, s := range append(append([]*foresail.Snapshot{}, before...), now...) {
		for i := range s.Edges {
			e := [2]foresail.ServiceID{s.Edges[i].From, s.Edges[i].To}
			from, ok := at[e[0]]
			to, known := at[e[1]]
			if !ok || !known || seen[e] || e[0] == e[1] {
				continue
			}
			seen[e] = true
			client := series(func(s *foresail.Snapshot) float64 {
				for k := range s.Edges {
					if x := &s.Edges[k]; x.From == e[0] && x.To == e[1] && x.Latency != nil && x.Latency.Count() > 0 {
						return x.Latency.Mean()
					}
				}
				return math.NaN()
			})
			in.Calls = append(in.Calls, rank.Call{From: from, To: to, Client: client, Server: in.Services[to].Latency})
		}
	}
	return in
}

func requests(u *foresail.Usage, _ time.Duration) float64 {
	if !u.Has.Has(foresail.SignalCompletions) {
		return math.NaN()
	}
	return u.Completions
}

func latency(u *foresail.Usage, _ time.Duration) float64 {
	if !u.Has.Has(foresail.SignalLatency) || u.Latency == nil || u.Latency.Count() <= 0 {
		return math.NaN()
	}
	return u.Latency.Mean()
}

func tail(u *foresail.Usage, _ time.Duration) float64 {
	if !u.Has.Has(foresail.SignalLatency) || u.Latency == nil || u.Latency.Count() <= 0 {
		return math.NaN()
	}
	return u.Latency.Quantile(0.9)
}

func failed(u *foresail.Usage, _ time.Duration) float64 {
	if !u.Has.Has(foresail.SignalCompletions) || u.Completions <= 0 {
		return math.NaN()
	}
	return u.Errors / u.Completions
}

func cores(u *foresail.Usage, d time.Duration) float64 {
	c, ok := u.Cores(d)
	if !ok {
		return math.NaN()
	}
	return c
}
