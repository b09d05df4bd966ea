package compare

import (
	"math"
	"testing"
)

// What is kept of services adds up to what is kept of the application: all of a small one is, cores held as well as used.
func TestServicesAddUp(t *testing.T) {
	r, err := tiny(t, func(e *Experiment) { e.Seeds = e.Seeds[:1] }).Run(t.Context(), Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range r.Runs {
		s := o.Series
		if len(s.Services) != 11 {
			t.Fatalf("%s: %d services", o.String(), len(s.Services))
		}
		for i := range s.Cores {
			held, used := 0.0, 0.0
			for _, sv := range s.Services {
				held, used = held+sv.Cores[i], used+sv.Used[i]
			}
			if math.Abs(held-s.Cores[i]) > 1e-6 || math.Abs(used-s.Used[i]) > 1e-6 || used <= 0 || used > held+1e-6 {
				t.Errorf("%s, step %d: %v cores held by all and %v by each, %v used by all and %v by each", o.String(), i, s.Cores[i], held, s.Used[i], used)
			}
		}
	}
}

// However many services, and however long, what is kept of a run is bounded.
func TestSeriesAreBounded(t *testing.T) {
	for _, n := range []int{60, 420, 600} {
		if kept := max(keptServices, servicePoints/n); kept*n > servicePoints || kept < 28 {
			t.Errorf("%d steps: %d services", n, kept)
		}
	}
}
