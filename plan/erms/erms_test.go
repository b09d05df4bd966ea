package erms

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/plan/plantest"
	"foresail.dev/sketch"
)

// given are profiles that are known from the start.
type given struct {
	models map[foresail.ServiceID]Model
	full   float64
}

func (given) Observe(*foresail.App, *foresail.Snapshot) {}
func (g given) Pieces(id foresail.ServiceID) (Model, bool) {
	m, ok := g.models[id]
	return m, ok
}
func (g given) Full(foresail.ServiceID) float64 { return g.full }
func (given) Save() ([]byte, error)             { return []byte("null"), nil }
func (given) Restore([]byte) error              { return nil }

// shop is two endpoints that share the last of three services: buy (20 ms) enters s0, look (200 ms) enters s1, and both
// call s2.
func shop() *foresail.App {
	app := plantest.App(3)
	app.Endpoints = []foresail.Endpoint{
		{Name: "buy", Entry: 0, Operation: "op", Objective: &foresail.Objective{Percentile: 99, Latency: 20 * time.Millisecond}},
		{Name: "look", Entry: 1, Operation: "op", Objective: &foresail.Objective{Percentile: 99, Latency: 200 * time.Millisecond}},
	}
	return app
}

// simple are models with one line each: p95 is 1 ms, and as many more as half the calls a second of a container.
func simple(n int) given {
	g := given{models: map[foresail.ServiceID]Model{}}
	for i := range n {
		p := Piece{A: 0.0005, B: 0.001}
		g.models[foresail.ServiceID(i)] = Model{Before: p, After: p, Inflection: 50}
	}
	return g
}

// minutes plays minutes of so many requests a second of each endpoint to a manager, and gives its last plan.
func minutes(t *testing.T, m *Manager, app *foresail.App, n int, rates ...float64) (*foresail.Plan, error) {
	t.Helper()
	h := foresail.NewHistory(app, m.Needs())
	var p *foresail.Plan
	var err error
	for i := range n {
		h.Add(minute(app, i, rates...))
		p, err = m.Decide(h)
	}
	return p, err
}

func minute(app *foresail.App, i int, rates ...float64) *foresail.Snapshot {
	last := foresail.ServiceID(len(app.Services) - 1)
	s := &foresail.Snapshot{Start: plantest.Epoch.Add(time.Duration(i) * time.Minute), Has: foresail.SignalShapes | foresail.SignalEndpoints}
	s.End = s.Start.Add(time.Minute)
	s.Endpoints = make([]foresail.EndpointStats, len(app.Endpoints))
	s.Services = make([]foresail.ServiceStats, len(app.Services))
	for k := range s.Services {
		st := &s.Services[k]
		st.Has = foresail.SignalArrivals | foresail.SignalAllocation | foresail.SignalReady | foresail.SignalCPU
		st.Allocation = foresail.Allocation{Replicas: 3, CPU: 1}
		st.Ready = 3
	}
	for e, rate := range rates {
		s.Endpoints[e].Arrivals = rate * 60
		if rate == 0 {
			continue
		}
		f, err := foresail.NewForm(foresail.EndpointID(e), []foresail.Visit{
			{Service: foresail.ServiceID(e), Operation: "op", Parent: -1, Times: 1}, {Service: last, Operation: "op", Parent: 0, Times: 1}})
		if err != nil {
			panic(err)
		}
		own := func() *sketch.Sketch { k := sketch.New(); k.AddN(0.002, rate); return k }
		s.Shapes = append(s.Shapes, foresail.ShapeStats{Form: f, Requests: rate * 60, Own: []*sketch.Sketch{own(), own()}})
		s.Services[e].Arrivals += rate * 60
		s.Services[last].Arrivals += rate * 60
	}
	for k := range s.Services {
		s.Services[k].CPU = s.Services[k].Arrivals * 0.002
	}
	return s
}

func built(t testing.TB, app *foresail.App, c Config, p Profiles) *Manager {
	t.Helper()
	m, err := New(app, c)
	if err != nil {
		t.Fatal(err)
	}
	if p != nil {
		m.profiles = p
	}
	return m
}

// Each service gets what its share of the objective takes, and the service that both endpoints call what the stricter one
// takes there, ahead of the other.
func TestPlan(t *testing.T) {
	app := shop()
	m := built(t, app, Config{}, simple(3))
	p, err := minutes(t, m, app, 2, 90, 30)
	if err != nil || p == nil {
		t.Fatal(p, err)
	}
	// buy: 18 ms above the offsets, shared alike: 9 ms at 18 calls/s a container.
	for id, want := range []int{5, 1, 5} {
		ch, ok := p.Change(foresail.ServiceID(id))
		if !ok || ch.To.Replicas != want || ch.To.CPU != 1 {
			t.Errorf("s%d: %+v, want %d replicas", id, ch, want)
		}
	}
	ch, _ := p.Change(2)
	if r := ch.Reason; r.Rule != "erms/target" || !strings.Contains(r.Text, "buy (p99 < 20ms) leaves it 10.0 ms") || !strings.Contains(strings.Join(r.Considered, ";"), "none do in this cluster") {
		t.Errorf("%+v", r)
	}
}

// The same, but nothing goes first: the shared service gets what both take within the smaller target.
func TestFair(t *testing.T) {
	app := shop()
	p, err := minutes(t, built(t, app, Config{Fair: true}, simple(3)), app, 2, 90, 30)
	if err != nil {
		t.Fatal(err)
	}
	if ch, _ := p.Change(2); ch.To.Replicas != 7 {
		t.Errorf("%+v, want 7 replicas", ch)
	}
}

// What settings mean: a smaller share of the objective and headroom take more containers.
func TestSettings(t *testing.T) {
	app := shop()
	for _, x := range []struct {
		c    Config
		want int
	}{{Config{Factor: 0.5}, 12}, {Config{Headroom: 0.5}, 8}, {Config{Factor: 2}, 3}} {
		// With twice the objective it needs 3, which it has: nothing is asked for.
		p, err := minutes(t, built(t, app, x.c, simple(3)), app, 2, 90, 1)
		if err != nil {
			t.Fatal(err)
		}
		ch, ok := p.Change(0)
		if got := ch.To.Replicas; ok && got != x.want || !ok && x.want != 3 {
			t.Errorf("%+v: %d replicas, want %d", x.c, got, x.want)
		}
	}
	_, err := New(app, Config{Factor: -1, Headroom: math.NaN(), Window: -1, Peak: -1, Full: 2, CPU: 2, Explore: -1})
	if err == nil || strings.Count(err.Error(), "\n") != 6 {
		t.Errorf("%v", err)
	}
	if _, err := New(nil, Config{}); err == nil {
		t.Error("no application was accepted")
	}
}

// What any of the last minutes took counts, those before a restart among them.
func TestPeaks(t *testing.T) {
	app := shop()
	m := built(t, app, Config{Peak: 3}, simple(3))
	h := foresail.NewHistory(app, m.Needs())
	var got []int
	for i, rate := range []float64{90, 30, 30, 30} {
		h.Add(minute(app, i, rate, 120-rate))
		p, err := m.Decide(h)
		if err != nil {
			t.Fatal(err)
		}
		n := 3 // as many as there are
		if ch, ok := p.Change(0); ok {
			n = ch.To.Replicas
		}
		got = append(got, n)
		b, err := m.Save()
		if err != nil {
			t.Fatal(err)
		}
		m = built(t, app, Config{Peak: 3}, simple(3))
		if err := m.Restore(b); err != nil {
			t.Fatal(err)
		}
	}
	if want := []int{5, 5, 5, 2}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// The service that both endpoints call gets what one minute or the other took: it never had the calls of both.
func TestLoadsThatWereAtOnce(t *testing.T) {
	app := shop()
	g := simple(3)
	g.full = 10
	m := built(t, app, Config{Full: 0.9}, g)
	h := foresail.NewHistory(app, m.Needs())
	h.Add(minute(app, 0, 0, 90))
	if _, err := m.Decide(h); err != nil {
		t.Fatal(err)
	}
	h.Add(minute(app, 1, 45, 0))
	p, err := m.Decide(h)
	if err != nil {
		t.Fatal(err)
	}
	for id, want := range []int{5, 10, 10} {
		if ch, _ := p.Change(foresail.ServiceID(id)); ch.To.Replicas != want {
			t.Errorf("s%d: %+v, want %d replicas", id, ch, want)
		}
	}
	if ch, _ := p.Change(2); !strings.HasPrefix(ch.Reason.Text, "what was called 1 minutes before: 90.0 calls/s") {
		t.Errorf("%+v", ch.Reason)
	}
}

// Where all of the CPU was used calls have queued up, and what was used says little of what is needed.
func TestAServiceWithoutCPULeftIsRelieved(t *testing.T) {
	app := shop()
	m := built(t, app, Config{}, simple(3))
	h := foresail.NewHistory(app, m.Needs())
	s := minute(app, 0, 9, 9)
	s.Services[2].CPU = 60 * 3 * 0.95
	h.Add(s)
	p, err := m.Decide(h)
	if err != nil {
		t.Fatal(err)
	}
	if ch, _ := p.Change(2); ch.To.Replicas != 8 || ch.Reason.Rule != "erms/spent" { // 2.85 cores, 40 % of 8
		t.Errorf("%+v", ch)
	}
}

// An objective below what any number of containers reaches: all that the endpoint visits is near its maximum, within a hundredth of the
// least latency there is, and the reason names who bounds it. The other endpoint's objective is held all the same.
func TestAnObjectiveOutOfReach(t *testing.T) {
	app := shop()
	g := simple(3)
	p := Piece{A: 0.0005, B: 0.03}
	g.models[2] = Model{Before: p, After: p, Inflection: 50}
	got, err := minutes(t, built(t, app, Config{}, g), app, 2, 90, 30)
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []foresail.ServiceID{0, 2} {
		ch, _ := got.Change(id)
		if ch.To.Replicas < 15 || ch.Reason.Rule != "erms/infeasible" || ch.Reason.Bound != "s2" || !strings.Contains(ch.Reason.Text, "buy (p99 < 20ms) is out of reach") {
			t.Errorf("s%d: %+v", id, ch)
		}
	}
	if ch, _ := got.Change(1); ch.To.Replicas > 3 {
		t.Errorf("look's own service: %+v", ch)
	}
}

// One service needs more than it may have, and the others can make up for it.
func TestAMaximumIsMadeUpFor(t *testing.T) {
	app := shop()
	app.Services[2].Bounds.MaxReplicas = 4
	got, err := minutes(t, built(t, app, Config{}, simple(3)), app, 2, 90, 0)
	if err != nil {
		t.Fatal(err)
	}
	// At 4, s2 takes 12.25 ms of 20; s0 has 7.75.
	a, _ := got.Change(0)
	b, _ := got.Change(2)
	if took := 0.0005*90/float64(a.To.Replicas) + 0.001 + 0.0005*90/float64(b.To.Replicas) + 0.001; took > 0.020+1e-9 || a.To.Replicas > 10 {
		t.Errorf("%+v and %+v take %v", a, b, took)
	}
}

// An endpoint without an objective gets no target, and services that it alone visits keep the containers for their load. One
// without requests needs nothing.
func TestEndpointsWithoutObjectiveOrRequests(t *testing.T) {
	app := shop()
	app.Endpoints[0].Objective = nil
	got, err := minutes(t, built(t, app, Config{}, simple(3)), app, 2, 230, 0)
	if err != nil {
		t.Fatal(err)
	}
	if ch, _ := got.Change(0); ch.To.Replicas != 5 || ch.Reason.Rule != "erms/load" {
		t.Errorf("%+v, want 5 replicas of at most 50 calls/s", ch)
	}
	if ch, _ := got.Change(1); ch.To.Replicas != 1 {
		t.Errorf("without requests: %+v", ch)
	}
}

// A service whose latency is not known is scaled by its CPU, and what it takes is left out of what is split.
func TestAServiceThatIsNotKnown(t *testing.T) {
	app := shop()
	g := simple(3)
	delete(g.models, 2)
	m := built(t, app, Config{CPU: 0.02}, g)
	got, err := minutes(t, m, app, 2, 90, 0)
	if err != nil {
		t.Fatal(err)
	}
	if ch, _ := got.Change(2); ch.Reason.Rule != "erms/unprofiled" || ch.To.Replicas != 9 { // 90 × 2 ms of CPU at 2 %
		t.Errorf("%+v", ch)
	}
	if ch, ok := got.Change(0); ok && ch.To.Replicas != 3 { // 20 ms less 2: 17 above its offset
		t.Errorf("%+v", ch)
	}
}

// No container is loaded beyond what its CPU serves, however lax its target is.
func TestNoContainerIsLoadedBeyondItsCPU(t *testing.T) {
	app := shop()
	g := simple(3)
	g.full = 10
	got, err := minutes(t, built(t, app, Config{Full: 0.9}, g), app, 2, 0, 90)
	if err != nil {
		t.Fatal(err)
	}
	if ch, _ := got.Change(1); ch.To.Replicas != 10 || ch.Reason.Rule != "erms/full" || !strings.Contains(strings.Join(ch.Reason.Considered, ";"), "look") {
		t.Errorf("%+v", ch)
	}
}

// The newest minute is what it decides on. Without one it keeps what is, and after a while errs.
func TestSilence(t *testing.T) {
	app := shop()
	m := built(t, app, Config{}, simple(3))
	h := foresail.NewHistory(app, m.Needs())
	if p, err := m.Decide(h); p != nil || err != nil {
		t.Fatal(p, err)
	}
	h.Add(minute(app, 0, 90, 30))
	if p, err := m.Decide(h); p == nil || err != nil {
		t.Fatal(p, err)
	}
	if p, err := m.Decide(h); p != nil || err != nil {
		t.Errorf("the same minute again: %+v, %v", p, err)
	}
	silent := func(i int) {
		h.Add(&foresail.Snapshot{Start: plantest.Epoch.Add(time.Duration(i) * time.Minute), End: plantest.Epoch.Add(time.Duration(i+1) * time.Minute), Stale: true})
	}
	silent(1)
	if p, err := m.Decide(h); p != nil || err != nil {
		t.Errorf("a minute of silence: %+v, %v", p, err)
	}
	silent(2)
	if p, err := m.Decide(h); p != nil || !errors.Is(err, foresail.ErrStale) {
		t.Errorf("two minutes of silence: %+v, %v", p, err)
	}
	h.Add(minute(app, -60, 90, 30)) // the clock was put back
	if _, err := m.Decide(h); err != nil {
		t.Error(err)
	}
}

// Exploring moves every service by itself, for as many minutes as were asked for, over restarts too.
func TestExploring(t *testing.T) {
	app := plantest.App(4)
	c := &plantest.Cluster{Application: app, Beat: 5 * time.Second, Shapes: true, Demand: func(foresail.ServiceID, time.Duration) float64 { return 3 }}
	m := built(t, app, Config{Explore: 12, Seed: 5}, nil)
	h := foresail.NewHistory(app, m.Needs())
	levels := [4][]int{}
	for i := range 14 * 12 {
		h.Add(c.Step())
		p, err := m.Decide(h)
		if err != nil {
			t.Fatal(err)
		}
		if p == nil {
			continue
		}
		if err := c.Apply(t.Context(), p); err != nil {
			t.Fatal(err)
		}
		if exploring := strings.HasPrefix(p.Note, "exploring"); exploring != (i < 12*12-1) {
			t.Errorf("minute %d: %q", i/12, p.Note)
		}
		for id := range levels {
			if n := c.Have(foresail.ServiceID(id)).Replicas; !slices.Contains(levels[id], n) {
				levels[id] = append(levels[id], n)
			}
		}
		b, err := m.Save()
		if err != nil {
			t.Fatal(err)
		}
		m = built(t, app, Config{Explore: 12, Seed: 5}, nil)
		if err := m.Restore(b); err != nil {
			t.Fatal(err)
		}
	}
	for id, l := range levels {
		if len(l) < 3 {
			t.Errorf("s%d had %v replicas only", id, l)
		}
	}
	if fmt.Sprint(levels[0]) == fmt.Sprint(levels[1]) && fmt.Sprint(levels[1]) == fmt.Sprint(levels[2]) {
		t.Errorf("all move alike: %v", levels)
	}
}

func TestAStateThatIsNoneIsRefused(t *testing.T) {
	m := built(t, shop(), Config{}, nil)
	for _, bad := range []string{"{", `{"Explored":-1}`, `{"Profiles":{}}`, `{"Profiles":[{"runs":[{"load":-1,"cpu":1}]}]}`,
		`{"Minutes":[{"Rates":[1],"Loads":[]}]}`, `{"Minutes":[{"Rates":[1],"Loads":[[-1]]}]}`} {
		if err := m.Restore([]byte(bad)); err == nil || !strings.HasPrefix(err.Error(), "erms: ") {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

func visit(s, parent, step, times int) foresail.Visit {
	return foresail.Visit{Service: foresail.ServiceID(s), Operation: "op", Parent: parent, Step: step, Times: times}
}

func form(t testing.TB, visits ...foresail.Visit) *foresail.Form {
	f, err := foresail.NewForm(0, visits)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// The complete graph has every call of every form once; the form that most requests took says when and how often.
func TestTheCompleteGraph(t *testing.T) {
	async := visit(5, 0, 0, 1)
	async.Async = true
	most := form(t, visit(0, -1, 0, 1), visit(1, 0, 0, 1), visit(2, 0, 1, 2), visit(4, 2, 0, 3), async)
	few := form(t, visit(0, -1, 0, 1), visit(3, 0, 0, 1), visit(2, 0, 1, 7), visit(1, 0, 2, 1))
	g := complete([]seen{{few, 10}, {most, 90}})
	type call struct {
		ms, parent, step int
		times            float64
	}
	var got []call
	for _, c := range g.calls {
		got = append(got, call{c.Microservice, c.Parent, c.Step, c.Times})
	}
	if want := []call{{0, -1, 0, 1}, {1, 0, 0, 1}, {3, 0, 0, 1}, {2, 0, 1, 2}, {4, 3, 0, 6}}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	v := visits([]seen{{few, 10}, {most, 90}})
	for ms, want := range map[foresail.ServiceID]float64{0: 1, 1: 1, 2: 2.5, 3: 0.1, 4: 5.4, 5: 0.9} {
		if math.Abs(v[ms]-want) > 1e-12 {
			t.Errorf("%d: %v visits, want %v", ms, v[ms], want)
		}
	}
}

// Of calls side by side only the longest counts, and it is told which.
func TestLatencyAlongTheLongest(t *testing.T) {
	calls := []Call{{Parent: -1}, {Parent: 0}, {Parent: 0}, {Parent: 2}, {Parent: 0, Step: 1}}
	own := []float64{1, 10, 2, 9, 4}
	total, parts := latency(calls, func(i int) float64 { return own[i] })
	if total != 16 || !slices.Equal(parts, []float64{1, 0, 2, 9, 4}) {
		t.Errorf("%v %v", total, parts)
	}
}

// One that was saved and restored goes on as if nothing had been, models that it learnt included. (Own times too few for an
// observation are not kept; here each minute has enough.)
func TestStateSurvives(t *testing.T) {
	app := plantest.App(3)
	demand := func(id foresail.ServiceID, at time.Duration) float64 {
		return 5 + float64(id) + math.Sin(at.Minutes()/7)
	}
	c := &plantest.Cluster{Application: app, Beat: 5 * time.Second, Shapes: true, Demand: demand}
	m := built(t, app, Config{Explore: 20}, nil)
	h := foresail.NewHistory(app, m.Needs())
	known := 0
	for i := range 40 * 12 {
		h.Add(c.Step())
		again := built(t, app, Config{Explore: 20}, nil)
		if i%12 == 11 {
			b, err := m.Save()
			if err != nil {
				t.Fatal(err)
			}
			if err := again.Restore(b); err != nil {
				t.Fatal(err)
			}
		}
		p, err := m.Decide(h)
		if i%12 == 11 {
			q, err2 := again.Decide(h)
			if !reflect.DeepEqual(p, q) || err != nil || err2 != nil {
				t.Fatalf("minute %d: %+v %v\nand %+v %v", i/12, p, err, q, err2)
			}
		}
		if p == nil {
			continue
		}
		for _, ch := range p.Changes {
			if ch.Reason.Rule == "erms/target" || ch.Reason.Rule == "erms/full" {
				known++
			}
		}
		if err := c.Apply(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	if known == 0 {
		t.Error("it never learnt enough to split an objective")
	}
}

// BenchmarkDecideErms decides on a minute of an application of 30 services in a chain, all of whose models are known.
func BenchmarkDecideErms(b *testing.B) {
	app := plantest.App(30)
	c := &plantest.Cluster{Application: app, Beat: 10 * time.Second, Shapes: true, Demand: func(id foresail.ServiceID, at time.Duration) float64 {
		return 2 + math.Sin(float64(id)+at.Minutes()/3)
	}}
	m := built(b, app, Config{Explore: 20}, nil)
	h := foresail.NewHistory(app, m.Needs())
	for range 30 * 6 {
		h.Add(c.Step())
		p, err := m.Decide(h)
		if err != nil {
			b.Fatal(err)
		}
		if p != nil {
			if err := c.Apply(b.Context(), p); err != nil {
				b.Fatal(err)
			}
		}
	}
	minutes := h.Minutes(m.c.Window)
	b.ReportAllocs()
	for b.Loop() {
		m.plan(m.survey(h, minutes))
	}
}
