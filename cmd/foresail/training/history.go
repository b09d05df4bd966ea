package training

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"slices"
	"time"

	"foresail.dev"
	"foresail.dev/model/forecast"
	"foresail.dev/model/forecast/csvfile"
)

// Recorded is what is read of a history; telemetry/store has one on disk.
type Recorded interface {
	App() *foresail.App
	Range() (from, to time.Time)
	Snapshots(ctx context.Context, from, to time.Time, step time.Duration) iter.Seq2[*foresail.Snapshot, error]
}

// recorded is the calls a minute of all services, read as a whole: a history is stored by time, not by service.
type recorded struct {
	name   string
	names  []string
	series map[string]forecast.Series
}

// History reads the calls of each service in each whole minute of a history; name is what errors and models call it. Minutes in which
// arrivals were not observed for half of the time are gaps. Of what lies outside of span nothing is read.
func History(ctx context.Context, h Recorded, name string, span Span) (Source, error) {
	app := h.App()
	from, to := h.Range()
	if app == nil || from.IsZero() {
		return nil, fmt.Errorf("%s: nothing was recorded in it yet", name)
	}
	if !span.Until.IsZero() && span.Until.Before(to) {
		to = span.Until
	}
	if span.Last > 0 && to.Add(-span.Last).After(from) {
		from = to.Add(-span.Last)
	}
	from, to = from.UTC().Truncate(time.Minute), to.UTC().Truncate(time.Minute)
	n := int(to.Sub(from) / time.Minute)
	if n < 1 {
		return nil, fmt.Errorf("%s: no whole minute was recorded in it up to %s", name, to.Format(time.RFC3339))
	}
	calls := make([][]float64, len(app.Services))
	for i := range calls {
		calls[i] = slices.Repeat([]float64{math.NaN()}, n)
	}
	for s, err := range h.Snapshots(ctx, from, to, time.Minute) {
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		d := s.Duration()
		first := int(s.Start.Truncate(time.Minute).Sub(from) / time.Minute)
		cells := max(int((d+time.Minute/2)/time.Minute), 1) // of snapshots that are longer than a minute
		for i := range min(len(s.Services), len(calls)) {
			st := &s.Services[i]
			if !st.Has.Has(foresail.SignalArrivals) || d < time.Minute/2 || !(st.Arrivals >= 0) || math.IsInf(st.Arrivals, 0) {
				continue
			}
			for k := max(first, 0); k < min(first+cells, n); k++ {
				calls[i][k] = st.Arrivals / d.Minutes()
			}
		}
	}
	out := &recorded{name: name, series: map[string]forecast.Series{}}
	for i := range app.Services {
		if svc := &app.Services[i]; !svc.Gone {
			out.names = append(out.names, svc.Name)
			out.series[svc.Name] = forecast.Series{Start: from, Step: time.Minute, Values: calls[i]}
		}
	}
	slices.Sort(out.names)
	if len(out.names) == 0 {
		return nil, fmt.Errorf("%s: its application has no services", name)
	}
	return out, nil
}

func (r *recorded) String() string     { return r.name }
func (r *recorded) Services() []string { return r.names }

func (r *recorded) Series(ctx context.Context, service string) (forecast.Series, csvfile.Repairs, error) {
	if err := ctx.Err(); err != nil {
		return forecast.Series{}, csvfile.Repairs{}, err
	}
	s, ok := r.series[service]
	if !ok {
		return forecast.Series{}, csvfile.Repairs{}, errors.New("the history has no such service")
	}
	return s, csvfile.Repairs{Gaps: len(s.Values) - s.Observed()}, nil
}

// Span bounds what is trained on. The zero value is everything.
type Span struct {
	Until time.Time     // zero: the end of what there is
	Last  time.Duration // up to there; 0: from the start on
}

// of is the part of a series that lies in the span.
func (p Span) of(s forecast.Series) forecast.Series {
	if s.Step <= 0 {
		return s
	}
	n := len(s.Values)
	if !p.Until.IsZero() {
		n = min(max(int(p.Until.Sub(s.Start)/s.Step), 0), n)
	}
	from := 0
	if p.Last > 0 {
		from = max(n-int(p.Last/s.Step), 0)
	}
	return s.Slice(from, n)
}
