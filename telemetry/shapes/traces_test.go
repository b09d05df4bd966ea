package shapes_test

import (
	"fmt"
	"math"
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/telemetry/shapes"
)

// shop is an application of a front, which calls a and b, and a database.
var shop = &foresail.App{Services: []foresail.Service{{Name: "front"}, {Name: "a"}, {Name: "b"}, {Name: "db"}},
	Endpoints: []foresail.Endpoint{{Name: "home page", Entry: 0, Operation: "get"}}}

// call is a client span and its server span, of which ids are i and i+1.
func call(i, parent byte, caller, service, operation string, from, to float64) []foresail.Span {
	return []foresail.Span{span(i, parent, client, caller, operation, from, to), span(i+1, i, server, service, operation, from+1, to-1)}
}

func join(parts ...[]foresail.Span) (out []foresail.Span) {
	for _, p := range parts {
		out = append(out, p...)
	}
	return out
}

func one(s foresail.Span) []foresail.Span { return []foresail.Span{s} }

func failed(spans []foresail.Span) []foresail.Span {
	for i := range spans {
		spans[i].Failed = true
	}
	return spans
}

func repeat(n int, f func(i int) []foresail.Span) (out []foresail.Span) {
	for i := range n {
		for _, s := range f(i) {
			s.ID[6], s.Parent[6] = byte(i), byte(i)
			s.ID[5], s.Parent[5] = byte(i>>8), byte(i>>8)
			if s.Parent[7] == 1 { // the front's
				s.Parent = foresail.SpanID{7: 1}
			}
			out = append(out, s)
		}
	}
	return out
}

// chain is so many visits, each of which calls the next.
func chain(n int) []foresail.Span {
	spans := one(front)
	for i := 1; i < n; i++ {
		s := span(0, 0, server, []string{"a", "b"}[i%2], "get", float64(i)/10, 100-float64(i)/10)
		s.ID[1], s.ID[2] = byte(i), byte(i>>8)+1
		s.Parent = spans[i-1].ID
		spans = append(spans, s)
	}
	return spans
}

func chained(n int) string {
	key := ""
	for i := n - 1; i > 0; i-- {
		key = fmt.Sprintf(`(%d."get"%s)`, 1+i%2, key)
	}
	return `0:0."get"` + key
}

var front = span(1, 0, server, "front", "get", 0, 100)

// What spans are told of a request, in each of the ways in which tracing tells it, and in each in which it goes wrong.
func TestTraces(t *testing.T) {
	for _, c := range []struct {
		name   string
		before [][]foresail.Span // traces that were seen earlier
		spans  []foresail.Span
		form   string // empty: none is told
		own    []float64
		stats  shapes.Stats // what is not zero is checked
	}{
		{name: "servers alone", spans: []foresail.Span{front, span(2, 1, server, "a", "get", 10, 20), span(3, 1, server, "b", "get", 30, 50)},
			form: `0:0."get"(1."get";2."get")`, own: []float64{70, 10, 20}},
		{name: "callers report too: the way belongs to the callee", spans: join(one(front), call(2, 1, "front", "a", "get", 10, 20)),
			form: `0:0."get"(1."get")`, own: []float64{90, 10}},
		{name: "spans in between", spans: join([]foresail.Span{front, span(9, 1, internal, "front", "render", 5, 95)}, call(2, 9, "front", "a", "get", 10, 20)),
			form: `0:0."get"(1."get")`, own: []float64{90, 10}},
		{name: "no kinds", spans: []foresail.Span{span(1, 0, none, "front", "get", 0, 100), span(2, 1, none, "front", "ask a", 10, 20), span(3, 2, none, "a", "get", 11, 19), span(4, 3, none, "a", "think", 12, 13)},
			form: `0:0."get"(1."get")`, own: []float64{90, 10}},
		{name: "a layer of the same server", spans: []foresail.Span{front, span(2, 1, server, "front", "handler", 1, 99)}, form: `0:0."get"`, own: []float64{100}},
		{name: "a service that calls itself", spans: join(one(front), call(2, 1, "front", "front", "part", 10, 20)), form: `0:0."get"(0."part")`, own: []float64{90, 10}},
		{name: "a database that does not report, by name", spans: join(one(front), call(2, 1, "front", "a", "get", 10, 40), one(span(4, 3, client, "a", "db/find", 20, 30))),
			form: `0:0."get"(1."get"(3."db/find"))`, own: []float64{70, 20, 10}},
		{name: "a database whose name nobody knows", spans: join(one(front), one(span(4, 1, client, "front", "SELECT", 20, 30))), form: `0:0."get"`, own: []float64{100}},
		{name: "a service that is not the application's in between", spans: []foresail.Span{front, span(2, 1, client, "front", "get", 10, 30), span(3, 2, server, "proxy", "egress", 11, 29), span(4, 3, client, "proxy", "get", 12, 28), span(5, 4, server, "a", "get", 13, 27)},
			form: `0:0."get"(1."get")`, own: []float64{84, 16}},
		{name: "a gateway that does not report", spans: join(one(span(1, 77, server, "front", "get", 0, 100)), call(2, 1, "front", "a", "get", 10, 20)),
			form: `0:0."get"(1."get")`, own: []float64{90, 10}, stats: shapes.Stats{Adopted: 1}},

		{name: "attempts are one visit", spans: join(one(front), failed(call(2, 1, "front", "a", "get", 10, 20)), call(4, 1, "front", "a", "get", 25, 40)),
			form: `0:0."get"(1."get")`, own: []float64{70, 30}, stats: shapes.Stats{Retries: 1}},
		{name: "attempts that did not get there", before: [][]foresail.Span{join(one(front), call(2, 1, "front", "a", "get", 10, 20))},
			spans: join(one(front), failed(one(span(2, 1, client, "front", "get", 10, 20))), call(4, 1, "front", "a", "get", 25, 40)),
			form:  `0:0."get"(1."get")`, own: []float64{70, 30}, stats: shapes.Stats{Retries: 1}},
		{name: "attempts beneath one client span", spans: []foresail.Span{front, span(2, 1, client, "front", "get", 10, 50), failed(one(span(3, 2, server, "a", "get", 11, 20)))[0], span(4, 2, server, "a", "get", 30, 49)},
			form: `0:0."get"(1."get")`, own: []float64{60, 40}, stats: shapes.Stats{Retries: 1}},
		{name: "one client span, two at once", spans: []foresail.Span{front, span(2, 1, client, "front", "get", 10, 50), span(3, 2, server, "a", "get", 11, 30), span(4, 2, server, "a", "get", 11, 40)},
			form: `0:0."get"(1."get"|1."get")`},

		{name: "side by side", spans: join(one(front), call(2, 1, "front", "a", "get", 10, 30), call(4, 1, "front", "b", "get", 10, 40)),
			form: `0:0."get"(1."get"|2."get")`, own: []float64{70, 20, 30}},
		{name: "the second asked later", spans: join(one(front), call(2, 1, "front", "a", "get", 10, 30), call(4, 1, "front", "b", "get", 15, 40)),
			form: `0:0."get"(1."get"|2."get")`, own: []float64{75, 20, 25}},
		{name: "a consumer", spans: []foresail.Span{front, span(2, 1, producer, "front", "send", 10, 12), span(3, 2, consumer, "a", "take", 60, 300)},
			form: `0:0."get"(1."take"~)`, own: []float64{100, 240}},
		{name: "late once", spans: join(one(front), call(2, 1, "front", "a", "get", 10, 200)),
			form: `0:0."get"(1."get")`, own: []float64{10, 90}, stats: shapes.Stats{Clamped: 1}},
		{name: "late again and again", before: [][]foresail.Span{join(one(front), call(2, 1, "front", "a", "get", 10, 200)), join(one(front), call(2, 1, "front", "a", "get", 10, 200))},
			spans: join(one(front), call(2, 1, "front", "a", "get", 10, 200)), form: `0:0."get"(1."get"~)`, own: []float64{100, 190}},

		{name: "a loop", spans: join(one(front), repeat(8, func(i int) []foresail.Span { return call(2, 1, "front", "a", "get", float64(10*i+5), float64(10*i+15)) })),
			form: `0:0."get"(1."get"x8)`, own: []float64{20, 80}},
		{name: "a loop of a thousand", spans: join(one(front), repeat(900, func(i int) []foresail.Span {
			return one(span(2, 1, server, "a", "get", float64(i)/10, float64(i)/10+0.1))
		})), form: `0:0."get"(1."get"x1024)`, own: []float64{10, 90}},
		{name: "a loop of two calls", spans: join(one(front), repeat(40, func(i int) []foresail.Span {
			return []foresail.Span{span(2, 1, server, "a", "get", float64(2*i), float64(2*i)+1), span(3, 1, server, "b", "get", float64(2*i)+1, float64(2*i)+2)}
		})), form: `0:0."get"(1."get"x32;2."get"x32)`, own: []float64{20, 40, 40}},
		{name: "a fan of twenty", spans: join(one(front), repeat(20, func(int) []foresail.Span { return one(span(2, 1, server, "a", "get", 10, 20)) })),
			form: `0:0."get"(1."get"|1."get"|1."get"|1."get"|1."get"|1."get"|1."get"|1."get"|1."get"|1."get"|1."get"|1."get"|1."get"|1."get"|1."get"|1."get")`},

		{name: "a parent is missing", spans: join(one(front), one(span(5, 4, internal, "a", "get", 10, 20))), stats: shapes.Stats{Incomplete: 1}},
		{name: "the first is missing", spans: call(2, 1, "front", "a", "get", 10, 20), stats: shapes.Stats{Incomplete: 1}},
		{name: "the callee's is missing", before: [][]foresail.Span{join(one(front), call(2, 1, "front", "a", "get", 10, 20))},
			spans: join(one(front), one(span(2, 1, client, "front", "get", 10, 20))), stats: shapes.Stats{Incomplete: 1}},
		{name: "the client's is missing", before: [][]foresail.Span{join(one(front), call(2, 1, "front", "a", "get", 10, 20))},
			spans: join(one(front), one(span(3, 2, server, "a", "get", 10, 20))), form: `0:0."get"(1."get")`, stats: shapes.Stats{Repaired: 1}},
		{name: "the client's is missing, and two may have called", before: [][]foresail.Span{join(one(front), call(2, 1, "front", "a", "get", 10, 20))},
			spans: []foresail.Span{span(9, 0, server, "front", "get", 0, 100), span(1, 0, server, "front", "get", 0, 100), span(3, 2, server, "a", "get", 10, 20)}, stats: shapes.Stats{Incomplete: 1}},
		{name: "parents in a circle", spans: join(one(front), []foresail.Span{span(2, 3, server, "a", "get", 10, 20), span(3, 2, server, "b", "get", 10, 20)}), stats: shapes.Stats{Malformed: 1}},
		{name: "its own parent", spans: join(one(front), one(span(2, 2, server, "a", "get", 10, 20))), stats: shapes.Stats{Malformed: 1}},
		{name: "twice the same", spans: join(one(front), call(2, 1, "front", "a", "get", 10, 20), call(2, 1, "front", "a", "get", 10, 20)),
			form: `0:0."get"(1."get")`, own: []float64{90, 10}, stats: shapes.Stats{Duplicates: 2}},
		{name: "a clock that is behind", spans: []foresail.Span{front, span(2, 1, server, "a", "get", -500, -490)},
			form: `0:0."get"(1."get")`, own: []float64{90, 10}, stats: shapes.Stats{Clamped: 1}},
		{name: "ends before it begins", spans: []foresail.Span{front, span(2, 1, server, "a", "get", 20, 10)}, form: `0:0."get"(1."get")`, own: []float64{100, 0}, stats: shapes.Stats{Clamped: 1}},
		{name: "more than its caller took", spans: []foresail.Span{front, span(2, 1, server, "a", "get", 10, 400)}, form: `0:0."get"(1."get")`, stats: shapes.Stats{Clamped: 1}},
		{name: "of others", spans: []foresail.Span{span(1, 0, server, "elsewhere", "get", 0, 1)}, stats: shapes.Stats{Foreign: 1}},
		{name: "what no endpoint asks", spans: []foresail.Span{span(1, 0, server, "front", "health", 0, 1)}, stats: shapes.Stats{Foreign: 1}},
		{name: "nothing", stats: shapes.Stats{}},
		{name: "too deep", spans: chain(257), stats: shapes.Stats{TooLarge: 1}},
		{name: "as deep as may be", spans: chain(256), form: chained(256)},
	} {
		t.Run(c.name, func(t *testing.T) {
			col := shapes.New(shop, shapes.Options{})
			for _, spans := range c.before {
				col.Trace(spans)
			}
			col.Cut(start)
			before := col.Stats()
			col.Trace(c.spans)
			told := col.Cut(start)
			s := col.Stats()
			for _, x := range []struct {
				name      string
				got, want uint64
			}{{"adopted", s.Adopted - before.Adopted, c.stats.Adopted}, {"repaired", s.Repaired - before.Repaired, c.stats.Repaired}, {"clamped", s.Clamped - before.Clamped, c.stats.Clamped},
				{"duplicates", s.Duplicates - before.Duplicates, c.stats.Duplicates}, {"retries", s.Retries - before.Retries, c.stats.Retries}, {"incomplete", s.Incomplete, c.stats.Incomplete},
				{"malformed", s.Malformed, c.stats.Malformed}, {"foreign", s.Foreign, c.stats.Foreign}, {"too large", s.TooLarge, c.stats.TooLarge}} {
				if x.got != x.want {
					t.Errorf("%s: %d, want %d", x.name, x.got, x.want)
				}
			}
			if c.form == "" {
				if len(told) != 0 {
					t.Errorf("%s is told", told[0].Form.Key())
				}
				return
			}
			if len(told) != 1 {
				t.Fatalf("%d shapes: %+v", len(told), s)
			}
			if got := told[0].Form.Key(); got != c.form {
				t.Fatalf("%s, want %s", got, c.form)
			}
			for i, want := range c.own {
				if got := told[0].Own[i].Sum() * 1000; math.Abs(got-want) > 1e-3 {
					t.Errorf("visit %d took %v ms by itself, want %v", i, got, want)
				}
			}
		})
	}
}

// With a load generator that reports, a request takes what its users saw, and its name is the endpoint's.
func TestUsersTell(t *testing.T) {
	c := shapes.New(shop, shapes.Options{Users: "load"})
	spans := []foresail.Span{span(8, 0, client, "load", "home page", -10, 120), span(1, 8, server, "front", "anything", 0, 100)}
	spans[1].Weight = 4
	c.Trace(spans)
	told := c.Cut(start)
	if len(told) != 1 || told[0].Form.Key() != `0:0."anything"` || told[0].Requests != 4 || math.Abs(told[0].Latency.Sum()-4*0.13) > 1e-9 || math.Abs(told[0].Own[0].Sum()-4*0.13) > 1e-9 {
		t.Fatalf("%+v, %+v", told, c.Stats())
	}
}

// Calls that go on side by side now and then have one form, and so have those of which the second sometimes does not last.
func TestWhatOverlapsSometimesIsOneForm(t *testing.T) {
	c := shapes.New(shop, shapes.Options{})
	for i := range 400 {
		from := 20.0
		if i%4 == 0 {
			from = 12
		}
		if i == 40 {
			c.Cut(start)
		}
		c.Trace(join(one(front), call(2, 1, "front", "a", "get", 10, 19), call(4, 1, "front", "b", "get", from, 40)))
	}
	told := c.Cut(start)
	if len(told) != 1 || told[0].Form.Key() != `0:0."get"(1."get"|2."get")` || told[0].Requests != 360 {
		t.Fatalf("%d: %s", len(told), told[0].Form.Key())
	}
}

// Rare forms count to the kept one that is nearest, and it is said how well that stands for them. What becomes frequent is told by
// itself before long, and what failed is no form of its own.
func TestRareFormsArePooled(t *testing.T) {
	c := shapes.New(shop, shapes.Options{Forms: 2, Memory: time.Minute})
	a := func() []foresail.Span { return join(one(front), call(2, 1, "front", "a", "get", 10, 20)) }
	b := func() []foresail.Span { return join(one(front), call(2, 1, "front", "b", "get", 10, 20)) }
	longer := one(span(1, 0, server, "front", "get", 0, 150))
	rare := func() []foresail.Span {
		return join(longer, call(2, 1, "front", "b", "get", 10, 20), call(4, 1, "front", "db", "get", 30, 40))
	}
	for range 50 {
		c.Trace(a())
		c.Trace(b())
	}
	c.Trace(rare())
	broken := failed(one(front))
	c.Trace(broken)
	told := c.Cut(start)
	if len(told) != 2 || told[0].Requests != 51 || told[1].Requests != 51 || told[1].Pooled != 1 || told[0].Pooled != 1 {
		t.Fatalf("%+v", told)
	}
	if n := told[0].Latency.Count(); n != 50 {
		t.Errorf("%v latencies, want 50: what failed has none", n)
	}
	if n, m := told[1].Latency.Count(), told[1].Own[1].Count(); n != 51 || m != 50 {
		t.Errorf("%v latencies, want those of all 51; %v own times, want those of 50", n, m)
	}
	p := c.Stats().Pooled
	if p.Requests != 2 || math.Abs(p.Latency-0.15) > 1e-9 || math.Abs(p.Instead-0.1) > 1e-9 {
		t.Errorf("%+v", p)
	}
	if fmt.Sprint(p.Calls) != "[102 50 51 1]" || fmt.Sprint(p.Told) != "[102 51 51 0]" {
		t.Errorf("calls %v, told %v", p.Calls, p.Told)
	}
	for i := range 120 {
		c.Trace(rare())
		c.Trace(b())
		c.Cut(start.Add(time.Duration(i) * time.Second))
	}
	c.Trace(rare())
	if told = c.Cut(start.Add(2 * time.Minute)); len(told) != 1 || told[0].Form.Key() != `0:0."get"(2."get";3."get")` || told[0].Pooled != 0 {
		t.Fatalf("%d: %s", len(told), told[0].Form.Key())
	}
}

// Spans that come in any order and mixed become traces once no more come; later ones are counted, and so is what there is no room for.
func TestSpansComeMixedAndLate(t *testing.T) {
	c := shapes.New(shop, shapes.Options{Wait: time.Second, MaxTrace: 5, MaxSpans: 40})
	trace := func(n byte, spans []foresail.Span) []foresail.Span {
		for i := range spans {
			spans[i].Trace = foresail.TraceID{15: n}
		}
		return spans
	}
	x, y := trace(1, join(one(front), call(2, 1, "front", "a", "get", 10, 20))), trace(2, join(one(front), call(2, 1, "front", "b", "get", 10, 20)))
	c.Add(start, []foresail.Span{x[2], y[1]})
	c.Add(start.Add(time.Second/2), []foresail.Span{y[0], x[1], x[0], y[2]})
	if told := c.Cut(start.Add(1400 * time.Millisecond)); len(told) != 0 {
		t.Error("a trace is complete before its time")
	}
	if told := c.Cut(start.Add(1600 * time.Millisecond)); len(told) != 2 {
		t.Errorf("%d shapes, %+v", len(told), c.Stats())
	}
	c.Add(start.Add(2*time.Second), trace(1, call(2, 1, "front", "a", "get", 10, 20)))
	c.Add(start.Add(2*time.Second), trace(3, repeat(6, func(int) []foresail.Span { return one(front) })))
	for i := range 60 {
		c.Add(start.Add(2*time.Second), trace(byte(i+10), one(front)))
	}
	told := c.Rest(start.Add(3 * time.Second))
	s := c.Stats()
	if s.Late != 2 || s.Cut != 1 || s.Refused != 1+25 || s.Complete != 2+35 || len(told) != 1 || told[0].Requests != 35 {
		t.Errorf("%+v", s)
	}
}

// Of more traces than are to be looked at, a share stands for all.
func TestTracesBeyondTheLimit(t *testing.T) {
	c := shapes.New(shop, shapes.Options{Wait: time.Second, Traces: 50, Share: 0.5})
	sum, n := 0.0, uint32(0)
	for s := range 60 {
		now := start.Add(time.Duration(s) * time.Second)
		for range 1000 {
			n++
			spans := one(front)
			spans[0].Trace = foresail.TraceID{12: byte(n >> 24), 13: byte(n >> 16), 14: byte(n >> 8), 15: byte(n)}
			c.Add(now, spans)
		}
		told := c.Cut(now.Add(time.Second - 1))
		if s > 2 {
			for i := range told {
				sum += told[i].Requests
			}
		}
	}
	s := c.Stats()
	if off := sum/57_000 - 1; math.Abs(off) > 5/math.Sqrt(57*50) {
		t.Errorf("%v requests of 57000", sum)
	}
	if s.Complete > 2*500+60*60 || s.Unlooked < 20_000 {
		t.Errorf("%+v", s)
	}
}

// Names without end take no room without end, and what they call is still told.
func TestNamesAreBounded(t *testing.T) {
	c := shapes.New(shop, shapes.Options{MaxVisits: 50})
	for i := range 18_000 {
		c.Trace([]foresail.Span{front, span(2, 1, server, "a", fmt.Sprint("get/", i), 10, 20), span(3, 1, server, fmt.Sprint("out", i), "x", 30, 40)})
	}
	s := c.Stats()
	if s.Complete != 18_000 || s.Pooled.Calls[1] != 18_000 || s.Pooled.Told[1] != 18_000 {
		t.Errorf("%+v", s)
	}
}
