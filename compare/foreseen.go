package compare

import (
	"fmt"
	"os"
	"strings"

	"foresail.dev"
	"foresail.dev/appfile"
	"foresail.dev/apps/models"
	"foresail.dev/plan/managers"
	"foresail.dev/plan/seer"
)

// Foresee says what foresees violations for the managers that are foreseen, and what is done about them.
type Foresee struct {
	// Model is a file of kind seer, relative to the experiment's; {application} in it stands for the application's name. Empty: the one
	// that Foresail brings along.
	Model string      `yaml:"model"`
	Acts  seer.Config `yaml:"acts"` // what is left out keeps its default
}

// Check tells what is wrong with the settings.
func (f *Foresee) Check(at appfile.Place) {
	if err := f.Acts.Check(); err != nil {
		at.At("acts").Faultf("%s", strings.ReplaceAll(err.Error(), "\n", "; "))
	}
}

// foreseenAs is how a manager that is wrapped by package seer is called in the results.
func foreseenAs(name string) string { return "seer(" + name + ")" }

// foreseen are the choices that one stands for: as it is, and wrapped.
func (e *Experiment) foreseen(c Choice) (out []Choice) {
	how := c.Foreseen
	if how == guardUnsaid {
		how = e.Foreseen
	}
	for _, c.foresees = range how.ways() {
		out = append(out, c)
	}
	return out
}

// foresight reads the model that foresees an application's violations, where a manager is to have one.
func (e *Experiment) foresight(c *Choice, app *foresail.App) error {
	if !c.foresees {
		return nil
	}
	path, data := "the one that Foresail brings along", models.Seer(app.Name)
	if e.Foresee.Model != "" {
		path = e.relative(strings.ReplaceAll(e.Foresee.Model, namesApplication, app.Name))
		var err error
		if data, err = os.ReadFile(path); err != nil {
			return fmt.Errorf("foresee.model: %w", err)
		}
	} else if data == nil {
		return fmt.Errorf("there is no model that foresees violations of %s: train one with `foresail train seer` and name its file with foresee.model", app.Name)
	}
	f, err := managers.ReadForesight(data)
	if err == nil {
		err = f.Fits(app)
	}
	if err != nil {
		return fmt.Errorf("foresee.model %s: %w", path, err)
	}
	if c.foresights == nil {
		c.foresights = map[string]*managers.Foresight{}
	}
	c.foresights[app.Name] = f
	return nil
}
