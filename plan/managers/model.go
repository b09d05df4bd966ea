package managers

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"slices"

	"foresail.dev"
	"foresail.dev/ml"
	"foresail.dev/model/tail"
)

// Model is a trained model that a manager decides with, as a file holds it. It is immutable, and serves any number of
// managers.
type Model struct {
	tail   *tail.Model
	header ml.Header
	hash   string
}

// ReadModel reads a model file; it fails with ml's errors. Whether it is of an application, Fits says.
func ReadModel(file []byte) (*Model, error) {
	m := &Model{tail: new(tail.Model)}
	var err error
	if m.header, err = ml.Load(bytes.NewReader(file), ml.Header{Kind: tail.Kind}, m.tail); err != nil {
		return nil, err
	}
	sum := sha256.Sum256(file)
	m.hash = hex.EncodeToString(sum[:])
	return m, nil
}

// Hash is that of the file.
func (m *Model) Hash() string { return m.hash }

// Header says what the model was trained on.
func (m *Model) Header() ml.Header { return m.header }

// Fits is nil, or says why the model is of no use for an application.
func (m *Model) Fits(app *foresail.App) error { return m.tail.Fits(app) }

// Tail is the model itself.
func (m *Model) Tail() *tail.Model { return m.tail }

// Trained is a model that was trained just now, or comes from elsewhere than a file.
func Trained(m *tail.Model) *Model { return &Model{tail: m} }

// UsesModel reports whether the named manager decides with a model that was trained before: without one, or with one of
// another application, its Decide fails with ErrNoModel.
func UsesModel(name string) bool { return slices.Contains(modelled, name) }
