package guard

import (
	"encoding/json"
	"fmt"

	"foresail.dev"
)

// kept is the state of the guard and of the managers in it.
type kept struct {
	Guard           state
	Inner, Baseline []byte // nil where the manager has no state
}

// Save keeps the guard's own state and that of both managers where they have one.
func (g *Manager) Save() ([]byte, error) {
	k := kept{Guard: g.state}
	var err error
	if k.Inner, err = save(g.inner); err != nil {
		return nil, fmt.Errorf("guard: %w", err)
	}
	if k.Baseline, err = save(g.baseline); err != nil {
		return nil, fmt.Errorf("guard: %w", err)
	}
	return json.Marshal(k)
}

// Restore takes back what Save kept: all of it, or on an error nothing.
func (g *Manager) Restore(b []byte) error {
	var k kept
	if err := json.Unmarshal(b, &k); err != nil {
		return fmt.Errorf("guard: state: %w", err)
	}
	was, err := save(g.inner)
	if err == nil {
		err = restore(g.inner, k.Inner)
	}
	if err == nil {
		if err = restore(g.baseline, k.Baseline); err != nil {
			_ = restore(g.inner, was) // it gave this itself a moment ago
		}
	}
	if err != nil {
		return fmt.Errorf("guard: %w", err)
	}
	g.state = k.Guard
	return nil
}

// Learn lets the inner manager learn, where it does.
func (g *Manager) Learn() error {
	if l, ok := g.inner.(foresail.Learner); ok {
		return l.Learn()
	}
	return nil
}

func save(m foresail.Manager) ([]byte, error) {
	if s, ok := m.(foresail.Stateful); ok {
		return s.Save()
	}
	return nil, nil
}

func restore(m foresail.Manager, b []byte) error {
	if s, ok := m.(foresail.Stateful); ok && b != nil {
		return s.Restore(b)
	}
	return nil
}
