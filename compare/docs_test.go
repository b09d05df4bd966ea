package compare

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"testing"

	"foresail.dev/appfile"
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
