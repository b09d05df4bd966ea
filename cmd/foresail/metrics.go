package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"time"

	"foresail.dev/loop"
	expose "foresail.dev/telemetry/prom/export"
	"foresail.dev/telemetry/prom/write"
)

// Of a remote write: how often, and how long the end waits for what is still to be sent.
const (
	defaultPush = 15 * time.Second
	pushFlush   = 5 * time.Second
)

// metricsRun is what shows and sends metrics while a job runs. A nil one does nothing.
type metricsRun struct {
	exporter *expose.Exporter
	cancel   context.CancelFunc
	pushes   sync.WaitGroup
	queues   map[string]*write.Queue // by target
	tell     func(error)
}

// startMetrics begins to gather metrics, and to send them where the configuration says.
func (r *job) startMetrics() (*metricsRun, error) {
	if !r.metrics.Enabled && len(r.writes) == 0 {
		return nil, nil
	}
	ctx, cancel := context.WithCancel(context.Background())
	m := &metricsRun{cancel: cancel, queues: map[string]*write.Queue{}, tell: func(err error) { fmt.Fprintln(r.err, err) }, exporter: expose.New(expose.Config{App: r.app, Manager: r.manager.Name(), Mode: r.mode, Hold: r.hold(),
		Replicas: r.metrics.Replicas, Limit: r.metrics.Limit})}
	if r.bed != nil {
		m.exporter.Add(expose.Spans(r.bed.assembler.Stats))
		m.exporter.Add(r.bed.receiverHealth)
	}
	for i := range r.writes {
		w := &r.writes[i]
		c, err := w.client()
		if err != nil {
			m.stop()
			return nil, usage(err)
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
	}
	return m, nil
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
		if msg := message(err); msg != last {
			last = msg
			tell(err)
		}
	}
}

func (m *metricsRun) handler() http.Handler {
	if m == nil {
		return nil
	}
	return m.exporter.Handler()
}

func (m *metricsRun) events() loop.Events {
	if m == nil {
		return loop.Events{}
	}
	return m.exporter.Events()
}

// stop sends what there is, and gives up on a server that does not take it in time. That is told and no reason to fail: what a
// run is for is done.
func (m *metricsRun) stop() {
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

// receiverHealth is what became of requests to the receiver of spans.
func (b *bed) receiverHealth(emit func(name string, v float64, labels ...string)) {
	r := b.receiver.Stats()
	for outcome, n := range map[string]uint64{"taken": r.Requests, "malformed": r.Malformed, "busy": r.Busy, "slow": r.Slow, "foreign": r.Foreign} {
		emit("foresail_receiver_requests_total", float64(n), outcome)
	}
	emit("foresail_receiver_bytes_total", float64(r.Bytes))
}
