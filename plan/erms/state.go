package erms

import (
	"encoding/json"
	"fmt"
	"time"
)

// state is what is remembered, as it is kept over a restart.
type state struct {
	Last     time.Time       // end of the newest minute taken in; zero: none was
	Explored int             // minutes taken in, of which the first are spent on exploring
	Steps    int             // of exploring, begun so far
	Asked    time.Time       // when the newest was
	Settled  time.Time       // since when all containers that it asked for are there; zero: they are not
	Minutes  []loads         // the newest loads
	Profiles json.RawMessage // where it is kept: what was learnt of services
}

// Save keeps what was learnt, and how far exploring has come.
func (m *Manager) Save() ([]byte, error) {
	s := m.state
	var err error
	if s.Profiles, err = m.profiles.Save(); err != nil {
		return nil, fmt.Errorf("erms: %w", err)
	}
	return json.Marshal(s)
}

// Restore takes back what Save kept.
func (m *Manager) Restore(b []byte) error {
	var s state
	if err := json.Unmarshal(b, &s); err != nil {
		return fmt.Errorf("erms: state: %w", err)
	}
	if s.Explored < 0 {
		return fmt.Errorf("erms: state: explored for %d minutes: must not be negative", s.Explored)
	}
	for i := range s.Minutes {
		if err := s.Minutes[i].check(); err != nil {
			return fmt.Errorf("erms: %w", err)
		}
	}
	if err := m.profiles.Restore(s.Profiles); err != nil {
		return fmt.Errorf("erms: %w", err)
	}
	s.Profiles = nil
	m.state = s
	return nil
}
