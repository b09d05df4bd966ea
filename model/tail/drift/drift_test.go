package drift_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"foresail.dev"
	"foresail.dev/model/tail"
	"foresail.dev/model/tail/drift"
)

var start = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)

// shop has a front, which calls one of two others for each request, and a database that both call.
func shop() *foresail.App {
	app := &foresail.App{Name: "shop"}
	for _, n := range []string{"front", "read", "write", "db"} {
		app.Services = append(app.Services, foresail.Service{Name: n, Bounds: foresail.Bounds{MinReplicas: 1, MaxReplicas: 4, MinCPU: 0.1, MaxCPU: 4}})
	}
	app.Endpoints = []foresail.Endpoint{{Name: "all", Objective: &foresail.Objective{Percentile: 99, Latency: 200 * time.Millisecond}}}
	return app
}

// world makes seconds, and a model's predictions for them. The model is as good as it says it is, until something is changed.
type world struct {
	rng  *rand.Rand
	at   time.Time
	cost [4]float64 // ms of CPU per call
	mix  float64    // share of requests that read
	load func(time.Time) float64

	error     float64 // ms, standard deviation of what the model can't know
	bias      float64 // ms, that predictions are too low
	hurt      float64 // what the odds of a violation are multiplied by, unknown to the model
	noise     float64
	odds      float64 // log odds of a violation, which come and go
	violating int     // seconds that the one that runs has to go
}

// newWorld has a load that goes up and down over the day, with minutes that differ.
func newWorld(seed uint64) *world {
	w := &world{rng: rand.New(rand.NewPCG(seed, 7)), at: start, cost: [4]float64{2, 5, 12, 1.5}, mix: 0.8, error: 20, hurt: 1, odds: -5}
	w.load = func(t time.Time) float64 {
		return 200 + 120*math.Sin(2*math.Pi*t.Sub(start).Hours()/24)
	}
	return w
}

func (w *world) poisson(mean float64) float64 {
	return max(0, math.Round(mean+math.Sqrt(mean)*w.rng.NormFloat64()))
}

// next is a second, and what was predicted for it.
func (w *world) next() (tail.Step, tail.Prediction) {
	rate := w.poisson(w.load(w.at))
	w.at = w.at.Add(time.Second)
	read := w.poisson(rate * w.mix)
	calls := [4]float64{rate, read, max(rate-read, 0), rate}
	s := tail.Step{End: w.at, Rate: rate, Endpoints: make([]tail.EndpointStep, 1), Services: make([]tail.ServiceStep, 4)}
	for i, n := range calls {
		// Each replica uses a little by itself, so a call costs less where there are many.
		used := 0.02 + n*w.cost[i]/1000*(1+0.1*w.rng.NormFloat64()/math.Sqrt(max(n, 1)))
		s.Services[i] = tail.ServiceStep{Replicas: 2, Cores: 4, Used: used / 2, Memory: 100 + 3*w.rng.NormFloat64(), Arrivals: n}
	}
	// Residuals follow each other, and have heavier tails than a normal distribution: Student's t with 5 degrees of freedom.
	t := w.rng.NormFloat64()
	chi := 0.0
	for range 5 {
		x := w.rng.NormFloat64()
		chi += x * x
	}
	t /= math.Sqrt(chi / 5)
	t /= math.Sqrt(5.0 / 3)
	const rho = 0.6
	w.noise = rho*w.noise + math.Sqrt(1-rho*rho)*t

	// Whether a violation begins in the next seconds hangs on odds that the model knows; it lasts a while.
	w.odds = -5 + 0.99*(w.odds+5) + 0.2*w.rng.NormFloat64()
	p := 1 / (1 + math.Exp(-w.odds))
	predicted := tail.Prediction{Violation: p}
	if w.violating > 0 {
		w.violating--
	}
	violated := w.violating > 0
	if !violated && w.rng.Float64() < 1-math.Pow(1-min(w.hurt*p, 1), 0.25) {
		w.violating = 1 + 1 // it shows in the second after this
	}
	s.Endpoints[0].Requests = rate
	base := 80 + rate/4
	if violated {
		s.Endpoints[0].Late = rate / 10
	}
	for i := range s.Latency {
		s.Latency[i] = base + w.bias + w.error*w.noise
		predicted.Latency[i] = base
	}
	return s, predicted
}

// reference is of six hours of another stretch of the same world.
func reference(app *foresail.App) drift.Reference {
	w := newWorld(1000)
	var runs []tail.Run
	for k := range 3 { // morning, noon and night
		w.at = start.Add(time.Duration(k) * 8 * time.Hour)
		run := tail.Run{Name: fmt.Sprint(k)}
		for range 2 * 3600 {
			s, _ := w.next()
			run.Steps = append(run.Steps, s)
		}
		runs = append(runs, run)
	}
	return drift.Learn(app, runs, w.error)
}

// watch goes through so much time, and returns when a finding of a kind came (of any, where it is empty), from the beginning.
func watch(d *drift.Watch, w *world, long time.Duration, kind drift.Kind) (after time.Duration, found []drift.Finding) {
	began := w.at
	for w.at.Sub(began) < long {
		s, p := w.next()
		d.Add(&s, &p)
		if s.End.Second() != 1 && s.End.Second() != 31 {
			continue
		}
		found = d.Findings()
		if slices.ContainsFunc(found, func(f drift.Finding) bool { return kind == "" || f.Kind == kind }) {
			return w.at.Sub(began), found
		}
	}
	return 0, nil
}

// In twenty days of what the model was trained on there is no finding at all. Residuals are correlated and heavy in the tails.
func TestADayOfTheSameRaisesNothing(t *testing.T) {
	days := 20
	if testing.Short() {
		days = 3
	}
	app := shop()
	ref := reference(app)
	w := newWorld(1)
	d := drift.New(app, ref, nil)
	for day := range days {
		if after, found := watch(d, w, 24*time.Hour, ""); found != nil {
			t.Fatalf("day %d, after %v: %s", day, after, drift.Texts(found))
		}
	}
}

// What is planted is found within so much time, and for what it is.
func TestAShiftIsFound(t *testing.T) {
	slow := [4]float64{2.6, 6.5, 15.6, 1.95}
	cases := []struct {
		name   string
		plant  func(*world)
		kind   drift.Kind
		what   string
		within time.Duration
	}{
		{"errors three times as large", func(w *world) { w.error *= 3 }, drift.Residual, "shop", 15 * time.Minute},
		{"predictions too low by two errors and a half", func(w *world) { w.bias = 50 }, drift.Residual, "shop", 8 * time.Minute},
		{"violations four times as frequent", func(w *world) { w.hurt, w.odds = 4, -3 }, drift.Calibration, "shop", 2 * time.Hour},
		{"fewer requests read, as from mix w0 to w3", func(w *world) { w.mix = 0.7 }, drift.Input, "write", 6 * time.Minute},
		{"a load beyond the highest", func(w *world) { w.load = func(time.Time) float64 { return 500 } }, drift.Input, "shop", 6 * time.Minute},
		{"one service released anew", func(w *world) { w.cost[1] *= 1.4 }, drift.Release, "read", 5 * time.Minute},
		{"one that costs less", func(w *world) { w.cost[3] /= 1.5 }, drift.Release, "db", 5 * time.Minute},
		{"a slower machine", func(w *world) { w.cost = slow }, drift.Machine, "shop", 5 * time.Minute},
	}
	app := shop()
	ref := reference(app)
	for _, c := range cases {
		for seed := range uint64(3) {
			w := newWorld(seed)
			d := drift.New(app, ref, nil)
			if after, found := watch(d, w, time.Hour, ""); found != nil {
				t.Fatalf("%s: before it, after %v: %s", c.name, after, drift.Texts(found))
			}
			planted := w.at
			c.plant(w)
			after, found := watch(d, w, c.within, c.kind)
			i := slices.IndexFunc(found, func(f drift.Finding) bool { return f.Kind == c.kind && f.What == c.what })
			if i < 0 {
				t.Errorf("%s, seed %d: not found within %v: %s", c.name, seed, c.within, drift.Texts(found))
				continue
			}
			if off := found[i].Since.Sub(planted); off < -30*time.Minute || off > after {
				t.Errorf("%s: planted at %v, found %s", c.name, planted, found[i])
			}
			t.Logf("%s: after %v: %s", c.name, after, found[i])
		}
	}
}

// A finding is over some time after its cause is.
func TestAFindingEnds(t *testing.T) {
	app := shop()
	ref := reference(app)
	w := newWorld(3)
	d := drift.New(app, ref, nil)
	w.mix, w.error = 0.7, 60
	if _, found := watch(d, w, 20*time.Minute, drift.Residual); found == nil {
		t.Fatal("nothing was found")
	}
	w.mix, w.error = 0.8, 20
	for range 3600 {
		s, p := w.next()
		d.Add(&s, &p)
	}
	if found := d.Findings(); len(found) > 0 {
		t.Error(drift.Texts(found))
	}
	w.error = 60
	watch(d, w, 20*time.Minute, drift.Residual)
	d.Replace(ref, nil)
	if found := d.Findings(); len(found) > 0 {
		t.Error("after another model came:", drift.Texts(found))
	}
}

// Services that came and went are named.
func TestServicesThatCome(t *testing.T) {
	app := shop()
	d := drift.New(app, drift.Reference{}, nil)
	grown := *app
	grown.Generation++
	grown.Services = append(slices.Clone(app.Services), foresail.Service{Name: "ads"})
	grown.Services[1].Gone = true
	d.Grown(&grown, start)
	f := d.Findings()
	if len(f) != 1 || f[0].String() != "the services are not those that the model was trained for: ads came and read went since 2026-03-01 00:00:00" {
		t.Error(f)
	}
}

// What the model itself calls outside counts when it lasts.
func TestOutside(t *testing.T) {
	d := drift.New(shop(), drift.Reference{}, nil)
	at := start
	tell := func(how ...string) {
		at = at.Add(time.Minute)
		d.Outside(at, how)
	}
	for range 20 { // now and then
		tell("db: 9 cores")
		tell()
	}
	if f := d.Findings(); len(f) != 0 {
		t.Fatal(f)
	}
	for range 5 {
		tell("db: 9 cores, trained on 1 to 4", "another")
	}
	if f := d.Findings(); len(f) != 1 || f[0].Text != "it lies outside of what the model was trained on: db: 9 cores, trained on 1 to 4 (and in 1 more ways)" || at.Sub(f[0].Since) > 6*time.Minute {
		t.Fatal(f)
	}
	for range 2 {
		tell()
	}
	if f := d.Findings(); len(f) != 0 {
		t.Fatal(f)
	}
}

// What was not observed, gaps, jumps of time and nonsense raise nothing and break nothing.
func TestAnythingMayBeAbsent(t *testing.T) {
	app := shop()
	ref := reference(app)
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(rapid.Uint64().Draw(t, "seed"))
		d := drift.New(app, ref, nil)
		nan := math.NaN()
		kind := rapid.IntRange(0, 5).Draw(t, "what is absent")
		for range rapid.IntRange(1, 1500).Draw(t, "seconds") {
			s, p := w.next()
			q := &p
			switch kind {
			case 0:
				q = nil
			case 1:
				s.Rate = nan
			case 2:
				s.Services[1] = tail.ServiceStep{Replicas: nan, Cores: nan, Used: nan, Memory: nan, InFlight: nan, Arrivals: nan, Wait: nan}
			case 3:
				s.Latency = [5]float64{nan, nan, nan, nan, nan}
				p.Violation = nan
			case 4:
				if w.rng.IntN(60) == 0 {
					w.at = w.at.Add(time.Duration(w.rng.IntN(400)-100) * time.Second)
				}
			case 5:
				s.Services = s.Services[:2]
			}
			d.Add(&s, q)
		}
		for _, f := range d.Findings() {
			t.Fatalf("%d: %s", kind, f)
		}
	})
}

func Example() {
	app := shop()
	d := drift.New(app, reference(app), nil)
	w := newWorld(5)
	w.mix = 0.7
	for range 10 * 60 {
		s, p := w.next()
		d.Add(&s, &p)
	}
	for _, f := range d.Findings() {
		fmt.Println(f.Kind, f.What, f.Quantity)
	}
	// Output: input write calls
	// input read calls
}

func BenchmarkAdd(b *testing.B) {
	app := shop()
	d := drift.New(app, reference(app), nil)
	w := newWorld(1)
	s, p := w.next()
	b.ReportAllocs()
	for b.Loop() {
		s.End = s.End.Add(time.Second)
		d.Add(&s, &p)
	}
}
