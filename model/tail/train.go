package tail

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"

	"foresail.dev/ml"
	"foresail.dev/ml/gbt"
	"foresail.dev/ml/nn"
	"foresail.dev/model/tail/network"
)

// leastSamples is how many samples a model is made of at least.
const leastSamples = 100

// networkShare is how much of the progress of a training is that of the network.
const networkShare = 0.85

// Train trains a model on runs of an application. It is deterministic: the same runs, Config and processor architecture give
// the same model. Progress may be nil; done goes from 0 to 1. It fails with what is wrong with the schema, cfg or the runs, or
// with ctx's error.
func Train(ctx context.Context, schema Schema, runs []Run, cfg Config, progress func(done float64, what string)) (*Model, *Report, error) {
	if err := schema.trainable(); err != nil {
		return nil, nil, err
	}
	if err := cfg.Check(); err != nil {
		return nil, nil, err
	}
	m := &Model{layout: layout{schema: &schema, channels: slices.Clone(cfg.Channels), squash: squashFor(&schema, &cfg), label: cfg.Label, proposed: cfg.Proposed}}
	m.shape = m.layout.network()
	if err := m.checkRuns(runs); err != nil {
		return nil, nil, err
	}
	f := newFitting(ctx, m, cfg, progress)
	train, held := holdOut(runs, cfg.HoldOut, f.rand)
	var seen *envelope
	m.scale, seen = m.measure(train)
	m.envelope = *seen
	net := network.New[float32](m.shape, nn.NewRand(cfg.Seed, 1))
	return f.fit(train, held, net, nil)
}

// trainable tells what a schema lacks for a model to be made of it.
func (s *Schema) trainable() error {
	if err := s.Check(); err != nil {
		return err
	}
	if s.Reference == 0 || len(s.Objectives) == 0 {
		return fmt.Errorf("application %s has no objective that data tells of: what its tail latency is measured against is missing", s.Name)
	}
	return nil
}

func squashFor(s *Schema, cfg *Config) Squash {
	q := SquashOf(s.Reference)
	if cfg.Room > 0 {
		q = Squash{Knee: s.Reference + cfg.Room/20, Room: cfg.Room}
	}
	if cfg.Knee > 0 {
		q.Knee = cfg.Knee
	}
	return q
}

// fitting is one training.
type fitting struct {
	ctx      context.Context
	m        *Model // what becomes of it
	cfg      Config
	rand     *rand.Rand
	progress func(float64, string)
	report   Report
	tuning   bool // weights are a model's: they stay unless others do better
}

func newFitting(ctx context.Context, m *Model, cfg Config, progress func(float64, string)) *fitting {
	if progress == nil {
		progress = func(float64, string) {}
	}
	return &fitting{ctx: ctx, m: m, cfg: cfg, rand: rand.New(rand.NewPCG(cfg.Seed, 0x7a11)), progress: progress}
}

// fit trains net on runs, grows trees on what it makes of them, calibrates, and measures. With before it goes on from that
// model's trees.
func (f *fitting) fit(train, held []Run, net *network.Net[float32], before *Model) (*Model, *Report, error) {
	m, cfg := f.m, &f.cfg
	t := m.tableOf(train, &m.scale)
	p := split(t, cfg.Validation, cfg.Block, f.rand)
	if len(p.train) < leastSamples || len(p.stop) == 0 || len(p.odds) == 0 {
		return nil, nil, fmt.Errorf("%d runs give %d samples to train on and %d to validate with: %d and 2 are the fewest. A run needs %d seconds to give one; collect more", len(train), len(p.train), len(p.stop)+len(p.odds), leastSamples, Past+Horizon)
	}
	if before == nil {
		m.out = f.targets(t, p.train)
	}
	if err := f.weigh(net, t, p); err != nil {
		return nil, nil, err
	}
	if err := f.grow(t, p, before); err != nil {
		return nil, nil, err
	}
	both := slices.Concat(p.stop, p.odds)
	f.report.Scores = m.predict(t, both).scores(m, t, both)
	m.margin = f.report.Below
	if len(held) > 0 {
		h := m.tableOf(held, &m.scale)
		s := m.predict(h, h.samples).scores(m, h, h.samples)
		if s.Samples > 0 {
			f.report.Held, m.margin = &s, s.Below
		}
	}
	if before != nil {
		test, samples := t, both
		if f.report.Held != nil {
			test = before.tableOf(held, &before.scale)
			samples = test.samples
		}
		s := before.predict(test, samples).scores(before, test, samples)
		f.report.Before = &s
	}
	f.report.Runs, f.report.Trained, f.report.Trees, f.report.Margin = len(train)+len(held), len(p.train), m.trees.Trees(), m.margin
	m.trained = ml.Training{Source: cmp.Or(cfg.Source, "runs"), Rows: len(p.train), Seed: cfg.Seed, Commit: cfg.Commit}
	for _, r := range train {
		if n := len(r.Steps); n > 0 {
			if from := r.Steps[0].End.Add(-Interval); m.trained.From.IsZero() || from.Before(m.trained.From) {
				m.trained.From = from
			}
			if to := r.Steps[n-1].End; to.After(m.trained.To) {
				m.trained.To = to
			}
		}
	}
	f.progress(1, "trained")
	return m, &f.report, nil
}

// targets is the unit that the network learns in: for Adam each percentile has mean 0 and deviation 1.
func (f *fitting) targets(t *table, samples []sample) []affine {
	out := slices.Repeat([]affine{{Per: 1}}, len(Percentiles))
	if f.cfg.Optimiser == SGD {
		return out
	}
	for k := range out {
		var m moments
		for _, s := range samples {
			m.add(t.squash.Of(t.seen[s.row+1][k]))
		}
		if a := m.affine(); a.Per > 0 {
			out[k] = a
		} else {
			out[k].Mean = a.Mean
		}
	}
	return out
}

// rate is that of learning, at a share of all steps.
func (c *Config) rate(done float64) float64 {
	const warm = 0.02
	switch {
	case c.Optimiser == SGD && done >= 0.75:
		return c.Rate / 100
	case c.Optimiser == SGD && done >= 0.6:
		return c.Rate / 10
	case c.Optimiser == SGD:
		return c.Rate
	case done < warm:
		return c.Rate * (0.1 + 0.9*done/warm)
	default:
		return c.Rate * (0.01 + 0.99*0.5*(1+math.Cos(math.Pi*done)))
	}
}

// weigh finds the network's weights: those after the epoch that did best on the rows that stop.
func (f *fitting) weigh(net *network.Net[float32], t *table, p parts) error {
	cfg, m := &f.cfg, f.m
	params := net.Params()
	rows := min(cfg.Batch, len(p.train))
	b := newBatch(&m.layout, rows)
	dy := nn.Batch[float32]{Rows: rows, Cols: len(Percentiles), Data: make([]float32, rows*len(Percentiles))}
	adam, sgd := &nn.Adam[float32]{}, &nn.SGD[float32]{Momentum: 0.9}
	order := f.drawn(t, p.train)
	steps, taken := cfg.Epochs*(len(order)/rows), 0
	best, kept := math.Inf(1), []*nn.Param[float32](nil)
	if m.weights = params; f.tuning {
		best, kept = m.forward(t, p.stop).rmse99(t, p.stop), copied(params)
	}
	for epoch := range cfg.Epochs {
		f.rand.Shuffle(len(order), func(i, k int) { order[i], order[k] = order[k], order[i] })
		for from := 0; from+rows <= len(order); from += rows {
			if err := f.ctx.Err(); err != nil {
				return err
			}
			t.gather(b, order[from:from+rows], &m.scale, m.out)
			y := net.Head(net.Trunk(b.history, b.latency, true), b.cores, true)
			nn.MSE(y.Data, b.target, dy.Data)
			net.Backward(dy)
			rate := cfg.rate(float64(taken) / float64(steps))
			if cfg.Optimiser == SGD {
				sgd.Rate, sgd.Decay = rate, cfg.Decay
				sgd.Step(params)
			} else {
				adam.Rate = rate
				adam.Step(params)
				decay(params, rate*cfg.Decay)
			}
			taken++
		}
		m.weights = params
		now := m.forward(t, p.stop).rmse99(t, p.stop)
		if now < best || kept == nil {
			best, kept, f.report.Best = now, copied(params), epoch+1
		}
		f.progress(networkShare*float64(epoch+1)/float64(cfg.Epochs), fmt.Sprintf("epoch %d of %d: p99 wrong by %.1f ms", epoch+1, cfg.Epochs, now))
	}
	m.weights, f.report.Epochs = kept, cfg.Epochs
	return nil
}

// copied keeps weights as they are, and not their gradients.
func copied(params []*nn.Param[float32]) []*nn.Param[float32] {
	out := make([]*nn.Param[float32], len(params))
	for i, p := range params {
		out[i] = &nn.Param[float32]{Name: p.Name, W: slices.Clone(p.W)}
	}
	return out
}

// decay draws weights, but not shifts and scales, towards 0 (Loshchilov and Hutter, ICLR 2019).
func decay(params []*nn.Param[float32], by float64) {
	if by == 0 {
		return
	}
	for _, p := range params {
		if strings.HasSuffix(p.Name, ".w") {
			for i := range p.W {
				p.W[i] *= float32(1 - by)
			}
		}
	}
}

// drawn is what an epoch goes through: every sample, and with Balance those before a violation more often.
func (f *fitting) drawn(t *table, samples []sample) []sample {
	out := slices.Clone(samples)
	var bad []sample
	for _, s := range samples {
		if t.bad[s.row] || t.seen[s.row+1][P99] >= t.schema.Reference {
			bad = append(bad, s)
		}
	}
	if len(bad) == 0 || f.cfg.Balance == 0 {
		return out
	}
	more := int((f.cfg.Balance*float64(len(samples)) - float64(len(bad))) / (1 - f.cfg.Balance))
	for i := range max(more, 0) {
		out = append(out, bad[i%len(bad)])
	}
	return out
}

// data is the table that trees see.
func (m *Model) data(t *table, samples []sample) gbt.Data {
	f, width := m.shape.Features(), m.shape.Features()+(Horizon-1)*len(m.schema.Services)
	features := m.forward(t, samples).features
	d := gbt.Data{X: make([]float64, len(samples)*width), Features: width, Y: make([]float64, len(samples))}
	for i, s := range samples {
		t.rowOf(d.X[i*width:(i+1)*width], features[i*f:(i+1)*f], s, &m.scale)
		if t.bad[s.row] {
			d.Y[i] = 1
		}
	}
	return d
}

// mostTrees bounds a model that is fine-tuned again and again: with as many, trees are grown anew.
const mostTrees = 600

// grow grows trees and calibrates what they say; with before it adds to that model's.
func (f *fitting) grow(t *table, p parts, before *Model) error {
	m, cfg := f.m, &f.cfg
	f.progress(networkShare, "growing trees")
	train, stop := m.data(t, p.train), m.data(t, p.stop)
	m.envelope.Latent = cloudOf(m.forward(t, p.train).features, m.shape.Features())
	g := gbt.Default()
	g.Loss, g.Trees, g.LearningRate, g.Depth, g.Leaves, g.Patience, g.Seed = gbt.Logistic, cfg.Trees, cfg.TreeRate, cfg.Depth, cfg.Leaves, cfg.Patience, cfg.Seed
	if cfg.Monotone {
		g.Monotone = make([]int8, train.Features)
		for i := m.shape.Features(); i < len(g.Monotone); i++ {
			if g.Monotone[i] = -1; m.proposed == ProposedUtilisation {
				g.Monotone[i] = 1
			}
		}
	}
	var err error
	if before != nil && before.trees.Trees()+cfg.Trees <= mostTrees {
		m.trees, err = gbt.Continue(g, before.trees, train, &stop)
	} else {
		m.trees, err = gbt.Train(g, train, &stop)
	}
	if err != nil {
		return err
	}
	if err := f.ctx.Err(); err != nil {
		return err
	}
	f.progress(0.97, fmt.Sprintf("%d trees", m.trees.Trees()))
	odds := m.predict(t, p.odds)
	y := make([]float64, len(p.odds))
	for i, s := range p.odds {
		if t.bad[s.row] {
			y[i] = 1
		}
	}
	if before != nil && !enough(y) {
		m.odds = before.odds
		return nil
	}
	m.odds, err = calibrateOn(cfg.Calibration, odds.score, y)
	return err
}
