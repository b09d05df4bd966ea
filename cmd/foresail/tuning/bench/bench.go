package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"foresail.dev"
	"foresail.dev/cluster/testbed"
	"foresail.dev/load"
)

// Cluster is one that can be stopped.
type Cluster interface {
	foresail.Cluster
	Stop() error
}

// Start starts an application as a blueprint says, with what its services' processes are told besides.
type Start func(ctx context.Context, bp *foresail.Blueprint, l *load.Load, seed uint64, processes map[foresail.ServiceID]Process) (Cluster, error)

// Process is what a real process is told when it starts.
type Process = testbed.Process

// Config says where settings are tried.
type Config struct {
	Blueprint *foresail.Blueprint
	Load      *load.Load
	Start     Start
	Fresh     bool // a cluster of its own for each setting: a simulated one takes no time to start
	Commands  []Command
	Files     []Templated

	Endpoint    foresail.EndpointID // the one that is tuned
	Percentile  float64             // 0..100, of its latency
	Percentiles []float64           // 0..100, of services' latencies

	Settle   time.Duration // in which a plan must be in effect
	Warmup   time.Duration // after that, before anything is measured
	Duration time.Duration // of a measurement
	Errors   float64       // share of failed requests from which an application counts as broken
	Silent   time.Duration // without any request after which it does
	Health   []string      // a command that fails where the application is broken; nil: none
	Timeout  time.Duration // of Health
	Every    time.Duration // how often Health is run while measuring
}

// Refusal is a setting that can't be put into effect. The application is to be set back.
type Refusal struct{ Why string }

func (r *Refusal) Error() string { return r.Why }

// Bench is a cluster on which settings are tried. It is used by one goroutine.
type Bench struct {
	cfg       Config
	cluster   Cluster
	processes variant           // what the cluster was started as
	outside   map[string]string // what commands and files were told last, by label
	generated []string          // the contents of files that were written last
}

// New is a bench whose cluster does not run yet.
func New(cfg Config) *Bench { return &Bench{cfg: cfg, outside: map[string]string{}} }

// Close stops the cluster.
func (b *Bench) Close() error {
	if b.cluster == nil {
		return nil
	}
	c := b.cluster
	b.cluster = nil
	return c.Stop()
}

// Set puts values, by label, into effect, and waits until they are. It fails with a *Refusal where they can't be: then a part of
// them may be in effect.
func (b *Bench) Set(ctx context.Context, values map[string]string, seed uint64) error {
	v, plan, err := b.split(values)
	if err != nil {
		return err
	}
	if err := b.tell(ctx, values); err != nil {
		return err
	}
	if b.cluster == nil || b.cfg.Fresh || !maps.Equal(v, b.processes) {
		if err := b.Close(); err != nil {
			return err
		}
		bp, processes := v.of(b.cfg.Blueprint)
		c, err := b.cfg.Start(ctx, bp, b.cfg.Load, seed, processes)
		if err != nil {
			if ctx.Err() == nil && len(v) > 0 {
				return &Refusal{"the application does not start: " + strings.ReplaceAll(err.Error(), "\n", "; ")}
			}
			return err
		}
		b.cluster, b.processes = c, v
	}
	if err := b.cluster.Apply(ctx, plan); err != nil {
		var refused *foresail.ApplyError
		if errors.As(err, &refused) {
			return &Refusal{b.named(refused)}
		}
		return err
	}
	return b.settle(ctx, plan)
}

// named tells each service that refused, and why.
func (b *Bench) named(e *foresail.ApplyError) string {
	var out []string
	for _, id := range slices.Sorted(maps.Keys(e.Failed)) {
		name := fmt.Sprint(id)
		if app := b.cfg.Blueprint.App; int(id) < len(app.Services) {
			name = app.Services[id].Name
		}
		out = append(out, fmt.Sprintf("%s: %v", name, e.Failed[id]))
	}
	return strings.Join(out, "; ")
}

// settle waits until every service has what the plan says.
func (b *Bench) settle(ctx context.Context, plan *foresail.Plan) error {
	var waited time.Duration
	for {
		s, err := b.next(ctx)
		if err != nil {
			return err
		}
		late := ""
		for _, c := range plan.Changes {
			if int(c.Service) >= len(s.Services) {
				continue
			}
			st := &s.Services[c.Service]
			if st.Pending != nil || st.Has.Has(foresail.SignalAllocation) && st.Allocation.Replicas != c.To.Replicas {
				late = b.cfg.Blueprint.App.Services[c.Service].Name
			}
		}
		if late == "" && !s.Stale {
			return nil
		}
		if waited += s.Duration(); waited > b.cfg.Settle {
			return &Refusal{fmt.Sprintf("%s has not come to what was asked for within %v", late, b.cfg.Settle)}
		}
	}
}

func (b *Bench) next(ctx context.Context) (*foresail.Snapshot, error) {
	s, err := b.cluster.Next(ctx)
	if errors.Is(err, io.EOF) {
		return nil, errors.New("the application's run is over")
	}
	return s, err
}
