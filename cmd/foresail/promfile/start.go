package promfile

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

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
