package dist

import (
	"math"
	"math/bits"
)

// Axis is a set of points on the imaginary axis at which transforms of times are taken: E[exp(-iωX)] for each ω of it, in 1/s,
// as the discrete Fourier transform of X's probabilities on a grid has it.
type Axis struct{ omega []float64 }

// NewAxis is the axis of these frequencies, which it keeps.
func NewAxis(omega []float64) *Axis { return &Axis{omega} }

const (
	chunk    = 16    // frequencies that are computed before it is asked whether more are needed
	vanished = 1e-12 // a transform that stays below is 0 from there on
)

// Transform writes into phi, as long as the axis, the transform of a sum of terms, without their shifts. From the active-th
// on there is nothing left of it, and it is 0.
func (a *Axis) Transform(phi []complex128, terms []Term) (active int) {
	for active < len(phi) {
		to := min(active+chunk, len(phi))
		transform(phi[active:to], a.omega[active:to], terms)
		most := 0.0
		for _, p := range phi[active:to] {
			most = math.Max(most, math.Abs(real(p))+math.Abs(imag(p)))
		}
		active = to
		if most < vanished {
			clear(phi[active:])
			break
		}
	}
	return active
}

func transform(phi []complex128, omega []float64, terms []Term) {
	for j := range phi {
		phi[j] = 1
	}
	for i := range terms { // first what divides: exponentials
		st := terms[i].Of
		if len(st.Parts) > 0 || st.IsFixed() {
			continue
		}
		per := 1 / st.Rate
		if n := terms[i].Times; n == 1 {
			for j, w := range omega {
				x, y := real(phi[j]), imag(phi[j])
				w *= per
				phi[j] = complex(x-y*w, y+x*w)
			}
		} else {
			for j, w := range omega {
				phi[j] *= power(complex(1, w*per), n)
			}
		}
	}
	for j, d := range phi {
		if q := real(d)*real(d) + imag(d)*imag(d); q < math.MaxFloat64 {
			q = 1 / q
			phi[j] = complex(real(d)*q, -imag(d)*q)
		} else { // it overflowed: there is nothing left
			phi[j] = 0
		}
	}
	var l lane
	for i := range terms {
		if st := terms[i].Of; len(st.Parts) > 0 {
			l.mix(st.Parts, omega, false)
			for j := range phi {
				phi[j] *= power(l.m[j], terms[i].Times)
			}
		}
	}
}

// lane is a mixture's transform and its derivative at a few frequencies at once: powers one after the other wait for each other,
// those side by side don't.
type lane struct{ m, d, e, z [chunk]complex128 }

// mix computes the transform, and the derivative where it is wanted, at up to chunk frequencies.
func (l *lane) mix(parts []Part, omega []float64, derivative bool) {
	n := min(len(omega), chunk)
	clear(l.m[:n])
	clear(l.d[:n])
	for _, p := range parts {
		if p.Weight == 0 {
			continue
		}
		per := 1 / p.Rate
		for j, w := range omega[:n] { // rate/(rate+iω)
			w *= per
			q := 1 / (1 + w*w)
			l.z[j] = complex(q, -w*q)
		}
		l.raise(n, p.Order)
		w := p.Weight
		for j := range n {
			l.m[j] += complex(w*real(l.e[j]), w*imag(l.e[j]))
		}
		if derivative {
			w *= float64(p.Order) * per
			for j := range n {
				l.d[j] += scale(w, l.e[j]*l.z[j])
			}
		}
	}
}

// raise makes e the k-th power of z, by the binary digits of k from the highest on, two of them in one pass.
func (l *lane) raise(n, k int) {
	e, z := l.e[:n], l.z[:n]
	digits := bits.Len(uint(k)) - 1 // below the highest
	from := z
	if digits&1 == 1 {
		digits--
		one := k>>digits&1 == 1
		for j, v := range from {
			x, y := real(v), imag(v)
			x, y = x*x-y*y, 2*x*y
			if one {
				a, b := real(z[j]), imag(z[j])
				x, y = x*a-y*b, x*b+y*a
			}
			e[j] = complex(x, y)
		}
		from = e
	}
	for digits > 0 {
		digits -= 2
		high, low := k>>digits&2 != 0, k>>digits&1 != 0
		for j, v := range from {
			a, b := real(z[j]), imag(z[j])
			x, y := real(v), imag(v)
			x, y = x*x-y*y, 2*x*y
			if high {
				x, y = x*a-y*b, x*b+y*a
			}
			x, y = x*x-y*y, 2*x*y
			if low {
				x, y = x*a-y*b, x*b+y*a
			}
			e[j] = complex(x, y)
		}
		from = e
	}
	if k == 1 {
		copy(e, z)
	}
}

// Weight is what a term adds to a quantity that is the real part of the sum of g, shifts left out: share is its mean
// with X, the term's time, as a factor, and logRate its derivative to ln rate. g is no longer than the axis.
func (a *Axis) Weight(g []complex128, t Term) (share, logRate float64) {
	omega := a.omega[:len(g)]
	switch st := t.Of; {
	case st.IsFixed():
	case len(st.Parts) == 0:
		r := st.Rate
		for j, w := range omega { // 1/(rate+iω) = (rate-iω)/|rate+iω|²
			q := 1 / (r*r + w*w)
			x, y := real(g[j]), imag(g[j])
			share += (x*r + y*w) * q
			logRate -= (y*r - x*w) * w * q
		}
	default:
		var l lane
		for len(g) > 0 {
			n := min(chunk, len(g))
			l.mix(st.Parts, omega[:n], true)
			for j := range n {
				if l.m[j] == 0 {
					continue
				}
				h := g[j] * l.d[j] * inverse(real(l.m[j]), imag(l.m[j]))
				share += real(h)
				logRate -= imag(h) * omega[j]
			}
			g, omega = g[n:], omega[n:]
		}
	}
	n := float64(t.Times)
	return n * share, n * logRate
}
