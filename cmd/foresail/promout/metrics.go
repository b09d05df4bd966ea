package promout

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"time"

	"foresail.dev"
	"foresail.dev/loop"
	"foresail.dev/telemetry/prom/export"
	"foresail.dev/telemetry/prom/write"
)

// Of a remote write: how often, and how long the end waits for what is still to be sent.
const (
	defaultPush = 15 * time.Second
	pushFlush   = 5 * time.Second
)

// Job is what is shown and sent.
type Job struct {
	App     *foresail.App
	Manager string
	Mode    loop.Mode
	Hold    time.Duration // how late a request may become known
	Metrics Metrics
	Writes  []RemoteWrite
	Sources []export.Source // what else there is to know of the process
	Tell    func(error)     // a person, at the terminal
}

// Running is what shows and sends metrics while a job runs. A nil one does nothing.
type Running struct {
	exporter *export.Exporter
	served   bool
	cancel   context.CancelFunc
	pushes   sync.WaitGroup
	queues   map[string]*write.Queue // by target
	tell     func(error)
}

// Start begins to gather metrics, and to send them where the configuration says.
func Start(j Job) (*Running, error) {
	if !j.Metrics.Enabled && len(j.Writes) == 0 {
		return nil, nil
	}
	ctx, cancel := context.WithCancel(context.Background())
	m := &Running{cancel: cancel, queues: map[string]*write.Queue{}, tell: j.Tell, served: j.Metrics.Enabled,
		exporter: export.New(export.Config{App: j.App, Manager: j.Manager, Mode: j.Mode, Hold: j.Hold, Replicas: j.Metrics.Replicas, Limit: j.Metrics.Limit})}
	for _, s := range j.Sources {
		m.exporter.Add(s)
	}
	for i := range j.Writes {
		if err := m.send(ctx, i, &j.Writes[i]); err != nil {
			m.Stop()
			return nil, err
		}
	}
	return m, nil
}

// send begins to send to one server, the i-th.
func (m *Running) send(ctx context.Context, i int, w *RemoteWrite) error {
	c, err := w.client()
	if err != nil {
		return err
	}
	target, limit, every := target(w.URL), 0, defaultPush
	if _, taken := m.queues[target]; taken {
		target += fmt.Sprintf(" (%d)", i)
	}
	if w.Queue != nil {
		limit = int(*w.Queue)
	}
	if w.Every != nil {
		every = *w.Every
	}
	told := once(func(err error) { m.tell(fmt.Errorf("%s: %w", target, err)) })
	q := write.NewQueue(c, limit, told)
	m.queues[target] = q
	m.exporter.Add(q.Source(target))
	m.pushes.Go(func() { write.Push(ctx, m.exporter.Gatherer(), q, every, w.Labels, told) })
	return nil
}

// target is how metrics and messages name a server: without what may be a secret.
func target(u string) string {
	p, err := url.Parse(u)
	if err != nil {
		return "remote write"
	}
	return p.Scheme + "://" + p.Host + p.Path
}

// once tells an error only when it is another than the last.
func once(tell func(error)) func(error) {
	var mu sync.Mutex
	last := ""
	return func(err error) {
		mu.Lock()
		defer mu.Unlock()
		if msg := err.Error(); msg != last {
			last = msg
			tell(err)
		}
	}
}

// Handler answers /metrics; nil: it is not served.
func (m *Running) Handler() http.Handler {
	if m == nil || !m.served {
		return nil
	}
	return m.exporter.Handler()
}

// Events are what the loop tells.
func (m *Running) Events() loop.Events {
	if m == nil {
		return loop.Events{}
	}
	return m.exporter.Events()
}

// Stop sends what there is, and gives up on a server that does not take it in time. That is told and no reason to fail: what a
// run is for is done.
func (m *Running) Stop() {
	if m == nil {
		return
	}
	m.cancel()
	m.pushes.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), pushFlush)
	defer cancel()
	for target, q := range m.queues {
		if err := q.Close(ctx); err != nil {
			m.tell(fmt.Errorf("%s: %w", target, err))
		}
	}
}
