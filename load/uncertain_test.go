package load_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"foresail.dev/load"
	"pgregory.net/rapid"
)

const day = 24 * time.Hour

// moments are the mean and the variance over the squared mean.
func moments(vs []float64) (mean, uncertainty float64) {
	for _, v := range vs {
		mean += v / float64(len(vs))
	}
	for _, v := range vs {
		uncertainty += (v - mean) * (v - mean) / float64(len(vs)-1)
	}
	return mean, uncertainty / (mean * mean)
}

// working are the working days out of n, by number.
func working(n int) (days []int) {
	for d := range n {
		if d%7 > 0 && d%7 < 4 { // not next to a weekend, so that all are alike
			days = append(days, d)
		}
	}
	return days
}

// Across days at the same time, the mean is Mean, and the variance over its square is Spread at the peak and in proportion
// to the mean elsewhere. 3000 days; tolerances are about four standard errors, the fourth moment of a lognormal included.
func TestVarianceGrowsWithTheMean(t *testing.T) {
	for _, spread := range []float64{0.05, 0.1, 0.3, 0.5} {
		u := load.Uncertain{Low: 200, High: 1000, Spread: spread, Seed: 7}
		for _, at := range []time.Duration{144 * time.Minute, 7 * time.Hour, 864 * time.Minute} { // bottom, slope, top
			var levels []float64
			for _, d := range working(7000) {
				levels = append(levels, u.Level(time.Duration(d)*day+at))
			}
			want := u.Mean(day + at)
			mean, uncertainty := moments(levels)
			near(t, "mean over expected", mean/want, 1, 4*math.Sqrt(spread/3000))
			near(t, "uncertainty over expected", uncertainty/(spread*want/1000), 1, 0.25)
		}
	}
}

func TestTheMeanHasADayAndAWeek(t *testing.T) {
	u := load.Uncertain{Low: 200, High: 1000, Weekend: 0.5}
	monday := make([]float64, 24)
	for h := range monday {
		monday[h] = u.Mean(day + time.Duration(h)*time.Hour)
		near(t, "the next working day", u.Mean(2*day+time.Duration(h)*time.Hour), monday[h], 1e-9)
		near(t, "the next week", u.Mean(8*day+time.Duration(h)*time.Hour), monday[h], 1e-9)
	}
	near(t, "the top", slices.Max(monday), 1000, 10)
	near(t, "the bottom", slices.Min(monday), 200, 25)
	near(t, "Saturday's top", u.Mean(5*day+864*time.Minute), 500, 1e-9)
	for at := time.Duration(0); at < 15*day; at += time.Minute { // no jump, at midnight neither
		if a, b := u.Mean(at), u.Mean(at+time.Minute); math.Abs(a-b) > 10 {
			t.Fatalf("from %v to %v at %v", a, b, at)
		}
	}
	short := u
	short.Day = time.Hour
	near(t, "a day of an hour", short.Mean(5*time.Hour+36*time.Minute), 500, 1e-9)
}

// measured is what the paper's figures show, of counts: across days at the same minute, the variance over the squared mean,
// at the peak and at the bottom.
func measured(counts []float64) (peak, bottom float64) {
	days := working(len(counts) / 1440)
	at := func(minute int) (float64, float64) {
		var vs []float64
		for _, d := range days {
			vs = append(vs, counts[d*1440+minute])
		}
		return moments(vs)
	}
	var means [144]float64 // of ten minutes each
	for m := range 1440 {
		v, _ := at(m)
		means[m/10] += v
	}
	high, low := 0, 0
	for i, v := range means {
		if v > means[high] {
			high = i
		}
		if v < means[low] {
			low = i
		}
	}
	around := func(m int) (sum float64) {
		n := 0.0
		for w := max(m-90, 0); w <= min(m+90, 1439); w += 10 {
			_, u := at(w)
			sum += u
			n++
		}
		return sum / n
	}
	return around(high*10 + 5), around(low*10 + 5)
}

// The properties of §2.2, measured on counts as the paper measured them, over 12 weeks of twenty services.
func TestMinutesHaveThePropertiesMeasured(t *testing.T) {
	const days = 84
	mean := func(p load.Place) (peak, bottom float64) {
		const n = 4
		for seed := range uint64(n) {
			a, b := measured(load.Minutes(seed+1, days, p))
			peak, bottom = peak+a/n, bottom+b/n
		}
		return peak, bottom
	}
	entry, low := mean(load.Place{Entry: true})
	rare, rareLow := mean(load.Place{InDegree: 1, Probability: 0.05})
	often, _ := mean(load.Place{InDegree: 1, Probability: 0.9})
	usual, _ := mean(load.Place{InDegree: 2, Probability: 0.5})
	shared, _ := mean(load.Place{InDegree: 10, Probability: 0.5})
	if entry < 2*low || rare < 2*rareLow {
		t.Errorf("uncertainty does not grow with the load: %.3f and %.3f at the bottom, %.3f and %.3f at the peak", low, rareLow, entry, rare)
	}
	near(t, "the highest uncertainty, figure 3a", rare, 0.5, 0.12)
	near(t, "others over entries, figure 3b", usual/entry, 2, 0.5)
	if !(rare > usual && usual > often) {
		t.Errorf("uncertainty does not fall with the probability of a call: %.3f, %.3f, %.3f (figure 4a)", rare, usual, often)
	}
	if !(usual > shared) {
		t.Errorf("uncertainty does not fall with the in-degree: %.3f, %.3f (figure 4b)", usual, shared)
	}
}

func TestMinutesAreCounts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := load.Place{Entry: rapid.Bool().Draw(t, "entry"), InDegree: rapid.IntRange(-1, 20).Draw(t, "degree"), Probability: rapid.Float64Range(-1, 3).Draw(t, "p")}
		seed, days := rapid.Uint64().Draw(t, "seed"), rapid.IntRange(0, 2).Draw(t, "days")
		a, b := load.Minutes(seed, days, p), load.Minutes(seed, days, p)
		if len(a) != days*1440 || !slices.Equal(a, b) {
			t.Fatal("not the same minutes again")
		}
		for i, v := range a {
			if v < 0 || v != math.Trunc(v) || math.IsInf(v, 0) {
				t.Fatalf("%v in minute %d", v, i)
			}
		}
	})
	if slices.Equal(load.Minutes(1, 1, load.Place{Entry: true}), load.Minutes(2, 1, load.Place{Entry: true})) {
		t.Error("two seeds, one series")
	}
}

// What is left open is drawn from the run's seed, what has a seed of its own is not, and the load itself stays as it was.
func TestSeeded(t *testing.T) {
	l := &load.Load{Curve: []load.Segment{
		{Shape: load.Wavering, Uncertain: &load.Uncertain{Low: 10, High: 50, Spread: 0.3}, For: day},
		{Shape: load.Wavering, Uncertain: &load.Uncertain{Low: 10, High: 50, Spread: 0.3, Seed: 9}},
	}, Wander: &load.Wander{Spread: 0.2}}
	at := 14 * time.Hour
	if a, b := l.Seeded(1).Level(at), l.Seeded(2).Level(at); a == b {
		t.Error("two runs, one load")
	}
	if a, b := l.Seeded(1).Level(at), l.Seeded(1).Level(at); a != b {
		t.Error("one seed, two loads")
	}
	if a, b := l.Seeded(1).Level(day+at), l.Seeded(2).Level(day+at); a != b {
		t.Error("a seed of its own was changed")
	}
	a, b := make([]float64, 3), make([]float64, 3)
	l.Seeded(1).Shares(at, a)
	l.Seeded(2).Shares(at, b)
	if slices.Equal(a, b) {
		t.Error("two runs, one mix")
	}
	if l.Curve[0].Uncertain.Seed != 0 || l.Wander.Seed != 0 {
		t.Error("the load was changed")
	}
	plain := &load.Load{Curve: []load.Segment{{From: 3}}}
	if plain.Seeded(5).Level(at) != 3 {
		t.Error("nothing is left open in a plain load")
	}
}

// A service that one endpoint of eight reaches has a less certain load than one that all reach.
func TestSharesThatWanderMakeRareServicesUncertain(t *testing.T) {
	l := (&load.Load{Wander: &load.Wander{Spread: 0.4, Day: time.Hour}}).Seeded(3)
	var one, half []float64
	shares := make([]float64, 8)
	for i := range 4000 {
		l.Shares(time.Duration(i)*10*time.Minute, shares)
		sum := 0.0
		for k, s := range shares {
			if sum += s; k == 3 {
				half = append(half, sum)
			}
		}
		near(t, "the whole", sum, 1, 1e-9)
		one = append(one, shares[0])
	}
	mean, rare := moments(one)
	_, common := moments(half)
	near(t, "mean share", mean, 1.0/8, 0.01)
	if rare < 3*common {
		t.Errorf("uncertainty %.3f of one endpoint, %.3f of four", rare, common)
	}
	rng := rand.New(rand.NewPCG(1, 1))
	n := [8]int{}
	l.Shares(time.Hour, shares)
	for range 8000 {
		n[l.Pick(time.Hour, rng, make([]float64, 8))]++
	}
	for k := range n {
		near(t, "requests", float64(n[k]), 8000*shares[k], 4*math.Sqrt(8000*shares[k]))
	}
}

func BenchmarkUncertainLevel(b *testing.B) {
	u := load.Uncertain{Low: 10, High: 50, Spread: 0.3, Seed: 1}
	b.ReportAllocs()
	at := time.Duration(0)
	for b.Loop() {
		at += 10 * time.Millisecond
		if u.Level(at) < 0 {
			b.Fatal("negative")
		}
	}
}
