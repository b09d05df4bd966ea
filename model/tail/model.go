package tail

import (
	"context"
	"errors"

	"foresail.dev"
)

// Model predicts the tail latency of one application. It is immutable, and may be used by many goroutines.
type Model struct {
	schema Schema
	margin float64
}

// Prediction is what is expected of a candidate allocation.
type Prediction struct {
	Latency   [5]float64 // ms, of the next second, by Percentiles
	Violation float64    // calibrated probability that the objective is missed in one of the seconds t+2 to t+5
}

// Predictor holds buffers for one goroutine.
type Predictor struct{ m *Model }

// ErrHistory is wrapped by what Look reports of steps that it can't predict from.
var ErrHistory = errors.New("the history is too short or of another application")

var errUntrained = errors.New("not trained")

// Steps is how many seconds the model looks at.
func (m *Model) Steps() int { return Past }

// Schema is of the application that the model was trained for.
func (m *Model) Schema() Schema { return m.schema }

// Margin is by how much, in ms, p99 is wrong: the root of the mean squared error over validation rows where it was
// predicted to be, or was, below the objective.
func (m *Model) Margin() float64 { return m.margin }

// Fits reports why the model can't be used for an application: nil if it can.
func (m *Model) Fits(app *foresail.App) error { return m.schema.Fits(app) }

// Predictor makes one.
func (m *Model) Predictor() *Predictor { return &Predictor{m} }

// Look takes the last Steps seconds, oldest first; earlier ones are ignored. What the history says is worked out once for all Try.
func (p *Predictor) Look(steps []Step) error { return errUntrained }

// Try predicts for candidates: total cores by ServiceID. It needs Look before, and an entry of out for each candidate.
func (p *Predictor) Try(cores [][]float64, out []Prediction) {}

// Outside tells in what way these steps and a candidate lie outside what the model was trained on, as sentences; none: inside.
func (m *Model) Outside(steps []Step, cores []float64) []string { return nil }

// Explain tells what drove the prediction of p99 and of a violation.
func (m *Model) Explain(steps []Step, cores []float64) (Explanation, error) {
	return Explanation{}, errUntrained
}

// Train trains a model on runs.
func Train(ctx context.Context, schema Schema, runs []Run, cfg Config, progress func(done float64, what string)) (*Model, *Report, error) {
	return nil, nil, errUntrained
}

// FineTune goes on from a model's weights, on other data of the same application.
func FineTune(ctx context.Context, m *Model, runs []Run, cfg Config, progress func(done float64, what string)) (*Model, *Report, error) {
	return nil, nil, errUntrained
}

// Evaluate tells how well a model predicts runs.
func Evaluate(m *Model, runs []Run) Report { return Report{} }

// MarshalBinary writes the model.
func (m *Model) MarshalBinary() ([]byte, error) { return nil, errUntrained }

// UnmarshalBinary reads what MarshalBinary wrote.
func (m *Model) UnmarshalBinary(data []byte) error { return errUntrained }

var pick = map[Channel]func(step *Step, s *ServiceStep) float64{
	Rate:     func(step *Step, s *ServiceStep) float64 { return step.Rate },
	Replicas: func(_ *Step, s *ServiceStep) float64 { return s.Replicas },
	Cores:    func(_ *Step, s *ServiceStep) float64 { return s.Cores },
	Used:     func(_ *Step, s *ServiceStep) float64 { return s.Used },
	Memory:   func(_ *Step, s *ServiceStep) float64 { return s.Memory },
	InFlight: func(_ *Step, s *ServiceStep) float64 { return s.InFlight },
	Arrivals: func(_ *Step, s *ServiceStep) float64 { return s.Arrivals },
	Wait:     func(_ *Step, s *ServiceStep) float64 { return s.Wait },
}
