package load_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"foresail.dev/load"
	"pgregory.net/rapid"
)

// A flash crowd and steps at instants for which their level is known.
func TestFlashAndSteps(t *testing.T) {
	sec := time.Second
	crowd := load.Segment{Shape: load.Flash, From: 100, To: 1100, At: 10 * sec, Rise: 4 * sec, Hold: 6 * sec, Decay: 5 * sec}
	up := load.Segment{Shape: load.Steps, From: 4, To: 9, By: 2, Step: sec, For: 4 * sec}
	down := load.Segment{Shape: load.Steps, From: 9, To: 4, By: 2.5, Step: sec}
	for _, c := range []struct {
		name string
		s    load.Segment
		at   map[time.Duration]float64
	}{
		{"flash", crowd, map[time.Duration]float64{0: 100, 10 * sec: 100, 12 * sec: 600, 14 * sec: 1100, 20*sec - 1: 1100, 20 * sec: 1100,
			25 * sec: 100 + 1000/math.E, 30 * sec: 100 + 1000/math.E/math.E, time.Hour: 100}},
		{"a flash without a way up and down is a spike", load.Segment{Shape: load.Flash, From: 1, To: 9, At: sec, Hold: sec},
			map[time.Duration]float64{sec - 1: 1, sec: 9, 2*sec - 1: 9, 2 * sec: 1}},
		{"steps up end at their last level", up, map[time.Duration]float64{0: 4, sec - 1: 4, sec: 6, 2 * sec: 8, 3 * sec: 9, time.Hour: 9}},
		{"steps down", down, map[time.Duration]float64{0: 9, sec: 6.5, 2 * sec: 4, time.Hour: 4}},
		{"steps that can't be taken", load.Segment{Shape: load.Steps, From: 4, To: 9}, map[time.Duration]float64{time.Hour: 4}},
	} {
		l := &load.Load{Curve: []load.Segment{c.s}}
		for at, want := range c.at {
			near(t, fmt.Sprintf("%s at %v", c.name, at), l.Level(at), want, 1e-9)
		}
	}
}

// A level hangs on the load and the instant alone: not on what was asked before, nor on the order.
func TestLevelsAreTheSameInAnyOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := &load.Load{Curve: []load.Segment{{Shape: load.Bursts, From: 1, To: 9, Every: time.Second, Width: 400 * time.Millisecond,
			Seed: rapid.Uint64().Draw(t, "seed")}}, Noise: load.Noise{CV: 0.3, Seed: rapid.Uint64().Draw(t, "noise")}}
		if rapid.Bool().Draw(t, "uncertain") {
			l.Curve = []load.Segment{{Shape: load.Wavering, Uncertain: &load.Uncertain{Low: 1, High: 9, Day: time.Minute, Spread: 0.5, Seed: 4}}}
		}
		again := *l
		at := rapid.SliceOf(rapid.Int64Range(-1e9, 1e12)).Draw(t, "at")
		first := map[int64]float64{}
		for _, a := range at {
			first[a] = l.Level(time.Duration(a))
		}
		for i := len(at) - 1; i >= 0; i-- {
			if got := again.Level(time.Duration(at[i])); got != first[at[i]] {
				t.Fatalf("level at %d: %v, and %v before", at[i], got, first[at[i]])
			}
		}
	})
}

// watch looks at a load each hundredth of a width: the share of time at the peak, how often it rose, when first, and the
// waits in between, in widths.
func watch(l *load.Load, n int, width time.Duration) (share float64, rises int, first int, idle []float64) {
	high, before, ended := 0, false, -1
	for i := range n {
		now := l.Level(time.Duration(i)*width/100) > 5
		switch {
		case now && !before:
			if rises++; rises == 1 {
				first = i
			}
			if ended >= 0 {
				idle = append(idle, float64(i-ended)/100)
			}
		case before && !now:
			ended = i
		}
		if now {
			high++
		}
		before = now
	}
	return float64(high) / float64(n), rises, first, idle
}

// Bursts are a Poisson process: at their peak for a share 1-exp(-width/every) of the time, and from the end of one to the
// next start it takes an exponential time. Another seed gives others. Tolerances are four standard errors.
func TestBursts(t *testing.T) {
	const every, width, spans = 5 * time.Second, time.Second, 20_000 // spans of a width
	l := func(seed uint64) *load.Load {
		return &load.Load{Curve: []load.Segment{{Shape: load.Bursts, From: 1, To: 9, Every: every, Width: width, Seed: seed}}}
	}
	share, rises, first, idle := watch(l(1), spans*100, width)
	// Groups of overlapping bursts follow each other as a renewal process: idle for every on average, busy for
	// every*(exp(width/every)-1).
	groups := spans / (5 + 5*(math.Exp(0.2)-1))
	near(t, "groups of bursts", float64(rises), groups, 4*math.Sqrt(groups))
	near(t, "share at the peak", share, 1-math.Exp(-0.2), 4*0.2/math.Sqrt(groups))
	longer := 0.0
	for _, wait := range idle {
		if wait > 5 {
			longer++
		}
	}
	p := math.Exp(-1)
	near(t, "waits longer than the mean", longer/float64(len(idle)), p, 4*math.Sqrt(p*(1-p)/float64(len(idle))))
	if _, rises, other, _ := watch(l(2), 10_000, width); rises == 0 || other == first {
		t.Errorf("seeds 1 and 2 both burst at %d", first)
	}
	if l(1).Level(-time.Hour) != l(1).Level(0) {
		t.Error("before the start the load is not what it is there")
	}
}

// Noise keeps the mean of the curve, has the spread it is given and no memory, and what lies within one step is alike.
func TestNoise(t *testing.T) {
	const n, cv = 20_000, 0.4
	l := &load.Load{Curve: []load.Segment{{From: 50}}, Noise: load.Noise{CV: cv, Step: 2 * time.Second, Seed: 5}}
	sum, squares, product, before := 0.0, 0.0, 0.0, 0.0
	for i := range n {
		at := time.Duration(i) * 2 * time.Second
		v := l.Level(at) / 50
		if w := l.Level(at+2*time.Second-1) / 50; w != v {
			t.Fatalf("%v and %v in one step", v, w)
		}
		sum += v
		squares += v * v
		product += (v - 1) * (before - 1)
		before = v
	}
	mean := sum / n
	near(t, "mean", mean, 1, 4*cv/math.Sqrt(n))
	near(t, "coefficient of variation", math.Sqrt(squares/n-mean*mean), cv, 0.02)
	near(t, "correlation of neighbours", product/n/(cv*cv), 0, 4/math.Sqrt(n)*1.5)
	other := *l
	other.Noise.Seed = 6
	if l.Level(0) == other.Level(0) {
		t.Error("two seeds give the same noise")
	}
	other.Noise.CV = 0
	near(t, "without noise", other.Level(0), 50, 0)
}

// A cycle brings the mix round: held against moving it by hand.
func TestCycle(t *testing.T) {
	sec := time.Second
	points := []load.MixPoint{{At: 2 * sec, Shares: []float64{1, 0}}, {At: 6 * sec, Shares: []float64{0, 1}}}
	for _, c := range []struct {
		name  string
		drift bool
		at    map[time.Duration]float64 // share of the first
	}{
		{"at once", false, map[time.Duration]float64{0: 0, 2 * sec: 1, 5 * sec: 1, 6 * sec: 0, 9 * sec: 0, 11 * sec: 0, 12 * sec: 1}},
		{"drifting", true, map[time.Duration]float64{2 * sec: 1, 4 * sec: .5, 6 * sec: 0, 9 * sec: .5, 0: 2. / 3, 10 * sec: 2. / 3, 12 * sec: 1, 104 * sec: .5}},
	} {
		l := load.Load{Mix: points, Drift: c.drift, Cycle: 10 * sec}
		for at, want := range c.at {
			got := make([]float64, 2)
			l.Shares(at, got)
			near(t, fmt.Sprintf("%s, share at %s", c.name, at), got[0], want, 1e-12)
			near(t, "shares add up", got[0]+got[1], 1, 1e-12)
		}
	}
	one := load.Load{Mix: points[:1], Drift: true, Cycle: 10 * sec}
	got := make([]float64, 2)
	one.Shares(0, got)
	near(t, "a cycle of one point", got[0], 1, 0)
}

// benchstat: go test -bench . -count 6 ./load | tee new.txt; benchstat old.txt new.txt
func BenchmarkLevel(b *testing.B) {
	for _, c := range []struct {
		name string
		l    load.Load
	}{
		{"constant", load.Load{Curve: []load.Segment{{From: 9}}}},
		{"diurnal", load.Load{Curve: []load.Segment{{Shape: load.Diurnal, From: 1, To: 9, Period: time.Hour}}}},
		{"trace", load.Load{Curve: []load.Segment{{Shape: load.Trace, Values: make([]float64, 80_000), Step: time.Minute}}}},
		{"bursts", load.Load{Curve: []load.Segment{{Shape: load.Bursts, From: 1, To: 9, Every: time.Minute, Width: 10 * time.Second}}}},
		{"flash", load.Load{Curve: []load.Segment{{Shape: load.Flash, From: 1, To: 9, Decay: time.Minute}}}},
		{"noise", load.Load{Curve: []load.Segment{{From: 9}}, Noise: load.Noise{CV: 0.2}}},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			at := time.Duration(0)
			for b.Loop() {
				c.l.Level(at)
				at += 10 * time.Millisecond
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds()/1e6, "Mlevels/s")
		})
	}
}

// The cost of one arrival of each curve at a thousand requests a second.
func BenchmarkNext(b *testing.B) {
	for _, c := range []struct {
		name string
		l    load.Load
	}{
		{"ramp", load.Load{Curve: []load.Segment{{Shape: load.Ramp, From: 900, To: 1100, For: time.Hour}}}},
		{"bursts", load.Load{Curve: []load.Segment{{Shape: load.Bursts, From: 900, To: 2000, Every: time.Minute, Width: 10 * time.Second}}}},
		{"noise", load.Load{Curve: []load.Segment{{From: 1000}}, Noise: load.Noise{CV: 0.2}}},
	} {
		b.Run(c.name, func(b *testing.B) {
			a := load.NewArrivals(&c.l, rand.New(rand.NewPCG(1, 0)))
			b.ReportAllocs()
			for b.Loop() {
				a.Next(math.MaxInt64)
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds()/1e6, "Marrivals/s")
		})
	}
}
