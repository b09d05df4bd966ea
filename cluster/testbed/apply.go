package testbed

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"foresail.dev"
	"foresail.dev/cluster/testbed/cgroup"
)

// Write is a limit that was written to a cgroup and read back.
type Write struct {
	At      time.Time // steady time
	Replica string
	Path    string // the control file
	Value   string
	Initial bool // written for the first allocation, not for a plan
}

// maxWrites is how many writes are kept; the oldest are dropped.
const maxWrites = 10_000

// Writes are the limits that were written to cgroups, oldest first.
func (c *Cluster) Writes() []Write {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]Write(nil), c.writes...)
}

// Apply states what should be. Quotas that rise are written at once; replicas start and drain in the background, and
// what shrinks does so when its replacement is ready. A service whose allocation is outside its bounds, or whose limits
// can't be written, is reported in a foresail.ApplyError; the others are done. The context is not waited on.
func (c *Cluster) Apply(_ context.Context, p *foresail.Plan) error {
	if p == nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closing {
		return fmt.Errorf("testbed: apply: %w", errClosed)
	}
	failed := map[foresail.ServiceID]error{}
	for _, change := range p.Changes {
		if err := c.ask(change.Service, change.To); err != nil {
			failed[change.Service] = err
		}
	}
	if len(failed) > 0 {
		return &foresail.ApplyError{Failed: failed}
	}
	return nil
}

// ask changes one service. mu is held.
func (c *Cluster) ask(id foresail.ServiceID, to foresail.Allocation) error {
	if id < 0 || int(id) >= len(c.services) {
		return fmt.Errorf("there is no service %d", id)
	}
	s := c.services[id]
	if to.Replicas < 1 {
		return fmt.Errorf("%s: %d replicas: ask for at least 1", c.nameOf(s), to.Replicas)
	}
	if to.Memory == 0 {
		to.Memory = s.target.Memory
	}
	if to.Settings == nil {
		to.Settings = s.target.Settings
	}
	if !maps.Equal(to.Settings, s.target.Settings) {
		return fmt.Errorf("%s: settings can't be changed in the testbed", c.nameOf(s))
	}
	if _, bound := c.App().Services[id].Bounds.Clamp(to); bound != "" {
		return fmt.Errorf("%s: %v is outside its bounds: %s", c.nameOf(s), to, bound)
	}
	if to.CPU < cgroup.MinCores { // or it would be found out only when it is written, perhaps much later
		return fmt.Errorf("%s: %g cores per replica are less than the kernel can limit it to: ask for at least %g", c.nameOf(s), to.CPU, cgroup.MinCores)
	}
	// What rises does so now; all of it does when enough replicas are ready.
	cpu, memory := max(to.CPU, s.cpu), max(to.Memory, s.memory)
	if s.count(ready) >= to.Replicas {
		cpu, memory = to.CPU, to.Memory
	}
	if cpu != s.cpu || memory != s.memory {
		if err := c.limit(s, to.Replicas, cpu, memory); err != nil {
			return errors.Join(err, c.limit(s, to.Replicas, s.cpu, s.memory)) // some replicas may have been changed
		}
	}
	s.target = to
	c.reconcile(s)
	return nil
}

// limit writes a service's limits to the cgroups of its replicas. Those that drain keep what they had, and so do the ready
// ones that are about to because only so many, the oldest, stay. mu is held.
func (c *Cluster) limit(s *service, stay int, cpu float64, memory int64) error {
	for _, r := range s.replicas {
		if r.state == ready {
			stay--
		}
		if r.group != nil && r.state != draining && (r.state != ready || stay >= 0) {
			if err := c.limitOne(r, cpu, memory); err != nil {
				return fmt.Errorf("%s: %w", r.name, err)
			}
		}
	}
	s.cpu, s.memory = cpu, memory
	return nil
}

// limitOne writes what changes of one replica's limits. mu is held.
func (c *Cluster) limitOne(r *replica, cpu float64, memory int64) error {
	if cpu != r.cpu {
		w, err := r.group.SetCPU(cpu)
		if err != nil {
			return err
		}
		r.cpu = cpu
		c.record(r, w.Path, w.Value)
	}
	if memory != r.memory {
		w, err := r.group.SetMemory(memory)
		if err != nil {
			return err
		}
		r.memory = memory
		c.record(r, w.Path, w.Value)
	}
	return nil
}

func (c *Cluster) record(r *replica, path, value string) {
	if len(c.writes) == maxWrites {
		c.writes = append(c.writes[:0], c.writes[1:]...)
	}
	c.writes = append(c.writes, Write{At: c.clock.Now(), Replica: r.name, Path: path, Value: value, Initial: !c.started})
}
