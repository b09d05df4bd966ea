package expected_test

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/compare/expected"
	"foresail.dev/sketch"
)

// Percentiles are held like against like: those of the objective in one set of columns, the 95th in another.
func ExampleScores_Columns() {
	app := &foresail.App{Endpoints: []foresail.Endpoint{{Objective: &foresail.Objective{Percentile: 99, Latency: time.Second}}}}
	var s expected.Scores
	p := expects(0, 1, 0.1)
	p.Expected = append(p.Expected, p.Expected[0])
	p.Expected[1].Percentile, p.Expected[1].Latency = 99, 0.24
	s.Planned(p)
	s.Observed(second(0, 0.2, 1000))
	n, c := s.Columns(start.Add(time.Second), app)
	b, _ := json.Marshal(expected.Mean(c, expected.Columns{}))
	fmt.Println(n, string(b))
	// Output: 1 {"prediction_error":0.193,"prediction_bias":0.193,"prediction_within10":0,"prediction_within10_best":1,"prediction_p95_error":0.502,"prediction_p95_bias":-0.502,"prediction_p95_within10":0,"prediction_p95_within10_best":1}
}

// What who knows the truth would get is what such a one gets: of exponential latencies, independent or all ten times as many in one
// second of ten.
func TestTheBestThereIs(t *testing.T) {
	if testing.Short() {
		t.Skip("draws half a million latencies")
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for _, burst := range []bool{false, true} {
		var s expected.Scores
		const trials, n = 400, 10
		for i := range trials {
			at := start.Add(time.Duration(i) * time.Minute)
			s.Planned(&foresail.Plan{Expected: []foresail.Expectation{{From: at, To: at.Add(time.Minute), Percentile: 95, Latency: math.Log(20)}}})
			for k := range 60 {
				l := sketch.New()
				scale := 1.0
				if burst {
					scale = 0.5
					if rng.Float64() < 0.1 {
						scale = 2
					}
				}
				for range n {
					l.Add(scale * rng.ExpFloat64())
				}
				s.Observed(&foresail.Snapshot{Start: at.Add(time.Duration(k) * time.Second), End: at.Add(time.Duration(k+1) * time.Second),
					Has: foresail.SignalEndpoints, Endpoints: []foresail.EndpointStats{{Requests: n, Latency: l}}})
			}
		}
		cases := s.Cases(start.Add(time.Duration(trials) * time.Minute))
		truth := sketch.New()
		for _, c := range cases {
			truth.Add(c.Observed)
		}
		hit, best := 0.0, 0.0
		for _, c := range cases { // the median of what was observed is the truth, but for little
			if math.Abs(truth.Quantile(0.5)/c.Observed-1) <= expected.Tolerated {
				hit++
			}
			best += c.Best
		}
		if hit, best = hit/trials, best/trials; math.Abs(hit-best) > 0.08 || hit > 0.98 || hit < 0.3 {
			t.Errorf("bursts %v: %.3f of those of who knows are within 10 %%, and %.3f is said", burst, hit, best)
		}
	}
}
