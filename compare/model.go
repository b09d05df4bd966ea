package compare

import (
	"fmt"
	"os"
	"strings"

	"foresail.dev"
	"foresail.dev/apps/models"
	"foresail.dev/plan/managers"
)

// namesApplication stands for the application's name in the path of a model.
const namesApplication = "{application}"

// read reads the model that a manager decides with, for an application: the file that the experiment names, else the one that
// Foresail brings along.
func (c *Choice) read(e *Experiment, app *foresail.App) error {
	if !managers.UsesModel(c.Manager) {
		return nil
	}
	path, data := "", []byte(nil)
	if c.Model != "" {
		path = e.relative(strings.ReplaceAll(c.Model, namesApplication, app.Name))
		var err error
		if data, err = os.ReadFile(path); err != nil {
			return fmt.Errorf("model: %w", err)
		}
	} else if path, data = "the one that Foresail brings along", models.For(app.Name); data == nil {
		return fmt.Errorf("it decides with a model, and there is none of %s: train one with `foresail train sinan` and name its file with model", app.Name)
	}
	m, err := managers.ReadModel(data)
	if err == nil {
		err = m.Fits(app)
	}
	if err != nil {
		return fmt.Errorf("model %s: %w", path, err)
	}
	if c.models == nil {
		c.models = map[string]*managers.Model{}
	}
	c.models[app.Name] = m
	return nil
}
