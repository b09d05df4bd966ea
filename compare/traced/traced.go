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

// New simulates cfg for who needs so much of it, as Shaped does, and shows the calls of services as traces tell of them where that is
// what is needed (foresail.Needs.Traces): what snapshots count of services and replicas is scaled up, and a request counts when its
// trace is complete. What users see, and edges, stay as they are.
func New(cfg sim.Config, needs foresail.Needs) (foresail.Cluster, error) {
	if needs.Traces <= 0 || needs.Traces >= 1 {
		return Shaped(cfg, needs, Traces, 0)
	}
	t := &Cluster{counts: map[[2]string]*tally{}}
	cfg.TraceShare, cfg.Spans = needs.Traces, t.count
	return t.simulate(cfg, needs, shapes.Options{})
}

// Shaped simulates cfg for who needs so much of it: where foresail.SignalShapes is among that, snapshots carry shapes. They are of
// the requests that cfg traces; where it traces none, of the share that is needed, or else of as many as bring a number of traces a
// second where the load is highest. Forms is as in shapes.Options.
func Shaped(cfg sim.Config, needs foresail.Needs, traces float64, forms int) (foresail.Cluster, error) {
	if !shaped(needs) {
		return sim.New(cfg)
	}
	o := shapes.Options{Forms: forms}
	wanted := share(&cfg, traces)
	if needs.Traces > 0 {
		wanted = needs.Traces
	}
	if cfg.Spans == nil {
		cfg.TraceShare = wanted
	} else {
		o.Share = math.Min(1, wanted/cfg.TraceShare)
	}
	return (&Cluster{}).simulate(cfg, needs, o)
}

func shaped(needs foresail.Needs) bool {
	return (needs.Required | needs.Optional).Has(foresail.SignalShapes)
}

// simulate begins, with a collector between the simulation and who else wants spans where that is needed.
func (t *Cluster) simulate(cfg sim.Config, needs foresail.Needs, o shapes.Options) (foresail.Cluster, error) {
	if shaped(needs) && cfg.Blueprint != nil && cfg.Blueprint.App != nil {
		t.shapes = shapes.New(cfg.Blueprint.App, o)
		also := cfg.Spans
		cfg.Spans = func(spans []foresail.Span) {
			t.shapes.Trace(spans)
			if also != nil {
				also(spans)
			}
		}
	}
	var err error
	t.Cluster, err = sim.New(cfg)
	return t, err
}

// Traces is how many traces a second are looked at for shapes, where nothing else is said: 6,000 a minute tell the share of a form
// of 10 % to within 0.4 % of all requests, in one standard error.
const Traces = 100

// share is that of the requests which makes so many traces a second where the load is highest. Of a load of users who wait for their
// answers nothing is known but how many they are.
func share(cfg *sim.Config, traces float64) float64 {
	if cfg.Load == nil {
		return 1
	}
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
	return math.Min(1, traces/math.Max(most, 1))
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

// Next is the simulated cluster's snapshot, with shapes, and with what was counted put in the place of what is known there.
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
