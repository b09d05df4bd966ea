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

// Transform writes into phi, as long as the axis, the transform of a sum of terms, without their shifts.
func (a *Axis) Transform(phi []complex128, terms []Term) {
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
			for j, w := range a.omega {
				x, y := real(phi[j]), imag(phi[j])
				w *= per
				phi[j] = complex(x-y*w, y+x*w)
			}
		} else {
			for j, w := range a.omega {
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
			for j, w := range a.omega {
				m, _ := st.transform(complex(0, -w))
				phi[j] *= power(m, terms[i].Times)
			}
		}
	}
}

// Weight is what a term adds to a quantity that is the real part of the sum of g, shifts left out: share is its mean
// with X, the term's time, as a factor, and logRate its derivative to ln rate. g has the length of the axis.
func (a *Axis) Weight(g []complex128, t Term) (share, logRate float64) {
	for j, w := range a.omega {
		a.node[j] = node{complex(0, -w), g[j]}
	}
	x, l := t.Of.weigh(a.node)
	return x * float64(t.Times), l * float64(t.Times)
}
