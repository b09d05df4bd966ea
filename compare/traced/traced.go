// Package traced shows a simulated cluster as traces of a share of its requests would tell of it.
package traced

import (
	"context"
	"math"
	"time"

	"foresail.dev"
	"foresail.dev/cluster/sim"
	"foresail.dev/telemetry/shapes"
)

// Cluster is a simulated cluster of which a share of the requests is traced.
type Cluster struct {
	*sim.Cluster
	counts map[[2]string]*tally // by service and replica; nil: calls are not counted by traces
	shapes *shapes.Collector    // nil: nobody asks for shapes
}

// tally is what traces told since the last snapshot.
type tally struct{ requests, failed float64 }

// New simulates cfg for who needs so much of it.
//
// For a manager that counts calls by traces (foresail.Needs.Traces), what snapshots count of services and replicas is what those
// traces tell, scaled up: a request counts when its trace is complete. What users see, and edges, stay as they are.
//
// For one that reads foresail.SignalShapes, snapshots carry shapes of the share that it names, or else of as large a one as
// brings Traces traces a second where the load is highest.
//
// For others it is the simulated cluster as it is.
func New(cfg sim.Config, needs foresail.Needs) (foresail.Cluster, error) {
	counted := needs.Traces > 0 && needs.Traces < 1
	shaped := (needs.Required | needs.Optional).Has(foresail.SignalShapes)
	if !counted && !shaped {
		return sim.New(cfg)
	}
	t := &Cluster{}
	cfg.TraceShare, cfg.Spans = needs.Traces, t.spans
	if counted {
		t.counts = map[[2]string]*tally{}
	}
	if shaped {
		t.shapes = shapes.New(cfg.Blueprint.App, shapes.Options{})
		if needs.Traces == 0 {
			cfg.TraceShare = share(&cfg)
		}
	}
	var err error
	t.Cluster, err = sim.New(cfg)
	return t, err
}

// Traces is how many traces a second are looked at for shapes, where nothing else is said: 6,000 a minute tell the share of a form
// of 10 % to within 0.4 % of all requests, in one standard error.
const Traces = 100

// share is that of the requests which makes so many traces where the load is highest. Of a load of users who wait for their answers
// nothing is known but that they are so many.
func share(cfg *sim.Config) float64 {
	length, ok := cfg.Load.Length()
	if cfg.Duration > 0 && (!ok || length > cfg.Duration) {
		length, ok = cfg.Duration, true
	}
	if !ok {
		length = 24 * time.Hour
	}
	most := 0.0
	for i := range 1000 {
		most = max(most, cfg.Load.Level(length/1000*time.Duration(i)))
	}
	return math.Min(1, Traces/math.Max(most, 1))
}

// spans takes in a trace.
func (t *Cluster) spans(spans []foresail.Span) {
	if t.counts != nil {
		t.count(spans)
	}
	if t.shapes != nil {
		t.shapes.Trace(spans)
	}
}

func (t *Cluster) count(spans []foresail.Span) {
	for i := range spans {
		s := &spans[i]
		if s.Kind != foresail.KindServer {
			continue
		}
		of := t.counts[[2]string{s.Service, s.Replica}]
		if of == nil {
			of = &tally{}
			t.counts[[2]string{s.Service, s.Replica}] = of
		}
		of.requests += s.Weight
		if s.Failed {
			of.failed += s.Weight
		}
	}
}

// Next is the simulated cluster's snapshot, with what was counted put in the place of what is known there.
func (t *Cluster) Next(ctx context.Context) (*foresail.Snapshot, error) {
	s, err := t.Cluster.Next(ctx)
	if err != nil {
		return nil, err
	}
	if t.shapes != nil {
		t.shapes.SetApp(t.App())
		t.shapes.Observe(s)
	}
	if t.counts != nil {
		t.put(s)
	}
	return s, nil
}

func (t *Cluster) put(s *foresail.Snapshot) {
	app := t.App()
	for i := range s.Services {
		st := &s.Services[i]
		sum := tally{}
		for k := range st.Replicas {
			of := t.counts[[2]string{app.Services[i].Name, st.Replicas[k].Name}]
			if of == nil {
				of = &tally{}
			}
			of.put(&st.Replicas[k].Usage)
			sum.requests, sum.failed = sum.requests+of.requests, sum.failed+of.failed
		}
		sum.put(&st.Usage)
	}
	clear(t.counts)
}

func (t *tally) put(u *foresail.Usage) {
	u.Arrivals, u.Completions, u.Errors = t.requests, t.requests, t.failed
}
