package sinan

import (
	"foresail.dev"
	"foresail.dev/model/tail"
)

// Model is what the manager asks of a model, for one application. Cores are totals over replicas, by ServiceID, and those of
// a service that has gone are zero.
type Model interface {
	// Fits is nil, or says why the model is of no use for an application: it is of another one, or of an older version.
	Fits(app *foresail.App) error
	// Steps is how many seconds the model looks back.
	Steps() int
	// Margin is its error of the p99 on data that it was not trained on, in ms.
	Margin() float64
	// Outside says in what way this lies outside what it was trained on; empty: it lies inside.
	Outside(steps []tail.Step, cores []float64) []string
	// Look takes the last Steps seconds, oldest first.
	Look(steps []tail.Step) error
	// Try predicts what each of the allocations would do after what Look took; out is as long as cores.
	Try(cores [][]float64, out []tail.Prediction)
}

// trained is a model with the buffers of one manager.
type trained struct {
	*tail.Model
	*tail.Predictor
}

// Steps are the model's.
func (t trained) Steps() int { return t.Model.Steps() }
