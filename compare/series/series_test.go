package series

import "testing"

// However many services, and however long, what is kept of a run is bounded.
func TestSeriesAreBounded(t *testing.T) {
	for _, n := range []int{60, 420, 600} {
		if kept := max(keptServices, servicePoints/n); kept*n > servicePoints || kept < 28 {
			t.Errorf("%d steps: %d services", n, kept)
		}
	}
}
