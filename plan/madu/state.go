package madu

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"time"

	"foresail.dev"
	"foresail.dev/plan"
)

// state is what is remembered, as it is kept over a restart.
type state struct {
	Last     time.Time // end of the newest minute taken in; zero: none was
	Minute   int       // its number
	Asked    []int     // the minutes after which forecasts were asked for, as far back as any model needs to be told again
	Services []*service
}

// grow makes room for n services.
func (s *state) grow(n int) {
	for len(s.Services) < n {
		s.Services = append(s.Services, &service{})
	}
}

// restart forgets what has a place in time, after that has jumped back. How replicas get on with calls stays.
func (s *state) restart() {
	s.Last, s.Minute, s.Asked = time.Time{}, 0, nil
	for i, old := range s.Services {
		s.Services[i] = &service{Profile: old.Profile}
	}
}

// keep is how many minutes are kept of each service.
func (s *state) keep() int {
	return min(max(keepValues/max(len(s.Services), 1), leastMinutes), keepMinutes)
}

// take takes in the minutes that ended since the last, and reports whether there were any. Those after now are of before
// time jumped back.
func (m *Manager) take(parts []*foresail.Snapshot, now time.Time) (any bool) {
	s := &m.state
	keep := s.keep()
	for _, p := range parts {
		if p.End.After(now) {
			continue
		}
		cell := p.Start.Truncate(time.Minute)
		length := max(int((p.Duration()+time.Minute/2)/time.Minute), 1)
		if s.Last.IsZero() {
			s.Last = cell
		}
		if cell.Before(s.Last) {
			continue
		}
		any = true
		for gap := min(int(cell.Sub(s.Last)/time.Minute), keep); gap > 0; gap-- {
			s.push(nil, keep)
		}
		for range length {
			s.push(p, keep)
		}
		s.Last = cell.Add(time.Duration(length) * time.Minute)
		for i, svc := range s.Services {
			if st := plan.Stats(p, foresail.ServiceID(i)); st != nil {
				svc.Profile.observe(st, p, &m.fitter, i)
			}
		}
	}
	return any
}

// push adds a minute of each service; p is nil where nothing was observed.
func (s *state) push(p *foresail.Snapshot, keep int) {
	s.Minute++
	for i, svc := range s.Services {
		calls := math.NaN()
		if p != nil {
			calls = callsOf(plan.Stats(p, foresail.ServiceID(i)), p.Duration())
		}
		if len(svc.Calls) == 0 && math.IsNaN(calls) {
			continue // nothing is known of it yet
		}
		svc.Calls.push(calls, keep)
		svc.Seen++
	}
}

// Save keeps calls, profiles, plans, and what forecasters have learnt.
func (m *Manager) Save() ([]byte, error) {
	for i, svc := range m.state.Services {
		if err := svc.Model.pack(); err != nil {
			return nil, fmt.Errorf("madu: service %d: %w", i, err)
		}
	}
	return json.Marshal(m.state)
}

// Restore takes back what Save kept.
func (m *Manager) Restore(b []byte) error {
	var s state
	if err := json.Unmarshal(b, &s); err != nil {
		return fmt.Errorf("madu: state: %w", err)
	}
	for i, svc := range s.Services {
		if err := svc.check(); err != nil {
			return fmt.Errorf("madu: state: service %d: %w", i, err)
		}
		if svc.Model == nil {
			continue
		}
		if err := m.unpack(svc, i, &s); err != nil {
			return fmt.Errorf("madu: state: service %d: %w", i, err)
		}
	}
	s.grow(len(m.state.Services))
	m.state = s
	m.app = nil // models that were given are newer than those of the state, or the same
	return nil
}

func (svc *service) check() error {
	switch {
	case svc == nil:
		return fmt.Errorf("nothing is there")
	case len(svc.Profile.Samples) > keptSamples:
		return fmt.Errorf("%d samples, more than %d", len(svc.Profile.Samples), keptSamples)
	case len(svc.Plan) != len(svc.Ahead):
		return fmt.Errorf("a plan of %d minutes for %d", len(svc.Plan), len(svc.Ahead))
	}
	for _, v := range svc.Calls {
		if v < 0 || math.IsInf(v, 0) {
			return fmt.Errorf("%v calls in a minute", v)
		}
	}
	return nil
}

// MarshalJSON writes four bytes a minute: there are many.
func (s series) MarshalJSON() ([]byte, error) {
	b := make([]byte, 0, 4*len(s))
	for _, v := range s {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(float32(v)))
	}
	return json.Marshal(b)
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (s *series) UnmarshalJSON(b []byte) error {
	var raw []byte
	if err := json.Unmarshal(b, &raw); err != nil {
		return err
	}
	if len(raw)%4 != 0 {
		return fmt.Errorf("a series of %d bytes", len(raw))
	}
	*s = make(series, 0, len(raw)/4)
	for ; len(raw) > 0; raw = raw[4:] {
		*s = append(*s, float64(math.Float32frombits(binary.LittleEndian.Uint32(raw))))
	}
	return nil
}
