package neural

import (
	"math"
	"time"

	"foresail.dev/ml/nn"
	"foresail.dev/model/forecast"
)

// scaling takes loads to what networks see, and back. Each window has a level of its own, its mean load, so that a network
// knows the shape of what comes and forecasts at levels that its training never saw: z = (load - level) / (level·spread).
type scaling struct {
	floor  float64 // the least level, in the load's unit
	spread float64 // typical deviation of a load from its window's level, as a share of it
}

// scalingOf is by all windows of n steps, gaps filled.
func scalingOf(filled []float64, n int) scaling {
	n = min(n, len(filled))
	var total float64
	for _, v := range filled {
		total += v
	}
	s := scaling{floor: 0.05 * total / float64(len(filled)), spread: 1}
	if !(s.floor > 0) {
		s.floor = 1 // nothing was ever called
	}
	var sum, squares float64 // of the window
	var relative, windows float64
	for i, v := range filled {
		sum += v
		squares += v * v
		if i >= n {
			sum -= filled[i-n]
			squares -= filled[i-n] * filled[i-n]
		}
		if i >= n-1 {
			mean := sum / float64(n)
			level := max(mean, s.floor)
			relative += max(squares/float64(n)-2*mean*level+level*level, 0) / (level * level)
			windows++
		}
	}
	s.spread = max(math.Sqrt(relative/windows), 1e-3)
	return s
}

// unit is the level of a window, and what a network's 1 is.
func (s scaling) unit(window []float64) (level, one float64) {
	for _, v := range window {
		level += v / float64(len(window))
	}
	level = max(level, s.floor)
	return level, level * s.spread
}

// prepared is a series as networks are shown it, gaps filled with what came before them.
type prepared struct {
	scaling
	load     []float64
	calendar [][3]float32
	starts   []int // of windows whose targets were all observed
}

// prepare readies a series for windows of n steps and the m after them.
func prepare(s forecast.Series, n, m int) prepared {
	p := prepared{load: s.Filled(), calendar: make([][3]float32, len(s.Values))}
	p.scaling = scalingOf(p.load, n)
	for i := range s.Values {
		p.calendar[i] = calendar(s.At(i))
	}
	p.starts = starts(s, n, m)
	return p
}

// starts are where the windows of n steps begin whose m targets were all observed.
func starts(s forecast.Series, n, m int) (at []int) {
	missing := 0 // in the m values up to i
	for i, v := range s.Values {
		if math.IsNaN(v) {
			missing++
		}
		if i >= m && math.IsNaN(s.Values[i-m]) {
			missing--
		}
		if i >= n+m-1 && missing == 0 {
			at = append(at, i-(n+m-1))
		}
	}
	return at
}

// calendar is minute of the hour, hour of the day and day of the week, from Monday, so that the days of a weekend lie side
// by side; each in [-1/2, 1/2], in UTC.
func calendar(at time.Time) [3]float32 {
	at = at.UTC()
	return [3]float32{float32(at.Minute())/59 - 0.5, float32(at.Hour())/23 - 0.5, float32((int(at.Weekday())+6)%7)/6 - 0.5}
}

// examples is a batch of windows and what came after them, one step after another.
type examples struct {
	x      nn.Batch[float32]
	target []float32
	batch  int
}

func newExamples(n, m, batch int) *examples {
	return &examples{nn.Batch[float32]{Rows: n * batch, Cols: features, Data: make([]float32, n*batch*features)}, make([]float32, m*batch), batch}
}

// set makes example b of the window of p that begins at start.
func (e *examples) set(b int, p *prepared, start int) {
	n, m := e.x.Rows/e.batch, len(e.target)/e.batch
	window := p.load[start : start+n+m]
	level, one := p.unit(window[:n])
	for t, v := range window[:n] {
		row := e.x.Row(t*e.batch + b)
		row[0] = float32((v - level) / one)
		copy(row[1:], p.calendar[start+t][:])
	}
	for t, v := range window[n:] {
		e.target[t*e.batch+b] = float32((v - level) / one)
	}
}

// draw fills the batch with windows that are drawn from several series: first a series, then one of its windows.
func (e *examples) draw(from []prepared, r *nn.Rand) {
	for b := range e.batch {
		p := &from[0]
		if len(from) > 1 {
			p = &from[r.IntN(len(from))]
		}
		e.set(b, p, p.starts[r.IntN(len(p.starts))])
	}
}
