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
	var all []float64
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

// median sorts a copy. It is NaN of none.
func median(v []float64) float64 { return quantile(v, 0.5) }

// quantile interpolates between values, as numpy does. NaN of none.
func quantile(v []float64, q float64) float64 {
	if len(v) == 0 {
		return math.NaN()
	}
	s := slices.Clone(v)
	slices.Sort(s)
	at := q * float64(len(s)-1)
	i := int(at)
	if i+1 >= len(s) {
		return s[len(s)-1]
	}
	return s[i] + (at-float64(i))*(s[i+1]-s[i])
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
