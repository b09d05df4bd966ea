package foresee

import (
	"math"

	"foresail.dev"
)

// affine brings log(1+v) to mean 0 and deviation 1.
type affine struct{ Mean, Per float32 }

// Queues are told as log(1+n): thousands wait in an overload. least is the smallest deviation of that: a queue that is empty
// whenever nothing is wrong is not unlikely beyond all bounds once one request waits. most is how far from normal a number
// can be: further says nothing more.
const (
	least = 0.1
	most  = 20
)

func (a affine) of(v float32) float32 {
	if v != v {
		return 0 // not observed: as ever
	}
	z := (float32(math.Log1p(float64(max(v, 0)))) - a.Mean) * a.Per
	return min(max(z, -most), most)
}

// scaling is for each service, in the model's order, and each column of the signal.
func scaling(runs []*Run, order []foresail.ServiceID, columns []int, use func(run, beat int) bool) []affine {
	type sums struct{ n, sum, squares float64 }
	all := make([]sums, len(order)*len(columns))
	for i, r := range runs {
		for t := range r.Beats() {
			if !r.kept(t) || !use(i, t) {
				continue
			}
			row := r.At(t)
			for k, s := range order {
				for c, column := range columns {
					if v := float64(row[int(s)*Numbers+column]); v == v {
						v = math.Log1p(max(v, 0))
						a := &all[k*len(columns)+c]
						a.n, a.sum, a.squares = a.n+1, a.sum+v, a.squares+v*v
					}
				}
			}
		}
	}
	out := make([]affine, len(all))
	for i, a := range all {
		if a.n == 0 {
			continue // never observed: Per is 0, and so is what the network sees
		}
		mean := a.sum / a.n
		out[i] = affine{float32(mean), float32(1 / max(math.Sqrt(max(a.squares/a.n-mean*mean, 0)), least))}
	}
	return out
}

// look fills out with one beat as a network sees it: services in order, each with its columns.
func look(row []float32, order []foresail.ServiceID, columns []int, scale []affine, out []float32) {
	for k, s := range order {
		at := row[int(s)*Numbers : (int(s)+1)*Numbers]
		for c, column := range columns {
			i := k*len(columns) + c
			out[i] = scale[i].of(at[column])
		}
	}
}
