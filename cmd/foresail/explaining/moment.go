package explaining

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"foresail.dev"
	"foresail.dev/appfile"
	"foresail.dev/cmd/foresail/cli"
	"foresail.dev/cmd/foresail/history"
	"foresail.dev/model/tail"
)

// moment is a recorded second and those around it.
type moment struct {
	app  *foresail.App
	at   time.Time   // the end of the last second of past
	past []tail.Step // oldest first, without a gap
	next []tail.Step // the seconds after it, as many as were recorded, up to tail.Horizon
}

// held is the total cores of each service at the moment.
func (m *moment) held() []float64 { return cores(&m.past[len(m.past)-1]) }

// decided is the total cores of each service that were in effect in the second after it; false where that was not recorded.
func (m *moment) decided() ([]float64, bool) {
	if len(m.next) == 0 {
		return nil, false
	}
	c := cores(&m.next[0])
	for i, v := range c {
		if math.IsNaN(v) {
			return nil, false
		}
		if m.app.Services[i].Gone {
			c[i] = 0
		}
	}
	return c, true
}

func cores(s *tail.Step) []float64 {
	out := make([]float64, len(s.Services))
	for i := range out {
		out[i] = s.Services[i].Cores
	}
	return out
}

// from are the flags that say which moment is meant.
type from struct {
	history, key    string
	data, run       string
	application, at string
	model           string
	json            bool
}

func (f *from) check(command string) error {
	switch {
	case (f.history == "") == (f.data == ""):
		return cli.Usagef("%s needs either --history with a history that a run has kept, or --data with a folder of steps; see %q", command, command+" --help")
	case f.run != "" && f.data == "":
		return cli.Usagef("--run names a run of a data set: give --data")
	case f.key != "" && f.history == "":
		return cli.Usagef("--key-file is the key of a history: give --history")
	}
	return nil
}

// find reads the moment.
func (f *from) find(ctx context.Context, tell interface{ Write([]byte) (int, error) }) (*moment, error) {
	if f.data != "" {
		return f.inData()
	}
	s, err := history.Open(f.history, f.key, tell)
	if err != nil {
		return nil, err
	}
	m, err := f.inHistory(ctx, s)
	return m, errors.Join(err, s.Close())
}

// inHistory reads it from a history store.
func (f *from) inHistory(ctx context.Context, s history.Readable) (*moment, error) {
	app := s.App()
	oldest, newest := s.Range()
	if app == nil || newest.IsZero() {
		return nil, errors.New("the store is empty: nothing was kept yet")
	}
	if f.application != "" {
		b, err := appfile.ReadApp(f.application)
		if err != nil {
			return nil, cli.Usage(err)
		}
		if b.App.Name != app.Name {
			return nil, cli.Usagef("--application %s: the history is of %s", f.application, app.Name)
		}
	}
	newest = newest.Truncate(tail.Interval)
	at, err := history.Moment("at", f.at, oldest, newest)
	if err != nil {
		return nil, err
	}
	at = at.Truncate(tail.Interval)
	if at.Before(oldest) || at.After(newest) {
		return nil, cli.Usagef("--at %s: nothing is kept of that time: the history goes from %s to %s", f.at, stamp(oldest), stamp(newest))
	}
	begin := at.Add(-tail.Past * tail.Interval)
	var all []tail.Step
	for sn, err := range s.Snapshots(ctx, begin, at.Add(tail.Horizon*tail.Interval), tail.Interval) {
		if err != nil {
			return nil, err
		}
		if d := sn.Duration(); !sn.Stale && d > tail.Interval {
			return nil, cli.Usagef("--at %s: only snapshots of %v are kept of that time, and seconds are needed: see history.every and history.retention in docs/formats/run.md", f.at, d)
		}
		if !sn.Stale {
			all = append(all, tail.Observe(app, sn))
		}
	}
	m := &moment{app: app, at: at}
	for _, st := range all {
		switch {
		case !st.End.After(at):
			m.past = append(m.past, st)
		case st.End.Equal(at.Add(time.Duration(len(m.next)+1) * tail.Interval)):
			m.next = append(m.next, st)
		}
	}
	return m, m.whole(f.at, oldest, newest)
}

// whole reports whether the seconds before it are all there.
func (m *moment) whole(text string, oldest, newest time.Time) error {
	n := len(m.past)
	for i, s := range m.past {
		if want := m.at.Add(-time.Duration(n-1-i) * tail.Interval); !s.End.Equal(want) {
			return cli.Usagef("--at %s: the seconds before %s were not all observed: %s is missing; give a time with %d observed seconds before it", text, stamp(m.at), stamp(want), tail.Past)
		}
	}
	if n < tail.Past {
		return cli.Usagef("--at %s: of the %d seconds up to %s that are looked at %d were observed; what is kept goes from %s to %s", text, tail.Past, stamp(m.at), n, stamp(oldest), stamp(newest))
	}
	m.past = m.past[n-tail.Past:]
	return nil
}

func stamp(t time.Time) string { return t.UTC().Format(time.DateTime) }

// violated says whether an objective was missed in the seconds that the trees are about; ok is false where they were not all recorded.
func (m *moment) violated(model *tail.Model) (yes, ok bool) {
	if len(m.next) < tail.Horizon {
		return false, false
	}
	return model.Missed(m.next[1:tail.Horizon]), true
}

// printable replaces what would act on a terminal.
func printable(s string) string { return strings.Map(cli.Printable, s) }

func figure(v float64) *float64 {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return nil
	}
	v = cli.Round(v)
	return &v
}

func number(v float64) string {
	switch {
	case math.IsNaN(v):
		return "—"
	case math.Abs(v) >= 100:
		return fmt.Sprintf("%.0f", v)
	case math.Abs(v) >= 10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}
