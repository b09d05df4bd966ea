// Package recur has the assignments of an inference graph keep models of earlier periods, and use them again when what they were trained
// on comes back (Fluxion, §3.1 and §5.2.2): days that are like others, sales, a release that is taken back.
//
// Every few hours the outputs of each assignment's models are weighted anew by the newest rows. At the end of a period, of a day
// say, an assignment learns a model more where those that it has, at their best, missed the period's rows by clearly more
// than they miss what they know. Each assignment decides for itself: a release costs a model of the service that was released.
package recur

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"foresail.dev/model/latency"
	"foresail.dev/model/latency/learner"
)

// Config says when a model is added. Start from Default.
type Config struct {
	Learn learner.Config
	// Tolerance is how many times their own error, out-of-fold, an assignment's models may miss a period's rows by.
	Tolerance float64
	// Gain is the least share of that error that a new model must save, out-of-fold, to be added.
	Gain float64
	// Models is how many models an assignment has at most: the one that weighed least for longest goes.
	Models int
	Weight latency.WeightConfig
}

// Default is a Config that suits days.
func Default() Config {
	return Config{Learn: learner.Default(), Tolerance: 1.5, Gain: 0.2, Models: 12, Weight: latency.WeightConfig{Population: 12, Rounds: 20}}
}

// Check reports all that is wrong.
func (c *Config) Check() error {
	faults := []error{c.Learn.Check()}
	check := func(ok bool, format string, args ...any) {
		if !ok {
			faults = append(faults, fmt.Errorf(format, args...))
		}
	}
	check(c.Tolerance >= 1, "tolerance is %v, must be at least 1", c.Tolerance)
	check(c.Gain >= 0 && c.Gain < 1, "gain is %v, must be from 0 to below 1", c.Gain)
	check(c.Models >= 2, "models is %d, must be at least 2", c.Models)
	return errors.Join(faults...)
}

// Keeper keeps one graph. It must not be used by several goroutines at once; the graphs that it gave don't change.
type Keeper struct {
	cfg   Config
	graph *latency.Graph
	known map[string]*known
}

// known is what is known of an assignment's models.
type known struct {
	own     []float64   // mean absolute error of logarithms, out-of-fold, of each model
	spared  float64     // the error that no new model lowered enough: below it nothing is tried again
	earlier [][]float64 // weights that were best before
	worth   []float64   // of each model, its weights so far, of which older ones count less
}

// most is how many earlier weights are kept.
const most = 10

// New keeps a graph each of whose assignments has one model; own is how far that misses, in logarithms, out-of-fold, by label. Where it
// is not told, the first period's error takes its place.
func New(cfg Config, g *latency.Graph, own map[string]float64) (*Keeper, error) {
	if err := cfg.Check(); err != nil {
		return nil, err
	}
	k := &Keeper{cfg: cfg, graph: g, known: map[string]*known{}}
	for _, l := range g.Labels() {
		if n := g.Assignment(l).Models(); n != 1 {
			return nil, fmt.Errorf("%s has %d models: one is needed to begin with", l, n)
		}
		v, ok := own[l]
		if !ok {
			v = math.NaN()
		}
		k.known[l] = &known{own: []float64{v}, worth: []float64{1}}
	}
	return k, nil
}

// Graph is the graph as it is.
func (k *Keeper) Graph() *latency.Graph { return k.graph }

// Models is how many models there are, of all assignments together.
func (k *Keeper) Models() (n int) {
	for _, l := range k.graph.Labels() {
		n += k.graph.Assignment(l).Models()
	}
	return n
}

// Weigh weights the outputs of each assignment's models by how well they predict a table of the newest rows.
func (k *Keeper) Weigh(t *latency.Table) error {
	g := k.graph.Clone()
	for _, l := range g.Labels() {
		if g.Assignment(l).Models() < 2 {
			continue
		}
		a, err := k.weigh(l, g.Assignment(l), t)
		if err != nil {
			return err
		}
		w := k.known[l]
		for i, v := range a.Weights() {
			w.worth[i] = 0.9*w.worth[i] + v
		}
		w.earlier = append(w.earlier, a.Weights())
		if len(w.earlier) > most {
			w.earlier = w.earlier[1:]
		}
		if err := g.Replace(a); err != nil {
			return err
		}
	}
	k.graph = g
	return nil
}

// weigh is an assignment with its weights as they are best for a table.
func (k *Keeper) weigh(label string, a *latency.Assignment, t *latency.Table) (*latency.Assignment, error) {
	a = a.Clone()
	cfg := k.cfg.Weight
	n := a.Models()
	for i := range n { // one alone is a candidate that chance seldom draws
		one := make([]float64, n)
		one[i] = 1
		cfg.Earlier = append(cfg.Earlier, one)
	}
	for _, w := range k.known[label].earlier {
		cfg.Earlier = append(cfg.Earlier, append(slices.Clone(w), make([]float64, n-len(w))...))
	}
	_, err := a.WeightOutputs(t, cfg)
	return a, err
}

// End closes a period, whose rows are in a table. It returns the labels of assignments for which a model was trained, and of those
// that keep it.
func (k *Keeper) End(t *latency.Table, period string) (trained, added []string, err error) {
	g := k.graph.Clone()
	for _, l := range g.Labels() {
		a, w := g.Assignment(l), k.known[l]
		if a.Models() > 1 {
			if a, err = k.weigh(l, a, t); err != nil {
				return nil, nil, err
			}
		}
		off, err := missed(a, t, l)
		if err != nil {
			return nil, nil, err
		}
		own := 0.0
		weights, all := a.Weights(), 0.0
		for i, v := range w.own {
			own += weights[i] * v
			all += weights[i]
		}
		own /= all
		if math.IsNaN(own) {
			w.own[0], own = off, off
		}
		if off <= max(k.cfg.Tolerance*own, w.spared) {
			continue
		}
		trained = append(trained, l)
		next := g.Assignment(l).Clone()
		report, err := next.Add(t, nil, period, k.cfg.Learn, next.Models() == 0)
		if err != nil {
			return nil, nil, err
		}
		y, _ := t.Column(l)
		held := logError(report.Held, y)
		if held > (1-k.cfg.Gain)*off {
			w.spared = 1.1 * off // more of the same teaches nothing
			continue
		}
		added = append(added, l)
		w.own, w.worth, w.spared = append(w.own, held), append(w.worth, 1), 0
		if next.Models() > k.cfg.Models {
			k.forget(next, w)
		}
		if next, err = k.weigh(l, next, t); err != nil {
			return nil, nil, err
		}
		if err := g.Replace(next); err != nil {
			return nil, nil, err
		}
	}
	k.graph = g
	return trained, added, nil
}

// forget takes out the model, of all but the newest, that was worth least.
func (k *Keeper) forget(a *latency.Assignment, w *known) {
	least := 0
	for i := range w.worth[:len(w.worth)-1] {
		if w.worth[i] < w.worth[least] {
			least = i
		}
	}
	a.Remove(least)
	w.own, w.worth = slices.Delete(w.own, least, least+1), slices.Delete(w.worth, least, least+1)
	for i, e := range w.earlier {
		if least < len(e) {
			w.earlier[i] = slices.Delete(slices.Clone(e), least, least+1)
		}
	}
}

// missed is how far an assignment's predictions are off in a table, by itself: mean of absolute logarithms.
func missed(a *latency.Assignment, t *latency.Table, label string) (float64, error) {
	got, err := a.Predict(t)
	if err != nil {
		return 0, err
	}
	y, ok := t.Column(label)
	if !ok {
		return 0, &latency.MissingError{Who: label, Inputs: []string{label}, Why: "it was not observed"}
	}
	v := make([]float64, len(got))
	for i := range got {
		v[i] = got[i].Value
	}
	return logError(v, y), nil
}

func logError(got, y []float64) float64 {
	sum := 0.0
	for i := range y {
		sum += math.Abs(math.Log(max(got[i], 1e-300)/max(y[i], got[i]/10))) / float64(len(y))
	}
	return sum
}
