package callgraphs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"foresail.dev"
	"foresail.dev/cmd/foresail/cli"
	"foresail.dev/cmd/foresail/history"
	"foresail.dev/cmd/foresail/importing"
	"foresail.dev/telemetry/shapes"
)

// fromHistory reads what a history keeps.
func fromHistory(ctx context.Context, s history.Readable, r *history.Range, asIntervals bool, at func(time.Time)) (*Set, error) {
	all, err := r.Snapshots(ctx, s)
	if err != nil {
		return nil, err
	}
	set := NewSet(s.App(), r.Endpoints)
	for sn, err := range all {
		if err != nil {
			return nil, err
		}
		set.Add(sn, asIntervals)
		at(sn.End)
	}
	oldest, newest := s.Range()
	kept := fmt.Sprintf("the history goes from %s to %s", oldest.Format(time.RFC3339), newest.Format(time.RFC3339))
	switch {
	case !set.observed:
		return nil, fmt.Errorf("no call graphs are kept of this time: either no traces reached that run, or nothing in it needed them, or it is from before they were kept; %s", kept)
	case len(set.endpoints()) == 0:
		return nil, fmt.Errorf("no request%s was traced as a whole in this time; %s", of(r.Endpoints), kept)
	}
	return set, nil
}

func of(endpoints []string) string {
	if len(endpoints) == 0 {
		return ""
	}
	return " of " + strings.Join(endpoints, ", ")
}

// known reports whether a format holds spans.
func known(format string) bool {
	all, _ := formats()
	return slices.ContainsFunc(all, func(f importing.Format) bool { return f.Name == format })
}

// formats are those that hold spans.
func formats() (all []importing.Format, names string) {
	for _, f := range importing.Formats() {
		if f.Interval > 0 {
			all = append(all, f)
			names += ", " + f.Name
		}
	}
	return all, strings.TrimPrefix(names, ", ")
}

// fromFiles reads spans of a format that is known, whose services and endpoints are discovered.
func fromFiles(format string, paths []string, stdin io.Reader, endpoints []string, step time.Duration, asIntervals bool, at func(string, int64)) (*Set, error) {
	all, _ := formats()
	i := slices.IndexFunc(all, func(f importing.Format) bool { return f.Name == format })
	o := importing.Options{Application: format, Interval: step}
	var parts []*foresail.Snapshot
	var app *foresail.App
	o.Each = func(a *foresail.App, s *foresail.Snapshot) error {
		app = a
		if len(s.Shapes) == 0 {
			return nil
		}
		parts = append(parts, bare(s))
		if n := len(parts); !asIntervals && n == mostParts {
			parts = []*foresail.Snapshot{foresail.Merge(parts...)}
		}
		return nil
	}
	res, err := all[i].Run(o, paths, stdin, at)
	if err != nil {
		return nil, err
	}
	if res.Summary.Spans == 0 {
		what := "they hold"
		if len(paths) == 1 {
			what = paths[0] + " holds"
		}
		return nil, errors.Join(fmt.Errorf("there are no spans: %s none that can be read as %s", what, format), faults(res))
	}
	set := NewSet(app, endpoints)
	for _, e := range endpoints {
		if _, ok := app.EndpointByName(e); !ok {
			return nil, cli.Usagef("--endpoint %s: there is no such endpoint; there are %s", e, endpointNames(app))
		}
	}
	for _, p := range parts {
		set.Add(p, asIntervals)
	}
	set.Notes = append(notes(&res.Summary.Shapes), res.Summary.Notes...)
	if err := faults(res); err != nil {
		set.Notes = append(set.Notes, err.Error())
	}
	if len(set.endpoints()) == 0 {
		return nil, fmt.Errorf("no request%s was traced as a whole: %s", of(endpoints), strings.Join(set.Notes, "; "))
	}
	return set, nil
}

func faults(r *importing.Result) error {
	if r.Summary.Faults.Count == 0 {
		return nil
	}
	return errors.New(r.Summary.Faults.String())
}

// mostNames is how many names an error lists.
const mostNames = 8

func endpointNames(app *foresail.App) string {
	var names []string
	for _, e := range app.Endpoints {
		names = append(names, e.Name)
	}
	if n := len(names); n > mostNames {
		names = append(names[:mostNames], fmt.Sprintf("%d more", n-mostNames))
	}
	return strings.Join(names, ", ")
}

// notes say what became of traces, and how far pooled requests are from what they count to.
func notes(s *shapes.Stats) (out []string) {
	say := func(n uint64, format string) {
		if n > 0 {
			out = append(out, fmt.Sprintf(format, n))
		}
	}
	say(s.Complete, "%d traces were complete")
	say(s.Incomplete, "%d traces lack spans and are left out")
	say(s.Cut, "%d traces are too long, or found no room, and are left out")
	say(s.TooLarge, "%d traces visit too many operations and are left out")
	say(s.Malformed, "%d traces hold spans that are each other's parents and are left out")
	say(s.Foreign, "%d traces are no requests of an endpoint")
	say(s.Late, "%d spans came after their trace was looked at")
	say(s.Clamped, "%d visits lay outside of their caller's time, by clocks that differ, and were cut")
	say(s.Adopted+s.Repaired, "%d spans that were missing could be made up for")
	if p := &s.Pooled; p.Requests > 0 && s.Requests > 0 {
		note := fmt.Sprintf("%.2f %% of requests are pooled", 100*p.Requests/s.Requests)
		if p.Latency > 0 && p.Instead > 0 {
			note += fmt.Sprintf(": they take %.2f ms on average, and those that they are counted with %.2f ms", 1000*p.Latency, 1000*p.Instead)
		}
		if e, ok := callsOff(p); ok {
			note += fmt.Sprintf("; the calls of services are off by %.2f %% for it", 100*e)
		}
		out = append(out, note)
	}
	return out
}

// callsOff is how far the calls that forms tell are from those that were observed: the sum of what services differ by, as a
// share of all calls.
func callsOff(p *shapes.Pooling) (share float64, ok bool) {
	var off, all float64
	for i := range p.Calls {
		told := 0.0
		if i < len(p.Told) {
			told = p.Told[i]
		}
		off += max(p.Calls[i]-told, told-p.Calls[i])
		all += p.Calls[i]
	}
	return off / all, all > 0
}
