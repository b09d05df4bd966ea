package rank

import (
	"math"
	"slices"
)

const (
	// leastShare of what is normal is the least that counts as a deviation: clocks, histogram buckets and rounding make as much.
	leastShare = 0.05
	toSigma    = 1.4826 // of a normal distribution, its deviation over its median absolute deviation
)

// level is how high something was in the issue, beside what windows of the normal period as long as the issue had.
type level struct {
	now    float64 // NaN: not observed in the issue
	normal float64 // median over windows; NaN: never observed
	sigma  float64 // robust deviation of a window
}

func (l level) known() bool { return finite(l.now) && finite(l.normal) }

// rise is how much higher than normal; 0 where either is not known.
func (l level) rise() float64 {
	if !l.known() {
		return 0
	}
	return l.now - l.normal
}

// levelOf takes what f makes of the issue's rows and of each window of normal ones. f is given which of the two, and rows
// [from, to).
func levelOf(normal, issue int, f func(issue bool, from, to int) float64) level {
	l := level{now: f(true, 0, issue), normal: math.NaN(), sigma: math.NaN()}
	length := min(issue, normal)
	all := make([]float64, 0, max(0, normal-length+1))
	for i := 0; i+length <= normal; i++ {
		if v := f(false, i, i+length); finite(v) {
			all = append(all, v)
		}
	}
	if len(all) == 0 {
		return l
	}
	l.normal = median(all)
	for i, v := range all {
		all[i] = math.Abs(v - l.normal)
	}
	l.sigma = toSigma * median(all)
	return l
}

// meanLevel is of the mean of a series, weighted by another where that is observed.
func meanLevel(s, weights Series) level {
	return levelOf(len(s.Normal), len(s.Issue), func(issue bool, from, to int) float64 {
		v, w := s.Normal, weights.Normal
		if issue {
			v, w = s.Issue, weights.Issue
		}
		sum, n := 0.0, 0.0
		for i := from; i < to; i++ {
			k := 1.0
			if len(w) > 0 && finite(w[i]) {
				k = w[i]
			}
			if finite(v[i]) && k > 0 {
				sum, n = sum+v[i]*k, n+k
			}
		}
		return sum / n
	})
}

// ratioLevel is of the sum of a over that of b, over rows in which b is known; a row without a has none.
func ratioLevel(a, b Series) level {
	if len(a.Issue) == 0 || len(b.Issue) == 0 {
		return level{math.NaN(), math.NaN(), math.NaN()}
	}
	return levelOf(len(a.Normal), len(a.Issue), func(issue bool, from, to int) float64 {
		x, y := a.Normal, b.Normal
		if issue {
			x, y = a.Issue, b.Issue
		}
		p, q := 0.0, 0.0
		for i := from; i < to; i++ {
			if finite(y[i]) {
				q += y[i]
				if finite(x[i]) {
					p += x[i]
				}
			}
		}
		return p / q
	})
}

// median puts values, of which there is at least one and none is NaN, in another order.
func median(v []float64) float64 {
	k := len(v) / 2
	high := kth(v, k)
	if len(v)%2 == 1 {
		return high
	}
	return slices.Max(v[:k])/2 + high/2
}

// kth is the value that sorting would put at index k; those before it are then no larger (Hoare's selection).
func kth(v []float64, k int) float64 {
	for lo, hi := 0, len(v)-1; lo < hi; {
		pivot := v[lo+(hi-lo)/2]
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
				i, j = i+1, j-1
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

// between is a quantile of values that are sorted and at least one, interpolated as numpy does.
func between(v []float64, q float64) float64 {
	at := q * float64(len(v)-1)
	i := int(at)
	if i+1 >= len(v) {
		return v[len(v)-1]
	}
	return v[i] + (at-float64(i))*(v[i+1]-v[i])
}

// observed are the values that there are.
func observed(v []float64) []float64 {
	out := make([]float64, 0, len(v))
	for _, x := range v {
		if finite(x) {
			out = append(out, x)
		}
	}
	return out
}
