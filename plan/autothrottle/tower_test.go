package autothrottle

import (
	"math"
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/plan/plantest"
	"foresail.dev/sketch"
)

// The cost as the artefact states it: 0 to 1 by allocation where the objective was met, 2 to 3 by latency where not, the
// middle where all are alike.
func TestCosts(t *testing.T) {
	got := costs([]sample{{Latency: 0.5, Cores: 4}, {Latency: 1, Cores: 8}, {Latency: 0.1, Cores: 5}, {Latency: 1.5, Cores: 1}, {Latency: 3.5, Cores: 1}}, 1)
	for i, want := range []float64{0, 1, 0.25, 2, 3} {
		near(t, "cost", got[i], want)
	}
	near(t, "one that met it", costs([]sample{{Latency: 0.5, Cores: 4}}, 1)[0], 0.5)
	near(t, "one that did not", costs([]sample{{Latency: 0.5, Cores: 4}}, 0.4)[0], 2.5)
}

func TestSamplesOfAnActionAtALoadAreOneMedian(t *testing.T) {
	got := aggregate([]sample{{RPS: 101, Action: 7}, {RPS: 99, Action: 7}, {RPS: 131, Action: 7}, {RPS: 100, Action: 2}, {RPS: 95, Action: 7}},
		[]float64{0.2, 3, 0.7, 0.4, 0.3}, 20)
	want := []category{{2, 5, 0.4}, {7, 5, 0.3}, {7, 7, 0.7}}
	if len(got) != len(want) {
		t.Fatalf("%+v", got)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("%+v, want %+v", got[i], want[i])
		}
	}
}

func TestGroupsByCPU(t *testing.T) {
	p := &foresail.Snapshot{Start: plantest.Epoch, End: plantest.Epoch.Add(time.Second)}
	for _, cores := range []float64{0.1, 5, 0.2, 4, 0.3} {
		p.Services = append(p.Services, foresail.ServiceStats{Usage: foresail.Usage{Has: foresail.SignalCPU, CPU: cores}})
	}
	var tw tower
	tw.split(p)
	for i, want := range []int{1, 0, 1, 0, 1} {
		if tw.Group[i] != want {
			t.Errorf("service %d is in group %d", i, tw.Group[i])
		}
	}
	near(t, "centre of the large", tw.Centres[0], 4.5)
	tw.Action = 3*ladder + 1
	if tw.target(1, 0) != targets[3] || tw.target(0, 0) != targets[1] || tw.target(5, 3) != targets[3] || tw.target(6, 1) != targets[1] {
		t.Error("a service has another group's target")
	}
	var one tower
	one.split(&foresail.Snapshot{Services: make([]foresail.ServiceStats, 1)})
	if one.Group[0] != 0 {
		t.Error("a single service is in no group")
	}
}

func TestNeighbours(t *testing.T) {
	for a, want := range map[int]int{0: 2, 4: 3, ladder - 1: 2, ladder + 1: 4, actions - 1: 2} {
		n := neighbours(a)
		if len(n) != want {
			t.Errorf("%d has neighbours %v", a, n)
		}
		for _, b := range n {
			if abs(a/ladder-b/ladder)+abs(a%ladder-b%ladder) != 1 {
				t.Errorf("%d is no neighbour of %d", b, a)
			}
		}
	}
}

// world is an application as the tower sees it: higher targets need fewer cores and are slower, the more so at a higher
// load.
type world struct {
	app  *foresail.App
	at   time.Time
	load func(minute int) float64
	n    int
}

func (w *world) latency(a int, rps float64) float64 {
	return 0.3 + 2.2*targets[a/ladder]*rps/300 + 0.8*targets[a%ladder]
}

func (w *world) cores(a int, rps float64) float64 {
	return rps / 30 * (1 - 0.8*targets[a/ladder] - 0.4*targets[a%ladder])
}

// minute is the next one, with an action in force.
func (w *world) minute(t *tower, a int) *foresail.Snapshot {
	rps := w.load(w.n)
	w.n++
	p := &foresail.Snapshot{Start: w.at, End: w.at.Add(time.Minute), Has: foresail.SignalEndpoints}
	w.at = p.End
	e := foresail.EndpointStats{Arrivals: rps * 60, Requests: rps * 60, Latency: sketch.New()}
	e.Latency.AddN(w.latency(a, rps)*w.app.Endpoints[0].Objective.Latency.Seconds(), e.Requests)
	p.Endpoints = []foresail.EndpointStats{e}
	p.Services = make([]foresail.ServiceStats, 4)
	t.CoreSec, t.Over = w.cores(a, rps)*60, time.Minute
	return p
}

// cheapest is the least that an action which meets the objective needs.
func (w *world) cheapest(rps float64) float64 {
	best := math.Inf(1)
	for a := range actions {
		if w.latency(a, rps) <= 1 {
			best = min(best, w.cores(a, rps))
		}
	}
	return best
}

// run is how much more than the cheapest was paid over the last minutes, as a share, and how often the objective was
// missed.
func (w *world) run(tw *tower, c Config, minutes, last int) (excess, missed float64) {
	for i := range minutes {
		a := tw.Action
		rps := w.load(w.n)
		p := w.minute(tw, a)
		if i >= minutes-last {
			excess += (w.cores(a, rps)/w.cheapest(rps) - 1) / float64(last)
			if w.latency(a, rps) > 1 {
				missed += 1 / float64(last)
			}
		}
		tw.decide(w.app, p, c, 7)
	}
	return excess, missed
}

// Trained as in the paper, then without exploration, it is near the best there is at every load.
func TestATrainedTowerIsNearTheBest(t *testing.T) {
	load := func(m int) float64 { return 200 + 100*math.Sin(float64(m)/30) }
	w := &world{app: plantest.App(4), at: plantest.Epoch, load: load}
	var tw tower
	w.run(&tw, Config{Factor: 1, Exploration: 0.1, Training: 720}, 720, 1)
	excess, missed := w.run(&tw, Config{Factor: 1, Training: 720}, 240, 240)
	t.Logf("%.1f %% above the cheapest, objective missed in %.1f %% of minutes", excess*100, missed*100)
	if excess > 0.06 || missed > 0.05 {
		t.Errorf("%.1f %% above the cheapest, objective missed in %.1f %% of minutes", excess*100, missed*100)
	}
}

// Without training it finds its way by neighbours.
func TestAnUntrainedTowerFindsItsWay(t *testing.T) {
	w := &world{app: plantest.App(4), at: plantest.Epoch, load: func(int) float64 { return 250 }}
	var tw tower
	if a, _, known := tw.best(250, 1); a != 0 || known {
		t.Error("it does not begin with the most cautious targets")
	}
	first, _ := w.run(&tw, Config{Factor: 1, Exploration: 0.1}, 10, 10)
	excess, missed := w.run(&tw, Config{Factor: 1, Exploration: 0.1}, 110, 60)
	t.Logf("%.1f %% above the cheapest, then %.1f %%, objective missed in %.1f %% of minutes", first*100, excess*100, missed*100)
	if excess > 0.12 || missed > 0.15 || excess > first {
		t.Errorf("%.1f %% above the cheapest, then %.1f %%, objective missed in %.1f %% of minutes", first*100, excess*100, missed*100)
	}
}

func TestAGapDropsWhatWasNotChosen(t *testing.T) {
	w := &world{app: plantest.App(4), at: plantest.Epoch, load: func(int) float64 { return 250 }}
	var tw tower
	c := Config{Factor: 1}
	w.run(&tw, c, settle+1, 1)
	if len(tw.Samples) != 0 {
		t.Errorf("%d samples of the first minutes", len(tw.Samples))
	}
	w.run(&tw, c, 2, 1)
	if len(tw.Samples) != 2 {
		t.Errorf("%d samples, want 2", len(tw.Samples))
	}
	w.at = w.at.Add(time.Minute)
	w.run(&tw, c, 1+settle, 1)
	if len(tw.Samples) != 2 {
		t.Errorf("%d samples after a gap, want 2", len(tw.Samples))
	}
}

func TestRead(t *testing.T) {
	app := plantest.App(1)
	l := sketch.New()
	l.AddN(0.05, 9990)
	l.AddN(0.4, 5)
	p := &foresail.Snapshot{Start: plantest.Epoch, End: plantest.Epoch.Add(time.Minute), Has: foresail.SignalEndpoints,
		Endpoints: []foresail.EndpointStats{{Arrivals: 6000, Requests: 10000, Errors: 5, Latency: l}}}
	if m := read(app, p); !m.ok || m.rps != 100 || math.Abs(m.latency-0.5) > 0.02 {
		t.Errorf("%+v, want half of the objective at 100 requests/s", m)
	}
	p.Endpoints[0].Errors = 200
	if m := read(app, p); m.latency != 10 {
		t.Errorf("%+v: 2 %% failed", m)
	}
	p.Endpoints[0].Requests = 50
	if m := read(app, p); m.ok {
		t.Errorf("%+v of 50 requests", m)
	}
}
