package madu

import (
	"math"
	"time"

	"foresail.dev"
	"foresail.dev/model/forecast"
)

// How many minutes are kept of each service: eight days, of very many services at least a day and a half.
const (
	keepMinutes  = 8 * 1440
	leastMinutes = 36 * 60
	keepValues   = 16 << 20 // of all services together
	shownMinutes = 2000     // of those, to a forecaster that was trained on the others
)

// service is what is remembered of one, and what was planned for it.
type service struct {
	Calls   series
	Seen    int // minutes since its calls were first observed
	Profile profile
	Plan    []int     // containers of each of the minutes ahead
	Ahead   []float64 // calls a minute of each, that the plan is for
	Model   *model
	next    *foresail.Forecast // of the minute after the newest, as it was last forecast; nil: it was not
}

// series is calls a minute, oldest first, the newest of the minute that ended last; NaN where they were not observed.
type series []float64

// push adds a minute and forgets the oldest beyond keep; a quarter more is kept, so that they are moved seldom.
func (s *series) push(calls float64, keep int) {
	if len(*s) >= keep+keep/4 {
		n := copy(*s, (*s)[len(*s)-keep+1:])
		*s = (*s)[:n]
	}
	// What is kept over a restart has the precision of a float32, so that nothing changes by being kept.
	*s = append(*s, float64(float32(calls)))
}

// until is the series as it was so many minutes before its end, at most most long, without copying.
func (s series) until(ago, most int, end time.Time) forecast.Series {
	j := max(len(s)-ago, 0)
	i := max(j-most, 0)
	v := s[i:j:j]
	return forecast.Series{Start: end.Add(-time.Duration(ago+len(v)) * time.Minute), Step: time.Minute, Values: v}
}

// observed reports whether there is any value.
func (s series) observed() bool {
	for i := len(s) - 1; i >= 0; i-- {
		if !math.IsNaN(s[i]) {
			return true
		}
	}
	return false
}

// callsOf is how many calls a minute a snapshot observed; NaN where it did not, or not for half a minute at least.
func callsOf(st *foresail.ServiceStats, d time.Duration) float64 {
	if st == nil || !st.Has.Has(foresail.SignalArrivals) || d < time.Minute/2 || !finite(st.Arrivals) {
		return math.NaN()
	}
	return st.Arrivals / d.Minutes()
}
