package report

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"foresail.dev/compare"
)

// Header says where results were made.
type Header struct {
	Commit  string
	Machine string // in a few words
}

// Write writes everything into a folder: results.json, which is json, results.md, report.html and the plots. It returns
// the files' names, in that order.
func Write(dir string, r *compare.Results, h Header, json []byte) ([]string, error) {
	if err := os.MkdirAll(filepath.Join(dir, "plots"), 0o777); err != nil {
		return nil, err
	}
	page, err := HTML(r, h)
	if err != nil {
		return nil, fmt.Errorf("the page: %w", err)
	}
	names := []string{"results.json", "results.md", "report.html"}
	errs := []error{
		compare.WriteFile(filepath.Join(dir, names[0]), json),
		compare.WriteFile(filepath.Join(dir, names[1]), []byte(Markdown(r, h))),
		compare.WriteFile(filepath.Join(dir, names[2]), page),
	}
	plots, err := Plots(r)
	errs = append(errs, err)
	for _, p := range plots {
		name := filepath.Join("plots", p.Name)
		names = append(names, name)
		errs = append(errs, compare.WriteFile(filepath.Join(dir, name), p.PNG))
	}
	return names, errors.Join(errs...)
}
