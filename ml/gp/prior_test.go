package gp

import (
	"math"
	"math/rand/v2"
	"testing"
)

// With forty rows and thirty features, of which two matter, a prior keeps the others from mattering by chance; and where it is
// narrow, lengths are what it says.
func TestPriorsOfLengths(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	const d = 30
	make2 := func(n int) (x, y []float64) {
		for range n {
			row := make([]float64, d)
			for f := range row {
				row[f] = rng.NormFloat64()
			}
			x, y = append(x, row...), append(y, 2*row[3]+math.Sin(2*row[7])+0.1*rng.NormFloat64())
		}
		return x, y
	}
	x, y := make2(40)
	testX, testY := make2(200)
	off := func(p Prior) float64 {
		cfg := Default()
		cfg.Prior = p
		m, err := Fit(cfg, x, d, y)
		if err != nil {
			t.Fatal(err)
		}
		predictor, sum := NewPredictor(m), 0.0
		for i, v := range testY {
			sum += math.Abs(predictor.Mean(testX[i*d:(i+1)*d])-v) / 200
		}
		return sum
	}
	none, some := off(Prior{}), off(Prior{Mean: math.Log(2) + math.Log(d)/2, Deviation: 1})
	if some > 0.8*none {
		t.Errorf("off by %.3f without a prior and %.3f with one", none, some)
	}
	cfg := Default()
	cfg.Prior = Prior{Mean: math.Log(3), Deviation: 1e-3}
	m, err := Fit(cfg, x, d, y)
	if err != nil {
		t.Fatal(err)
	}
	for f, l := range m.Params().Lengths {
		if l /= m.data.scale[f]; math.Abs(l-3) > 0.1 {
			t.Errorf("length %d is %v, and the prior says 3", f, l)
		}
	}
	cfg.Prior.Deviation = -1
	if _, err := Fit(cfg, x, d, y); err == nil {
		t.Error("a negative deviation is taken")
	}
}
