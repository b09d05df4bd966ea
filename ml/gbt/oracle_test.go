package gbt_test

import (
	"math"
	"slices"

	"foresail.dev/ml/gbt"
)

// exact grows trees as a textbook would: every split between two neighbouring values of every feature is tried, and all
// sums are made anew. Splits are chosen by derivatives rounded as those of histograms are, since of two splits that gain
// nearly the same the rounding decides; leaves weigh what the derivatives themselves say. It knows the squared and the logistic loss, missing values, weights and depth, and nothing else.
type exact struct {
	cfg     gbt.Config
	data    gbt.Data
	g, h    []float64
	rounded struct{ g, h []float64 }
	gains   []float64 // of all splits made, in no order
	score   []float64
}

func (e *exact) weight(r int) float64 {
	if e.data.Weight == nil {
		return 1
	}
	return e.data.Weight[r]
}

func (e *exact) boost() {
	sum, total := 0.0, 0.0
	for r, y := range e.data.Y {
		sum, total = sum+e.weight(r)*y, total+e.weight(r)
	}
	base := sum / total
	if e.cfg.Loss == gbt.Logistic {
		base = math.Log(base / (1 - base))
	}
	n := len(e.data.Y)
	e.score, e.g, e.h = make([]float64, n), make([]float64, n), make([]float64, n)
	rows := make([]int, n)
	for r := range rows {
		rows[r], e.score[r] = r, base
	}
	for range e.cfg.Trees {
		for r, f := range e.score {
			e.g[r], e.h[r] = e.weight(r)*(f-e.data.Y[r]), e.weight(r)
			if e.cfg.Loss == gbt.Logistic {
				p := 1 / (1 + math.Exp(-f))
				e.g[r], e.h[r] = e.weight(r)*(p-e.data.Y[r]), e.weight(r)*p*(1-p)
			}
		}
		e.rounded.g, e.rounded.h = round(e.g, e.h)
		e.grow(rows, 0)
	}
}

// round keeps 17 bits and the sign of each number, of the largest of its kind, or 30 where that is more than 128 times the
// mean of g or h. Sums of what it returns are exact.
func round(g, h []float64) (rg, rh []float64) {
	most := func(v []float64) (most, mean float64) {
		for _, x := range v {
			most, mean = math.Max(most, math.Abs(x)), mean+math.Abs(x)/float64(len(v))
		}
		return most, mean
	}
	gMost, gMean := most(g)
	hMost, hMean := most(h)
	bits := 17
	if gMost > 128*gMean || hMost > 128*hMean {
		bits = 30
	}
	to := func(v []float64, most float64) []float64 {
		out := make([]float64, len(v))
		if most == 0 {
			return out
		}
		unit := math.Pow(2, math.Floor(math.Log2(most))+1-float64(bits))
		for i, x := range v {
			out[i] = math.RoundToEven(x/unit) * unit
		}
		return out
	}
	return to(g, gMost), to(h, hMost)
}

func sums(gs, hs []float64, rows []int) (g, h float64) {
	for _, r := range rows {
		g, h = g+gs[r], h+hs[r]
	}
	return g, h
}

func (e *exact) grow(rows []int, depth int) {
	g, h := sums(e.rounded.g, e.rounded.h, rows)
	bestGain := max(e.cfg.Gamma, 1e-9)
	var bestLeft, bestRight []int
	for f := 0; f < e.data.Features && depth < e.cfg.Depth; f++ {
		values := []float64{math.Inf(1)}
		for _, r := range rows {
			values = append(values, e.data.X[r*e.data.Features+f])
		}
		slices.Sort(values)
		for _, t := range slices.Compact(values) {
			for _, missingLeft := range []bool{false, true} {
				var left, right []int
				for _, r := range rows {
					x := e.data.X[r*e.data.Features+f]
					if x < t || math.IsNaN(x) && missingLeft {
						left = append(left, r)
					} else {
						right = append(right, r)
					}
				}
				gl, hl := sums(e.rounded.g, e.rounded.h, left)
				gr, hr := sums(e.rounded.g, e.rounded.h, right)
				if len(left) == 0 || len(right) == 0 || hl < e.cfg.MinChildWeight || hr < e.cfg.MinChildWeight {
					continue
				}
				gain := gl*gl/(hl+e.cfg.L2) + gr*gr/(hr+e.cfg.L2) - g*g/(h+e.cfg.L2)
				if gain > bestGain*(1+1e-12) {
					bestGain, bestLeft, bestRight = gain, left, right
				}
			}
		}
	}
	if bestLeft == nil {
		g, h := sums(e.g, e.h, rows)
		for _, r := range rows {
			e.score[r] -= e.cfg.LearningRate * g / (h + e.cfg.L2)
		}
		return
	}
	e.gains = append(e.gains, bestGain)
	e.grow(bestLeft, depth+1)
	e.grow(bestRight, depth+1)
}
