// Package classic holds the forecast methods that textbooks know and that need no network: seasonal-naive, holt-winters,
// arima and ridge. They are what others have to beat, so each is given what it needs to do well: seasons it finds itself,
// orders chosen by AICc, penalties chosen on the training's end, and all of them go on learning while they forecast.
//
// Their intervals are normal, as wide as their own errors for so many steps ahead have been.
package classic

import (
	"fmt"
	"math"
	"time"

	"foresail.dev/model/forecast"
)

// learner is the part of a method that is its own: it takes loads in, gaps filled, and says what it expects next.
type learner interface {
	take(load float64, at time.Time)
	// ahead fills out in with the loads expected next; false: it has seen too little.
	ahead(out []float64) bool
}

// online makes a learner a Forecaster: it feeds it what is new, fills gaps with what was expected, and follows the errors.
type online struct {
	o       forecast.Options
	learner learner
	step    time.Duration
	next    time.Time
	t       int
	seen    int
	last    float64
	made    [][]float64 // a ring of what was expected, by origin; empty: nothing was
	squares []float64   // by step ahead: decayed mean of the squared error
	counts  []int
}

// forget is how much of an error's weight is gone a step later.
const forget = 0.003

// longestGap is how many steps between two histories are filled; a longer silence is passed over.
const longestGap = 10_000

func newOnline(history forecast.Series, o forecast.Options, l learner) *online {
	n := &online{o: o, learner: l, step: history.Step, next: history.Start, squares: make([]float64, o.M), counts: make([]int, o.M)}
	for range o.M {
		n.made = append(n.made, make([]float64, 0, o.M))
	}
	n.learn(history)
	return n
}

func (n *online) learn(history forecast.Series) {
	if late := history.Start.Sub(n.next) / n.step; late > longestGap {
		n.next = history.Start
	} else {
		for range late {
			n.take(math.NaN())
		}
	}
	for _, v := range history.Values[min(max(int(n.next.Sub(history.Start)/n.step), 0), len(history.Values)):] {
		n.take(v)
	}
}

func (n *online) take(load float64) {
	at := n.next
	n.next = at.Add(n.step)
	if math.IsNaN(load) {
		if n.t == 0 {
			return
		}
		load = n.last
		if made := n.made[(n.t-1)%n.o.M]; len(made) > 0 {
			load = made[0]
		}
	} else {
		n.seen++
		for k := 0; k < n.o.M && k < n.t; k++ {
			if made := n.made[(n.t-1-k)%n.o.M]; len(made) > 0 {
				n.counts[k]++
				d := load - made[k]
				n.squares[k] += max(forget, 1/float64(n.counts[k])) * (d*d - n.squares[k])
			}
		}
	}
	n.last = load
	n.learner.take(load, at)
	slot := &n.made[n.t%n.o.M]
	*slot = (*slot)[:n.o.M]
	if !n.expect(*slot) {
		*slot = (*slot)[:0]
	}
	n.t++
}

// expect is what the learner expects, made a load; false also where it is none.
func (n *online) expect(out []float64) bool {
	if !n.learner.ahead(out) {
		return false
	}
	for k, v := range out {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return false
		}
		out[k] = max(v, 0)
	}
	return true
}

// Forecast implements forecast.Forecaster.
func (n *online) Forecast(history forecast.Series, m int) (forecast.Forecast, error) {
	switch {
	case m <= 0:
		return forecast.Forecast{}, fmt.Errorf("a forecast needs 1 step or more, not %d", m)
	case history.Step != n.step:
		return forecast.Forecast{}, fmt.Errorf("the history's step is %v, but %v was trained on", history.Step, n.step)
	case history.End().Before(n.next):
		return forecast.Forecast{}, fmt.Errorf("the history ends at %s, before what was seen already, %s",
			history.End().UTC().Format(time.RFC3339), n.next.UTC().Format(time.RFC3339))
	}
	n.learn(history)
	mean := make([]float64, m)
	short := min(m, n.o.M)
	if n.seen < forecast.FewestToLearn || n.counts[short-1] < 3 || !n.expect(mean) {
		return forecast.Fallback(history, m, n.o.Levels, forecast.TooShort(n.seen, forecast.FewestToLearn+n.o.M))
	}
	f := forecast.New(history, m, n.o.Levels)
	square := 0.0
	for k, v := range mean {
		if k < n.o.M {
			square = max(square, n.squares[k]) // further ahead is not surer
		} else {
			square *= float64(k+1) / float64(k)
		}
		f.SetNormal(k, v, math.Sqrt(square))
	}
	return f, nil
}
