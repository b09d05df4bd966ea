package forecast

import (
	"errors"
	"fmt"
	"math"
	"time"
)

// Series is equally spaced load, oldest first; NaN was not observed. Values[i] is the load over
// [Start + i·Step, Start + (i+1)·Step), in any unit that is not negative: calls a minute, requests a second.
type Series struct {
	Start  time.Time
	Step   time.Duration
	Values []float64
}

// End is the instant at which the last value's step ends, where a forecast starts.
func (s Series) End() time.Time { return s.At(len(s.Values)) }

// At is the instant at which step i starts; i may lie beyond the values.
func (s Series) At(i int) time.Time { return s.Start.Add(time.Duration(i) * s.Step) }

// Slice is the steps from i up to but not including j. It shares the values.
func (s Series) Slice(i, j int) Series {
	return Series{Start: s.At(i), Step: s.Step, Values: s.Values[i:j:j]}
}

// Observed counts the values that were observed.
func (s Series) Observed() int {
	n := 0
	for _, v := range s.Values {
		if !math.IsNaN(v) {
			n++
		}
	}
	return n
}

// Check says what makes a series unfit for a method: a step of no length, a value that is negative or infinite, or that
// nothing at all was observed.
func (s Series) Check() error {
	if s.Step <= 0 {
		return fmt.Errorf("a series needs a step above 0, not %v", s.Step)
	}
	for i, v := range s.Values {
		if v < 0 || math.IsInf(v, 0) {
			return fmt.Errorf("value %d of the series, at %s, is %v: a load is a number from 0 on", i, s.At(i).UTC().Format(time.RFC3339), v)
		}
	}
	if s.Observed() == 0 {
		return ErrEmpty
	}
	return nil
}

// ErrEmpty is a series in which nothing was observed: there is not even a last value.
var ErrEmpty = errors.New("the series holds no observed value")

// Filled is a copy of the values in which each gap carries the value before it; a gap at the start takes the first value
// that was observed. Where nothing was, all are 0. It looks at nothing later than the gap, but for one at the start.
func (s Series) Filled() []float64 {
	out := make([]float64, len(s.Values))
	last := 0.0
	for _, v := range s.Values {
		if !math.IsNaN(v) {
			last = v
			break
		}
	}
	for i, v := range s.Values {
		if !math.IsNaN(v) {
			last = v
		}
		out[i] = last
	}
	return out
}

// Last is the last value that was observed, and how many steps before the end it was: 1 where it is the last of all.
// Where there is none, ago is 0.
func (s Series) Last() (v float64, ago int) {
	for i := len(s.Values) - 1; i >= 0; i-- {
		if !math.IsNaN(s.Values[i]) {
			return s.Values[i], len(s.Values) - i
		}
	}
	return 0, 0
}
