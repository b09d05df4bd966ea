package callgraph

import (
	"errors"
	"fmt"

	"foresail.dev"
	"foresail.dev/model/callgraph/dist"
)

// Graph is the end-to-end latency of the requests of one form. It is not safe for concurrent use: what is computed lies in
// memory of its own, and stages may change.
type Graph struct {
	form   *foresail.Form
	stages []dist.Stage
}

// NewGraph makes the graph of a form. stages are by form.Visits, each the distribution of a single visit's own time (not
// of its Times in a row); those of visits that nobody waits for, or below such, are not looked at. It keeps neither slice.
// It fails where a stage is out of its range (dist.Stage.Check), and says at which visit.
func NewGraph(form *foresail.Form, stages []dist.Stage) (*Graph, error) {
	if form == nil {
		return nil, errors.New("a graph needs a form")
	}
	if len(stages) != len(form.Visits) {
		return nil, fmt.Errorf("%d stages for %d visits: one for each is needed", len(stages), len(form.Visits))
	}
	g := &Graph{form: form, stages: make([]dist.Stage, len(stages))}
	for i, s := range stages {
		if err := g.SetStage(i, s); err != nil {
			return nil, err
		}
	}
	return g, nil
}

// Form is the form that the graph is of.
func (g *Graph) Form() *foresail.Form { return g.form }

// Stage is the own time of a visit, by index into Form().Visits.
func (g *Graph) Stage(visit int) dist.Stage { return g.stages[visit] }

// SetStage changes the own time of a visit. It fails, and changes nothing, where the stage is out of its range.
func (g *Graph) SetStage(visit int, s dist.Stage) error {
	if err := s.Check(); err != nil {
		v := g.form.Visits[visit]
		return fmt.Errorf("visit %d (service %d, operation %q): %w", visit, v.Service, v.Operation, err)
	}
	g.stages[visit] = s
	return nil
}

// SetRate changes the rate of a visit whose stage is a shifted exponential, in 1/s, above 0: the fast way, without checks.
func (g *Graph) SetRate(visit int, rate float64) { g.stages[visit].Rate = rate }
