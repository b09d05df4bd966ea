package callgraphs

import (
	"bytes"
	"cmp"
	"encoding/json"
	"math"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/sketch"
	"foresail.dev/web"
)

var shop = &foresail.App{Name: "shop", Services: []foresail.Service{{Name: "front"}, {Name: "cart"}, {Name: "mail"}},
	Endpoints: []foresail.Endpoint{{Name: "look"}, {Name: "buy", Objective: &foresail.Objective{Percentile: 90, Latency: 40 * time.Millisecond}}}}

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func form(t testing.TB, e foresail.EndpointID, visits ...foresail.Visit) *foresail.Form {
	t.Helper()
	f, err := foresail.NewForm(e, visits)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// of is a sketch of n values.
func sketchOf(n float64, values ...float64) *sketch.Sketch {
	s := sketch.New()
	for _, v := range values {
		s.AddN(v, n)
	}
	return s
}

// minute is a snapshot of the k-th minute, in which so many requests looked, and bought in two ways.
func minute(t testing.TB, k int, look, short, long float64) *foresail.Snapshot {
	own := func(n float64, v ...float64) (out []*sketch.Sketch) {
		for _, v := range v {
			out = append(out, sketchOf(n/4, 0.9*v, 0.95*v, 1.05*v, 1.1*v))
		}
		return out
	}
	one := func(f *foresail.Form, n float64, ms float64, own []*sketch.Sketch) foresail.ShapeStats {
		return foresail.ShapeStats{Form: f, Requests: n, Latency: sketchOf(n, ms/1000), Own: own}
	}
	s := &foresail.Snapshot{Start: noon.Add(time.Duration(k) * time.Minute), Has: foresail.SignalShapes}
	s.End = s.Start.Add(time.Minute)
	front := foresail.Visit{Parent: -1, Times: 1}
	if look > 0 {
		s.Shapes = append(s.Shapes, one(form(t, 0, front), look, 5, own(look, 0.005)))
	}
	if short > 0 {
		s.Shapes = append(s.Shapes, one(form(t, 1, front, foresail.Visit{Service: 1, Operation: "get", Times: 2}), short, 25, own(short, 0.005, 0.010)))
	}
	if long > 0 {
		d := one(form(t, 1, front, foresail.Visit{Service: 1, Operation: "get", Times: 2}, foresail.Visit{Service: 2, Times: 1, Step: 1}, foresail.Visit{Service: 2, Times: 1, Step: 1, Async: true}), long, 65, own(long, 0.005, 0.010, 0.040))
		d.Own = append(d.Own, nil)
		d.Pooled = long / 4
		slices.SortFunc(s.Shapes, func(a, b foresail.ShapeStats) int { return cmp.Compare(a.Form.Key(), b.Form.Key()) })
		s.Shapes = append(s.Shapes, d)
	}
	slices.SortFunc(s.Shapes, func(a, b foresail.ShapeStats) int { return cmp.Compare(a.Form.Key(), b.Form.Key()) })
	return s
}

func set(t testing.TB, endpoints ...string) *Set {
	s := NewSet(shop, endpoints)
	s.Add(minute(t, 0, 10, 80, 20), true)
	s.Add(minute(t, 1, 0, 40, 60), true)
	s.Add(&foresail.Snapshot{Start: noon.Add(2 * time.Minute), End: noon.Add(3 * time.Minute), Stale: true}, true)
	s.Add(minute(t, 3, 30, 0, 0), true)
	return s
}

func ExampleDetail_Print() {
	d := set(&testing.T{}).Details(0)
	_ = d.Print(os.Stdout)
	// Output:
	// buy: 200 requests, p50 24.98 ms, p99 65.20 ms, objective p90 40 ms
	//
	//          shape  share %  requests  services  calls  p50 ms  p99 ms
	//   842867c6c72f    60.00       120         2      3   24.62   25.15
	//   333bf2952e1b    40.00        80         3      5   63.87   65.24
	// 10.00 % of these requests took other call graphs, too rare to be told: they are counted with the nearest.
	//
	// 842867c6c72f  60.00 %
	//   front  own p50 4.85, p99 5.51 ms
	//     1 2× cart get  own p50 9.70, p99 11.03 ms
	//
	// 333bf2952e1b  40.00 %
	//   front  own p50 4.85, p99 5.51 ms
	//     1 2× cart get  own p50 9.70, p99 11.03 ms
	//     2 mail  own p50 38.81, p99 44.12 ms
	//     2 ~mail
	//
	// look: 40 requests, p50 4.96 ms, p99 5.06 ms
	//
	//          shape  share %  requests  services  calls  p50 ms  p99 ms
	//   ac4cf82394ca   100.00        40         1      1    4.96    5.06
	//
	// ac4cf82394ca  100.00 %
	//   front  own p50 4.85, p99 5.51 ms
	//
	// Below each service is what it calls: what has the same number goes on side by side, the next number when all of that has
	// answered. 3× is three times in a row; ~ is what nobody waits for.
}

func ExampleSet_PrintShares() {
	_ = set(&testing.T{}, "buy").PrintShares(os.Stdout)
	// Output:
	// buy
	//
	//                  from   s  requests  842867c6c72f %  333bf2952e1b %
	//   2026-03-01 12:00:00  60       100           80.00           20.00
	//   2026-03-01 12:01:00  60       100           40.00           60.00
	// 842867c6c72f  front(2×cart)
	// 333bf2952e1b  front(2×cart; mail | ~mail)
}

// Shares of an endpoint add up to one, in each interval and altogether; endpoints that aren't asked for don't count.
func TestSharesAddUp(t *testing.T) {
	s := set(t)
	sum := map[string]float64{}
	for _, r := range s.Rows() {
		sum[r.Endpoint] += r.Share
	}
	for _, r := range s.Shares() {
		sum[r.Endpoint+r.Start.String()] += r.Share
	}
	for of, v := range sum {
		if math.Abs(v-1) > 1e-12 {
			t.Errorf("%s: %v", of, v)
		}
	}
	if len(sum) != 2+2+2 {
		t.Errorf("%v", sum)
	}
	for _, r := range set(t, "look").Rows() {
		if r.Endpoint != "look" {
			t.Errorf("%+v", r)
		}
	}
	long := NewSet(shop, nil) // more than wait to be merged
	for k := range 3*mostParts + 1 {
		long.Add(minute(t, k, 1, 2, 3), false)
	}
	rows, n := long.Rows(), float64(3*mostParts+1)
	if len(rows) != 3 || rows[0].Requests != 3*n || rows[1].Requests != 2*n || rows[2].Requests != n || len(long.Shares()) != 0 {
		t.Errorf("%+v", rows)
	}
}

// Who makes the tail, where own times vary little and it can be told by hand: beyond p90 of buy are the slowest of those that wait for mail.
func TestTail(t *testing.T) {
	d := set(t).Details(0)
	tail := d.Endpoints[0].Tail
	if tail == nil {
		t.Fatal(d.Endpoints[0].NoTail)
	}
	near := func(what string, got, want float64) {
		if math.Abs(got-want) > 0.05*want {
			t.Errorf("%s is %v, want %v", what, got, want)
		}
	}
	near("percentile", tail.Percentile, 90)
	near("latency", tail.At, 65)
	near("observed", *tail.Observed, 65)
	if tail.Services[0].Service != "mail" {
		t.Errorf("%+v", tail.Services)
	}
	sum := 0.0
	for _, s := range tail.Services {
		sum += s.Own
		switch s.Service {
		case "mail":
			near("mail", s.Own, 43) // the slowest quarter of those that wait for it
			near("mail of all", s.All, 16)
		case "cart":
			near("cart", s.Own, 20)
		}
	}
	near("sum", sum, tail.Mean)
	if tail := set(t).Details(0.5).Endpoints[0].Tail; tail.Percentile != 50 {
		t.Errorf("%+v", tail)
	}
	bare := NewSet(shop, nil)
	m := minute(t, 0, 1, 0, 0)
	m.Shapes[0].Own[0] = nil
	bare.Add(m, false)
	if e := bare.Details(0).Endpoints[0]; e.Tail != nil || !strings.Contains(e.NoTail, "own times were not observed") {
		t.Errorf("%+v", e)
	}
}

// A stage has its sketch's mean, and its spread to within a bucket's width.
func TestStageOfASketch(t *testing.T) {
	for _, values := range [][]float64{{0.01}, {0}, {0, 0.02}, {0.001, 0.002, 0.003, 0.1}, {5, 5, 5.01}} {
		s, variance := sketchOf(3, values...), 0.0
		for _, v := range values {
			variance += (v - s.Mean()) * (v - s.Mean()) / float64(len(values))
		}
		st, err := stageOf(s)
		if err != nil {
			t.Fatalf("%v: %v", values, err)
		}
		if m := st.Mean(); math.Abs(m-s.Mean()) > 1e-9*(1+m) || math.Abs(math.Sqrt(st.Variance())-math.Sqrt(variance)) > 0.05*s.Mean()+1e-12 {
			t.Errorf("%v: mean %v, variance %v, want %v, %v", values, m, st.Variance(), s.Mean(), variance)
		}
	}
}

// What the page is told of a run, while the run goes on: minutes grow, what is late counts, and what is old is forgotten.
func TestLive(t *testing.T) {
	l := NewLive()
	now := noon
	l.now = func() time.Time { now = now.Add(fresh); return now }
	want := func(state, text string) {
		t.Helper()
		if a := l.CallGraphs(); a.State != state || !strings.Contains(a.Text, text) {
			t.Errorf("%+v", a)
		}
	}
	want("needs", "Nothing was observed")
	plain := &foresail.Snapshot{Start: noon, End: noon.Add(time.Second)}
	l.observe(shop, plain)
	want("needs", "shapes: {always: true}")
	l.observe(shop, &foresail.Snapshot{Start: noon, End: noon.Add(time.Second), Has: foresail.SignalShapes})
	want("needs", "none was found complete yet")
	var wg sync.WaitGroup
	done := make(chan struct{})
	wg.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
				if _, err := json.Marshal(l.CallGraphs()); err != nil {
					t.Error(err)
				}
			}
		}
	})
	for k := range (mostCells + 5) * 2 { // each half a minute
		s := minute(t, 0, 1, 2, 3)
		s.Start = noon.Add(time.Duration(k) * 30 * time.Second)
		s.End = s.Start.Add(time.Second)
		s.Late = []*foresail.Snapshot{minute(t, 0, 4, 0, 0)}
		l.observe(shop, s)
	}
	close(done)
	wg.Wait()
	v := l.CallGraphs().Result.(View)
	if len(v.Times) != mostCells || v.Times[0] != noon.Add(5*time.Minute).UnixMilli() || len(v.Endpoints) != 2 || len(v.Over) != 2 {
		t.Fatalf("%d intervals from %v, %d endpoints", len(v.Times), v.Times[0], len(v.Endpoints))
	}
	for i, e := range v.Endpoints {
		for k, s := range e.Shapes {
			if n := v.Over[i].Requests[k]; len(n) != mostCells || n[3]*mostCells != s.Requests {
				t.Errorf("%s: %v of %v", s.Graph, n[3], s.Requests)
			}
		}
		if e.Endpoint == "look" && e.Requests != 10*mostCells {
			t.Errorf("%+v", e)
		}
	}
	l.now = func() time.Time { return now }
	first := l.CallGraphs()
	l.observe(shop, minute(t, 10_000, 1, 2, 3))
	if again := l.CallGraphs(); !again.At.Equal(first.At) {
		t.Error("it is looked at anew before it is due")
	}
	_ = web.Config{CallGraphs: l.CallGraphs}
}

// BenchmarkLook is one question of a page, of two hours.
func BenchmarkLook(b *testing.B) {
	l := NewLive()
	for k := range mostCells {
		l.observe(shop, minute(b, k, 10, 20, 30))
	}
	b.ReportAllocs()
	for b.Loop() {
		if l.look().State != "ready" {
			b.Fatal("not ready")
		}
	}
}

// What is printed is told to a terminal: names from outside don't act on it.
func TestPrintedNames(t *testing.T) {
	app := &foresail.App{Name: "x", Services: []foresail.Service{{Name: "\x1b[31mred"}}, Endpoints: []foresail.Endpoint{{Name: "\x1b]0;"}}}
	s := NewSet(app, nil)
	s.Notes = []string{"\x07"}
	f := form(t, 0, foresail.Visit{Parent: -1, Times: 1, Operation: "\x08"})
	s.Add(&foresail.Snapshot{Start: noon, End: noon.Add(time.Second), Has: foresail.SignalShapes, Shapes: []foresail.ShapeStats{{Form: f, Requests: 1, Own: []*sketch.Sketch{sketchOf(1, 0.1)}}}}, true)
	d := s.Details(0)
	var out bytes.Buffer
	for _, print := range []func() error{func() error { return d.Print(&out) }, func() error { return d.PrintTail(&out) }, func() error { return s.PrintShares(&out) }, func() error { return printNotes(&out, s.Notes) }} {
		if err := print(); err != nil {
			t.Fatal(err)
		}
	}
	if strings.ContainsAny(out.String(), "\x1b\x07\x08") {
		t.Errorf("%q", out.String())
	}
}
