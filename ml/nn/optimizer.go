package nn

import (
	"math"

	"foresail.dev/ml/nn/kernel"
)

// An Optimizer takes a step against the gradients, and clears them. It is always given the same weights in the same order.
type Optimizer[T Float] interface {
	Step(params []*Param[T])
	// state is what it must remember, made for the weights where it is not there yet; steps counts those taken.
	state(params []*Param[T]) (moments [][]T, steps *uint64)
}

// SGD is stochastic gradient descent with momentum: v = Momentum·v + g + Decay·w, w -= Rate·v.
type SGD[T Float] struct {
	Rate, Momentum, Decay float64
	velocity              [][]T
	steps                 uint64
}

// Step implements Optimizer.
func (s *SGD[T]) Step(params []*Param[T]) {
	velocity, _ := s.state(params)
	s.steps++
	for i, p := range params {
		if p.G == nil {
			continue
		}
		v := velocity[i]
		if s.Decay != 0 {
			kernel.Axpy(T(s.Decay), p.W, p.G)
		}
		for j, g := range p.G {
			v[j] = T(s.Momentum)*v[j] + g
		}
		kernel.Axpy(T(-s.Rate), v, p.W)
		clear(p.G)
	}
}

func (s *SGD[T]) state(params []*Param[T]) ([][]T, *uint64) {
	if s.velocity == nil {
		s.velocity = likeThem(params)
	}
	return s.velocity, &s.steps
}

// Adam is the optimiser of Kingma and Ba (ICLR 2015, algorithm 1). Zero fields mean the paper's values: 0.9, 0.999, 1e-8.
type Adam[T Float] struct {
	Rate              float64
	Beta1, Beta2, Eps float64
	moments           [][]T // first, then second ones
	steps             uint64
}

// Step implements Optimizer.
func (a *Adam[T]) Step(params []*Param[T]) {
	moments, _ := a.state(params)
	a.steps++
	beta1, beta2, eps := or(a.Beta1, 0.9), or(a.Beta2, 0.999), or(a.Eps, 1e-8)
	root := math.Sqrt(1 - math.Pow(beta2, float64(a.steps)))
	rate := a.Rate * root / (1 - math.Pow(beta1, float64(a.steps)))
	for i, p := range params {
		if p.G == nil {
			continue
		}
		kernel.Adam(p.W, p.G, moments[i], moments[len(params)+i], T(beta1), T(beta2), T(rate), T(eps*root))
		clear(p.G)
	}
}

func (a *Adam[T]) state(params []*Param[T]) ([][]T, *uint64) {
	if a.moments == nil {
		a.moments = append(likeThem(params), likeThem(params)...)
	}
	return a.moments, &a.steps
}

func or(x, otherwise float64) float64 {
	if x == 0 {
		return otherwise
	}
	return x
}

// likeThem is zeros in the shape of the weights; nil for what is not trained.
func likeThem[T Float](params []*Param[T]) [][]T {
	out := make([][]T, len(params))
	for i, p := range params {
		if p.G != nil {
			out[i] = make([]T, len(p.W))
		}
	}
	return out
}

// Clip scales all gradients down, when their common Euclidean norm is above most, so that it is most, and returns the norm
// that it was (Pascanu et al., ICML 2013).
func Clip[T Float](params []*Param[T], most float64) float64 {
	sum := 0.0
	for _, p := range params {
		sum += float64(kernel.Dot(p.G, p.G))
	}
	norm := math.Sqrt(sum)
	if norm > most {
		k := T(most / norm)
		for _, p := range params {
			for j := range p.G {
				p.G[j] *= k
			}
		}
	}
	return norm
}

// Weights counts the trained ones.
func Weights[T Float](params []*Param[T]) int {
	n := 0
	for _, p := range params {
		n += len(p.G)
	}
	return n
}
