package history

import (
	"context"
	"errors"
	"iter"
	"time"

	"foresail.dev"
	"foresail.dev/cmd/foresail/cli"
	"foresail.dev/cmd/foresail/historytable"
)

// Range says which snapshots are meant.
type Range struct {
	From, To            string // a time, how long before the newest snapshot, or "oldest"
	Step                time.Duration
	Services, Endpoints []string // only these; empty: all
}

// Snapshots are those that it means.
func (f *Range) Snapshots(ctx context.Context, s Readable) (iter.Seq2[*foresail.Snapshot, error], error) {
	oldest, newest := s.Range()
	if newest.IsZero() {
		return nil, errors.New("the store is empty: nothing was kept yet")
	}
	from, err := Moment("from", f.From, oldest, newest)
	if err != nil {
		return nil, err
	}
	to, err := Moment("to", f.To, oldest, newest)
	if err != nil {
		return nil, err
	}
	if f.Step < 0 {
		return nil, cli.Usagef("--step %v: give a time, or 0 for what is stored", f.Step)
	}
	if !later(from, oldest).Before(earlier(to, newest)) {
		return nil, cli.Usagef("nothing is kept from %s to %s: the store goes from %s to %s", stamp(from), stamp(to), stamp(oldest), stamp(newest))
	}
	from, to = later(from, oldest), earlier(to, newest)
	if err := f.known(s.App()); err != nil {
		return nil, err
	}
	return s.Snapshots(ctx, from, to, f.Step), nil
}

// known refuses names that the application does not have.
func (f *Range) known(app *foresail.App) error {
	for _, n := range f.Services {
		if _, ok := app.ServiceByName(n); !ok {
			return cli.Usagef("--service %s: %s has no such service; without --service all are shown", n, app.Name)
		}
	}
	for _, n := range f.Endpoints {
		if _, ok := app.EndpointByName(n); !ok {
			return cli.Usagef("--endpoint %s: %s has no such endpoint; without --endpoint all are shown", n, app.Name)
		}
	}
	return nil
}

func (f *Range) only() historytable.Only {
	return historytable.Only{Services: f.Services, Endpoints: f.Endpoints}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// Moment reads a time that --flag gives, or how long before the newest snapshot it is, or "oldest".
func Moment(flag, text string, oldest, newest time.Time) (time.Time, error) {
	if text == "oldest" {
		return oldest, nil
	}
	if d, err := time.ParseDuration(text); err == nil && d >= 0 {
		return newest.Add(-d), nil
	}
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02 15:04:05", "2006-01-02 15:04", time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return t, nil
		}
	}
	return time.Time{}, cli.Usagef("--%s %q: give a time like 2026-03-01T12:00:00Z, or how long before the newest snapshot, like 90m", flag, text)
}
