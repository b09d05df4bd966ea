package learner

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
)

// Config says how hyper-parameters are looked for. Start from Default.
type Config struct {
	Kinds       []Kind // that are tried
	Evaluations int    // candidates at most, of all kinds together; each kind's first is always tried; > 0
	Folds       int    // of cross-validation, ≥ 2
	Seed        uint64
	// Stop is asked before each candidate but the first: what was found so far is used. nil: nobody. A time budget is
	// one: this package knows no clock.
	Stop func() bool
	// Useless is a mean absolute error, in the target's unit, from which on a model is of no use: when no candidate is below
	// it, Search fails with ErrUseless, after little work as a rule. 0: any model is of use.
	Useless float64
}

// ErrUseless is wrapped by what Search reports when no candidate is below Config.Useless.
var ErrUseless = errors.New("no model is of use")

// Default tries a line and Gaussian processes.
func Default() Config {
	return Config{Kinds: []Kind{Ridge, Process, Scaled}, Evaluations: 12, Folds: 5}
}

// Check reports all that is wrong.
func (c *Config) Check() error {
	var faults []error
	if len(c.Kinds) == 0 {
		faults = append(faults, errors.New("no kind of learner is named"))
	}
	for _, k := range c.Kinds {
		if k >= kinds {
			faults = append(faults, fmt.Errorf("there is no %s", k))
		}
	}
	if c.Evaluations < 1 {
		faults = append(faults, fmt.Errorf("evaluations is %d, must be at least 1", c.Evaluations))
	}
	if c.Folds < 2 {
		faults = append(faults, fmt.Errorf("folds is %d, must be at least 2", c.Folds))
	}
	return errors.Join(faults...)
}

// Report says how a search went.
type Report struct {
	Tried   int       // candidates
	Failed  int       // that could not be trained
	Error   float64   // mean absolute error of the best, out-of-fold, in the target's unit
	Stopped bool      // by Stop, before Evaluations were made
	Held    []float64 // what the best predicts for each row, from models that did not see it
}

// Search looks for the candidate whose mean absolute error is least in cross-validation, and trains it on all rows.
//
// Candidates are each kind's first, then drawn ones, the kinds in turn. One is given up as soon as its errors so far are, in the
// mean, hopeless times those of the best. One that can't be trained, a kernel matrix that stays singular for instance, is passed over; when
// none can, the target's middle is learned, and if that fails too its error is returned.
func Search(cfg Config, d Data) (*Model, Report, error) {
	if err := errors.Join(cfg.Check(), d.check()); err != nil {
		return nil, Report{}, err
	}
	s := search{d: &d, folds: folds(d.Rows(), cfg.Folds, cfg.Seed), best: math.Inf(1), seed: cfg.Seed}
	if cfg.Useless > 0 {
		s.best = cfg.Useless * float64(d.Rows())
	}
	var report Report
	rng := rand.New(rand.NewPCG(cfg.Seed, 0x5ea4c4))
	for n := range max(cfg.Evaluations, len(cfg.Kinds)) {
		if n > 0 && cfg.Stop != nil && cfg.Stop() {
			report.Stopped = true
			break
		}
		k := cfg.Kinds[n%len(cfg.Kinds)]
		c := first(k)
		if n >= len(cfg.Kinds) {
			c = draw(k, rng)
		}
		report.Tried++
		if err := s.try(c); err != nil {
			report.Failed++
		}
	}
	if s.held == nil && cfg.Useless > 0 {
		return nil, report, fmt.Errorf("%w: after %d candidates none is off by less than %v in the mean", ErrUseless, report.Tried, cfg.Useless)
	}
	if s.held == nil {
		if err := s.try(Candidate{Kind: Ridge, LogTarget: true, Penalty: 1e6}); err != nil {
			return nil, report, err
		}
	}
	m, err := train(s.chosen, &d, cfg.Seed)
	if err != nil { // what could be trained on parts of the rows, and not on all
		if m, err = train(Candidate{Kind: Ridge, LogTarget: true, Penalty: 1}, &d, cfg.Seed); err != nil {
			return nil, report, err
		}
	}
	m.calibrate(s.z)
	report.Error, report.Held = s.best/float64(d.Rows()), s.held
	return m, report, nil
}

// hopeless is how many times as large as the best one's errors those of a candidate may be on a part of the rows.
const hopeless = 1.25

type search struct {
	d      *Data
	folds  [][]int
	seed   uint64
	best   float64 // sum of absolute errors
	chosen Candidate
	held   []float64
	z      []float64
}

// try validates a candidate and keeps it where it is the best.
func (s *search) try(c Candidate) error {
	if err := c.check(); err != nil {
		return err
	}
	n := s.d.Rows()
	sum, held, z := 0.0, make([]float64, n), make([]float64, 0, n)
	in := make([]bool, n)
	for _, fold := range s.folds {
		clear(in)
		for _, i := range fold {
			in[i] = true
		}
		var rest []int
		for i := range n {
			if !in[i] {
				rest = append(rest, i)
			}
		}
		if len(rest) == 0 {
			rest = fold // a single row
		}
		part := s.d.Pick(rest)
		if part.check() != nil {
			continue // all that is left of the target is 0
		}
		m, err := train(c, &part, s.seed)
		if err != nil {
			return err
		}
		p := NewPredictor(m)
		for _, i := range fold {
			row := s.d.Row(i)
			p.apply(row)
			mean, variance := p.p.predict(p.row)
			held[i] = m.scales.out.natural(mean, 0, m.scales.least).Value
			sum += math.Abs(held[i] - s.d.Y[i])
			truth := (m.scales.out.bend(s.d.Y[i]) - m.scales.out.Mean) / m.scales.out.Dev
			z = append(z, (truth-mean)/math.Sqrt(max(variance, 1e-12)))
		}
		// A part of the rows may be harder than the rest, all of them are not.
		if !(sum < s.best) || sum/float64(len(z)) > hopeless*s.best/float64(n) {
			return nil
		}
	}
	s.best, s.chosen, s.held, s.z = sum, c, held, z
	return nil
}

// folds deals rows out at random.
func folds(n, k int, seed uint64) [][]int {
	k = min(k, n)
	out := make([][]int, k)
	for at, i := range rand.New(rand.NewPCG(seed, 0xf01d)).Perm(n) {
		out[at%k] = append(out[at%k], i)
	}
	return out
}
