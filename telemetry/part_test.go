package telemetry_test

import (
	"slices"
	"testing"
	"time"

	"foresail.dev"
	. "foresail.dev/telemetry"
	"pgregory.net/rapid"
)

// sent is a span on its way.
type sent struct {
	at   time.Time
	span foresail.Span
}

// drawSpans are spans of some traces, in the order in which they are received. No two of one endpoint last the same, so that
// it is clear which is the slowest.
func drawSpans(t *rapid.T, kinds ...foresail.SpanKind) (all []sent) {
	for i := range rapid.IntRange(1, 40).Draw(t, "requests") {
		trace := uint64(i/3 + 1) // spans of three requests share a trace
		s := request(uint64(i+1), rapid.SampledFrom([]string{"front", "cart", "db", "users", "stranger"}).Draw(t, "service"),
			time.Duration(rapid.Int64Range(0, int64(2*time.Second)).Draw(t, "start")), time.Duration(rapid.Int64Range(0, int64(time.Second)/64).Draw(t, "took")*64+int64(i)))
		s.Trace, s.Replica = traceID(trace), s.Service+rapid.SampledFrom([]string{"-1", "-2"}).Draw(t, "replica")
		s.Operation = rapid.SampledFrom([]string{"POST /buy", "buy", "op"}).Draw(t, "operation")
		s.Kind = rapid.SampledFrom(kinds).Draw(t, "kind")
		s.Failed = rapid.Bool().Draw(t, "failed")
		s.Weight = rapid.SampledFrom([]float64{1, 2, 0.5}).Draw(t, "weight")
		if p := rapid.Uint64Range(0, 3).Draw(t, "parent"); p > 0 {
			s.Parent = spanID((trace-1)*3 + p)
		}
		all = append(all, sent{s.End.Add(time.Duration(rapid.Int64Range(0, int64(3*time.Second)).Draw(t, "delay"))), s})
	}
	slices.SortStableFunc(all, func(a, b sent) int { return a.at.Compare(b.at) })
	return all
}

// Several assemblers that each take a part of the traces, and hand what they count to one that saw no span: its snapshots
// are those of an assembler that saw them all, late additions and maxima included. Each part may be some beats under way:
// then its spans count as if they had come so much later.
func TestPartsGiveWhatOneGives(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := Options{Start: epoch}
		if rapid.Bool().Draw(t, "with a load generator") {
			o.EndpointService = "users"
		}
		parts := o
		parts.Parts = true
		n := rapid.IntRange(1, 4).Draw(t, "assemblers")
		one, merged := NewAssembler(testApp(), o), NewShards(testApp(), o, rapid.IntRange(1, 2).Draw(t, "shards"))
		var from []*Shards
		var delay []int
		// Past 1.9 s some come too late: one whose parent does is known there, where both were in time, and not here.
		most := rapid.SampledFrom([]int{0, 18, 60}).Draw(t, "beats under way at most")
		delayed, tooLate := most > 0, most > 18
		for range n {
			// Another process has heard of the application in its own order.
			app := testApp()
			if rapid.Bool().Draw(t, "numbered otherwise") {
				slices.Reverse(app.Services)
				slices.Reverse(app.Endpoints)
				for i := range app.Endpoints {
					app.Endpoints[i].Entry = 2
				}
			}
			from = append(from, NewShards(app, parts, rapid.IntRange(1, 3).Draw(t, "shards there")))
			delay = append(delay, rapid.IntRange(0, most).Draw(t, "beats under way"))
		}
		kinds := []foresail.SpanKind{foresail.KindUnspecified, foresail.KindInternal, foresail.KindServer, foresail.KindClient, foresail.KindProducer, foresail.KindConsumer}
		if tooLate {
			kinds = kinds[1:]
		}
		all := drawSpans(t, kinds...)
		under := map[int][]*Part{} // by the beat in which they arrive
		spans := map[int][]sent{}
		dropped := [2]float64{}
		for i := 1; i <= 140; i++ {
			for len(all) > 0 && all[0].at.Before(beat(i)) {
				k := int(all[0].span.Trace[15]) % n
				from[k].AddBatch(time.Time{}, BatchOf([]foresail.Span{all[0].span}))
				spans[i+delay[k]] = append(spans[i+delay[k]], all[0])
				all = all[1:]
			}
			for k := range from {
				p := &Part{}
				from[k].Take(beat(i), beat(i), p)
				under[i+delay[k]] = append(under[i+delay[k]], p)
			}
			for _, s := range spans[i] {
				one.AddBatch(time.Time{}, BatchOf([]foresail.Span{s.span}))
			}
			for _, p := range under[i] {
				merged.AddPart(beat(i-1), p)
			}
			a, b := one.Cut(beat(i)), merged.Cut(beat(i))
			dropped[0], dropped[1] = dropped[0]+a.Dropped, dropped[1]+b.Dropped
			if delayed { // what came too late to count is counted in requests there, and in spans here
				a.Dropped, b.Dropped = 0, 0
			}
			if tooLate {
				withoutEdges(a)
				withoutEdges(b)
			}
			if a, b := text(a), text(b); a != b {
				t.Fatalf("beat %d:\none:    %s\nmerged: %s", i, a, b)
			}
		}
		if delayed {
			return
		}
		if dropped[0] != dropped[1] {
			t.Fatalf("dropped: %v", dropped)
		}
		sum := merged.Stats()
		for _, s := range from {
			sum = sum.Plus(s.Stats())
		}
		if a := one.Stats(); a != sum {
			t.Fatalf("one:    %+v\nmerged: %+v", a, sum)
		}
	})
}

// withoutEdges leaves out calls, and late additions that hold nothing else.
func withoutEdges(s *foresail.Snapshot) {
	s.Edges, s.Has = nil, s.Has&^foresail.SignalEdges
	s.Late = slices.DeleteFunc(s.Late, func(l *foresail.Snapshot) bool {
		withoutEdges(l)
		return l.Has == 0 && !slices.ContainsFunc(l.Services, func(v foresail.ServiceStats) bool { return v.Has != 0 })
	})
}

// Where the spans of one trace go to several assemblers, by service, requests count all the same. What is lost is counted: who
// called whom, and spans of no kind whose parent is elsewhere, since nobody can tell whether they are requests.
func TestPartsOfSplitTraces(t *testing.T) {
	o := Options{Start: epoch, Parts: true}
	from := map[string]*Shards{"front": NewShards(testApp(), o, 1), "cart": NewShards(testApp(), o, 1), "db": NewShards(testApp(), o, 1)}
	merged := NewShards(testApp(), Options{Start: epoch}, 1)
	for i := range uint64(10) {
		for k, service := range []string{"front", "cart", "db"} {
			s := request(3*i+uint64(k)+1, service, 0, 10*ms)
			s.Trace = traceID(i + 1)
			if k > 0 {
				s.Parent = spanID(3*i + uint64(k))
			}
			if service == "db" {
				s.Kind = foresail.KindUnspecified
			}
			from[service].AddBatch(time.Time{}, BatchOf([]foresail.Span{s}))
		}
	}
	sum := newTotal()
	var p Part
	for i := 1; i < 150; i++ { // until nobody waits for a parent any more
		for _, service := range []string{"front", "cart", "db"} {
			from[service].Take(beat(i), beat(i), &p)
			merged.AddPart(beat(i-1), &p)
		}
		sum.snapshot(testApp(), merged.Cut(beat(i)))
	}
	stats := merged.Stats()
	for _, s := range from {
		stats = stats.Plus(s.Stats())
	}
	c := sum.counts
	if c["front completions"] != 10 || c["cart completions"] != 10 || c["db completions"]+c["front→cart calls"]+c["cart→db calls"] != 0 {
		t.Errorf("%v", c)
	}
	if stats.CallsLost != 10 || stats.Dropped.Orphan != 10 || stats.Received != 30 {
		t.Errorf("%+v", stats)
	}
}

// What is in flight, as replicas report it to whoever takes in their telemetry, comes with the parts.
func TestPartsCarryReports(t *testing.T) {
	from, merged := NewShards(testApp(), Options{Start: epoch, Parts: true}, 2), NewShards(testApp(), Options{Start: epoch}, 1)
	if r := from.AddReports(beat(1), []Report{report(0, foresail.Gauge{Last: 5, Mean: 4, Max: 6}, 20, 15)}); r.Rejected > 0 {
		t.Error(r)
	}
	var p Part
	from.Take(beat(1), beat(1), &p)
	merged.AddPart(beat(1), &p)
	if c := merged.Cut(beat(1)).Services[1]; c.InFlight != (foresail.Gauge{Last: 5, Mean: 4, Max: 6}) {
		t.Errorf("%+v", c)
	}
	if from.Take(beat(2), beat(2), &p); len(p.Reports) > 0 {
		t.Error("they come twice")
	}
	flood := make([]Report, 20_000)
	r := from.AddReports(beat(1), flood)
	if s := from.Stats(); r.Rejected == 0 || s.ReportsDropped != uint64(r.Rejected) {
		t.Errorf("%+v %+v", r, s)
	}
}

// Whatever a part holds, it opens no more than the bounds allow, and what it costs is counted.
func TestPartsAreBounded(t *testing.T) {
	a := NewShards(testApp(), Options{Start: epoch, MaxCells: 5, MaxReplicas: 2}, 1)
	at := epoch.UnixNano() / int64(foresail.Beat)
	cell := func(beat int64) PartCell { return PartCell{Beat: beat, Arrivals: 1, Completions: 1} }
	a.AddPart(epoch, &Part{Units: []PartUnit{
		{Service: "front", Replica: "a", Seen: true, Spans: true, Cells: []PartCell{cell(at), cell(at + 1)}},
		{Service: "front", Replica: "b", Cells: []PartCell{cell(at), cell(at + 1_000_000)}},       // ahead, both of it
		{Service: "front", Replica: "c", Cells: []PartCell{cell(at - 1_000_000), cell(0)}},        // too late, and folded
		{Service: "front", Replica: "d", Cells: []PartCell{cell(at), cell(at + 1), cell(at + 2)}}, // no room
		{Service: "stranger", Replica: "e", Cells: []PartCell{cell(at)}},
	}, Endpoints: []PartEndpoint{{Name: "none", Cells: []PartRequests{{Beat: at}}}, {Name: "buy", Cells: []PartRequests{{Beat: at + 1_000_000, Requests: 1}}}},
		Edges: []PartEdge{{From: "front", To: "none", Cells: []PartCalls{{Beat: at, Calls: 3}}}, {From: "front", To: "cart", Cells: []PartCalls{{Beat: at + 1_000_000, Calls: 4}}}}})
	s := a.Stats()
	if s.Dropped != (Dropped{Ahead: 2, TooLate: 2, Limit: 3}) || s.Outside != 1 || s.CallsLost != 7 {
		t.Errorf("%+v", s)
	}
	if c := a.Cut(beat(2)).Services[0]; c.Completions != 2 || len(c.Replicas) != 3 {
		t.Errorf("%+v", c)
	}
}
