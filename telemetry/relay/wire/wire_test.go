package wire

import (
	"errors"
	"math"
	"reflect"
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/sketch"
	"foresail.dev/telemetry"
	"foresail.dev/telemetry/frames"

	"pgregory.net/rapid"
)

func name(t *rapid.T, label string) string {
	return rapid.SampledFrom([]string{"", "front", "cart", "front-1", "käse", "other"}).Draw(t, label)
}

// drawSketch is what a sketch may hold.
func drawSketch(t *rapid.T) (s sketch.Sketch) {
	for _, v := range rapid.SliceOfN(rapid.SampledFrom([]float64{0, -1, 1e-12, 1e-3, 0.5, 1, 1.01, 2, 1e9}), 0, 6).Draw(t, "latencies") {
		s.AddN(v, rapid.SampledFrom([]float64{1, 2, 0.5, 1.0 / 3, 1 << 20}).Draw(t, "weight"))
	}
	return s
}

func count(t *rapid.T, label string) float64 { return rapid.Float64Range(0, 1e6).Draw(t, label) }

func drawPart(t *rapid.T) (p telemetry.Part) {
	p.Until, p.Dropped = rapid.Int64Range(1, 2e18).Draw(t, "until"), rapid.Uint64Range(0, 9).Draw(t, "dropped")
	beat := func() int64 { return rapid.Int64Range(0, 3e10).Draw(t, "beat") }
	few := func(label string) int { return rapid.IntRange(0, 3).Draw(t, label) }
	for range few("replicas") {
		u := telemetry.PartUnit{Service: name(t, "service"), Replica: name(t, "replica"), Newest: beat(), Seen: rapid.Bool().Draw(t, "seen"), Spans: rapid.Bool().Draw(t, "spans")}
		for range few("cells") {
			c := telemetry.PartCell{Beat: beat(), Arrivals: count(t, "arrivals"), Completions: count(t, "completions"), Errors: count(t, "errors"),
				Busy: count(t, "busy"), Open: rapid.Int64Range(0, MaxCount).Draw(t, "open"), Latency: drawSketch(t)}
			for i := range c.Steps {
				c.Steps[i] = rapid.Int64Range(-MaxCount, MaxCount).Draw(t, "step")
			}
			u.Cells = append(u.Cells, c)
		}
		p.Units = append(p.Units, u)
	}
	for range few("endpoints") {
		e := telemetry.PartEndpoint{Name: name(t, "endpoint")}
		for range few("cells") {
			c := telemetry.PartRequests{Beat: beat(), Arrivals: count(t, "arrivals"), Requests: count(t, "requests"), Errors: count(t, "errors"), Late: count(t, "late"),
				FirstLate: rapid.Int64Range(0, 2e18).Draw(t, "first late"), Latency: drawSketch(t)}
			if rapid.Bool().Draw(t, "an exemplar") {
				c.Slowest = foresail.Exemplar{Trace: foresail.TraceID{1, 2}, Latency: time.Duration(rapid.Int64Range(0, 1e15).Draw(t, "slowest"))}
			}
			e.Cells = append(e.Cells, c)
		}
		p.Endpoints = append(p.Endpoints, e)
	}
	for range few("pairs") {
		e := telemetry.PartEdge{From: name(t, "from"), To: name(t, "to")}
		for range few("cells") {
			e.Cells = append(e.Cells, telemetry.PartCalls{Beat: beat(), Calls: count(t, "calls"), Errors: count(t, "errors"), Latency: drawSketch(t)})
		}
		p.Edges = append(p.Edges, e)
	}
	for range few("reports") {
		p.Reports = append(p.Reports, telemetry.PartReport{Received: 5, Report: telemetry.Report{Service: name(t, "service"), Replica: name(t, "replica"), Start: 1, End: 2,
			Has: foresail.SignalInFlight, InFlight: foresail.Gauge{Last: 1, Mean: 2, Max: 3}, Queue: foresail.Gauge{Last: 4}, Since: 7, Arrivals: count(t, "arrivals"), Errors: 2}})
	}
	return p
}

// What is written is what is read, in however many pieces, and into memory that held something else.
func TestPartsComeBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := drawPart(t)
		head := Part{Lost: 3, Unsure: 4, Offset: -5, Within: 6, Bye: rapid.Bool().Draw(t, "bye"), Stats: &telemetry.Stats{Received: 7, Dropped: telemetry.Dropped{Orphan: 8}}}
		pieces := split(11, &head, &p, rapid.SampledFrom([]int{1, 300, frameSize}).Draw(t, "size"))
		got := telemetry.Part{}
		requests, used := 0.0, drawPart(t)
		into := Part{Content: used}
		for i, x := range pieces {
			f, err := ReadFrame(AppendPart(nil, 12, x.Bytes), &into)
			if err != nil {
				t.Fatal(err)
			}
			q := f.Part
			if f.Sent != 12 || q.Seq != 11+uint64(i) || x.Seq != q.Seq || q.More != (i < len(pieces)-1) || q.Lost != 3 || q.Unsure != 4 || q.Offset != -5 || q.Within != 6 || q.Bye != head.Bye {
				t.Fatalf("%+v", q)
			}
			if !q.More && !reflect.DeepEqual(q.Stats, head.Stats) {
				t.Fatalf("%+v", q.Stats)
			}
			requests += x.Requests
			add(&got, &q.Content)
		}
		same(t, &got, &p)
		want := 0.0
		for _, u := range p.Units {
			for _, c := range u.Cells {
				want += c.Completions
			}
		}
		if math.Abs(requests-want) > 1e-6*want {
			t.Fatalf("%g requests in pieces, %g in the part", requests, want)
		}
	})
}

// add appends what a piece holds, whose memory is used again.
func add(to, p *telemetry.Part) {
	to.Until, to.Dropped = p.Until, p.Dropped
	for _, u := range p.Units {
		u.Cells = append([]telemetry.PartCell(nil), u.Cells...)
		for i := range u.Cells {
			u.Cells[i].Latency = *u.Cells[i].Latency.Clone()
		}
		to.Units = append(to.Units, u)
	}
	for _, e := range p.Endpoints {
		e.Cells = append([]telemetry.PartRequests(nil), e.Cells...)
		for i := range e.Cells {
			e.Cells[i].Latency = *e.Cells[i].Latency.Clone()
		}
		to.Endpoints = append(to.Endpoints, e)
	}
	for _, e := range p.Edges {
		e.Cells = append([]telemetry.PartCalls(nil), e.Cells...)
		for i := range e.Cells {
			e.Cells[i].Latency = *e.Cells[i].Latency.Clone()
		}
		to.Edges = append(to.Edges, e)
	}
	to.Reports = append(to.Reports, p.Reports...)
}

// same compares parts; sketches by what they hold.
func same(t *rapid.T, got, want *telemetry.Part) {
	var left, right []sketch.Sketch
	strip := func(p *telemetry.Part, out *[]sketch.Sketch) telemetry.Part {
		var c telemetry.Part
		add(&c, p)
		take := func(s *sketch.Sketch) { *out, *s = append(*out, *s), sketch.Sketch{} }
		for i := range c.Units {
			for j := range c.Units[i].Cells {
				take(&c.Units[i].Cells[j].Latency)
			}
		}
		for i := range c.Endpoints {
			for j := range c.Endpoints[i].Cells {
				take(&c.Endpoints[i].Cells[j].Latency)
			}
		}
		for i := range c.Edges {
			for j := range c.Edges[i].Cells {
				take(&c.Edges[i].Cells[j].Latency)
			}
		}
		return c
	}
	a, b := strip(got, &left), strip(want, &right)
	if !reflect.DeepEqual(a, b) {
		t.Fatalf("got  %+v\nwant %+v", a, b)
	}
	for i := range left {
		x, y := &left[i], &right[i]
		buckets := map[int]float64{}
		for k, n := range x.Buckets() {
			buckets[k] = n
		}
		for k, n := range y.Buckets() {
			buckets[k] -= n
		}
		for k, n := range buckets {
			if n != 0 {
				t.Fatalf("bucket %d differs by %g", k, n)
			}
		}
		if math.Abs(x.Count()-y.Count()) > 1e-9*y.Count() || x.Sum() != y.Sum() || x.Zero() != y.Zero() {
			t.Fatalf("got %g %g %g, want %g %g %g", x.Count(), x.Sum(), x.Zero(), y.Count(), y.Sum(), y.Zero())
		}
	}
}

// An application comes back as far as an ingester needs it.
func TestWelcomeComesBack(t *testing.T) {
	app := &foresail.App{Name: "shop", Generation: 3, Services: []foresail.Service{{Name: "front"}, {Name: "cart"}},
		Endpoints: []foresail.Endpoint{{Name: "buy", Entry: 1, Operation: "POST /buy", Objective: &foresail.Objective{Latency: time.Second}}, {Name: "look"}}}
	a := Answer{Seq: 5, Generation: 3, Clock: Clock{At: 6, Sent: 7}, Welcome: &Welcome{Instance: 8, Seq: 9, Beat: 1e8, App: AppOf(app, "users")}}
	got, err := ReadAnswer(a.Append(nil))
	if err != nil || !reflect.DeepEqual(got, a) {
		t.Fatalf("%v\ngot  %+v\nwant %+v", err, got.Welcome, a.Welcome)
	}
	if of := got.Welcome.App.Of(); !reflect.DeepEqual(of, app) {
		t.Errorf("got %+v, want %+v", of, app)
	}
	h := Hello{Version: Version, Name: "a", Instance: 4}
	f, err := ReadFrame(AppendHello(nil, 2, &h), nil)
	if err != nil || f.Sent != 2 || *f.Hello != h {
		t.Errorf("%v: %+v", err, f)
	}
}

// What an ingester sends is read from whoever connects: whatever it is, it is refused, or it is a part that assemblers can take.
func FuzzFrame(f *testing.F) {
	part := telemetry.Part{Until: 1, Units: []telemetry.PartUnit{{Service: "front", Replica: "front-1", Newest: 9, Seen: true, Spans: true, Cells: []telemetry.PartCell{
		{Beat: 10, Arrivals: 2, Completions: 1.5, Busy: 3, Open: 4, Steps: [10]int64{1, -1}}, {Beat: 11}}}},
		Endpoints: []telemetry.PartEndpoint{{Name: "buy", Cells: []telemetry.PartRequests{{Beat: 10, Requests: 2, Slowest: foresail.Exemplar{Trace: foresail.TraceID{1}, Latency: 5}}}}},
		Edges:     []telemetry.PartEdge{{From: "front", To: "front", Cells: []telemetry.PartCalls{{Beat: 12, Calls: 1}}}},
		Reports:   []telemetry.PartReport{{Received: 1, Report: telemetry.Report{Service: "front", Start: 1, End: 2, Has: 1}}}}
	part.Units[0].Cells[0].Latency.Add(0.1)
	part.Endpoints[0].Cells[0].Latency.AddN(0.2, 0.5)
	f.Add(AppendPart(nil, 1, Split(1, &Part{Stats: &telemetry.Stats{}}, &part)[0].Bytes))
	f.Add(AppendHello(nil, 1, &Hello{Version: 1, Name: "a"}))
	app := &foresail.App{Services: []foresail.Service{{Name: "front"}}, Endpoints: []foresail.Endpoint{{Name: "buy"}}}
	f.Fuzz(func(t *testing.T, b []byte) {
		var into Part
		x, err := ReadFrame(b, &into)
		if err != nil {
			if !errors.Is(err, frames.ErrMalformed) {
				t.Fatalf("%v is no ErrMalformed", err)
			}
			return
		}
		if x.Part == nil {
			return
		}
		a := telemetry.NewShards(app, telemetry.Options{Start: time.Unix(0, 0)}, 1)
		a.AddPart(time.Unix(1, 0), &x.Part.Content)
		for i := range 3 {
			a.Cut(time.Unix(int64(i+1), 0))
		}
		// It is the same when it is written and read again.
		again := Split(x.Part.Seq, x.Part, &x.Part.Content)
		if len(again) == 1 {
			if _, err := ReadFrame(AppendPart(nil, x.Sent, again[0].Bytes), nil); err != nil && x.Part.Seq > 0 && x.Part.Content.Until > 0 {
				t.Fatalf("not read again: %v", err)
			}
		}
	})
}

// An answer comes from whoever listens at the daemon's address.
func FuzzAnswer(f *testing.F) {
	a := Answer{Seq: 5, Welcome: &Welcome{Instance: 8, Beat: 1e8, App: App{Services: []string{"front"}, Endpoints: []Endpoint{{Name: "buy"}}}}}
	f.Add(a.Append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := ReadAnswer(b)
		if err != nil || a.Welcome == nil {
			return
		}
		telemetry.NewShards(a.Welcome.App.Of(), telemetry.Options{Parts: true, EndpointService: a.Welcome.App.EndpointService, Beat: time.Duration(a.Welcome.Beat)}, 1)
	})
}

// A part as 36 services of three replicas make it each beat.
func BenchmarkPart(b *testing.B) {
	var p telemetry.Part
	p.Until = 1
	for i := range 108 {
		u := telemetry.PartUnit{Service: "service-" + string(rune('a'+i/3)), Replica: "replica-" + string(rune('a'+i)), Newest: 1, Seen: true, Spans: true}
		for k := range 2 {
			c := telemetry.PartCell{Beat: int64(k), Arrivals: 300, Completions: 300, Busy: 1e9, Steps: [10]int64{1 << 20, -1 << 20}, Open: 1 << 20}
			for n := range 300 {
				c.Latency.Add(1e-3 * float64(n+1))
			}
			u.Cells = append(u.Cells, c)
		}
		p.Units = append(p.Units, u)
	}
	var into Part
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		for _, x := range Split(1, &Part{}, &p) {
			frame := AppendPart(nil, 1, x.Bytes)
			n = len(frame)
			if _, err := ReadFrame(frame, &into); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(n), "bytes/part")
}
