package rank

import (
	"math"
	"slices"
)

// latency ranks services by how many times as long as normal they took, in the mean over rows; of latency and tail that which grew
// more. (Differences and robust deviations in place of the ratio do no better; see docs/decisions/culprits.md.)
func latency(in *Input) []Suspect {
	scores := make([]float64, len(in.Services))
	for i := range scores {
		s := &in.Services[i]
		if scores[i] = times(s.Latency); !finite(scores[i]) || times(s.Tail) > scores[i] {
			scores[i] = times(s.Tail)
		}
	}
	return in.order(scores, nil)
}

// queue ranks services by how many more requests than normal were in them at once, in the mean over rows. Where nobody counted
// those, it is by Little's law what came times how long it took.
func queue(in *Input) []Suspect {
	scores := make([]float64, len(in.Services))
	for i := range scores {
		s := &in.Services[i]
		if q := product(s.Requests, s.Latency); len(q.Issue) > 0 {
			scores[i] = mean(q.Issue) - mean(q.Normal)
		} else {
			scores[i] = math.NaN()
		}
	}
	return in.order(scores, nil)
}

// times is the mean of the issue over that of the normal period; NaN where either was not observed.
func times(s Series) float64 {
	if len(s.Issue) == 0 {
		return math.NaN()
	}
	return mean(s.Issue) / mean(s.Normal)
}

func mean(v []float64) float64 {
	sum, n := 0.0, 0.0
	for _, x := range v {
		if finite(x) {
			sum, n = sum+x, n+1
		}
	}
	return sum / n
}

func product(a, b Series) Series {
	if len(a.Issue) == 0 || len(b.Issue) == 0 {
		return Series{}
	}
	mul := func(x, y []float64) []float64 {
		out := make([]float64, len(x))
		for i := range x {
			out[i] = x[i] * y[i]
		}
		return out
	}
	return Series{mul(a.Normal, b.Normal), mul(a.Issue, b.Issue)}
}

// baro ranks services as BARO's RobustScorer does (Pham, Ha, Zhang: BARO, FSE 2024, §4.3) where the time of the issue is known:
// each metric is scaled by median and interquartile range of the normal period, a metric counts by the largest absolute value
// that it then has in the issue, and a service by its largest metric. A range of 0 reads as 1, as in the authors' code
// (scikit-learn's RobustScaler), and errors are in percent, as data has them. It takes the metrics that the authors do, requests,
// latency, tail, errors and CPU, and the latencies of calls as their callees'. (With all further metrics it does worse.)
func baro(in *Input) []Suspect {
	scores := make([]float64, len(in.Services))
	take := func(i int, s Series) {
		for _, z := range scaled(s).Issue {
			if finite(z) {
				scores[i] = max(scores[i], math.Abs(z))
			}
		}
	}
	for i := range in.Services {
		for _, s := range in.Services[i].core() {
			take(i, s)
		}
	}
	for _, c := range in.Calls {
		take(c.To, c.Client)
		take(c.To, c.Server)
	}
	return in.order(scores, nil)
}

// scaled is a series less its normal median, over its normal interquartile range; empty where there is no normal value.
func scaled(s Series) Series {
	normal := observed(s.Normal)
	if len(normal) == 0 {
		return Series{}
	}
	slices.Sort(normal)
	mid, width := between(normal, 0.5), between(normal, 0.75)-between(normal, 0.25)
	if width == 0 {
		width = 1
	}
	f := func(v []float64) []float64 {
		out := make([]float64, len(v))
		for i, x := range v {
			out[i] = (x - mid) / width
		}
		return out
	}
	return Series{f(s.Normal), f(s.Issue)}
}

// core are the metrics that a method takes that takes any, errors in percent.
func (s *Service) core() []Series {
	return []Series{s.Requests, s.Latency, s.Tail, percent(s.Errors), s.CPU}
}

func percent(s Series) Series {
	f := func(v []float64) []float64 {
		out := make([]float64, len(v))
		for i, x := range v {
			out[i] = 100 * x
		}
		return out
	}
	return Series{f(s.Normal), f(s.Issue)}
}
