package follow_test

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/appfile"
	"foresail.dev/cluster/sim"
	"foresail.dev/load"
	"foresail.dev/model/latency"
	"foresail.dev/model/latency/follow"
	"foresail.dev/model/latency/learner"
	"foresail.dev/sketch"
)

const shop = `
application: shop
defaults: {workers: 64, queue: 256, startup: 1s, initial: {replicas: 1, cpu: 2}, bounds: {replicas: 1..8, cpu: 0.2..8}}
services:
  front: {operations: {get: {cpu: 1ms, calls: [cart.get]}}}
  cart: {operations: {get: {cpu: 2ms, calls: [store.find]}}}
  store: {operations: {find: {cpu: STORE}}}
endpoints:
  get: {entry: front.get}
objectives:
  get: p99 < 200ms
`

func parse(t *testing.T, store string) *foresail.Blueprint {
	t.Helper()
	bp, err := appfile.ParseApp("shop", []byte(strings.Replace(shop, "STORE", store, 1)))
	if err != nil {
		t.Fatal(err)
	}
	return bp
}

func config() follow.Config {
	cfg := follow.Default()
	cfg.Target = "front:0.90"
	cfg.Observed.Metrics = []string{"0.50", "0.90"}
	cfg.Learn = learner.Config{Kinds: []learner.Kind{learner.Ridge}, Evaluations: 1, Folds: 4}
	cfg.First, cfg.Again, cfg.Skill = 30, 10, -1
	return cfg
}

func files(t *testing.T, g *latency.Graph) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	for _, l := range g.Labels() {
		b, err := g.Assignment(l).MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		out[l] = b
	}
	return out
}

// differ are the services of assignments that are others.
func differ(a, b map[string][]byte) (out []string) {
	for _, l := range slices.Sorted(maps.Keys(a)) {
		if s, _, _ := strings.Cut(l, ":"); !bytes.Equal(a[l], b[l]) && !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

// In a simulated shop whose CPU and load vary, a service is scaled out, and later another is released with twice the work. Scaling
// trains nothing but, in time, what aggregates the instances; the release trains the released service alone. All other
// assignments stay as they are, to the byte, and each Step does no more than it may.
func TestItFollowsTheCluster(t *testing.T) {
	const interval = 5 * time.Second
	rng := rand.New(rand.NewPCG(1, 2))
	old := parse(t, "3ms")
	released := parse(t, "5ms")
	released.App = &foresail.App{}
	*released.App = *old.App
	released.App.Generation = old.App.Generation + 1
	if reflect.DeepEqual(old.Services, released.Services) {
		t.Fatal("the release is none")
	}
	var points []load.Segment
	for range 200 {
		points = append(points, load.Segment{For: interval, From: 50 + 30*rng.Float64()})
	}
	const scaled, update, end = 40, 70, 110
	c, err := sim.New(sim.Config{Blueprint: old, Load: &load.Load{Curve: points}, Seed: 1, Beat: interval, Duration: end * interval,
		Updates: []sim.Update{{At: update * interval, Blueprint: released}}})
	if err != nil {
		t.Fatal(err)
	}
	f, err := follow.New(config())
	if err != nil {
		t.Fatal(err)
	}
	plan := func(replicas int) {
		p := &foresail.Plan{}
		for i := range old.App.Services {
			to := foresail.Allocation{Replicas: 1, CPU: 0.4 + 0.4*rng.Float64()}
			if old.App.Services[i].Name == "cart" {
				to.Replicas = replicas
			}
			p.Changes = append(p.Changes, foresail.Change{Service: foresail.ServiceID(i), To: to})
		}
		if err := c.Apply(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	var all []follow.Event
	at := map[follow.What]int{}
	var composed, before map[string][]byte
	trained := 0
	for n := range end {
		s, err := c.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		was := f.Trainings()
		events, err := f.Step(c.App(), s)
		if err != nil {
			t.Fatal(err)
		}
		if f.Graph() != nil && composed == nil {
			composed = files(t, f.Graph())
		} else if composed != nil {
			now := 0
			for l, k := range f.Trainings() {
				now += k - was[l]
			}
			if trained += now; now > config().Trainings {
				t.Errorf("step %d trained %d assignments", n, now)
			}
		}
		for _, e := range events {
			all = append(all, e)
			at[e.What] = n
		}
		if n == update-1 {
			before = files(t, f.Graph())
		}
		replicas := 1
		if n >= scaled {
			replicas = 3
		}
		plan(replicas)
	}
	if composed == nil || before == nil {
		t.Fatal("there is no graph")
	}
	for _, e := range all {
		t.Log(e.At.Format(time.TimeOnly), e.Service, e.What, len(e.Trained), e.Text)
	}
	if d := differ(composed, before); d != nil {
		t.Errorf("scaling a service changed assignments of %v", d)
	}
	g := f.Graph()
	if g.Instances("cart") != 3 || g.Instances("front") != 1 {
		t.Error(g.Instances("cart"), g.Instances("front"))
	}
	if d := differ(before, files(t, g)); !slices.Equal(d, []string{"store"}) {
		t.Errorf("the release of store changed assignments of %v", d)
	}
	for l, n := range f.Trainings() {
		want := 1
		if s, _, _ := strings.Cut(l, ":"); s == "store" {
			want = 2
		}
		if n != want {
			t.Errorf("%s was trained %d times, should be %d", l, n, want)
		}
	}
	if f.Trainings()["cart:0.90 of instances"] != 1 || !(at[follow.Scaled] > scaled && at[follow.Aggregated] > at[follow.Scaled] && at[follow.Released] >= update && at[follow.Replaced] > at[follow.Released]) {
		t.Error(at, f.Trainings())
	}
	if f.Waiting() != 0 {
		t.Error(f.Waiting(), "jobs wait")
	}
	// What was learnt is what the store takes now.
	row := func(a *latency.Assignment) float64 {
		p, err := a.NewPredictor()
		if err != nil {
			t.Fatal(err)
		}
		return p.Value([]float64{0.6, 65})
	}
	var stale latency.Assignment
	if err := stale.UnmarshalBinary(before["store:0.50"]); err != nil {
		t.Fatal(err)
	}
	if then, now := row(&stale), row(g.Assignment("store:0.50")); !(now > 1.3*then) {
		t.Errorf("%v before the release, %v after", then, now)
	}
	if trained != 2+2 {
		t.Errorf("%d trainings after the first graph", trained)
	}
}

// scripted is a snapshot of two services, of which the second has replicas with the given names and settings.
func scripted(n int, r *rand.Rand, names []string, settings map[string]float64, silent bool) *foresail.Snapshot {
	start := time.Unix(1_700_000_000+int64(n)*10, 0).UTC()
	s := &foresail.Snapshot{Start: start, End: start.Add(10 * time.Second), Has: foresail.SignalEdges, Edges: []foresail.EdgeStats{{From: 0, To: 1, Calls: 1000}}}
	usage := func(took float64) foresail.Usage {
		u := foresail.Usage{Has: foresail.SignalAllocation | foresail.SignalArrivals | foresail.SignalLatency | foresail.SignalReady, Arrivals: 1000, Latency: sketch.New()}
		u.Latency.AddN(took, 1000)
		return u
	}
	cpu := 1 + r.Float64()
	level := settings["level"]
	took := 0.01/cpu + 0.02*level
	front := foresail.ServiceStats{Usage: usage(0.005 + took), Allocation: foresail.Allocation{Replicas: 1, CPU: 1}, Replicas: []foresail.ReplicaStats{{Name: "front-1", Usage: foresail.Usage{Ready: 1}}}}
	cart := foresail.ServiceStats{Usage: usage(took), Allocation: foresail.Allocation{Replicas: len(names), CPU: cpu, Settings: settings}}
	for _, name := range names {
		cart.Replicas = append(cart.Replicas, foresail.ReplicaStats{Name: name, Usage: foresail.Usage{Ready: 1}})
	}
	if silent {
		cart.Usage = foresail.Usage{}
	}
	s.Services = []foresail.ServiceStats{front, cart}
	return s
}

func twoServices() *foresail.App {
	return &foresail.App{Name: "two", Services: []foresail.Service{{Name: "front"}, {Name: "cart"}}}
}

// A service that is given other knobs is learnt anew with them; one that was started anew and does what it did stays as it is.
func TestKnobsAndRestarts(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	f, err := follow.New(config())
	if err != nil {
		t.Fatal(err)
	}
	var what []string
	step := func(n int, names []string, settings map[string]float64) {
		t.Helper()
		events, err := f.Step(twoServices(), scripted(n, r, names, settings, false))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range events {
			what = append(what, fmt.Sprint(e.Service, " ", e.What))
		}
	}
	for n := range 40 {
		step(n, []string{"cart-1"}, nil)
	}
	for n := range 20 {
		step(40+n, []string{"cart-2"}, nil)
	}
	if got := f.Graph().Assignment("cart:0.90").Inputs(); !slices.Equal(got, []string{"cart:cpu", "cart:rps"}) {
		t.Error(got)
	}
	for n := range 30 {
		step(60+n, []string{"cart-2"}, map[string]float64{"level": r.Float64()})
	}
	if got := f.Graph().Assignment("cart:0.90").Inputs(); !slices.Equal(got, []string{"cart:cpu", "cart:level", "cart:rps"}) {
		t.Error(got)
	}
	if want := []string{" composed", "cart released", "cart kept", "cart changed", "cart replaced"}; !slices.Equal(what, want) && !slices.Equal(what, []string{" composed", "cart released", "cart replaced", "cart changed", "cart replaced"}) {
		t.Error(what)
	}
	if n := f.Trainings()["front:0.90"]; n != 1 {
		t.Errorf("the front was trained %d times", n)
	}
}

// Where a callee's data are missing, the graph is composed without it; where those of the target are, that is said.
func TestServicesWithoutData(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	f, err := follow.New(config())
	if err != nil {
		t.Fatal(err)
	}
	var text string
	for n := range 40 {
		events, err := f.Step(twoServices(), scripted(n, r, []string{"cart-1"}, nil, true))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range events {
			text += e.Text
		}
	}
	if f.Graph() == nil || len(f.Services()) != 1 || !strings.Contains(text, "cart is left out") {
		t.Error(f.Services(), text)
	}
	cfg := config()
	cfg.Target = "cart:0.90"
	if f, err = follow.New(cfg); err != nil {
		t.Fatal(err)
	}
	for n := range 40 {
		_, err = f.Step(twoServices(), scripted(n, r, []string{"cart-1"}, nil, true))
	}
	if err == nil || !strings.Contains(err.Error(), "nothing was observed of cart") {
		t.Error(err)
	}
	cfg.Target, cfg.First, cfg.Again = "cart", 1, 1
	if _, err = follow.New(cfg); err == nil || strings.Count(err.Error(), "\n") != 2 {
		t.Error(err)
	}
}
