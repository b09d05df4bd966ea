package adapt

import (
	"fmt"
	"math"

	"foresail.dev/ml"
	"foresail.dev/model/tail"
)

// Predictor is what a model is asked for; *tail.Predictor is one.
type Predictor interface {
	Look(steps []tail.Step) error
	Try(cores [][]float64, out []tail.Prediction)
}

// Score is how well a model predicted some seconds.
type Score struct {
	Seconds    int     `json:"seconds"`    // of which p99 was predicted
	RMSE       float64 `json:"rmse_ms"`    // of p99, both counted up to drift.Ceiling; NaN for none
	Windows    int     `json:"windows"`    // of four seconds, of which a violation was predicted
	Violations int     `json:"violations"` // of those windows, with one
	LogLoss    float64 `json:"log_loss"`   // nats; NaN for none
}

// Follow predicts each second from the past seconds before it and the cores that were in effect in it, and tells f each step
// with its prediction, nil for the first of a run and where the model can't say.
func Follow(past int, p Predictor, r tail.Run, f func(i int, p *tail.Prediction)) {
	var out [1]tail.Prediction
	var cores []float64
	for i := range r.Steps {
		if i < past || p.Look(r.Steps[i-past:i]) != nil {
			f(i, nil)
			continue
		}
		cores = Cores(cores[:0], &r.Steps[i])
		p.Try([][]float64{cores}, out[:])
		f(i, &out[0])
	}
}

// Cores appends the total cores of each service in a step.
func Cores(into []float64, s *tail.Step) []float64 {
	for i := range s.Services {
		into = append(into, s.Services[i].Cores)
	}
	return into
}

// Measure scores a model that looks at so many past seconds. missed tells whether what it gives the probability of happened in
// seconds that follow each other (tail.Model.Missed); ceiling is the latency that all above count as (drift.Ceiling).
func Measure(past int, p Predictor, missed func([]tail.Step) bool, ceiling float64, runs []tail.Run) Score {
	var s Score
	var squares float64
	var labels []bool
	var said []float64
	for _, r := range runs {
		Follow(past, p, r, func(i int, q *tail.Prediction) {
			if q == nil {
				return
			}
			if seen, say := r.Steps[i].Latency[tail.P99], q.Latency[tail.P99]; !math.IsNaN(seen) && !math.IsNaN(say) {
				d := min(seen, ceiling) - min(say, ceiling)
				squares += d * d
				s.Seconds++
			}
			if i+tail.Horizon > len(r.Steps) || math.IsNaN(q.Violation) {
				return
			}
			happened := missed(r.Steps[i+1 : i+tail.Horizon])
			if happened {
				s.Violations++
			}
			labels, said = append(labels, happened), append(said, min(max(q.Violation, 0), 1))
		})
	}
	s.RMSE, s.Windows, s.LogLoss = math.Sqrt(squares/float64(s.Seconds)), len(labels), logLoss(labels, said)
	return s
}

// logLoss counts a probability as at least a thousandth away from 0 and 1: being sure and wrong once must not decide.
func logLoss(labels []bool, p []float64) float64 {
	q := make([]float64, len(p))
	for i := range p {
		q[i] = min(max(p[i], 0.001), 0.999)
	}
	return ml.LogLoss(labels, q)
}

// String reads like "p99 off by 21.4 ms, log loss 0.031 (4 violations in 296 windows)".
func (s Score) String() string {
	return fmt.Sprintf("p99 off by %.1f ms, log loss %.3f (%d violations in %d windows)", s.RMSE, s.LogLoss, s.Violations, s.Windows)
}

// Of a log loss that is near zero, so much more or less is nothing: that of one prediction of a few per cent.
const grain = 0.01

// Better reports whether a new model may take the place of the old one, both scored on the same seconds that neither was
// trained on: it is better by the margin in one of the two scores, and not worse by it in the other. why says so in words.
func Better(old, new Score, margin float64) (why string, better bool) {
	if new.Seconds < fewest || new.Windows < fewest || old.Seconds != new.Seconds || old.Windows != new.Windows {
		return fmt.Sprintf("%d and %d seconds to compare on are too few", old.Seconds, new.Seconds), false
	}
	rmse := verdict(old.RMSE, new.RMSE, margin, 0)
	loss := verdict(old.LogLoss, new.LogLoss, margin, grain)
	words := fmt.Sprintf("before: %s; after: %s", old, new)
	switch {
	case rmse < 0 || loss < 0:
		return "it is worse: " + words, false
	case rmse == 0 && loss == 0:
		return "it is hardly better: " + words, false
	}
	return "it is better: " + words, true
}

// verdict is 1 where new is less than old by the margin, -1 where it is more, and 0 between.
func verdict(old, new, margin, grain float64) int {
	switch {
	case math.IsNaN(new) || new > old*(1+margin)+grain:
		return -1
	case new <= old*(1-margin)-grain:
		return 1
	}
	return 0
}
