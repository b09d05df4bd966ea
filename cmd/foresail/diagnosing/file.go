package diagnosing

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"foresail.dev/appfile"
	"foresail.dev/model/diagnose/culprits"
	"foresail.dev/model/diagnose/rank"
)

// File says which methods are measured, and on what.
type File struct {
	Methods  []string  `yaml:"methods"`
	Datasets []dataset `yaml:"datasets" rule:"required"`
	Note     string    `yaml:"note"`
}

type dataset struct {
	Name     string        `yaml:"name" rule:"required"`
	Format   string        `yaml:"format" rule:"required,oneof=petshop|nezha"`
	Folder   string        `yaml:"folder" rule:"required"`
	Front    string        `yaml:"front"`
	Duration time.Duration `yaml:"duration" rule:"min=1m,max=1h"`
	Normal   int           `yaml:"normal_rows" rule:"min=2,max=100000"`
}

// Check asks for methods that there are, and for what fits a format.
func (f *File) Check(at appfile.Place) {
	for i, name := range f.Methods {
		if _, ok := rank.ByName(name); !ok {
			at.At("methods", i).Faultf("is %q; there are %s", name, strings.Join(methodNames(), ", "))
		}
	}
	seen := map[string]bool{}
	for i, d := range f.Datasets {
		if d.Name != "" && seen[d.Name] {
			at.At("datasets", i, "name").Faultf("is %q, as another is", d.Name)
		}
		seen[d.Name] = true
		if d.Format == "petshop" && (d.Duration != 0 || d.Normal != 0) {
			at.At("datasets", i).Faultf("has a duration or normal_rows, which belong to the format nezha: PetShop's files say what is normal")
		}
	}
}

func methodNames() (names []string) {
	for _, m := range rank.Methods() {
		names = append(names, m.Name)
	}
	return names
}

// Dataset is one that was read.
type Dataset struct {
	Name  string
	Cases []culprits.Case
	Notes []string // what could not be read, or not be used
}

func (d *Dataset) note(format string, args ...any) {
	d.Notes = append(d.Notes, fmt.Sprintf(format, args...))
}

// Read reads a file and the data sets that it names; the error tells all that is wrong.
func Read(path string) (f File, all []Dataset, err error) {
	if err := appfile.ReadFile(path, &f); err != nil {
		return f, nil, err
	}
	if len(f.Methods) == 0 {
		f.Methods = methodNames()
	}
	var errs []error
	for _, d := range f.Datasets {
		if !filepath.IsAbs(d.Folder) {
			d.Folder = filepath.Join(filepath.Dir(path), d.Folder)
		}
		read := readPetShop
		if d.Format == "nezha" {
			read = readNezha
		}
		one, err := read(d)
		if err == nil && len(one.Cases) == 0 {
			err = errors.New("it holds no issue whose culprit is known" + because(one.Notes))
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: data set %s: %w", path, d.Name, err))
			continue
		}
		all = append(all, one)
	}
	return f, all, errors.Join(errs...)
}

func because(notes []string) string {
	if len(notes) == 0 {
		return ""
	}
	return ": " + strings.Join(notes, "; ")
}

// front is the index of the service that users call, as told; negative where nothing was.
func (d dataset) front(services []rank.Service) (int, error) {
	if d.Front == "" {
		return -1, nil
	}
	for i, s := range services {
		if s.Name == d.Front {
			return i, nil
		}
	}
	return -1, fmt.Errorf("front: no service is called %q", d.Front)
}
