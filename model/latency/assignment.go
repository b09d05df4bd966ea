package latency

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"foresail.dev/model/latency/learner"
)

// Limits of what an assignment, and so a file, may hold.
const (
	maxModels = 1024
	maxName   = 512
)

// Assignment is a learning assignment: what is known of one metric of one service.
type Assignment struct {
	service, metric string
	own, external   []string // labels
	models          []hosted
}

// hosted is one of an assignment's models.
type hosted struct {
	Trained Trained
	Inputs  []int   // which of the assignment's it looks at
	Weight  float64 // of its output, 0 to 1
	learned *learner.Model
}

// Trained says what one of an assignment's models was trained on. What is not known is empty.
type Trained struct {
	Period   string    // in the caller's words
	Source   string    // file, store or simulation
	Release  string    // of the service, at that time
	From, To time.Time // the rows lie in [From, To)
	Rows     int
	Error    float64 // mean absolute, out-of-fold, in the metric's unit
}

// NewAssignment is one without models yet (LA.init): of a service's metric, from its own knobs and states, and from
// external dependencies, which are labels of other services' metrics. Errors name what can't be.
func NewAssignment(service, metric string, own, external []string) (*Assignment, error) {
	a := &Assignment{service: service, metric: metric, own: slices.Clone(own), external: slices.Clone(external)}
	return a, a.check()
}

func (a *Assignment) check() error {
	if a.service == "" || a.metric == "" || strings.ContainsAny(a.service, ":#") || len(a.service)+len(a.metric) > maxName {
		return fmt.Errorf("an assignment is of a metric of a service, not of %q of %q: a service's name has neither a colon nor a #", a.metric, a.service)
	}
	if n := len(a.own) + len(a.external); n > learner.MaxInputs {
		return fmt.Errorf("the assignment of %s has %d inputs, at most %d can be", a.Output(), n, learner.MaxInputs)
	}
	seen := map[string]bool{}
	for _, in := range a.Inputs() {
		switch {
		case in == "" || len(in) > maxName:
			return fmt.Errorf("the assignment of %s has an input without a name, or with one longer than %d", a.Output(), maxName)
		case in == a.Output():
			return fmt.Errorf("the assignment of %s has itself as an input", a.Output())
		case seen[in]:
			return fmt.Errorf("the assignment of %s has the input %s twice", a.Output(), in)
		}
		seen[in] = true
	}
	return nil
}

// Output is the label of what is predicted.
func (a *Assignment) Output() string { return Label(a.service, a.metric) }

// Inputs are the labels of what is predicted from: own ones, then external ones.
func (a *Assignment) Inputs() []string { return slices.Concat(a.own, a.external) }

// Models is how many models there are.
func (a *Assignment) Models() int { return len(a.models) }

// Period is what model i was trained on, as Add was told.
func (a *Assignment) Period(i int) string { return a.models[i].Trained.Period }

// Trained is what model i was trained on, as far as Add and Describe were told.
func (a *Assignment) Trained(i int) Trained { return a.models[i].Trained }

// Describe completes what is known of the newest model: its source, release and time. The rest is Add's.
func (a *Assignment) Describe(source, release string, from, to time.Time) {
	a.models = slices.Clone(a.models)
	t := &a.models[len(a.models)-1].Trained
	t.Source, t.Release, t.From, t.To = source, release, from.UTC(), to.UTC()
}

// Remove takes model i out. At least one stays; where the others weigh nothing, they weigh the same from then on.
func (a *Assignment) Remove(i int) {
	if len(a.models) < 2 {
		return
	}
	a.models = slices.Delete(slices.Clone(a.models), i, i+1)
	all := 0.0
	for _, m := range a.models {
		all += m.Weight
	}
	if all < 1e-9 {
		for k := range a.models {
			a.models[k].Weight = 1
		}
	}
}

// Clone can be changed while a stays as it is. Models, which never change, are shared.
func (a *Assignment) Clone() *Assignment {
	c := *a
	c.models = slices.Clone(a.models)
	return &c
}

// Learner is what model i is.
func (a *Assignment) Learner(i int) learner.Candidate { return a.models[i].learned.Candidate() }

// Used are the labels of inputs that some model looks at.
func (a *Assignment) Used() (out []string) {
	used := make([]bool, len(a.own)+len(a.external))
	for _, m := range a.models {
		for _, i := range m.Inputs {
			used[i] = true
		}
	}
	for i, in := range a.Inputs() {
		if used[i] {
			out = append(out, in)
		}
	}
	return out
}

// Weights are those of the models' outputs.
func (a *Assignment) Weights() []float64 {
	out := make([]float64, len(a.models))
	for i, m := range a.models {
		out[i] = m.Weight
	}
	return out
}

// Data is what the assignment learns from in a table: its inputs, those with the given labels (nil: all), and its output.
// A *MissingError names columns that are not there.
func (a *Assignment) data(t *Table, inputs []string) (learner.Data, error) {
	x, err := t.flat(a.Output(), inputs)
	if err != nil {
		return learner.Data{}, err
	}
	y, ok := t.Column(a.Output())
	if !ok {
		return learner.Data{}, &MissingError{a.Output(), []string{a.Output()}, "it was not observed, so that nothing can be learned of it"}
	}
	return learner.Data{X: x, Inputs: len(inputs), Y: y}, nil
}

// Add trains a model on a table and adds it (LA.add); with replace, in place of all that were there. Inputs are labels of
// those that it looks at; nil: all. The period is what the table is of, in words. New models weigh as much as
// all before them together, until WeightOutputs.
func (a *Assignment) Add(t *Table, inputs []string, period string, cfg learner.Config, replace bool) (learner.Report, error) {
	all := a.Inputs()
	if inputs == nil {
		inputs = all
	}
	at := make([]int, len(inputs))
	for k, in := range inputs {
		if at[k] = slices.Index(all, in); at[k] < 0 {
			return learner.Report{}, fmt.Errorf("the assignment of %s has no input %s", a.Output(), in)
		}
	}
	if len(a.models) >= maxModels && !replace {
		return learner.Report{}, fmt.Errorf("the assignment of %s has %d models: take some out", a.Output(), len(a.models))
	}
	d, err := a.data(t, inputs)
	if err != nil {
		return learner.Report{}, err
	}
	m, report, err := learner.Search(cfg, d)
	if err != nil {
		return report, fmt.Errorf("the model of %s: %w", a.Output(), err)
	}
	weight := 1.0
	if replace {
		a.models = nil
	}
	a.models = slices.Clone(a.models)
	if len(a.models) > 0 {
		weight = 0.5
		for i := range a.models {
			a.models[i].Weight /= 2
		}
	}
	a.models = append(a.models, hosted{Trained: Trained{Period: period, Rows: m.Rows(), Error: report.Error}, Inputs: at, Weight: weight, learned: m})
	return report, nil
}

// ErrUntrained is an assignment without a model.
var ErrUntrained = errors.New("no model was trained yet")

// Predictor predicts with an assignment as it is now, and allocates nothing. It must not be used by several goroutines at once.
type Predictor struct {
	inputs int
	models []part
	row    []float64
}

type part struct {
	at     []int
	weight float64
	p      *learner.Predictor
}

// NewPredictor makes room for predictions with a. It fails with ErrUntrained.
func (a *Assignment) NewPredictor() (*Predictor, error) {
	if len(a.models) == 0 {
		return nil, fmt.Errorf("the assignment of %s: %w", a.Output(), ErrUntrained)
	}
	n := len(a.own) + len(a.external)
	p := &Predictor{inputs: n, row: make([]float64, n)}
	for _, m := range a.models {
		if m.Weight > 0 || len(a.models) == 1 {
			p.models = append(p.models, part{m.Inputs, m.Weight, learner.NewPredictor(m.learned)})
		}
	}
	return p, nil
}

func (p *part) pick(room, row []float64) []float64 {
	for k, i := range p.at {
		room[k] = row[i]
	}
	return room[:len(p.at)]
}

// Value is the median that is predicted of a row of the assignment's Inputs: the weighted mean of the models' (eq 2).
func (p *Predictor) Value(row []float64) float64 {
	p.need(row)
	if len(p.models) == 1 {
		return p.models[0].p.Value(p.models[0].pick(p.row, row))
	}
	sum, all := 0.0, 0.0
	for i := range p.models {
		m := &p.models[i]
		sum += m.weight * m.p.Value(m.pick(p.row, row))
		all += m.weight
	}
	return sum / all
}

// Predict is what is expected of a row. Models of the same service err alike, so their spreads are averaged and do not
// cancel out.
func (p *Predictor) Predict(row []float64) learner.Prediction {
	p.need(row)
	var sum learner.Prediction
	all := 0.0
	for i := range p.models {
		m := &p.models[i]
		one := m.p.Predict(m.pick(p.row, row))
		w := m.weight
		if len(p.models) == 1 {
			w = 1
		}
		all += w
		sum.Value += w * one.Value
		sum.Spread += w * one.Value * one.Spread
	}
	return learner.Prediction{Value: sum.Value / all, Spread: sum.Spread / math.Max(sum.Value, math.SmallestNonzeroFloat64)}
}

func (p *Predictor) need(row []float64) {
	if len(row) != p.inputs {
		panic(fmt.Sprintf("latency: a row of %d inputs for an assignment of %d", len(row), p.inputs))
	}
}

// Predict is what is expected of each row of a table, which must have all inputs.
func (a *Assignment) Predict(t *Table) ([]learner.Prediction, error) {
	p, err := a.NewPredictor()
	if err != nil {
		return nil, err
	}
	x, err := t.flat(a.Output(), a.Inputs())
	if err != nil {
		return nil, err
	}
	out := make([]learner.Prediction, t.Rows())
	for i := range out {
		out[i] = p.Predict(x[i*p.inputs : (i+1)*p.inputs])
	}
	return out, nil
}
