package madu

import (
	"encoding"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"foresail.dev"
	"foresail.dev/model/forecast"
)

// model is a service's forecaster.
type model struct {
	Method  string
	Trained int    // minutes of the service seen when it was trained
	Learnt  bool   // by Learn: decisions don't train it anew
	Weights []byte // what it has learnt, where it can say so itself; filled in by pack

	forecaster forecast.Forecaster
}

// pooler is a method that can learn from many series at once, for training on each to start from.
type pooler interface {
	Pool(series []forecast.Series, o forecast.Options) (forecast.Forecaster, error)
}

// pack makes the forecaster say what it has learnt, where it can.
func (m *model) pack() (err error) {
	if m == nil {
		return nil
	}
	if b, ok := m.forecaster.(encoding.BinaryMarshaler); ok {
		m.Weights, err = b.MarshalBinary()
	}
	return err
}

// unpack gives a service its forecaster back: as it was kept or, where it can't be kept, as it came about, trained on the
// same minutes and asked after the same ones since, since some learn from that.
func (m *Manager) unpack(svc *service, id int, s *state) error {
	method, err := m.methodOf(svc.Model.Method)
	if err != nil {
		return err
	}
	if len(svc.Model.Weights) > 0 {
		f, err := m.blank(method, id)
		if err != nil {
			return err
		}
		if b, ok := f.(encoding.BinaryUnmarshaler); ok {
			svc.Model.forecaster = f
			return b.UnmarshalBinary(svc.Model.Weights)
		}
	}
	trained := svc.Seen - svc.Model.Trained
	if trained < 0 || trained >= max(len(svc.Calls), 1) {
		svc.Model = nil // what it was trained on is not kept: it is trained anew
		return nil
	}
	svc.Model.forecaster, err = method.Train(svc.Calls.until(trained, len(svc.Calls), s.Last), m.options(svc, id))
	if err != nil {
		svc.Model = nil // nothing was observed so far back
		return nil
	}
	for _, at := range s.Asked {
		if ago := s.Minute - at; ago >= 0 && ago <= trained && ago < len(svc.Calls) {
			_, _ = svc.Model.forecaster.Forecast(svc.Calls.until(ago, shownMinutes, s.Last), m.c.M) // only for what it learns
		}
	}
	return nil
}

// methodOf is the configured method or another by name.
func (m *Manager) methodOf(name string) (forecast.Method, error) {
	for _, have := range []forecast.Method{m.c.Method, m.standIn} {
		if have.Name() == name {
			return have, nil
		}
	}
	return nil, fmt.Errorf("its forecaster is %q, and the manager has %s: give it that, or begin without the state", name, m.c.Method.Name())
}

func (m *Manager) options(svc *service, id int) forecast.Options {
	o := forecast.Options{N: m.c.N, M: m.c.M, Seed: m.c.Seed + uint64(id), Steps: m.c.Steps}
	if svc.Model != nil && svc.Model.forecaster != nil && svc.Model.Learnt {
		o.Warm = svc.Model.forecaster
	}
	return o
}

// ready gives a service a forecaster, or a fresh one where it has seen twice as much as the one it has, or a day more. An
// error is one of its calls.
func (m *Manager) ready(svc *service, id int) error {
	if have := svc.Model; have != nil && have.forecaster != nil {
		if have.Learnt || svc.Seen < max(2*have.Trained, fewMinutes) && svc.Seen < have.Trained+1440 {
			return nil
		}
	}
	method := m.c.Method
	if !m.fast {
		method = m.standIn
	}
	f, err := method.Train(svc.Calls.until(0, len(svc.Calls), m.state.Last), forecast.Options{N: m.c.N, M: m.c.M, Seed: m.c.Seed + uint64(id)})
	if err != nil {
		return err
	}
	svc.Model = &model{Method: method.Name(), Trained: svc.Seen, forecaster: f}
	return nil
}

const fewMinutes = 15

// expect is how many calls each of the next m minutes brings (equation 8), and why another method than the configured one
// says so; empty: it does not.
func (m *Manager) expect(svc *service, id int) (why string, err error) {
	if err := m.ready(svc, id); err != nil {
		return "", err
	}
	f, err := svc.Model.forecaster.Forecast(svc.Calls.until(0, shownMinutes, m.state.Last), m.c.M)
	if err != nil {
		return "", err
	}
	svc.Ahead = slices.Grow(svc.Ahead[:0], m.c.M)[:m.c.M]
	svc.next = nil
	for k := range svc.Ahead {
		v := math.NaN()
		if k < len(f.Mean) && k < len(f.Scale) {
			v = f.Mean[k] + m.c.Sigma*f.Scale[k]
			if k == 0 && finite(v) {
				svc.next = m.forecast(f.Mean[k], f.Scale[k])
			}
		}
		if !finite(v) {
			v, why = svc.lastCalls(), svc.Model.Method+" forecast what is no number of calls: the last minute counts"
		}
		svc.Ahead[k] = v
	}
	switch {
	case why != "":
	case svc.Model.Method != m.c.Method.Name():
		why = m.c.Method.Name() + " has not been trained: " + svc.Model.Method + " stands in"
	case f.Fallback != "":
		why = "last value: " + f.Fallback
	}
	return why, nil
}

// lastCalls is the newest minute that was observed.
func (svc *service) lastCalls() float64 {
	for i := len(svc.Calls) - 1; i >= 0; i-- {
		if v := svc.Calls[i]; !math.IsNaN(v) {
			return v
		}
	}
	return 0
}

// Learn trains the configured method on the calls seen so far, one service after another: from the weights that it had,
// where it was trained before, else from those of one network trained on all, where the method can. It may take long, and is
// no part of a decision. What can't be trained is told, and keeps what it has.
func (m *Manager) Learn() error {
	var errs []error
	start := m.pool()
	for i, svc := range m.state.Services {
		if !svc.Calls.observed() {
			continue
		}
		o := m.options(svc, i)
		if o.Warm == nil {
			o.Warm = start
		}
		f, err := m.c.Method.Train(svc.Calls.until(0, len(svc.Calls), m.state.Last), o)
		if err != nil {
			errs = append(errs, fmt.Errorf("madu: service %d: %w", i, err))
			continue
		}
		svc.Model = &model{Method: m.c.Method.Name(), Trained: svc.Seen, Learnt: !m.fast, forecaster: f}
	}
	if len(errs) == 0 {
		m.c.Models = nil // these were learnt from them, or from more
	}
	return errors.Join(errs...)
}

// pool is what training starts from where a service's own was not trained yet; nil where there is no such thing.
func (m *Manager) pool() forecast.Forecaster {
	p, ok := m.c.Method.(pooler)
	if !ok {
		return nil
	}
	var all []forecast.Series
	for _, svc := range m.state.Services {
		if svc.Calls.observed() && (svc.Model == nil || !svc.Model.Learnt) {
			all = append(all, svc.Calls.until(0, len(svc.Calls), m.state.Last))
		}
	}
	if len(all) < 2 {
		return nil
	}
	f, err := p.Pool(all, m.options(&service{}, 0))
	if err != nil {
		return nil // each is trained from scratch, and says what is wrong
	}
	return f
}

// asked notes that forecasts were asked for after the newest minute, and forgets what no forecaster has to be told again.
func (s *state) asked() {
	oldest := 0
	for _, svc := range s.Services {
		if svc.Model != nil {
			oldest = max(oldest, svc.Seen-svc.Model.Trained)
		}
	}
	from := 0
	for from < len(s.Asked) && s.Minute-s.Asked[from] > oldest {
		from++
	}
	s.Asked = append(slices.Delete(s.Asked, 0, from), s.Minute)
	if n := len(s.Asked); n > shownMinutes {
		s.Asked = slices.Delete(s.Asked, 0, n-shownMinutes)
	}
}

// minuteOf is how many minutes of the plan lie before an instant: 0 while the first lasts.
func (s *state) minuteOf(at time.Time) int { return max(int(at.Sub(s.Last)/time.Minute), 0) }

// forecast is what the next minute brings, of which the plan's share is the quantile that lies Sigma above the mean of a
// normal distribution (equation 8).
func (m *Manager) forecast(mean, scale float64) *foresail.Forecast {
	share := func(sigmas float64) foresail.Quantile {
		return foresail.Quantile{Share: math.Erfc(-sigmas/math.Sqrt2) / 2, Arrivals: max(mean+sigmas*scale, 0)}
	}
	f := &foresail.Forecast{From: m.state.Last, To: m.state.Last.Add(time.Minute), Arrivals: max(mean, 0), Quantiles: []foresail.Quantile{share(0)}}
	if m.c.Sigma > 0 {
		f.Quantiles = append(f.Quantiles, share(m.c.Sigma))
	}
	return f
}
