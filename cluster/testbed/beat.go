package testbed

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"foresail.dev"
	"foresail.dev/cluster/testbed/wire"
)

// maxSamples is how many intervals may wait for Next; then the newest two become one.
const maxSamples = 64

// Next waits for the end of the next interval, by the machine's steady clock, which no setting of the time moves, and
// for Config.Lag more, in which the interval's last spans arrive. It returns what the observer and the cgroups tell of
// the interval. When it is called late, one interval covers what was missed. It returns io.EOF when the duration is over
// or the cluster is closed, and an error when the load generator has died.
func (c *Cluster) Next(ctx context.Context) (*foresail.Snapshot, error) {
	if c.last == 0 { // what was observed before the first interval belongs to none
		if err := c.sleep(ctx, c.origin); err != nil {
			return nil, err
		}
		c.cut(c.origin)
		c.last = c.origin
	}
	if c.cfg.Duration > 0 && c.last >= c.origin+c.cfg.Duration {
		return nil, io.EOF
	}
	var end time.Time
	err := c.until(ctx, func() bool { return len(c.samples) > 0 || c.broken != nil })
	if err == nil {
		c.mu.Lock()
		broken := c.broken
		if broken == nil {
			end = c.samples[0].End
		}
		c.mu.Unlock()
		if broken != nil {
			return nil, fmt.Errorf("testbed: %w", broken)
		}
		err = c.sleep(ctx, end.Sub(c.clock.At(0))+c.cfg.Lag)
	}
	switch {
	case ctx.Err() != nil:
		return nil, fmt.Errorf("testbed: %w", ctx.Err())
	case err != nil:
		return nil, io.EOF
	}
	measured, due := c.take()
	c.last = measured.End.Sub(c.clock.At(0))
	s := c.cut(c.last)
	overlay(s, measured)
	if c.cfg.Observer != nil {
		c.quiet.judge(s, due)
	}
	return s, nil
}

// take merges the intervals that are over; requests is how many were due in them.
func (c *Cluster) take() (s *foresail.Snapshot, requests float64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 1
	for n < len(c.samples) && !c.samples[n].End.Add(c.cfg.Lag).After(c.clock.Now()) {
		n++
	}
	over := c.samples[:n]
	c.samples = slices.Clone(c.samples[n:])
	if s = over[0]; n > 1 {
		s = foresail.Merge(over...)
	}
	epoch := c.clock.At(0)
	return s, c.quiet.due(s.Start.Sub(epoch), s.End.Sub(epoch))
}

// cut is what the observer saw up to an offset from the epoch; empty and stale where there is no observer.
func (c *Cluster) cut(end time.Duration) *foresail.Snapshot {
	var s *foresail.Snapshot
	if c.cfg.Observer != nil {
		s = c.cfg.Observer.Cut(c.clock.At(end))
	}
	if s == nil {
		s = &foresail.Snapshot{Stale: true}
	}
	for len(s.Services) < len(c.App().Services) {
		s.Services = append(s.Services, foresail.ServiceStats{})
	}
	for len(s.Endpoints) < len(c.App().Endpoints) {
		s.Endpoints = append(s.Endpoints, foresail.EndpointStats{})
	}
	return s
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

// sample measures at the end of each interval, whenever Next is called. An interval that it could not attend to, because
// the machine was busy or stood still, becomes part of the next.
func (c *Cluster) sample() {
	start, over := c.origin, c.origin+c.cfg.Duration
	if c.sleep(c.ctx, start) != nil {
		return
	}
	c.mu.Lock()
	c.measure(start, start) // forgets what was used to start
	c.mu.Unlock()
	for c.cfg.Duration == 0 || start < over {
		end := start + c.cfg.Beat
		if behind := c.clock.Elapsed() - end; behind >= c.cfg.Beat {
			end += behind.Truncate(c.cfg.Beat)
		}
		if c.cfg.Duration > 0 {
			end = min(end, over)
		}
		if c.sleep(c.ctx, end) != nil {
			return
		}
		c.mu.Lock()
		c.samples = append(c.samples, c.measure(start, end))
		if n := len(c.samples); n > maxSamples {
			c.samples = append(c.samples[:n-2], foresail.Merge(c.samples[n-2:]...))
		}
		c.notify()
		c.mu.Unlock()
		start = end
	}
}

// measure is what the parent knows of an interval that ends now. mu is held.
func (c *Cluster) measure(start, end time.Duration) *foresail.Snapshot {
	s := &foresail.Snapshot{Start: c.clock.At(start), End: c.clock.At(end), Generation: c.App().Generation, Dropped: float64(c.dropped)}
	c.dropped = 0
	s.Services = make([]foresail.ServiceStats, len(c.services))
	for i, svc := range c.services {
		svc.measure(&s.Services[i], end, !c.cfg.Agent)
	}
	return s
}

// node is the name of the one node that a testbed has.
const node = "localhost"

// What every replica has, and what its cgroup tells besides.
const (
	measured = foresail.SignalReady | foresail.SignalNetwork
	counted  = foresail.SignalCPU | foresail.SignalThrottled
)

// measure adds what its replicas used up to the interval's end, since the epoch; of their cgroups only where asked to.
func (s *service) measure(out *foresail.ServiceStats, end time.Duration, cgroups bool) {
	out.Has = measured | foresail.SignalAllocation
	if cgroups {
		out.Has |= counted | foresail.SignalMemory
		out.CPU, out.Throttled = s.gone.cpu.Seconds(), s.gone.throttled
	}
	out.NetIn, out.NetOut = s.carried.In, s.carried.Out
	s.gone.cpu, s.gone.throttled, s.carried = 0, 0, wire.Bytes{}
	for _, r := range s.replicas {
		if r.group == nil {
			continue
		}
		rs := foresail.ReplicaStats{Name: r.name, Node: node, Started: r.asked}
		rs.Has = measured
		if cgroups && !r.count(&rs, out, end) {
			continue // its end is being heard of
		}
		bytes := r.traffic.Bytes()
		carried := bytes.Sub(r.carried)
		rs.NetIn, rs.NetOut, r.carried = carried.In, carried.Out, bytes
		if r.state == ready {
			rs.Ready = 1
		}
		out.Ready += rs.Ready
		out.CPU += rs.CPU
		out.Throttled += rs.Throttled
		out.Memory += rs.Memory
		out.NetIn += rs.NetIn
		out.NetOut += rs.NetOut
		out.Replicas = append(out.Replicas, rs)
	}
	out.Allocation = foresail.Allocation{Replicas: s.held, CPU: s.cpu, Memory: s.memory, Settings: s.target.Settings}
	if !out.Allocation.Equal(s.target) {
		pending := s.target
		out.Pending = &pending
	}
}

// count adds what its cgroup tells; false when the group is gone.
func (r *replica) count(rs *foresail.ReplicaStats, out *foresail.ServiceStats, end time.Duration) bool {
	now, err := r.group.Read()
	if err != nil {
		return false
	}
	cpu, throttled := r.used.Next(now, r.cpu, end)
	rs.Has |= counted
	rs.CPU, rs.Throttled = cpu.Seconds(), throttled
	if now.Memory >= 0 {
		rs.Has |= foresail.SignalMemory
		rs.Memory = now.Memory
	} else {
		out.Has &^= foresail.SignalMemory
	}
	return true
}

// overlay adds what was measured to what was observed.
func overlay(s, m *foresail.Snapshot) {
	s.Start, s.End, s.Generation = m.Start, m.End, max(s.Generation, m.Generation)
	s.Dropped += m.Dropped
	for i := range m.Services {
		dst, src := &s.Services[i], &m.Services[i]
		lay(&dst.Usage, &src.Usage)
		dst.Allocation, dst.Pending = src.Allocation, src.Pending
		for j := range src.Replicas {
			lay(replicaOf(dst, &src.Replicas[j]), &src.Replicas[j].Usage)
		}
	}
}

// lay leaves what was not measured as it was observed.
func lay(dst, src *foresail.Usage) {
	dst.Has |= src.Has
	dst.Ready = src.Ready
	if src.Has.Has(foresail.SignalNetwork) {
		dst.NetIn, dst.NetOut = src.NetIn, src.NetOut
	}
	if src.Has.Has(counted) {
		dst.CPU, dst.CPUOver, dst.Throttled = src.CPU, src.CPUOver, src.Throttled
	}
	if src.Has.Has(foresail.SignalMemory) {
		dst.Memory = src.Memory
	}
}

func replicaOf(s *foresail.ServiceStats, r *foresail.ReplicaStats) *foresail.Usage {
	i := slices.IndexFunc(s.Replicas, func(x foresail.ReplicaStats) bool { return x.Name == r.Name })
	if i < 0 {
		i = len(s.Replicas)
		s.Replicas = append(s.Replicas, foresail.ReplicaStats{Name: r.Name})
	}
	s.Replicas[i].Started = r.Started
	if s.Replicas[i].Node == "" { // an agent knows what its node is called
		s.Replicas[i].Node = r.Node
	}
	return &s.Replicas[i].Usage
}
