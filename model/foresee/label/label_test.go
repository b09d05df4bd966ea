package label_test

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/model/foresee/label"
)

const ms = time.Millisecond

var start = time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)

// shop is front → cart → db, with one endpoint: p90 under 100 ms, judged each second on ten requests.
func shop() *foresail.App {
	app := &foresail.App{Name: "shop", Endpoints: []foresail.Endpoint{{Name: "buy", Operation: "buy",
		Objective: &foresail.Objective{Percentile: 90, Latency: 100 * ms, MinRequests: 10}}}}
	for _, n := range []string{"front", "cart", "db"} {
		app.Services = append(app.Services, foresail.Service{Name: n})
	}
	return app
}

func id(n int) (s foresail.SpanID) { binary.BigEndian.PutUint64(s[:], uint64(n)); return s }

// span is number n, a child of parent, from and to so many milliseconds after at.
func span(n, parent int, kind foresail.SpanKind, service, operation string, at time.Time, from, to int, failed bool) foresail.Span {
	return foresail.Span{ID: id(n), Parent: id(parent), Kind: kind, Service: service, Operation: operation,
		Start: at.Add(time.Duration(from) * ms), End: at.Add(time.Duration(to) * ms), Failed: failed}
}

// request is one that took so long in itself in front, cart and db, and on the way to each.
func request(at time.Time, front, cart, db, way int) []foresail.Span {
	inCart := way + cart + way + db + way
	return []foresail.Span{
		span(1, 0, foresail.KindServer, "front", "buy", at, 0, front+inCart+way, false),
		span(2, 1, foresail.KindClient, "front", "add", at, front, front+inCart+way, false),
		span(3, 2, foresail.KindServer, "cart", "add", at, front+way, front+inCart, false),
		span(4, 3, foresail.KindClient, "cart", "set", at, front+way+cart, front+inCart, false),
		span(5, 4, foresail.KindServer, "db", "set", at, front+way+cart+way, front+inCart-way, false),
	}
}

// watch feeds seconds of ten beats: each with ten requests, of which late says how many are late, in which beat.
func watch(l *label.Labeller, seconds int, late func(second int) (beat, n int)) {
	for s := range seconds {
		beat, n := late(s)
		for b := range 10 {
			at := start.Add(time.Duration(s)*time.Second + time.Duration(b)*foresail.Beat)
			snap := &foresail.Snapshot{Start: at, End: at.Add(foresail.Beat), Has: foresail.SignalEndpoints, Endpoints: []foresail.EndpointStats{{Arrivals: 1, Requests: 1}}}
			if n > 0 && b >= beat && b < beat+n {
				snap.Endpoints[0].Late, snap.Endpoints[0].FirstLate = 1, at.Add(5*ms)
			}
			l.Add(snap)
		}
	}
}

// An episode starts with the first late request, is broken with the second (of ten, one is allowed), and is over after five
// good windows.
func TestEpisode(t *testing.T) {
	l := label.New(shop(), 0)
	watch(l, 12, func(s int) (int, int) {
		if s == 2 || s == 4 {
			return 3, 2
		}
		return 0, 0
	})
	got := l.Episodes()
	if len(got) != 1 {
		t.Fatalf("%+v", got)
	}
	e := got[0]
	for what, c := range map[string][2]time.Time{
		"start":  {e.Start, start.Add(2305 * ms)},
		"broken": {e.Broken, start.Add(2500 * ms)},
		"end":    {e.End, start.Add(5 * time.Second)},
		"over":   {e.Over, start.Add(10 * time.Second)},
	} {
		if !c[0].Equal(c[1]) {
			t.Errorf("%s is %s, want %s", what, c[0], c[1])
		}
	}
	if e.Culprit != label.Nobody || e.Traced != 0 {
		t.Errorf("nothing was traced, and %d is blamed", e.Culprit)
	}
}

// One late request of ten is allowed: a straggler makes no episode.
func TestAStragglerIsNoEpisode(t *testing.T) {
	l := label.New(shop(), 0)
	watch(l, 12, func(s int) (int, int) { return 3, 1 })
	if got := l.Episodes(); len(got) != 0 {
		t.Errorf("%+v", got)
	}
}

func TestCulprit(t *testing.T) {
	at := start.Add(2310 * ms)
	for name, c := range map[string]struct {
		late []foresail.Span
		want foresail.ServiceID
	}{
		"its own time":                           {request(at, 5, 200, 10, 1), 1},
		"not who is slow, but who is slower":     {request(at, 5, 10, 200, 1), 2},
		"large, but as ever":                     {request(at, 50, 10, 90, 1), 2},
		"a queue that grows with that of a db":   {request(at, 5, 300, 150, 1), 2},
		"a queue that does not":                  {request(at, 5, 300, 40, 1), 1},
		"a network that is slow at all edges":    {request(at, 5, 10, 10, 90), 1},
		"a failure in time":                      {failed(at, false), 2},
		"a caller that gave up waiting for cart": {failed(at, true), 1},
	} {
		l := label.New(shop(), 0)
		for range 50 {
			l.Spans(request(start, 50, 10, 10, 1))
		}
		l.Spans(c.late)
		l.Spans(request(start.Add(2900*ms), 500, 10, 10, 1)) // came when all was lost
		watch(l, 12, func(s int) (int, int) {
			if s == 2 {
				return 3, 2
			}
			return 0, 0
		})
		if got := l.Episodes(); len(got) != 1 || got[0].Culprit != c.want || got[0].Traced != 1 {
			t.Errorf("%s: %+v, want service %d", name, got, c.want)
		}
	}
}

// failed is a request that failed after 20 ms in db; or whose front gave up after 60 ms while cart went on.
func failed(at time.Time, gaveUp bool) []foresail.Span {
	if gaveUp {
		return []foresail.Span{
			span(1, 0, foresail.KindServer, "front", "buy", at, 0, 70, true),
			span(2, 1, foresail.KindClient, "front", "add", at, 10, 70, true),
			span(3, 2, foresail.KindServer, "cart", "add", at, 11, 300, false),
		}
	}
	return []foresail.Span{
		span(1, 0, foresail.KindServer, "front", "buy", at, 0, 20, true),
		span(2, 1, foresail.KindClient, "front", "add", at, 5, 20, true),
		span(3, 2, foresail.KindServer, "cart", "add", at, 6, 19, true),
		span(4, 3, foresail.KindClient, "cart", "set", at, 7, 18, true),
		span(5, 4, foresail.KindServer, "db", "set", at, 8, 8, true),
	}
}

// Spans from outside may be anything: twice the same, their own parents, ends before starts, services that nobody knows.
func TestOddSpansDoNoHarm(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	names := []string{"front", "cart", "db", "elsewhere", ""}
	l := label.New(shop(), 0)
	for range 3000 {
		var spans []foresail.Span
		for range rng.IntN(8) {
			spans = append(spans, span(rng.IntN(6), rng.IntN(6), foresail.SpanKind(rng.IntN(6)), names[rng.IntN(len(names))], "buy", start, rng.IntN(400), rng.IntN(400), rng.IntN(2) == 0))
		}
		l.Spans(spans)
	}
	watch(l, 12, func(int) (int, int) { return 0, 10 })
	if got := l.Episodes(); len(got) != 1 || !got[0].Over.IsZero() {
		t.Errorf("%+v", got)
	}
}
