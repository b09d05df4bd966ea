package explaining

import (
	"fmt"
	"os"

	"foresail.dev/cmd/foresail/cli"
	"foresail.dev/ml"
	"foresail.dev/model/tail"
)

// Kind of the files that models of tail latency are kept in.
const Kind = "tail"

// open reads the model that --model names, or the built-in one of an application.
func open(file, application string) (*tail.Model, About, error) {
	if file == "" {
		return nil, About{}, cli.Usagef("there is no built-in model of %s: name one with --model, which `foresail train sinan` makes", application)
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, About{}, cli.Usagef("--model: %w", err)
	}
	defer f.Close()
	var m tail.Model
	h, err := ml.Load(f, ml.Header{Kind: Kind}, &m)
	if err != nil {
		return nil, About{}, cli.Usagef("--model %s: %w", file, err)
	}
	return &m, about(file, h, &m), nil
}

func about(file string, h ml.Header, m *tail.Model) About {
	return About{File: file, Rows: h.Trained.Rows, To: h.Trained.To, Margin: cli.Round(m.Margin())}
}

// modelFor is the model for a moment, which must fit its application.
func (f *from) modelFor(m *moment) (*tail.Model, About, error) {
	model, a, err := open(f.model, m.app.Name)
	if err != nil {
		return nil, a, err
	}
	if err := fits(model, m.app, a.File); err != nil {
		return nil, a, err
	}
	for i := range m.past {
		if len(m.past[i].Services) != len(m.app.Services) {
			return nil, a, fmt.Errorf("at %s: %d services were observed, and %s has %d", stamp(m.past[i].End), len(m.past[i].Services), m.app.Name, len(m.app.Services))
		}
	}
	return model, a, nil
}
