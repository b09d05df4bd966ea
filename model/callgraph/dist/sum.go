package dist

import "math"

// Term is a stage of a sum, taken Times times, each independent of the others.
type Term struct {
	Of    *Stage // read at each evaluation, so that it may change in between
	Times int    // at least 1
}

// Sum is the distribution of the total of independent stages: hypoexponential where they are exponentials, whatever their
// rates; the closed form by partial fractions divides by their differences and fails where two are nearly alike, so that
// the transform is inverted numerically instead:
//
//	P(T > t) = 1/(2πi) ∫ M(s) exp(-s t) ds/s
//
// along a parabola through the saddle point of the integrand between 0 and the first pole, around all poles. There the
// trapezoidal rule converges geometrically, for equal rates, near and far ones alike, and the result keeps its relative
// precision (about 1e-12) far into the tail; that of sums with mixtures is absolute (1e-12). Left of the mean P(T <= t) is
// computed the same way with the saddle point below 0, so that small probabilities are precise at both ends.
// A Sum is not safe for concurrent use: it holds the memory
// it computes in.
type Sum struct {
	terms []Term
	above bool    // the side computed last: P(T > t), else P(T <= t)
	c     float64 // the saddle point
	node  []node
	inv   []float64 // by term: 1/(rate - c) of an exponential
	tilt  [][]float64
}

// node is one point of the trapezoidal rule: where it is, and what the integrand, with its weight, is there.
type node struct{ s, g complex128 }

// NewSum is the sum of terms, which it keeps.
func NewSum(terms ...Term) *Sum {
	s := &Sum{terms: terms, inv: make([]float64, len(terms)), tilt: make([][]float64, len(terms))}
	return s
}

// Mean is in seconds.
func (s *Sum) Mean() float64 {
	m, _, _ := s.Cumulants()
	return m
}

// Cumulants are the mean (s), the variance (s²) and the third central moment (s³).
func (s *Sum) Cumulants() (mean, variance, third float64) {
	for _, t := range s.terms {
		m, v, c := t.Of.Cumulants()
		n := float64(t.Times)
		mean, variance, third = mean+n*m, variance+n*v, third+n*c
	}
	return mean, variance, third
}

// Shift is the least total, in seconds.
func (s *Sum) Shift() float64 {
	d := 0.0
	for _, t := range s.terms {
		d += t.Of.Shift * float64(t.Times)
	}
	return d
}

// Above is the probability that the total is more than t seconds.
func (s *Sum) Above(t float64) float64 {
	v := s.integrate(t)
	if !s.above {
		return 1 - v
	}
	return v
}

// CDF is the probability that the total is at most t seconds.
func (s *Sum) CDF(t float64) float64 {
	v := s.integrate(t)
	if s.above {
		return 1 - v
	}
	return v
}

// Density is that of the total at the t of the last evaluation, whichever it was, in 1/s; 0 where the total is fixed.
func (s *Sum) Density() float64 {
	d := 0.0
	for _, n := range s.node {
		d += real(n.g * n.s)
	}
	return math.Abs(d) // below 0 it belongs to P(T <= t)
}

// Sensitivity is what Sum.Evaluate finds at one t, by the order of terms.
type Sensitivity struct {
	Above   float64   // P(T > t)
	Density float64   // of T at t, 1/s
	LogRate []float64 // d P(T > t) / d ln rate, of all rates of the term together
	Share   []float64 // E[what the term's visits take together; T > t], s: they add to E[T; T > t]
}

// Evaluate computes Above(t) and what it hangs on, into out, whose memory is used again. d Above / d Shift of a term is its
// Times times the density. Where the total is fixed there is no density, and it is 0.
func (s *Sum) Evaluate(t float64, out *Sensitivity) {
	out.LogRate, out.Share = resize(out.LogRate, len(s.terms)), resize(out.Share, len(s.terms))
	v := s.integrate(t)
	out.Above = v
	sign := 1.0
	if !s.above {
		out.Above, sign = 1-v, -1
	}
	out.Density = s.Density()
	for i := range s.terms {
		term := &s.terms[i]
		times := float64(term.Times)
		x, l := term.Of.weigh(s.node)
		out.LogRate[i] = sign * times * l
		if s.above {
			out.Share[i] = times * (x + term.Of.Shift*v)
		} else { // what was computed is E[..; T <= t]
			out.Share[i] = times * (term.Of.Mean() - x - term.Of.Shift*v)
		}
	}
}

func resize(a []float64, n int) []float64 {
	if cap(a) < n {
		return make([]float64, n)
	}
	a = a[:n]
	clear(a)
	return a
}

// weigh is, with X what is above the stage's shift, M its transform and the nodes' integrand G(s), the sum of G M'/M, which
// is E[X; the event], and of -G s M'/M, which is the derivative of the event's probability to ln rate.
func (s *Stage) weigh(nodes []node) (x, logRate float64) {
	switch {
	case s.IsFixed():
		return 0, 0
	case len(s.Parts) == 0:
		for _, n := range nodes {
			dr, di := s.Rate-real(n.s), -imag(n.s) // 1/(rate-s) = conj(rate-s)/|rate-s|²
			q := 1 / (dr*dr + di*di)
			gr, gi := real(n.g), imag(n.g)
			hr, hi := (gr*dr+gi*di)*q, (gi*dr-gr*di)*q
			x += hr
			logRate -= hr*real(n.s) - hi*imag(n.s)
		}
		return x, logRate
	}
	for _, n := range nodes {
		m, d := s.transform(n.s)
		if m == 0 {
			continue
		}
		h := n.g * d / m
		x += real(h)
		logRate -= real(h * n.s)
	}
	return x, logRate
}

// integrate is P(T > t) where s.above, else P(T <= t), and leaves the nodes.
func (s *Sum) integrate(t float64) float64 {
	s.node = s.node[:0]
	shift, pole, order := 0.0, math.Inf(1), 0.0
	mean, variance, _ := s.Cumulants()
	for _, e := range s.terms {
		n := float64(e.Times)
		shift += n * e.Of.Shift
		if p := e.Of.Pole(); p < pole {
			pole = p
		}
		if !e.Of.IsFixed() {
			order += n * float64(e.Of.order())
		}
	}
	far := nearRight
	if s.mixed() {
		far = math.Inf(1)
	}
	s.above = t >= mean+far*math.Sqrt(variance) // never where there are mixtures: variance is above 0 then, or all is fixed
	t -= shift
	switch {
	case math.IsNaN(t):
		return t
	case math.IsInf(pole, 1): // all fixed
		s.above = false
		if t < 0 {
			return 0
		}
		return 1
	case t <= 0:
		s.above = false
		return 0
	case math.IsInf(t, 1):
		return 0
	}
	v := s.parabola(t, s.saddle(t, pole, order), order)
	if !s.above && 1-v < nothing {
		s.above = true
		s.node = s.node[:0]
		v = s.parabola(t, s.saddle(t, pole, order), order)
	}
	return v
}

// Quantile is the total in seconds that is not exceeded with probability p, to 1e-10 of itself; NaN unless 0 < p < 1.
func (s *Sum) Quantile(p float64) float64 {
	if !(p > 0 && p < 1) {
		return math.NaN()
	}
	mean, variance, _ := s.Cumulants()
	lo, hi := s.Shift(), math.Inf(1)
	if variance == 0 {
		return mean
	}
	return Solve(lo, hi, mean+math.Sqrt(variance), p, func(t float64) (above, density float64) {
		above = s.Above(t)
		return above, s.Density()
	})
}
