package telemetry_test

import (
	"testing"
	"time"

	"foresail.dev"
	. "foresail.dev/telemetry"
	"pgregory.net/rapid"
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
	jitter := func(d time.Duration) func(int) time.Duration { // delivered up to 0.6 s later
		return func(i int) time.Duration { return d - time.Duration(i*7%13)*50*ms }
	}
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
		"a year ahead":                {always(365 * 24 * time.Hour), 20 * ms, true, 100}, // in the second until it is known
		"a minute behind":             {always(-time.Minute), 20 * ms, true, 100},
		"an hour ahead with jitter":   {jitter(time.Hour), 20 * ms, true, 120},
		"an hour behind with jitter":  {jitter(-time.Hour), 20 * ms, true, 200}, // until it is known to be steady
		"right with jitter":           {jitter(0), 20 * ms, false, 0},
		"an hour ahead, set right":    {func(i int) time.Duration { return min(time.Duration(max(100-i, 0)), 1) * time.Hour }, 20 * ms, true, 100},
		"right, then an hour ahead":   {func(i int) time.Duration { return min(time.Duration(i/100), 1) * time.Hour }, 20 * ms, true, 100},
		"an hour ahead, then two":     {func(i int) time.Duration { return time.Duration(1+i/100) * time.Hour }, 20 * ms, true, 200},
		"ahead, then set right":       {func(i int) time.Duration { return time.Duration(max(60-i, 0)/30) * 2 * time.Second }, 20 * ms, true, 0},
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
	for _, skew := range []time.Duration{7 * time.Second, 70 * time.Minute, -70 * time.Minute} {
		a := NewAssembler(testApp(), Options{Start: epoch})
		for i := range 60 {
			s := request(uint64(i+1), "cart", time.Duration(i)*foresail.Beat+10*ms+skew, 20*ms)
			a.AddAt(epoch.Add(time.Duration(i)*foresail.Beat+35*ms), []foresail.Span{s})
			snap := a.Cut(beat(i + 1))
			if n := snap.Services[1].Completions; i >= 10 && n != 1 {
				t.Fatalf("%s ahead, beat %d: %g requests", skew, i, n)
			}
		}
	}
}

// Spans that somebody else sends in the name of a replica, stamped anyhow, don't keep out its own.
func TestOneBadStampSilencesNobody(t *testing.T) {
	a := NewAssembler(testApp(), Options{Start: epoch})
	at := epoch
	for i := range uint64(100) { // one span an hour ahead, then what really happened
		if i == 10 {
			for n := range uint64(2) {
				a.AddAt(at, []foresail.Span{request(1_000_000+n, "cart", time.Hour, ms)})
			}
		}
		var spans []foresail.Span
		for n := range uint64(400) {
			spans = append(spans, request(400*i+n+1, "cart", at.Sub(epoch)-50*ms, ms))
		}
		at = at.Add(20 * ms)
		if res := a.AddAt(at, spans); res.Rejected > 0 {
			t.Fatalf("message %d: %+v", i, res)
		}
	}
	if s := a.Stats(); s.Assembled != 40_000 || s.Skewed != 0 || s.Dropped != (Dropped{Ahead: 2}) {
		t.Errorf("%+v", s)
	}
}

// Good and bad stamps by turns, in messages of their own or within each: the good ones count, the bad ones don't.
func TestGoodAndBadStampsByTurns(t *testing.T) {
	for _, skew := range []time.Duration{time.Hour, -time.Hour, 20 * time.Second} {
		for _, together := range []bool{false, true} {
			a := NewAssembler(testApp(), Options{Start: epoch})
			for i := range 100 {
				now := time.Duration(i) * foresail.Beat
				good := []foresail.Span{request(uint64(2*i+1), "cart", now, 10*ms)}
				bad := []foresail.Span{request(uint64(2*i+2), "cart", now+skew, 10*ms)}
				if together {
					a.AddAt(epoch.Add(now+30*ms), append(good, bad...))
				} else {
					a.AddAt(epoch.Add(now+30*ms), good)
					a.AddAt(epoch.Add(now+80*ms), bad)
				}
				if n := a.Cut(beat(i + 1)).Services[1].Completions; n != 1 {
					t.Fatalf("%s ahead, beat %d: %g requests", skew, i, n)
				}
			}
			if s := a.Stats(); s.Assembled != 100 || s.Dropped.Ahead+s.Dropped.TooLate != 100 || s.Skewed != 0 {
				t.Errorf("%s ahead, together %t: %+v", skew, together, s)
			}
		}
	}
}

// Until an hour ahead is believed four messages must show it, over a second, and one to the contrary ends it.
func TestConfirmation(t *testing.T) {
	const hour, s = time.Hour, time.Second
	type message struct{ at, skew time.Duration }
	for name, c := range map[string]struct {
		messages []message
		counted  string // of each message: y, or n
	}{
		"slowly":           {[]message{{0, hour}, {5 * s, hour}, {10 * s, hour}, {15 * s, hour}, {20 * s, hour}}, "nnnyy"},
		"fast":             {[]message{{0, hour}, {ms, hour}, {2 * ms, hour}, {3 * ms, hour}, {999 * ms, hour}, {s, hour}}, "nnnnny"},
		"named repeatedly": {[]message{{0, hour}, {0, hour}, {0, hour}, {0, hour}, {s, hour}, {2 * s, hour}, {3 * s, hour}}, "nnnnnny"},
		"begun anew":       {[]message{{0, hour}, {s, hour}, {2 * s, hour}, {2 * s, 0}, {3 * s, hour}, {4 * s, hour}, {5 * s, hour}, {6 * s, hour}}, "nnnynnny"},
		"given up":         {[]message{{0, hour}, {s, hour}, {2 * s, hour}, {3 * s, hour}, {4 * s, 0}, {5 * s, 0}, {6 * s, hour}}, "nnnyyyn"},
		"kept":             {[]message{{0, hour}, {s, hour}, {2 * s, hour}, {3 * s, hour}, {4 * s, 2 * hour}, {5 * s, hour}}, "nnnyny"},
		"no two alike":     {[]message{{0, hour}, {s, 2 * hour}, {2 * s, 3 * hour}, {3 * s, 4 * hour}, {4 * s, 5 * hour}, {5 * s, 0}}, "nnnnny"},
		"one stamp": {[]message{{0, -hour}, {s, -hour - s}, {2 * s, -hour - 2*s}, {3 * s, -hour - 3*s}, {4 * s, -hour - 4*s}, {5 * s, -hour - 5*s},
			{6 * s, -hour - 6*s}}, "nnnnnnn"},
	} {
		a := NewAssembler(testApp(), Options{Start: epoch})
		got := ""
		for i, m := range c.messages {
			if a.AddAt(epoch.Add(m.at), []foresail.Span{request(uint64(i+1), "cart", m.at+m.skew-30*ms, 10*ms)}).Rejected > 0 {
				got += "n"
			} else {
				got += "y"
			}
			a.Cut(epoch.Add(m.at + foresail.Beat))
		}
		if got != c.counted {
			t.Errorf("%s: %s, want %s", name, got, c.counted)
		}
	}
}

// Whatever stamps come between in a replica's name, each of its own spans counts that comes on time.
func TestForgedStampsNeverKeepOutSpansOnTime(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := NewAssembler(testApp(), Options{Start: epoch})
		now, next := epoch, beat(1)
		skew := rapid.OneOf(rapid.Int64(), rapid.Int64Range(-int64(2*time.Hour), int64(2*time.Hour)), rapid.Int64Range(-int64(11*time.Second), int64(11*time.Second)))
		forged := skew.Draw(t, "skew")
		for i := range rapid.IntRange(1, 200).Draw(t, "messages") {
			now = now.Add(time.Duration(rapid.Int64Range(0, int64(400*ms)).Draw(t, "after")))
			for ; !next.After(now); next = next.Add(foresail.Beat) {
				a.Cut(next)
			}
			s := request(uint64(i+1), "cart", 0, 0)
			if rapid.IntRange(0, 5).Draw(t, "own") > 0 {
				if rapid.IntRange(0, 9).Draw(t, "other skew") == 0 {
					forged = skew.Draw(t, "skew")
				}
				s.End = now.Add(time.Duration(forged))
				s.Start = s.End.Add(-ms)
				a.AddAt(now, []foresail.Span{s})
				continue
			}
			s.End = now.Add(-time.Duration(rapid.Int64Range(0, int64(4800*ms)).Draw(t, "delay")))
			s.Start = s.End.Add(-ms)
			if res := a.AddAt(now, []foresail.Span{s}); res.Rejected > 0 {
				t.Fatalf("message %d: %+v", i, res)
			}
		}
	})
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
