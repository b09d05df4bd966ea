package expected_test

import (
	"fmt"
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/compare/expected"
	"foresail.dev/sketch"
)

var start = time.Unix(600, 0)

// second is what users saw in one second: n requests that took v seconds each.
func second(i int, v float64, n float64) *foresail.Snapshot {
	l := sketch.New()
	l.AddN(v, n)
	return &foresail.Snapshot{Start: start.Add(time.Duration(i) * time.Second), End: start.Add(time.Duration(i+1) * time.Second),
		Has: foresail.SignalEndpoints, Endpoints: []foresail.EndpointStats{{Requests: n, Latency: l}}}
}

func expects(from, to int, latency float64) *foresail.Plan {
	return &foresail.Plan{Expected: []foresail.Expectation{{From: start.Add(time.Duration(from) * time.Second), To: start.Add(time.Duration(to) * time.Second), Percentile: 95, Latency: latency}}}
}

// Each expectation is held against the requests of its own interval alone.
func Example() {
	var s expected.Scores
	s.Planned(expects(0, 2, 0.1))
	s.Planned(expects(1, 3, 0.3))
	for i, v := range []float64{0.1, 0.1, 0.2, 0.2} {
		s.Observed(second(i, v, 200))
	}
	score := s.Score(start.Add(4*time.Second), nil)
	fmt.Printf("%d, %.0f %% off, half within ten: %.1f\n", score.N, score.Error*100, score.Within10)
	// Output: 2, 25 % off, half within ten: 0.5
}

func TestWhatCannotBeHeldAgainstAnythingDoesNotCount(t *testing.T) {
	var s expected.Scores
	s.Planned(expects(0, 1, 0.1)) // too few requests
	s.Planned(expects(1, 9, 0.1)) // not over at the end
	s.Planned(expects(2, 2, 0.1)) // no interval
	s.Planned(expects(0, 1, 0))   // no latency
	s.Planned(&foresail.Plan{Expected: []foresail.Expectation{{Endpoint: 7, From: start, To: start.Add(time.Second), Percentile: 95, Latency: 1}}})
	s.Observed(second(0, 0.1, 99))
	s.Observed(&foresail.Snapshot{Start: start.Add(time.Second), End: start.Add(2 * time.Second)})
	s.Observed(second(2, 0.1, 1e4))
	if got := s.Score(start.Add(3*time.Second), nil); got.N != 0 {
		t.Errorf("%+v", got)
	}
}
