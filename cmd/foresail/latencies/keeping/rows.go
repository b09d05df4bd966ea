package keeping

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"foresail.dev"
	"foresail.dev/appfile"
	"foresail.dev/cmd/foresail/cli"
	"foresail.dev/cmd/foresail/history"
	"foresail.dev/cmd/foresail/latencies"
	"foresail.dev/model/latency"
	"foresail.dev/model/latency/compose"
	"foresail.dev/model/latency/observed"
	"foresail.dev/model/latency/stream"
)

// Rows is what there is to learn from.
type Rows struct {
	Application string
	Source      string
	Target      string
	Services    []compose.Service
	Table       *latency.Table
	From, To    time.Time      // of the rows; zero where their numbers are no times
	Instances   map[string]int // at the end, of services that have several
	Notes       []string
	Report      *stream.Report // of streams
}

// Format says what streams are of; see docs/formats/latency.md.
type Format struct {
	Application string              `yaml:"application"`
	Target      string              `yaml:"target" rule:"required"`
	Metrics     []string            `yaml:"metrics" rule:"required"`
	Shows       []string            `yaml:"shows"`
	Services    []latencies.Service `yaml:"services" rule:"required"`
	Choices     map[string][]string `yaml:"choices"`
	Open        int                 `yaml:"open_rows" rule:"min=0,max=1000000"`
	Rows        int                 `yaml:"rows" rule:"min=0,max=1000000"`
	Stop        int                 `yaml:"stop_after" rule:"min=0,max=1000000"`
	Note        string              `yaml:"note"`
}

// Check asks for names that fit together.
func (f *Format) Check(at appfile.Place) {
	known := map[string]bool{}
	for i, s := range f.Services {
		if known[s.Name] {
			at.At("services", i, "name").Faultf("is %q, as another is", s.Name)
		}
		known[s.Name] = true
	}
	for i, s := range f.Services {
		for k, callee := range s.Calls {
			if !known[callee] {
				at.At("services", i, "calls", k).Faultf("is %q, which is not among the services", callee)
			}
		}
	}
	if front, _, ok := strings.Cut(f.Target, ":"); f.Target != "" && (!ok || !known[front]) {
		at.At("target").Faultf("is %q: it must be a service's name, a colon and a metric", f.Target)
	}
}

// FromStreams reads JSON lines from a file, or from standard input where it is called -, of services that a format describes.
func FromStreams(path string, stdin io.Reader, f *Format) (*Rows, error) {
	in := stdin
	if path != "-" {
		file, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		defer file.Close()
		in = file
	}
	j := stream.New(stream.Config{Open: f.Open, Rows: f.Rows, Stop: f.Stop, Choices: f.Choices})
	report, err := stream.Read(in, j)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	out := &Rows{Application: f.Application, Source: path, Target: f.Target, Report: &report}
	if path == "-" {
		out.Source = "standard input"
	}
	out.note(&report)
	// A stream that stopped is not learnt from: rows would end with it.
	stopped := map[string]bool{}
	for _, s := range report.Stopped {
		stopped[s.Label] = true
	}
	var columns, labels []string
	of := map[string]string{} // streams, by column
	for _, l := range j.Labels() {
		if !stopped[l] {
			for _, c := range j.Columns(l) {
				columns, of[c] = append(columns, c), l
			}
		}
	}
	var faults []error
	for i := range f.Services {
		one, err := f.Services[i].Describe(columns, f.Metrics, f.Shows, true)
		if err != nil {
			faults = append(faults, err)
		}
		out.Services = append(out.Services, one)
		for _, c := range slices.Concat(one.Knobs, one.States) {
			labels = append(labels, of[c])
		}
		for _, m := range one.Metrics {
			labels = append(labels, latency.Label(one.Name, m))
		}
	}
	if !slices.Contains(columns, f.Target) {
		faults = append(faults, fmt.Errorf("no stream is of the target, %s", f.Target))
	}
	if err := errors.Join(faults...); err != nil {
		return nil, fmt.Errorf("%s: %w%s", out.Source, err, told(out.Notes))
	}
	slices.Sort(labels)
	return out, out.take(j, slices.Compact(labels))
}

func told(notes []string) string {
	if len(notes) == 0 {
		return ""
	}
	return " (" + strings.Join(notes, "; ") + ")"
}

// least is how few rows are learnt from.
const least = 10

// take makes the table of what was joined.
func (r *Rows) take(j *stream.Joiner, labels []string) error {
	t, seqs, lacking, err := j.Table(labels)
	if err != nil {
		return fmt.Errorf("%s: %w", r.Source, err)
	}
	if lacking > 0 {
		r.Notes = append(r.Notes, fmt.Sprintf("%d of %d rows lack a value and are left out", lacking, lacking+len(seqs)))
	}
	if len(seqs) < least {
		return fmt.Errorf("%s: %d whole rows are too few to learn from: at least %d are needed%s", r.Source, len(seqs), least, told(r.Notes))
	}
	r.Table = t
	if first, last := seqs[0], seqs[len(seqs)-1]; first > 1e8 && last < 1e11 { // Unix seconds
		r.From, r.To = time.Unix(first, 0).UTC(), time.Unix(last, 0).UTC().Add(time.Second)
	}
	return nil
}

// note says what was not taken of streams.
func (r *Rows) note(s *stream.Report) {
	say := func(n int, format string) {
		if n > 0 {
			r.Notes = append(r.Notes, fmt.Sprintf(format, n))
		}
	}
	say(s.Malformed, "%d lines are malformed")
	say(s.Disorderly, "%d values came in disorder, and in time")
	say(s.Late, "%d values came too late")
	say(s.Duplicate, "%d values came twice")
	say(s.Differing, "%d of these with another value: the first counts")
	say(s.Kind, "%d values are of another type than their stream")
	say(s.Choice, "%d values are choices that their stream has not")
	say(s.Refused, "%d values are of streams that there is no room for")
	say(s.Gone, "%d rows went for newer ones")
	for i, f := range s.Faults {
		if i < 3 {
			r.Notes = append(r.Notes, f)
		}
	}
	for i, w := range s.Stopped {
		if i == 8 {
			r.Notes = append(r.Notes, fmt.Sprintf("%d more streams stopped", len(s.Stopped)-i))
			break
		}
		r.Notes = append(r.Notes, fmt.Sprintf("stream %s stopped at %d, %d rows before the end: it is not learnt from", w.Label, w.After, w.Rows))
	}
}

// FromHistory reads what a history keeps. The target, where it is empty, is what the first endpoint with an objective is judged by.
func FromHistory(ctx context.Context, s history.Readable, r *history.Range, name, target string, cfg observed.Config, at func(time.Time)) (*Rows, error) {
	app := s.App()
	if app == nil {
		return nil, fmt.Errorf("%s: nothing was recorded in it yet", name)
	}
	all, err := r.Snapshots(ctx, s)
	if err != nil {
		return nil, err
	}
	if target == "" {
		if target = Target(app); target == "" {
			return nil, cli.Usagef("no endpoint of %s has an objective: say with --target what is to be predicted, as in %s:0.90", app.Name, app.Services[0].Name)
		}
	}
	if _, metric, ok := strings.Cut(target, ":"); ok && !slices.Contains(cfg.Metrics, metric) {
		cfg.Metrics = append(slices.Clone(cfg.Metrics), metric)
	}
	out := &Rows{Application: app.Name, Source: name, Target: target, Instances: map[string]int{}}
	j, calls, knobs := stream.New(stream.Config{}), observed.Calls{}, map[string][]string{}
	for sn, err := range all {
		if err != nil {
			return nil, err
		}
		at(sn.End)
		for _, v := range observed.Values(app, sn, cfg) {
			if err := j.Add(v); err != nil {
				return nil, fmt.Errorf("%s, at %s: %w", name, sn.End.Format(time.RFC3339), err)
			}
		}
		calls.Add(sn)
		look(app, sn, knobs, out.Instances)
	}
	j.Flush()
	for service := range maps.Keys(knobs) {
		if _, ok := j.Kind(latency.Label(service, compose.Rate)); !ok {
			delete(knobs, service)
		}
	}
	var notes []string
	if out.Services, notes, err = calls.Services(app, knobs, cfg, target); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	out.Notes = append(out.Notes, notes...)
	return out, out.take(j, labels(out.Services, target))
}

// look keeps what knobs services have, and how many instances.
func look(app *foresail.App, s *foresail.Snapshot, knobs map[string][]string, instances map[string]int) {
	for i := range min(len(s.Services), len(app.Services)) {
		n := observed.Instances(&s.Services[i])
		if n == 0 || app.Services[i].Gone {
			continue
		}
		name := app.Services[i].Name
		knobs[name] = observed.Knobs(&s.Services[i])
		delete(instances, name)
		if n > 1 {
			instances[name] = n
		}
	}
}

// labels are all that services are learnt from.
func labels(services []compose.Service, target string) (out []string) {
	for i := range services {
		s := &services[i]
		out = append(out, s.Knobs...)
		out = append(out, s.States...)
		for _, m := range s.Metrics {
			out = append(out, latency.Label(s.Name, m))
		}
	}
	out = append(out, target)
	slices.Sort(out)
	return slices.Compact(out)
}

// Target is what the first endpoint with an objective is judged by; empty: none has one.
func Target(app *foresail.App) string {
	for _, e := range app.Endpoints {
		if !e.Gone && e.Objective != nil {
			return latency.Label(app.Services[e.Entry].Name, fmt.Sprintf("%.2f", e.Objective.Percentile/100))
		}
	}
	return ""
}
