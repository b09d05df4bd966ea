package nn

import "math"

// The losses here are means over examples. Each returns the loss and writes the gradient of the outputs, which has their
// shape.

// MSE is the mean, over all numbers, of (y - target)².
func MSE[T Float](y, target, dy []T) float64 {
	sum := 0.0
	n := float64(len(y))
	for i := range y {
		d := float64(y[i] - target[i])
		sum += d * d
		dy[i] = T(2 * d / n)
	}
	return sum / n
}

// Gaussian is the mean, over all numbers, of the negative logarithm of Madu's likelihood (eq. 1): that of a target under a
// normal distribution with the mean mu and the standard deviation sigma > 0.
func Gaussian[T Float](mu, sigma, target, dmu, dsigma []T) float64 {
	sum := 0.0
	n := float64(len(mu))
	for i := range mu {
		s := float64(sigma[i])
		z := float64(target[i]-mu[i]) / s
		sum += z*z/2 + math.Log(s)
		dmu[i] = T(-z / s / n)
		dsigma[i] = T((1 - z*z) / s / n)
	}
	return sum/n + math.Log(2*math.Pi)/2
}

// CrossEntropy is the mean, over rows, of -Σ target·ln softmax(y). The targets of a row are the probabilities of its
// classes; a single 1 names one class.
func CrossEntropy[T Float](y, target, dy Batch[T]) float64 {
	softmax(dy, y)
	sum, n := 0.0, float64(y.Rows)
	for i := range y.Rows {
		p, want := dy.Row(i), target.Row(i)
		all := 0.0
		for j, w := range want {
			if w != 0 {
				sum -= float64(w) * math.Log(max(float64(p[j]), 1e-30))
				all += float64(w)
			}
		}
		for j, w := range want {
			p[j] = T((all*float64(p[j]) - float64(w)) / n)
		}
	}
	return sum / n
}

// Logistic is the mean, over all numbers, of the cross entropy of a target in [0, 1] under the probability sigmoid(y). A
// positive target counts weight times.
func Logistic[T Float](y, target, dy []T, weight float64) float64 {
	sum, n := 0.0, float64(len(y))
	for i := range y {
		v, t := float64(y[i]), float64(target[i])
		p := 1 / (1 + math.Exp(-v))
		logP := min(v, 0) - math.Log1p(math.Exp(-math.Abs(v))) // ln sigmoid(v); ln(1-sigmoid(v)) is v less
		sum -= weight*t*logP + (1-t)*(logP-v)
		dy[i] = T((weight*t*(p-1) + (1-t)*p) / n)
	}
	return sum / n
}
