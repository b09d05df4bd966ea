package bench

import (
	"context"
	"fmt"
	"slices"
	"time"

	"foresail.dev"
	"foresail.dev/sketch"
)

// Outcome is what was measured under a setting.
type Outcome struct {
	Latency  float64 // seconds, the tuned percentile of all requests, failed ones slower than any; 0: so many failed that there is none
	Slack    float64 // largest of the objectives' percentiles over their bounds; 0: no endpoint with an objective had enough requests
	Missed   string  // which objective was missed most; empty: none was
	Broken   string  // why the application counts as broken; empty: it does not
	Requests float64 // of the tuned endpoint
	Errors   float64 // of all
	Metrics  map[string]float64
	Calls    [][2]string
}

// few is below how many requests an endpoint's percentile is none.
const few = 50

// failedSlack is the slack of an objective whose percentile is a failed request.
const failedSlack = 10

// recent is over how many seconds failed requests are counted for ending a trial early.
const recent = 5

type tally struct {
	endpoints        []*sketch.Sketch
	requests, errors []float64
	services         []*sketch.Sketch
	calls            map[[2]string]bool
	seconds          float64
}

func newTally(app *foresail.App) *tally {
	t := &tally{requests: make([]float64, len(app.Endpoints)), errors: make([]float64, len(app.Endpoints)), calls: map[[2]string]bool{}}
	for range app.Endpoints {
		t.endpoints = append(t.endpoints, sketch.New())
	}
	for range app.Services {
		t.services = append(t.services, sketch.New())
	}
	return t
}

func (t *tally) add(app *foresail.App, s *foresail.Snapshot) {
	for i := range s.Endpoints {
		t.endpoints[i].Merge(s.Endpoints[i].Latency)
		t.requests[i] += s.Endpoints[i].Requests
		t.errors[i] += s.Endpoints[i].Errors
	}
	for i := range s.Services {
		t.services[i].Merge(s.Services[i].Latency)
	}
	for _, e := range s.Edges {
		if e.Calls > 0 && e.From >= 0 && e.From != e.To {
			t.calls[[2]string{app.Services[e.From].Name, app.Services[e.To].Name}] = true
		}
	}
}

// quantile is a percentile of all requests of an endpoint, failed ones being slower than any; 0: it lies among those.
func (t *tally) quantile(e int, percentile float64) float64 {
	good := t.requests[e] - t.errors[e]
	if q := percentile / 100 * t.requests[e] / max(good, 1e-9); q <= 1 && good > 0 {
		return t.endpoints[e].Quantile(q)
	}
	return 0
}

// Measure waits until the application is warm, then watches it. It ends early where the application is broken. Errors are of the
// cluster, or the context's.
func (b *Bench) Measure(ctx context.Context) (Outcome, error) {
	app := b.cfg.Blueprint.App
	var start time.Time
	var from, to time.Time
	t := newTally(app)
	ring, quiet := newRing(recent), time.Duration(0)
	health := b.cfg.Every
	for {
		s, err := b.next(ctx)
		if err != nil {
			return Outcome{}, err
		}
		if start.IsZero() {
			start = s.Start
			from, to = start.Add(b.cfg.Warmup), start.Add(b.cfg.Warmup+b.cfg.Duration)
		}
		for _, late := range s.Late {
			if !late.Start.Before(from) {
				t.add(app, late)
			}
		}
		sum, failed := 0.0, 0.0
		for i := range s.Endpoints {
			sum += s.Endpoints[i].Requests
			failed += s.Endpoints[i].Errors
		}
		if quiet += s.Duration(); sum > 0 {
			quiet = 0
		}
		if quiet >= b.cfg.Silent {
			return b.broken(t, fmt.Sprintf("no request was answered for %v", quiet)), nil
		}
		if health += s.Duration(); len(b.cfg.Health) > 0 && health >= b.cfg.Every {
			health = 0
			if err := run(ctx, b.cfg.Health, nil, b.cfg.Timeout); err != nil {
				if ctx.Err() != nil {
					return Outcome{}, ctx.Err()
				}
				return b.broken(t, "the health check fails: "+err.Error()), nil
			}
		}
		if s.Start.Before(from) {
			continue
		}
		t.add(app, s)
		t.seconds += s.Duration().Seconds()
		ring.add(s.Start, sum, failed)
		if n, bad := ring.sums(); n >= few && bad > b.cfg.Errors*n {
			return b.broken(t, fmt.Sprintf("%.0f of %.0f requests failed within %d s", bad, n, recent)), nil
		}
		if !s.End.Before(to) {
			return b.outcome(t), nil
		}
	}
}

func (b *Bench) broken(t *tally, why string) Outcome {
	out := b.outcome(t)
	out.Broken = why
	return out
}

func (b *Bench) outcome(t *tally) Outcome {
	app := b.cfg.Blueprint.App
	out := Outcome{Metrics: map[string]float64{}, Requests: t.requests[b.cfg.Endpoint]}
	for i := range app.Endpoints {
		out.Errors += t.errors[i]
		o := app.Endpoints[i].Objective
		if o == nil || t.requests[i] < few {
			continue
		}
		over := float64(failedSlack)
		if q := t.quantile(i, o.Percentile); q > 0 {
			over = q / o.Latency.Seconds()
		}
		if over > out.Slack {
			out.Slack = over
			if over > 1 {
				out.Missed = fmt.Sprintf("%s misses %s", app.Endpoints[i].Name, o)
			}
		}
	}
	if out.Requests < few {
		out.Broken = fmt.Sprintf("only %.0f requests of %s ended", out.Requests, app.Endpoints[b.cfg.Endpoint].Name)
	} else if out.Latency = t.quantile(int(b.cfg.Endpoint), b.cfg.Percentile); out.Latency == 0 && out.Missed == "" {
		out.Missed = fmt.Sprintf("more of %s fails than its percentile leaves", app.Endpoints[b.cfg.Endpoint].Name)
	}
	for i := range app.Services {
		if t.services[i].Count() < few {
			continue
		}
		for _, p := range b.cfg.Percentiles {
			out.Metrics[fmt.Sprintf("%s:p%g", app.Services[i].Name, p)] = t.services[i].Quantile(p / 100)
		}
	}
	for c := range t.calls {
		out.Calls = append(out.Calls, c)
	}
	slices.SortFunc(out.Calls, func(a, b [2]string) int { return slices.Compare(a[:], b[:]) })
	return out
}

// ring counts over the last few seconds.
type ring struct {
	span time.Duration
	at   []time.Time
	n    []float64
	bad  []float64
}

func newRing(seconds int) *ring { return &ring{span: time.Duration(seconds) * time.Second} }

func (r *ring) add(at time.Time, n, bad float64) {
	r.at, r.n, r.bad = append(r.at, at), append(r.n, n), append(r.bad, bad)
	for at.Sub(r.at[0]) >= r.span {
		r.at, r.n, r.bad = r.at[1:], r.n[1:], r.bad[1:]
	}
}

func (r *ring) sums() (n, bad float64) {
	for i := range r.n {
		n += r.n[i]
		bad += r.bad[i]
	}
	return n, bad
}
