package tail

import (
	"context"
	"fmt"
	"slices"

	"foresail.dev/ml/nn"
	"foresail.dev/model/tail/network"
)

// Tuning is a Config to fine-tune with: a tenth of the rate of training, fewer epochs, small trees, and no runs held out. What a model is,
// its channels, label and squashing, stays as it was.
func Tuning() Config {
	c := Default()
	c.Rate, c.Epochs, c.HoldOut, c.Trees, c.TreeRate, c.Leaves, c.Validation = c.Rate/10, 8, 0, 100, c.TreeRate/2, 8, 0.2
	return c
}

// FineTune goes on from a model's weights and trees on other data of the same application: after the mix of its load, its
// machine or one of its services has changed. It needs a tenth of the data that a model needs at first. Inputs keep their
// scale, and normalisations their statistics, since the new data may show few loads; all weights move, at the rate of cfg,
// and stay where they were when no epoch does better; trees are added to those there are, up to a limit, then grown anew.
// Calibration is fitted to the new data when that is enough; the margin is that of the new data, and the ranges that
// Outside knows are those of both. The report compares the new model with the old one on the same samples. See Train for
// the rest.
func FineTune(ctx context.Context, old *Model, runs []Run, cfg Config, progress func(done float64, what string)) (*Model, *Report, error) {
	if err := cfg.Check(); err != nil {
		return nil, nil, err
	}
	if err := old.checkRuns(runs); err != nil {
		return nil, nil, fmt.Errorf("the data does not fit the model: %w", err)
	}
	m := &Model{layout: old.layout, scale: old.scale, out: old.out, shape: old.shape}
	f := newFitting(ctx, m, cfg, progress)
	train, held := holdOut(runs, cfg.HoldOut, f.rand)
	_, seen := m.measure(train)
	m.envelope = envelope{History: wider(old.envelope.History, seen.History), Cores: wider(old.envelope.Cores, seen.Cores)}
	f.tuning = true
	net := network.New[float32](m.shape, nn.NewRand(cfg.Seed, 1))
	net.Freeze()
	for i, p := range net.Params() {
		copy(p.W, old.weights[i].W)
	}
	return f.fit(train, held, net, old)
}

// wider spans both.
func wider(a, b []span) []span {
	out := slices.Clone(a)
	for i, s := range b {
		out[i] = span{Low: least(out[i].Low, s.Low), High: -least(-out[i].High, -s.High)}
	}
	return out
}

// least is the lesser of two; a NaN, which spans what was never seen, gives way.
func least(a, b float32) float32 {
	if a != a || b < a {
		return b
	}
	return a
}
