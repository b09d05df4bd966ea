package callgraph

import (
	"math"

	"gonum.org/v1/gonum/dsp/fourier"

	"foresail.dev/model/callgraph/dist"
)

// grid computes a block's distribution on equal cells by Fourier's transform. Sums are products of transforms, which are known
// in closed form and taken as they are: no stage is made coarser. Only where several blocks go on side by side are transforms
// taken back to the probabilities of cells, whose running sums multiply to those of the longest.
//
// Cell k is ((k-½)h, (k+½)h) above the block's base; the last pad cells stand for times below 0, where nothing is but what the
// cut of the spectrum spills over a jump.
type grid struct {
	n, pad int
	used   int // frequencies from here on the smoothing leaves nothing of
	fft    *fourier.FFT
	h      float64   // s
	omega  []float64 // 1/s, 0 to the last before Nyquist's
	mean   []float64 // by frequency: what averaging over a cell makes of an amplitude
	smooth []float64 // by frequency: what keeps the cut of the spectrum from ringing far from a jump; moments up to the third stay
	axis   *dist.Axis
	coef   []complex128
	mass   []float64
}

// unseen is what smoothing leaves of a frequency that need not be computed: next to the probabilities that a grid is asked for it is nothing.
const unseen = 1e-8

// newGrid is a grid of n cells, a power of two.
func newGrid(n int) *grid {
	g := &grid{n: n, pad: n / 16, fft: fourier.NewFFT(n), omega: make([]float64, n/2), smooth: make([]float64, n/2), mean: make([]float64, n/2),
		coef: make([]complex128, n/2+1), mass: make([]float64, n)}
	for j := range g.mean {
		half := math.Pi * float64(j) / float64(n)
		g.mean[j] = 1
		if g.smooth[j] = math.Exp(-36 * math.Pow(2*float64(j)/float64(n), 4)); g.smooth[j] > unseen {
			g.used = j + 1
		}
		if j > 0 {
			g.mean[j] = math.Sin(half) / half
		}
	}
	g.axis = dist.NewAxis(g.omega[:g.used])
	return g
}

// end is the last time on the grid, above a block's base.
func (g *grid) end() float64 { return (float64(g.n-g.pad) - 0.5) * g.h }

// span sets the cells so that the grid ends at least at t seconds.
func (g *grid) span(t float64) {
	g.h = t / (float64(g.n-g.pad) - 1)
	for j := range g.omega {
		g.omega[j] = 2 * math.Pi * float64(j) / (float64(g.n) * g.h)
	}
}

// at is the index of the i-th cell in the order of time.
func (g *grid) at(i int) int {
	if i < g.pad {
		return g.n - g.pad + i
	}
	return i - g.pad
}

// forward computes b.phi.
func (g *grid) forward(b *block) {
	if len(b.phi) != g.n/2 {
		b.phi, b.adj = make([]complex128, g.n/2), make([]complex128, g.n/2)
	}
	b.active = g.axis.Transform(b.phi[:g.used], b.terms)
	for i := range b.sides {
		s := &b.sides[i]
		g.longest(s)
		for j, p := range s.phi[:b.active] {
			b.phi[j] *= power(p, s.times)
		}
	}
}

// longest computes s.phi and s.below.
func (g *grid) longest(s *side) {
	if len(s.phi) != g.n/2 {
		s.phi, s.value = make([]complex128, g.n/2), make([]float64, g.n)
		s.below = make([][]float64, len(s.branches))
		for i := range s.below {
			s.below[i] = make([]float64, g.n)
		}
	}
	for i, c := range s.branches {
		g.forward(c)
		g.turned(g.coef, c, s)
		g.fft.Sequence(g.mass, g.coef)
		sum, below := 0.0, s.below[i]
		for k := range g.n {
			sum += g.mass[g.at(k)]
			below[k] = sum / float64(g.n)
		}
	}
	last := 0.0
	for k := range g.n {
		p := 1.0
		for i := range s.below {
			p *= s.below[i][k]
		}
		g.mass[g.at(k)] = p - last
		last = p
	}
	g.fft.Coefficients(g.coef, g.mass)
	for j := range s.phi {
		s.phi[j] = g.coef[j] * complex(1/g.mean[j], 0)
	}
}

// turned is the transform of a branch's cells, above the base of its side.
func (g *grid) turned(dst []complex128, c *block, s *side) {
	by := c.base - s.base
	for j := range c.phi {
		k := g.mean[j] * g.smooth[j]
		dst[j] = complex(real(c.phi[j])*k, imag(c.phi[j])*k)
	}
	if by != 0 {
		sin, cos := math.Sincos(-g.omega[1] * by)
		rotate(dst[:c.active], complex(cos, sin))
	}
	dst[g.n/2] = 0
}

// rotate multiplies the j-th of a by r to the j.
func rotate(a []complex128, r complex128) {
	e := complex(1, 0)
	for j := range a {
		a[j] *= e
		e *= r
	}
}

// power is z to the n, n at least 1.
func power(z complex128, n int) complex128 {
	out := z
	for ; n > 1; n-- {
		out *= z
	}
	return out
}

// weights are such that the real part of the sum of w·phi is the probability of more than t seconds above base.
func (g *grid) weights(w []complex128, t float64) {
	end := g.end()
	all := float64(g.n) * g.h
	w[0] = complex((end-t)/all, 0)
	sin, cos := math.Sincos(g.omega[1] * t)
	r := complex(cos, sin)
	sin, cos = math.Sincos(g.omega[1] * end)
	q := complex(cos, sin)
	e, f := r, q
	for j := 1; j < len(w); j++ {
		d := f - e
		k := 2 / (all * g.omega[j])
		w[j] = complex(imag(d)*k, -real(d)*k)
		e, f = e*r, f*q
	}
}

// above is the probability of more than t seconds above base, and the density there.
func (g *grid) above(b *block, t float64) (above, density float64) {
	switch {
	case t >= g.end():
		return 0, 0
	case t < -float64(g.pad)*g.h/2:
		return 1, 0
	}
	end := g.end()
	all := float64(g.n) * g.h
	sin, cos := math.Sincos(g.omega[1] * t)
	r := complex(cos, sin)
	sin, cos = math.Sincos(g.omega[1] * end)
	q := complex(cos, sin)
	e, f := r, q
	sum, slope := 0.0, 0.5
	for j := 1; j < b.active; j++ {
		p := b.phi[j]
		x, y := real(p), imag(p)
		pe := x*imag(e) + y*real(e)
		pf := x*imag(f) + y*real(f)
		sum += (pf - pe) / float64(j)
		slope += x*real(e) - y*imag(e)
		e, f = e*r, f*q
	}
	return (end-t)/all + sum/math.Pi, 2 * slope / all
}

// remains is the time above base beyond which a block takes with a probability of at most level, and that probability.
func (g *grid) remains(b *block, level float64) (t, beyond float64) {
	for j, p := range b.phi {
		g.coef[j] = complex(real(p)*g.mean[j], imag(p)*g.mean[j])
	}
	g.coef[g.n/2] = 0
	g.fft.Sequence(g.mass, g.coef)
	for k := g.n - g.pad - 1; k > 0; k-- {
		next := beyond + g.mass[k]/float64(g.n)
		if next > level {
			return (float64(k) + 0.5) * g.h, beyond
		}
		beyond = next
	}
	return g.h, beyond
}

// effect is what a backward pass collects, by visit.
type effect struct {
	logRate, shift, share []float64
}

func newEffect(visits int) effect {
	return effect{make([]float64, visits), make([]float64, visits), make([]float64, visits)}
}

// backward takes apart a quantity that is the real part of the sum of gs, gs being b.phi times what is linear in it. With
// critical set, a branch counts where it is the longest of its side; else as far as the quantity changes with it.
func (g *grid) backward(b *block, gs []complex128, critical bool, out *effect) {
	all, slope := 0.0, 0.0
	gs = gs[:b.active]
	for j, w := range g.omega[:b.active] {
		all += real(gs[j])
		slope += imag(gs[j]) * w // -iω g
	}
	for i, t := range b.terms {
		x, l := g.axis.Weight(gs, t)
		v := b.visits[i]
		n := float64(t.Times)
		out.logRate[v] += l
		out.shift[v] += n * slope
		out.share[v] += x + n*t.Of.Shift*all
	}
	for i := range b.sides {
		g.apart(&b.sides[i], gs, critical, out)
	}
}

// apart takes a quantity apart by the branches of a side.
func (g *grid) apart(s *side, gs []complex128, critical bool, out *effect) {
	n := float64(g.n)
	clear(g.coef)
	for j := range gs {
		if s.phi[j] != 0 {
			u := gs[j] / s.phi[j] * complex(float64(s.times)/g.mean[j], 0)
			g.coef[j] = complex(real(u)/2, -imag(u)/2)
		}
	}
	g.coef[0] *= 2
	g.fft.Sequence(g.mass, g.coef)
	value := s.value
	for k := range value {
		value[k] = g.mass[g.at(k)]
	}
	for i, c := range s.branches {
		if critical {
			for k := range g.n {
				// The longest ends in cell k by this branch: the others have ended before. Of ties in one cell each has its part,
				// as the mean of both orders of the branches.
				up, down := 1.0, 1.0
				for o := range s.below {
					if o == i {
						continue
					}
					now, before := s.below[o][k], 0.0
					if k > 0 {
						before = s.below[o][k-1]
					}
					if o < i {
						up, down = up*before, down*now
					} else {
						up, down = up*now, down*before
					}
				}
				g.mass[g.at(k)] = value[k] * (up + down) / 2
			}
		} else {
			sum := 0.0
			for k := g.n - 1; k >= 0; k-- {
				d := value[k] // of the running sum up to cell k
				if k < g.n-1 {
					d -= value[k+1]
				}
				for o := range s.below {
					if o != i {
						d *= s.below[o][k]
					}
				}
				sum += d
				g.mass[g.at(k)] = sum
			}
		}
		g.fft.Coefficients(g.coef, g.mass)
		for j := range c.active {
			u := g.coef[j]
			k := 2 / n
			if j == 0 {
				k = 1 / n
			}
			c.adj[j] = complex(real(u)*k, -imag(u)*k)
		}
		g.turned(g.coef, c, s)
		for j := range c.active {
			c.adj[j] *= g.coef[j]
		}
		g.backward(c, c.adj, critical, out)
	}
}
