package shares

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/mat"
)

// Ridge is a ridge regression on centred log-ratios: of shares p, with a little added to each so that none is zero,
// z = ln p less its mean. The change of z to the next window is linear in z, in its last change and in a constant. Since what is
// shrunk is the change, a regression that has learnt nothing expects the last value. Its penalty, and what is added, are
// chosen by leaving parts of the training out. A Tracker learns on from what it observes.
var Ridge Method = ridge{}

type ridge struct{}

func (ridge) Name() string { return "ridge" }

// What is tried; the middle of each where there is nothing to choose by.
var (
	ridgePenalties = []float64{0.1, 1, 10, 100, 1000, 10000}
	ridgeAdded     = []float64{0.001, 0.01, 0.05}
)

const ridgeFolds = 5

// gram is sums of squares and products, of inputs with themselves and with outputs.
type gram struct {
	n, in, out int
	xx, xy     []float64 // in × in, in × out
}

func newGram(classes int) *gram {
	in := 2*classes + 1
	return &gram{in: in, out: classes, xx: make([]float64, in*in), xy: make([]float64, in*classes)}
}

func (g *gram) add(x, y []float64) {
	g.n++
	for i, v := range x {
		for j, w := range x {
			g.xx[i*g.in+j] += v * w
		}
		for j, w := range y {
			g.xy[i*g.out+j] += v * w
		}
	}
}

func (g *gram) merge(o *gram, sign float64) {
	g.n += int(sign) * o.n
	for i, v := range o.xx {
		g.xx[i] += sign * v
	}
	for i, v := range o.xy {
		g.xy[i] += sign * v
	}
}

// solve returns the weights, in × out; all zero, which is the last value, where they can't be told.
func (g *gram) solve(penalty float64) []float64 {
	out := make([]float64, g.in*g.out)
	sym := mat.NewSymDense(g.in, nil)
	for i := range g.in {
		for j := i; j < g.in; j++ {
			sym.SetSym(i, j, g.xx[i*g.in+j])
		}
		sym.SetSym(i, i, sym.At(i, i)+penalty)
	}
	var c mat.Cholesky
	if g.n == 0 || !c.Factorize(sym) {
		return out
	}
	var b mat.Dense
	if err := c.SolveTo(&b, mat.NewDense(g.in, g.out, g.xy)); err != nil {
		return out
	}
	copy(out, b.RawMatrix().Data)
	return out
}

// Train implements Method.
func (r ridge) Train(pool []Series, _ Options) (Model, error) {
	m := &ridgeModel{penalty: 100, added: 0.01}
	for _, s := range pool {
		if err := s.Check(); err != nil {
			return nil, err
		}
		switch {
		case m.classes == 0:
			m.classes = s.Classes()
		case s.Classes() != m.classes && s.Classes() > 0:
			return nil, fmt.Errorf("series %q has %d call graphs, those before it %d: train on those of one number", s.Name, s.Classes(), m.classes)
		}
	}
	if m.classes == 0 {
		return m, nil
	}
	best := math.Inf(1)
	for _, added := range ridgeAdded {
		all := newGram(m.classes)
		var parts [ridgeFolds]*gram
		for i := range parts {
			parts[i] = newGram(m.classes)
		}
		for i, s := range pool {
			t := &ridgeTracker{ridgeModel: &ridgeModel{classes: m.classes, added: added}, own: parts[i%ridgeFolds]}
			for k, row := range s.Rows {
				t.Observe(row, s.Counted(k))
			}
		}
		for _, p := range parts {
			all.merge(p, 1)
		}
		for _, penalty := range ridgePenalties {
			if e := ridgeError(pool, m.classes, added, penalty, all, parts[:]); e < best {
				best, m.added, m.penalty, m.prior = e, added, penalty, all
			}
		}
	}
	return m, nil
}

// ridgeError is the sum of squares that regressions are off by, each on the part that it was not trained on.
func ridgeError(pool []Series, classes int, added, penalty float64, all *gram, parts []*gram) (sum float64) {
	dst := make([]float64, classes)
	for f, part := range parts {
		rest := newGram(classes)
		rest.merge(all, 1)
		rest.merge(part, -1)
		weights := rest.solve(penalty)
		for i := f; i < len(pool); i += len(parts) {
			t := &ridgeTracker{ridgeModel: &ridgeModel{classes: classes, added: added}, weights: weights, fixed: true}
			for k, row := range pool[i].Rows {
				if k > 0 {
					t.Predict(1, dst)
					sum += squared(dst, row)
				}
				t.Observe(row, pool[i].Counted(k))
			}
		}
	}
	return sum
}

// squared is the sum of squares of a difference.
func squared(a, b []float64) (sum float64) {
	for i, v := range a {
		sum += (v - b[i]) * (v - b[i])
	}
	return sum
}

type ridgeModel struct {
	classes        int // of the training; 0: there was none
	penalty, added float64
	prior          *gram // nil: nothing was learnt
}

// Track implements Model.
func (m *ridgeModel) Track(classes int) (Tracker, bool) {
	t := &ridgeTracker{ridgeModel: &ridgeModel{classes: classes, penalty: m.penalty, added: m.added}, own: newGram(classes)}
	if m.prior != nil && m.classes == classes {
		t.own.merge(m.prior, 1)
	}
	return t, true
}

type ridgeTracker struct {
	*ridgeModel
	own     *gram
	weights []float64 // nil: to be solved for
	fixed   bool      // it does not learn
	seen    int
	row     []float64 // the last
	z, diff []float64 // log-ratios of the last window, and their last change
}

// ratios are centred log-ratios.
func (m *ridgeModel) ratios(row []float64) []float64 {
	z := make([]float64, len(row))
	mean := 0.0
	for i, p := range row {
		z[i] = math.Log((p + m.added) / (1 + float64(len(row))*m.added))
		mean += z[i] / float64(len(row))
	}
	for i := range z {
		z[i] -= mean
	}
	return z
}

// shares undoes ratios.
func (m *ridgeModel) shares(z, dst []float64) {
	sum := 0.0
	for i, v := range z {
		dst[i] = math.Exp(v)
		sum += dst[i]
	}
	all := 0.0
	for i := range dst {
		dst[i] = max(dst[i]/sum*(1+float64(len(z))*m.added)-m.added, 0)
		all += dst[i]
	}
	for i := range dst {
		dst[i] /= all
	}
}

func (t *ridgeTracker) inputs(z, diff []float64) []float64 {
	x := make([]float64, 0, 2*t.classes+1)
	x = append(append(x, z...), diff...)
	return append(x, 1)
}

// Observe implements Tracker.
func (t *ridgeTracker) Observe(row []float64, _ float64) {
	z := t.ratios(row)
	t.row = append(t.row[:0], row...)
	diff := make([]float64, len(z))
	if t.seen > 0 {
		for i := range z {
			diff[i] = z[i] - t.z[i]
		}
		if !t.fixed && t.seen > 1 {
			t.own.add(t.inputs(t.z, t.diff), diff)
			t.weights = nil
		}
	}
	t.z, t.diff = z, diff
	t.seen++
}

// Predict implements Tracker.
func (t *ridgeTracker) Predict(ahead int, dst []float64) {
	switch {
	case t.seen == 0:
		copy(dst, uniform(t.classes))
		return
	case t.weights == nil:
		t.weights = t.own.solve(t.penalty)
	}
	z, diff := append([]float64(nil), t.z...), append([]float64(nil), t.diff...)
	for range ahead {
		x := t.inputs(z, diff)
		for j := range z {
			d := 0.0
			for i, v := range x {
				d += v * t.weights[i*t.classes+j]
			}
			diff[j] = math.Max(-ridgeStep, math.Min(ridgeStep, d))
		}
		for j := range z {
			z[j] += diff[j]
		}
	}
	t.shares(z, dst)
}

// ridgeStep is the most that a log-ratio is let change in one window: more than from one in a thousand to all.
const ridgeStep = 8
