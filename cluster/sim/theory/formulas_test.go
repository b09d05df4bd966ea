package theory_test

import (
	"math"
	"testing"
)

// The references are themselves compared with the birth-death processes that they solve, cut off where nobody ever is.
func TestClosedForms(t *testing.T) {
	near := func(what string, got, want float64) {
		t.Helper()
		if !(math.Abs(got-want) <= 1e-9*math.Abs(want)) {
			t.Errorf("%s is %.15g, want %.15g", what, got, want)
		}
	}
	for _, c := range []int{1, 4, 16} {
		for _, rho := range []float64{0.3, 0.7, 0.9} {
			a := rho * float64(c)
			waits, number := 0.0, 0.0
			for k, p := range birthDeath(2000, func(int) float64 { return a }, func(k int) float64 { return math.Min(float64(k), float64(c)) }) {
				if k >= c {
					waits += p
				}
				number += float64(k) * p
			}
			near("Erlang C", erlangC(c, a), waits)
			near("Little's law of Erlang C", a+erlangC(c, a)*rho/(1-rho), number)
			// The mean is the integral of the tail, by Simpson's rule.
			const h = 1e-3
			mean := 0.0
			for i := range 200_000 {
				x := float64(i) * h
				mean += h / 6 * (erlangTail(c, a, x) + 4*erlangTail(c, a, x+h/2) + erlangTail(c, a, x+h))
			}
			if !(math.Abs(mean-number/a) <= 1e-7*number/a) { // the tail is cut off
				t.Errorf("mean of the tail is %.15g, want %.15g", mean, number/a)
			}
		}
	}
	// One station: the machine repair model. Of n machines those that run fail.
	const n, think, demand = 20, 50.0, 4.0
	p := birthDeath(n, func(k int) float64 { return float64(n-k) / think }, func(int) float64 { return 1 / demand })
	throughput, time := mva(n, think, demand)
	near("throughput of mean-value analysis", throughput, (1-p[0])/demand)
	near("time of mean-value analysis", time, n*demand/(1-p[0])-think)
	near("Nelson-Tantawi for two", nelsonTantawi(2, 0.7), (12-0.7)/8/(1-0.7))
}
