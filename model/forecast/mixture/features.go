package mixture

import (
	"math"
	"time"
)

// lags are the steps back whose loads a row holds, as far as the series is long enough; the first near ones one by one.
var lags = []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 15, 20, 30, 45, 60}

const near = 10

// rates are those of the exponential averages in a row.
var rates = []float64{0.5, 0.3, 0.15, 0.07, 0.03, 0.01, 0.003}

// view is the series as one group of experts sees it, and averages of that.
type view struct {
	y        []float64 // oldest first, gaps filled
	averages []float64 // by rate
	change   float64   // mean absolute change from one step to the next, slow
	n        int
}

func newView() *view { return &view{averages: make([]float64, len(rates))} }

func (v *view) last() float64 { return v.y[len(v.y)-1] }

// unit is what changes are measured in; never 0, so that a series that has stood still gives numbers too.
func (v *view) unit() float64 {
	return max(v.change, 1e-6*(math.Abs(v.averages[len(rates)-1])+1))
}

// push takes the next value in, and keeps reach of them or more.
func (v *view) push(x float64, reach int) {
	v.n++
	for i, a := range rates {
		v.averages[i] += max(a, 1/float64(v.n)) * (x - v.averages[i]) // the plain mean while there are few
	}
	if v.n > 1 {
		v.change += max(0.002, 1/float64(v.n-1)) * (math.Abs(x-v.last()) - v.change)
	}
	v.y = keepLast(append(v.y, x), reach)
}

// keepLast drops what is old, now and then.
func keepLast(y []float64, reach int) []float64 {
	if len(y) > 2*reach+1000 {
		y = y[:copy(y, y[len(y)-reach:])]
	}
	return y
}

// layout says what a row holds for a series.
type layout struct {
	m       int
	lean    bool // few lags and averages and nothing else: learnt from few rows
	periods []int
	offsets []int // steps after the origin at which earlier seasons are looked at
	day     bool  // the calendar counts
	week    bool
	size    int
	reach   int // how many values up to the origin a row may look at
}

// leanLags and leanRates are how many lags, and which averages, a lean row has.
const (
	leanLags = 3
	leanRate = 2 // every second
)

// leanLayout is of short rows.
func leanLayout(m int) layout {
	return layout{m: m, lean: true, reach: 64, size: 1 + leanLags + (len(rates)+leanRate-1)/leanRate}
}

// past is how many earlier seasons a row looks at.
const past = 3

func newLayout(m int, periods []int, step time.Duration, n int) layout {
	l := layout{m: m, periods: periods, reach: 64}
	for _, o := range []int{1, 2, 3, 5, 8, 12, 20, 30, 45, 60, 90, 120} {
		if o < m {
			l.offsets = append(l.offsets, o)
		}
	}
	l.offsets = append(l.offsets, m)
	span := time.Duration(n) * step
	l.day = step < 12*time.Hour && span >= 48*time.Hour
	l.week = l.day && span >= 14*24*time.Hour
	l.size = 2 + len(lags) + len(rates) + 2*len(periods)*(len(l.offsets)+1)
	if l.day {
		l.size += 4
	}
	if l.week {
		l.size += 2
	}
	for _, p := range periods {
		l.reach = max(l.reach, past*p+1)
	}
	return l
}

// row fills x in with what is known at the last value of a view: everything as a difference from that value in units of the
// usual change, so that a level or a size never seen before looks like any other.
func (l layout) row(v *view, at time.Time, x []float64) {
	n := len(v.y)
	last, unit := v.last(), v.unit()
	back := func(k int) float64 { // k steps before the last value
		if k >= n {
			return v.y[0]
		}
		return v.y[n-1-max(k, 0)]
	}
	i := 0
	put := func(d float64) { x[i] = d / unit; i++ }
	put(unit)
	if l.lean {
		for k := range leanLags {
			put(back(k) - back(k+1))
		}
		for j := 0; j < len(rates); j += leanRate {
			put(v.averages[j] - last)
		}
		return
	}
	put(last)
	for j, k := range lags {
		if j < near {
			put(back(k-1) - back(k))
		} else {
			put(back(k) - last)
		}
	}
	for _, a := range v.averages {
		put(a - last)
	}
	for _, p := range l.periods {
		l.season(n, p, last, back, put)
	}
	if l.day {
		l.calendar(at, x[i:])
	}
}

// season puts how the load stood one period ago, and how it went on from there: then, and on average over earlier ones.
func (l layout) season(n, p int, last float64, back func(int) float64, put func(float64)) {
	level := 0.0
	for r := 1; r <= past; r++ {
		level += back(r*p) / past
	}
	put(back(p) - last)
	put(level - last)
	for _, o := range l.offsets {
		if o = o % p; o == 0 {
			o = p
		}
		once := back(p-o) - back(p)
		sum, count := once, 1.0
		for r := 2; r <= past && r*p < n; r++ {
			sum += back(r*p-o) - back(r*p)
			count++
		}
		put(once)
		put(sum / count)
	}
}

func (l layout) calendar(at time.Time, x []float64) {
	at = at.UTC()
	day := 2 * math.Pi * float64(at.Hour()*3600+at.Minute()*60+at.Second()) / 86400
	x[0], x[1], x[2], x[3] = math.Sin(day), math.Cos(day), math.Sin(2*day), math.Cos(2*day)
	if l.week {
		week := (2*math.Pi*float64(at.Weekday()) + day) / 7
		x[4], x[5] = math.Sin(week), math.Cos(week)
	}
}
