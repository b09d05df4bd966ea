package dist

import (
	"math"
	"math/cmplx"
)

// order is the most exponentials that one visit's time is a sum of.
func (s *Stage) order() int {
	n := 1
	for _, p := range s.Parts {
		n = max(n, p.Order)
	}
	return n
}

// cumulant is the logarithm of the transform at a real c below the pole, shifts left out, and its first three derivatives.
func (s *Sum) cumulant(c float64, value bool) (k, k1, k2, k3 float64) {
	for i := range s.terms {
		st, n := s.terms[i].Of, float64(s.terms[i].Times)
		switch {
		case st.IsFixed():
		case len(st.Parts) == 0:
			u := 1 / (st.Rate - c)
			nu := n * u
			k1 += nu
			nu *= u
			k2 += nu
			k3 += 2 * nu * u
			if value {
				k -= n * math.Log1p(-c/st.Rate)
			}
		default:
			l, l1, l2, l3 := s.tilted(i, c)
			k, k1, k2, k3 = k+n*l, k1+n*l1, k2+n*l2, k3+n*l3
		}
	}
	return k, k1, k2, k3
}

// tilted is cumulant of one visit of a term of parts, and leaves each part's weight under the tilt exp(c X) in s.tilt.
func (s *Sum) tilted(i int, c float64) (k, k1, k2, k3 float64) {
	parts := s.terms[i].Of.Parts
	w := resize(s.tilt[i], len(parts))
	s.tilt[i] = w
	most := math.Inf(-1)
	for j, p := range parts {
		if w[j] = math.Inf(-1); p.Weight == 0 { // its pole may lie left of c
			continue
		}
		w[j] = math.Log(p.Weight) - float64(p.Order)*math.Log1p(-c/p.Rate)
		most = math.Max(most, w[j])
	}
	total := 0.0
	for j := range w {
		w[j] = math.Exp(w[j] - most)
		total += w[j]
	}
	var m1, m2, m3 float64
	for j, p := range parts {
		if w[j] == 0 {
			continue
		}
		w[j] /= total
		u, n := 1/(p.Rate-c), float64(p.Order)
		m1 += w[j] * n * u
		m2 += w[j] * n * (n + 1) * u * u
		m3 += w[j] * n * (n + 1) * (n + 2) * u * u * u
	}
	return most + math.Log(total), m1, m2 - m1*m1, m3 - 3*m1*m2 + 2*m1*m1*m1
}

// saddle is where K(c) - c t - ln|c| is least, on the side of 0 that s.above says; t counts from the shift. It need not be exact.
func (s *Sum) saddle(t, pole, order float64) float64 {
	lo, hi := 0.0, pole // the derivative grows from lo to hi
	if !s.above {
		lo, hi = -(order+1)/t, 0
	}
	c := lo + (hi-lo)/2
	for range 60 {
		_, k1, k2, _ := s.cumulant(c, false)
		g := k1 - t - 1/c
		if g > 0 {
			hi = c
		} else {
			lo = c
		}
		next := c - g/(k2+1/(c*c))
		if !(next > lo && next < hi) {
			next = lo + (hi-lo)/2
		}
		if math.Abs(next-c) <= 1e-3*math.Min(math.Abs(next), pole-next) {
			return next
		}
		c = next
	}
	return c
}

// mixed says that a term is a mixture.
func (s *Sum) mixed() bool {
	for _, t := range s.terms {
		if len(t.Of.Parts) > 0 {
			return true
		}
	}
	return false
}

// Right of the mean by so many deviations P(T > t) is computed, else P(T <= t). Near the mean the saddle lies close to 0 on the
// right, and takes more nodes. Of mixtures P(T > t) is computed only where it is next to nothing: the pole of a part that does not
// matter at t may hide the one that does.
const (
	nearRight = 0.8
	nothing   = 1e-10 // P(T > t)
)

const (
	firstStep  = 0.6   // of the trapezoidal rule, in widths of the saddle
	halvings   = 7     // of the step, at most
	converged  = 1e-7  // change from one halving to the next, relative: the next one would be its square
	mixed      = 1e-10 // the same where there are parts: a mixture may have several modes, and its error falls more slowly
	negligible = 1e-15
	maxNodes   = 4000 // on one level
)

// parabola integrates along c + i y + κ y², for t above the shift; order is that of all poles together.
func (s *Sum) parabola(t, c, order float64) float64 {
	s.c = c
	k, _, k2, k3 := s.cumulant(c, true)
	f2 := k2 + 1/(c*c)
	width := 1 / math.Sqrt(f2)
	bend, tolerance := math.Max(k3/(6*k2), leastBend/width), converged
	for i := range s.terms {
		st := s.terms[i].Of
		if len(st.Parts) == 0 {
			s.inv[i] = 1 / (st.Rate - c)
			continue
		}
		tolerance = mixed
		for _, p := range st.Parts {
			if p.Weight == 0 {
				continue
			}
			// Poles of high order must not be passed nearer than the saddle is, before exp(-s t) has made nothing of them: with
			// b = 1 - 1/(2 bend d), the product of both falls all along the parabola where b <= t d/order, and where it comes
			// nearest to the pole, where -ln(1-b²)/(2b) <= t d/order. Both hold of b = tanh(t d/order).
			d := p.Rate - c
			if least := 2 * d * (1 - math.Tanh(t*d/order)); bend*least > 1 {
				bend = 1 / least
			}
		}
	}
	scale := math.Exp(k-c*t) / (math.Abs(c) * math.Pi)
	if scale == 0 {
		return 0
	}
	last, sum := math.NaN(), 0.0
	step := firstStep
	if tolerance == mixed {
		step /= 2
	}
	for level := range halvings {
		from, by := 0.0, step
		if level > 0 {
			from, by = step, 2*step // what lies between the nodes so far
		}
		quiet := 0
		for j := range maxNodes {
			u := from + float64(j)*by
			y := u * width
			re := bend * y * y
			d := complex(re, y)
			r := s.ratio(d) * exp(complex(-re*t, -y*t)) * complex(c, 0) / (complex(c, 0) + d)
			g := r * complex(width, -2*bend*y*width) // ds/du / i
			if u == 0 {
				g /= 2
			}
			if cmplx.IsNaN(g) || cmplx.IsInf(g) { // the product of ratios overflowed: nothing is left of the integrand
				break
			}
			sum += real(g)
			s.node = append(s.node, node{complex(c, 0) + d, g})
			if math.Abs(real(g))+math.Abs(imag(g)) > negligible*width {
				quiet = 0
			} else if quiet++; quiet == 3 {
				break
			}
		}
		v := sum * step
		if math.Abs(v-last) <= tolerance*math.Abs(v) {
			last = v
			break
		}
		last = v
		if level < halvings-1 {
			step /= 2
		}
	}
	w := complex(scale*step, 0)
	for i := range s.node {
		s.node[i].g *= w
	}
	return math.Min(scale*last, 1)
}

const leastBend = 0.03

func exp(z complex128) complex128 {
	e := math.Exp(real(z))
	sin, cos := math.Sincos(imag(z))
	return complex(e*cos, e*sin)
}

// ratio is M(c+d)/M(c), shifts left out.
func (s *Sum) ratio(d complex128) complex128 {
	dr, di := real(d), imag(d)
	a, b := 1.0, 0.0 // the product of denominators
	var rest complex128 = 1
	for i := range s.terms {
		st, n := s.terms[i].Of, s.terms[i].Times
		switch {
		case len(st.Parts) > 0:
			var m complex128
			for j, p := range st.Parts {
				if s.tilt[i][j] == 0 {
					continue
				}
				u := 1 / (p.Rate - s.c)
				m += scale(s.tilt[i][j], power(inverse(1-dr*u, -di*u), p.Order))
			}
			rest *= power(m, n)
		case n == 1: // of a fixed stage inv is 0
			u := s.inv[i]
			x, y := 1-dr*u, -di*u
			a, b = a*x-b*y, a*y+b*x
		default:
			u := s.inv[i]
			p := power(complex(1-dr*u, -di*u), n)
			a, b = a*real(p)-b*imag(p), a*imag(p)+b*real(p)
		}
	}
	return rest / complex(a, b)
}
