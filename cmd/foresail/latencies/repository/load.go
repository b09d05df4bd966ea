package repository

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"foresail.dev/ml"
	"foresail.dev/model/latency"
)

// Want says which graph is needed. Empty fields ask for nothing.
type Want struct {
	Application string
	Target      string
	Services    []string // that it must have, all and no others
}

// Entry is what is known of a model.
type Entry struct {
	ID          string    `json:"id"`
	Kind        string    `json:"kind"` // graph or assignment
	Label       string    `json:"label"`
	Application string    `json:"application,omitempty"`
	Inputs      int       `json:"inputs"`
	Models      int       `json:"models"` // of an assignment; of a graph, its assignments
	Learner     string    `json:"learner,omitempty"`
	Source      string    `json:"source"`
	Rows        int       `json:"rows"`
	From        time.Time `json:"from,omitzero"`
	To          time.Time `json:"to,omitzero"`
	Release     string    `json:"release,omitempty"` // of the service, in an assignment's newest model
	Error       float64   `json:"mae,omitempty"`     // in the metric's unit, out-of-fold
	Parts       []string  `json:"-"`                 // of a graph: ids of its assignments
	Written     time.Time `json:"written"`
	Bytes       int64     `json:"bytes"`
}

func entryOf(id string, h *ml.Header) Entry {
	e := Entry{ID: id, Kind: "graph", Application: h.Application, Source: h.Trained.Source, Rows: h.Trained.Rows, From: h.Trained.From, To: h.Trained.To}
	if h.Kind == latency.AssignmentKind {
		e.Kind = "assignment"
	}
	if n := len(h.Features); n > 0 { // the output is the last
		e.Inputs, e.Label = n-1, h.Features[n-1].Name
	}
	return e
}

// Graph loads a graph by its id, or by how that begins. One of another application, target or services than wanted is refused with
// ErrOther, by name; so is one that is composed of files that are not its own.
func (r *Repository) Graph(begin string, want Want) (*latency.Graph, About, error) {
	id, err := r.find(begin)
	if err != nil {
		return nil, About{}, err
	}
	h, payload, err := r.read(id)
	if err != nil {
		return nil, About{}, err
	}
	refuse := func(format string, args ...any) error {
		return fmt.Errorf("%s: %w: %w", r.path(id), ErrOther, fmt.Errorf(format, args...))
	}
	e := entryOf(id, &h)
	if h.Kind != CompositionKind {
		return nil, About{}, refuse("%s of %s, and a graph is needed", h.Kind, e.Label)
	}
	c, err := decode(payload)
	if err != nil {
		return nil, About{}, fmt.Errorf("%s: %w", r.path(id), err)
	}
	if want.Application != "" && h.Application != want.Application {
		return nil, About{}, refuse("the graph of application %q, and that of %q is needed", h.Application, want.Application)
	}
	if want.Target != "" && c.Target != want.Target {
		return nil, About{}, refuse("the graph of %s, and that of %s is needed", c.Target, want.Target)
	}
	if want.Services != nil {
		have := c.services()
		if less, more := without(want.Services, have), without(have, want.Services); less != nil || more != nil {
			return nil, About{}, refuse("the graph of %s has %s: it lacks %s, and has besides %s", c.Target, count(have, "services"), names(less), names(more))
		}
	}
	g, err := r.compose(c, h.Application)
	if err != nil {
		return nil, About{}, fmt.Errorf("%s: %w", r.path(id), err)
	}
	return g, About{h.Application, c.Target, h.Trained.Source, h.Trained.From, h.Trained.To, h.Trained.Seed, h.Trained.Commit, c.Error, c.Releases, c.Off}, nil
}

func (r *Repository) compose(c *composition, application string) (*latency.Graph, error) {
	g := latency.NewGraph()
	var aggregates []*latency.Assignment
	for _, p := range c.Parts {
		a, _, err := r.assignment(p.ID, p.Label, application)
		if err != nil {
			return nil, err
		}
		if err := g.Add(a); err != nil {
			return nil, err
		}
		if p.Aggregate != "" {
			m, _, err := r.assignment(p.Aggregate, p.Label, application)
			if err != nil {
				return nil, err
			}
			aggregates = append(aggregates, m)
		}
	}
	for service, n := range c.Instances {
		if err := g.Scale(service, n); err != nil {
			return nil, err
		}
	}
	for _, a := range aggregates {
		if err := g.SetAggregate(a); err != nil {
			return nil, err
		}
	}
	for _, l := range c.Links {
		if err := g.Connect(l[0], l[1]); err != nil {
			return nil, err
		}
	}
	return g, nil
}

// Assignment loads an assignment by its id, or by how that begins; label is whose it must be, empty: anyone's.
func (r *Repository) Assignment(begin, label string) (*latency.Assignment, Entry, error) {
	id, err := r.find(begin)
	if err != nil {
		return nil, Entry{}, err
	}
	return r.assignment(id, label, "")
}

func (r *Repository) assignment(id, label, application string) (*latency.Assignment, Entry, error) {
	h, payload, err := r.read(id)
	if err != nil {
		return nil, Entry{}, err
	}
	e := entryOf(id, &h)
	if h.Kind != latency.AssignmentKind || label != "" && e.Label != label || application != "" && h.Application != application {
		needed := "an assignment"
		if label != "" {
			needed = "the assignment of " + label
		}
		if application != "" {
			needed += fmt.Sprintf(" of application %q", application)
		}
		return nil, e, fmt.Errorf("%s: %w: %s of %s of application %q, and %s is needed", r.path(id), ErrOther, h.Kind, e.Label, h.Application, needed)
	}
	a := &latency.Assignment{}
	if err := a.UnmarshalBinary(payload); err != nil {
		return nil, e, fmt.Errorf("%s: %w", r.path(id), err)
	}
	if !slices.Equal(a.Header().Features, h.Features) {
		return nil, e, fmt.Errorf("%s: %w: its head is of %s and its model of %s", r.path(id), ErrOther, e.Label, a.Output())
	}
	if e.Models = a.Models(); e.Models > 0 {
		t := a.Trained(e.Models - 1)
		e.Learner, e.Release, e.Error = a.Learner(e.Models-1).Kind.String(), t.Release, t.Error
	}
	return a, e, nil
}

// List is what there is, graphs first, and then as it was written, the newest first. What can't be read is in the notes, by name.
func (r *Repository) List() (all []Entry, notes []string, err error) {
	list, err := os.ReadDir(r.dir)
	if err != nil {
		return nil, nil, err
	}
	for _, f := range list {
		id, ok := strings.CutSuffix(f.Name(), suffix)
		if !ok {
			continue
		}
		e, err := r.entry(id)
		if err != nil {
			notes = append(notes, err.Error())
			continue
		}
		if st, err := f.Info(); err == nil {
			e.Written, e.Bytes = st.ModTime().UTC(), st.Size()
		}
		all = append(all, e)
	}
	slices.SortStableFunc(all, func(a, b Entry) int {
		if a.Kind != b.Kind {
			return -strings.Compare(a.Kind, b.Kind)
		}
		return b.Written.Compare(a.Written)
	})
	return all, notes, nil
}

func (r *Repository) entry(id string) (Entry, error) {
	h, payload, err := r.read(id)
	switch {
	case err != nil:
		return Entry{}, err
	case h.Kind == latency.AssignmentKind:
		_, e, err := r.assignment(id, "", "")
		return e, err
	case h.Kind != CompositionKind:
		return Entry{}, fmt.Errorf("%s: %w: a model of kind %q", r.path(id), ErrOther, h.Kind)
	}
	c, err := decode(payload)
	if err != nil {
		return Entry{}, fmt.Errorf("%s: %w", r.path(id), err)
	}
	e := entryOf(id, &h)
	e.Models, e.Error = len(c.Parts), c.Error
	for _, p := range c.Parts {
		e.Parts = append(e.Parts, p.ID)
	}
	return e, nil
}

func decode(payload []byte) (*composition, error) {
	var parts [1][]byte
	if err := ml.Unpack("composition of a graph", payloadVersion, payload, mostUnpacked, parts[:]); err != nil {
		return nil, err
	}
	c := &composition{}
	d := json.NewDecoder(bytes.NewReader(parts[0]))
	d.DisallowUnknownFields()
	if err := d.Decode(c); err != nil {
		return nil, fmt.Errorf("what the graph is composed of: %w", err)
	}
	for _, p := range c.Parts {
		for _, id := range []string{p.ID, p.Aggregate} {
			if len(id) != digits && id != "" || strings.Trim(id, "0123456789abcdef") != "" {
				return nil, fmt.Errorf("the graph is composed of %.40q, which is no id", id)
			}
		}
	}
	return c, nil
}

func (c *composition) services() (out []string) {
	for _, p := range c.Parts {
		if s, _, _ := strings.Cut(p.Label, ":"); !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

// without is what of a list is not in another.
func without(list, other []string) (out []string) {
	for _, s := range list {
		if !slices.Contains(other, s) {
			out = append(out, s)
		}
	}
	return out
}

func names(list []string) string {
	if len(list) == 0 {
		return "nothing"
	}
	return strings.Join(list, ", ")
}

func count(list []string, what string) string { return fmt.Sprintf("%d %s", len(list), what) }
