package autothrottle

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"foresail.dev"
)

// targets are the throttle ratios that the tower chooses from (§4 of the paper), for each of two groups of services.
var targets = [...]float64{0, 0.02, 0.04, 0.06, 0.1, 0.15, 0.2, 0.25, 0.3}

const (
	ladder  = len(targets)
	actions = ladder * ladder // action a is targets[a/ladder] for group 0 and targets[a%ladder] for group 1
	groups  = 2
	settle  = 3    // minutes whose samples are dropped after a start: the load and the captains must come to rest
	keep    = 4000 // samples at most, the newest
	refine  = 0.5  // exploration in the second half of training
)

// sample is what one minute under an action cost.
type sample struct {
	RPS     float64 // when the action was chosen
	Action  int
	Latency float64 // of the worst endpoint, over its objective
	Cores   float64
}

// tower chooses the captains' targets.
type tower struct {
	Group   []int // by ServiceID
	Centres []float64
	Samples []sample
	Tries   []int // by action, in random exploration
	Minutes int   // decided so far, over restarts and runs: what training counts
	Drop    int
	Action  int
	RPS     float64
	Chosen  bool // an action was in force for the whole of the minute that comes
	Second  bool // of a trial's two minutes
	Last    time.Time
	CoreSec float64 // allocated since the last decision, over Over
	Over    time.Duration
}

// minute is what the tower reads of one.
type minute struct {
	rps     float64
	latency float64 // of the worst endpoint, over its objective
	ok      bool    // a latency was observed
}

// read takes the requests of all endpoints, and the worst latency of those with an objective and enough requests to
// judge it. Failed requests count as slow: where there are more than the objective allows, its percentile is one of them.
func read(app *foresail.App, p *foresail.Snapshot) minute {
	const failed = 10 // times the objective: how slow a request that fails is taken to be
	m := minute{}
	for i := range p.Endpoints {
		e := &p.Endpoints[i]
		m.rps += e.Arrivals / p.Duration().Seconds()
		if i >= len(app.Endpoints) || app.Endpoints[i].Objective == nil || !p.Has.Has(foresail.SignalEndpoints) {
			continue
		}
		o := app.Endpoints[i].Objective
		if e.Requests < float64(o.MinRequestsOrDefault()) {
			continue
		}
		m.ok = true
		if e.Errors > e.Requests*o.Allowed() || e.Latency == nil {
			m.latency = failed
			continue
		}
		q := o.Percentile / 100 * e.Requests / (e.Requests - e.Errors)
		m.latency = max(m.latency, e.Latency.Quantile(min(q, 1))/o.Latency.Seconds())
	}
	return m
}

// decide is what happens once a minute; it returns what to tell a person, or nothing where the targets stay.
func (t *tower) decide(app *foresail.App, p *foresail.Snapshot, c Config, seed uint64) string {
	m := read(app, p)
	if t.Last.IsZero() || !p.Start.Equal(t.Last) { // a start, or a gap: what is in force now was not chosen
		t.Chosen, t.Second, t.Drop = false, false, settle
	}
	t.Last = p.End
	cores := 0.0
	if t.Over > 0 {
		cores = t.CoreSec / t.Over.Seconds()
	}
	t.CoreSec, t.Over = 0, 0
	if !m.ok {
		t.Chosen = false
		return "tower: targets kept, no endpoint's latency was observed"
	}
	if t.Group == nil {
		t.split(p)
	}
	rng := rand.New(rand.NewPCG(seed, uint64(t.Minutes)))
	training := t.Minutes < c.Training
	t.Minutes++
	explore := c.Exploration
	if training && t.Minutes <= c.Training/2 {
		return t.trial(m, cores, rng)
	} else if training {
		explore = refine
	}
	t.learn(m, cores)
	best, cost, known := t.best(m.rps, c.Factor)
	how := "the cheapest"
	t.Action = best
	if rng.Float64() < explore {
		n := neighbours(best)
		t.Action, how = n[rng.IntN(len(n))], "tried instead of a neighbour"
	}
	t.RPS, t.Chosen, t.Second = m.rps, true, false
	a, b := targets[t.Action/ladder], targets[t.Action%ladder]
	if !known {
		return fmt.Sprintf("tower: throttle targets %g and %g, nothing is known yet", a, b)
	}
	return fmt.Sprintf("tower: throttle targets %g and %g at %.0f requests/s, %s at an expected cost of %.2f; the last minute was at %.0f %% of its objective with %.2f cores",
		a, b, m.rps, how, cost, m.latency*100, cores)
}

// trial is a minute of random exploration: an action runs for two minutes, of which the second counts, and the least
// tried come first.
func (t *tower) trial(m minute, cores float64, rng *rand.Rand) string {
	if t.Chosen && !t.Second { // its first minute is over
		t.Second, t.RPS = true, m.rps
		return ""
	}
	t.learn(m, cores)
	for len(t.Tries) < actions {
		t.Tries = append(t.Tries, 0)
	}
	least := slices.Min(t.Tries)
	var open []int
	for a, n := range t.Tries {
		if n == least {
			open = append(open, a)
		}
	}
	t.Action = open[rng.IntN(len(open))]
	t.Tries[t.Action]++
	t.Chosen, t.Second = true, false
	return fmt.Sprintf("tower: throttle targets %g and %g, tried in training", targets[t.Action/ladder], targets[t.Action%ladder])
}

// learn keeps what the last minute cost.
func (t *tower) learn(m minute, cores float64) {
	switch {
	case !t.Chosen || !(cores > 0):
	case t.Drop > 0:
		t.Drop--
	default:
		t.Samples = append(t.Samples, sample{t.RPS, t.Action, m.latency, cores})
		if len(t.Samples) > keep {
			t.Samples = slices.Delete(t.Samples, 0, len(t.Samples)-keep)
		}
	}
}

// neighbours are the actions one step of one target away.
func neighbours(a int) []int {
	var out []int
	if a/ladder > 0 {
		out = append(out, a-ladder)
	}
	if a/ladder < ladder-1 {
		out = append(out, a+ladder)
	}
	if a%ladder > 0 {
		out = append(out, a-1)
	}
	if a%ladder < ladder-1 {
		out = append(out, a+1)
	}
	return out
}

// split puts services into two groups by the CPU they used: k-means in one dimension, solved exactly. Group 0 uses more.
func (t *tower) split(p *foresail.Snapshot) {
	t.Group = make([]int, len(p.Services))
	use := make([]float64, len(p.Services))
	order := make([]int, len(p.Services))
	for i := range p.Services {
		use[i], _ = p.Services[i].Cores(p.Duration())
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(use[b], use[a]) })
	bestCut, bestCost := 1, math.Inf(1)
	for cut := 1; cut < len(order); cut++ {
		if c := scatter(use, order[:cut]) + scatter(use, order[cut:]); c < bestCost {
			bestCut, bestCost = cut, c
		}
	}
	for k, i := range order {
		if k >= bestCut {
			t.Group[i] = 1
		}
	}
	t.Centres = []float64{centre(use, order[:min(bestCut, len(order))]), centre(use, order[min(bestCut, len(order)):])}
}

func centre(use []float64, of []int) float64 {
	sum := 0.0
	for _, i := range of {
		sum += use[i]
	}
	return sum / float64(max(len(of), 1))
}

func scatter(use []float64, of []int) float64 {
	m, sq := centre(use, of), 0.0
	for _, i := range of {
		sq += (use[i] - m) * (use[i] - m)
	}
	return sq
}

// target is a service's now. One that came after the groups were made joins the nearer one.
func (t *tower) target(id int, cores float64) float64 {
	if t.Group == nil {
		return targets[0]
	}
	for len(t.Group) <= id {
		g := 1
		if len(t.Group) == id && math.Abs(cores-t.Centres[0]) < math.Abs(cores-t.Centres[1]) {
			g = 0
		}
		t.Group = append(t.Group, g)
	}
	if t.Group[id] == 0 {
		return targets[t.Action/ladder]
	}
	return targets[t.Action%ladder]
}
