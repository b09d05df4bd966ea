// Package models holds small trained models of the applications in package apps, so that managers which decide with one
// work at once.
package models

import (
	"embed"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// files are model files (docs/formats/model.md), named APPLICATION.fsm; in folder seer those that foresee violations.
//
//go:embed files
var files embed.FS

const dir, extension = "files", ".fsm"

// For is the model file of an application, by the application's name; nil: there is none. It must not be changed.
func For(application string) []byte { return read(dir, application) }

// Seer is the model file that foresees violations of an application, by the application's name; nil: there is none. It must not be
// changed.
func Seer(application string) []byte { return read(path.Join(dir, "seer"), application) }

func read(dir, application string) []byte {
	if strings.Contains(application, "/") {
		return nil
	}
	data, err := fs.ReadFile(files, path.Join(dir, application+extension))
	if err != nil {
		return nil
	}
	return data
}

// Applications are those that there is a model of, sorted.
func Applications() []string {
	entries, _ := fs.ReadDir(files, dir) // it is there: it was embedded
	var names []string
	for _, e := range entries {
		if name, ok := strings.CutSuffix(e.Name(), extension); ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
