package mixture

import (
	"math"
	"slices"

	"foresail.dev/model/forecast/linear"
)

// What follows was settled on the first halves of the development series; see docs/decisions/forecast.md.
const (
	window     = 1000  // errors that quantiles are taken from
	adapt      = 0.005 // how far a level moves for a load on its wrong side
	furthest   = 5.0   // how many times the usual error an expected one may be, and the usual one it
	fewest     = 10    // errors before scales are trusted
	outlier    = 30.0  // in scales: errors beyond say no more than that
	edge       = 5e-4  // levels stay so far within 0..1
	scaleTerms = 6
)

// spread turns the errors of forecasts for one step ahead into a scale, and into quantiles that cover what they say.
//
// There are two scales: the usual error, and a regression of the logarithm of the error's size on recent errors, the level
// and how far experts disagree, by which a load that is more uncertain at its peaks is told so. Errors in units of either
// are kept, and their empirical quantiles, mixed by the quantile loss that each had of late, are the forecast's.
//
// Which of them stands for a level is moved by each load that comes (adaptive conformal inference: Gibbs and Candès,
// NeurIPS 2021, eq 2, for each level apart): up by adapt·p where the load was above, down by adapt·(1−p) where it was not.
// In the long run the load then stays under the quantile as often as it says, whatever happens to the series.
type spread struct {
	levels                []float64
	asked                 []float64 // by level: the empirical level that stands for it now
	size                  *linear.Ridge
	weights               []float64
	n                     int // errors so far
	fast, medium, slow    float64
	errors                [2]sample  // in units of the usual error, and of the regression's
	losses                [2]float64 // decayed mean of the quantile loss of either
	predicted, logarithms [1]float64
}

// sample is the last errors in some unit.
type sample struct {
	recent []float64 // a ring
	sorted []float64
	next   int
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

// scales are how large the error is expected to be, as standard deviations of a normal one: usually, and now.
func (s *spread) scales(x []float64, unit float64) (out [2]float64) {
	usual := max(s.slow, unit)
	out = [2]float64{usual * 1.25, usual * 1.25}
	if s.weights != nil {
		linear.Predict(s.weights, x, s.predicted[:])
		out[1] = min(max(1.5*math.Exp(s.predicted[0]), usual/furthest), usual*furthest)
	}
	return out
}

// learn takes in a load that was forecast: the terms, mean, scales and quantiles of then.
func (s *spread) learn(load float64, x []float64, mean float64, scales [2]float64, unit float64, quantiles []float64) {
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
	for i, scale := range scales {
		loss := 0.0
		for l, p := range s.levels {
			d := load - mean - scale*s.errors[i].at(s.asked[l])
			loss += max(p*d, (p-1)*d)
		}
		s.losses[i] += max(1-memory, 1/float64(s.n-fewest)) * (loss - s.losses[i])
		s.errors[i].keep(min(max(miss/scale, -outlier), outlier))
	}
}

func (s *sample) keep(z float64) {
	if len(s.recent) < window {
		s.recent = append(s.recent, z)
	} else {
		old := &s.recent[s.next%window]
		i, _ := slices.BinarySearch(s.sorted, *old)
		s.sorted = slices.Delete(s.sorted, i, i+1)
		*old = z
	}
	s.next++
	i, _ := slices.BinarySearch(s.sorted, z)
	s.sorted = slices.Insert(s.sorted, i, z)
}

// at is the error in scales that stays under the level p.
func (s *sample) at(p float64) float64 {
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

// share of the second scale in the mixture.
func (s *spread) second() float64 {
	a, b := math.Pow(s.losses[0], sharp), math.Pow(s.losses[1], sharp)
	if !(a+b > 0) || math.IsInf(a+b, 0) {
		return 0.5
	}
	return a / (a + b)
}

// quantiles writes the quantiles of a forecast, by level, and returns its scale.
func (s *spread) quantiles(mean float64, scales [2]float64, out []float64) float64 {
	low, b := 0.0, s.second()
	for l := range s.levels {
		p := s.asked[l]
		low = max(low, mean+(1-b)*scales[0]*s.errors[0].at(p)+b*scales[1]*s.errors[1].at(p))
		out[l] = low
	}
	return (1-b)*scales[0] + b*scales[1]
}

// relative is the figure whose error as a share of the load is the least to be expected (what Madu's eq 15 measures): the median
// of the loads that may come, each counting by one over itself. least is the smallest load that can be.
func (s *spread) relative(mean float64, scales [2]float64, least float64) float64 {
	n := len(s.errors[0].sorted)
	if n < fewest || least <= 0 {
		return mean
	}
	const points = 100
	var loads [points]float64
	b, total := s.second(), 0.0
	for i := range loads {
		p := (float64(i) + 0.5) / points
		loads[i] = mean + (1-b)*scales[0]*s.errors[0].at(p) + b*scales[1]*s.errors[1].at(p)
		total += share(loads[i], least)
	}
	sum := 0.0
	for _, x := range loads {
		if sum += share(x, least); total > 0 && sum >= total/2 {
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
