package forecast

import (
	"math"
	"slices"
	"time"

	"gonum.org/v1/gonum/dsp/fourier"
)

// Periods are the lengths in steps after which a series repeats itself, the strongest first, at most most of them. A length
// counts where the autocorrelation, the slow drift taken away, has a peak of 0.3 or more that comes again at its multiples; a day
// and a week from 0.1 on where the history holds two of them. Loads so far apart must be nearer to each other than others,
// too. It looks at values alone.
func Periods(s Series, most int) []int {
	n := len(s.Values)
	if n < 2*minPeriod {
		return nil
	}
	correlation := autocorrelation(detrended(s.Filled(), n/4))
	type peak struct {
		period int
		height float64
	}
	var peaks []peak
	for p := minPeriod; 4*p <= n; p++ {
		c := correlation[p]
		if c >= 0.3 && c > correlation[p-1] && c >= correlation[p+1] && dips(correlation, p) && correlation[2*p] >= 0.6*c &&
			(3*p >= len(correlation) || correlation[3*p] >= 0.5*c) {
			peaks = append(peaks, peak{p, c})
		}
	}
	// A day and a week are known beforehand: noise does not move them.
	for _, span := range []time.Duration{24 * time.Hour, 7 * 24 * time.Hour} {
		if s.Step <= 0 || span%s.Step != 0 {
			continue
		}
		if p := int(span / s.Step); p >= minPeriod && 2*p <= n && correlation[p] >= 0.1 {
			peaks = slices.DeleteFunc(peaks, func(k peak) bool { return 20*max(k.period-p, p-k.period) <= p })
			peaks = append(peaks, peak{p, correlation[p]})
		}
	}
	slices.SortStableFunc(peaks, func(a, b peak) int {
		switch {
		case a.height > b.height:
			return -1
		case a.height < b.height:
			return 1
		}
		return a.period - b.period
	})
	var out []int
	for _, p := range peaks {
		shorter := slices.ContainsFunc(peaks, func(q peak) bool { // that p is a multiple of, and says nothing more than
			k := int(math.Round(float64(p.period) / float64(q.period)))
			return k > 1 && max(p.period-k*q.period, k*q.period-p.period) <= k && q.height > p.height-0.1
		})
		if shorter || !repeats(s.Values, p.period) {
			continue
		}
		near := slices.ContainsFunc(out, func(q int) bool { return 10*max(p.period-q, q-p.period) <= q })
		if !near && len(out) < most {
			out = append(out, p.period)
		}
	}
	return out
}

// minPeriod is the shortest length that counts as a season: what repeats sooner is seen in the last values anyway.
const minPeriod = 4

// dips tells a peak from a shoulder: before a real one the correlation falls to half of it or less.
func dips(c []float64, p int) bool {
	return slices.Min(c[:p]) < c[p]/2
}

// detrended takes a moving average of the given width away.
func detrended(values []float64, width int) []float64 {
	n := len(values)
	sums := make([]float64, n+1)
	for i, v := range values {
		sums[i+1] = sums[i] + v
	}
	out := make([]float64, n)
	for i, v := range values {
		a, b := max(0, i-width/2), min(n, i+width/2+1)
		out[i] = v - (sums[b]-sums[a])/float64(b-a)
	}
	return out
}

// autocorrelation is by lag, through the spectrum, up to half the length.
func autocorrelation(x []float64) []float64 {
	n := len(x)
	size := 1
	for size < 2*n {
		size *= 2
	}
	padded := make([]float64, size)
	copy(padded, x)
	fft := fourier.NewFFT(size)
	c := fft.Coefficients(nil, padded)
	for i := range c {
		re, im := real(c[i]), imag(c[i])
		c[i] = complex(re*re+im*im, 0)
	}
	fft.Sequence(padded, c)
	out := padded[:n/2+1]
	zero := out[0]
	if zero <= 0 {
		clear(out)
		return out
	}
	for lag := range out {
		out[lag] /= zero * float64(n-lag) / float64(n)
	}
	return out
}

// repeats tells a season from a drift that happens to turn: loads one period apart are nearer to each other than those a
// quarter less or more apart, by a tenth or more.
func repeats(values []float64, period int) bool {
	apart := func(lag int) float64 {
		sum, n := 0.0, 0
		for i := lag; i < len(values); i++ {
			if d := values[i] - values[i-lag]; !math.IsNaN(d) {
				sum += math.Abs(d)
				n++
			}
		}
		return sum / float64(max(n, 1))
	}
	quarter := max(period/4, 1)
	return apart(period) < 0.9*min(apart(period-quarter), apart(period+quarter))
}
