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

// files are model files (docs/formats/model.md), named APPLICATION.fsm; those that foresee violations
// are in the folder seer.
//
//go:embed files
var files embed.FS

const dir, extension = "files", ".fsm"

// For is the model file of an application that a manager decides with, by the application's name; nil: there is none. It must not be
// changed.
func For(application string) []byte { return read("", application) }

// Seer is that of the model which foresees an application's violations.
func Seer(application string) []byte { return read("seer", application) }

func read(kind, application string) []byte {
	if strings.Contains(application, "/") {
		return nil
	}
	data, err := fs.ReadFile(files, path.Join(dir, kind, application+extension))
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
