package changing

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v3"

	"foresail.dev/appfile"
	"foresail.dev/cmd/foresail/cli"
)

// Report is what came of a file.
type Report struct {
	Name   string // of the result
	Seed   uint64
	Rows   any
	Detail any
	Print  func(io.Writer) error
}

// mostBytes bounds a file that is looked at for its kind.
const mostBytes = 1 << 20

// Kind is the kind that a file says it is of; empty: it says none, or can't be read.
func Kind(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, mostBytes))
	if err != nil {
		return ""
	}
	var k struct {
		Kind string `yaml:"kind"`
	}
	if err := yaml.NewDecoder(bytes.NewReader(text)).Decode(&k); err != nil {
		return ""
	}
	return k.Kind
}

// Run reads a file of a kind and measures what it says; seed takes the place of the file's where it is not nil.
func Run(ctx context.Context, path, kind string, seed *uint64, tell func(float64, string)) (*Report, error) {
	dir := filepath.Dir(path)
	switch kind {
	case "mix":
		f := defaultMix()
		if err := appfile.ReadFile(path, &f); err != nil {
			return nil, cli.Usage(err)
		}
		if seed != nil {
			f.Seed = *seed
		}
		rows, d, err := f.Measure(ctx, dir, tell)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		return &Report{"latency-mix", f.Seed, rows, d, func(w io.Writer) error { return printMix(w, rows, d) }}, nil
	case "days":
		f := defaultDays()
		if err := appfile.ReadFile(path, &f); err != nil {
			return nil, cli.Usage(err)
		}
		if seed != nil {
			f.Seed = *seed
		}
		rows, d, err := f.Measure(ctx, dir, tell)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		return &Report{"latency-days", f.Seed, rows, d, func(w io.Writer) error { return printDays(w, rows, d) }}, nil
	}
	return nil, cli.Usagef("%s: kind: is %q; there are mix and days, and runs, which is meant where it is left out", path, kind)
}

var mixHead = []string{"debugged by", "repeat", "step", "mended", "rank", "of", "best", "by itself before", "after", "mae, ms", "log", "in order of error", "by chance", "of the best"}

func printMix(w io.Writer, rows []MixRow, d *MixDetail) error {
	var cells [][]string
	for _, r := range rows {
		rank, of := "", ""
		if r.Rank > 0 {
			rank, of = fmt.Sprint(r.Rank), fmt.Sprint(r.Of)
		}
		cells = append(cells, []string{r.Method, fmt.Sprint(r.Repeat), fmt.Sprint(r.Step), r.Service, rank, of, r.Best, cli.Opt("%.3f", r.Before), cli.Opt("%.3f", r.After),
			fmt.Sprintf("%.2f", r.MAE), fmt.Sprintf("%.3f", r.Log), cli.Opt("%.2f", r.ByError), cli.Opt("%.2f", r.ByChance), cli.Opt("%.2f", r.BestMAE)})
	}
	err := cli.Table(w, mixHead, cells)
	for k, ref := range d.Reference {
		_, e := fmt.Fprintf(w, "repeat %d: at the mix before %.2f ms; learnt anew as a whole %.2f; a monolith %.2f, learnt anew %.2f\n", k+1,
			ref["composed_same_mix_ms"], ref["composed_all_recent_ms"], ref["monolith_ms"], ref["monolith_recent_ms"])
		err = errors.Join(err, e)
	}
	for _, method := range methods {
		for k, ways := range d.Ways[method] {
			for i, way := range ways {
				_, e := fmt.Fprintf(w, "%s, repeat %d, step %d: %s\n", method, k+1, i+1, way)
				err = errors.Join(err, e)
			}
		}
	}
	for _, n := range d.Notes {
		_, e := fmt.Fprintln(w, strings.Map(cli.Printable, n))
		err = errors.Join(err, e)
	}
	return err
}

func printDays(w io.Writer, rows []DayRow, d *DayDetail) error {
	var cells [][]string
	for _, r := range rows {
		cells = append(cells, []string{r.Method, fmt.Sprintf("%.2f", r.MAE), fmt.Sprintf("%.3f", r.Log), fmt.Sprintf("%.3f", r.TrainS), fmt.Sprintf("%.1f", r.Trained), fmt.Sprint(r.Models),
			cli.Opt("%.3f", r.Ratio), cli.Opt("%.3f", r.RatioLow), cli.Opt("%.3f", r.RatioHigh), cli.Opt("%.3f", r.Saved)})
	}
	err := cli.Table(w, []string{"method", "mae, ms", "log", "training a day, CPU s", "trainings a day", "models", "mae to " + d.To, "from", "to", "training saved"}, cells)
	for _, day := range d.Days[1:] {
		text := fmt.Sprintf("day %d, %s", day.Day, day.Pattern)
		if day.Release != "" {
			text += ", release of " + day.Release
		}
		for _, r := range rows {
			text += fmt.Sprintf("; %s %.3f", r.Method, day.Log[r.Method])
		}
		if n := len(day.Added); n > 0 {
			text += fmt.Sprintf("; %d models added", n)
		}
		_, e := fmt.Fprintln(w, text)
		err = errors.Join(err, e)
	}
	for _, n := range d.Notes {
		_, e := fmt.Fprintln(w, strings.Map(cli.Printable, n))
		err = errors.Join(err, e)
	}
	return err
}
