package random

import (
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"foresail.dev"
	"foresail.dev/appfile"
	"foresail.dev/appfile/write"
	"pgregory.net/rapid"
)

func draw(t testing.TB, c Config) *foresail.Blueprint {
	t.Helper()
	bp, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return bp
}

// Whatever the configuration, the application is valid: written and read again it is the same, and so it is when drawn again.
func TestAnyApplicationIsValid(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		c := Config{
			Services: rapid.IntRange(4, 30).Draw(rt, "services"),
			Depth:    rapid.Float64Range(1, 20).Draw(rt, "depth"),
			FanOut:   rapid.Float64Range(1, 50).Draw(rt, "fan-out"),
			Sharing:  rapid.Float64Range(0.001, 0.3).Draw(rt, "sharing"),
			Dynamic:  rapid.Float64Range(-0.2, 1).Draw(rt, "dynamic"),
			Rate:     rapid.Float64Range(0, 1e5).Draw(rt, "rate"),
			Seed:     rapid.Uint64().Draw(rt, "seed"),
		}
		bp, err := New(c)
		if err != nil {
			rt.Fatal(err)
		}
		data, err := write.Marshal(bp, write.About{})
		if err != nil {
			rt.Fatal(err)
		}
		back, err := appfile.ParseApp("random.yaml", data)
		if err != nil {
			rt.Fatal(err)
		}
		if !reflect.DeepEqual(bp, back) {
			rt.Fatalf("another application after it was written and read:\n%s", data)
		}
		if twice, _ := New(c); !reflect.DeepEqual(bp, twice) {
			rt.Fatal("the same configuration gives another application")
		}
		if len(bp.Services) != c.Services {
			rt.Fatalf("%d services, want %d", len(bp.Services), c.Services)
		}
		for i, n := range callers(bp) {
			if n == 0 && !slices.ContainsFunc(bp.Entries, func(e foresail.Target) bool { return int(e.Service) == i }) {
				rt.Fatalf("nothing calls %s", bp.App.Services[i].Name)
			}
		}
	})
}

func TestSeedsDiffer(t *testing.T) {
	a, b := draw(t, Config{Services: 50, Seed: 1, Name: "a"}), draw(t, Config{Services: 50, Seed: 2, Name: "a"})
	if reflect.DeepEqual(a, b) {
		t.Error("two seeds give the same application")
	}
}

func TestBadConfigurations(t *testing.T) {
	_, err := New(Config{Services: 3, Depth: 30, FanOut: 0.5, Sharing: 0.5, Dynamic: 1.5, Rate: math.NaN()})
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"services is 3, must lie within 4..10000", "depth is 30, must lie within 1..20", "fan-out is 0.5, must lie within 1..50",
		"sharing is 0.5, must lie within 0.001..0.3", "dynamic is 1.5, must lie within 0..1", "rate is NaN"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in: %v", want, err)
		}
	}
}

// eachCall calls f with every call within steps, those after cache misses too.
func eachCall(steps []foresail.Step, f func(c *foresail.Call)) {
	for i := range steps {
		for j := range steps[i].Calls {
			f(&steps[i].Calls[j])
			eachCall(steps[i].Calls[j].Miss, f)
		}
	}
}

// callers is how many services call each.
func callers(bp *foresail.Blueprint) []int {
	by := make([]map[int]bool, len(bp.Services))
	for s := range bp.Services {
		for _, op := range bp.Services[s].Operations {
			eachCall(op.Steps, func(c *foresail.Call) {
				if by[c.Target.Service] == nil {
					by[c.Target.Service] = map[int]bool{}
				}
				by[c.Target.Service][s] = true
			})
		}
	}
	out := make([]int, len(by))
	for i := range by {
		out[i] = len(by[i])
	}
	return out
}

// shape is what an endpoint's call graph looks like.
type shape struct {
	depth    int
	services map[foresail.ServiceID]bool
	fanOut   []int // calls of each operation that makes any
	dynamic  int   // calls that are not always made
	calls    int
	async    int
}

func shapeOf(bp *foresail.Blueprint, entry foresail.Target) *shape {
	out := &shape{services: map[foresail.ServiceID]bool{}}
	var visit func(t foresail.Target, depth int)
	visit = func(t foresail.Target, depth int) {
		out.services[t.Service] = true
		out.depth = max(out.depth, depth)
		n := 0
		eachCall(bp.Services[t.Service].Operations[t.Operation].Steps, func(c *foresail.Call) {
			n++
			if c.Probability < 1 {
				out.dynamic++
			}
			if c.Async {
				out.async++
			}
			visit(c.Target, depth+1)
		})
		if out.calls += n; n > 0 {
			out.fanOut = append(out.fanOut, n)
		}
	}
	visit(entry, 0)
	return out
}

// The population of a large application is what Luo et al. (SoCC 2021) found at Alibaba, as far as it is stated. The
// tolerances are for the seeds drawn here: three times what the figures vary by between seeds, or more.
func TestAlibabasCharacterisation(t *testing.T) {
	for seed := range uint64(2) {
		bp := draw(t, Config{Services: 3000, Seed: seed})
		near := func(what string, got, want, tolerance float64) {
			t.Helper()
			t.Logf("seed %d: %s %.3g", seed, what, got)
			if math.Abs(got-want) > tolerance {
				t.Errorf("seed %d: %s is %.3g, want %.3g ± %.2g", seed, what, got, want, tolerance)
			}
		}
		atLeast := func(what string, got, least float64) {
			t.Helper()
			t.Logf("seed %d: %s %.3g", seed, what, got)
			if got < least {
				t.Errorf("seed %d: %s is %.3g, want at least %.3g", seed, what, got, least)
			}
		}
		var sizes, depths, fanOuts []float64
		var calls, dynamic, async float64
		reached := make([]float64, len(bp.Services)) // by how many endpoints
		shapes := make([]*shape, len(bp.Entries))
		for i, e := range bp.Entries {
			s := shapeOf(bp, e)
			shapes[i] = s
			sizes, depths = append(sizes, float64(len(s.services))), append(depths, float64(s.depth))
			for _, n := range s.fanOut {
				fanOuts = append(fanOuts, float64(n))
			}
			calls, dynamic, async = calls+float64(s.calls), dynamic+float64(s.dynamic), async+float64(s.async)
			for id := range s.services {
				reached[id]++
			}
		}
		// 1. Sizes are heavy-tailed, graphs about three calls deep, and star-like.
		slices.Sort(sizes)
		near("median size of a call graph", sizes[len(sizes)/2], 9, 2)
		big := len(sizes) - slices.IndexFunc(sizes, func(v float64) bool { return v > 40 })
		near("share of call graphs of more than 40 services", float64(big)/float64(len(sizes)), 0.1, 0.06)
		atLeast("largest call graph over the median", sizes[len(sizes)-1]/sizes[len(sizes)/2], 10)
		near("mean depth", mean(depths), 3, 0.4)
		near("mean fan-out", mean(fanOuts), 3, 0.75)

		// 2. Hot spots: 5 % of services, of which almost all endpoints reach one; over 10 % of the stateless have more than 16
		// callers, and most services few.
		hot := map[foresail.ServiceID]bool{}
		order := make([]foresail.ServiceID, len(reached))
		for i := range order {
			order[i] = foresail.ServiceID(i)
		}
		slices.SortFunc(order, func(a, b foresail.ServiceID) int { return int(reached[b] - reached[a]) })
		for _, id := range order[:len(order)/20] {
			hot[id] = true
		}
		with := 0.0
		for _, s := range shapes {
			for id := range s.services {
				if hot[id] {
					with++
					break
				}
			}
		}
		atLeast("share of endpoints that reach one of the 5 % most shared services", with/float64(len(shapes)), 0.9)
		in, stateless, many, few := callers(bp), 0.0, 0.0, 0.0
		for i, s := range bp.App.Services {
			if in[i] <= 2 {
				few++
			}
			if strings.HasPrefix(s.Name, "service-") {
				if stateless++; in[i] > 16 {
					many++
				}
			}
		}
		near("share of stateless services with more than 16 callers", many/stateless, 0.12, 0.03)
		atLeast("share of services with one or two callers", few/float64(len(in)), 0.6)

		// 3. Leaves are caches, databases and queues, too.
		for _, kind := range []string{"cache-", "database-", "queue-"} {
			n := 0.0
			for _, s := range bp.App.Services {
				if strings.HasPrefix(s.Name, kind) {
					n++
				}
			}
			atLeast("share of "+kind, n/float64(len(bp.Services)), map[string]float64{"cache-": 0.08, "database-": 0.08, "queue-": 0.015}[kind])
		}

		// 4. Graphs are dynamic, and some calls asynchronous.
		near("share of calls that are not always made", dynamic/calls, 0.4, 0.05)
		atLeast("share of calls that nobody waits for", async/calls, 0.02)
	}
}

func mean(v []float64) (sum float64) {
	for _, x := range v {
		sum += x
	}
	return sum / float64(len(v))
}

// What the configuration asks for comes about.
func TestParametersMatter(t *testing.T) {
	of := func(c Config) (depth, fanOut, dynamic float64) {
		c.Services = 600
		bp := draw(t, c)
		var fan []float64
		var calls, sometimes float64
		for _, e := range bp.Entries {
			s := shapeOf(bp, e)
			depth += float64(s.depth) / float64(len(bp.Entries))
			for _, n := range s.fanOut {
				fan = append(fan, float64(n))
			}
			calls, sometimes = calls+float64(s.calls), sometimes+float64(s.dynamic)
		}
		return depth, mean(fan), sometimes / calls
	}
	for _, want := range []float64{1, 2, 5, 8} {
		if got, _, _ := of(Config{Depth: want}); math.Abs(got-want) > 0.15*want {
			t.Errorf("mean depth is %g, want %g", got, want)
		}
	}
	_, narrow, _ := of(Config{FanOut: 2})
	_, wide, _ := of(Config{FanOut: 10})
	if !(narrow < 2.5 && wide > 4) {
		t.Errorf("mean fan-outs %g and %g, want about 2 and over 4: small graphs have no more", narrow, wide)
	}
	if _, _, none := of(Config{Dynamic: -1}); none != 0 {
		t.Errorf("%g of the calls are not always made, want none", none)
	}
	count := func(sharing float64) (n int) {
		for _, in := range callers(draw(t, Config{Services: 1000, Sharing: sharing})) {
			if in > 16 {
				n++
			}
		}
		return n
	}
	if a, b := count(0.02), count(0.05); a >= b {
		t.Errorf("%d services with many callers at a sharing of 0.02, and %d at 0.05", a, b)
	}
}

// An application of the largest size is drawn whole; a large one is written and read, and is the same.
func TestLargest(t *testing.T) {
	bp := draw(t, Config{Services: MaxServices, Seed: 1})
	for i, n := range callers(bp) {
		if n == 0 && !slices.ContainsFunc(bp.Entries, func(e foresail.Target) bool { return int(e.Service) == i }) {
			t.Fatalf("nothing calls %s", bp.App.Services[i].Name)
		}
	}
	if comesBack(t, draw(t, Config{Services: 400, Seed: 1})) == 0 {
		t.Error("nothing was written")
	}
}

// comesBack fails unless an application is the same after it was written and read, and returns the bytes it took.
func comesBack(t testing.TB, bp *foresail.Blueprint) int {
	t.Helper()
	data, err := write.Marshal(bp, write.About{Assumed: true})
	if err != nil {
		t.Fatal(err)
	}
	if back, err := appfile.ParseApp("random.yaml", data); err != nil || !reflect.DeepEqual(bp, back) {
		t.Fatalf("another application after it was written and read: %v", err)
	}
	return len(data)
}

// BenchmarkLargest draws, writes and reads 10,000 services.
func BenchmarkLargest(b *testing.B) {
	b.ReportAllocs()
	bytes := 0
	for b.Loop() {
		bytes = comesBack(b, draw(b, Config{Services: MaxServices, Seed: 1}))
	}
	b.ReportMetric(float64(MaxServices)*float64(b.N)/b.Elapsed().Seconds(), "services/s")
	b.ReportMetric(float64(bytes)/1e6, "MB")
}

func BenchmarkNew(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := New(Config{Services: 1000, Seed: 1}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(1000*float64(b.N)/b.Elapsed().Seconds(), "services/s")
}
