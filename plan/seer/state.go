package seer

import (
	"encoding/json"
	"fmt"

	"foresail.dev"
)

// kept is the state of the wrapper and of the manager in it.
type kept struct {
	Seer  state
	Inner []byte // nil where the manager has no state
}

// Save keeps the wrapper's state and the inner manager's where it has one.
func (m *Manager) Save() ([]byte, error) {
	k := kept{Seer: m.state}
	if s, ok := m.inner.(foresail.Stateful); ok {
		var err error
		if k.Inner, err = s.Save(); err != nil {
			return nil, fmt.Errorf("seer: %w", err)
		}
	}
	return json.Marshal(k)
}

// Restore takes back what Save kept: all of it, or on an error nothing.
func (m *Manager) Restore(b []byte) error {
	var k kept
	if err := json.Unmarshal(b, &k); err != nil {
		return fmt.Errorf("seer: state: %w", err)
	}
	if s, ok := m.inner.(foresail.Stateful); ok && k.Inner != nil {
		if err := s.Restore(k.Inner); err != nil {
			return fmt.Errorf("seer: %w", err)
		}
	}
	m.state = k.Seer
	return nil
}

// Learn lets the inner manager learn, where it does.
func (m *Manager) Learn() error {
	if l, ok := m.inner.(foresail.Learner); ok {
		return l.Learn()
	}
	return nil
}
