package insights

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"foresail.dev/cmd/foresail/history"
	"foresail.dev/telemetry/store/seal"
	"foresail.dev/web"
)

// Live finds insights for the page of a run, in what it keeps: one question at a time, in the background, and an answer is kept for
// as long as it is worth. A nil one says what is missing.
type Live struct {
	from history.Readable
	job  Job
	now  func() time.Time

	mu    sync.Mutex
	since time.Duration // of what is asked or answered
	last  web.Insights
	began time.Time // of looking
	took  time.Duration
	stop  context.CancelFunc
	done  chan struct{} // closed when nobody looks; nil: nobody ever has
}

// NewLive looks into a history, and where traces is not empty into that folder. What is kept is read as a command would.
func NewLive(from history.Readable, traces string, key seal.Key) *Live {
	l := &Live{from: from, job: Job{Traces: traces, Key: key, Err: io.Discard}, now: time.Now}
	l.job.Config.MinWindows = 3
	return l
}

// Least is how long an answer is worth at least; one that took long is worth ten times that.
const Least = time.Minute

// Insights is the page's question (web.Config.Insights).
func (l *Live) Insights(since time.Duration) web.Insights {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.looking() {
		if l.since == since {
			return web.Insights{State: "working", Text: l.last.Text}
		}
		return web.Insights{State: "working", Text: "another question comes first"}
	}
	if l.done != nil && l.since == since && l.now().Sub(l.began) < max(Least, 10*l.took) && l.last.State != "failed" {
		return l.last
	}
	l.since, l.began, l.last = since, l.now(), web.Insights{}
	var ctx context.Context
	ctx, l.stop = context.WithCancel(context.Background())
	done := make(chan struct{})
	l.done = done
	go func() {
		found := l.look(ctx, since)
		l.mu.Lock()
		defer l.mu.Unlock()
		l.last, l.took = found, l.now().Sub(l.began)
		l.stop()
		close(done)
	}()
	return web.Insights{State: "working"}
}

func (l *Live) looking() bool {
	if l.done == nil {
		return false
	}
	select {
	case <-l.done:
		return false
	default:
		return true
	}
}

func (l *Live) look(ctx context.Context, since time.Duration) (out web.Insights) {
	defer func() { // what is wrong in a file that was kept must not end the run
		if v := recover(); v != nil {
			out = web.Insights{State: "failed", Text: fmt.Sprintf("looking into the history panicked: %v", v)}
		}
	}()
	j := l.job
	if j.Since = "oldest"; since > 0 {
		j.Since = since.String()
	}
	if _, newest := l.from.Range(); newest.IsZero() {
		return web.Insights{State: "needs", Text: "The history is empty: nothing was kept yet. It is kept from now on; look again in some minutes."}
	}
	var told time.Time
	app, report, err := j.find(ctx, l.from, func(at time.Time) {
		if n := l.now(); n.Sub(told) > time.Second/4 {
			told = n
			l.mu.Lock()
			l.last.Text = "at " + at.UTC().Format(time.DateTime)
			l.mu.Unlock()
		}
	})
	switch {
	case errors.Is(err, errNothing):
		return web.Insights{State: "needs", Text: "In that time nothing was observed: choose a longer one."}
	case err != nil:
		return web.Insights{State: "failed", Text: err.Error()}
	}
	return web.Insights{State: "ready", At: l.now().UTC(), Result: result(app, report)}
}

// Close ends looking.
func (l *Live) Close() {
	if l == nil {
		return
	}
	l.mu.Lock()
	done := l.done
	if l.stop != nil {
		l.stop()
	}
	l.mu.Unlock()
	if done != nil {
		<-done
	}
}
