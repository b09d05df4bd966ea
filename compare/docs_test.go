package compare

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"testing"

	"foresail.dev/appfile"
	"foresail.dev/apps/models"
	"foresail.dev/plan/managers"
)

// The example in the documentation is read as it stands, with everything that it names, and every field has its place.
func TestDocumentation(t *testing.T) {
	text, err := os.ReadFile("../docs/formats/experiment.md")
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindSubmatch(text)
	e := defaults()
	e.dir = "../examples"
	if err := appfile.Decode("experiment.md", block[1], e); err != nil {
		t.Fatal(err)
	}
	e.fill()
	if _, err := Prepare(e); err != nil {
		t.Error(err)
	}
	for _, v := range []any{Experiment{}, Application{}, Random{}, LoadRef{}, Choice{}, Tuning{}, Training{}} {
		typ := reflect.TypeOf(v)
		for i := range typ.NumField() {
			name := typ.Field(i).Tag.Get("yaml")
			if name != "" && !regexp.MustCompile("`[^`\n]*\\b"+name+"\\b[^`\n]*`").Match(text) {
				t.Errorf("nothing is said of %s (%s)", name, typ)
			}
		}
	}
}

// The experiments that people are given can be run: everything that they name is there.
func TestExamples(t *testing.T) {
	files, _ := filepath.Glob("../examples/baselines*.yaml")
	if len(files) < 3 {
		t.Fatal(files)
	}
	files = append(files, "../examples/madu.yaml")
	for _, f := range files {
		e, err := Read(f)
		if err != nil {
			t.Error(err)
			continue
		}
		if _, err := Prepare(e); err != nil {
			t.Errorf("%s: %v", f, err)
		}
	}
}

// Sinan's experiments can be run but for models: those that Foresail does not bring along are trained first.
func TestSinanExamples(t *testing.T) {
	files, _ := filepath.Glob("../examples/sinan/*.yaml")
	if len(files) < 8 {
		t.Fatal(files)
	}
	for _, f := range files {
		if filepath.Base(f) == "live.yaml" { // is of foresail explore
			continue
		}
		e, err := Read(f)
		if err != nil {
			t.Error(err)
			continue
		}
		e.Managers = slices.DeleteFunc(e.Managers, func(c Choice) bool {
			missing := slices.ContainsFunc(e.Applications, func(a Application) bool { return models.For(a.Application) == nil })
			return managers.UsesModel(c.Manager) && (c.Model != "" || missing)
		})
		if len(e.Managers) == 0 {
			t.Errorf("%s: no manager without a model", f)
		}
		if _, err := Prepare(e); err != nil {
			t.Errorf("%s: %v", f, err)
		}
	}
}
