package dist

import "math"

// Axis is a set of points on the imaginary axis at which transforms of times are taken: E[exp(-iωX)] for each ω of it, in 1/s,
// as the discrete Fourier transform of X's probabilities on a grid has it.
type Axis struct {
	omega []float64
	node  []node
}

// NewAxis is the axis of these frequencies, which it keeps.
func NewAxis(omega []float64) *Axis {
	return &Axis{omega: omega, node: make([]node, len(omega))}
}

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
	for i := range terms {
		if st := terms[i].Of; len(st.Parts) > 0 {
			for j, w := range omega {
				phi[j] *= power(st.parts(complex(0, -w)), terms[i].Times)
			}
		}
	}
}

// Weight is what a term adds to a quantity that is the real part of the sum of g, shifts left out: share is its mean
// with X, the term's time, as a factor, and logRate its derivative to ln rate. g is no longer than the axis.
func (a *Axis) Weight(g []complex128, t Term) (share, logRate float64) {
	for j := range g {
		a.node[j] = node{complex(0, -a.omega[j]), g[j]}
	}
	x, l := t.Of.weigh(a.node[:len(g)])
	return x * float64(t.Times), l * float64(t.Times)
}
