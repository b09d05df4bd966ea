package calibrate

import (
	"errors"
	"math"
)

// Sigmoid is p = 1/(1+exp(-(Slope·score+Offset))).
type Sigmoid struct{ Slope, Offset float64 }

// Probability is that of class 1 at a score.
func (s Sigmoid) Probability(score float64) float64 {
	return 1 / (1 + math.Exp(-(s.Slope*score + s.Offset)))
}

// FitSigmoid fits Platt's sigmoid to the classes, 0 or 1, of rows with these scores; weight may be nil. Both classes are
// drawn towards the middle a little, as Platt does, so that scores which part them stay finite. It is Newton's method with
// a line search (Lin, Lin and Weng, "A note on Platt's probabilistic outputs for support vector machines", 2007).
func FitSigmoid(score, y, weight []float64) (Sigmoid, error) {
	if err := check(score, y, weight); err != nil {
		return Sigmoid{}, err
	}
	// Scores are standardised, so that a Newton step knows no unit.
	mean, total, ones := 0.0, 0.0, 0.0
	for i, s := range score {
		w := weightOf(weight, i)
		total += w
		ones += w * y[i]
		mean += (s - mean) * w / total
	}
	spread := 0.0
	for i, s := range score {
		spread += weightOf(weight, i) / total * (s - mean) * (s - mean)
	}
	spread = math.Sqrt(spread)
	if spread == 0 {
		spread = 1
	}
	high, low := (ones+1)/(ones+2), 1/(total-ones+2)
	target := func(i int) float64 { return low + (high-low)*y[i] }
	loss := func(a, b float64) float64 {
		sum := 0.0
		for i, s := range score {
			f := a*(s-mean)/spread + b
			sum += weightOf(weight, i) * (max(f, 0) - f*target(i) + math.Log1p(math.Exp(-math.Abs(f))))
		}
		return sum
	}
	a, b := 0.0, math.Log((ones+1)/(total-ones+1))
	now := loss(a, b)
	for range 100 {
		// The gradient, and the Hessian with a ridge that keeps it positive.
		ga, gb, haa, hab, hbb := 0.0, 0.0, 1e-12*total, 0.0, 1e-12*total
		for i, s := range score {
			x, w := (s-mean)/spread, weightOf(weight, i)
			p := 1 / (1 + math.Exp(-(a*x + b)))
			d, h := w*(p-target(i)), w*p*(1-p)
			ga, gb = ga+d*x, gb+d
			haa, hab, hbb = haa+h*x*x, hab+h*x, hbb+h
		}
		if math.Abs(ga) < 1e-10*total && math.Abs(gb) < 1e-10*total {
			break
		}
		det := haa*hbb - hab*hab
		da, db := -(hbb*ga-hab*gb)/det, -(haa*gb-hab*ga)/det
		step := 1.0
		next := loss(a+da, b+db)
		for ; !(next < now+1e-4*step*(ga*da+gb*db)) && step > 1e-10; next = loss(a+step*da, b+step*db) {
			step /= 2
		}
		if step <= 1e-10 {
			break // rounding leaves nothing to gain
		}
		a, b, now = a+step*da, b+step*db, next
	}
	s := Sigmoid{Slope: a / spread, Offset: b - a*mean/spread}
	if math.IsNaN(s.Slope+s.Offset) || math.IsInf(s.Slope+s.Offset, 0) {
		return Sigmoid{}, errors.New("calibrate: scores are too large or too close for a sigmoid")
	}
	return s, nil
}
