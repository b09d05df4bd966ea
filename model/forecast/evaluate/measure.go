package evaluate

import (
	"math"
	"slices"

	"foresail.dev/model/forecast"
)

// Measures is what forecasts were worth, over all steps that were forecast and then observed. What could not be
// measured is NaN.
type Measures struct {
	Steps          int     // that the means are over
	Accuracy       float64 // Madu's eq 15: mean of 1 − |x − ŷ|/x over steps with calls
	Overestimation float64 // Madu's eq 16: mean of x/ŷ over steps with calls and ŷ above x
	Within10       float64 // share of steps with calls in which ŷ is within 10 % of x
	MASE           float64 // mean |x − mean| over the mean |change from one step to the next| in the training
	Pinball        float64 // mean quantile loss over all levels, over the same
	Coverage90     float64 // share of steps with x within the quantiles 0.05 and 0.95, ends included
	Groups         [3]Group
}

// Group is a part of the steps with calls: those whose load is below the median of all, from there to the 95th percentile,
// and above (Madu §5.1.1).
type Group struct {
	Steps                              int
	Accuracy, Overestimation, Within10 float64
}

// pair is one step that was forecast and observed.
type pair struct{ x, point float64 }

// tally gathers what Measures tells.
type tally struct {
	pairs             []pair
	absolute, pinball float64
	covered, steps    int
	levels            int
}

func (t *tally) add(f *forecast.Forecast, observed []float64) {
	point := f.Predicted()
	for k, x := range observed {
		if math.IsNaN(x) {
			continue
		}
		t.steps++
		t.absolute += math.Abs(x - f.Mean[k])
		for l, p := range f.Levels {
			d := x - f.Quantiles[l][k]
			t.pinball += max(p*d, (p-1)*d)
		}
		t.levels = len(f.Levels)
		if f.Quantile(0.05, k) <= x && x <= f.Quantile(0.95, k) {
			t.covered++
		}
		t.pairs = append(t.pairs, pair{x, point[k]})
	}
}

// done works the measures out; naive is the mean absolute change from one step to the next in the training.
func (t *tally) done(naive float64) Measures {
	m := Measures{Steps: t.steps, MASE: math.NaN(), Pinball: math.NaN()}
	n := float64(t.steps)
	if naive > 0 && n > 0 {
		m.MASE = t.absolute / n / naive
		m.Pinball = t.pinball / n / float64(t.levels) / naive
	}
	m.Coverage90 = float64(t.covered) / n
	called := slices.DeleteFunc(t.pairs, func(p pair) bool { return p.x == 0 })
	all := groupOf(called)
	m.Accuracy, m.Overestimation, m.Within10 = all.Accuracy, all.Overestimation, all.Within10
	loads := make([]float64, len(called))
	for i, p := range called {
		loads[i] = p.x
	}
	slices.Sort(loads)
	var parts [3][]pair
	if len(loads) > 0 {
		median, high := loads[len(loads)/2], loads[len(loads)*95/100]
		for _, p := range called {
			switch {
			case p.x < median:
				parts[0] = append(parts[0], p)
			case p.x <= high:
				parts[1] = append(parts[1], p)
			default:
				parts[2] = append(parts[2], p)
			}
		}
	}
	for i := range parts {
		m.Groups[i] = groupOf(parts[i])
	}
	return m
}

func groupOf(pairs []pair) Group {
	g := Group{Steps: len(pairs)}
	over := 0
	for _, p := range pairs {
		off := math.Abs(p.x-p.point) / p.x
		g.Accuracy += 1 - off
		if off <= 0.1 {
			g.Within10++
		}
		if p.point > p.x {
			g.Overestimation += p.x / p.point
			over++
		}
	}
	g.Accuracy /= float64(len(pairs))
	g.Within10 /= float64(len(pairs))
	g.Overestimation /= float64(over)
	return g
}
