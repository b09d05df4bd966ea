package latency_test

import (
	"errors"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"foresail.dev/model/latency"
	"foresail.dev/model/latency/learner"
)

// scaled is a graph of a service of two instances, which takes 1/cpu, and a table in which the service as a whole takes factor times the
// instances' mean, with some noise.
func scaled(t *testing.T, rows int, factor, noise float64, seed uint64) (*latency.Graph, *latency.Table) {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 1))
	var one, both [3][]float64
	for range 60 {
		cpu := 1 + r.Float64()
		one[0], one[1] = append(one[0], cpu), append(one[1], 1/cpu)
	}
	for range rows {
		a, b := 1+r.Float64(), 1+r.Float64()
		both[0], both[1] = append(both[0], a), append(both[1], b)
		both[2] = append(both[2], factor*(1/a+1/b)/2*math.Exp(noise*r.NormFloat64()))
	}
	train, err := latency.NewTable([]string{"cart:cpu", "cart:0.90"}, one[:2])
	if err != nil {
		t.Fatal(err)
	}
	after, err := latency.NewTable([]string{"cart#1:cpu", "cart#2:cpu", "cart:0.90"}, both[:])
	if err != nil {
		t.Fatal(err)
	}
	a, err := latency.NewAssignment("cart", "0.90", []string{"cart:cpu"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Add(train, nil, "", learner.Config{Kinds: []learner.Kind{learner.Ridge}, Evaluations: 4, Folds: 3}, true); err != nil {
		t.Fatal(err)
	}
	g := latency.NewGraph()
	if err := g.Add(a); err != nil {
		t.Fatal(err)
	}
	if err := g.Scale("cart", 2); err != nil {
		t.Fatal(err)
	}
	return g, after
}

func at(t *testing.T, g *latency.Graph, inputs ...float64) float64 {
	t.Helper()
	f, err := g.Compile("cart:0.90")
	if err != nil {
		t.Fatal(err)
	}
	return f.Run(inputs)
}

// Ten rows tell a factor that is there; it is kept in files, and forgotten when the service is scaled again.
func TestCalibrating(t *testing.T) {
	g, after := scaled(t, 10, 1.3, 0.05, 1)
	plain := at(t, g, 1.2, 1.7)
	factor, err := g.Calibrate("cart", "0.90", after)
	if err != nil || math.Abs(factor-1.3) > 0.08 {
		t.Fatal(factor, err)
	}
	if got := at(t, g, 1.2, 1.7) / plain; math.Abs(got-factor) > 1e-9 {
		t.Errorf("predictions are %v times what they were", got)
	}
	b, err := g.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	read := latency.NewGraph()
	if err := read.UnmarshalBinary(b); err != nil || at(t, read, 1.2, 1.7) != at(t, g, 1.2, 1.7) {
		t.Error(err)
	}
	again, err := g.Calibrate("cart", "0.90", after)
	if err != nil || math.Abs(again-factor) > 1e-9 {
		t.Errorf("calibrated once more, the factor is %v: %v", again, err)
	}
	if err := g.Scale("cart", 2); err != nil || math.Abs(at(t, g, 1.2, 1.7)-plain) > 1e-9 {
		t.Error(err)
	}
}

// Where there is noise alone, factors stay closer to 1 than the mean ratio, which is by chance what it is.
func TestCalibrationIsDrawnToOne(t *testing.T) {
	off, bare := 0.0, 0.0
	for seed := range uint64(40) {
		g, after := scaled(t, 10, 1, 0.3, seed)
		factor, err := g.Calibrate("cart", "0.90", after)
		if err != nil {
			t.Fatal(err)
		}
		off += math.Abs(math.Log(factor)) / 40
		bare += 0.3 * math.Sqrt(2/math.Pi/10) / 40 // what the mean ratio is off by, expected
	}
	if off > 0.7*bare {
		t.Errorf("off by %v, the bare mean by %v", off, bare)
	}
}

func TestWhatCantBeCalibrated(t *testing.T) {
	g, after := scaled(t, 10, 1, 0.1, 1)
	if _, err := g.Calibrate("cart", "0.99", after); err == nil || !strings.Contains(err.Error(), "no such metric") {
		t.Error(err)
	}
	var missing *latency.MissingError
	without, err := latency.NewTable([]string{"cart#1:cpu", "cart#2:cpu"}, [][]float64{{1}, {1}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := g.Calibrate("cart", "0.90", without); !errors.As(err, &missing) {
		t.Error(err)
	}
	if err := g.Scale("cart", 1); err != nil {
		t.Fatal(err)
	}
	if _, err := g.Calibrate("cart", "0.90", after); err == nil || !strings.Contains(err.Error(), "one instance") {
		t.Error(err)
	}
}
