package sharing

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"foresail.dev/appfile"
	"foresail.dev/cmd/foresail/cli"
	"foresail.dev/model/callgraph/shares"
	"foresail.dev/model/callgraph/shares/csvfile"
	"foresail.dev/model/callgraph/shares/evaluate"
	"foresail.dev/model/callgraph/shares/methods"
)

// File says which methods are evaluated, and on what; see docs/formats/shares.md.
type File struct {
	Seed     uint64    `yaml:"seed"`
	Methods  []string  `yaml:"methods"`
	Folds    int       `yaml:"folds" rule:"min=2,max=1000"`
	Epochs   int       `yaml:"epochs" rule:"min=1,max=10000"`
	Datasets []dataset `yaml:"datasets" rule:"required"`
	Note     string    `yaml:"note"`
}

type dataset struct {
	Name      string     `yaml:"name" rule:"required"`
	File      string     `yaml:"file"`
	Train     string     `yaml:"train"`
	Synthetic *synthetic `yaml:"synthetic"`
	Methods   []string   `yaml:"methods"`
}

// synthetic is series that are drawn; see evaluate.Drawn.
type synthetic struct {
	Kind     string        `yaml:"kind" rule:"required,oneof=still|markov|cycle|ramp|drift"`
	Series   int           `yaml:"series" rule:"required,min=2,max=1000"`
	Windows  int           `yaml:"windows" rule:"required,min=2,max=100000"`
	Forms    int           `yaml:"forms" rule:"required,min=2,max=100"`
	Mixes    int           `yaml:"mixes" rule:"min=1,max=100"`
	Stay     appfile.Share `yaml:"stay"`
	Dwell    int           `yaml:"dwell" rule:"min=1,max=100000"`
	Requests float64       `yaml:"requests" rule:"min=0,max=1000000"`
	Seed     uint64        `yaml:"seed"`
}

// Check asks for methods that there are, and for names that differ.
func (f *File) Check(at appfile.Place) {
	checkMethods(at, f.Methods)
	seen := map[string]bool{}
	for i, d := range f.Datasets {
		if d.Name != "" && seen[d.Name] {
			at.At("datasets", i, "name").Faultf("is %q, as another is", d.Name)
		}
		seen[d.Name] = true
	}
}

// Check asks for exactly one source, and for what fits it.
func (d *dataset) Check(at appfile.Place) {
	checkMethods(at, d.Methods)
	switch {
	case d.File == "" && d.Synthetic == nil:
		at.Faultf("needs file or synthetic: where the shares come from")
	case d.File != "" && d.Synthetic != nil:
		at.Faultf("has both file and synthetic: take out either")
	case d.Synthetic != nil && d.Train != "":
		at.Faultf("has train, which belongs to a file")
	}
}

func checkMethods(at appfile.Place, names []string) {
	for i, name := range names {
		if _, ok := methods.ByName(name); !ok {
			at.At("methods", i).Faultf("is %q; there are %s", name, strings.Join(methods.Names(), ", "))
		}
	}
}

// Dataset is one that was read.
type Dataset struct {
	Name    string
	Methods []string
	Series  []shares.Series
	Train   []shares.Series // nil: series are left out in turns
	Notes   []string
}

// defaults of a file.
func defaults() File { return File{Seed: 1, Folds: 7} }

// Read reads a file and the series that it names; the error tells all that is wrong.
func Read(path string) (f File, all []Dataset, err error) {
	f = defaults()
	if err := appfile.ReadFile(path, &f); err != nil {
		return f, nil, err
	}
	all, err = f.read(filepath.Dir(path))
	if err != nil {
		err = fmt.Errorf("%s: %w", path, err)
	}
	return f, all, err
}

func (f *File) read(dir string) (all []Dataset, err error) {
	var errs []error
	for _, d := range f.Datasets {
		out := Dataset{Name: d.Name, Methods: d.Methods}
		if len(out.Methods) == 0 {
			out.Methods = f.Methods
		}
		if len(out.Methods) == 0 {
			out.Methods = methods.Names()
		}
		if y := d.Synthetic; y != nil {
			out.Series = evaluate.Drawn{Kind: evaluate.Kind(y.Kind), Series: y.Series, Windows: y.Windows, Classes: y.Forms,
				Mixes: max(y.Mixes, 1), Stay: float64(y.Stay), Dwell: max(y.Dwell, 1), Requests: y.Requests, Seed: y.Seed}.Draw()
			all = append(all, out)
			continue
		}
		for _, part := range []struct {
			path string
			to   *[]shares.Series
		}{{d.File, &out.Series}, {d.Train, &out.Train}} {
			if part.path == "" {
				continue
			}
			series, notes, err := readSeries(cli.Relative(dir, part.path))
			if err != nil {
				errs = append(errs, fmt.Errorf("data set %s: %w", d.Name, err))
				continue
			}
			*part.to = series
			out.Notes = append(out.Notes, notes...)
		}
		if out.Train != nil && out.Series != nil && out.Train[0].Classes() != out.Series[0].Classes() {
			errs = append(errs, fmt.Errorf("data set %s: %s has shares of %d call graphs, %s of %d", d.Name, d.Train, out.Train[0].Classes(), d.File, out.Series[0].Classes()))
		}
		if out.Train == nil && len(out.Series) == 1 {
			errs = append(errs, fmt.Errorf("data set %s: it has one series; to predict it from others, say which to train on (train), or have two", d.Name))
		}
		all = append(all, out)
	}
	return all, errors.Join(errs...)
}

func readSeries(path string) ([]shares.Series, []string, error) {
	r, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer r.Close()
	all, notes, err := csvfile.Read(r)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	for i, n := range notes {
		notes[i] = path + ": " + n
	}
	return all, notes, nil
}
