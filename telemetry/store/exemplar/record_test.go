package exemplar_test

import (
	"encoding/binary"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"testing/synctest"

	"foresail.dev"
	. "foresail.dev/telemetry/store/exemplar"
)

// Spans of many requests come apart, mixed, and from many senders; what is on disk afterwards is whole, and of each minute
// no more than was asked for.
func TestRecorder(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s := open(t, dir, Limits{})
		defer closeStore(t, s)
		r := NewRecorder(s, "shop", Recording{Choice: Choice{Slowest: 2, Random: 3, Seed: 1}})
		start := time.Now().Truncate(time.Minute).Add(time.Minute)
		time.Sleep(time.Until(start))
		for i := range 180 { // one a second, three minutes
			tr := request(i, start.Add(time.Duration(i)*time.Second).Sub(noon), time.Duration(1+i%60)*time.Millisecond)
			var senders sync.WaitGroup
			for _, span := range tr.Spans {
				senders.Go(func() {
					time.Sleep(time.Duration(len(span.Service)+i%3) * time.Second)
					r.Add([]foresail.Span{span})
				})
			}
			time.Sleep(time.Second)
		}
		time.Sleep(10 * time.Second)
		r.Close()
		r.Close()
		if st := r.Stats(); st.Whole != 180 || st.Off+st.Late+st.Cut+st.Unkept+st.Refused+st.Crowded != 0 {
			t.Errorf("%+v", st)
		}
	})
	all, skipped := readAll(t, dir, Query{})
	perMinute, slow := map[time.Time]int{}, 0
	for _, tr := range all {
		if len(tr.Spans) != 2 || tr.Root().Service != "front" {
			t.Errorf("not whole: %+v", tr)
		}
		perMinute[tr.Minute()]++
		if tr.Kept&Slowest != 0 {
			slow++
			if tr.Duration() < 59*time.Millisecond {
				t.Errorf("%v is not among the slowest two", tr.Duration())
			}
		}
	}
	for m, n := range perMinute {
		if n < 3 || n > 5 {
			t.Errorf("%d at %v", n, m)
		}
	}
	if slow != 6 || len(perMinute) != 3 || skipped.Count != 0 {
		t.Errorf("%d slowest in %d minutes; %v", slow, len(perMinute), skipped.String())
	}
}

// Spans with hostile ids and times cost a bounded memory and are counted; those of ordinary requests are still kept.
func TestHostileSpans(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s := open(t, dir, Limits{})
		defer closeStore(t, s)
		r := NewRecorder(s, "shop", Recording{MaxSpans: 100, MaxTrace: 10})
		off := time.Until(noon)
		ordinary := request(0, -off, time.Millisecond)
		future := request(1, -off+24*time.Hour, time.Millisecond)
		r.Add(ordinary.Spans)
		r.Add(future.Spans)
		r.Add([]foresail.Span{{}, {Service: "no ids"}})
		one := request(2, -off, time.Millisecond).Spans[0]
		for range 50 {
			r.Add([]foresail.Span{one}) // one trace that never ends
		}
		for i := range uint64(1000) {
			binary.BigEndian.PutUint64(one.Trace[:], i+1)
			r.Add([]foresail.Span{one})
		}
		time.Sleep(20 * time.Second)
		r.Close()
		if st := r.Stats(); st.Nameless != 2 || st.Crowded != 40 || st.Refused != 1000-86 || st.Off != 1 || st.Cut != 1 || st.Whole != 89 {
			t.Errorf("%+v", st)
		}
	})
	if got, _ := readAll(t, dir, Query{}); len(got) < 5 || len(got) > 10 {
		t.Errorf("%d are kept of one minute", len(got))
	}
}

// A store that can't be written is told once, and counted; nothing waits.
func TestStoreThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, t.TempDir(), Limits{})
		closeStore(t, s)
		var told []error
		r := NewRecorder(s, "shop", Recording{Trouble: func(err error) { told = append(told, err) }})
		for i := range 3 {
			r.Add(request(i, -time.Until(noon), time.Millisecond).Spans)
			time.Sleep(time.Minute)
		}
		r.Close()
		if st := r.Stats(); st.Unkept != 3 || len(told) != 1 || told[0] == nil || errors.Is(told[0], ErrLocked) {
			t.Errorf("%+v, told %v", st, told)
		}
	})
}

// A picker takes a file's spans, in their own time and any order.
func TestPicker(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Limits{})
	p := NewPicker(s, "shop", Choice{Slowest: 1, Random: -1})
	var second []foresail.Span
	for i := range 120 {
		tr := request(i, time.Duration(119-i)*time.Second, time.Duration(i)*time.Millisecond)
		second = append(second, tr.Spans[1])
		if err := p.Add(tr.Spans[:1]); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(p.Add(second), p.Close()); err != nil {
		t.Fatal(err)
	}
	closeStore(t, s)
	got, _ := readAll(t, dir, Query{})
	if len(got) != 2 || number(got[0].Trace) != 119 || number(got[1].Trace) != 59 || len(got[0].Spans) != 2 {
		t.Errorf("%v", numbers(got))
	}
}

// Five thousand requests a second by the spans' own time, so that a hundred thousand spans wait, and all are looked at.
func BenchmarkRecorderAdd(b *testing.B) {
	b.ReportAllocs()
	s := open(b, b.TempDir(), Limits{})
	defer s.Close()
	var now atomic.Int64
	now.Store(noon.UnixNano())
	r := NewRecorder(s, "shop", Recording{Now: func() time.Time { return time.Unix(0, now.Load()) }})
	spans := request(0, 0, time.Millisecond).Spans
	for i := range b.N {
		at := noon.Add(time.Duration(i) * 200 * time.Microsecond)
		now.Store(at.UnixNano())
		for k := range spans {
			binary.BigEndian.PutUint64(spans[k].Trace[8:], uint64(i)+1)
			spans[k].Start, spans[k].End = at.Add(-time.Millisecond), at
		}
		r.Add(spans)
	}
	r.Close()
	st := r.Stats()
	b.ReportMetric(float64(b.N*len(spans))/b.Elapsed().Seconds(), "spans/s")
	b.ReportMetric(100*float64(st.Refused)/float64(b.N*len(spans)), "%refused")
}

// A simulation's time may run much faster than the clock on the wall: what waits is let go by the simulation's.
func TestSimulatedTimeIsFast(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s := open(t, dir, Limits{}.Unsafe())
		defer closeStore(t, s)
		var now atomic.Int64
		now.Store(noon.UnixNano())
		r := NewRecorder(s, "shop", Recording{MaxSpans: 250, Now: func() time.Time { return time.Unix(0, now.Load()) }})
		for i := range 1200 { // two minutes, ten a second, two spans each: 200 wait at once
			r.Add(request(i, time.Duration(i)*100*time.Millisecond, time.Millisecond).Spans)
			now.Add(int64(100 * time.Millisecond))
			synctest.Wait()
		}
		r.Close()
		if st := r.Stats(); st.Whole != 1200 || st.Refused+st.Late+st.Off != 0 {
			t.Errorf("%+v", st)
		}
	})
	if got, _ := readAll(t, dir, Query{}); len(got) < 15 || len(got) > 20 {
		t.Errorf("%d traces of two minutes", len(got))
	}
}
