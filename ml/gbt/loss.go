package gbt

import (
	"math"
	"slices"
)

// weightOf is the weight of a row.
func weightOf(weight []float64, r int) float64 {
	if weight == nil {
		return 1
	}
	return weight[r]
}

// base is the one number that predicts all rows best, before the link.
func (c *Config) base(y, weight []float64) float64 {
	if c.Loss == Quantile {
		return quantileOf(slices.Clone(y), slices.Clone(weight), c.Quantile)
	}
	sum, total := 0.0, 0.0
	for r, v := range y {
		w := weightOf(weight, r)
		sum += w * v
		total += w
	}
	mean := sum / total
	if c.Loss == Logistic {
		const edge = 1e-6 // all rows of one class: log odds stay finite
		mean = min(max(mean, edge), 1-edge)
		return math.Log(mean / (1 - mean))
	}
	return mean
}

// derivatives writes the first and second derivative of the loss in each row, by its weight.
func (c *Config) derivatives(g, h, score, y, weight []float64) {
	for r, f := range score {
		w := weightOf(weight, r)
		switch c.Loss {
		case Squared:
			g[r], h[r] = w*(f-y[r]), w
		case Logistic:
			p := sigmoid(f)
			g[r], h[r] = w*(p-y[r]), w*max(p*(1-p), 1e-16)
		case Quantile:
			// The second derivative is 0; by 1 instead, H counts rows, and leaves are weighed anew once grown.
			g[r], h[r] = -w*c.Quantile, w
			if f > y[r] {
				g[r] = w * (1 - c.Quantile)
			}
		}
	}
}

// Loss is the mean loss of scores, as Score returns them, by weight; weight may be nil.
func (c *Config) loss(score, y, weight []float64) float64 {
	sum, total := 0.0, 0.0
	for r, f := range score {
		w := weightOf(weight, r)
		total += w
		switch c.Loss {
		case Squared:
			sum += w * (f - y[r]) * (f - y[r]) / 2
		case Logistic: // log(1+exp(f)) - y f, without overflow
			sum += w * (max(f, 0) - f*y[r] + math.Log1p(math.Exp(-math.Abs(f))))
		case Quantile:
			sum += w * max(c.Quantile*(y[r]-f), (c.Quantile-1)*(y[r]-f))
		}
	}
	return sum / total
}

func sigmoid(f float64) float64 { return 1 / (1 + math.Exp(-f)) }

// quantileOf is the smallest of v that at least the share q of the weight does not exceed. It reorders both; weight may
// be nil.
func quantileOf(v, weight []float64, q float64) float64 {
	if weight == nil {
		k := min(max(int(math.Ceil(q*float64(len(v))))-1, 0), len(v)-1)
		return nth(v, k)
	}
	type pair struct{ v, w float64 }
	pairs := make([]pair, len(v))
	total := 0.0
	for i := range v {
		pairs[i] = pair{v[i], weight[i]}
		total += weight[i]
	}
	slices.SortFunc(pairs, func(a, b pair) int {
		switch {
		case a.v < b.v:
			return -1
		case a.v > b.v:
			return 1
		}
		return 0
	})
	sum := 0.0
	for _, p := range pairs {
		sum += p.w
		if p.w > 0 && sum >= q*total {
			return p.v
		}
	}
	for i := len(pairs) - 1; i > 0; i-- { // rounding kept the sum below
		if pairs[i].w > 0 {
			return pairs[i].v
		}
	}
	return pairs[0].v
}

// nth is the k-th smallest of v, counted from 0, which it reorders (Hoare's quickselect, median of three).
func nth(v []float64, k int) float64 {
	lo, hi := 0, len(v)-1
	for lo < hi {
		if hi-lo < 16 {
			slices.Sort(v[lo : hi+1])
			break
		}
		a, b, c := v[lo], v[(lo+hi)/2], v[hi]
		pivot := max(min(a, b), min(max(a, b), c))
		i, j := lo, hi
		for i <= j {
			for v[i] < pivot {
				i++
			}
			for v[j] > pivot {
				j--
			}
			if i <= j {
				v[i], v[j] = v[j], v[i]
				i++
				j--
			}
		}
		switch {
		case k <= j:
			hi = j
		case k >= i:
			lo = i
		default:
			return v[k]
		}
	}
	return v[k]
}
