package training

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"foresail.dev/model/forecast"
	"foresail.dev/model/forecast/csvfile"
)

// Source is where series come from: the load of each service of one application. It may be used by many goroutines.
type Source interface {
	// String names the source in a model file and in errors.
	String() string
	// Services lists all there are, in the order of their names.
	Services() []string
	// Series reads one. An error is one of this series, as long as ctx has not ended.
	Series(ctx context.Context, service string) (forecast.Series, csvfile.Repairs, error)
}

// Files opens series files: a folder with one CSV file for each service, named after it (cart.csv, cart.csv.gz), or one file
// with many.
func Files(path string, o csvfile.Options) (Source, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return readFile(path, o)
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, err
	}
	f := folder{path: path, o: o, files: map[string]string{}}
	for _, e := range entries {
		name, ok := strings.CutSuffix(strings.TrimSuffix(e.Name(), ".gz"), ".csv")
		if !ok || name == "" || strings.HasPrefix(name, ".") || e.IsDir() {
			continue
		}
		if other, twice := f.files[name]; twice {
			return nil, fmt.Errorf("%s: both %s and %s are series of %s: take one away", path, other, e.Name(), name)
		}
		f.files[name] = e.Name()
		f.names = append(f.names, name)
	}
	if len(f.names) == 0 {
		return nil, fmt.Errorf("%s: there is no series in it: each service has a file of its own, like cart.csv or cart.csv.gz", path)
	}
	slices.Sort(f.names)
	return &f, nil
}

// folder has one file for each service.
type folder struct {
	path  string
	o     csvfile.Options
	names []string
	files map[string]string
}

func (f *folder) String() string     { return filepath.Base(f.path) }
func (f *folder) Services() []string { return f.names }

func (f *folder) Series(ctx context.Context, service string) (forecast.Series, csvfile.Repairs, error) {
	if err := ctx.Err(); err != nil {
		return forecast.Series{}, csvfile.Repairs{}, err
	}
	file, err := os.Open(filepath.Join(f.path, f.files[service]))
	if err != nil {
		return forecast.Series{}, csvfile.Repairs{}, err
	}
	defer file.Close()
	s, repairs, err := csvfile.Read(file, f.o)
	if err != nil {
		err = fmt.Errorf("%s: %w", f.files[service], err)
	}
	return s, repairs, err
}

// file is one with many series, read as a whole.
type file struct {
	name  string
	names []string
	all   map[string]csvfile.Named
}

func readFile(path string, o csvfile.Options) (Source, error) {
	in, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	all, err := csvfile.ReadMany(in, o)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	f := &file{name: filepath.Base(path), all: map[string]csvfile.Named{}}
	for _, s := range all {
		f.names = append(f.names, s.Name)
		f.all[s.Name] = s
	}
	return f, nil
}

func (f *file) String() string     { return f.name }
func (f *file) Services() []string { return f.names }

func (f *file) Series(ctx context.Context, service string) (forecast.Series, csvfile.Repairs, error) {
	if err := ctx.Err(); err != nil {
		return forecast.Series{}, csvfile.Repairs{}, err
	}
	s, ok := f.all[service]
	if !ok {
		return forecast.Series{}, csvfile.Repairs{}, fmt.Errorf("%w: %s holds no %s", fs.ErrNotExist, f.name, service)
	}
	if s.Err != nil {
		return forecast.Series{}, s.Repairs, fmt.Errorf("%s: %w", f.name, s.Err)
	}
	return s.Series, s.Repairs, nil
}

// errUnfit is why nothing can be learnt from a series.
type errUnfit struct{ error }

// part is what a model is trained on, and what it is measured on.
type part struct {
	whole   forecast.Series
	train   int // steps
	repairs csvfile.Repairs
}

func (p part) past() forecast.Series { return p.whole.Slice(0, p.train) }

// heldOut is how many steps are kept back: as many as asked for, but no more than a fifth.
func (s Settings) heldOut(series forecast.Series) int {
	return min(int(s.Holdout/max(series.Step, 1)), len(series.Values)/5)
}

// load reads a service's series and says why it is unfit, as an errUnfit, where it is.
func (r *Run) load(ctx context.Context, service string) (part, error) {
	s, repairs, err := r.Source.Series(ctx, service)
	if ctx.Err() != nil {
		return part{}, ctx.Err()
	}
	if err != nil {
		return part{repairs: repairs}, errUnfit{err}
	}
	s = r.Settings.Span.of(s)
	p := part{s, len(s.Values) - r.Settings.heldOut(s), repairs}
	past := p.past()
	if err := past.Check(); err != nil {
		return p, errUnfit{err}
	}
	if why := r.Settings.lacking(past); why != "" {
		if held := len(s.Values) - p.train; held > 0 {
			why += fmt.Sprintf(" (%d more steps are held out)", held)
		}
		return p, errUnfit{errors.New(why)}
	}
	if constant(past.Values) {
		v, _ := past.Last()
		return p, errUnfit{fmt.Errorf("its load is always %g: there is nothing to learn, the last value forecasts it", v)}
	}
	return p, nil
}

func constant(values []float64) bool {
	first, found := 0.0, false
	for _, v := range values {
		switch {
		case v != v:
		case !found:
			first, found = v, true
		case v != first:
			return false
		}
	}
	return true
}
