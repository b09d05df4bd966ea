package adapting

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/appfile"
	"foresail.dev/loop"
	"foresail.dev/model/tail"
	"foresail.dev/model/tail/adapt"
	"foresail.dev/sketch"
)

var start = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)

func shop() *foresail.App {
	app := &foresail.App{Name: "shop"}
	for _, n := range []string{"front", "db"} {
		app.Services = append(app.Services, foresail.Service{Name: n, Bounds: foresail.Bounds{MinReplicas: 1, MaxReplicas: 1, MinCPU: 0.1, MaxCPU: 4}})
	}
	app.Endpoints = []foresail.Endpoint{{Name: "all", Objective: &foresail.Objective{Percentile: 99, Latency: 200 * time.Millisecond}}}
	return app
}

// world is a cluster of which latency hangs on the cores of db, in one way and, once it has changed, in another.
type world struct {
	app     *foresail.App
	rng     *rand.Rand
	at      time.Time
	end     time.Time
	changes time.Time
	cores   float64
}

func newWorld(seed uint64, seconds, changes int) *world {
	w := &world{app: shop(), rng: rand.New(rand.NewPCG(seed, 1)), at: start, cores: 2}
	w.end, w.changes = start.Add(time.Duration(seconds)*time.Second), start.Add(time.Duration(changes)*time.Second)
	return w
}

func (w *world) App() *foresail.App                          { return w.app }
func (w *world) Apply(context.Context, *foresail.Plan) error { return nil }
func (w *world) Next(context.Context) (*foresail.Snapshot, error) {
	if !w.at.Before(w.end) {
		return nil, io.EOF
	}
	return w.second(), nil
}

// second is the next one as a snapshot.
func (w *world) second() *foresail.Snapshot {
	s := &foresail.Snapshot{Start: w.at, End: w.at.Add(time.Second), Has: foresail.SignalEndpoints, Services: make([]foresail.ServiceStats, 2), Endpoints: make([]foresail.EndpointStats, 1)}
	w.at = s.End
	if w.rng.Float64() < 0.2 {
		w.cores = 1 + 3*w.rng.Float64()
	}
	p99 := 240/w.cores + 5*w.rng.NormFloat64()
	if s.End.After(w.changes) {
		p99 = 40 + 120/w.cores + 5*w.rng.NormFloat64()
	}
	for i := range s.Services {
		st := &s.Services[i]
		st.Has = foresail.SignalAllocation | foresail.SignalCPU | foresail.SignalArrivals | foresail.SignalMemory | foresail.SignalInFlight
		st.Allocation = foresail.Allocation{Replicas: 1, CPU: 2}
		st.CPU, st.Arrivals, st.Memory = 0.5+0.01*w.rng.NormFloat64(), 100, 100e6
		st.InFlight.Mean = 3 + w.rng.Float64()
	}
	s.Services[1].Allocation.CPU = w.cores
	e := &s.Endpoints[0]
	e.Requests, e.Arrivals, e.Latency = 100, 100, &sketch.Sketch{}
	for range 100 {
		v := max(p99/1000, 0.001)
		e.Latency.Add(v)
		if v > 0.2 {
			e.Late++
		}
	}
	return s
}

func (w *world) run(n int) tail.Run {
	r := tail.Run{Name: "a run"}
	for range n {
		r.Steps = append(r.Steps, tail.Observe(w.app, w.second()))
	}
	return r
}

func config() tail.Config {
	c := tail.Default()
	c.Epochs, c.Batch, c.Trees, c.HoldOut, c.Rate, c.Source = 12, 32, 30, 0, 0.01, "a test"
	return c
}

// known is a model of the world as it is at first.
var known = sync.OnceValues(func() (*tail.Model, error) {
	w := newWorld(100, 0, 1<<30)
	m, _, err := tail.Train(context.Background(), tail.SchemaOf(w.app), []tail.Run{w.run(900)}, config(), nil)
	return m, err
})

// keeps is a manager that keeps what is, and counts.
type keeps struct {
	model *tail.Model
	asked int
}

func (*keeps) Name() string                                       { return "keeps" }
func (*keeps) Needs() foresail.Needs                              { return foresail.Needs{Every: time.Second, Seconds: 1} }
func (k *keeps) Decide(*foresail.History) (*foresail.Plan, error) { k.asked++; return nil, nil }

// told collects what is told. Its lines are added from the worker's goroutine.
type told struct {
	mu    sync.Mutex
	lines []string
	more  chan struct{}
}

func (t *told) add(line string) {
	t.mu.Lock()
	t.lines = append(t.lines, line)
	t.mu.Unlock()
	select {
	case t.more <- struct{}{}:
	default:
	}
}

func (t *told) text() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.Join(t.lines, "\n")
}

// follow runs the loop over a world that changes, as fast as the worker can follow, and returns what was told and noted in plans,
// and the manager that decided at the end.
func follow(t *testing.T, tune func(context.Context, *tail.Model, []tail.Run) (*tail.Model, error), seconds, changes int) (told string, notes []string, last *keeps) {
	t.Helper()
	m, err := known()
	if err != nil {
		t.Fatal(err)
	}
	p := adapt.Default()
	p.Least, p.Every = 5*time.Minute, time.Minute
	log := newTold()
	var built []*keeps
	build := func(m *tail.Model) (foresail.Manager, error) {
		k := &keeps{model: m}
		built = append(built, k)
		return k, nil
	}
	w := newWorld(1, seconds, changes)
	a := Start(Options{App: w.app, Model: m, Policy: p, Seed: 1, Build: build, Tell: log.add, Tune: tune})
	defer a.Close()
	first, _ := build(m)
	o := loop.Options{Mode: loop.Auto}
	a.Options(&o)
	o.Events = loop.Join(o.Events, loop.Events{Decided: func(d loop.Decision) {
		if d.Err != nil {
			t.Error(d.Err)
		}
		if d.Plan != nil && d.Plan.Note != "" {
			notes = append(notes, d.Plan.Note)
		}
		a.settle()
	}})
	if err := loop.Run(t.Context(), w, a.Wrap(first), o); err != nil {
		t.Fatal(err)
	}
	a.Close()
	if n := a.dropped.Load(); n > 0 {
		t.Errorf("%d seconds were dropped", n)
	}
	for _, k := range built {
		if k.asked > 0 {
			last = k
		}
	}
	return log.text(), notes, last
}

func newTold() *told { return &told{more: make(chan struct{}, 1)} }

// quickly fine-tunes as a run does, in less time.
func quickly(ctx context.Context, old *tail.Model, runs []tail.Run) (*tail.Model, error) {
	c := config()
	m, _, err := tail.FineTune(ctx, old, runs, c, nil)
	return m, err
}

func TestAModelThatNoLongerFitsIsReplaced(t *testing.T) {
	text, notes, last := follow(t, quickly, 45*60, 10*60)
	for _, part := range []string{"no longer fits: predictions of p99 are off by", "is fine-tuned on ", "takes over: it is better: before: p99 off by "} {
		if !strings.Contains(text, part) {
			t.Errorf("it was not told %q:\n%s", part, text)
		}
	}
	if m, _ := known(); last == nil || last.model == m {
		t.Error("the old model's manager still decides")
	}
	if all := strings.Join(notes, "\n"); !strings.Contains(all, "model: fine-tuned in ") {
		t.Errorf("no plan notes it: %s", all)
	}
	t.Log(text)
}

// While the model fits nothing is done.
func TestAModelThatFitsStays(t *testing.T) {
	text, notes, last := follow(t, func(context.Context, *tail.Model, []tail.Run) (*tail.Model, error) {
		t.Error("it was fine-tuned")
		return nil, errors.New("for nothing")
	}, 40*60, 1<<30)
	if m, _ := known(); text != "" || len(notes) > 0 || last == nil || last.model != m {
		t.Errorf("%s %v", text, notes)
	}
}

// What goes wrong in training is told, and the old manager goes on.
func TestWhatGoesWrongDoesNotHurtTheLoop(t *testing.T) {
	old, err := known()
	if err != nil {
		t.Fatal(err)
	}
	for says, tune := range map[string]func(context.Context, *tail.Model, []tail.Run) (*tail.Model, error){
		"could not be fine-tuned: panic: the disk is on fire": func(context.Context, *tail.Model, []tail.Run) (*tail.Model, error) { panic("the disk is on fire") },
		"could not be fine-tuned: too little": func(context.Context, *tail.Model, []tail.Run) (*tail.Model, error) {
			return nil, errors.New("too little")
		},
		"could not be fine-tuned: nothing came of it": func(context.Context, *tail.Model, []tail.Run) (*tail.Model, error) { return nil, nil },
		"could not be fine-tuned: panic: network":     func(context.Context, *tail.Model, []tail.Run) (*tail.Model, error) { return &tail.Model{}, nil },
		"does not take over: it is hardly better":     func(_ context.Context, m *tail.Model, _ []tail.Run) (*tail.Model, error) { return m, nil },
	} {
		text, _, last := follow(t, tune, 30*60, 5*60)
		if !strings.Contains(text, says) || last == nil || last.model != old {
			t.Errorf("want %q:\n%s", says, text)
		}
	}
}

// A run that ends ends an attempt that is under way.
func TestCloseEndsAnAttempt(t *testing.T) {
	began := make(chan struct{})
	ended := make(chan struct{})
	m, err := known()
	if err != nil {
		t.Fatal(err)
	}
	p := adapt.Default()
	p.Least = 5 * time.Minute
	a := Start(Options{App: shop(), Model: m, Policy: p, Tell: func(string) {}, Tune: func(ctx context.Context, _ *tail.Model, _ []tail.Run) (*tail.Model, error) {
		close(began)
		<-ctx.Done()
		close(ended)
		return nil, ctx.Err()
	}})
	w := newWorld(1, 1<<20, 0)
	h := foresail.NewHistory(w.app, foresail.Needs{Seconds: 3})
	for range 1800 {
		s := w.second()
		h.Add(s)
		a.observe(h, s)
		a.caughtUp()
	}
	<-began
	a.Close()
	<-ended
}

// When the worker can't follow, seconds are dropped and counted, and the loop does not wait.
func TestASlowWorkerDropsSeconds(t *testing.T) {
	m, err := known()
	if err != nil {
		t.Fatal(err)
	}
	block := make(chan struct{})
	a := Start(Options{App: shop(), Model: m, Policy: adapt.Default(), Tell: func(string) { <-block }, Tune: quickly})
	w := newWorld(1, 1<<20, 0)
	h := foresail.NewHistory(w.app, foresail.Needs{Seconds: 3})
	for range 4 * queue {
		s := w.second()
		h.Add(s)
		a.observe(h, s)
	}
	close(block)
	a.Close()
	got := map[string]float64{}
	a.Metrics(func(name string, v float64, labels ...string) { got[fmt.Sprint(name, labels)] = v })
	if n := got["foresail_model_skipped_seconds_total[]"]; n < queue || n > 3*queue {
		t.Errorf("%v of %d seconds were dropped", n, 4*queue)
	}
	if _, ok := got["foresail_model_drift[residual]"]; !ok || math.IsNaN(got["foresail_model_attempts_total[took-over]"]) {
		t.Error(got)
	}
}

// Models that took over are found again, the newest first, and only where they fit.
func TestModelsAreKept(t *testing.T) {
	m, err := known()
	if err != nil {
		t.Fatal(err)
	}
	c := &Config{Models: t.TempDir()}
	keep, err := Keeper(t.Context(), c, shop())
	if err != nil {
		t.Fatal(err)
	}
	if m, note := Newest(t.Context(), c, shop()); m != nil || note != "" {
		t.Error(note)
	}
	if name, err := keep(t.Context(), m, start); err != nil || !strings.Contains(name, "20260301T000000Z") {
		t.Fatal(name, err)
	}
	again, note := Newest(t.Context(), c, shop())
	if again == nil || again.Margin() != m.Margin() || !strings.Contains(note, "an earlier run") {
		t.Error(note)
	}
	other := shop()
	other.Services[1].Name = "cache"
	if m, note := Newest(t.Context(), c, other); m != nil || !strings.Contains(note, "another version of application") {
		t.Error(note)
	}
}

func TestConfig(t *testing.T) {
	read := func(text string) (*Config, error) {
		var in struct {
			Adapt *Config `yaml:"adapt"`
		}
		err := appfile.Decode("run.yaml", []byte(text), &in)
		return in.Adapt, err
	}
	for text, on := range map[string]bool{"{}": false, "adapt: true": true, "adapt: false": false, "adapt: {least: 20m}": true, "adapt: {enabled: false, least: 20m}": false} {
		c, err := read(text)
		if err != nil || c.On() != on {
			t.Errorf("%s: %v %v", text, c.On(), err)
		}
	}
	c, err := read("adapt: {least: 20m, held: 30%, margin: 10%, models: kept, data: steps}")
	if err != nil {
		t.Fatal(err)
	}
	if c.In("/etc"); c.Models != "/etc/kept" || c.Data != "/etc/steps" || c.Policy().Least != 20*time.Minute || c.Policy().Held != 0.3 || c.Policy().Margin != 0.1 {
		t.Errorf("%+v %+v", c, c.Policy())
	}
	for text, says := range map[string]string{
		"adapt: maybe":             "must be true, false or a mapping",
		"adapt: {least: 1s}":       "least 1s: give 5m or more",
		"adapt: {every: 1s}":       "every 1s: give a minute",
		"adapt: {held: 90%}":       "held 0.9",
		"adapt: {lest: 20m}":       "lest",
		"adapt: {models: 'q://x'}": "adapt.models",
	} {
		if _, err := read(text); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", text, err)
		}
	}
}
