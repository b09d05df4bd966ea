package sinan

import (
	"encoding/json"
	"fmt"
	"math"
	"time"

	"foresail.dev"
)

// remembered is how many actions back lowered services are victims.
const remembered = 5

// state is what is remembered, as it is kept over a restart. It hangs on no model, so a manager with a newer model of the
// same application goes on from it.
type state struct {
	Now       time.Time              // the newest second that was decided on
	Age       int                    // decisions
	Lowered   [][]foresail.ServiceID `json:",omitempty"` // services that the last actions lowered, oldest first
	Services  []service
	Expected  *expected `json:",omitempty"` // of the second after Now; nil: nothing that could be scored
	Boost     time.Time // everything stays at its maximum until then
	Tightened time.Time // when something was last lowered beyond Config.Tight
	Before    []float64 `json:",omitempty"` // totals before that, by ServiceID, until something was lowered again
	Trust     trust
}

// service is what is remembered of one service.
type service struct {
	Asked   float64   `json:",omitempty"` // the total that the last decision asked for; 0: for no change
	Before  float64   `json:",omitempty"` // the total in effect then
	Refused int       `json:",omitempty"` // decisions in a row after which nothing of it had come about
	Until   time.Time `json:",omitzero"`  // it is left alone until then
	Least   float64   `json:",omitempty"` // it is not lowered below that
	Taught  time.Time `json:",omitzero"`  // until then
}

// expected is what a decision said of the next second.
type expected struct {
	Safe    bool
	Latency float64   // ms, of the percentile that the objective is of
	Cores   []float64 // totals that it was predicted for, by ServiceID
}

func (s *state) grow(n int) {
	for len(s.Services) < n {
		s.Services = append(s.Services, service{})
	}
}

// restart forgets what has a place in time, after that has jumped back.
func (s *state) restart() {
	s.Now, s.Boost, s.Tightened, s.Expected, s.Lowered, s.Before = time.Time{}, time.Time{}, time.Time{}, nil, nil, nil
	clear(s.Services)
}

// Save keeps what was decided, expected and missed.
func (m *Manager) Save() ([]byte, error) { return json.Marshal(m.state) }

// Restore takes back what Save kept, whatever model that manager had.
func (m *Manager) Restore(b []byte) error {
	var s state
	if err := json.Unmarshal(b, &s); err != nil {
		return fmt.Errorf("sinan: state: %w", err)
	}
	if err := s.check(); err != nil {
		return fmt.Errorf("sinan: state: %w", err)
	}
	m.state = s
	return nil
}

func (s *state) check() error {
	for i, svc := range s.Services {
		if !(svc.Asked >= 0) || !(svc.Before >= 0) || !(svc.Least >= 0) || math.IsInf(svc.Least, 0) || math.IsInf(svc.Asked, 0) || math.IsInf(svc.Before, 0) || svc.Refused < 0 {
			return fmt.Errorf("service %d: asked for %v with %v, refused %d times", i, svc.Asked, svc.Before, svc.Refused)
		}
	}
	for i, c := range s.Before {
		if !(c >= 0) || math.IsInf(c, 0) {
			return fmt.Errorf("service %d had %v cores", i, c)
		}
	}
	for _, ids := range s.Lowered {
		for _, id := range ids {
			if id < 0 {
				return fmt.Errorf("service %d was lowered", id)
			}
		}
	}
	t := &s.Trust
	switch {
	case s.Age < 0 || t.Right < 0 || t.Scored < 0 || t.Misses < 0 || t.Losses < 0:
		return fmt.Errorf("negative counts")
	case len(s.Lowered) > remembered || len(t.Ring) > kept:
		return fmt.Errorf("%d actions and %d scores are kept, more than %d and %d", len(s.Lowered), len(t.Ring), remembered, kept)
	}
	for _, k := range t.Ring {
		if !(k.Squared >= 0) || math.IsInf(k.Squared, 0) {
			return fmt.Errorf("a squared error of %v", k.Squared)
		}
	}
	return nil
}

// Trust says how far the model has earned to be believed.
func (m *Manager) Trust() Trust {
	t := &m.state.Trust
	out := Trust{Lost: t.lost(), Since: t.Since, Recent: len(t.Ring), Missed: t.missed(), Scored: t.Scored, Misses: t.Misses, Losses: t.Losses}
	if out.Lost {
		out.Right, out.Needed = t.Right, m.c.Earn
	}
	if m.state.Boost.After(m.state.Now) {
		out.Until = m.state.Boost
	}
	sum, n := 0.0, 0.0
	for _, k := range t.Ring {
		if k.Seen {
			sum, n = sum+k.Squared, n+1
		}
	}
	if n > 0 {
		out.Error = math.Sqrt(sum / n)
	}
	return out
}
