package mixture

import (
	"math"
	"slices"

	"foresail.dev/model/forecast/linear"
)

// What follows was settled on the first halves of the development series; see docs/decisions/forecast.md.
const (
	window     = 600  // errors that quantiles are taken from
	adapt      = 0.01 // how far a level moves for a load on its wrong side
	furthest   = 5.0  // how many times the usual error an expected one may be, and the usual one it
	fewest     = 10   // errors before scales are trusted
	outlier    = 30.0 // in scales: errors beyond say no more than that
	edge       = 5e-4 // levels stay so far within 0..1
	scaleTerms = 6
)

// spread turns the errors of forecasts for one step ahead into a scale, and into quantiles that cover what they say.
//
// The scale is a regression of the logarithm of the error's size on recent errors, the level and how far experts
// disagree: a load that is more uncertain at its peaks is told so. Errors in units of their scale are kept, and their
// empirical quantiles are the forecast's. Which of them stands for a level is moved by each load that comes (adaptive
// conformal inference: Gibbs and Candès, NeurIPS 2021, eq 2, for each level apart): up by adapt·p where the load was above,
// down by adapt·(1−p) where it was not. In the long run the load then stays under the quantile as often as it says, whatever
// happens to the series.
type spread struct {
	levels                []float64
	asked                 []float64 // by level: the empirical level that stands for it now
	size                  *linear.Ridge
	weights               []float64
	n                     int // errors so far
	fast, medium, slow    float64
	recent                []float64 // errors in scales, a ring
	sorted                []float64 // the same in order
	predicted, logarithms [1]float64
}

func newSpread(levels []float64) *spread {
	return &spread{levels: levels, asked: slices.Clone(levels), size: linear.New(scaleTerms, 1, 0.999)}
}

// terms fills x in for a forecast of the level mean with experts that lie so far apart; unit is the least that counts as
// an error.
func (s *spread) terms(mean, apart, unit float64, x []float64) {
	x[0] = 1
	x[1] = math.Log(s.fast + unit)
	x[2] = math.Log(s.medium + unit)
	x[3] = math.Log(s.slow + unit)
	x[4] = math.Log(mean + unit)
	x[5] = math.Log(apart + 0.01*s.slow + unit)
}

// scale is how large the error is expected to be, as a standard deviation of a normal one.
func (s *spread) scale(x []float64, unit float64) float64 {
	usual := max(s.slow, unit)
	if s.weights == nil {
		return usual * 1.25
	}
	linear.Predict(s.weights, x, s.predicted[:])
	return min(max(1.5*math.Exp(s.predicted[0]), usual/furthest), usual*furthest)
}

// learn takes in a load that was forecast: the terms, mean, scale and quantiles of then.
func (s *spread) learn(load float64, x []float64, mean, scale, unit float64, quantiles []float64) {
	miss := load - mean
	a := math.Abs(miss)
	s.n++
	s.fast += max(0.1, 1/float64(s.n)) * (a - s.fast)
	s.medium += max(0.03, 1/float64(s.n)) * (a - s.medium)
	s.slow += max(0.005, 1/float64(s.n)) * (a - s.slow)
	if s.n <= fewest {
		return
	}
	s.logarithms[0] = math.Log(a + 0.05*s.slow + unit)
	s.size.Add(x, s.logarithms[:], 1)
	if s.n >= 3*fewest && s.n%10 == 0 {
		if w, err := s.size.Solve(5, 1, s.weights); err == nil {
			s.weights = w
		}
	}
	for l, p := range s.levels {
		move := adapt * (p - 1)
		if load > quantiles[l] {
			move = adapt * p
		}
		s.asked[l] = min(max(s.asked[l]+move, edge), 1-edge)
	}
	s.keep(min(max(miss/scale, -outlier), outlier))
}

func (s *spread) keep(z float64) {
	if len(s.recent) < window {
		s.recent = append(s.recent, z)
	} else {
		old := &s.recent[s.n%window]
		i, _ := slices.BinarySearch(s.sorted, *old)
		s.sorted = slices.Delete(s.sorted, i, i+1)
		*old = z
	}
	i, _ := slices.BinarySearch(s.sorted, z)
	s.sorted = slices.Insert(s.sorted, i, z)
}

// at is the error in scales that stays under the level p.
func (s *spread) at(p float64) float64 {
	n := len(s.sorted)
	if n < fewest { // a normal error, near enough, until there are some
		return 1.9 * math.Tanh(1.6*(2*p-1)) / math.Tanh(1.6)
	}
	at := p*float64(n+1) - 1
	switch i := int(math.Floor(at)); {
	case i < 0:
		return s.sorted[0]
	case i >= n-1:
		return s.sorted[n-1]
	default:
		return s.sorted[i] + (at-float64(i))*(s.sorted[i+1]-s.sorted[i])
	}
}

// quantiles writes the quantiles of a forecast, by level.
func (s *spread) quantiles(mean, scale float64, out []float64) {
	low := 0.0
	for l := range s.levels {
		low = max(low, mean+scale*s.at(s.asked[l]))
		out[l] = low
	}
}

// relative is the figure whose error as a share of the load is the least to be expected (what Madu's eq 15 measures): the median
// of the loads that may come, each counting by one over itself. least is the smallest load that can be.
func (s *spread) relative(mean, scale, least float64) float64 {
	n := len(s.sorted)
	if n < fewest || least <= 0 {
		return mean
	}
	step := max(1, n/200)
	total := 0.0
	for i := step / 2; i < n; i += step {
		total += share(mean+scale*s.sorted[i], least)
	}
	if total == 0 {
		return mean
	}
	sum := 0.0
	for i := step / 2; i < n; i += step {
		x := mean + scale*s.sorted[i]
		if sum += share(x, least); sum >= total/2 {
			return max(x, least)
		}
	}
	return mean
}

// share is how much a load counts for relative: none where it is no call at all.
func share(x, least float64) float64 {
	if x < least/2 {
		return 0
	}
	return 1 / max(x, least)
}
