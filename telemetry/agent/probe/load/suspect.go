package load

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"foresail.dev"
)

// Asked is a suspect that is asked by requests of its own, one after the other, with as long a pause as the last one took, and a
// millisecond at least: so it never has more of them than one at once, and spends at most half of its time on them.
type Asked struct {
	objective foresail.Objective
	stop      context.CancelFunc
	ended     chan struct{}

	mu     sync.Mutex
	new    []float64 // not observed yet
	recent []bool    // of the newest requests, whether they were late or failed; oldest first
	risk   bool
	failed error
}

// remembered is how many requests are looked at for whether an objective is at risk.
const remembered = 200

// Ask starts asking an URL (GET). The objective is at risk once more than half of what it allows of the newest requests were late
// or failed.
func Ask(ctx context.Context, client *http.Client, url string, o foresail.Objective) (*Asked, error) {
	req, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(ctx)
	a := &Asked{objective: o, stop: stop, ended: make(chan struct{})}
	go func() {
		defer close(a.ended)
		for ctx.Err() == nil {
			began := time.Now()
			err := get(client, req.WithContext(ctx))
			took := time.Since(began)
			if ctx.Err() != nil {
				return
			}
			a.take(took, err)
			if pause(ctx, max(took, time.Millisecond)) != nil {
				return
			}
		}
	}()
	return a, nil
}

func get(c *http.Client, req *http.Request) error {
	res, err := c.Do(req)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, res.Body)
	if e := res.Body.Close(); err == nil {
		err = e
	}
	if err == nil && res.StatusCode >= http.StatusInternalServerError {
		err = fmt.Errorf("it answers %s", res.Status)
	}
	return err
}

// take notes one request.
func (a *Asked) take(took time.Duration, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err != nil {
		a.failed = err
	} else {
		a.new = append(a.new, took.Seconds())
	}
	a.recent = append(a.recent, err != nil || took > a.objective.Latency)
	if n := len(a.recent) - remembered; n > 0 {
		a.recent = a.recent[n:]
	}
	late := 0
	for _, l := range a.recent {
		if l {
			late++
		}
	}
	a.risk = a.risk || float64(late) > a.objective.Allowed()/2*remembered
}

// Observe is Suspect's. An objective that was at risk once stays so.
func (a *Asked) Observe() (latencies []float64, atRisk bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	latencies, a.new = a.new, nil
	return latencies, a.risk
}

// Close stops asking; its error is that of the newest request that failed.
func (a *Asked) Close() error {
	a.stop()
	<-a.ended
	return a.failed
}
