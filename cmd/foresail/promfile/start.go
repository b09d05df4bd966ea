package promfile

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"time"

	"foresail.dev"
	"foresail.dev/telemetry/prom"
)

// findLimit is how long Prometheus may take to scrape what has just started.
const findLimit = 2 * time.Minute

// readyLimit is how long it may take for every service to be there; then what is there has to do.
const readyLimit = 30 * time.Second

// OpenWhenScraped waits until Prometheus has something of the application, and for a while until it has all.
func OpenWhenScraped(ctx context.Context, cfg prom.Config, w io.Writer) (*prom.Source, error) {
	began, complete := time.Now(), false
	for {
		source, err := prom.Open(ctx, cfg)
		waited := time.Since(began)
		if err == nil && (complete || waited > readyLimit) || err != nil && !errors.Is(err, prom.ErrNothing) {
			return source, err
		}
		pause := time.Second
		if complete = err == nil && source.Ready(); complete { // one scrape more, so that there are two of everything
			pause = source.Every()
		}
		if waited > findLimit {
			return nil, fmt.Errorf("%w; after %v: does it read the file of targets, and scrape them?", err, findLimit)
		} else if waited < time.Second {
			fmt.Fprintf(w, "waiting until Prometheus has scraped %s\n", cfg.App.Name)
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// Past gives a loop what was observed before.
type Past = func(foresail.Needs) iter.Seq2[*foresail.Snapshot, error]

// Backfilled is what was kept before (nil: nothing is) or, at the first start, what the manager would have seen had it been
// here: read from Prometheus, no further back than back. Progress is shown until done is called, and w is told what came of it.
func Backfilled(ctx context.Context, source *prom.Source, back time.Duration, kept Past, progress func(done float64, what string), done func(), w io.Writer) Past {
	return func(needs foresail.Needs) iter.Seq2[*foresail.Snapshot, error] {
		return func(yield func(*foresail.Snapshot, error) bool) {
			some := false
			if kept != nil {
				for s, err := range kept(needs) {
					some = some || err == nil
					if !yield(s, err) {
						return
					}
				}
			}
			if some {
				return
			}
			past, err := source.Past(ctx, prom.Past{Needs: needs, Limit: back,
				Progress: func(done float64, back time.Time) {
					progress(done, "reading history, back to "+back.Format(time.DateTime))
				}})
			done()
			if len(past) > 0 {
				fmt.Fprintf(w, "history: %d snapshots since %s from Prometheus\n", len(past), past[0].Start.Format(time.DateTime))
			}
			for _, s := range withMinutes(past) {
				if !yield(s, nil) {
					return
				}
			}
			if err != nil && ctx.Err() == nil { // what there is, is worth having
				yield(nil, err)
			}
		}
	}
}

// withMinutes adds the minutes that shorter snapshots make up, since a history wants them apart.
func withMinutes(list []*foresail.Snapshot) (out []*foresail.Snapshot) {
	var minute []*foresail.Snapshot
	for _, s := range list {
		out = append(out, s)
		if s.Duration() >= time.Minute {
			continue
		}
		cell := s.Start.Truncate(time.Minute)
		if len(minute) > 0 && !minute[0].Start.Truncate(time.Minute).Equal(cell) {
			minute = nil // it did not end where intervals do
		}
		minute = append(minute, s)
		if s.End.Equal(cell.Add(time.Minute)) {
			out = append(out, foresail.Merge(minute...))
			minute = nil
		}
	}
	return out
}
