package gp

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"

	"gonum.org/v1/gonum/optimize"
)

// Fit finds the parameters that make y likely and returns the model with them. X is row by row with so many features
// each. Errors name what is wrong with cfg or the data, or are a *SingularError.
func Fit(cfg Config, x []float64, features int, y []float64) (*Model, error) {
	if err := errors.Join(cfg.validate(), validate(x, features, y)); err != nil {
		return nil, err
	}
	s := standardise(x, features, y)
	l := newLikelihood(cfg.Kernel, cfg.PerFeature, s.x, features, s.y, cfg.MaxJitter)
	search := newSearch(l, cfg.Prior)
	rng := rand.New(rand.NewPCG(cfg.Seed, 0x6a09e667f3bcc908))
	for start := range 1 + cfg.Restarts {
		search.run(search.start(start, rng), cfg.Iterations, cfg.Evaluations)
	}
	if search.best == nil {
		return nil, search.err
	}
	return newModel(cfg.Kernel, cfg.MaxJitter, s, s.natural(search.best, l.lengths()))
}

// New returns the model with given parameters. Errors are as Fit's; with no noise, rows that repeat make the kernel
// matrix singular unless cfg.MaxJitter allows to change it.
func New(cfg Config, x []float64, features int, y []float64, p Params) (*Model, error) {
	if err := errors.Join(cfg.validate(), validate(x, features, y)); err != nil {
		return nil, err
	}
	if err := p.validate(features); err != nil {
		return nil, err
	}
	p.Lengths = slices.Clone(p.Lengths)
	return newModel(cfg.Kernel, cfg.MaxJitter, standardise(x, features, y), p)
}

// The parameters are searched within these bounds, for data of variance 1.
const (
	minLength, maxLength     = 1e-2, 1e3
	minVariance, maxVariance = 1e-3, 1e3
	minNoise, maxNoise       = 1e-6, 4
)

// search looks for the parameters of the highest likelihood. L-BFGS knows no bounds, so it moves u, and a parameter is
// lo + (hi-lo)/(1+exp(-u)).
type search struct {
	l           *likelihood
	prior       Prior
	lo, hi      []float64
	theta, grad []float64

	// The optimiser asks for value and gradient apart, at the same place: both are found at once.
	at       []float64
	value    float64
	slope    []float64
	evals    int
	maxEvals int

	best      []float64 // parameters
	bestValue float64
	err       error
}

func newSearch(l *likelihood, prior Prior) *search {
	n := l.params()
	s := &search{l: l, prior: prior, lo: make([]float64, n), hi: make([]float64, n), theta: make([]float64, n), grad: make([]float64, n), slope: make([]float64, n), bestValue: math.Inf(-1)}
	for i := range n {
		s.lo[i], s.hi[i] = math.Log(minLength), math.Log(maxLength)
	}
	s.lo[n-2], s.hi[n-2] = math.Log(minVariance), math.Log(maxVariance)
	s.lo[n-1], s.hi[n-1] = math.Log(minNoise), math.Log(maxNoise)
	return s
}

// start is where to start from: first where length scales fit the number of features, then at random around that.
func (s *search) start(n int, rng *rand.Rand) []float64 {
	m := s.l.lengths()
	theta := make([]float64, s.l.params())
	for i := range theta[:m] {
		theta[i] = math.Log(math.Sqrt(float64(s.l.features)))
		if s.prior.Deviation > 0 {
			theta[i] = s.prior.Mean
		}
	}
	theta[m], theta[m+1] = 0, math.Log(0.1)
	if n > 0 {
		for i := range theta {
			theta[i] += 1.5 * (2*rng.Float64() - 1)
		}
		theta[m+1] += 3 * (2*rng.Float64() - 1)
	}
	u := make([]float64, len(theta))
	for i, t := range theta {
		share := min(max((t-s.lo[i])/(s.hi[i]-s.lo[i]), 0.01), 0.99)
		u[i] = math.Log(share / (1 - share))
	}
	return u
}

// run climbs from u. What went wrong on the way matters only where no start finds anything.
func (s *search) run(u []float64, iterations, evaluations int) {
	s.at, s.evals, s.maxEvals = nil, 0, evaluations
	problem := optimize.Problem{
		Func: func(u []float64) float64 { s.evaluate(u); return -s.value },
		Grad: func(grad, u []float64) {
			s.evaluate(u)
			for i, g := range s.slope {
				grad[i] = -g
			}
		},
		Status: func() (optimize.Status, error) {
			if s.evals >= s.maxEvals {
				return optimize.FunctionEvaluationLimit, nil
			}
			return optimize.NotTerminated, nil
		},
	}
	settings := &optimize.Settings{
		MajorIterations:   iterations,
		FuncEvaluations:   evaluations,
		GradientThreshold: 1e-4,
		Converger:         &optimize.FunctionConverge{Absolute: 1e-6, Relative: 1e-9, Iterations: 5},
	}
	// Its error, a line search without progress most of all, is no loss: the best place so far is kept.
	_, _ = optimize.Minimize(problem, u, settings, &optimize.LBFGS{})
}

// evaluate finds value and gradient at u, unless they are those of the last call.
func (s *search) evaluate(u []float64) {
	if slices.Equal(u, s.at) {
		return
	}
	s.at = append(s.at[:0], u...)
	s.value = math.Inf(-1)
	clear(s.slope)
	if s.evals >= s.maxEvals {
		return // a line search in its midst: nothing is better here
	}
	s.evals++
	for i, v := range u {
		s.theta[i] = s.lo[i] + (s.hi[i]-s.lo[i])/(1+math.Exp(-v))
	}
	value, err := s.l.value(s.theta)
	if err == nil {
		err = s.l.gradient(s.theta, s.grad)
	}
	if err != nil {
		s.err = err
		return
	}
	if d := s.prior.Deviation; d > 0 {
		for i, t := range s.theta[:s.l.lengths()] {
			z := (t - s.prior.Mean) / d
			value -= z * z / 2
			s.grad[i] -= z / d
		}
	}
	s.value = value
	for i, v := range u {
		share := 1 / (1 + math.Exp(-v))
		s.slope[i] = s.grad[i] * (s.hi[i] - s.lo[i]) * share * (1 - share)
	}
	if value > s.bestValue {
		s.best, s.bestValue = append(s.best[:0], s.theta...), value
	}
}

// standard is data of mean 0 and variance 1, and how it came to be. What is the same everywhere stays so.
type standard struct {
	features       int
	x, y           []float64
	shift, scale   []float64 // of each feature
	yShift, yScale float64
}

func standardise(x []float64, features int, y []float64) standard {
	s := standard{features: features, x: slices.Clone(x), y: slices.Clone(y), shift: make([]float64, features), scale: make([]float64, features)}
	column := make([]float64, len(y))
	for f := range features {
		for i := range column {
			column[i] = x[i*features+f]
		}
		s.shift[f], s.scale[f] = moments(column)
		for i := range column {
			s.x[i*features+f] = (column[i] - s.shift[f]) / s.scale[f]
		}
	}
	s.yShift, s.yScale = moments(y)
	for i := range y {
		s.y[i] = (y[i] - s.yShift) / s.yScale
	}
	return s
}

// moments are the mean and the standard deviation. Where nothing but rounding deviates, it is the largest number instead,
// or 1.
func moments(v []float64) (mean, deviation float64) {
	for _, x := range v {
		mean += x / float64(len(v))
	}
	most := 0.0
	for _, x := range v {
		most = max(most, math.Abs(x), math.Abs(x-mean))
	}
	if most < 1e-100 {
		return mean, 1
	}
	sum := 0.0
	for _, x := range v {
		d := (x - mean) / most
		sum += d * d
	}
	share := math.Sqrt(sum / float64(len(v)))
	if share < 1e-13 {
		return mean, max(most, 1)
	}
	return mean, share * most
}

// natural turns logarithmic parameters of standardised data into those in the units of the data.
func (s *standard) natural(theta []float64, lengths int) Params {
	p := Params{Lengths: make([]float64, s.features)}
	for f := range p.Lengths {
		p.Lengths[f] = math.Exp(theta[min(f, lengths-1)]) * s.scale[f]
	}
	p.Variance = math.Exp(theta[lengths]) * s.yScale * s.yScale
	p.Noise = math.Exp(theta[lengths+1]) * s.yScale * s.yScale
	return p
}

// logs is the inverse of natural, with a length scale for each feature.
func (s *standard) logs(p Params) []float64 {
	theta := make([]float64, 0, s.features+2)
	for f, l := range p.Lengths {
		theta = append(theta, math.Log(l)-math.Log(s.scale[f]))
	}
	v := 2 * math.Log(s.yScale)
	return append(theta, math.Log(p.Variance)-v, math.Log(p.Noise)-v) // log 0 is -Inf, of which exp is 0
}
