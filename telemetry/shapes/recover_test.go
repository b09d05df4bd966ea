package shapes_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"

	"foresail.dev"
	"foresail.dev/cluster/sim"
	"foresail.dev/load"
	"foresail.dev/telemetry/shapes"
)

// tree is a drawn call: an operation of a service of its own, with what it calls.
type tree struct {
	service     int
	repeat      int
	probability float64
	async       bool
	steps       [][]*tree
}

// draw draws a tree of calls. What is made several times looks the same each time, and few calls depend on chance, so that forms
// are few.
func draw(rng *rand.Rand, services, chances *int, depth int, certain bool) *tree {
	t := &tree{service: *services, repeat: 1, probability: 1}
	*services++
	if depth > 0 && rng.IntN(3) == 0 {
		t.repeat = 1 + rng.IntN(4)
	}
	if !certain && t.repeat == 1 && *chances < 3 && rng.IntN(3) == 0 {
		*chances++
		t.probability = 0.2 + 0.6*rng.Float64()
	}
	if depth == 3 {
		return t
	}
	for range rng.IntN(3) {
		var step []*tree
		for range 1 + rng.IntN(3) {
			if *services < 14 {
				step = append(step, draw(rng, services, chances, depth+1, certain || t.repeat > 1))
			}
		}
		if len(step) > 1 { // whether the second of them waits for others as well may not show
			for _, c := range step {
				c.repeat = 1
			}
		}
		if len(step) > 0 {
			t.steps = append(t.steps, step)
		}
	}
	return t
}

// blueprint is the application that the tree is of. A call that nobody waits for takes so long that its caller has long answered.
func (t *tree) blueprint(services int, rng *rand.Rand) *foresail.Blueprint {
	bp := &foresail.Blueprint{App: &foresail.App{Name: "drawn", Endpoints: []foresail.Endpoint{{Name: "ask", Operation: "do"}}},
		Entries: []foresail.Target{{}}, Timeouts: make([]foresail.Patience, 1), Services: make([]foresail.ServiceBlueprint, services)}
	for i := range services {
		a := foresail.Allocation{Replicas: 4, CPU: 64}
		bp.App.Services = append(bp.App.Services, foresail.Service{Name: string(rune('a' + i)), Initial: a,
			Bounds: foresail.Bounds{MinReplicas: 1, MaxReplicas: 9, MinCPU: 1, MaxCPU: 64}})
	}
	t.operation(bp, rng)
	return bp
}

func (t *tree) operation(bp *foresail.Blueprint, rng *rand.Rand) {
	work := func() foresail.Demand {
		return foresail.Demand{CPU: foresail.Dist{Shape: foresail.LogNormal, Mean: 0.0002 + 0.001*rng.Float64(), CV: 1}}
	}
	op := foresail.Operation{Name: "do", Steps: []foresail.Step{{Work: work()}}}
	if t.async {
		op.Steps[0].Work.CPU = foresail.Dist{Shape: foresail.Constant, Mean: 0.3}
	}
	for _, step := range t.steps {
		s := foresail.Step{}
		for _, c := range step {
			s.Calls = append(s.Calls, foresail.Call{Target: foresail.Target{Service: foresail.ServiceID(c.service)}, Probability: c.probability, Repeat: c.repeat, Async: c.async})
			c.operation(bp, rng)
		}
		op.Steps = append(op.Steps, s, foresail.Step{Work: work()})
	}
	bp.Services[t.service].Operations = []foresail.Operation{op}
}

// forms are all that a request can look like, with their probabilities.
func (t *tree) forms() map[string]float64 {
	var chance []*tree
	var collect func(t *tree)
	collect = func(t *tree) {
		if t.probability < 1 {
			chance = append(chance, t)
		}
		for _, s := range t.steps {
			for _, c := range s {
				collect(c)
			}
		}
	}
	collect(t)
	out := map[string]float64{}
	for bits := range 1 << len(chance) {
		made, p := map[*tree]bool{}, 1.0
		for i, c := range chance {
			if made[c] = bits>>i&1 == 1; made[c] {
				p *= c.probability
			} else {
				p *= 1 - c.probability
			}
		}
		visits := t.visits(nil, -1, 0, made)
		f, err := foresail.NewForm(0, visits)
		if err != nil {
			panic(err)
		}
		out[f.Key()] += p
	}
	return out
}

func (t *tree) visits(out []foresail.Visit, parent, step int, made map[*tree]bool) []foresail.Visit {
	at := len(out)
	out = append(out, foresail.Visit{Service: foresail.ServiceID(t.service), Operation: "do", Parent: parent, Step: step, Times: t.repeat, Async: t.async})
	for k, s := range t.steps {
		for _, c := range s {
			step := k
			if c.async {
				step = len(t.steps)
			}
			if c.probability == 1 || made[c] {
				out = c.visits(out, at, step, made)
			}
		}
	}
	return out
}

// drawn makes a tree of a seed, with one call that nobody waits for where it can be.
func drawn(seed uint64) (*tree, *foresail.Blueprint, *rand.Rand) {
	rng := rand.New(rand.NewPCG(seed, 9))
	services, chances := 0, 0
	t := draw(rng, &services, &chances, 0, false)
	t.repeat, t.probability = 1, 1
	if n := len(t.steps); n > 0 && rng.IntN(2) == 0 {
		c := t.steps[n-1][0]
		c.async, c.repeat = true, 1
	}
	return t, t.blueprint(services, rng), rng
}

// simulate makes requests for a while, tells each trace to take, and returns when it ends.
func simulate(t interface {
	Helper()
	Fatal(...any)
}, bp *foresail.Blueprint, seed uint64, rate, seconds, share float64, take func([]foresail.Span)) *sim.Cluster {
	t.Helper()
	c, err := sim.New(sim.Config{Blueprint: bp, Load: &load.Load{Curve: []load.Segment{{From: rate}}}, Seed: seed, TraceShare: share, Spans: take})
	if err != nil {
		t.Fatal(err)
	}
	for range int(seconds * 10) {
		if _, err := c.Next(background); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

// What a simulated application does is recovered from its spans: every request has one of the forms that there are, as often as its
// probability says, of all requests or of a tenth. The first few are left out: whether calls are waited for is learnt.
func TestFormsOfSimulatedApplicationsAreRecovered(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		seed := rapid.Uint64Range(0, 1<<40).Draw(t, "seed")
		share := rapid.SampledFrom([]float64{1, 0.1}).Draw(t, "share")
		tr, bp, _ := drawn(seed)
		c := shapes.New(bp.App, shapes.Options{})
		traces, weight := 0, 0.0
		simulate(t, bp, seed, 50/share, 12, share, func(s []foresail.Span) {
			if traces++; traces == 30 {
				c.Cut(s[0].Start)
				weight = c.Stats().Requests
			}
			c.Trace(s)
		})
		want, got := tr.forms(), map[string]float64{}
		total := c.Stats().Requests - weight
		for _, s := range c.Cut(start) {
			got[s.Form.Key()] = s.Requests
			if s.Pooled != 0 {
				t.Errorf("%v of %s are others", s.Pooled, s.Form.Key())
			}
			if _, ok := want[s.Form.Key()]; !ok {
				t.Errorf("%v requests have the form %s, which there is not", s.Requests, s.Form.Key())
			}
		}
		n := total * share
		for key, p := range want {
			// Five standard errors, and one request: of few the distribution is not normal.
			if off := math.Abs(got[key]/total - p); off > 5*math.Sqrt(p*(1-p)/n)+1/n {
				t.Errorf("a share of %v of %v has the form %s, whose probability is %v", got[key]/total, n, key, p)
			}
		}
		if s := c.Stats(); s.Incomplete+s.Malformed+s.Foreign+s.TooLarge+s.Retries != 0 || s.Complete != uint64(traces) {
			t.Errorf("of %d: %+v", traces, s)
		}
	})
}
