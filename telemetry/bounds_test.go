package telemetry_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"foresail.dev"
	. "foresail.dev/telemetry"
)

// A duplicate is found as long as its beat can be revised.
func TestDuplicates(t *testing.T) {
	a := NewAssembler(testApp(), Options{Start: epoch})
	for i := range 100 {
		a.Add([]foresail.Span{request(uint64(i+1), "cart", time.Duration(i)*foresail.Beat, ms)})
		if i >= 45 {
			a.Add([]foresail.Span{request(uint64(i+1-45), "cart", time.Duration(i-45)*foresail.Beat, ms)})
		}
		a.Cut(beat(i + 1))
	}
	if s := a.Stats(); s.Assembled != 100 || s.Duplicate != 55 || s.Dropped.Total() != 0 {
		t.Errorf("%+v", s)
	}
}

// With more spans than may be remembered the oldest are forgotten, which is counted, and nothing else changes.
func TestForgetting(t *testing.T) {
	a := NewAssembler(testApp(), Options{Start: epoch, MaxSpans: 400})
	for i := range uint64(10_000) {
		a.Add([]foresail.Span{request(i+1, "cart", 10*ms, ms)})
	}
	a.Add([]foresail.Span{request(10_000, "cart", 10*ms, ms), request(9_800, "cart", 10*ms, ms)})
	if s := a.Stats(); s.Assembled != 10_000 || s.Duplicate != 2 || s.Forgotten < 9_500 {
		t.Errorf("%+v", s)
	}
	waiting := func(n uint64, kind foresail.SpanKind) foresail.Span {
		s := request(n, "cart", 10*ms, ms)
		s.Parent, s.Kind = spanID(n+1_000_000), kind
		return s
	}
	a = NewAssembler(testApp(), Options{Start: epoch, MaxSpans: 4000, MaxWaiting: 10})
	for i := range uint64(100) {
		a.Add([]foresail.Span{waiting(2*i+1, foresail.KindUnspecified), waiting(2*i+2, foresail.KindServer)})
	}
	if s := a.Stats(); s.Waiting+s.Dropped.Limit != 100 || s.CallsLost != 95 || s.Waiting != 5 {
		t.Errorf("%+v", s)
	}
	for i := range 100 {
		a.Cut(beat(i + 1))
	}
	if s := a.Stats(); s.Waiting != 0 || s.Dropped.Orphan != 5 || s.CallsLost != 100 {
		t.Errorf("%+v", s)
	}
}

// Cells are bounded too: what finds no room is dropped and counted.
func TestCells(t *testing.T) {
	a := NewAssembler(testApp(), Options{Start: epoch, MaxCells: 20})
	for i := range uint64(100) {
		s := request(i+1, "cart", 10*ms, ms)
		s.Replica = fmt.Sprint(i)
		a.Add([]foresail.Span{s})
	}
	n := a.Cut(beat(1)).Services[1].Completions
	if s := a.Stats(); n < 15 || n > 20 || s.Dropped.Limit != 100-uint64(n) || s.Assembled != uint64(n) {
		t.Errorf("%g counted, %+v", n, s)
	}
	a.Add([]foresail.Span{request(1000, "cart", 110*ms, ms)})
	if n := a.Cut(beat(2)).Services[1].Completions; n != 1 {
		t.Errorf("after a cut there is room again: %g", n)
	}
}

// A flood of senders, names, traces and latencies that never repeat stays within a fixed memory.
func TestFloodStaysBounded(t *testing.T) {
	const limit = 100 << 20
	o := Options{Start: epoch, Discover: true, MaxSpans: 60_000, MaxCells: 10_000, MaxServices: 200, MaxReplicas: 500, MaxEdges: 1000}
	a := NewAssembler(&foresail.App{}, o)
	pad := strings.Repeat("x", 1000)
	batch := make([]foresail.Span, 1000)
	var peak uint64
	var m runtime.MemStats
	for i := range 100 {
		for j := range batch {
			n := uint64(i*len(batch) + j + 1)
			s := request(n, fmt.Sprint("service-", n%997, pad), time.Duration(i)*10*ms, time.Duration(1)<<(n%36))
			s.Start, s.End = s.Start.Add(-s.End.Sub(s.Start)), s.Start
			s.Replica, s.Operation = fmt.Sprint(n, pad), fmt.Sprint("op-", n, pad)
			s.Kind = foresail.SpanKind(n % 6)
			if n%3 == 0 {
				s.Parent = spanID(n + 1) // of another trace: it never comes
			}
			batch[j] = s
		}
		a.Add(batch)
		if i%10 == 9 {
			a.Cut(beat(i / 10))
		}
		if i%20 == 19 {
			runtime.GC()
			runtime.ReadMemStats(&m)
			peak = max(peak, m.HeapAlloc)
		}
	}
	s := a.Stats()
	if peak > limit {
		t.Errorf("%d MiB in use", peak>>20)
	}
	if app := a.App(); len(app.Services) > 200 || s.Folded == 0 || s.Forgotten == 0 {
		t.Errorf("%d services, %+v", len(app.Services), s)
	}
	if s.Received != s.Assembled+s.Outside+s.Duplicate+s.Waiting+s.Dropped.Total() {
		t.Errorf("spans received are not those accounted for: %+v", s)
	}
	t.Logf("%d MiB in use, %+v", peak>>20, s)
}

// A hundred thousand services with as many endpoints, ids that never come twice and names as long as they may be: the live
// heap stays under half of the cap that was set, so that with what waits to be collected the heap stays under it. What has
// no room is folded into "other" and counted; every span is accounted for, and every request that was taken is in a
// snapshot.
func TestMemoryStaysUnderItsCap(t *testing.T) {
	const limit = 48 << 20
	pad := strings.Repeat("x", 200)
	names := make([]string, 100_000)
	for i := range names {
		names[i] = fmt.Sprint(i, pad)
		if i%100 == 0 {
			names[i] += strings.Repeat("\xff", 300)
		}
	}
	live := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	base, peak, requests := live(), int64(0), 0.0
	a := NewAssembler(&foresail.App{}, Options{Start: epoch, Discover: true, MaxMemory: limit})
	batch := make([]foresail.Span, 1000)
	for i := range 120 {
		for j := range batch {
			n := uint64(i*len(batch) + j + 1)
			s := request(n, names[n*7919%100_000], time.Duration(i)*10*ms, time.Duration(n%400)*ms)
			s.Start, s.End = s.Start.Add(-s.End.Sub(s.Start)), s.Start
			s.Replica, s.Operation = names[n*104_729%100_000], names[n*31%100_000]
			switch n % 3 {
			case 0:
				s.Trace, s.Parent = traceID(n-1), spanID(n-1)
			case 1:
				s.Parent = spanID(n + 10_000_000) // it never comes
			}
			batch[j] = s
		}
		a.Add(batch)
		if i%10 == 9 {
			requests += completions(a.Cut(beat(i/10 + 1)))
		}
		if i%40 == 39 {
			peak = max(peak, live()-base)
		}
	}
	requests += completions(a.Cut(beat(40)))
	s := a.Stats()
	if peak > limit/2 {
		t.Errorf("%d MiB are live, more than %d", peak>>20, limit>>21)
	}
	if s.Folded == 0 || s.Received != s.Assembled+s.Outside+s.Duplicate+s.Waiting+s.Dropped.Total() || requests != float64(s.Assembled) {
		t.Errorf("%g requests, %+v", requests, s)
	}
	app := a.App()
	if _, ok := app.ServiceByName("other"); !ok || len(app.Services) > 2048 || len(app.Endpoints) > 1024 {
		t.Errorf("%d services, %d endpoints", len(app.Services), len(app.Endpoints))
	}
	t.Logf("%d MiB are live, %d services, %d endpoints, %+v", peak>>20, len(app.Services), len(app.Endpoints), s)
}

// Calls of more pairs than fit are folded into the pair of "other" with itself.
func TestPairsAreBounded(t *testing.T) {
	a := NewAssembler(&foresail.App{}, Options{Start: epoch, Discover: true, MaxServices: 10, MaxEdges: 5})
	for i := range uint64(100) {
		caller, callee := request(2*i+1, fmt.Sprint("s", i%9), 10*ms, 5*ms), request(2*i+2, fmt.Sprint("s", (i/9+i+1)%12), 11*ms, ms)
		callee.Trace, callee.Parent = caller.Trace, caller.ID
		a.Add([]foresail.Span{caller, callee})
	}
	s := a.Cut(beat(1))
	calls := 0.0
	for _, e := range s.Edges {
		calls += e.Calls
	}
	if st := a.Stats(); len(s.Edges) > 5 || st.CallsFolded == 0 || calls+float64(st.CallsLost) < 88 {
		t.Errorf("%g calls of %d pairs, %+v", calls, len(s.Edges), st)
	}
}

// completions is how many requests a snapshot tells of, late ones included.
func completions(s *foresail.Snapshot) (n float64) {
	for i := range s.Services {
		n += s.Services[i].Completions
	}
	for _, l := range s.Late {
		n += completions(l)
	}
	return n
}
