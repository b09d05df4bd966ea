package profile_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/model/callgraph/dist"
	"foresail.dev/model/callgraph/profile"
	"foresail.dev/sketch"
	"pgregory.net/rapid"
)

// bench is an application of one service with two operations, of which minutes are drawn: own time is a shift plus an
// exponential whose rate falls with load, as in a queue with one server (M/M/1), and each visit takes some CPU.
type bench struct {
	app      *foresail.App
	form     *foresail.Form
	at       time.Time
	rng      *rand.Rand
	replicas int
	slow     float64 // times
}

func newBench(seed uint64) *bench {
	form, err := foresail.NewForm(0, []foresail.Visit{{Operation: "read", Parent: -1, Times: 1}, {Operation: "write", Parent: 0, Times: 1}})
	if err != nil {
		panic(err)
	}
	return &bench{app: &foresail.App{Services: []foresail.Service{{Name: "a"}}}, form: form, at: time.Unix(0, 0).UTC(),
		rng: rand.New(rand.NewPCG(seed, 1)), replicas: 1, slow: 1}
}

const (
	mu    = 100.0 // visits a second that one container can serve
	shift = 0.002
)

func (b *bench) truth(load float64) dist.Stage {
	return dist.Exponential(shift, mu-load).Scaled(b.slow)
}

// minute draws 3,000 own times of each operation at a load.
func (b *bench) minute(load float64) *foresail.Snapshot {
	own := []*sketch.Sketch{sketch.New(), sketch.New()}
	stage := b.truth(load)
	for range 3000 {
		own[0].Add(one(b.rng, stage))
		own[1].Add(2 * one(b.rng, stage))
	}
	s := &foresail.Snapshot{Start: b.at, End: b.at.Add(time.Minute), Has: foresail.SignalShapes,
		Shapes: []foresail.ShapeStats{{Form: b.form, Requests: 3000, Own: own}}}
	s.Services = []foresail.ServiceStats{{Allocation: foresail.Allocation{Replicas: b.replicas, CPU: 0.5}, Usage: foresail.Usage{
		Has:   foresail.SignalReady | foresail.SignalArrivals | foresail.SignalAllocation | foresail.SignalCPU,
		Ready: b.replicas, Arrivals: load * 60 * float64(b.replicas), CPU: (0.01 + 0.005*load) * 60 * float64(b.replicas)}}}
	b.at = s.End
	return s
}

func seen(b *bench, loads ...float64) *profile.Profiler {
	p := profile.New(profile.Config{})
	for _, l := range loads {
		p.Observe(b.app, b.minute(l))
	}
	return p
}

func within(t *testing.T, what string, got, want, share float64) {
	t.Helper()
	if !(math.Abs(got-want) <= share*math.Abs(want)) {
		t.Errorf("%s: %v, want %v within %v %%", what, got, want, 100*share)
	}
}

func TestOwnTimesAtLoadsBetweenThoseSeen(t *testing.T) {
	b := newBench(1)
	p := seen(b, 20, 40, 60, 70, 30, 50)
	for _, load := range []float64{25, 45, 50, 65} {
		stage, valid := p.Stage(0, "read", load)
		if valid.Basis != profile.BasisSeen || !valid.Exponential || valid.Observations != 6 {
			t.Fatalf("%+v", valid)
		}
		for _, q := range []float64{0.5, 0.95, 0.99} {
			within(t, fmt.Sprintf("p%g at %v", 100*q, load), stage.Quantile(q), b.truth(load).Quantile(q), 0.06)
		}
	}
	other, _ := p.Stage(0, "write", 50)
	within(t, "the slower operation", other.Quantile(0.95), 2*b.truth(50).Quantile(0.95), 0.06)
	sat, ok := p.Saturation(0)
	if !ok || !sat.Fitted {
		t.Fatalf("%+v", sat)
	}
	within(t, "saturation", sat.Load, (0.5-0.01)/0.005, 1e-6)
}

// Beyond what was seen no prediction is faster than what is true, and none below is slower than what was seen.
func TestExtrapolationIsNotOptimistic(t *testing.T) {
	b := newBench(2)
	p := seen(b, 40, 45, 50, 55, 60)
	for _, load := range []float64{70, 80, 90} {
		stage, valid := p.Stage(0, "read", load)
		if valid.Basis != profile.BasisBeyond {
			t.Fatalf("%+v", valid)
		}
		if got, want := stage.Quantile(0.95), b.truth(load).Quantile(0.95); got < 0.9*want {
			t.Errorf("at %v: %v, and it is %v", load, got, want)
		}
	}
	if _, valid := p.Stage(0, "read", 99); valid.Basis != profile.BasisSaturated {
		t.Errorf("%+v", valid)
	}
	stage, valid := p.Stage(0, "read", 10)
	if seen, _ := p.Stage(0, "read", 40); valid.Basis != profile.BasisBelow || stage.Quantile(0.95) > seen.Quantile(0.95) || stage.Quantile(0.95) < b.truth(10).Quantile(0.95) {
		t.Errorf("%+v: %v, at the least load seen %v", valid, stage.Quantile(0.95), seen.Quantile(0.95))
	}
}

func TestAReleaseIsNoticed(t *testing.T) {
	b := newBench(3)
	p := seen(b, 20, 40, 60, 70, 30, 50)
	b.slow = 3
	for _, load := range []float64{40, 60, 50} {
		p.Observe(b.app, b.minute(load))
	}
	_, valid := p.Stage(0, "read", 50)
	if valid.Observations != 3 {
		t.Errorf("%d observations, and only three are of the new release", valid.Observations)
	}
}

// After one minute that is slower than ever, predictions for other loads are slower, too.
func TestPredictionsAreAnchoredAtTheNewestMinute(t *testing.T) {
	b := newBench(4)
	p := seen(b, 20, 40, 60, 70, 30, 50)
	b.at = b.at.Add(5 * time.Minute)
	b.slow = 1.3
	p.Observe(b.app, b.minute(50))
	for _, load := range []float64{30, 50} {
		stage, valid := p.Stage(0, "read", load)
		within(t, fmt.Sprint("anchored at ", valid.Anchor), stage.Quantile(0.95), b.truth(load).Quantile(0.95), 0.07)
	}
}

func TestStateSurvives(t *testing.T) {
	b := newBench(5)
	p := seen(b, 20, 40, 60)
	saved, err := p.Save()
	if err != nil {
		t.Fatal(err)
	}
	q := profile.New(profile.Config{})
	if err := q.Restore(saved); err != nil {
		t.Fatal(err)
	}
	m := b.minute(50)
	p.Observe(b.app, m)
	q.Observe(b.app, m)
	for _, load := range []float64{0, 10, 45, 70, 200} {
		want, wantValid := p.Stage(0, "write", load)
		got, gotValid := q.Stage(0, "write", load)
		if !reflect.DeepEqual(got, want) || gotValid != wantValid {
			t.Errorf("at %v: %+v, want %+v", load, got, want)
		}
	}
	for _, bad := range []string{"", "{}", `{"version":1,"services":[{"all":{"seen":[{"load":1,"visits":1,"quantiles":[1,0.5]}]}}]}`} {
		if err := q.Restore([]byte(bad)); err == nil {
			t.Errorf("state %q was taken", bad)
		}
	}
	if _, valid := q.Stage(0, "write", 45); valid.Basis != profile.BasisSeen {
		t.Error("a state that was refused has changed what was there")
	}
}

// What is missing or can't be is survived, and nothing is made of it.
func TestWhatIsNotObserved(t *testing.T) {
	b := newBench(6)
	for name, spoil := range map[string]func(*foresail.Snapshot){
		"stale":     func(s *foresail.Snapshot) { s.Stale = true },
		"no shapes": func(s *foresail.Snapshot) { s.Has, s.Shapes = 0, nil },
		"no replicas": func(s *foresail.Snapshot) {
			s.Services[0].Ready = 0
		},
		"load is not a number": func(s *foresail.Snapshot) { s.Services[0].Arrivals = math.NaN() },
		"load is infinite":     func(s *foresail.Snapshot) { s.Services[0].Arrivals = math.Inf(1) },
		"no services":          func(s *foresail.Snapshot) { s.Services = nil },
		"no duration":          func(s *foresail.Snapshot) { s.End = s.Start },
		"own times absent":     func(s *foresail.Snapshot) { s.Shapes[0].Own = nil },
	} {
		p := profile.New(profile.Config{})
		m := b.minute(50)
		spoil(m)
		p.Observe(b.app, m)
		if stage, valid := p.Stage(0, "read", 10); valid.Basis != profile.BasisUnknown || stage.Rate != 0 {
			t.Errorf("%s: %+v", name, valid)
		}
		p.Observe(b.app, b.minute(50))
		if _, valid := p.Stage(0, "read", 50); valid.Basis != profile.BasisSeen {
			t.Errorf("%s: what came after was not seen: %+v", name, valid)
		}
	}
	p := seen(b, 30)
	if _, valid := p.Stage(0, "delete", 30); !valid.Whole || valid.Basis != profile.BasisSeen {
		t.Errorf("an operation never seen: %+v", valid)
	}
	for _, unknown := range []foresail.ServiceID{-1, 1} {
		if _, valid := p.Stage(unknown, "read", 30); valid.Basis != profile.BasisUnknown {
			t.Errorf("service %d: %+v", unknown, valid)
		}
	}
}

// What sets a visit of one form apart from others of its operation is learnt: where a cache has the answer there is less to do.
func TestVisitsOfDifferentForms(t *testing.T) {
	b := newBench(8)
	hit, err := foresail.NewForm(0, []foresail.Visit{{Operation: "read", Parent: -1, Times: 1}})
	if err != nil {
		t.Fatal(err)
	}
	p := profile.New(profile.Config{})
	for _, load := range []float64{20, 40, 60, 30, 50} {
		m := b.minute(load)
		quick := sketch.New()
		for range 3000 {
			quick.Add(0.2 * one(b.rng, b.truth(load)))
		}
		m.Shapes = append(m.Shapes, foresail.ShapeStats{Form: hit, Requests: 3000, Own: []*sketch.Sketch{quick}})
		p.Observe(b.app, m)
	}
	check := func(p *profile.Profiler) {
		for _, q := range []float64{0.5, 0.95, 0.99} {
			miss, _ := p.VisitStage(b.form, 0, 50)
			within(t, "own time of a miss", miss.Quantile(q), b.truth(50).Quantile(q), 0.08)
			one, _ := p.VisitStage(hit, 0, 50)
			within(t, "own time of a hit", one.Quantile(q), 0.2*b.truth(50).Quantile(q), 0.08)
		}
	}
	check(p)
	saved, err := p.Save()
	if err != nil {
		t.Fatal(err)
	}
	q := profile.New(profile.Config{})
	if err := q.Restore(saved); err != nil {
		t.Fatal(err)
	}
	check(q)
	unknown, err := foresail.NewForm(1, []foresail.Visit{{Operation: "read", Parent: -1, Times: 1}})
	if err != nil {
		t.Fatal(err)
	}
	got, _ := p.VisitStage(unknown, 0, 50)
	want, _ := p.Stage(0, "read", 50)
	if !reflect.DeepEqual(got, want) {
		t.Error("a visit of a form that was never seen is not its operation's")
	}
}

// More load never makes any quantile shorter, whatever was observed.
func TestOwnTimesGrowWithLoad(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := newBench(rapid.Uint64().Draw(t, "seed"))
		p := profile.New(profile.Config{})
		for range rapid.IntRange(1, 12).Draw(t, "minutes") {
			b.slow = rapid.Float64Range(0.5, 2).Draw(t, "slow")
			b.replicas = rapid.IntRange(1, 3).Draw(t, "replicas")
			p.Observe(b.app, b.minute(rapid.Float64Range(1, 95).Draw(t, "load")))
		}
		was := 0.0
		for load := 0.5; load < 120; load *= 1.1 {
			stage, valid := p.Stage(0, "read", load)
			if err := stage.Check(); err != nil {
				t.Fatal(err)
			}
			mean := stage.Mean()
			if mean < was*(1-1e-9) {
				t.Fatalf("mean %v at load %v, and %v at less: %+v", mean, load, was, valid)
			}
			was = mean
		}
	})
}

// Each observation drops or keeps others; what is kept stays bounded, and loads that were seen long ago stay known.
func TestMemoryIsBounded(t *testing.T) {
	b := newBench(9)
	p := seen(b, 20, 80)
	for range 100 {
		p.Observe(b.app, b.minute(50))
	}
	_, valid := p.Stage(0, "read", 50)
	if valid.Observations > 48 || valid.From > 21 || valid.To < 79 {
		t.Errorf("%+v", valid)
	}
}

func FuzzRestore(f *testing.F) {
	saved, err := seen(newBench(10), 20, 40, 60).Save()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(saved)
	f.Add([]byte(`{"version":1,"services":[{"name":"a","all":{}}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		p := profile.New(profile.Config{})
		if p.Restore(data) != nil {
			return
		}
		if stage, valid := p.Stage(0, "read", 50); valid.Basis != profile.BasisUnknown {
			if err := stage.Check(); err != nil {
				t.Error(err)
			}
		}
		b := newBench(11)
		p.Observe(b.app, b.minute(40))
	})
}

func BenchmarkObserve(b *testing.B) {
	bench := newBench(1)
	p := seen(bench, 20, 40, 60)
	m := bench.minute(50)
	b.ReportAllocs()
	for b.Loop() {
		m.Start, m.End = m.End, m.End.Add(time.Minute)
		p.Observe(bench.app, m)
	}
}

func BenchmarkStage(b *testing.B) {
	p := seen(newBench(1), 20, 40, 60, 70, 30, 50)
	b.ReportAllocs()
	load := 20.0
	for b.Loop() {
		load = 20 + math.Mod(load+7, 60)
		p.Stage(0, "write", load)
	}
}
