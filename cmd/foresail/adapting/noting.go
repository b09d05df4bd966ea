package adapting

import (
	"strings"
	"sync"

	"foresail.dev"
)

// notes wait for the next plan.
type notes struct {
	mu    sync.Mutex
	lines []string
}

// mostNotes that wait, where a manager does not decide.
const mostNotes = 8

func (n *notes) put(line string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.lines) == mostNotes {
		n.lines = n.lines[1:]
	}
	n.lines = append(n.lines, line)
}

func (n *notes) take() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	text := strings.Join(n.lines, "; ")
	n.lines = nil
	return text
}

// noting is a manager whose plans carry what there is to note.
type noting struct {
	foresail.Manager
	notes *notes
}

// Decide is the inner manager's, with the notes.
func (m *noting) Decide(h *foresail.History) (*foresail.Plan, error) {
	p, err := m.Manager.Decide(h)
	if err != nil {
		return p, err
	}
	note := m.notes.take()
	if note == "" {
		return p, nil
	}
	if p == nil {
		p = &foresail.Plan{At: h.Now(), Manager: m.Name()}
	}
	out := *p // the manager may keep its own
	if out.Note != "" {
		note = out.Note + "; " + note
	}
	out.Note = note
	return &out, nil
}

// Save is the inner manager's state; nil where it has none.
func (m *noting) Save() ([]byte, error) {
	if s, ok := m.Manager.(foresail.Stateful); ok {
		return s.Save()
	}
	return nil, nil
}

// Restore gives it to the inner manager.
func (m *noting) Restore(b []byte) error {
	if s, ok := m.Manager.(foresail.Stateful); ok {
		return s.Restore(b)
	}
	return nil
}
