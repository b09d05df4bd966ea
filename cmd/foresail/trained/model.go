package trained

import (
	"fmt"
	"os"

	"foresail.dev"
	"foresail.dev/apps/models"
	"foresail.dev/plan/managers"
)

// File is the model file that a manager decides with, for an application: the one at path, else the one that Foresail
// brings along; nil where the manager uses none, or there is none that fits. An error is one of path.
func File(path, manager string, app *foresail.App) (*managers.Model, error) {
	if path == "" {
		if !managers.UsesModel(manager) {
			return nil, nil
		}
		return BuiltIn(app), nil
	}
	if !managers.UsesModel(manager) {
		return nil, fmt.Errorf("model %s: manager %s uses none: name a manager that does, or leave it out", path, manager)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("model: %w", err)
	}
	m, err := managers.ReadModel(data)
	if err == nil {
		err = m.Fits(app)
	}
	if err != nil {
		return nil, fmt.Errorf("model %s: %w", path, err)
	}
	return m, nil
}

// BuiltIn is the model of an application that Foresail brings along; nil: there is none, or the application has been changed.
func BuiltIn(app *foresail.App) *managers.Model {
	data := models.For(app.Name)
	if data == nil {
		return nil
	}
	m, err := managers.ReadModel(data)
	if err != nil || m.Fits(app) != nil {
		return nil
	}
	return m
}
