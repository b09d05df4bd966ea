package foresee

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"foresail.dev"
	"foresail.dev/ml"
	"foresail.dev/ml/nn"
	"foresail.dev/model/foresee/network"
)

// Updating is how a model is trained on from its own weights after the application has changed: fewer epochs at a lower rate
// than Default's, and no run held out for the epoch or the threshold, since there is little data.
func Updating(old *Model) Config {
	c := Default()
	c.Network, c.Signal, c.Window, c.Horizon = old.shape.Kind, old.signal, old.shape.Beats, old.horizon
	c.Rate, c.Epochs, c.Quiet, c.Source = 0.001, 4, 4, "an update"
	return c
}

// Carry is old for an application as it is after a change, without having learnt anything of it. Services are matched by name;
// of those that are new, and of those that have gone, nothing is foreseen. Callers says who calls whom now, where that is known.
// An error says why nothing can be carried over, or what is wrong with the application.
func Carry(old *Model, app *foresail.App, calls [][2]foresail.ServiceID) (*Model, error) {
	m := &Model{schema: SchemaOf(app), beat: old.beat, horizon: old.horizon, signal: old.signal, odds: old.odds, threshold: old.threshold, trained: old.trained}
	m.order = successors(old, app, calls)
	m.shape = old.shape
	m.shape.Services = len(m.order)
	if err := m.shape.Check(); err != nil {
		return nil, err
	}
	from := old.places(app, m.order)
	if !slices.ContainsFunc(from, func(f int) bool { return f >= 0 }) {
		return nil, fmt.Errorf("none of the services of %s is one of the model's: train one with foresail train seer", app.Name)
	}
	columns := m.shape.Channels
	m.scale = make([]affine, m.width())
	for k, f := range from {
		if f >= 0 {
			copy(m.scale[k*columns:(k+1)*columns], old.scale[f*columns:(f+1)*columns])
		}
	}
	m.weights = network.New[float32](m.shape, nn.NewRand(0, 0)).Params()
	if !network.Carry(old.shape, old.weights, m.shape, m.weights, from) {
		return nil, fmt.Errorf("a network for %d services does not become one for %d: train one with foresail train seer", old.shape.Services, m.shape.Services)
	}
	return m, nil
}

// places are, for services of an application in an order, where each is in the model's; -1: the model doesn't have it.
func (m *Model) places(app *foresail.App, order []foresail.ServiceID) []int {
	known := map[string]int{}
	for k, s := range m.order {
		known[m.schema.Services[s]] = k
	}
	out := make([]int, len(order))
	for k, s := range order {
		out[k] = -1
		if at, ok := known[app.Services[s].Name]; ok && !app.Services[s].Gone {
			out[k] = at
		}
	}
	return out
}

// successors is an order in which services that stay have their places. A new service takes the place of one that has gone,
// best of one that had the same neighbours in the order's sense: callers and callees; the others follow at the end, back end first.
func successors(old *Model, app *foresail.App, calls [][2]foresail.ServiceID) []foresail.ServiceID {
	const free = foresail.ServiceID(-1)
	at := map[string]foresail.ServiceID{}
	for i := range app.Services {
		if !app.Services[i].Gone {
			at[app.Services[i].Name] = foresail.ServiceID(i)
		}
	}
	out := make([]foresail.ServiceID, len(old.order))
	placed := make([]bool, len(app.Services))
	for k, s := range old.order {
		out[k] = free
		if id, ok := at[old.schema.Services[s]]; ok && !placed[id] {
			out[k], placed[id] = id, true
		}
	}
	var fresh, gone []foresail.ServiceID
	for _, s := range Order(len(app.Services), calls) {
		switch {
		case placed[s]:
		case app.Services[s].Gone:
			gone = append(gone, s)
		default:
			fresh = append(fresh, s)
		}
	}
	for k := range out {
		if out[k] == free && len(fresh) > 0 {
			i := nearest(out, k, fresh, calls)
			out[k] = fresh[i]
			fresh = slices.Delete(fresh, i, i+1)
		}
	}
	left := append(fresh, gone...)
	for k := range out {
		if out[k] == free && len(left) > 0 {
			out[k], left = left[len(left)-1], left[:len(left)-1]
		}
	}
	out = slices.DeleteFunc(out, func(s foresail.ServiceID) bool { return s == free })
	return append(out, left...)
}

// nearest is which of the fresh services is called by, or calls, one that is nearest to place k.
func nearest(order []foresail.ServiceID, k int, fresh []foresail.ServiceID, calls [][2]foresail.ServiceID) int {
	best, least := 0, math.MaxInt
	for i, s := range fresh {
		for _, c := range calls {
			if c[0] != s && c[1] != s {
				continue
			}
			other := slices.Index(order, c[0]+c[1]-s)
			if d := max(other-k, k-other); other >= 0 && d < least {
				best, least = i, d
			}
		}
	}
	return best
}

// Update trains a model on from its own weights, on runs of the application since it has changed (Gan et al., section 4.3, retraining):
// services that are new learn from nothing, and all others from where they were. Cfg is as Updating gives it; Network, Signal, Window
// and Horizon are the old model's. Calibration and threshold stay as they are: they are of scores, and a few episodes are too few to
// set them by. One run is enough, and episodes must be in it.
func Update(ctx context.Context, old *Model, app *foresail.App, runs []*Run, cfg Config, tell func(epoch int, loss float64)) (*Model, *Report, error) {
	cfg.Network, cfg.Signal, cfg.Window, cfg.Horizon = old.shape.Kind, old.signal, old.shape.Beats, old.horizon
	if err := errors.Join(cfg.Check(), same(old, app, runs)); err != nil {
		return nil, nil, err
	}
	m, err := Carry(old, app, calls(runs))
	if err != nil {
		return nil, nil, err
	}
	columns := cfg.Signal.columns()
	for i, a := range scaling(runs, m.order, columns, calm(runs, cfg.Horizon, cfg.Window)) {
		if a.Per > 0 { // else it was not observed
			m.scale[i] = a
		}
	}
	r := nn.NewRand(cfg.Seed, 1)
	weights := m.weights
	t := newTrainer(m, runs, nil, cfg, r)
	if len(t.ahead) == 0 || len(t.none) == 0 {
		return nil, nil, fmt.Errorf("there are %d moments before a violation and %d before none to learn from: wait for both", len(t.ahead), len(t.none))
	}
	for i, p := range t.params {
		copy(p.W, weights[i].W)
	}
	for epoch := range cfg.Epochs {
		if err := t.epoch(ctx, epoch); err != nil {
			return nil, nil, err
		}
		if tell != nil {
			tell(epoch+1, math.NaN())
		}
	}
	t.swap()
	for _, p := range t.params {
		for _, w := range p.W {
			if !finite(w) {
				return nil, nil, errors.New("training diverged: give a lower rate")
			}
		}
	}
	m.weights = t.params
	m.trained = trainedOn(runs, cfg, len(t.ahead)+len(t.none))
	return m, &Report{Violations: len(t.ahead), Quiet: len(t.none), Epoch: cfg.Epochs, Loss: math.NaN()}, nil
}

// same tells what is wrong with runs for an update.
func same(old *Model, app *foresail.App, runs []*Run) error {
	if len(runs) == 0 {
		return errors.New("no run to learn from")
	}
	for _, r := range runs {
		if r.Services != len(app.Services) || r.Beat != old.beat || r.Beats() == 0 {
			return fmt.Errorf("run %s has %d services and %d beats of %s; the application has %d, and the model was trained on beats of %s", r.Name, r.Services, r.Beats(), r.Beat, len(app.Services), old.beat)
		}
	}
	return nil
}

// trainedOn says what a model was trained on.
func trainedOn(runs []*Run, cfg Config, rows int) ml.Training {
	out := ml.Training{Source: cfg.Source, Rows: rows, From: runs[0].Start, To: runs[0].End(runs[0].Beats() - 1), Seed: cfg.Seed, Commit: cfg.Commit}
	for _, run := range runs {
		if run.Start.Before(out.From) {
			out.From = run.Start
		}
		if end := run.End(run.Beats() - 1); end.After(out.To) {
			out.To = end
		}
	}
	if out.Source == "" {
		out.Source = "runs"
	}
	return out
}
