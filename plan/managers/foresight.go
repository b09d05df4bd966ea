package managers

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"

	"foresail.dev"
	"foresail.dev/model/foresee"
	"foresail.dev/plan/seer"
)

// Foresight is a trained model that foresees violations, as a file holds it. It is immutable, and serves any number of managers.
type Foresight struct {
	model *foresee.Model
	hash  string
}

// ReadForesight reads a model file of kind seer; it fails with ml's errors. Whether it is of an application, Fits says.
func ReadForesight(file []byte) (*Foresight, error) {
	m, err := foresee.Read(bytes.NewReader(file))
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(file)
	return &Foresight{m, hex.EncodeToString(sum[:])}, nil
}

// Hash is that of the file.
func (f *Foresight) Hash() string { return f.hash }

// Fits is nil, or says why the model is of no use for an application.
func (f *Foresight) Fits(app *foresail.App) error { return f.model.Fits(app) }

// Foreseen wraps a manager, which may be in the guard, by package seer: what f foresees is met before it starts. Where f is nil, or of
// another application, the inner manager decides alone and its plans say so. An error is one of c.
func Foreseen(inner foresail.Manager, f *Foresight, c seer.Config) (foresail.Manager, error) {
	var model seer.Model
	if f != nil {
		model = seer.Trained(f.model)
	}
	return seer.New(inner, model, c)
}
