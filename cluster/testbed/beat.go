package testbed

import (
	"context"
	"io"
	"slices"
	"time"

	"foresail.dev"
	"foresail.dev/cluster/testbed/cgroup"
)

// Next waits for the end of the next interval on the machine's steady clock, which no setting of the time moves, and
// returns what the observer and the cgroups tell of it. When it is called late, one interval covers what was missed. It
// returns io.EOF when the duration is over or the cluster is closed.
func (c *Cluster) Next(ctx context.Context) (*foresail.Snapshot, error) {
	start, err := c.begin(ctx)
	if err != nil {
		return nil, err
	}
	end := start + c.cfg.Beat
	if behind := c.clock.Elapsed() - end; behind >= c.cfg.Beat {
		end += behind.Truncate(c.cfg.Beat)
	}
	if limit := c.origin + c.cfg.Duration; c.cfg.Duration > 0 && end > limit {
		if end = limit; end <= start {
			return nil, io.EOF
		}
	}
	if err := c.sleep(ctx, end); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closing {
		return nil, io.EOF
	}
	c.last = end
	return c.snapshot(start, end), nil
}

// begin is where the next interval starts. Before the first, it waits for the origin and forgets what came before.
func (c *Cluster) begin(ctx context.Context) (time.Duration, error) {
	if c.last == 0 {
		if err := c.sleep(ctx, c.origin); err != nil {
			return 0, err
		}
		c.mu.Lock()
		c.snapshot(c.origin, c.origin)
		c.mu.Unlock()
		c.last = c.origin
	}
	return c.last, nil
}

// sleep waits until an offset from the epoch.
func (c *Cluster) sleep(ctx context.Context, until time.Duration) error {
	timer := time.NewTimer(until - c.clock.Elapsed())
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-c.ctx.Done():
		return io.EOF
	}
}

// snapshot adds what the cgroups tell to what the observer saw. mu is held.
func (c *Cluster) snapshot(start, end time.Duration) *foresail.Snapshot {
	var s *foresail.Snapshot
	if c.cfg.Observer != nil {
		s = c.cfg.Observer.Cut(c.clock.At(end))
	}
	if s == nil {
		s = &foresail.Snapshot{Stale: true}
	}
	s.Start, s.End, s.Generation = c.clock.At(start), c.clock.At(end), c.App().Generation
	s.Dropped += float64(c.dropped)
	c.dropped = 0
	for len(s.Services) < len(c.services) {
		s.Services = append(s.Services, foresail.ServiceStats{})
	}
	for len(s.Endpoints) < len(c.App().Endpoints) {
		s.Endpoints = append(s.Endpoints, foresail.EndpointStats{})
	}
	for i, svc := range c.services {
		c.observe(svc, &s.Services[i])
	}
	return s
}

// observe fills in what the parent knows of one service.
func (c *Cluster) observe(s *service, out *foresail.ServiceStats) {
	out.Has |= foresail.SignalReady | foresail.SignalCPU | foresail.SignalThrottled | foresail.SignalAllocation
	out.Ready, out.Memory = 0, 0
	out.CPU, out.Throttled = s.gone.CPU.Seconds(), s.gone.Throttled
	s.gone = cgroup.Stats{}
	memory := true
	for _, r := range s.replicas {
		if r.group == nil {
			continue
		}
		now, err := r.group.Read()
		if err != nil {
			continue // it is being removed
		}
		rs := replicaOf(out, r.name)
		rs.Node, rs.Started = node, r.since
		rs.Has |= foresail.SignalReady | foresail.SignalCPU | foresail.SignalThrottled
		rs.CPU, rs.Throttled = (now.CPU - r.seen.CPU).Seconds(), now.Throttled-r.seen.Throttled
		if r.state == ready {
			rs.Ready = 1
		}
		if now.Memory >= 0 {
			rs.Has |= foresail.SignalMemory
			rs.Memory = now.Memory
		}
		memory = memory && now.Memory >= 0
		out.Ready += rs.Ready
		out.CPU += rs.CPU
		out.Throttled += rs.Throttled
		out.Memory += rs.Memory
		r.seen = now
	}
	if memory {
		out.Has |= foresail.SignalMemory
	}
	out.Allocation = foresail.Allocation{Replicas: s.held, CPU: s.cpu, Memory: s.memory, Settings: s.target.Settings}
	if !out.Allocation.Equal(s.target) {
		pending := s.target
		out.Pending = &pending
	}
}

// node is the name of the one node that a testbed has.
const node = "localhost"

func replicaOf(s *foresail.ServiceStats, name string) *foresail.ReplicaStats {
	i := slices.IndexFunc(s.Replicas, func(r foresail.ReplicaStats) bool { return r.Name == name })
	if i < 0 {
		i = len(s.Replicas)
		s.Replicas = append(s.Replicas, foresail.ReplicaStats{Name: name})
	}
	return &s.Replicas[i]
}
