package callgraph

import (
	"math"
	"math/rand/v2"
	"testing"

	"foresail.dev/model/callgraph/dist"
	"foresail.dev/sketch"
)

// Own times of a request that are long together: percentiles computed as if they were independent are too low, and
// calibrated ones, of the same graph at another rate, are not.
func TestCalibrateCorrelated(t *testing.T) {
	stages := []dist.Stage{dist.Exponential(0.001, 800), dist.Exponential(0.0005, 300), dist.Exponential(0, 500)}
	play := func(seed uint64, rate float64) *sketch.Sketch {
		r := rand.New(rand.NewPCG(seed, 8))
		var s sketch.Sketch
		for range 30_000 {
			together := math.Exp(0.5*r.NormFloat64() - 0.125)
			total := 0.0
			for i, st := range stages {
				if i == 1 {
					st.Rate = rate
				}
				total += st.Shift + together*r.ExpFloat64()/st.Rate
			}
			s.Add(total)
		}
		return &s
	}
	m := mixtureOf(t, Weighted{chain(t, stages...), 1})
	c, err := m.Calibrate(play(1, 300), 1.5)
	if err != nil {
		t.Fatal(err)
	}
	m.parts[0].Graph.SetRate(1, 200)
	then := play(2, 200)
	for _, p := range []float64{0.9, 0.95, 0.99} {
		want := then.Quantile(p)
		plain := m.Percentile(p)
		got := plain * c.Ratio(p)
		if math.Abs(got/want-1) > 0.05 {
			t.Errorf("percentile %g is %g calibrated and %g plain, want %g", p, got, plain, want)
		}
		if p >= 0.99 && math.Abs(plain/want-1) < 0.05 {
			t.Errorf("percentile %g is %g without calibration, and %g is observed: the test shows nothing", p, plain, want)
		}
	}
}

// What nothing explains is bounded and said so; few requests tell little.
func TestCalibrateBounds(t *testing.T) {
	m := mixtureOf(t, Weighted{chain(t, dist.Exponential(0, 100)), 1})
	var far sketch.Sketch
	for range 1000 {
		far.Add(1)
	}
	c, err := m.Calibrate(&far, 1.5)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range c.Levels[:4] {
		if !l.Cut || math.Abs(l.Ratio-1.5) > 1e-12 {
			t.Errorf("%+v: want the bound", l)
		}
	}
	if l := c.Levels[5]; !math.IsNaN(l.Observed) || l.Ratio != c.Levels[4].Ratio {
		t.Errorf("%+v: one request says nothing of the 999th of a thousand", l)
	}
	var few sketch.Sketch
	for range 12 {
		few.Add(0.014)
	}
	c, err = m.Calibrate(&few, 1.5)
	if err != nil {
		t.Fatal(err)
	}
	if l := c.Levels[0]; !(l.Ratio > 1 && l.Ratio < 1.4) {
		t.Errorf("%+v: six requests beyond the median move it by less than they say", l)
	}
	if _, err := m.Calibrate(nil, 1.5); err == nil {
		t.Error("nothing observed: no error")
	}
	if _, err := m.Calibrate(&few, 0.5); err == nil {
		t.Error("a bound below 1: no error")
	}
	if c := (*Calibration)(nil); c.Ratio(0.99) != 1 {
		t.Error("no calibration changes nothing")
	}
}
