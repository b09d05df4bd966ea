package explaining

import (
	"fmt"
	"os"
	"time"

	"foresail.dev/cmd/foresail/cli"
	"foresail.dev/cmd/foresail/trained"
	"foresail.dev/model/tail"
	"foresail.dev/plan/managers"
)

// About says which model it was.
type About struct {
	File   string    `json:"file"` // built-in: the one that Foresail brings along
	Rows   int       `json:"trained_rows,omitempty"`
	To     time.Time `json:"trained_to,omitzero"`
	Margin float64   `json:"margin_ms"` // its error of p99 on validation data
}

// modelFor is the model for a moment: the one that --model names, or the built-in one. It must fit the application.
func (f *from) modelFor(m *moment) (*tail.Model, About, error) {
	name, model := "built-in", trained.BuiltIn(m.app)
	if f.model != "" {
		data, err := os.ReadFile(f.model)
		if err != nil {
			return nil, About{}, cli.Usagef("--model: %w", err)
		}
		if model, err = managers.ReadModel(data); err != nil {
			return nil, About{}, cli.Usagef("--model %s: %w", f.model, err)
		}
		if err := model.Fits(m.app); err != nil {
			return nil, About{}, cli.Usagef("--model %s: %w", f.model, err)
		}
		name = f.model
	}
	if model == nil {
		return nil, About{}, cli.Usagef("there is no built-in model of %s as it is here: name one with --model, which `foresail train sinan` makes", m.app.Name)
	}
	for i := range m.past {
		if len(m.past[i].Services) != len(m.app.Services) {
			return nil, About{}, fmt.Errorf("at %s: %d services were observed, and %s has %d", stamp(m.past[i].End), len(m.past[i].Services), m.app.Name, len(m.app.Services))
		}
	}
	h := model.Header()
	return model.Tail(), About{File: name, Rows: h.Trained.Rows, To: h.Trained.To, Margin: cli.Round(model.Tail().Margin())}, nil
}
