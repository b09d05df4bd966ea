package forecast

import (
	"fmt"
	"math"
)

// FewestToLearn is how many values a history must hold for anything to be learnt from it.
const FewestToLearn = 20

// LastValue is the method that expects what was last observed. Its scale for k steps ahead is the root mean square of the
// changes over k steps in the history. It is also what the other methods fall back to.
type LastValue struct{}

// Name implements Method.
func (LastValue) Name() string { return "last-value" }

// Train implements Method.
func (LastValue) Train(history Series, o Options) (Forecaster, error) {
	o, err := Ready(history, o)
	if err != nil {
		return nil, err
	}
	return &lastValue{levels: o.Levels, past: tail(history.Values)}, nil
}

type lastValue struct {
	levels []float64
	past   []float64
}

// longestPast bounds how much of a history last-value looks at.
const longestPast = 2000

func tail(v []float64) []float64 {
	return append([]float64(nil), v[max(0, len(v)-longestPast):]...)
}

func (l *lastValue) Forecast(history Series, m int) (Forecast, error) {
	values := history.Values[max(0, len(history.Values)-longestPast):]
	if len(values) < len(l.past) { // what came before is known too
		values = l.past
	}
	return lastOf(history, values, m, l.levels)
}

// Fallback is the last value and its usual changes, for a method that has nothing else to go by; why says what is lacking.
func Fallback(history Series, m int, levels []float64, why string) (Forecast, error) {
	f, err := lastOf(history, history.Values[max(0, len(history.Values)-longestPast):], m, levels)
	f.Fallback = why
	return f, err
}

// TooShort is the reason of a fallback for a history with too few values.
func TooShort(observed, want int) string {
	return fmt.Sprintf("%d observed values are too few to learn from, %d would do", observed, want)
}

func lastOf(history Series, values []float64, m int, levels []float64) (Forecast, error) {
	last, ago := history.Last()
	if ago == 0 {
		return Forecast{}, ErrEmpty
	}
	f := New(history, m, levels)
	known := 0.0
	for k := range m {
		if s, ok := changes(values, k+ago); ok {
			known = max(known, s)
		} else { // too few to tell: as a random walk spreads, or as counts do where nothing is known
			if known == 0 {
				known = math.Sqrt(last)
			}
			known *= math.Sqrt(float64(k+ago+1) / float64(k+ago))
		}
		f.SetNormal(k, last, known)
	}
	return f, nil
}

// changes is the root mean square of the changes over some steps; false with fewer than three of them.
func changes(values []float64, steps int) (float64, bool) {
	sum, n := 0.0, 0
	for i := steps; i < len(values); i++ {
		if d := values[i] - values[i-steps]; !math.IsNaN(d) {
			sum += d * d
			n++
		}
	}
	if n < 3 {
		return 0, false
	}
	return math.Sqrt(sum / float64(n)), true
}
