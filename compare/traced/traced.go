// Package traced shows a simulated cluster as traces of a share of its requests would tell of it.
package traced

import (
	"context"

	"foresail.dev"
	"foresail.dev/cluster/sim"
)

// Cluster is a simulated cluster of which a share of the requests is traced, for a manager that counts calls by traces
// (foresail.Needs.Traces). What its snapshots count of services and replicas is what those traces tell, scaled up: a request
// counts when its trace is complete. What users see, and edges, stay as they are.
type Cluster struct {
	*sim.Cluster
	counts map[[2]string]*tally // by service and replica
}

// tally is what traces told since the last snapshot.
type tally struct{ requests, failed float64 }

// New simulates cfg; share is that of the requests that are traced.
func New(cfg sim.Config, share float64) (*Cluster, error) {
	t := &Cluster{counts: map[[2]string]*tally{}}
	cfg.TraceShare, cfg.Spans = share, t.count
	var err error
	t.Cluster, err = sim.New(cfg)
	return t, err
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
	return s, nil
}

func (t *tally) put(u *foresail.Usage) {
	u.Arrivals, u.Completions, u.Errors = t.requests, t.requests, t.failed
}
