package load

import (
	"context"
	"errors"
	"time"

	"foresail.dev/telemetry/agent/probe"
)

// Suspect is the service that a search is about.
type Suspect interface {
	// Observe is what became known since it was asked last: the latencies of requests that ended, seconds, and whether an
	// objective is at risk.
	Observe() (latencies []float64, atRisk bool)
}

// Loader is a Load.
type Loader interface {
	Burst(intensity float64, d time.Duration) (worked float64, err error)
	Close() error
}

// Run drives a search until it is over: it loads what the search asks for, through open, and shows it what became of the
// suspect. Whatever was opened is closed when it returns. Where a load fails, or ctx ends, nothing more is loaded.
func Run(ctx context.Context, s *probe.Search, open func(probe.Resource) (Loader, error), suspect Suspect) (err error) {
	var now Loader
	var of probe.Resource
	defer func() {
		if now != nil {
			err = errors.Join(err, now.Close())
		}
	}()
	suspect.Observe() // what was before is not of the search
	for o := (probe.Observation{At: time.Now()}); ; {
		a := s.Next(o)
		if a.Done {
			return nil
		}
		if now != nil && of != a.Resource {
			if err := now.Close(); err != nil {
				now = nil
				return err
			}
			now = nil
		}
		if now == nil {
			l, err := open(a.Resource)
			if err != nil {
				return err
			}
			now, of = l, a.Resource
			suspect.Observe() // nor what opening took of it
		}
		if a.Intensity > 0 {
			if _, err := now.Burst(a.Intensity, a.For); err != nil {
				return err
			}
		} else if err := pause(ctx, a.For); err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		o = probe.Observation{At: time.Now()}
		o.Latencies, o.AtRisk = suspect.Observe()
	}
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Lacks finds out which loads this machine has, before a search: each is opened once, and those that work on a CPU are measured
// against the victim of their own resource, on another CPU. The error that it returns of a resource is an *Unavailable.
//
// Disks and networks count where they can be opened. A single CPU shows nothing: then none is available that works on it.
func Lacks(ctx context.Context, c Config, cpus []int, progress func(done float64)) (func(probe.Resource) error, error) {
	lacks := map[probe.Resource]error{}
	p := Plan{Load: c, Victim: c, Rounds: 10, Length: 5 * time.Millisecond}
	p.Pairs = func(r, v probe.Resource) bool {
		return r == v && len(cpus) > 1 && r != probe.Disk && r != probe.Network
	}
	if len(cpus) > 1 {
		p.Victim.CPUs, p.Load.CPUs = cpus[:1], cpus[1:]
		p.Load.Threads = min(p.Load.complete().Threads, len(cpus)-1)
	}
	cells, err := Measure(ctx, p, progress)
	if err != nil {
		return nil, err
	}
	for _, r := range probe.Outwards() {
		if r == probe.Disk || r == probe.Network {
			l, err := Open(r, c)
			var u *Unavailable
			if errors.As(err, &u) {
				lacks[r] = u
			} else if err != nil {
				return nil, err
			} else if err := l.Close(); err != nil {
				return nil, err
			}
			continue
		}
		lacks[r] = &Unavailable{r, "there is one CPU: a load on it takes time, and nothing else could be told from that"}
	}
	for i := range cells {
		x := &cells[i]
		switch {
		case x.Unavailable != "":
			lacks[x.Probe] = &Unavailable{x.Probe, x.Unavailable}
		case x.Told():
			delete(lacks, x.Probe)
		default:
			lacks[x.Probe] = &Unavailable{x.Probe, notFelt(x)}
		}
	}
	return func(r probe.Resource) error { return lacks[r] }, nil
}
