package write

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Push gathers now, then each interval, and once more when ctx ends, and gives the queue what there is. What could not be
// gathered is told to told, which may be nil; the rest is sent.
func Push(ctx context.Context, g prometheus.Gatherer, q *Queue, every time.Duration, extra map[string]string, told func(error)) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		families, err := g.Gather()
		if err != nil && told != nil {
			told(err)
		}
		q.Add(FromFamilies(families, time.Now(), extra))
		if ctx.Err() != nil {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
}
