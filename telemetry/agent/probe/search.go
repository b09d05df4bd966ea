package probe

import (
	"errors"
	"fmt"
	"math"
	"time"

	"gonum.org/v1/gonum/stat"
)

// ErrForbidden is what a search without permission ends with.
var ErrForbidden = errors.New("contention probes are not allowed on this node; whoever owns it may")

// Permission is whether whoever owns the node has allowed probes. Its zero value allows nothing.
type Permission struct{ by string }

// Allow makes a permission; by says who gave it and where, and must not be empty.
func Allow(by string) Permission { return Permission{by} }

// Config is how a search goes. Zero fields have the value in brackets.
type Config struct {
	Burst       time.Duration // of load, and as long without [10 ms]
	Limit       time.Duration // for each resource [2 s]
	Rise        float64       // in latency that matters, as a share [0.1]
	Alpha       float64       // chance that a search names a resource that has no effect [0.01]
	Unavailable func(Resource) error
}

// Observation is what came of the last action.
type Observation struct {
	At        time.Time
	Latencies []float64 // seconds, of the suspect's requests that ended during the action
	AtRisk    bool      // an objective may be missed: everything stops
}

// Action is what to do next: load Resource at Intensity (above 0 to 1) for some time, or, at 0, leave everything alone for
// that time. With Done there is nothing more to do.
type Action struct {
	Resource  Resource
	Intensity float64
	For       time.Duration
	Done      bool
}

// Trial is what was found of one resource.
type Trial struct {
	Resource    Resource
	Unavailable string  // why it could not be loaded; the rest is then absent
	Bursts      int     // with load in which requests of the suspect ended
	Rise        float64 // in latency with load against without, as a share, of geometric means
	P           float64 // of Welch's t test
	Matters     bool
}

// Search decides what is loaded. It is a state machine without clock or goroutine; it is used by one goroutine.
//
// Of each burst, and of each pause, the mean logarithm of the latencies is one value, so that requests of one burst, which share
// its fate, don't count as many. On and off are compared by Welch's one-sided t test after each pair. A resource matters
// where latency rose by Rise or more and p is below Alpha, divided by the number of looks that a search may take, so that looking
// often finds nothing by chance.
type Search struct {
	config  Config
	order   []Resource
	trials  []Trial
	started time.Time // of the present resource
	running bool      // an action was asked for and its observation is to come
	loaded  bool      // that action was load
	pairs   int
	on, off []float64
	done    bool
	stopped bool
}

// New begins a search. It fails without permission.
func New(p Permission, c Config) (*Search, error) {
	if p.by == "" {
		return nil, ErrForbidden
	}
	if c.Burst == 0 {
		c.Burst = 10 * time.Millisecond
	}
	if c.Limit == 0 {
		c.Limit = 2 * time.Second
	}
	if c.Rise == 0 {
		c.Rise = 0.1
	}
	if c.Alpha == 0 {
		c.Alpha = 0.01
	}
	var errs []error
	if c.Burst < 0 || c.Limit < 2*c.Burst {
		errs = append(errs, fmt.Errorf("probes: burst %s, limit %s: the limit must leave room for two bursts", c.Burst, c.Limit))
	}
	if !(c.Rise > 0) || math.IsInf(c.Rise, 0) {
		errs = append(errs, fmt.Errorf("probes: rise %v: must be above 0", c.Rise))
	}
	if !(c.Alpha > 0 && c.Alpha < 1) {
		errs = append(errs, fmt.Errorf("probes: alpha %v: must be above 0 and below 1", c.Alpha))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return &Search{config: c, order: Outwards()}, nil
}

// Next takes what came of the last action and says what to do; the first observation has a time alone.
func (s *Search) Next(o Observation) Action {
	if o.AtRisk && !s.done {
		s.done, s.stopped = true, true
	}
	if s.done {
		return Action{Done: true}
	}
	if s.running {
		s.take(o)
		if !s.loaded && s.judge(o.At) {
			return Action{Done: true}
		}
	}
	for !s.running {
		if len(s.trials) == len(s.order) {
			s.done = true
			return Action{Done: true}
		}
		r := s.order[len(s.trials)]
		if s.config.Unavailable != nil {
			if err := s.config.Unavailable(r); err != nil {
				s.trials = append(s.trials, Trial{Resource: r, Unavailable: err.Error()})
				continue
			}
		}
		s.started, s.running, s.loaded, s.pairs = o.At, true, false, 0
		s.on, s.off = s.on[:0], s.off[:0]
	}
	s.loaded = !s.loaded
	a := Action{Resource: s.order[len(s.trials)], For: s.config.Burst}
	if s.loaded {
		a.Intensity = min(1, float64(s.pairs+1)/4) // turned up, so that a first burst does the least harm
	}
	return a
}

func (s *Search) take(o Observation) {
	sum, n := 0.0, 0
	for _, l := range o.Latencies {
		if l > 0 && !math.IsInf(l, 1) {
			sum += math.Log(l)
			n++
		}
	}
	if n == 0 {
		return
	}
	if s.loaded {
		s.on = append(s.on, sum/float64(n))
	} else {
		s.off = append(s.off, sum/float64(n))
	}
}

// judge looks at the present resource after a pair, and says whether the search is over.
func (s *Search) judge(at time.Time) bool {
	s.pairs++
	t := Trial{Resource: s.order[len(s.trials)], Bursts: len(s.on), P: welch(s.on, s.off)}
	if len(s.on) > 0 && len(s.off) > 0 {
		t.Rise = math.Exp(stat.Mean(s.on, nil)-stat.Mean(s.off, nil)) - 1
	}
	looks := max(1, float64(s.config.Limit/(2*s.config.Burst))) * float64(len(s.order))
	t.Matters = t.P < s.config.Alpha/looks && t.Rise >= s.config.Rise
	if !t.Matters && at.Sub(s.started) < s.config.Limit && s.pairs < int(s.config.Limit/(2*s.config.Burst)) {
		return false
	}
	s.trials = append(s.trials, t)
	s.running, s.done = false, t.Matters
	return t.Matters
}

// Result is what was found so far: the resource that matters ("": none of those tried), what was found of each, and whether
// the search was stopped because an objective was at risk, so that what is absent says nothing.
func (s *Search) Result() (at Resource, trials []Trial, stopped bool) {
	for _, t := range s.trials {
		if t.Matters {
			at = t.Resource
		}
	}
	return at, append([]Trial(nil), s.trials...), s.stopped
}
