package gp

import (
	"math"
	"testing"
)

// What is climbed is likelihood and prior together: its slope is that of finite differences, and the prior's part is that of a
// normal density.
func TestTheSlopeWithAPrior(t *testing.T) {
	x, y := draw(25, 4, 2)
	s := standardise(x, 4, y)
	prior := Prior{Mean: 0.3, Deviation: 0.7}
	search := newSearch(newLikelihood(Matern52, true, s.x, 4, s.y, 1e-6), prior)
	search.maxEvals = 1 << 20
	u := []float64{0.2, -0.3, 0.1, 0.4, 0.1, -0.2}
	search.evaluate(u)
	value, slope := search.value, append([]float64(nil), search.slope...)
	plain, err := search.l.value(search.theta)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range search.theta[:4] {
		plain -= (l - prior.Mean) * (l - prior.Mean) / 2 / prior.Deviation / prior.Deviation
	}
	if math.Abs(value-plain) > 1e-9 {
		t.Errorf("%v, likelihood and prior are %v", value, plain)
	}
	const h = 1e-5
	for i := range u {
		at := func(d float64) float64 {
			v := append([]float64(nil), u...)
			v[i] += d
			search.evaluate(v)
			return search.value
		}
		if want := (at(h) - at(-h)) / 2 / h; math.Abs(slope[i]-want) > 1e-4*(1+math.Abs(want)) {
			t.Errorf("slope of parameter %d is %v, by differences %v", i, slope[i], want)
		}
	}
}

// Where a prior is narrow, lengths are what it says, in deviations of the features.
func TestANarrowPrior(t *testing.T) {
	x, y := draw(40, 6, 3)
	cfg := Default()
	cfg.Prior = Prior{Mean: math.Log(3), Deviation: 1e-3}
	m, err := Fit(cfg, x, 6, y)
	if err != nil {
		t.Fatal(err)
	}
	for f, l := range m.Params().Lengths {
		if l /= m.data.scale[f]; math.Abs(l-3) > 0.1 {
			t.Errorf("length %d is %v, and the prior says 3", f, l)
		}
	}
	cfg.Prior.Deviation = -1
	if _, err := Fit(cfg, x, 6, y); err == nil {
		t.Error("a negative deviation is taken")
	}
}
