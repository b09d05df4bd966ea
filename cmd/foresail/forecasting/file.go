// Package forecasting evaluates forecast methods on the series of a file, and draws and prints forecasts.
package forecasting

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"foresail.dev/appfile"
	"foresail.dev/load"
	"foresail.dev/load/trace"
	"foresail.dev/model/forecast"
	"foresail.dev/model/forecast/csvfile"
	"foresail.dev/model/forecast/methods"
)

// File says which methods are evaluated, and on what; see docs/formats/forecast.md.
type File struct {
	Seed    uint64        `yaml:"seed"`
	Methods []string      `yaml:"methods"`
	N       []int         `yaml:"n" rule:"min=1,max=10000"`
	M       []int         `yaml:"m" rule:"min=1,max=1000"`
	Train   appfile.Share `yaml:"train" rule:"above=0"`
	Steps   int           `yaml:"training_steps" rule:"min=0"`
	Series  []source      `yaml:"series" rule:"required"`
	Note    string        `yaml:"note"`
}

type source struct {
	Name      string        `yaml:"name" rule:"required"`
	File      string        `yaml:"file"`
	Format    string        `yaml:"format" rule:"oneof=csv|lines|counts|arrivals"`
	Column    string        `yaml:"column"`
	Zone      string        `yaml:"zone"`
	Synthetic *synthetic    `yaml:"synthetic"`
	Step      time.Duration `yaml:"step" rule:"above=0s"`
	Skip      int           `yaml:"skip" rule:"min=0"`
	Length    int           `yaml:"length" rule:"min=1"`
	Train     appfile.Share `yaml:"train" rule:"above=0"`
	Methods   []string      `yaml:"methods"`
	N         []int         `yaml:"n" rule:"min=1,max=10000"`
	M         []int         `yaml:"m" rule:"min=1,max=1000"`
}

// synthetic is load with data-dependent uncertainty; see load.Minutes.
type synthetic struct {
	Days        int     `yaml:"days" rule:"required,min=1,max=400"`
	Seed        uint64  `yaml:"seed"`
	Entry       bool    `yaml:"entry"`
	InDegree    int     `yaml:"in_degree" rule:"min=1,max=10000"`
	Probability float64 `yaml:"call_probability" rule:"above=0,max=1000000"`
}

// Check asks for methods that there are.
func (f *File) Check(at appfile.Place) {
	checkMethods(at, f.Methods)
	seen := map[string]bool{}
	for i, s := range f.Series {
		if s.Name != "" && seen[s.Name] {
			at.At("series", i, "name").Faultf("is %q, as another is", s.Name)
		}
		seen[s.Name] = true
	}
}

// Check asks for exactly one source, and for what fits to it.
func (s *source) Check(at appfile.Place) {
	checkMethods(at, s.Methods)
	switch {
	case s.File == "" && s.Synthetic == nil:
		at.Faultf("needs file or synthetic: where the series comes from")
	case s.File != "" && s.Synthetic != nil:
		at.Faultf("has both file and synthetic: take out either")
	case s.Synthetic != nil && (s.Format != "" || s.Column != "" || s.Zone != ""):
		at.Faultf("has a format, column or zone, which belong to a file")
	case s.File != "" && s.Format != "" && s.Format != "csv" && (s.Column != "" || s.Zone != ""):
		at.Faultf("has a column or zone, which belong to the format csv")
	}
	if s.Zone != "" {
		if _, err := time.LoadLocation(s.Zone); err != nil {
			at.At("zone").Faultf("is %q, which is no time zone known here", s.Zone)
		}
	}
	if strings.ContainsAny(s.Name, "/\n\r\t") {
		at.At("name").Faultf("is %q: leave out slashes and breaks", s.Name)
	}
}

func checkMethods(at appfile.Place, names []string) {
	for i, name := range names {
		if _, ok := methods.ByName(name); !ok {
			at.At("methods", i).Faultf("is %q; there are %s", name, strings.Join(methods.Names(), ", "))
		}
	}
}

// Series is one series to evaluate on.
type Series struct {
	Name    string
	Series  forecast.Series
	Train   int // values
	Methods []string
	N, M    []int
	Repairs csvfile.Repairs
}

// Read reads a file with the series that it names.
func Read(path string) (f File, all []Series, err error) {
	f = File{Seed: 1, N: []int{60}, M: []int{5}, Train: 0.5}
	if err := appfile.ReadFile(path, &f); err != nil {
		return f, nil, err
	}
	if len(f.Methods) == 0 {
		f.Methods = methods.Names()
	}
	var errs []error
	for _, s := range f.Series {
		one, err := s.read(filepath.Dir(path))
		if err == nil {
			err = f.complete(&one, s)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: series %s: %w", path, s.Name, err))
			continue
		}
		all = append(all, one)
	}
	return f, all, errors.Join(errs...)
}

// complete fills in what a series does not say itself.
func (f *File) complete(out *Series, s source) error {
	train := f.Train
	if s.Train > 0 {
		train = s.Train
	}
	out.Methods, out.N, out.M = f.Methods, f.N, f.M
	if len(s.Methods) > 0 {
		out.Methods = s.Methods
	}
	if len(s.N) > 0 {
		out.N = s.N
	}
	if len(s.M) > 0 {
		out.M = s.M
	}
	n := len(out.Series.Values)
	out.Train = int(math.Round(float64(train) * float64(n)))
	if longest := slices.Max(out.M); out.Train < 1 || out.Train+longest > n {
		return fmt.Errorf("%d steps, of which %d are to train on, leave no %d to forecast", n, out.Train, longest)
	}
	if err := out.Series.Slice(0, out.Train).Check(); err != nil {
		return fmt.Errorf("the training: %w", err)
	}
	return nil
}

func (s source) read(dir string) (out Series, err error) {
	out.Name = s.Name
	switch {
	case s.Synthetic != nil:
		y := s.Synthetic
		out.Series = forecast.Series{Start: time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC), Step: time.Minute,
			Values: load.Minutes(y.Seed, y.Days, load.Place{Entry: y.Entry, InDegree: y.InDegree, Probability: y.Probability})}
	default:
		path := s.File
		if !filepath.IsAbs(path) {
			path = filepath.Join(dir, path)
		}
		if out.Series, out.Repairs, err = s.open(path); err != nil {
			return out, err
		}
	}
	if s.Step > 0 && s.Step != out.Series.Step {
		if s.Step < out.Series.Step || s.Step%out.Series.Step != 0 {
			return out, fmt.Errorf("a step of %v is no multiple of the series' own, %v", s.Step, out.Series.Step)
		}
		out.Series = Sum(out.Series, int(s.Step/out.Series.Step))
	}
	n := len(out.Series.Values)
	if s.Skip >= n {
		return out, fmt.Errorf("it has %d steps, of which %d are to be skipped", n, s.Skip)
	}
	end := n
	if s.Length > 0 {
		if end = s.Skip + s.Length; end > n {
			return out, fmt.Errorf("it has %d steps, not %d after %d that are skipped", n, s.Length, s.Skip)
		}
	}
	out.Series = out.Series.Slice(s.Skip, end)
	return out, nil
}

// traceStart is when a trace starts that names no instant: a midnight.
var traceStart = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func (s source) open(path string) (series forecast.Series, repairs csvfile.Repairs, err error) {
	r, err := os.Open(path)
	if err != nil {
		return series, repairs, err
	}
	defer r.Close()
	if s.Format == "" || s.Format == "csv" {
		zone := time.UTC
		if s.Zone != "" {
			if zone, err = time.LoadLocation(s.Zone); err != nil {
				return series, repairs, err
			}
		}
		series, repairs, err = csvfile.Read(r, csvfile.Options{Column: s.Column, Zone: zone})
		if err != nil {
			err = fmt.Errorf("%s: %w", path, err)
		}
		return series, repairs, err
	}
	values, step, err := trace.Read(r, trace.Format(s.Format), s.Step)
	if err != nil {
		return series, repairs, fmt.Errorf("%s: %w", path, err)
	}
	for i := range values { // levels a second become counts a step
		values[i] *= step.Seconds()
		if whole := math.Round(values[i]); math.Abs(values[i]-whole) < 1e-6 {
			values[i] = whole
		}
	}
	return forecast.Series{Start: traceStart, Step: step, Values: values}, repairs, nil
}

// Sum adds up k steps at a time; a step that was not observed makes the sum so. What is left at the end is left out.
func Sum(s forecast.Series, k int) forecast.Series {
	out := forecast.Series{Start: s.Start, Step: s.Step * time.Duration(k)}
	for i := 0; i+k <= len(s.Values); i += k {
		sum := 0.0
		for _, v := range s.Values[i : i+k] {
			sum += v
		}
		out.Values = append(out.Values, sum)
	}
	return out
}
