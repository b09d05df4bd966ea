package label

import (
	"math"
	"testing"
	"time"

	"foresail.dev"
)

// front is an application of which the front end calls one of two back ends.
func front() *foresail.App {
	return &foresail.App{Services: []foresail.Service{{Name: "front"}, {Name: "mongo"}, {Name: "cassandra"}},
		Endpoints: []foresail.Endpoint{{Name: "read", Operation: "read", Objective: &foresail.Objective{Percentile: 99, Latency: time.Second}},
			{Name: "order", Operation: "order", Objective: &foresail.Objective{Percentile: 99, Latency: time.Second}}}}
}

// see shows n requests that spend own in the front end and the rest in a back end.
func see(p *Paths, n int, operation, back string, own, rest time.Duration) {
	t := time.Unix(1000, 0).UTC()
	id := func(i byte) foresail.SpanID { return foresail.SpanID{i} }
	for range n {
		p.Spans([]foresail.Span{
			{ID: id(1), Service: "front", Operation: operation, Kind: foresail.KindServer, Start: t, End: t.Add(own + rest)},
			{ID: id(2), Parent: id(1), Service: back, Operation: "find", Kind: foresail.KindServer, Start: t.Add(own), End: t.Add(own + rest)},
		})
	}
}

func TestHowMuchOfThePathHasMoved(t *testing.T) {
	const ms = time.Millisecond
	for name, c := range map[string]struct {
		before, after func(p *Paths)
		moved         float64
		unknown       bool
	}{
		"nothing changed":   {func(p *Paths) { see(p, 100, "read", "mongo", 30*ms, 10*ms) }, func(p *Paths) { see(p, 300, "read", "mongo", 30*ms, 10*ms) }, 0, false},
		"all twice as slow": {func(p *Paths) { see(p, 100, "read", "mongo", 30*ms, 10*ms) }, func(p *Paths) { see(p, 100, "read", "mongo", 60*ms, 20*ms) }, 0, false},
		"another back end":  {func(p *Paths) { see(p, 100, "read", "mongo", 30*ms, 10*ms) }, func(p *Paths) { see(p, 100, "read", "cassandra", 30*ms, 10*ms) }, 0.25, false},
		"a slower back end": {func(p *Paths) { see(p, 100, "read", "mongo", 30*ms, 10*ms) }, func(p *Paths) { see(p, 100, "read", "mongo", 30*ms, 30*ms) }, 0.25, false},
		"a new endpoint": {func(p *Paths) { see(p, 100, "read", "mongo", 30*ms, 10*ms) }, func(p *Paths) {
			see(p, 100, "read", "mongo", 30*ms, 10*ms)
			see(p, 100, "order", "mongo", 30*ms, 10*ms)
		}, 0.5, false},
		"another mix": {func(p *Paths) { see(p, 100, "read", "mongo", 30*ms, 10*ms); see(p, 100, "order", "mongo", 0, ms) }, func(p *Paths) { see(p, 100, "read", "mongo", 30*ms, 10*ms); see(p, 900, "order", "mongo", 0, ms) }, 0, false},
		"late ones are left": {func(p *Paths) { see(p, 100, "read", "mongo", 30*ms, 10*ms) }, func(p *Paths) {
			see(p, 100, "read", "mongo", 30*ms, 10*ms)
			see(p, 100, "read", "cassandra", 0, 2*time.Second)
		}, 0, false},
		"too few before": {func(p *Paths) { see(p, 99, "read", "mongo", 30*ms, 10*ms) }, func(p *Paths) { see(p, 100, "read", "mongo", 30*ms, 10*ms) }, 0, true},
		"too few after":  {func(p *Paths) { see(p, 100, "read", "mongo", 30*ms, 10*ms) }, func(p *Paths) { see(p, 99, "read", "mongo", 30*ms, 10*ms) }, 0, true},
		"no time at all": {func(p *Paths) { see(p, 100, "read", "mongo", 0, 0) }, func(p *Paths) { see(p, 100, "read", "mongo", 0, 0) }, 0, true},
	} {
		before, after := NewPaths(front()), NewPaths(front())
		c.before(before)
		c.after(after)
		moved, ok := before.Moved(after)
		if ok == c.unknown || math.Abs(moved-c.moved) > 1e-9 {
			t.Errorf("%s: %v %v, want %v", name, moved, ok, c.moved)
		}
	}
	p := NewPaths(front()) // what belongs to nothing is no matter
	p.Spans(nil)
	p.Spans([]foresail.Span{{ID: foresail.SpanID{1}, Service: "nobody", Kind: foresail.KindServer}})
}
