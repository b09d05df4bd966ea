package shapes_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"foresail.dev"
	"foresail.dev/telemetry/shapes"
)

// recorded is a request that was drawn: its spans, and what each of its services did by itself.
type recorded struct {
	t        *rapid.T
	clients  bool // callers report
	spans    []foresail.Span
	own      []time.Duration // by service; each is visited once
	services int
}

func (r *recorded) ms(name string, least int) time.Duration {
	return time.Duration(rapid.IntRange(least, 20).Draw(r.t, name)) * time.Millisecond
}

func (r *recorded) add(parent byte, kind foresail.SpanKind, service string) (id byte, at int) {
	s := span(byte(len(r.spans)+1), parent, kind, service, "do", 0, 0)
	r.spans = append(r.spans, s)
	return s.ID[7], len(r.spans) - 1
}

// visit draws a visit that is asked for at the given time, and returns when it answers.
func (r *recorded) visit(parent byte, caller string, at time.Time, depth int) time.Time {
	service := r.services
	name := string(rune('a' + service))
	r.services++
	r.own = append(r.own, 0)
	asked := at
	client := noSpan
	if r.clients && caller != "" {
		if rapid.Bool().Draw(r.t, "within") {
			var k int
			parent, k = r.add(parent, internal, caller)
			r.spans[k].Start, r.spans[k].End = at, at.Add(time.Millisecond)
		}
		parent, client = r.add(parent, foresail.KindClient, caller)
		at = at.Add(r.ms("there", 0))
	}
	id, k := r.add(parent, server, name)
	begun, waited := at, time.Duration(0)
	at = at.Add(r.ms("work", 1))
	for depth < 3 && r.services < 20 && rapid.Bool().Draw(r.t, "step") {
		end := at
		for range rapid.IntRange(1, 3).Draw(r.t, "calls") {
			if e := r.visit(id, name, at, depth+1); e.After(end) {
				end = e
			}
		}
		waited += end.Sub(at)
		at = end.Add(r.ms("work", 1))
	}
	r.spans[k].Start, r.spans[k].End = begun, at
	if client != noSpan {
		at = at.Add(r.ms("back", 0))
		r.spans[client].Start, r.spans[client].End = asked, at
	}
	r.own[service] = at.Sub(asked) - waited
	return at
}

const noSpan = -1

func appOf(services int) *foresail.App {
	app := &foresail.App{Endpoints: []foresail.Endpoint{{Name: "ask", Operation: "do"}}}
	for i := range services {
		app.Services = append(app.Services, foresail.Service{Name: string(rune('a' + i))})
	}
	return app
}

// latency is what a form's own times come to: its own, and of each step the longest of what goes on side by side.
func latency(s *foresail.ShapeStats, i int) float64 {
	sum, longest, step := s.Own[i].Sum(), 0.0, 0
	for k := i + 1; k < len(s.Form.Visits); k++ {
		v := &s.Form.Visits[k]
		if v.Parent != i || v.Async {
			continue
		}
		if v.Step != step {
			sum, longest, step = sum+longest, 0, v.Step
		}
		longest = max(longest, latency(s, k))
	}
	return sum + longest
}

// Of a drawn request, whatever the order in which its spans come and whoever reports them, each visit's own time is what was drawn,
// and together they come to the request's latency.
func TestOwnTimesComeToTheLatency(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := &recorded{t: t, clients: rapid.Bool().Draw(t, "clients")}
		end := r.visit(0, "", start, 0)
		rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "order"), 0)).Shuffle(len(r.spans), func(i, j int) { r.spans[i], r.spans[j] = r.spans[j], r.spans[i] })
		c := shapes.New(appOf(r.services), shapes.Options{})
		for part := range slices.Chunk(r.spans, rapid.IntRange(1, 8).Draw(t, "chunk")) {
			c.Add(start, part)
		}
		told := c.Cut(start.Add(time.Minute))
		if len(told) != 1 || told[0].Requests != 1 || len(told[0].Form.Visits) != r.services {
			t.Fatalf("%d shapes of %d services, %+v", len(told), r.services, c.Stats())
		}
		s := &told[0]
		for k, v := range s.Form.Visits {
			if got, want := s.Own[k].Sum(), r.own[v.Service].Seconds(); math.Abs(got-want) > 1e-9 {
				t.Errorf("%s took %v by itself, not %v: %s", string(rune('a'+v.Service)), want, got, s.Form.Key())
			}
		}
		if got, want := latency(s, 0), end.Sub(start).Seconds(); math.Abs(got-want) > 1e-9 || math.Abs(s.Latency.Sum()-want) > 1e-9 {
			t.Errorf("it took %v, not %v, and was told to take %v", want, got, s.Latency.Sum())
		}
		if x := c.Stats(); x.Clamped+x.Overruns+x.Retries != 0 {
			t.Errorf("%+v", x)
		}
	})
}

// So it is with spans that nobody would send: whatever the tree and the times are, a form's own times are never more than what the
// request took, and nothing is lost uncounted.
func FuzzSpans(f *testing.F) {
	f.Add([]byte{1, 0, 2, 0, 0, 9, 2, 1, 3, 1, 1, 5, 3, 2, 2, 1, 2, 4})
	f.Add([]byte{1, 2, 2, 0, 0, 9, 2, 1, 3, 1, 1, 5})
	f.Add([]byte{1, 0, 2, 0, 0, 200, 2, 1, 3, 0, 1, 250, 3, 2, 2, 1, 2, 251, 2, 1, 3, 0, 1, 250, 4, 1, 4, 0, 1, 2, 5, 4, 5, 2, 3, 250})
	f.Fuzz(func(t *testing.T, data []byte) {
		app := appOf(3)
		c := shapes.New(app, shapes.Options{MaxTrace: 50, MaxVisits: 20, Forms: 2})
		traces := 0
		for len(data) >= 6 {
			var spans []foresail.Span
			for len(data) >= 6 && len(spans) < 60 {
				d := data[:6]
				data = data[6:]
				// Four services, of which one is none of the application's.
				s := span(d[0], d[1], foresail.SpanKind(d[2]&7%6), string(rune('a'+d[3]&3)), []string{"do", "b/x", "get"}[d[3]>>2%3], float64(d[4]), float64(d[5]))
				s.Failed = d[2]&8 != 0
				spans = append(spans, s)
				if d[2]&16 != 0 {
					break
				}
			}
			traces++
			c.Trace(spans)
		}
		for _, s := range c.Cut(start) {
			if !(s.Requests > 0) || s.Pooled > s.Requests || s.Latency.Count() > s.Requests {
				t.Errorf("%+v", s)
			}
			if len(s.Own) != len(s.Form.Visits) || s.Form.Endpoint != 0 || s.Form.Visits[0].Service != 0 {
				t.Errorf("%s with %d own times", s.Form.Key(), len(s.Own))
			}
			if s.Pooled == 0 && s.Own[0].Sum() > s.Latency.Sum()+1e-9 && s.Latency.Count() == s.Requests {
				t.Errorf("the entry took %v, the requests %v: %s", s.Own[0].Sum(), s.Latency.Sum(), s.Form.Key())
			}
			if f, err := foresail.NewForm(0, s.Form.Visits); err != nil || f.Key() != s.Form.Key() {
				t.Errorf("%s is not canonical, %v", s.Form.Key(), err)
			}
		}
		s := c.Stats()
		if n := s.Complete + s.Unlooked + s.Incomplete + s.Cut + s.Malformed + s.TooLarge + s.Foreign; n != uint64(traces) {
			t.Errorf("%d traces became %+v", traces, s)
		}
	})
}
