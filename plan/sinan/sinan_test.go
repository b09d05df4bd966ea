package sinan

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/model/tail"
	"foresail.dev/plan/guard"
	"foresail.dev/plan/hpa"
	"foresail.dev/plan/plantest"
)

// plantest's objective is a p99 under 100 ms.
func good() *oracle { return &oracle{base: 20, limit: 100, margin: 10} }

// says reports whether a plan, its note or a reason, has all the words.
func says(p *foresail.Plan, words ...string) bool {
	text := fmt.Sprintf("%+v", p)
	for _, w := range words {
		if !strings.Contains(text, w) {
			return false
		}
	}
	return p != nil
}

func TestItBeginsAtTheMaximumAndComesDown(t *testing.T) {
	o := good()
	w := newWorld(t, 3, o, Config{}, flat(1))
	for i := range 3 {
		w.Put(foresail.ServiceID(i), foresail.Allocation{Replicas: 20, CPU: 1})
	}
	p := w.seconds(1)
	if len(p.Changes) != 3 || !p.Changes[0].To.Equal(foresail.Allocation{Replicas: 20, CPU: 4}) || p.Changes[0].Reason.Rule != "sinan/start" {
		t.Fatalf("%+v", p)
	}
	w.seconds(4)
	if w.total() != 240 || o.looks != 0 {
		t.Fatalf("%v cores after five seconds, the model was asked %d times", w.total(), o.looks)
	}
	p = w.seconds(1)
	if r := p.Changes[0].Reason; r.Rule != "sinan/lower" || !says(p, "all services -0.1x (216.00 cores in all): p99", "below 90 ms", "at most 0.1", "as it is (240.00 cores)", "candidates") {
		t.Errorf("%+v", r)
	}
	w.seconds(30)
	if got := w.total(); got < 3/0.75 || got > 6 {
		t.Errorf("%v cores for 3 in use", got)
	}
	// 1 core of 2 is in use: half, and one of 1.33 or less would be over the cap
	p = w.seconds(1)
	if p == nil || len(p.Changes) > 0 || p.Note != "" {
		t.Fatalf("it is at rest, and asks for %+v", p)
	}
	if o := p.Outlook; o == nil || !o.Known || o.Percentile != 99 || o.Limit != 0.09 || o.Latency <= 0 || o.Latency >= o.Limit || o.Violation > 0.1 || !o.Trusted || o.Scored < 25 || o.Missed != 0 {
		t.Errorf("it expects %+v", p.Outlook)
	}
	if tr := w.m.Trust(); tr.Lost || tr.Misses != 0 || tr.Scored < 25 || tr.Error > 20 {
		t.Errorf("%+v", tr)
	}
}

func TestWhatBindsIsSaid(t *testing.T) {
	o := good()
	o.try = func(_ []tail.Step, cores []float64) tail.Prediction { return of(2000/(cores[0]+cores[1]), 0.01) } // 23 cores are safe
	w := newWorld(t, 2, o, Config{}, flat(0.5))
	w.Put(0, foresail.Allocation{Replicas: 20, CPU: 1})
	w.Put(1, foresail.Allocation{Replicas: 20, CPU: 1})
	for i := 0; ; i++ {
		p := w.seconds(1)
		if w.total() < 24 && p != nil {
			if r := p.Changes[0].Reason; r.Bound != "predicted latency" || !says(p, "the next cheapest, ", "is not below 90 ms") {
				t.Errorf("%+v", r)
			}
			return
		}
		if i > 60 {
			t.Fatalf("it stays at %v cores", w.total())
		}
	}
}

// A surge: services over the cap are raised in whatever is chosen, and the objective, which is missed, is met again within seconds.
func TestRecovery(t *testing.T) {
	w := newWorld(t, 3, good(), Config{}, func(_ foresail.ServiceID, at time.Duration) float64 {
		if at >= 40*time.Second {
			return 6
		}
		return 1
	})
	w.seconds(40)
	before := w.total()
	p := w.seconds(1)
	if !says(p, "sinan/") || w.total() <= before {
		t.Fatalf("%v cores, then %v: %+v", before, w.total(), p)
	}
	bad := 0
	for range 20 {
		w.seconds(1)
		if w.m.seen.violated != "" {
			bad++
		}
	}
	if bad > 4 {
		t.Errorf("in violation for %d seconds", bad)
	}
	if w.total() < 18 {
		t.Errorf("%v cores for 18 in use", w.total())
	}
}

// A model that says all is well: its misses lose it the trust, nothing is lowered, and a run of correct predictions brings it back.
func TestTrustIsLostAndEarned(t *testing.T) {
	slow := func(at time.Duration) bool {
		return at >= 60*time.Second && at < 100*time.Second && at%(10*time.Second) < time.Second
	}
	o := good()
	o.try = func([]tail.Step, []float64) tail.Prediction { return of(20, 0.01) }
	w := newWorld(t, 2, o, Config{}, func(_ foresail.ServiceID, at time.Duration) float64 {
		if slow(at) {
			return 1000 // more than there can be
		}
		return 1
	})
	w.seconds(60)
	settled := w.total()
	p := w.seconds(1)
	if !says(p, "sinan/boost", "GET /", "predicted safe") || w.total() != 8 {
		t.Fatalf("%v cores: %+v", w.total(), p)
	}
	if tr := w.m.Trust(); tr.Misses != 1 || tr.Lost || tr.Until.IsZero() {
		t.Errorf("%+v", tr)
	}
	w.seconds(4)
	if w.total() != 8 {
		t.Errorf("%v cores within the boost", w.total())
	}
	w.seconds(1)
	if w.total() >= 8 {
		t.Error("nothing is lowered after the boost")
	}
	w.seconds(20) // two more
	tr := w.m.Trust()
	if !tr.Lost || tr.Missed != 3 || tr.Losses != 1 || tr.Needed != 30 {
		t.Fatalf("%+v", tr)
	}
	p = w.seconds(6)
	at := w.total()
	if !says(p, "nothing is lowered and the margin is 20 ms until 30 in a row are right") {
		t.Errorf("%+v", p)
	}
	back := 0
	for ; w.m.Trust().Lost; back++ {
		if p = w.seconds(1); w.m.Trust().Lost && w.total() < at {
			t.Fatalf("lowered to %v without trust", w.total())
		}
		if back > 60 {
			t.Fatalf("never trusted again: %+v", w.m.Trust())
		}
	}
	if !says(p, "the model is trusted again") {
		t.Errorf("%+v", p)
	}
	w.seconds(300) // what the misses taught holds for five minutes
	if w.total() != settled {
		t.Errorf("%v cores in the end, %v at first", w.total(), settled)
	}
}

func TestNoModelAndAnotherModel(t *testing.T) {
	for name, c := range map[string]struct {
		model Model
		says  string
	}{
		"none":    {nil, "train one with `foresail train sinan`"},
		"another": {&oracle{fits: errors.New("it is of application shop")}, "it is of application shop"},
	} {
		w := newWorld(t, 1, c.model, Config{}, flat(1))
		p, err := w.second()
		if p != nil || !errors.Is(err, foresail.ErrNoModel) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, %v", name, p, err)
		}
		base, err := hpa.New(w.Application, hpa.Config{})
		if err != nil {
			t.Fatal(err)
		}
		g, err := guard.New(w.m, base, guard.Config{})
		if err != nil {
			t.Fatal(err)
		}
		if p, err := g.Decide(w.h); err != nil || p == nil || !strings.Contains(p.Fallback, "sinan: no model") {
			t.Errorf("%s: %+v, %v", name, p, err)
		}
	}
	if m, err := New(plantest.App(1), nil, Config{}, 1); err != nil || m.model != nil {
		t.Errorf("%+v, %v", m, err)
	}
}

// A service comes in mid-run: the model is asked again whether it fits, and where it does not, the guard falls back.
func TestAServiceComesInMidRun(t *testing.T) {
	o := good()
	w := newWorld(t, 2, o, Config{}, flat(1))
	w.seconds(20)
	w.Application = plantest.App(3)
	w.Application.Generation = 1
	o.fits = errors.New("service s2 is new")
	if p, err := w.second(); p != nil || !errors.Is(err, foresail.ErrNoModel) {
		t.Errorf("%v, %v", p, err)
	}
	o.fits = nil // trained again
	w.Application = plantest.App(3)
	w.seconds(40)
	if got := w.total(); got > 6 {
		t.Errorf("%v cores", got)
	}
}

func TestHistoryWithAGap(t *testing.T) {
	silent := false
	w := newWorld(t, 2, good(), Config{}, flat(1))
	w.Silent = func(time.Duration) bool { return silent }
	w.seconds(30)
	silent = true
	if _, err := w.second(); !errors.Is(err, foresail.ErrStale) {
		t.Errorf("in silence: %v", err)
	}
	silent = false
	at := w.total()
	if p := w.seconds(4); !says(p, "kept: 4 of the 5 seconds") || w.total() != at {
		t.Errorf("%+v", p)
	}
	if p := w.seconds(1); says(p, "kept:") {
		t.Errorf("%+v", p)
	}
}

// A busy machine tells two seconds at once now and then: that is as good.
func TestTwoSecondsAtOnce(t *testing.T) {
	w := newWorld(t, 1, good(), Config{}, flat(1))
	w.seconds(20)
	w.Beat = 2 * time.Second
	w.h.Add(w.Step())
	if p, err := w.m.Decide(w.h); err != nil || says(p, "kept:") {
		t.Errorf("%+v, %v", p, err)
	}
}

// Bounds that allow many replicas are not what it begins with: CPU can be had at once, replicas only start.
func TestItAddsNoReplicasUntilTheyAreNeeded(t *testing.T) {
	missed := func(at time.Duration) bool { return at >= 60*time.Second && at < 70*time.Second }
	w := newWorld(t, 2, good(), Config{}, func(_ foresail.ServiceID, at time.Duration) float64 {
		if missed(at) {
			return 1000
		}
		return 1
	})
	for range 60 {
		w.seconds(1)
		if a := w.Have(0); a.Replicas != 1 {
			t.Fatalf("%v", a)
		}
	}
	w.seconds(9)
	if a := w.Have(0); !a.Equal(foresail.Allocation{Replicas: 20, CPU: 4}) {
		t.Errorf("%v after nine seconds in which nothing was enough", a)
	}
}

func TestASourceThatIsTooSlow(t *testing.T) {
	w := newWorld(t, 1, good(), Config{}, flat(1))
	w.Beat = 15 * time.Second
	w.h.Add(w.Step())
	if _, err := w.m.Decide(w.h); err == nil || !strings.Contains(err.Error(), "covers 15s at a time") {
		t.Error(err)
	}
}

func TestTheModelFails(t *testing.T) {
	o := good()
	w := newWorld(t, 1, o, Config{}, flat(1))
	w.seconds(10)
	o.fails = errors.New("memory was not observed")
	if p, err := w.second(); p != nil || err == nil || !strings.Contains(err.Error(), "memory was not observed") {
		t.Errorf("%v, %v", p, err)
	}
}

// Where the model knows nothing, services keep three times what they use, whatever it says.
func TestOutsideOfTraining(t *testing.T) {
	o := good()
	unlike := []string{"the load is above 400 requests/s", "s0 uses more", "s1 uses more"}
	o.outside = func([]tail.Step, []float64) []string { return unlike }
	w := newWorld(t, 2, o, Config{}, flat(1))
	p := w.seconds(60)
	for i := range 2 {
		if got := w.Have(foresail.ServiceID(i)).Cores(); got < 1/0.3 || got > 5 {
			t.Errorf("%v cores for 1 in use", got)
		}
	}
	if !says(p, "outside what the model was trained on, so nothing is lowered to where it would use more than 30 % of its cores: the load is above 400 requests/s") {
		t.Errorf("%+v", p)
	}
	unlike = unlike[:1] // a little
	p = w.seconds(30)
	if got := w.total(); got != 4 || !says(p, "more than 50 % of its cores") {
		t.Errorf("%v cores for 2 in use: %+v", got, p)
	}
	o.outside = func(_ []tail.Step, cores []float64) []string { // only what is below ten cores is
		if cores[0] < 10 {
			return []string{"little"}
		}
		return nil
	}
	w = newWorld(t, 2, o, Config{}, flat(1))
	w.Put(0, foresail.Allocation{Replicas: 20, CPU: 1})
	w.seconds(60)
	if got := w.Have(0).Cores(); got < 10 || got > 11 {
		t.Errorf("%v cores of the first service, of which fewer than 10 were never seen", got)
	}
	if got := w.Have(1).Cores(); got > 2 {
		t.Errorf("%v cores of the other", got)
	}
}

func TestNothingIsSafe(t *testing.T) {
	o := good()
	w := newWorld(t, 2, o, Config{}, flat(1))
	w.seconds(30)
	o.try = func([]tail.Step, []float64) tail.Prediction { return of(300, 0.9) }
	p := w.seconds(1)
	if w.total() != 8 || !says(p, "sinan/most", "no candidate is safe", "as it is: p99 of 300 ms is not below 90 ms") {
		t.Errorf("%+v", p)
	}
	o.try = func([]tail.Step, []float64) tail.Prediction { return of(math.NaN(), math.NaN()) }
	w.seconds(5)
	if w.total() != 8 {
		t.Errorf("%v cores", w.total())
	}
	if _, err := w.m.Save(); err != nil {
		t.Error(err)
	}
}

// A cluster that gives a service no less than it has: it is left alone for a while, and the others go on.
func TestRefusedAllocations(t *testing.T) {
	w := newWorld(t, 2, good(), Config{}, flat(1))
	w.seconds(5)
	var p *foresail.Plan
	told := 0
	for range 40 {
		p = w.seconds(1)
		w.Put(0, foresail.Allocation{Replicas: 20, CPU: 4})
		if says(p, "what was asked for did not come about", "s0") {
			told++
			if _, asked := p.Change(0); asked {
				t.Errorf("asked again: %+v", p)
			}
		}
	}
	if told < 25 || told > 37 {
		t.Errorf("told %d times", told)
	}
	if got := w.Have(1).Cores(); got > 2 {
		t.Errorf("%v cores of the other service", got)
	}
}

// The load rises slowly: nothing is lowered meanwhile. Where it is steady, chance is no reason to keep anything, but the
// published rule takes it for one.
func TestSteadyLoads(t *testing.T) {
	seconds := func(rates ...float64) (out []*foresail.Snapshot) {
		for _, r := range rates {
			out = append(out, &foresail.Snapshot{Has: foresail.SignalEndpoints, Endpoints: []foresail.EndpointStats{{Arrivals: r}}})
		}
		return out
	}
	for _, c := range []struct {
		rates           []float64
		ours, published bool
	}{
		{[]float64{100, 100, 100, 100, 100, 100, 100, 100, 100, 101}, true, true},
		{[]float64{93, 108, 101, 88, 110, 97, 104, 112, 92, 105}, true, false},               // chance
		{[]float64{100, 100, 100, 100, 100, 130, 130, 130, 130, 130}, false, true},           // a surge that the newest two seconds don't show
		{[]float64{1000, 1020, 1040, 1060, 1080, 1100, 1120, 1140, 1160, 1180}, false, true}, // a slow rise
		{[]float64{500, 500, 500, 500, 500, 300, 300, 300, 300, 300}, true, true},            // a fall
		{[]float64{100, 50}, true, false},
		{[]float64{100}, false, false},
		{[]float64{0, 0, 0, 0}, true, false},
	} {
		for _, published := range []bool{false, true} {
			m := &Manager{c: Config{PublishedRate: published}}
			want := c.ours
			if published {
				want = c.published
			}
			if ok, why := m.steady(&observation{seconds: seconds(c.rates...)}); ok != want || ok == (why != "") {
				t.Errorf("%v, published %v: %v %q", c.rates, published, ok, why)
			}
		}
	}
}

// An endpoint with a few requests in a second is in violation when more than one of its last hundred were late, and the
// newest second has one.
func TestViolationsOfRareEndpoints(t *testing.T) {
	app := plantest.App(1)
	for name, c := range map[string]struct {
		late []float64 // of ten requests in each second
		want string
	}{
		"one is chance":        {[]float64{0, 0, 0, 0, 1}, ""},
		"two are not":          {[]float64{0, 1, 0, 0, 1}, "GET /"},
		"it is over":           {[]float64{9, 9, 9, 9, 0}, ""},
		"it was long ago":      {[]float64{9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}, ""},
		"it is in full course": {[]float64{0, 9}, "GET /"},
	} {
		var seconds []*foresail.Snapshot
		for i, l := range c.late {
			seconds = append(seconds, &foresail.Snapshot{Start: plantest.Epoch.Add(time.Duration(i) * time.Second), End: plantest.Epoch.Add(time.Duration(i+1) * time.Second),
				Has: foresail.SignalEndpoints, Endpoints: []foresail.EndpointStats{{Requests: 10, Late: l}}})
		}
		if got := violated(app, seconds); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// A total becomes CPU first, then replicas, and goes back.
func TestSpread(t *testing.T) {
	b := foresail.Bounds{MinReplicas: 1, MaxReplicas: 8, MinCPU: 0.2, MaxCPU: 4}
	for _, c := range []struct {
		from  foresail.Allocation
		total float64
		want  foresail.Allocation
		bound string
	}{
		{foresail.Allocation{Replicas: 1, CPU: 1}, 3, foresail.Allocation{Replicas: 1, CPU: 3}, ""},
		{foresail.Allocation{Replicas: 1, CPU: 4}, 5, foresail.Allocation{Replicas: 2, CPU: 2.5}, "max CPU of a replica"},
		{foresail.Allocation{Replicas: 2, CPU: 4}, 7, foresail.Allocation{Replicas: 2, CPU: 3.5}, ""},
		{foresail.Allocation{Replicas: 4, CPU: 1}, 3, foresail.Allocation{Replicas: 2, CPU: 1.5}, "half of the max CPU of a replica"},
		{foresail.Allocation{Replicas: 2, CPU: 2}, 3, foresail.Allocation{Replicas: 2, CPU: 1.5}, ""},
		{foresail.Allocation{Replicas: 2, CPU: 1.5}, 1, foresail.Allocation{Replicas: 1, CPU: 1}, "half of the max CPU of a replica"},
		{foresail.Allocation{Replicas: 8, CPU: 0.2}, 1.6, foresail.Allocation{Replicas: 8, CPU: 0.2}, "half of the max CPU of a replica"},
	} {
		got, bound := spread(b, c.from, c.total)
		if c.total == c.from.Cores() {
			continue // nobody asks
		}
		if !got.Equal(c.want) || bound != c.bound {
			t.Errorf("%v to %v cores: %v %q, want %v %q", c.from, c.total, got, bound, c.want, c.bound)
		}
	}
	fixed := foresail.Bounds{MinReplicas: 16, MaxReplicas: 16, MinCPU: 0.05, MaxCPU: 8}
	if got, _ := spread(fixed, foresail.Allocation{Replicas: 16, CPU: 8}, 1); !got.Equal(foresail.Allocation{Replicas: 16, CPU: 0.062}) {
		t.Errorf("%v", got)
	}
}

// What was kept is taken back by a manager with another model of the same application, and decides on alike.
func TestSavedAndRestored(t *testing.T) {
	w := newWorld(t, 2, good(), Config{}, flat(1))
	w.seconds(20)
	kept, err := w.m.Save()
	if err != nil {
		t.Fatal(err)
	}
	other, _ := With(w.Application, good(), Config{})
	if err := other.Restore(kept); err != nil {
		t.Fatal(err)
	}
	for range 10 {
		w.h.Add(w.Step())
	}
	a, errA := w.m.Decide(w.h)
	b, errB := other.Decide(w.h)
	if !reflect.DeepEqual(a, b) || errA != nil || errB != nil {
		t.Errorf("one says %+v, the restored %+v", a, b)
	}
	for _, bad := range []string{"", "[]", `{"Age":-1}`, `{"Services":[{"Asked":-1}]}`, `{"Lowered":[[-1]]}`, `{"Trust":{"Ring":[{"e":-1}]}}`} {
		if err := other.Restore([]byte(bad)); err == nil {
			t.Errorf("%q was taken for a state", bad)
		}
	}
}

func TestFaultsOfAConfig(t *testing.T) {
	_, err := With(plantest.App(1), nil, Config{Down: 0.5, Up: 2, Margin: 200, Utilisation: 2, Unit: -1, Boost: -1, Misses: 101, Earn: -1, Widen: 0.5})
	for _, field := range []string{"Up 2", "Margin", "Utilisation", "Unit", "Boost", "Misses", "Earn", "Widen"} {
		if err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("%s is not told: %v", field, err)
		}
	}
	if _, err := With(nil, nil, Config{}); err == nil {
		t.Error("no application")
	}
}
