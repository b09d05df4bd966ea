// Package evaluate measures methods that predict shares of call graphs: one window ahead, on a rolling origin, on series that they
// were not trained on.
package evaluate

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"foresail.dev/model/callgraph/shares"
)

// Case is what a method is measured on.
type Case struct {
	Series []shares.Series
	// Train is what is trained on; nil: the series are divided into Folds, and each is predicted by what was trained on the others.
	Train []shares.Series
	Folds int // at least 2; at most one for each series is made
	Seed  uint64
	// Epochs is for methods that train in epochs; 0: their own.
	Epochs int
	// Clock measures training and prediction; nil: they are not measured.
	Clock func() time.Duration
}

// Result is what a method was off by.
type Result struct {
	Windows, Changed int           // that were predicted, and those of them that differ from the window before
	MSE, MAE         float64       // mean over windows and forms
	MSEChanged       float64       // of the windows that changed; NaN: none did
	Coverage90       float64       // share of figures within their interval, over windows and forms
	PerSeries        []Sum         // in the order of Case.Series
	Train, Infer     time.Duration // in all; and for each window, observing included
	Unfollowed       int           // series that the method could not follow, and whose last values were taken
}

// Sum is of one series.
type Sum struct{ Figures, Squares, ChangedFigures, ChangedSquares float64 }

// Run measures a method. Stop is asked before each series; its error ends the run.
func Run(m shares.Method, c Case, stop func() error) (r Result, err error) {
	if c.Clock == nil {
		c.Clock = func() time.Duration { return 0 }
	}
	for _, s := range c.Series {
		if err := s.Check(); err != nil {
			return r, err
		}
	}
	folds := min(c.Folds, len(c.Series))
	if c.Train != nil {
		folds = 1
	} else if folds < 2 {
		return r, fmt.Errorf("%d series in %d folds: to predict each from others, there must be two of both", len(c.Series), c.Folds)
	}
	r.PerSeries = make([]Sum, len(c.Series))
	var absolute, inside, figures float64
	var infer time.Duration
	for f := range folds {
		pool := c.Train
		if pool == nil {
			for i, s := range c.Series {
				if i%folds != f {
					pool = append(pool, s)
				}
			}
		}
		began := c.Clock()
		model, err := m.Train(pool, shares.Options{Seed: c.Seed, Epochs: c.Epochs})
		if err != nil {
			return r, fmt.Errorf("%s, fold %d: %w", m.Name(), f+1, err)
		}
		r.Train += c.Clock() - began
		for i := f; i < len(c.Series); i += folds {
			if err := stop(); err != nil {
				return r, err
			}
			s := c.Series[i]
			t, ok := model.Track(s.Classes())
			if !ok {
				r.Unfollowed++
				model, _ := shares.LastValue.Train(nil, shares.Options{})
				t, _ = model.Track(s.Classes())
			}
			w := shares.NewWatcher(t, s.Classes())
			for k, row := range s.Rows {
				began := c.Clock()
				var made shares.Forecast
				if k > 0 {
					made = w.Forecast(1)
				}
				w.Observe(row, s.Counted(k))
				infer += c.Clock() - began
				if k == 0 {
					continue
				}
				sum := &r.PerSeries[i]
				changed := shares.Changed(s.Rows[k-1], row, s.Counted(k-1), s.Counted(k))
				r.Windows++
				if changed {
					r.Changed++
					sum.ChangedFigures += float64(len(row))
				}
				sum.Figures += float64(len(row))
				figures += float64(len(row))
				for j, v := range row {
					d := v - made.Shares[j]
					sum.Squares += d * d
					if changed {
						sum.ChangedSquares += d * d
					}
					absolute += math.Abs(d)
					if v >= made.Low[j]-1e-9 && v <= made.High[j]+1e-9 {
						inside++
					}
				}
			}
		}
	}
	all := total(r.PerSeries)
	r.MSE, r.MSEChanged = all.Squares/all.Figures, all.ChangedSquares/all.ChangedFigures
	r.MAE, r.Coverage90 = absolute/figures, inside/figures
	if r.Windows > 0 {
		r.Infer = infer / time.Duration(r.Windows)
	}
	return r, nil
}

func total(sums []Sum) (all Sum) {
	for _, s := range sums {
		all.Figures += s.Figures
		all.Squares += s.Squares
		all.ChangedFigures += s.ChangedFigures
		all.ChangedSquares += s.ChangedSquares
	}
	return all
}

// resamples of the series, with replacement, that intervals are found by.
const resamples = 4000

// Interval is the 95 % interval of the mean square error, found by drawing series with replacement.
func (r Result) Interval(seed uint64) (low, high float64) {
	return interval(len(r.PerSeries), seed, func(of []int) float64 {
		s := pick(r.PerSeries, of)
		return s.Squares / s.Figures
	})
}

// Skill is how much less than base a method is off by, as a part of base's mean square error, over all windows and over those that
// changed; 0 is no better, 1 without error, NaN where base has no error. Low and high are the 95 % interval of the former, with
// both methods on the same series, drawn with replacement.
func (r Result) Skill(base Result, seed uint64) (skill, low, high, changed float64) {
	a, b := total(r.PerSeries), total(base.PerSeries)
	low, high = interval(len(r.PerSeries), seed, func(of []int) float64 {
		return 1 - pick(r.PerSeries, of).Squares/pick(base.PerSeries, of).Squares
	})
	return 1 - a.Squares/b.Squares, low, high, 1 - a.ChangedSquares/b.ChangedSquares
}

func pick(sums []Sum, of []int) (all Sum) {
	for _, i := range of {
		all.Squares += sums[i].Squares
		all.Figures += sums[i].Figures
	}
	return all
}

func interval(n int, seed uint64, figure func(of []int) float64) (low, high float64) {
	if n == 0 {
		return math.NaN(), math.NaN()
	}
	r := rand.New(rand.NewPCG(seed, 0x5a5a))
	of := make([]int, n)
	var all []float64
	for range resamples {
		for i := range of {
			of[i] = r.IntN(n)
		}
		if v := figure(of); !math.IsNaN(v) && !math.IsInf(v, 0) {
			all = append(all, v)
		}
	}
	if len(all) < resamples/2 {
		return math.NaN(), math.NaN()
	}
	slices.Sort(all)
	return all[len(all)/40], all[len(all)-1-len(all)/40]
}
