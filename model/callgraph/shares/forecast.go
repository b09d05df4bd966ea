package shares

import (
	"math"
	"slices"
)

// Forecast is how requests are expected to divide.
type Forecast struct {
	// Shares is the mean; it sums to one. Low and High are, for each form by itself, the ends of an interval that holds what comes
	// nine times in ten, as often as in the windows before.
	Shares, Low, High []float64
	// Scenarios are the mixes that the mean is made of, the weightiest first; a method that knows none has the mean as the only one.
	Scenarios []Scenario
}

// What a Watcher keeps.
const (
	Horizons = 3   // windows ahead that it holds predictions against what came
	Kept     = 120 // windows that it keeps of what predictions were off by
	fewKept  = 20  // windows from which on they are taken for what is to come
	unsure   = 0.05
)

// Watcher runs a Tracker and keeps what it was off by, so that its forecasts have intervals.
type Watcher struct {
	t       Tracker
	row     []float64
	counted float64
	// made[h] are predictions h+1 windows ahead, the oldest first, for windows that are still to come.
	made [Horizons][][]float64
	off  [Horizons][][]float64 // what came less what was predicted, the oldest first
	// Squares is, for each of the last Kept windows, the mean over forms of the square that a prediction one window ahead was off
	// by, the oldest first.
	Squares []float64
}

// NewWatcher watches a tracker that has observed nothing.
func NewWatcher(t Tracker, classes int) *Watcher {
	return &Watcher{t: t, row: make([]float64, classes)}
}

// Observe takes the next window, as a Tracker does.
func (w *Watcher) Observe(row []float64, requests float64) {
	for h := range w.made {
		if len(w.made[h]) <= h {
			continue
		}
		d := w.made[h][0]
		w.made[h] = append(w.made[h][:0], w.made[h][1:]...)
		for i, v := range row {
			d[i] = v - d[i]
		}
		w.off[h] = keep(w.off[h], d)
		if h == 0 {
			sum := 0.0
			for _, v := range d {
				sum += v * v
			}
			w.Squares = keep(w.Squares, sum/float64(len(d)))
		}
	}
	w.t.Observe(row, requests)
	w.counted = requests
	for h := range w.made {
		p := make([]float64, len(row))
		w.t.Predict(h+1, p)
		w.made[h] = append(w.made[h], p)
	}
}

// keep appends, and drops the oldest beyond Kept.
func keep[T any](s []T, v T) []T {
	if len(s) < Kept {
		return append(s, v)
	}
	copy(s, s[1:])
	s[len(s)-1] = v
	return s
}

// Predict is the mean ahead windows after the last, as a Tracker gives it.
func (w *Watcher) Predict(ahead int, dst []float64) {
	if h := ahead - 1; h < Horizons && len(w.made[h]) > 0 {
		copy(dst, w.made[h][len(w.made[h])-1])
		return
	}
	w.t.Predict(ahead, dst)
}

// Forecast is what is expected ahead ≥ 1 windows after the last. Beyond Horizons, intervals are those of Horizons.
func (w *Watcher) Forecast(ahead int) Forecast {
	n := len(w.row)
	f := Forecast{Shares: make([]float64, n), Low: make([]float64, n), High: make([]float64, n)}
	w.Predict(ahead, f.Shares)
	off := w.off[min(ahead, Horizons)-1]
	column := make([]float64, len(off))
	for i, p := range f.Shares {
		low, high := -unsure, unsure
		if w.counted > 0 {
			d := 1.645 * math.Sqrt(p*(1-p)/w.counted)
			low, high = low-d, high+d
		}
		for k, d := range off {
			column[k] = d[i]
		}
		slices.Sort(column)
		switch n := len(column); {
		case n >= fewKept: // the next is as likely between any two of those that were, or beyond them
			k := int(0.05*float64(n+1)) - 1
			low, high = min(column[k], 0), max(column[n-1-k], 0)
		case n > 0:
			low, high = min(low, column[0]), max(high, column[n-1])
		}
		f.Low[i], f.High[i] = max(p+low, 0), min(p+high, 1)
	}
	if m, ok := w.t.(Mixer); ok {
		f.Scenarios = m.Scenarios(ahead)
	}
	if len(f.Scenarios) == 0 {
		f.Scenarios = []Scenario{{Weight: 1, Shares: slices.Clone(f.Shares), Why: "the mean"}}
	}
	slices.SortStableFunc(f.Scenarios, func(a, b Scenario) int {
		switch {
		case a.Weight > b.Weight:
			return -1
		case a.Weight < b.Weight:
			return 1
		}
		return 0
	})
	return f
}
