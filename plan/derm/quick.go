package derm

import (
	"math"

	"foresail.dev"
	"gonum.org/v1/gonum/mathext"
)

// moments are the first three cumulants of a time: its mean, its variance and its third central moment, in seconds.
type moments struct{ mean, variance, third float64 }

func (m *moments) add(o moments, times float64) {
	m.mean += times * o.mean
	m.variance += times * o.variance
	m.third += times * o.third
}

// sketchy is the latency of the requests of one form by three moments: those of what follows each other add, and of what goes
// on side by side the longest is taken as Clark (1961) has it for normal times. The third is that of whoever is the longest. It
// takes microseconds, and comes within a few per cent; what is decided by it is held against the exact distribution, or against
// what was observed.
type sketchy struct {
	visits []foresail.Visit
	ops    []int     // by visit; -1: nobody waits for it
	own    []moments // by visit: of a single one, with all that it calls
	steps  []step    // of all visits, those of a visit after each other
	first  []int     // by visit: its first step, and the next visit's after the last
	total  moments
	grad   []moments // by visit: derivatives of the percentile by own
}

// step is what goes on side by side.
type step struct {
	at      []int        // visits
	weights [][4]float64 // by visit but the first, in the order of joining: see join
	longest []moments    // before each joining
}

func newSketchy(f *foresail.Form, ops []int) *sketchy {
	n := len(f.Visits)
	q := &sketchy{visits: f.Visits, ops: ops, own: make([]moments, n), first: make([]int, n+1), grad: make([]moments, n)}
	for i := range f.Visits {
		q.first[i] = len(q.steps)
		at := -1
		for j := i + 1; j < n; j++ {
			v := &f.Visits[j]
			if v.Parent != i || ops[j] < 0 {
				continue
			}
			if v.Step != at {
				q.steps = append(q.steps, step{})
				at = v.Step
			}
			s := &q.steps[len(q.steps)-1]
			s.at = append(s.at, j)
		}
	}
	q.first[n] = len(q.steps)
	for i := range q.steps {
		s := &q.steps[i]
		s.longest = make([]moments, len(s.at))
		s.weights = make([][4]float64, len(s.at))
	}
	return q
}

// times is a visit's time with all its repetitions.
func (q *sketchy) times(v int) (m moments) {
	m.add(q.own[v], float64(q.visits[v].Times))
	return m
}

// compute works out the moments, from those of each op by itself.
func (q *sketchy) compute(ops []op) {
	for v := len(q.visits) - 1; v >= 0; v-- {
		if q.ops[v] < 0 {
			continue
		}
		m := ops[q.ops[v]].now
		for k := q.first[v]; k < q.first[v+1]; k++ {
			s := &q.steps[k]
			longest := q.times(s.at[0])
			for j, w := range s.at[1:] {
				s.longest[j] = longest
				longest = join(longest, q.times(w))
			}
			m.add(longest, 1)
		}
		q.own[v] = m
	}
	q.total = q.times(0)
}

// join is the longer of two independent times.
func join(a, b moments) moments {
	m, v, w := clark(a.mean, a.variance, b.mean, b.variance)
	return moments{m, v, w*a.third + (1-w)*b.third}
}

// clark is the mean and the variance of the larger of two normal numbers, and how probably that is the first.
func clark(m1, v1, m2, v2 float64) (mean, variance, first float64) {
	s := math.Sqrt(v1 + v2)
	if s < 1e-12 {
		if m1 >= m2 {
			return m1, v1, 1
		}
		return m2, v2, 0
	}
	a := (m1 - m2) / s
	first = 0.5 * math.Erfc(-a/math.Sqrt2)
	density := math.Exp(-a*a/2) / math.Sqrt(2*math.Pi)
	mean = m1*first + m2*(1-first) + s*density
	square := (m1*m1+v1)*first + (m2*m2+v2)*(1-first) + (m1+m2)*s*density
	return mean, max(square-mean*mean, 1e-3*min(v1, v2)), first
}

// back takes the derivatives of something by the moments of the whole to those by each op, and adds them there.
func (q *sketchy) back(by moments, ops []op) {
	clear(q.grad)
	q.grad[0].add(by, float64(q.visits[0].Times))
	for v := range q.visits {
		if q.ops[v] < 0 {
			continue
		}
		g := q.grad[v]
		o := &ops[q.ops[v]]
		o.by.add(g, 1)
		for k := q.first[v]; k < q.first[v+1]; k++ {
			s := &q.steps[k]
			up := g
			for j := len(s.at) - 1; j >= 1; j-- {
				a, b := s.longest[j-1], q.times(s.at[j])
				var left, right moments
				left, right = unjoin(a, b, up)
				q.grad[s.at[j]].add(right, float64(q.visits[s.at[j]].Times))
				up = left
			}
			q.grad[s.at[0]].add(up, float64(q.visits[s.at[0]].Times))
		}
	}
}

// unjoin takes derivatives by the moments of the longer of two to those by both's. That the third changes with who is the longer
// is left out.
func unjoin(a, b, by moments) (left, right moments) {
	m, v, w := clark(a.mean, a.variance, b.mean, b.variance)
	slope := func(da, va, db, vb float64) float64 {
		m1, v1, _ := clark(a.mean+da, a.variance+va, b.mean+db, b.variance+vb)
		return by.mean*(m1-m) + by.variance*(v1-v)
	}
	h := 1e-5 * (math.Sqrt(a.variance+b.variance) + 1e-9)
	g := 1e-5 * (a.variance + b.variance + 1e-18)
	left = moments{slope(h, 0, 0, 0) / h, slope(0, g, 0, 0) / g, by.third * w}
	right = moments{slope(0, 0, h, 0) / h, slope(0, 0, 0, g) / g, by.third * (1 - w)}
	return left, right
}

// above is the probability of more than t seconds, as a gamma distribution with these moments has it; that of a normal one
// where they are hardly skewed.
func (m moments) above(t float64) float64 {
	if !(m.variance > 0) {
		if t < m.mean {
			return 1
		}
		return 0
	}
	s := math.Sqrt(m.variance)
	skew := m.third / (s * m.variance)
	if skew < 0.02 {
		return 0.5 * math.Erfc((t-m.mean)/s/math.Sqrt2)
	}
	shape := 4 / (skew * skew)
	scale := s * skew / 2
	x := (t-m.mean)/scale + shape
	if x <= 0 {
		return 1
	}
	return mathext.GammaIncRegComp(shape, x)
}

// quick is the percentile by moments, and with slopes its derivatives by each op's moments, in ops[i].by.
func (x *tail) quick(slopes bool) float64 {
	mean, square := 0.0, 0.0
	for g, q := range x.sketches {
		if x.shares[g] > 0 {
			q.compute(x.ops)
			mean += x.shares[g] * q.total.mean
			square += x.shares[g] * (q.total.variance + q.total.mean*q.total.mean)
		}
	}
	above := func(t float64) (sum float64) {
		for g, q := range x.sketches {
			if x.shares[g] > 0 {
				sum += x.shares[g] * q.total.above(t)
			}
		}
		return sum
	}
	t := x.root(above, mean, math.Sqrt(max(square-mean*mean, 0)))
	if !slopes {
		return t
	}
	h := 1e-4 * t
	density := (above(t-h) - above(t+h)) / (2 * h)
	for i := range x.ops {
		x.ops[i].by = moments{}
	}
	if !(density > 0) {
		return t
	}
	for g, q := range x.sketches {
		if !(x.shares[g] > 0) {
			continue
		}
		at := q.total.above(t)
		by := func(m moments, d float64) float64 { return x.shares[g] * (m.above(t) - at) / d / density }
		dm, dv, dt := 1e-5*q.total.mean, 1e-5*q.total.variance, 1e-5*q.total.third
		var d moments
		if dm > 0 {
			d.mean = by(moments{q.total.mean + dm, q.total.variance, q.total.third}, dm)
		}
		if dv > 0 {
			d.variance = by(moments{q.total.mean, q.total.variance + dv, q.total.third}, dv)
		}
		if dt > 0 {
			d.third = by(moments{q.total.mean, q.total.variance, q.total.third + dt}, dt)
		}
		q.back(d, x.ops)
	}
	return t
}

// root is where above is the share that may be late: by secants of its logarithm, kept between what is too little and too much.
func (x *tail) root(above func(float64) float64, mean, deviation float64) float64 {
	if !(deviation > 0) {
		return mean
	}
	want := math.Log(x.share)
	lo, hi := 0.0, math.Inf(1)
	t := mean + deviation*min(max(-want, 1), 6)/1.5
	if x.last > mean {
		t = x.last
	}
	t0, y0 := 0.0, 0.0
	for i := range 60 {
		y := math.Log(max(above(t), 1e-300)) - want
		if math.Abs(y) < 1e-9 {
			break
		}
		if y > 0 {
			lo = t
		} else {
			hi = t
		}
		next := math.NaN()
		if i == 0 {
			next = t * (1 + min(max(y, -0.5), 0.5)*0.2)
		} else if y != y0 {
			next = t - y*(t-t0)/(y-y0)
		}
		t0, y0 = t, y
		switch {
		case next > lo && next < hi:
		case math.IsInf(hi, 1):
			next = 2 * t
		default:
			next = (lo + hi) / 2
		}
		if math.Abs(next-t) <= 1e-12*t {
			break
		}
		t = next
	}
	x.last = t
	return t
}
