package tuning

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"foresail.dev/cmd/foresail/cli"
	"foresail.dev/cmd/foresail/tuning/bench"
	"foresail.dev/model/tune"
)

// trier is a bench: what settings are put into effect on, and measured.
type trier interface {
	Set(ctx context.Context, values map[string]string, seed uint64) error
	Measure(ctx context.Context) (bench.Outcome, error)
	Close() error
}

// session is one run of the command.
type session struct {
	job      *Job
	bench    trier
	journal  *journal
	progress func(done float64, what string)
	now      func() time.Time
	began    time.Time

	inEffect map[string]string // the setting that works and is gone back to
	rows     []Record
	found    []found
	notes    []string
	done     int
	all      int
}

// found is what one method found with one seed.
type found struct {
	method, optimiser string
	seed              uint64
	trials            []tune.Trial
	best              int // of trials; -1: none is valid
	confirmed         []Record
	reference         []Record // the default setting, measured on the same seeds
}

// rollbackLimit is how long going back to a setting that works may take once the command is told to end.
const rollbackLimit = 2 * time.Minute

// errBudget says that the time budget is used up.
var errBudget = errors.New("the time budget is used up")

// pairs are the methods with each optimiser; a method without a model has none.
func (f *File) pairs() (out [][2]string) {
	for _, m := range f.Methods {
		if tune.Model(m) == tune.None {
			out = append(out, [2]string{m, ""})
			continue
		}
		for _, o := range f.Picks {
			out = append(out, [2]string{m, o})
		}
	}
	return out
}

// run searches with every method and seed, then measures what they found again.
func (s *session) run(ctx context.Context) error {
	f := &s.job.File
	pairs := f.pairs()
	s.all = len(f.Seeds) * (f.Initial + len(pairs)*(f.Trials-f.Initial+f.Confirm) + f.Confirm)
	s.inEffect = s.job.Texts(s.job.Space.Default())
	for _, seed := range f.Seeds {
		err := s.seed(ctx, seed, pairs)
		if errors.Is(err, errBudget) {
			s.notes = append(s.notes, fmt.Sprintf("%v, after %d of %d trials", errBudget, s.done, s.all))
			break
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *session) seed(ctx context.Context, seed uint64, pairs [][2]string) error {
	f := &s.job.File
	shared, err := s.trials(ctx, seed, nil, [2]string{}, f.Initial)
	if err != nil && !(errors.Is(err, errBudget) && len(shared) > 0) {
		return err
	}
	var spent error = err
	var all []found
	for _, p := range pairs {
		got := found{method: p[0], optimiser: p[1], seed: seed, trials: shared}
		if spent == nil {
			got.trials, err = s.trials(ctx, seed, shared, p, f.Trials)
			if err != nil && !errors.Is(err, errBudget) {
				return err
			}
			spent = err
		}
		cfg := s.config(p, seed)
		got.best = cfg.Best(got.trials)
		all = append(all, got)
	}
	reference, err := s.confirm(ctx, seed, [2]string{}, s.job.Space.Default())
	if err != nil {
		return err
	}
	for i := range all {
		g := &all[i]
		g.reference = reference
		if g.best >= 0 {
			if g.confirmed, err = s.confirm(ctx, seed, [2]string{g.method, g.optimiser}, g.trials[g.best].Setting); err != nil {
				return err
			}
		}
		s.found = append(s.found, *g)
	}
	return spent
}

func (s *session) config(p [2]string, seed uint64) *tune.Config {
	f := &s.job.File
	c := &tune.Config{Space: s.job.Space, Model: tune.Model(p[0]), Optimiser: tune.Optimiser(p[1]), Initial: f.Initial,
		Candidates: f.Candidates, Evaluations: f.Evaluations, Weight: f.Cost.Weight.Seconds(), Seed: seed,
		Entry: s.job.Blueprint.App.Services[s.job.Blueprint.App.Endpoints[s.job.Endpoint].Entry].Name}
	if c.Model == "" {
		c.Model = tune.None
	}
	if c.Optimiser == "" {
		c.Optimiser = tune.Random
	}
	return c
}

// trials goes on from so many trials to n, and returns them all, those up to an error too.
func (s *session) trials(ctx context.Context, seed uint64, before []tune.Trial, p [2]string, n int) ([]tune.Trial, error) {
	all := slices.Clone(before)
	c := s.config(p, seed)
	for len(all) < n {
		i := len(all)
		k := key{Seed: seed, Phase: search, Method: p[0], Optimiser: p[1], Trial: i}
		if p[0] == "" {
			k.Phase = design
		}
		r, known := s.journal.done[k]
		var v tune.Setting
		var err error
		if known {
			if v, err = s.job.setting(r.Setting); err != nil {
				return all, fmt.Errorf("trial %d of the file of trials: %w", i, err)
			}
		} else {
			next, err := c.Next(all)
			if err != nil {
				return all, err
			}
			v = next.Setting
			r = Record{key: k, Why: next.Why}
			if next.Predicted != nil {
				r.Predicted, r.Spread = ms(next.Predicted.Value), rounded(next.Predicted.Spread)
			}
			if err := s.try(ctx, &r, v, runSeed(seed, i)); err != nil {
				return all, err
			}
		}
		s.done++
		s.rows = append(s.rows, r)
		all = append(all, r.trial(v))
		s.show(c, all, p)
	}
	return all, nil
}

func (s *session) show(c *tune.Config, all []tune.Trial, p [2]string) {
	best := "nothing valid yet"
	if b := c.Best(all); b >= 0 {
		best = fmt.Sprintf("best %.1f ms, trial %d", all[b].Latency*1000, b)
	}
	who := "design"
	if p[0] != "" {
		who = fmt.Sprintf("%s %s", p[0], p[1])
	}
	s.progress(float64(s.done)/float64(s.all), fmt.Sprintf("seed %d, %s, trial %d of %d: %s", c.Seed, who, len(all), s.job.File.Trials, best))
}

// runSeed is that of a trial's load and of all that is drawn in it: the same for all methods. Those of confirmations are others.
func runSeed(seed uint64, trial int) uint64 { return seed*1_000_003 + uint64(trial) }

// firstConfirm is the number of the first confirmation, for its seed.
const firstConfirm = 500_000

// confirm measures a setting some times more, on seeds that no search has seen.
func (s *session) confirm(ctx context.Context, seed uint64, p [2]string, v tune.Setting) (out []Record, err error) {
	for i := range s.job.File.Confirm {
		k := key{Seed: seed, Phase: confirm, Method: p[0], Optimiser: p[1], Trial: i}
		r, known := s.journal.done[k]
		if known && !maps.Equal(r.Setting, s.job.Texts(v)) {
			return nil, fmt.Errorf("the file of trials confirms another setting than what %s %s, seed %d, found: tune with the same --trials and the same number of trials, or with another file", p[0], p[1], seed)
		}
		if !known {
			r = Record{key: k, Why: "confirm"}
			if err := s.tryAnyhow(ctx, &r, v, runSeed(seed, firstConfirm+i)); err != nil {
				return nil, err
			}
		}
		s.done++
		s.rows = append(s.rows, r)
		out = append(out, r)
		s.progress(float64(s.done)/float64(s.all), fmt.Sprintf("seed %d, measuring %s again", seed, cmpOr(p[0], "the default")))
	}
	return out, nil
}

func cmpOr(a, b string) string {
	if a == "" {
		return b
	}
	return a
}

// try is tryAnyhow, within the time budget.
func (s *session) try(ctx context.Context, r *Record, v tune.Setting, seed uint64) error {
	if b := s.job.File.Budget; b > 0 && s.now().Sub(s.began) > b {
		return errBudget
	}
	return s.tryAnyhow(ctx, r, v, seed)
}

// tryAnyhow puts a setting into effect, measures, records, and goes back to one that works where this one does not.
func (s *session) tryAnyhow(ctx context.Context, r *Record, v tune.Setting, seed uint64) error {
	began := s.now()
	r.Setting, r.Cost, r.At = s.job.Texts(v), cli.Round(s.job.Space.Cost(v)), began.UTC().Truncate(time.Second)
	out, err := s.measured(ctx, r.Setting, seed)
	if ctx.Err() != nil {
		return errors.Join(fmt.Errorf("stopped after %d of %d trials; --resume goes on", s.done, s.all), s.rollBack(ctx))
	}
	var refused *bench.Refusal
	switch {
	case errors.As(err, &refused):
		r.Verdict, r.Reason = tune.Refused, refused.Why
	case err != nil:
		return errors.Join(err, s.rollBack(ctx))
	case out.Broken != "":
		r.Verdict, r.Reason = tune.Broken, out.Broken
	case out.Missed != "":
		r.Verdict, r.Reason = tune.Violated, out.Missed
	default:
		r.Verdict = tune.Fine
	}
	if refused == nil {
		r.Requests, r.Errors, r.Metrics, r.Calls = out.Requests, out.Errors, out.Metrics, out.Calls
		if out.Latency > 0 {
			r.Measured = ms(out.Latency)
		}
		if out.Slack > 0 {
			r.Slack = rounded(out.Slack)
		}
	}
	r.Took = cli.Round(s.now().Sub(began).Seconds())
	if err := s.journal.add(*r); err != nil {
		return errors.Join(err, s.rollBack(ctx))
	}
	if r.Verdict == tune.Fine {
		s.inEffect = r.Setting
		return nil
	}
	return s.rollBack(ctx)
}

func (s *session) measured(ctx context.Context, values map[string]string, seed uint64) (bench.Outcome, error) {
	if err := s.bench.Set(ctx, values, seed); err != nil {
		return bench.Outcome{}, err
	}
	return s.bench.Measure(ctx)
}

// rollBack goes back to the last setting that worked, also when the command was told to end.
func (s *session) rollBack(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), rollbackLimit)
	defer cancel()
	if err := s.bench.Set(ctx, s.inEffect, 0); err != nil {
		return fmt.Errorf("going back to the setting before: %w", err)
	}
	return nil
}

// leave puts into effect what is to stay: the best of the only search, or the default.
func (s *session) leave(ctx context.Context, best bool) error {
	s.inEffect = s.job.Texts(s.job.Space.Default())
	if best {
		if f := &s.found[0]; f.best >= 0 {
			s.inEffect = s.job.Texts(f.trials[f.best].Setting)
		}
	}
	return s.rollBack(ctx)
}

func ms(seconds float64) *float64 { return rounded(seconds * 1000) }

// rounded keeps six digits: JSON lines stay short, and nothing is measured so exactly.
func rounded(v float64) *float64 {
	if v == 0 || math.IsInf(v, 0) || math.IsNaN(v) {
		return &v
	}
	p := math.Pow(10, 5-math.Floor(math.Log10(math.Abs(v))))
	v = math.Round(v*p) / p
	return &v
}
