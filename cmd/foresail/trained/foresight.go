package trained

import (
	"fmt"
	"os"
	"strings"

	"github.com/spf13/pflag"

	"foresail.dev"
	"foresail.dev/appfile"
	"foresail.dev/apps/models"
	"foresail.dev/cmd/foresail/cli"
	"foresail.dev/plan/managers"
	"foresail.dev/plan/seer"
)

// Foresight is the model that foresees violations of an application: the one at path, else the one that Foresail brings along; nil
// where there is none that fits. An error is one of path.
func Foresight(path string, app *foresail.App) (*managers.Foresight, error) {
	if path == "" {
		f, err := managers.ReadForesight(models.Seer(app.Name))
		if err != nil || f.Fits(app) != nil {
			return nil, nil
		}
		return f, nil
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("foresee: %w: train a model with `foresail train seer`", err)
	}
	f, err := managers.ReadForesight(data)
	if err == nil {
		err = f.Fits(app)
	}
	if err != nil {
		return nil, fmt.Errorf("foresee: model %s: %w", path, err)
	}
	return f, nil
}

// Foresee is "foresee" of foresail.yaml: true, false or a mapping. A mapping without `enabled` is meant to be on. With it, violations that
// are foreseen are met before they start, whoever manages.
type Foresee struct {
	Enabled *bool       `yaml:"enabled"`
	Model   string      `yaml:"model"` // a file of kind seer; empty: the one that Foresail brings along
	Acts    seer.Config `yaml:"acts"`  // what is left out keeps its default
}

// UnmarshalText reads the short form.
func (f *Foresee) UnmarshalText(b []byte) error {
	on := string(b) == "true"
	if !on && string(b) != "false" {
		return fmt.Errorf("is %q, must be true, false or a mapping", b)
	}
	f.Enabled = &on
	return nil
}

// Check tells what is wrong with the settings.
func (f *Foresee) Check(at appfile.Place) {
	if err := f.Acts.Check(); err != nil {
		at.At("acts").Faultf("%s", strings.ReplaceAll(err.Error(), "\n", "; "))
	}
}

// On reports whether violations are to be foreseen; not where f is nil.
func (f *Foresee) On() bool { return f != nil && (f.Enabled == nil || *f.Enabled) }

// In makes the file's name one relative to a folder.
func (f *Foresee) In(dir string) {
	if f != nil && f.Model != "" {
		f.Model = cli.Relative(dir, f.Model)
	}
}

// Foresees wraps what builds a manager, or gives it back as it is where nothing is to be foreseen. An error is one of usage: there is no model, or
// not one of this application.
func Foresees[O any](f *Foresee, app *foresail.App, build func(O) (foresail.Manager, error)) (func(O) (foresail.Manager, error), error) {
	if !f.On() {
		return build, nil
	}
	model, err := Foresight(f.Model, app)
	if err == nil && model == nil {
		err = fmt.Errorf("foresee: there is no model that foresees violations of %s: train one with `foresail train seer --app %s`, and name its file", app.Name, app.Name)
	}
	if err != nil {
		return nil, cli.Usage(err)
	}
	return func(o O) (foresail.Manager, error) {
		m, err := build(o)
		if err != nil {
			return nil, err
		}
		return managers.Foreseen(m, model, f.Acts)
	}, nil
}

// Foreseen builds a manager, wrapped where violations are to be foreseen.
func Foreseen(f *Foresee, app *foresail.App, build func() (foresail.Manager, error)) (foresail.Manager, error) {
	with, err := Foresees(f, app, func(struct{}) (foresail.Manager, error) { return build() })
	if err != nil {
		return nil, err
	}
	return with(struct{}{})
}

// ForeseeFlags say the same on the command line.
type ForeseeFlags struct {
	on    bool
	model string
}

// Register adds them.
func (f *ForeseeFlags) Register(fl *pflag.FlagSet) {
	fl.BoolVar(&f.on, "foresee", false, "meet violations that are foreseen before they start, whoever decides")
	fl.StringVar(&f.model, "foresee-model", "", "model file that foresees them, which 'foresail train seer' makes; empty: the one that Foresail brings along")
}

// On reports whether violations are to be foreseen.
func (f *ForeseeFlags) On() bool { return f.on || f.model != "" }

// With is what the flags make of what a file says.
func (f *ForeseeFlags) With(file *Foresee) *Foresee {
	if !f.On() {
		return file
	}
	out := Foresee{}
	if file != nil {
		out = *file
	}
	out.Enabled = nil
	if f.model != "" {
		out.Model = f.model
	}
	return &out
}
