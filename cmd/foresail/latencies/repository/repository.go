// Package repository keeps models of latency in a directory: learning assignments, and the graphs that are composed of them. A model
// is one immutable file, named after what is in it; graphs that share an assignment share its file.
package repository

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"foresail.dev/ml"
	"foresail.dev/model/latency"
)

// CompositionKind is the kind of a model file that says which assignments a graph is composed of.
const CompositionKind = "latency/composition"

const (
	payloadVersion = 1
	mostUnpacked   = 64 << 20
	suffix         = ".model"
	temporary      = ".new-"
	digits         = 16 // of an id
)

// What is wrapped in errors.
var (
	ErrNone      = errors.New("there is no such model")
	ErrAmbiguous = errors.New("several models' ids begin so")
	// ErrOther is a model of another graph, or of another application, than is needed.
	ErrOther = errors.New("it is the model of something else")
)

// Repository is a directory of models. Several processes may read and write it at once.
type Repository struct{ dir string }

// Open opens a directory, and makes it where it is not there.
func Open(dir string) (*Repository, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	left, _ := filepath.Glob(filepath.Join(dir, temporary+"*")) // of processes that ended while they wrote
	for _, name := range left {
		if st, err := os.Stat(name); err == nil && time.Since(st.ModTime()) > 24*time.Hour {
			_ = os.Remove(name)
		}
	}
	return &Repository{dir}, nil
}

// About is what is known of a graph besides what its assignments were trained on.
type About struct {
	Application string
	Target      string             // what it is for
	Source      string             // what it was last trained on
	From, To    time.Time          // of that
	Seed        uint64             // of all that was drawn
	Commit      string             // of the program
	Error       float64            // mean absolute, of the target, out-of-fold; 0: not known
	Releases    map[string]string  // of services, where known
	Off         map[string]float64 // what Error is, of each part, by label
}

// composition is the payload of a graph's file.
type composition struct {
	Target    string             `json:"target"`
	Error     float64            `json:"error,omitempty"`
	Releases  map[string]string  `json:"releases,omitempty"`
	Off       map[string]float64 `json:"errors,omitempty"`
	Parts     []part             `json:"parts"`
	Instances map[string]int     `json:"instances,omitempty"` // where there are several
	Links     [][2]string        `json:"links,omitempty"`     // callee, caller
}

// part is a metric of a service: ids of its assignments.
type part struct {
	Label     string `json:"label"`
	ID        string `json:"id"`
	Aggregate string `json:"aggregate,omitempty"` // of the service-vertex; empty: the mean
}

// Put keeps a graph, and those of its assignments that are not there yet; it returns the graph's id and the labels of these.
func (r *Repository) Put(g *latency.Graph, about About) (id string, fresh []string, err error) {
	head, err := g.Header(about.Target)
	if err != nil {
		return "", nil, err
	}
	c := composition{Target: about.Target, Error: about.Error, Releases: about.Releases, Off: about.Off, Links: g.Links(), Instances: map[string]int{}}
	rows := 0
	for _, label := range g.Labels() {
		p := part{Label: label}
		a := g.Assignment(label)
		var written bool
		if p.ID, written, err = r.putAssignment(a, about.Application); err != nil {
			return "", nil, err
		}
		if written {
			fresh = append(fresh, label)
		}
		if m := g.Aggregate(label); m != nil {
			if p.Aggregate, _, err = r.putAssignment(m, about.Application); err != nil {
				return "", nil, err
			}
		}
		for i := range a.Models() {
			rows = max(rows, a.Trained(i).Rows)
		}
		service, _, _ := strings.Cut(label, ":")
		if n := g.Instances(service); n > 1 {
			c.Instances[service] = n
		}
		c.Parts = append(c.Parts, p)
	}
	payload, err := json.Marshal(c)
	if err != nil {
		return "", nil, err
	}
	packed, err := ml.Pack(payloadVersion, payload)
	if err != nil {
		return "", nil, err
	}
	head.Kind, head.Application = CompositionKind, about.Application
	head.Trained = ml.Training{Source: about.Source, Rows: rows, From: about.From, To: about.To, Seed: about.Seed, Commit: about.Commit}
	id, _, err = r.put(head, raw(packed))
	return id, fresh, err
}

// putAssignment keeps an assignment: all of its file follows from itself, so that it has one id wherever it is used.
func (r *Repository) putAssignment(a *latency.Assignment, application string) (string, bool, error) {
	h := a.Header()
	h.Application = application
	h.Trained.Source = "unknown"
	for i := range a.Models() {
		t := a.Trained(i)
		h.Trained.Rows += t.Rows
		if t.Source != "" {
			h.Trained.Source = t.Source
		}
		if !t.From.IsZero() && (h.Trained.From.IsZero() || t.From.Before(h.Trained.From)) {
			h.Trained.From = t.From
		}
		if t.To.After(h.Trained.To) {
			h.Trained.To = t.To
		}
	}
	return r.put(h, a)
}

type raw []byte

func (b raw) MarshalBinary() ([]byte, error) { return b, nil }

// put writes a file beside its place first, so that there is never half a one under its name, whenever the machine stops.
func (r *Repository) put(h ml.Header, m interface{ MarshalBinary() ([]byte, error) }) (id string, fresh bool, err error) {
	var b bytes.Buffer
	if err := ml.Write(&b, h, m); err != nil {
		return "", false, err
	}
	id = idOf(b.Bytes())
	path := r.path(id)
	if have, err := os.ReadFile(path); err == nil && bytes.Equal(have, b.Bytes()) {
		return id, false, nil
	}
	t, err := os.CreateTemp(r.dir, temporary+"*")
	if err != nil {
		return "", false, err
	}
	defer os.Remove(t.Name())
	_, err = t.Write(b.Bytes())
	if err = errors.Join(err, t.Sync(), t.Chmod(0o644), t.Close()); err != nil {
		return "", false, err
	}
	if err := os.Rename(t.Name(), path); err != nil {
		return "", false, err
	}
	d, err := os.Open(r.dir)
	if err != nil {
		return "", false, err
	}
	return id, true, errors.Join(d.Sync(), d.Close())
}

func (r *Repository) path(id string) string { return filepath.Join(r.dir, id+suffix) }

func idOf(file []byte) string {
	sum := sha256.Sum256(file)
	return hex.EncodeToString(sum[:])[:digits]
}

// find is the one id that begins as is said.
func (r *Repository) find(begin string) (string, error) {
	list, err := os.ReadDir(r.dir)
	if err != nil {
		return "", err
	}
	var ids []string
	for _, e := range list {
		if id, ok := strings.CutSuffix(e.Name(), suffix); ok && begin != "" && strings.HasPrefix(id, begin) {
			ids = append(ids, id)
		}
	}
	switch {
	case len(ids) == 0:
		return "", fmt.Errorf("%s: %w as %q: foresail latency list shows those that there are", r.dir, ErrNone, begin)
	case len(ids) > 1 && !slices.Contains(ids, begin):
		return "", fmt.Errorf("%s: %w as %q: %s", r.dir, ErrAmbiguous, begin, strings.Join(ids, ", "))
	case len(ids) > 1:
		return begin, nil
	}
	return ids[0], nil
}

// read reads a file, and makes sure that it is the one that its name says.
func (r *Repository) read(id string) (ml.Header, []byte, error) {
	path := r.path(id)
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return ml.Header{}, nil, fmt.Errorf("%s: %w", path, ErrNone)
	}
	if err != nil {
		return ml.Header{}, nil, err
	}
	h, payload, err := ml.Read(bytes.NewReader(b))
	if err != nil {
		return ml.Header{}, nil, fmt.Errorf("%s: %w", path, err)
	}
	if got := idOf(b); got != id {
		return ml.Header{}, nil, fmt.Errorf("%s: %w: what is in it has the id %s", path, ErrOther, got)
	}
	return h, payload, nil
}
