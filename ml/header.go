package ml

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// Header is what a model file says of its model.
type Header struct {
	Kind        string    `json:"kind"`                  // which code understands the payload: "madu", "latency/gbt"
	Application string    `json:"application,omitempty"` // hash of the application it is for; empty: it is bound to none
	Features    []Feature `json:"features,omitempty"`    // its inputs, in order
	Trained     Training  `json:"trained"`
}

// Feature is one input of a model.
type Feature struct {
	Name string `json:"name"`
	Unit string `json:"unit,omitempty"` // "cores", "1/min"; empty: it has none
}

// Training says what a model was trained on.
type Training struct {
	Source string    `json:"source"` // the file, store or series that the rows came from
	Rows   int       `json:"rows"`
	From   time.Time `json:"from,omitzero"` // the rows lie in [From, To); zero where they have no time
	To     time.Time `json:"to,omitzero"`
	Seed   uint64    `json:"seed"`
	Commit string    `json:"commit,omitempty"` // of the program that trained it; empty where that is not known
}

// check reports what a header may not lack.
func (h *Header) check() error {
	switch {
	case h.Kind == "":
		return fmt.Errorf("a model needs a kind")
	case h.Trained.Source == "":
		return fmt.Errorf("model of kind %q: a model says what it was trained on, and the source is empty", h.Kind)
	case h.Trained.Rows < 0:
		return fmt.Errorf("model of kind %q: trained on %d rows", h.Kind, h.Trained.Rows)
	case h.Trained.To.Before(h.Trained.From):
		return fmt.Errorf("model of kind %q: trained on rows that end at %v, before they begin at %v", h.Kind, h.Trained.To, h.Trained.From)
	}
	return nil
}

// Fits reports why a model that says h of itself can't be used where want is needed: another kind, another application or
// other features. Fields of want that are empty ask for nothing.
func (h *Header) Fits(want Header) error {
	switch {
	case want.Kind != "" && h.Kind != want.Kind:
		return fmt.Errorf("%w: it is of kind %q and %q is needed: give the right file", ErrUnfit, h.Kind, want.Kind)
	case want.Application != "" && h.Application != want.Application:
		return fmt.Errorf("%w: it was trained for application %s and this one is %s: train it again", ErrUnfit, named(h.Application), named(want.Application))
	case want.Features != nil && !slices.Equal(h.Features, want.Features):
		return fmt.Errorf("%w: %s: train it again", ErrUnfit, differ(h.Features, want.Features))
	}
	return nil
}

func named(hash string) string {
	if hash == "" {
		return "(none)"
	}
	return hash
}

// differ says where two feature schemas part.
func differ(have, want []Feature) string {
	for i := range min(len(have), len(want)) {
		if have[i] != want[i] {
			return fmt.Sprintf("feature %d is %s and %s is needed", i, have[i], want[i])
		}
	}
	return fmt.Sprintf("it has %d features and %d are needed", len(have), len(want))
}

func (f Feature) String() string {
	return strings.TrimSpace(f.Name + " " + f.Unit)
}

// decodeHeader reads a header strictly: a field that this version does not know was written by another program, and the
// file's version should have said so.
func decodeHeader(data []byte) (Header, error) {
	var h Header
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&h); err != nil {
		return Header{}, err
	}
	if _, err := d.Token(); err != io.EOF {
		return Header{}, fmt.Errorf("something follows the header's JSON")
	}
	if len(h.Features) == 0 {
		h.Features = nil // as Write leaves it out
	}
	return h, h.check()
}
