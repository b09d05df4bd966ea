package telemetry_test

import (
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	"foresail.dev"
	. "foresail.dev/telemetry"
	"pgregory.net/rapid"
)

// request is a server span of a trace of its own.
func request(n uint64, service string, start, duration time.Duration) foresail.Span {
	return foresail.Span{Trace: traceID(n), ID: spanID(n), Service: service, Replica: service + "-1", Operation: "op",
		Kind: foresail.KindServer, Start: epoch.Add(start), End: epoch.Add(start + duration)}
}

const ms = time.Millisecond

func beat(n int) time.Time { return epoch.Add(time.Duration(n) * foresail.Beat) }

// In flight is read from starts and ends, across beats and for all replicas together.
func TestInFlight(t *testing.T) {
	a := NewAssembler(testApp(), Options{Start: epoch})
	other := request(3, "cart", 50*ms, 20*ms)
	other.Replica = "cart-2"
	a.Add([]foresail.Span{request(1, "cart", 20*ms, 60*ms), request(2, "cart", 40*ms, 120*ms), other})

	s := a.Cut(beat(1))
	cart := s.Services[1]
	if g := cart.InFlight; g.Last != 1 || g.Max != 3 || math.Abs(g.Mean-(0.6+0.6+0.2)) > 1e-9 {
		t.Errorf("first beat: %+v", g)
	}
	if cart.Arrivals != 3 || cart.Completions != 2 {
		t.Errorf("%g arrivals, %g completions", cart.Arrivals, cart.Completions)
	}
	if len(cart.Replicas) != 2 || cart.Replicas[0].InFlight.Max != 2 || cart.Replicas[1].InFlight.Max != 1 {
		t.Errorf("replicas: %+v", cart.Replicas)
	}
	if has := cart.Has; has.Has(foresail.SignalCPU) || has.Has(foresail.SignalReady) || !has.Has(foresail.SignalInFlight|foresail.SignalLatency) {
		t.Errorf("spans tell %s", has)
	}
	if s.Services[2].Has != 0 {
		t.Errorf("nothing was observed of db, but there is %s", s.Services[2].Has)
	}
	if g := a.Cut(beat(2)).Services[1].InFlight; g.Last != 0 || g.Max != 1 || math.Abs(g.Mean-0.6) > 1e-9 {
		t.Errorf("second beat: %+v", g)
	}
}

// With all spans known, the gauges of each beat are those of the list of spans.
func TestInFlightProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		app := testApp()
		var spans []foresail.Span
		for i := range rapid.IntRange(1, 30).Draw(t, "spans") {
			s := request(uint64(i+1), "cart", time.Duration(rapid.Int64Range(0, int64(time.Second)).Draw(t, "start")),
				time.Duration(rapid.Int64Range(0, int64(500*ms)).Draw(t, "duration")))
			s.Replica = rapid.SampledFrom([]string{"", "a", "b"}).Draw(t, "replica")
			s.Weight = rapid.SampledFrom([]float64{1, 2, 1 / 0.3}).Draw(t, "weight")
			spans = append(spans, s)
		}
		a := NewAssembler(app, Options{Start: epoch})
		a.Add(spans)
		n := rapid.IntRange(1, 3).Draw(t, "beats in an interval")
		for start := epoch; start.Before(epoch.Add(2 * time.Second)); {
			end := start.Add(time.Duration(n) * foresail.Beat)
			g := a.Cut(end).Services[1].InFlight
			last, mean, most := 0.0, 0.0, 0.0
			at := func(x time.Time) (n float64) { // in flight just before x
				for _, s := range spans {
					if s.Start.Before(x) && !s.End.Before(x) {
						n += s.Weight
					}
				}
				return n
			}
			for _, s := range spans {
				lo, hi := s.Start, s.End
				if lo.Before(start) {
					lo = start
				}
				if hi.After(end) {
					hi = end
				}
				if d := hi.Sub(lo); d > 0 {
					mean += s.Weight * d.Seconds()
				}
			}
			mean /= end.Sub(start).Seconds()
			last = at(end)
			for x := start; !x.After(end); x = x.Add(foresail.Beat / 10) {
				most = max(most, at(x))
			}
			most = max(most, mean, last)
			if math.Abs(g.Last-last) > 1e-3 || math.Abs(g.Mean-mean) > 1e-9 || math.Abs(g.Max-most) > 1e-3 {
				t.Fatalf("interval from %s: %+v, want last %g mean %g max %g", start.Sub(epoch), g, last, mean, most)
			}
			start = end
		}
	})
}

// What a service refuses at once counts as an error and a completion, of the service, its replica and the call, and
// leaves the latency to what it answered.
func TestRefusalsHaveNoLatency(t *testing.T) {
	a := NewAssembler(testApp(), Options{Start: epoch})
	caller := request(1, "front", 0, 90*ms)
	spans := []foresail.Span{caller}
	for i := range uint64(10) {
		s := request(2+i, "cart", 10*ms, 50*ms)
		s.Trace, s.Parent = caller.Trace, caller.ID
		if i > 0 {
			s.End, s.Failed = s.Start.Add(ms/10), true
		}
		spans = append(spans, s)
	}
	a.Add(spans)
	s := a.Cut(beat(1))
	edge := s.Edges[0]
	if edge.Calls != 10 || edge.Errors != 9 || edge.Latency.Count() != 1 || edge.Latency.Quantile(0.5) < 0.045 {
		t.Errorf("calls: %+v", edge)
	}
	for _, u := range []foresail.Usage{s.Services[1].Usage, s.Services[1].Replicas[0].Usage} {
		if u.Completions != 10 || u.Errors != 9 || u.Latency.Count() != 1 || u.Latency.Quantile(0.5) < 0.045 {
			t.Errorf("requests: %+v", u)
		}
	}
}

// A span that comes after its beat was cut is told later, and history then holds what it would have held.
func TestLateSpansReviseHistory(t *testing.T) {
	app := testApp()
	needs := foresail.Needs{Beats: 100, Seconds: 10}
	first := []foresail.Span{request(1, "cart", 10*ms, 30*ms), request(2, "cart", 110*ms, 30*ms)}
	late := []foresail.Span{request(3, "cart", 20*ms, 100*ms)}
	feed := func(withFirst, afterCuts []foresail.Span) *foresail.History {
		h := foresail.NewHistory(app, needs)
		a := NewAssembler(app, Options{Start: epoch})
		a.Add(withFirst)
		for i := 1; i <= 20; i++ {
			if i == 4 {
				a.Add(afterCuts)
			}
			s := a.Cut(beat(i))
			h.Add(s)
		}
		return h
	}
	want := feed(append(late, first...), nil)
	got := feed(first, late)
	for i, w := range want.Beats(100) {
		g := got.Beats(100)[i]
		if g.Services[1].Arrivals != w.Services[1].Arrivals || g.Services[1].Completions != w.Services[1].Completions ||
			math.Abs(g.Services[1].InFlight.Mean-w.Services[1].InFlight.Mean) > 1e-9 || g.Services[1].Latency.Count() != w.Services[1].Latency.Count() {
			t.Errorf("beat %d: %+v, want %+v", i, g.Services[1].Usage, w.Services[1].Usage)
		}
	}
}

// What is too old or lies in the future is dropped, counted, told to the sender and noted in the next snapshot.
func TestDropped(t *testing.T) {
	a := NewAssembler(testApp(), Options{Start: epoch})
	a.Cut(beat(100))
	bad := request(4, "cart", 9*time.Second, ms)
	bad.Trace = foresail.TraceID{}
	res := a.AddAt(time.Time{}, []foresail.Span{
		request(1, "cart", 4*time.Second, ms),        // six seconds old
		request(2, "cart", 5200*ms, ms),              // within the limit
		request(3, "cart", 10*time.Second+50*ms, ms), // of the open beat
		bad,
		request(5, "cart", time.Hour, ms),
	})
	if res.Rejected != 3 || res.Reason == "" {
		t.Errorf("%+v", res)
	}
	if d := a.Stats().Dropped; d != (Dropped{TooLate: 1, Ahead: 1, Malformed: 1}) {
		t.Errorf("%+v", d)
	}
	s := a.Cut(beat(101))
	if s.Dropped != 3 || len(s.Late) != 1 || s.Late[0].Services[1].Completions != 1 || s.Services[1].Completions != 1 {
		t.Errorf("%+v", s)
	}
	if s := a.Cut(beat(102)); s.Dropped != 0 || !s.Stale {
		t.Errorf("%+v", s)
	}
}

// A request longer than the revision limit counts as arriving at the limit, and none is lost.
func TestVeryLongRequest(t *testing.T) {
	a := NewAssembler(testApp(), Options{Start: epoch})
	a.Cut(beat(300))
	a.Add([]foresail.Span{request(1, "cart", 0, 30*time.Second+50*ms)})
	got := newTotal()
	cut(t, a, got, beat(301))
	if got.counts["cart arrivals"] != 1 || got.counts["cart completions"] != 1 || got.lat["cart"].Quantile(1) < 29 {
		t.Errorf("%v", got.counts)
	}
}

func TestCutGoesForward(t *testing.T) {
	a := NewAssembler(testApp(), Options{})
	if s := a.Cut(beat(10)); !s.Start.Equal(beat(9)) || !s.End.Equal(beat(10)) || !s.Stale {
		t.Errorf("%+v", s)
	}
	if s := a.Cut(beat(10).Add(99 * ms)); s != nil {
		t.Errorf("half a beat: %+v", s)
	}
	if s := a.Cut(beat(3)); s != nil { // the clock was set back
		t.Errorf("back: %+v", s)
	}
	a.Add([]foresail.Span{request(1, "cart", 3*time.Second, ms)})
	if s := a.Cut(beat(36_000)); !s.Start.Equal(beat(10)) || !s.End.Equal(beat(36_000)) || s.Services[1].Completions != 1 {
		t.Errorf("an hour later: %+v", s)
	}
}

// What came before the first cut, without a start set, belongs to the first interval or is late.
func TestBeforeTheFirstCut(t *testing.T) {
	a := NewAssembler(testApp(), Options{})
	a.Add([]foresail.Span{request(1, "cart", 0, 250*ms), request(2, "cart", 10*ms, 20*ms)})
	s := a.Cut(beat(2))
	if g := s.Services[1].InFlight; g.Last != 1 || g.Max != 1 || g.Mean != 1 || s.Services[1].Arrivals != 0 {
		t.Errorf("%+v", s.Services[1].Usage)
	}
	if len(s.Late) != 1 || s.Late[0].Services[1].Arrivals != 2 || s.Late[0].Services[1].Completions != 1 {
		t.Errorf("late: %+v", s.Late)
	}
}

// A cut that comes seconds late leaves out what is by then too old.
func TestCutAfterAPause(t *testing.T) {
	a := NewAssembler(testApp(), Options{Start: epoch})
	a.Cut(beat(100))
	waits := request(3, "db", 9900*ms, ms)
	waits.Kind, waits.Parent = foresail.KindUnspecified, spanID(4)
	a.Add([]foresail.Span{request(1, "cart", 6*time.Second, ms), request(2, "cart", 9*time.Second, ms), waits})
	s := a.Cut(beat(130))
	if len(s.Late) != 1 || !s.Late[0].Start.Equal(beat(90)) || s.Dropped != 1 || a.Stats().Dropped.TooLate != 1 {
		t.Errorf("%+v, %+v", s.Late, a.Stats())
	}
	a.Cut(beat(1000)) // db has been silent for long
	parent := request(4, "cart", 100*time.Second, ms)
	parent.Trace = waits.Trace
	a.Add([]foresail.Span{parent})
	if st := a.Stats(); st.Waiting != 0 || st.Dropped.TooLate != 2 {
		t.Errorf("%+v", st)
	}
}

// A parent that comes after its children, one without kinds, and one that never comes.
func TestParents(t *testing.T) {
	call := func(n uint64, parent uint64, service string, kind foresail.SpanKind) foresail.Span {
		s := request(1, service, 10*ms, 20*ms)
		s.ID, s.Parent, s.Kind = spanID(n), foresail.SpanID{}, kind
		if parent != 0 {
			s.Parent = spanID(parent)
		}
		return s
	}
	for name, c := range map[string]struct {
		spans []foresail.Span
		want  map[string]float64
	}{
		"client and server": {[]foresail.Span{call(3, 2, "cart", foresail.KindServer), call(2, 1, "front", foresail.KindClient), call(1, 0, "front", foresail.KindServer)},
			map[string]float64{"front arrivals": 1, "cart arrivals": 1, "front→cart calls": 1}},
		"server only": {[]foresail.Span{call(2, 1, "cart", foresail.KindServer), call(1, 0, "front", foresail.KindServer)},
			map[string]float64{"front arrivals": 1, "cart arrivals": 1, "front→cart calls": 1}},
		"no kinds": {[]foresail.Span{call(4, 3, "cart", 0), call(3, 2, "cart", 0), call(2, 1, "front", 0), call(1, 0, "front", 0)},
			map[string]float64{"front arrivals": 1, "cart arrivals": 1, "front→cart calls": 1}},
		"producer and consumer": {[]foresail.Span{call(1, 0, "front", foresail.KindProducer), call(2, 1, "cart", foresail.KindConsumer)},
			map[string]float64{"cart arrivals": 1, "front→cart calls": 1}},
		"a call to itself": {[]foresail.Span{call(1, 0, "cart", foresail.KindClient), call(2, 1, "cart", foresail.KindServer)},
			map[string]float64{"cart arrivals": 1, "cart→cart calls": 1}},
		"two server spans of one request": {[]foresail.Span{call(1, 0, "cart", foresail.KindServer), call(2, 1, "cart", foresail.KindServer)},
			map[string]float64{"cart arrivals": 2}},
		"of a service outside": {[]foresail.Span{call(1, 0, "gateway", foresail.KindClient), call(2, 1, "cart", 0)},
			map[string]float64{"cart arrivals": 1}},
		"parent of a server span never comes":       {[]foresail.Span{call(2, 1, "cart", foresail.KindServer)}, map[string]float64{"cart arrivals": 1}},
		"parent of a span without kind never comes": {[]foresail.Span{call(2, 1, "cart", 0)}, map[string]float64{}},
		"its own parent":                            {[]foresail.Span{call(1, 1, "cart", 0)}, map[string]float64{}},
	} {
		t.Run(name, func(t *testing.T) {
			a := NewAssembler(testApp(), Options{Start: epoch})
			got := newTotal()
			for i := range c.spans { // each in a beat of its own
				a.Add(c.spans[i : i+1])
				cut(t, a, got, beat(i+1))
			}
			for i := 5; i < 200; i++ {
				cut(t, a, got, beat(i))
			}
			for _, k := range []string{"front arrivals", "cart arrivals", "front→cart calls", "cart→cart calls"} {
				if got.counts[k] != c.want[k] {
					t.Errorf("%s: %g, want %g", k, got.counts[k], c.want[k])
				}
			}
			if s := a.Stats(); s.Waiting != 0 {
				t.Errorf("still waiting: %+v", s)
			}
		})
	}
}

// Endpoints as users saw them: at the entry service, or at a load generator, where late and first late are exact.
func TestEndpoints(t *testing.T) {
	span := func(n uint64, service, op string, start, d time.Duration) foresail.Span {
		s := request(n, service, start, d)
		s.Operation = op
		return s
	}
	failed := span(4, "front", "POST /buy", 30*ms, 5*ms)
	failed.Failed, failed.Weight = true, 3
	a := NewAssembler(testApp(), Options{Start: epoch})
	a.Add([]foresail.Span{
		span(1, "front", "POST /buy", 0, 20*ms), // exactly the objective
		span(2, "front", "POST /buy", 35*ms, 20*ms+1),
		span(3, "front", "GET /look", 1*ms, 90*ms), // no objective
		failed,
		span(5, "cart", "POST /buy", 0, 50*ms), // not the entry
		span(6, "front", "other", 0, 50*ms),
	})
	s := a.Cut(beat(1))
	buy, look := s.Endpoints[0], s.Endpoints[1]
	if buy.Requests != 5 || buy.Arrivals != 5 || buy.Errors != 3 || buy.Late != 4 || !buy.FirstLate.Equal(epoch.Add(30*ms)) || buy.Latency.Count() != 2 {
		t.Errorf("buy: %+v", buy)
	}
	if look.Requests != 1 || look.Late != 0 || !look.FirstLate.IsZero() || !s.Has.Has(foresail.SignalEndpoints) {
		t.Errorf("look: %+v", look)
	}

	if want := (foresail.Exemplar{Trace: span(2, "", "", 0, 0).Trace, Latency: 20*ms + 1}); buy.Slowest != want {
		t.Errorf("the slowest: %+v, want %+v", buy.Slowest, want)
	}

	a = NewAssembler(testApp(), Options{Start: epoch, EndpointService: "load"})
	users := span(2, "load", "buy", 0, 30*ms)
	users.Kind = foresail.KindClient
	inside := span(1, "front", "POST /buy", 0, 1*ms)
	inside.Parent, inside.Trace = users.ID, users.Trace
	a.Add([]foresail.Span{inside})
	if s := a.Cut(beat(1)); s.Endpoints[0].Requests != 0 || s.Has.Has(foresail.SignalEndpoints) {
		t.Errorf("before the generator has reported: %+v", s)
	}
	a.Add([]foresail.Span{users, span(3, "load", "retry", 0, ms)})
	s = a.Cut(beat(2)).Late[0]
	if e := s.Endpoints[0]; e.Requests != 1 || e.Late != 1 {
		t.Errorf("%+v", e)
	}
	if len(s.Edges) != 0 || a.Stats().Outside != 0 || a.Stats().Assembled != 3 {
		t.Errorf("edges %v, %+v", s.Edges, a.Stats())
	}
}

func TestDiscover(t *testing.T) {
	app := &foresail.App{Name: "found"}
	a := NewAssembler(app, Options{Start: epoch, Discover: true, MaxServices: 4, MaxEndpoints: 3})
	long := strings.Repeat("ä", 300) + "\xff"
	a.Add([]foresail.Span{request(1, "a", 0, ms), request(2, "b", 0, ms), request(3, long, 0, ms), request(4, "d", 0, ms), request(5, "", 0, ms)})
	got := a.App()
	if len(app.Services) != 0 || len(got.Services) != 4 || got.Generation == app.Generation || len(got.Services[2].Name) > 256 || got.Services[3].Name != "other" {
		t.Errorf("%+v", got)
	}
	if len(got.Endpoints) != 3 || got.Endpoints[2].Name != "other" || got.Endpoints[0].Name != "op" || got.Endpoints[1].Name != "b op" {
		t.Errorf("endpoints %+v", got.Endpoints)
	}
	s := a.Cut(beat(1))
	if len(s.Services) != 4 || len(s.Endpoints) != 3 || s.Generation != got.Generation || s.Endpoints[1].Requests != 1 || s.Endpoints[2].Requests != 2 || s.Services[3].Completions != 1 {
		t.Errorf("%+v", s)
	}
	if st := a.Stats(); st.Dropped.Limit != 0 || st.Folded != 2 || st.Outside != 1 {
		t.Errorf("%+v", st)
	}
}

func TestManyReplicas(t *testing.T) {
	a := NewAssembler(testApp(), Options{Start: epoch, MaxReplicas: 3})
	for i := range uint64(10) {
		s := request(i+1, "cart", 10*ms, ms)
		s.Replica = strings.Repeat("x", int(i)+1)
		a.Add([]foresail.Span{s})
	}
	s := a.Cut(beat(1))
	r := s.Services[1].Replicas
	if len(r) != 4 || r[3].Name != "other" || r[3].Completions != 7 || s.Services[1].Completions != 10 {
		t.Errorf("%+v", r)
	}
	if a.Stats().Folded != 7 {
		t.Errorf("%+v", a.Stats())
	}
	for i := 2; i < 800; i++ { // all fall silent, and are forgotten
		a.Cut(beat(i))
	}
	a.Add([]foresail.Span{request(20, "cart", 80*time.Second, ms)})
	if s := a.Cut(beat(801)); len(s.Services[1].Replicas) != 1 || s.Services[1].Replicas[0].Name != "cart-1" {
		t.Errorf("%+v", s.Services[1].Replicas)
	}
}

// Any number of goroutines may add while one cuts.
func TestConcurrent(t *testing.T) {
	a := NewAssembler(testApp(), Options{Start: epoch})
	var adding sync.WaitGroup
	const each, senders = 2000, 4
	for g := range uint64(senders) {
		adding.Go(func() {
			for i := range uint64(each) {
				a.Add([]foresail.Span{request(1+g*each+i, "cart", time.Duration(i%3000)*ms, ms)})
				_ = a.Stats()
			}
		})
	}
	got := newTotal()
	done := make(chan struct{})
	go func() { adding.Wait(); close(done) }()
	for n := 1; ; n++ {
		select {
		case <-done:
			cut(t, a, got, beat(31))
			if c := got.counts["cart completions"]; c != each*senders {
				t.Errorf("%g completions", c)
			}
			return
		default:
			if n <= 30 {
				cut(t, a, got, beat(n))
			}
			_ = a.App()
		}
	}
}

func TestWeights(t *testing.T) {
	a := NewAssembler(testApp(), Options{Start: epoch})
	var spans []foresail.Span
	for i, w := range []float64{0, 2.5, math.NaN(), math.Inf(1), math.Inf(-1), -1, 1e300} {
		s := request(uint64(i+1), "cart", 0, 10*ms)
		s.Weight = w
		spans = append(spans, s)
	}
	a.Add(spans)
	cart := a.Cut(beat(1)).Services[1]
	if want := 1 + 2.5 + 1 + 2*(1<<20); cart.Completions != want || math.Abs(cart.Latency.Count()-want) > 1e-6 || cart.InFlight.Last != 0 {
		t.Errorf("%g completions, %g latencies, %+v, want %g", cart.Completions, cart.Latency.Count(), cart.InFlight, want)
	}
	if a.Stats().Weighed != 2 {
		t.Errorf("%+v", a.Stats())
	}
}
