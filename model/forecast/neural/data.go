package neural

import (
	"math"
	"time"

	"foresail.dev/ml/nn"
	"foresail.dev/model/forecast"
)

// scaling takes a load to what networks see, and back.
type scaling struct{ mean, deviation float64 }

// scalingOf is by the observed values. A constant series has the deviation of counts, so that nothing is divided by zero.
func scalingOf(values []float64) scaling {
	var n, mean, squares float64
	for _, v := range values {
		if !math.IsNaN(v) {
			n++
			d := v - mean
			mean += d / n
			squares += d * (v - mean)
		}
	}
	s := scaling{mean, math.Sqrt(squares / max(n, 1))}
	if !(s.deviation > 1e-6*mean) {
		s.deviation = max(math.Sqrt(mean), 1)
	}
	return s
}

func (s scaling) in(v float64) float64   { return (v - s.mean) / s.deviation }
func (s scaling) back(v float64) float64 { return v*s.deviation + s.mean }

// prepared is a series as networks see it: four features for each step, gaps filled with what came before them.
type prepared struct {
	scaling
	x      []float32
	starts []int // of windows whose targets were all observed
}

// prepare readies a series for windows of n steps and the m after them.
func prepare(s forecast.Series, n, m int) prepared {
	p := prepared{scaling: scalingOf(s.Values), x: make([]float32, features*len(s.Values))}
	fill(p.x, s, p.scaling)
	missing := 0 // in the m values up to i
	for i, v := range s.Values {
		if math.IsNaN(v) {
			missing++
		}
		if i >= m && math.IsNaN(s.Values[i-m]) {
			missing--
		}
		if i >= n+m-1 && missing == 0 {
			p.starts = append(p.starts, i-(n+m-1))
		}
	}
	return p
}

// fill writes the features of each step.
func fill(x []float32, s forecast.Series, scale scaling) {
	for i, v := range s.Filled() {
		at := s.At(i).UTC()
		f := x[features*i : features*(i+1)]
		f[0] = float32(scale.in(v))
		f[1] = float32(at.Minute())/59 - 0.5
		f[2] = float32(at.Hour())/23 - 0.5
		f[3] = float32(weekday(at))/6 - 0.5
	}
}

// weekday counts from Monday, so that the two days of a weekend lie side by side.
func weekday(at time.Time) int { return (int(at.Weekday()) + 6) % 7 }

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
	for t := range n {
		copy(e.x.Row(t*e.batch+b), p.x[features*(start+t):features*(start+t+1)])
	}
	for t := range m {
		e.target[t*e.batch+b] = p.x[features*(start+n+t)]
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
