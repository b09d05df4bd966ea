package telemetry_test

import (
	"testing"
	"time"

	"foresail.dev"
	. "foresail.dev/telemetry"
)

// send adds one batch each beat for a while, from a sender whose clock is off by skew(i) and which delivers with a
// delay, and returns how many requests each snapshot counted in its own interval or late.
func send(t *testing.T, beats int, skew func(i int) time.Duration, delay time.Duration) (*Assembler, *total) {
	a := NewAssembler(testApp(), Options{Start: epoch})
	got := newTotal()
	for i := range beats {
		now := beat(i + 1)
		at := now.Add(-delay + skew(i))
		var spans []foresail.Span
		for j := range uint64(10) {
			s := request(uint64(i)*10+j+1, "cart", 0, 0)
			s.End = at.Add(-time.Duration(j) * 5 * ms)
			s.Start = s.End.Add(-10 * ms)
			spans = append(spans, s)
		}
		a.AddAt(now, spans)
		cut(t, a, got, now)
	}
	for i := beats; i < beats+150; i++ {
		cut(t, a, got, beat(i+1))
	}
	return a, got
}

func TestClocks(t *testing.T) {
	const beats = 200
	always := func(d time.Duration) func(int) time.Duration { return func(int) time.Duration { return d } }
	for name, c := range map[string]struct {
		skew    func(int) time.Duration
		delay   time.Duration
		skewed  bool
		dropped uint64 // at most
	}{
		"right":                       {always(0), 20 * ms, false, 0},
		"a little ahead":              {always(50 * ms), 0, false, 0},
		"slow delivery":               {always(0), 3 * time.Second, false, 0},
		"three seconds ahead":         {always(3 * time.Second), 20 * ms, true, 0},
		"a year ahead":                {always(365 * 24 * time.Hour), 20 * ms, true, 0},
		"a minute behind":             {always(-time.Minute), 20 * ms, true, 300}, // until it is known
		"ahead, then set right":       {func(i int) time.Duration { return time.Duration(max(60-i, 0)/30) * 2 * time.Second }, 20 * ms, true, 300},
		"drifting away":               {func(i int) time.Duration { return time.Duration(i) * 10 * ms }, 20 * ms, true, 0},
		"ahead, and delivered slowly": {always(10 * time.Second), 2 * time.Second, true, 0},
	} {
		t.Run(name, func(t *testing.T) {
			a, got := send(t, beats, c.skew, c.delay)
			st := a.Stats()
			if (st.Skewed > 0) != c.skewed || st.Dropped.Total() > c.dropped {
				t.Errorf("%+v", st)
			}
			if n := got.counts["cart completions"]; n != 10*beats-float64(st.Dropped.Total()) || n < 10*beats*0.8 {
				t.Errorf("%g requests counted of %d, %d dropped", n, 10*beats, st.Dropped.Total())
			}
		})
	}
}

// Once the clock is known, requests are counted when they happened.
func TestSkewedTimesAreRight(t *testing.T) {
	a := NewAssembler(testApp(), Options{Start: epoch})
	for i := range 40 {
		s := request(uint64(i+1), "cart", time.Duration(i)*foresail.Beat+10*ms+7*time.Second, 20*ms) // seven seconds ahead
		a.AddAt(epoch.Add(time.Duration(i)*foresail.Beat+35*ms), []foresail.Span{s})
		snap := a.Cut(beat(i + 1))
		if n := snap.Services[1].Completions; n != 1 {
			t.Fatalf("beat %d: %g requests", i, n)
		}
	}
}

// One absurd span among good ones is dropped alone, and old data is not taken for a clock that is behind.
func TestNoFalseSkew(t *testing.T) {
	a := NewAssembler(testApp(), Options{Start: epoch})
	a.Cut(beat(1000))
	a.AddAt(beat(1000), []foresail.Span{request(1, "cart", 100*time.Second-20*ms, 10*ms), request(2, "cart", 100*time.Second-40*ms, 10*ms),
		request(3, "cart", 100*time.Hour, ms)})
	if s := a.Stats(); s.Skewed != 0 || s.Assembled != 2 || s.Dropped.Ahead != 1 {
		t.Errorf("%+v", s)
	}
	for i := range 40 { // ten times as fast as it happened
		a.AddAt(beat(1000+i), []foresail.Span{request(uint64(10+i), "db", time.Duration(i)*time.Second, ms)})
	}
	if s := a.Stats(); s.Skewed != 0 || s.Dropped.TooLate != 40 {
		t.Errorf("%+v", s)
	}
}
