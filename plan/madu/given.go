package madu

import (
	"encoding"
	"fmt"
	"time"

	"foresail.dev"
	"foresail.dev/model/forecast"
)

// give gives services the models that were trained for them elsewhere (Config.Models), instead of any they may have.
func (m *Manager) give(app *foresail.App, s *state) error {
	m.app = app
	if len(m.c.Models) == 0 {
		return nil
	}
	for i := range app.Services {
		svc := &app.Services[i]
		payload, ok := m.c.Models[svc.Name]
		if !ok || svc.Gone {
			continue
		}
		f, err := m.load(payload, i)
		if err != nil {
			return fmt.Errorf("madu: the model of %s: %w", svc.Name, err)
		}
		of := s.Services[i]
		of.Model = &model{Method: m.c.Method.Name(), Trained: of.Seen, Learnt: true, forecaster: f}
	}
	return nil
}

// load makes a forecaster of a payload.
func (m *Manager) load(payload []byte, id int) (forecast.Forecaster, error) {
	f, err := m.blank(m.c.Method, id)
	if err != nil {
		return nil, err
	}
	b, ok := f.(encoding.BinaryUnmarshaler)
	if !ok {
		return nil, fmt.Errorf("%s takes no trained model", m.c.Method.Name())
	}
	if err := b.UnmarshalBinary(payload); err != nil {
		return nil, err
	}
	if s, ok := f.(interface{ Step() time.Duration }); ok && s.Step() != time.Minute {
		return nil, fmt.Errorf("it was trained on loads that are %v apart, and calls a minute are planned for: train it on minutes", s.Step())
	}
	return f, nil
}

// blank is a forecaster that was trained on next to nothing: it is there to take what another has learnt.
func (m *Manager) blank(method forecast.Method, id int) (forecast.Forecaster, error) {
	return method.Train(forecast.Series{Start: m.state.Last, Step: time.Minute, Values: []float64{1}}, m.options(&service{}, id))
}
