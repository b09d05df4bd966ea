package telemetry_test

import (
	"testing"
	"time"

	"foresail.dev"
	. "foresail.dev/telemetry"
	"pgregory.net/rapid"
)

// What came before the first cut for beats after it is told when their turn comes, and of whom it came.
func TestFirstCutKeepsWhatIsOpen(t *testing.T) {
	a := NewAssembler(testApp(), Options{})
	x, y := request(1, "cart", 20*ms, 10*ms), request(2, "cart", 30*ms, 10*ms)
	x.Replica, y.Replica = "a", "b"
	a.Add([]foresail.Span{x})
	a.Cut(beat(0))
	a.Add([]foresail.Span{y})
	s := a.Cut(beat(1))
	cart := s.Services[1]
	if cart.Arrivals != 2 || len(cart.Replicas) != 2 {
		t.Fatalf("%g arrivals, replicas %+v", cart.Arrivals, cart.Replicas)
	}
	for i, name := range []string{"a", "b"} {
		if r := cart.Replicas[i]; r.Name != name || r.Arrivals != 1 || r.Completions != 1 {
			t.Errorf("replica %s: %+v", name, r)
		}
	}
}

// However far apart cuts are and however far ahead spans end, nothing that was taken is lost, and each replica keeps
// what is its own.
func TestNothingIsForgottenWhileOpen(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		app := testApp()
		a := NewAssembler(app, Options{})
		got, want := newTotal(), newTotal()
		end, first := epoch, rapid.IntRange(0, 10).Draw(t, "spans before the first cut")
		for i := range rapid.IntRange(1, 30).Draw(t, "steps") {
			s := request(uint64(i+1), "cart", 0, 0)
			s.Replica = rapid.SampledFrom([]string{"a", "b", "c", "d"}).Draw(t, "replica")
			s.Start = end.Add(time.Duration(rapid.Int64Range(0, int64(9*time.Second)).Draw(t, "ahead")))
			s.End = s.Start.Add(ms)
			a.Add([]foresail.Span{s})
			for _, name := range []string{"cart", "cart/" + s.Replica} {
				want.counts[name+" completions"]++
			}
			if i == first {
				cut(t, a, got, end)
			}
			if i > first && rapid.Bool().Draw(t, "cut") {
				end = end.Add(time.Duration(rapid.Int64Range(int64(foresail.Beat), int64(3*time.Minute)).Draw(t, "by"))).Truncate(foresail.Beat)
				cut(t, a, got, end)
			}
		}
		cut(t, a, got, end)
		cut(t, a, got, end.Add(time.Hour))
		for k, w := range want.counts {
			if got.counts[k] != w {
				t.Fatalf("%s: %g, want %g; %+v", k, got.counts[k], w, a.Stats())
			}
		}
	})
}

// Nobody cuts while the cluster is acted on, which may take half a minute: spans that come meanwhile are not ahead of
// their time.
func TestSpansComeWhileNobodyCuts(t *testing.T) {
	a := NewAssembler(testApp(), Options{Start: epoch})
	got := newTotal()
	const beats = 400
	for i := range beats {
		now := beat(i + 1)
		res := a.AddAt(now, []foresail.Span{request(uint64(i+1), "cart", time.Duration(i)*foresail.Beat+10*ms, 40*ms)})
		if res.Rejected > 0 {
			t.Fatalf("%s after the last cut: %+v", now.Sub(epoch), res)
		}
	}
	cut(t, a, got, beat(beats))
	if n := got.counts["cart completions"]; n != beats {
		t.Errorf("%g completions of %d; %+v", n, beats, a.Stats())
	}
	if res := a.AddAt(beat(beats), []foresail.Span{request(9999, "cart", beats*foresail.Beat, time.Minute), request(9998, "cart", 39*time.Second, ms)}); res.Rejected != 1 {
		t.Errorf("a minute ahead: %+v", res)
	}
}

// What ends long after its receipt is ahead before the first cut too.
func TestAheadBeforeTheFirstCut(t *testing.T) {
	a := NewAssembler(testApp(), Options{})
	a.AddAt(beat(1), []foresail.Span{request(1, "cart", 10*ms, 20*ms), request(2, "cart", 20*ms, 20*ms), request(3, "cart", time.Hour, ms)})
	if d := a.Stats().Dropped; d != (Dropped{Ahead: 1}) {
		t.Errorf("%+v", d)
	}
}
