package autothrottle

import (
	"math"
	"testing"
	"time"

	"foresail.dev"
	"pgregory.net/rapid"
)

// play shows a captain seconds of ten periods each: so many of them throttled, the first ones, at a constant usage.
func play(c *captain, usage float64, throttled ...int) {
	for _, n := range throttled {
		for i := range perDecision {
			x := 0.0
			if i < n {
				x = 1
			}
			c.observe(x, usage)
		}
	}
}

func captainAt(target, limit float64) *captain {
	c := newCaptain()
	c.Target, c.Limit, c.Before = target, limit, limit
	return &c
}

func near(t *testing.T, what string, got, want float64) {
	t.Helper()
	if math.Abs(got-want) > 1e-9*math.Max(1, math.Abs(want)) {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

func TestAboveThreeTimesTheTargetTheLimitGrowsByTheExcess(t *testing.T) {
	c := captainAt(0.1, 2)
	play(c, 1.9, 5) // 50 % against 30 %
	near(t, "limit", c.Limit, 2*1.2)
	near(t, "margin", c.Margin, 3+0.5-0.1)
	c = captainAt(0.1, 2)
	play(c, 1.9, 3) // 30 % is not above
	near(t, "limit at three times the target", c.Limit, 2)
}

func TestACutGoesToWhatWasUsedAndAMarginButHalfAtMost(t *testing.T) {
	c := captainAt(0.1, 4)
	c.Usage = append(repeat(0.8, usagePeriods/2), repeat(1, usagePeriods/2)...)
	play(c, 0.9, 0)
	near(t, "limit", c.Limit, max(2, 1+deviation(c)*c.Margin))
	c.Limit = 2
	play(c, 0.9, 0)
	near(t, "limit", c.Limit, 1+deviation(c)*c.Margin)
	c = captainAt(0.1, 40)
	c.Usage = append(c.Usage[:0], repeat(1, usagePeriods)...)
	play(c, 1, 0)
	near(t, "half at most", c.Limit, 20)
	c = captainAt(0.1, 1.11)
	c.Usage = append(c.Usage[:0], repeat(1, usagePeriods)...)
	play(c, 1, 0)
	near(t, "a cut to more than 90 % is none", c.Limit, 1.11)
	c.Limit = 1.12
	play(c, 1, 0)
	near(t, "a cut to 90 %", c.Limit, 1)
}

func deviation(c *captain) float64 { _, d := spread(c.Usage); return d }

func repeat(v float64, n int) []float64 {
	out := make([]float64, n)
	for i := range out {
		out[i] = v
	}
	return out
}

func TestACutThatWasTooDeepIsGivenBackTwice(t *testing.T) {
	c := captainAt(0.1, 2)
	c.Usage = append(c.Usage[:0], repeat(1, usagePeriods)...)
	play(c, 1, 0)
	near(t, "after the cut", c.Limit, 1)
	for range 3 {
		c.observe(1, 1)
	}
	near(t, "three of ten periods are not above 30 %", c.Limit, 1)
	c.observe(1, 1)
	near(t, "four are: 2 × 2 - 1", c.Limit, 3)
	if c.Lowered || len(c.Throttled) != 0 {
		t.Error("it would be given back again")
	}
}

// A second implementation, word for word as reference and artefact state it, with histories that are lists of zeros.
type stupid struct {
	target, limit, last, margin float64
	throttled, usage            []float64
	n                           int
	down                        bool
}

func (s *stupid) period(throttled, usage float64) {
	s.throttled = append(s.throttled, throttled)[1:]
	s.usage = append(s.usage, usage)[1:]
	mean := func() (m float64) {
		for _, x := range s.throttled {
			m += x / 10
		}
		return
	}
	if mean() > 3*s.target+1e-9 && s.down {
		s.limit = 2*s.last - s.limit
		s.margin += mean() - s.target
		s.throttled, s.down = make([]float64, 10), false
	}
	s.n++
	if s.n%10 != 0 {
		return
	}
	s.last, s.down = s.limit, false
	s.margin = math.Max(0, s.margin+mean()-s.target)
	if mean() > 3*s.target+1e-9 {
		s.limit *= 1 + (mean() - 3*s.target)
	} else {
		most, m, v := 0.0, 0.0, 0.0
		for _, x := range s.usage {
			most, m = math.Max(most, x), m+x/50
		}
		for _, x := range s.usage {
			v += (x - m) * (x - m) / 49
		}
		if p := most + s.margin*math.Sqrt(v); p <= 0.9*s.limit {
			s.limit, s.down = math.Max(0.5*s.limit, p), true
		}
	}
	s.throttled, s.limit = make([]float64, 10), math.Max(0.01, s.limit)
}

func TestTheCaptainIsTheArtefacts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		target := targets[rapid.IntRange(0, ladder-1).Draw(t, "target")]
		c := captainAt(target, 2)
		s := &stupid{target: target, limit: 2, last: 2, margin: 3, throttled: make([]float64, 10), usage: make([]float64, 50)}
		for i := range rapid.IntRange(1, 300).Draw(t, "periods") {
			x := float64(rapid.IntRange(0, 2).Draw(t, "throttled")) / 2
			u := rapid.Float64Range(0, 3).Draw(t, "cores")
			c.observe(x, u)
			s.period(x, u)
			if math.Abs(c.Limit-s.limit) > 1e-6*s.limit || math.Abs(c.Margin-s.margin) > 1e-6 {
				t.Fatalf("period %d: limit %v and margin %v, want %v and %v", i, c.Limit, c.Margin, s.limit, s.margin)
			}
		}
	})
}

func TestPeriodsOfASnapshot(t *testing.T) {
	has := foresail.SignalCPU | foresail.SignalThrottled | foresail.SignalReady
	rep := func(ready int, throttled time.Duration) foresail.ReplicaStats {
		return foresail.ReplicaStats{Usage: foresail.Usage{Has: has, Ready: ready, Throttled: throttled}}
	}
	beat := func(d time.Duration, st foresail.ServiceStats) (int, float64, float64) {
		st.Has = has
		return periods(&st, &foresail.Snapshot{Start: time.Unix(0, 0), End: time.Unix(0, 0).Add(d)})
	}
	ms := time.Millisecond
	n, share, cores := beat(100*ms, foresail.ServiceStats{Usage: foresail.Usage{CPU: 0.05, Ready: 2},
		Replicas: []foresail.ReplicaStats{rep(1, 3*ms), rep(1, 0), rep(0, 90*ms)}})
	if n != 1 || share != 0.5 || cores != 0.5 {
		t.Errorf("one of two ready replicas: %d periods, %v, %v cores", n, share, cores)
	}
	if n, share, _ := beat(time.Second, foresail.ServiceStats{Replicas: []foresail.ReplicaStats{rep(1, 300*ms)}}); n != 10 || share != 0.3 {
		t.Errorf("a second: %d periods, %v", n, share)
	}
	if _, share, _ := beat(100*ms, foresail.ServiceStats{Usage: foresail.Usage{Ready: 4, Throttled: 20 * ms}}); share != 0.25 {
		t.Errorf("replicas not told apart: %v, want one of four", share)
	}
	st := foresail.ServiceStats{Usage: foresail.Usage{Has: foresail.SignalCPU}}
	if n, _, _ := periods(&st, &foresail.Snapshot{Start: time.Unix(0, 0), End: time.Unix(1, 0)}); n != 0 {
		t.Error("throttling that was not observed was")
	}
}
