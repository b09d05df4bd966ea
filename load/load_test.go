package load_test

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/load"
	"pgregory.net/rapid"
)

func near(t *testing.T, what string, got, want, tolerance float64) {
	t.Helper()
	if math.Abs(got-want) > tolerance {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

// A load that is multiplied survives being sent to another process.
func TestTimesIsSent(t *testing.T) {
	l := (&load.Load{Curve: []load.Segment{{From: 2}}}).Times(3).Times(5)
	text, err := json.Marshal(l)
	if err != nil {
		t.Fatal(err)
	}
	var got load.Load
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	if r := got.Level(time.Second); r != 30 {
		t.Errorf("%v requests/s, not 30: %s", r, text)
	}
}

// Each shape at instants for which its level is known.
func TestShapes(t *testing.T) {
	sec := time.Second
	cases := []struct {
		name  string
		curve []load.Segment
		at    map[time.Duration]float64
	}{
		{"constant, for ever", []load.Segment{{From: 40}}, map[time.Duration]float64{0: 40, time.Hour: 40}},
		{"no curve", nil, map[time.Duration]float64{0: 0, time.Hour: 0}},
		{"ramp", []load.Segment{{Shape: load.Ramp, From: 10, To: 30, For: 10 * sec}},
			map[time.Duration]float64{0: 10, 5 * sec: 20, 10 * sec: 30, time.Hour: 30}},
		{"a ramp without an end never gets anywhere", []load.Segment{{Shape: load.Ramp, From: 10, To: 30}}, map[time.Duration]float64{time.Hour: 10}},
		{"diurnal", []load.Segment{{Shape: load.Diurnal, From: 10, To: 50, Period: 24 * time.Hour}},
			map[time.Duration]float64{0: 10, 6 * time.Hour: 30, 12 * time.Hour: 50, 18 * time.Hour: 30, 24 * time.Hour: 10, 36 * time.Hour: 50}},
		{"spike", []load.Segment{{Shape: load.Spike, From: 5, To: 90, At: 10 * sec, Width: 2 * sec, For: 20 * sec}},
			map[time.Duration]float64{0: 5, 10*sec - 1: 5, 10 * sec: 90, 12*sec - 1: 90, 12 * sec: 5, time.Minute: 5}},
		{"trace", []load.Segment{{Shape: load.Trace, Values: []float64{3, 7, 5}, Step: sec, For: 3 * sec}},
			map[time.Duration]float64{0: 3, sec - 1: 3, sec: 7, 2500 * time.Millisecond: 5, time.Hour: 5}},
		{"an empty trace", []load.Segment{{Shape: load.Trace, Step: sec}}, map[time.Duration]float64{0: 0}},
		{"segments follow each other, and the last holds", []load.Segment{{From: 10, For: 10 * sec}, {Shape: load.Ramp, From: 10, To: 20, For: 10 * sec}},
			map[time.Duration]float64{9 * sec: 10, 15 * sec: 15, 20 * sec: 20, time.Hour: 20}},
		{"never negative", []load.Segment{{From: -3, For: sec}, {From: -1}}, map[time.Duration]float64{0: 0, time.Hour: 0}},
	}
	for _, c := range cases {
		l := &load.Load{Curve: c.curve}
		for at, want := range c.at {
			near(t, fmt.Sprintf("%s at %v", c.name, at), l.Level(at), want, 1e-9)
		}
	}
}

// Before the start, the load is what it is at the start.
func TestBeforeTheStart(t *testing.T) {
	sec := time.Second
	for name, s := range map[string]load.Segment{
		"constant":                      {From: 7},
		"ramp":                          {Shape: load.Ramp, From: 10, To: 30, For: 10 * sec},
		"diurnal":                       {Shape: load.Diurnal, From: 10, To: 50, Period: time.Minute},
		"spike that rises at the start": {Shape: load.Spike, From: 5, To: 90, Width: sec},
		"trace":                         {Shape: load.Trace, Values: []float64{3, 7, 5}, Step: sec},
	} {
		l := &load.Load{Curve: []load.Segment{s}}
		for _, at := range []time.Duration{-1, -2 * sec, math.MinInt64} {
			near(t, fmt.Sprintf("%s at %v", name, at), l.Level(at), l.Level(0), 0)
		}
	}
	l := &load.Load{Mix: []load.MixPoint{{At: -sec, Shares: []float64{1, 3}}, {At: sec, Shares: []float64{1, 0}}}, Drift: true}
	now, before := make([]float64, 2), make([]float64, 2)
	l.Shares(0, now)
	l.Shares(-sec, before)
	near(t, "share before the start", before[0], now[0], 0)
}

func TestLength(t *testing.T) {
	l := &load.Load{Curve: []load.Segment{{For: time.Second}, {For: time.Minute}}}
	if d, ok := l.Length(); d != 61*time.Second || !ok {
		t.Errorf("%v %v", d, ok)
	}
	l.Curve = append(l.Curve, load.Segment{})
	if _, ok := l.Length(); ok {
		t.Error("a curve without an end has a length")
	}
}

// arrivals are all before end, asked for with the limits that next gives.
func arrivals(l *load.Load, seed uint64, end time.Duration, next func(now time.Duration) time.Duration) []time.Duration {
	a := load.NewArrivals(l, rand.New(rand.NewPCG(seed, 0)))
	var out []time.Duration
	for now := time.Duration(0); now < end; {
		limit := min(next(now), end)
		at, ok := a.Next(limit)
		if ok {
			out = append(out, at)
		}
		now = at
	}
	return out
}

func whole(time.Duration) time.Duration { return math.MaxInt64 }

// The same seed gives the same requests, whatever the beats in which they are asked for: none is lost at a limit, and none
// is added.
func TestLimitsDoNotChangeTheProcess(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := &load.Load{Curve: []load.Segment{
			{Shape: load.Ramp, From: rapid.Float64Range(0, 500).Draw(t, "from"), To: rapid.Float64Range(0, 500).Draw(t, "to"), For: time.Second},
			{From: 0, For: rapid.SampledFrom([]time.Duration{0, 300 * time.Millisecond}).Draw(t, "pause") + 1},
			{From: rapid.Float64Range(0, 2000).Draw(t, "level"), For: time.Second}}}
		seed := rapid.Uint64().Draw(t, "seed")
		want := arrivals(l, seed, 3*time.Second, whole)
		step := time.Duration(rapid.Int64Range(int64(100*time.Microsecond), int64(200*time.Millisecond)).Draw(t, "step"))
		got := arrivals(l, seed, 3*time.Second, func(now time.Duration) time.Duration { return now.Truncate(step) + step })
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Fatalf("%d requests in steps of %v, %d at once", len(got), step, len(want))
		}
		for i := 1; i < len(want); i++ {
			if want[i] < want[i-1] {
				t.Fatalf("request %d at %v after one at %v", i, want[i], want[i-1])
			}
		}
	})
}

// Counts in disjoint stretches of a Poisson process have a variance equal to their mean, which is the curve's integral;
// waits are exponential. Tolerances are four standard errors.
func TestArrivalsArePoisson(t *testing.T) {
	const seconds = 2000
	for name, c := range map[string]struct {
		curve []load.Segment
		mean  func(second int) float64 // requests expected in a second
	}{
		"constant": {[]load.Segment{{From: 50}}, func(int) float64 { return 50 }},
		"ramp": {[]load.Segment{{Shape: load.Ramp, From: 10, To: 90, For: seconds * time.Second}},
			func(s int) float64 { return 10 + 80*(float64(s)+0.5)/seconds }},
		"diurnal": {[]load.Segment{{Shape: load.Diurnal, From: 20, To: 100, Period: 40 * time.Second}},
			func(s int) float64 {
				w := 2 * math.Pi / 40
				return 60 - 40*(math.Sin(w*float64(s+1))-math.Sin(w*float64(s)))/w
			}},
	} {
		counts := make([]float64, seconds)
		all := arrivals(&load.Load{Curve: c.curve}, 7, seconds*time.Second, whole)
		for _, at := range all {
			counts[at/time.Second]++
		}
		total, chi := 0.0, 0.0
		for s, n := range counts {
			m := c.mean(s)
			total += m
			chi += (n - m) * (n - m) / m // its mean is 1 where variance equals mean
		}
		near(t, name+": requests", float64(len(all)), total, 4*math.Sqrt(total))
		near(t, name+": variance over mean", chi/seconds, 1, 4*math.Sqrt(2.0/seconds))
		if name == "constant" {
			longer := 0.0
			for i := 1; i < len(all); i++ {
				if all[i]-all[i-1] > 20*time.Millisecond {
					longer++
				}
			}
			p := math.Exp(-1)
			near(t, "waits longer than the mean", longer/float64(len(all)-1), p, 4*math.Sqrt(p*(1-p)/float64(len(all))))
		}
	}
}

func TestSettingALoadTakesEffectFromThenOn(t *testing.T) {
	a := load.NewArrivals(&load.Load{Curve: []load.Segment{{From: 0}}}, rand.New(rand.NewPCG(1, 1)))
	if at, ok := a.Next(time.Second); ok || at != time.Second {
		t.Errorf("a request at %v of no load", at)
	}
	a.SetLoad(&load.Load{Curve: []load.Segment{{From: 1000}}}, time.Second)
	n := 0
	for {
		at, ok := a.Next(2 * time.Second)
		if !ok {
			break
		}
		if at < time.Second {
			t.Errorf("a request at %v, before the load was set", at)
		}
		n++
	}
	near(t, "requests in a second of 1000/s", float64(n), 1000, 4*math.Sqrt(1000))
}

func TestShares(t *testing.T) {
	mix := []load.MixPoint{
		{At: 0, Shares: []float64{1, 3}},
		{At: 10 * time.Second, Shares: []float64{6, 2}},
	}
	cases := []struct {
		name string
		l    load.Load
		at   time.Duration
		want []float64
	}{
		{"no mix: all equal", load.Load{}, 0, []float64{0.5, 0.5}},
		{"the point in effect, normalised", load.Load{Mix: mix}, 5 * time.Second, []float64{0.25, 0.75}},
		{"the next one from its instant on", load.Load{Mix: mix}, 10 * time.Second, []float64{0.75, 0.25}},
		{"drift: half way", load.Load{Mix: mix, Drift: true}, 5 * time.Second, []float64{3.5 / 6, 2.5 / 6}},
		{"drift ends at the last point", load.Load{Mix: mix, Drift: true}, time.Hour, []float64{0.75, 0.25}},
		{"before the first point that holds too", load.Load{Mix: mix[1:]}, 0, []float64{0.75, 0.25}},
		{"endpoints without a share get none", load.Load{Mix: []load.MixPoint{{Shares: []float64{2}}}}, 0, []float64{1, 0}},
		{"no shares at all", load.Load{Mix: []load.MixPoint{{Shares: []float64{0, 0}}}}, 0, []float64{0, 0}},
	}
	for _, c := range cases {
		got := []float64{9, 9}
		c.l.Shares(c.at, got)
		for k := range got {
			near(t, c.name, got[k], c.want[k], 1e-12)
		}
	}
}

func TestPickFollowsTheShares(t *testing.T) {
	l := &load.Load{Mix: []load.MixPoint{{Shares: []float64{5, 0, 3, 2}}}}
	rng := rand.New(rand.NewPCG(5, 6))
	scratch := make([]float64, 4)
	const n = 20_000
	counts := make([]float64, 4)
	for range n {
		counts[l.Pick(0, rng, scratch)]++
	}
	for k, p := range []float64{0.5, 0, 0.3, 0.2} {
		near(t, fmt.Sprint("endpoint ", k), counts[k]/n, p, 4*math.Sqrt(p*(1-p)/n))
	}
}

func ExampleArrivals() {
	l := &load.Load{
		Curve: []load.Segment{{Shape: load.Ramp, From: 5, To: 100, For: time.Minute}},
		Mix:   []load.MixPoint{{Shares: []float64{9, 1}}},
	}
	rng := rand.New(rand.NewPCG(1, 0))
	a := load.NewArrivals(l, rng)
	shares := make([]float64, 2)
	requests := make(map[foresail.EndpointID]int)
	for {
		at, ok := a.Next(time.Minute)
		if !ok {
			break
		}
		requests[l.Pick(at, rng, shares)]++
	}
	total := requests[0] + requests[1]
	fmt.Println(total > 2900 && total < 3400, requests[0] > 8*requests[1])
	// Output: true true
}

// benchstat: go test -bench . -count 6 ./load | tee new.txt; benchstat old.txt new.txt
func BenchmarkArrivals(b *testing.B) {
	a := load.NewArrivals(&load.Load{Curve: []load.Segment{{From: 1000}}}, rand.New(rand.NewPCG(1, 0)))
	b.ReportAllocs()
	for b.Loop() {
		a.Next(math.MaxInt64)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds()/1e6, "Marrivals/s")
}
