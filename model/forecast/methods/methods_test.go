package methods_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"foresail.dev/model/forecast"
	"foresail.dev/model/forecast/evaluate"
	"foresail.dev/model/forecast/methods"
)

var start = time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)

// steps is a small budget for methods that train in steps: enough to see what these tests are about.
const steps = 20

func each(t *testing.T, do func(t *testing.T, m forecast.Method)) {
	for _, m := range methods.All() {
		t.Run(m.Name(), func(t *testing.T) { do(t, m) })
	}
}

func noisy(seed uint64, n int) forecast.Series {
	r := rand.New(rand.NewPCG(seed, 1))
	s := forecast.Series{Start: start, Step: time.Minute}
	for i := range n {
		s.Values = append(s.Values, math.Max(0, math.Round(100+60*math.Sin(2*math.Pi*float64(i)/40)+10*r.NormFloat64())))
	}
	return s
}

// What lies after an origin does not change what is forecast there: neither other loads, nor none at all.
func TestNoMethodLooksAhead(t *testing.T) {
	each(t, func(t *testing.T, m forecast.Method) {
		const n, train, origin = 300, 180, 240
		said := func(after func(i int) float64) (all []string) {
			s := noisy(1, n)
			for i := origin; i < n; i++ {
				s.Values[i] = after(i)
			}
			_, err := evaluate.Run(m, evaluate.Case{Series: s, Train: train, N: 30, M: 5, Seed: 1, Steps: steps,
				Each: func(at int, f *forecast.Forecast, _ []float64) {
					if at <= origin {
						all = append(all, fmt.Sprint(at, f.Mean, f.Scale, f.Point, f.Quantiles))
					}
				}}, nil)
			if err != nil {
				t.Fatal(err)
			}
			return all
		}
		a, b, c := said(func(int) float64 { return 0 }), said(func(i int) float64 { return 1e6 + float64(i) }), said(func(int) float64 { return math.NaN() })
		for i := range a {
			if a[i] != b[i] || a[i] != c[i] {
				t.Fatalf("the forecast changes with what comes after it:\n%s\n%s\n%s", a[i], b[i], c[i])
			}
		}
		if len(a) != 13 {
			t.Errorf("%d origins", len(a))
		}
	})
}

// The same history, seed and calls give the same forecast, to the bit.
func TestMethodsAreDeterministic(t *testing.T) {
	each(t, func(t *testing.T, m forecast.Method) {
		run := func() string {
			s := noisy(2, 200)
			f, err := m.Train(s.Slice(0, 150), forecast.Options{N: 20, M: 3, Seed: 7, Steps: steps})
			if err != nil {
				t.Fatal(err)
			}
			got, err := f.Forecast(s, 3)
			if err != nil {
				t.Fatal(err)
			}
			return fmt.Sprint(got)
		}
		if a, b := run(), run(); a != b {
			t.Errorf("%s\n%s", a, b)
		}
	})
}

// Every history that can be gives a forecast that keeps the promises of its type.
func TestHardHistories(t *testing.T) {
	nan := math.NaN()
	fill := func(n int, at func(i int) float64) (v []float64) {
		for i := range n {
			v = append(v, at(i))
		}
		return v
	}
	r := rand.New(rand.NewPCG(9, 9))
	for name, values := range map[string][]float64{
		"ten values": fill(10, func(i int) float64 { return float64(10 + i) }),
		"one value":  {7},
		"constant":   fill(100, func(int) float64 { return 42 }),
		"all zero":   fill(100, func(int) float64 { return 0 }),
		"gaps": fill(150, func(i int) float64 {
			return map[bool]float64{true: nan, false: 50 + 5*r.NormFloat64()}[i%7 == 3 || i > 50 && i < 80]
		}),
		"gaps at both ends":  append(append(fill(20, func(int) float64 { return nan }), fill(80, func(i int) float64 { return 5 + float64(i%3) })...), nan, nan, nan),
		"mostly gaps":        fill(150, func(i int) float64 { return map[bool]float64{true: 3, false: nan}[i%20 == 0] }),
		"enormous":           fill(100, func(i int) float64 { return 1e14 * (1 + 0.1*math.Sin(float64(i))) }),
		"tiny":               fill(100, func(i int) float64 { return 1e-9 * (1 + 0.1*math.Sin(float64(i))) }),
		"still, then a jump": fill(100, func(i int) float64 { return map[bool]float64{true: 5, false: 5000}[i < 90] }),
		"one outlier":        fill(100, func(i int) float64 { return map[bool]float64{true: 1e12, false: 10 + float64(i%5)}[i == 50] }),
	} {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, m forecast.Method) {
				s := forecast.Series{Start: start, Step: time.Minute, Values: values}
				for _, train := range []int{len(values), (len(values) + 1) / 2} {
					if s.Slice(0, train).Observed() == 0 {
						continue
					}
					f, err := m.Train(s.Slice(0, train), forecast.Options{M: 4, Seed: 1, Steps: steps})
					if err != nil {
						t.Fatal(err)
					}
					for _, ahead := range []int{4, 1, 9} {
						got, err := f.Forecast(s, ahead)
						if err != nil {
							t.Fatal(err)
						}
						if err := got.Check(s, ahead); err != nil {
							t.Fatalf("%d steps after training on %d: %v", ahead, train, err)
						}
						if last, _ := s.Last(); s.Observed() < forecast.FewestToLearn && m.Name() != "last-value" && (got.Fallback == "" || got.Mean[0] != last) {
							t.Fatalf("nothing to learn from, but no fallback to %v: %+v", last, got)
						}
					}
				}
			})
		})
	}
}

func TestBadHistoriesAreRefused(t *testing.T) {
	each(t, func(t *testing.T, m forecast.Method) {
		for _, s := range []forecast.Series{
			{Start: start, Step: time.Minute, Values: []float64{1, -2, 3}},
			{Start: start, Step: time.Minute, Values: []float64{1, math.Inf(1)}},
			{Start: start, Values: []float64{1, 2, 3}},
		} {
			if f, err := m.Train(s, forecast.Options{}); err == nil {
				t.Errorf("%v: %v", s, f)
			}
		}
	})
}

// A constant load is forecast as it is, and surely.
func TestAConstantLoad(t *testing.T) {
	s := forecast.Series{Start: start, Step: time.Minute}
	for range 200 {
		s.Values = append(s.Values, 42)
	}
	for _, name := range []string{"last-value", "seasonal-naive", "holt-winters", "arima", "ridge", "foresail"} {
		m, _ := methods.ByName(name)
		f, err := m.Train(s, forecast.Options{Steps: steps})
		if err != nil {
			t.Fatal(err)
		}
		got, err := f.Forecast(s, 5)
		if err != nil {
			t.Fatal(err)
		}
		for k := range 5 {
			if math.Abs(got.Mean[k]-42) > 0.01 || got.Quantile(0.95, k) > 42.1 || got.Quantile(0.05, k) < 41.9 {
				t.Errorf("%s at step %d: %v within %v to %v", name, k, got.Mean[k], got.Quantile(0.05, k), got.Quantile(0.95, k))
			}
		}
	}
}

func TestNamesAreUnique(t *testing.T) {
	seen := map[string]bool{}
	for _, n := range methods.Names() {
		if seen[n] {
			t.Error(n)
		}
		seen[n] = true
	}
	for _, n := range []string{"last-value", "seasonal-naive", "holt-winters", "arima", "ridge", "foresail"} {
		if !seen[n] {
			t.Error("there is no ", n)
		}
	}
	if _, ok := methods.ByName("nonesuch"); ok {
		t.Error("found what there is not")
	}
}
