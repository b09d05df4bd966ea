package compare

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"foresail.dev"
)

// tiny is a small experiment: two managers, one of them both ways, two loads, two seeds, a minute each.
func tiny(t *testing.T, more ...func(*Experiment)) *Grid {
	t.Helper()
	e, err := Read("testdata/tiny.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range more {
		f(e)
	}
	e.fill()
	g, err := Prepare(e)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// timeless makes a grid's runs with decisions that take no time, so that results are the same to the byte.
func timeless(g *Grid) *Grid {
	g.took = func(time.Duration) time.Duration { return time.Millisecond }
	return g
}

// files are the contents of a folder's runs and its manifest, by name.
func files(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	names, _ := filepath.Glob(filepath.Join(dir, "*.json"))
	runs, _ := filepath.Glob(filepath.Join(dir, "runs", "*"))
	for _, n := range append(names, runs...) {
		b, err := os.ReadFile(n)
		if err != nil {
			t.Fatal(err)
		}
		rel, _ := filepath.Rel(dir, n)
		out[rel] = string(b)
	}
	return out
}

func text(t *testing.T, v any) string {
	t.Helper()
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetIndent("", " ")
	if err := e.Encode(v); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// broken is a manager that does something else than deciding.
type broken struct {
	name   string
	decide func(h *foresail.History) (*foresail.Plan, error)
}

func (m *broken) Name() string          { return m.name }
func (m *broken) Needs() foresail.Needs { return foresail.Needs{Every: time.Second} }
func (m *broken) Decide(h *foresail.History) (*foresail.Plan, error) {
	return m.decide(h)
}

var errBroken = errors.New("no model of this application")
