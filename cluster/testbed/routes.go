package testbed

import (
	"context"
	"fmt"
	"time"

	"foresail.dev/cluster/testbed/wire"
)

// publish makes a new routing table of the replicas that are ready and sends it to every process. It returns the
// table's version. mu is held.
func (c *Cluster) publish() int {
	r := &wire.Routes{Version: c.routes.Version + 1, Addresses: make([][]string, len(c.services))}
	for i, s := range c.services {
		for _, x := range s.replicas {
			if x.state == ready {
				r.Addresses[i] = append(r.Addresses[i], x.address)
			}
		}
	}
	c.routes = r
	c.each(func(p *process) { p.send(wire.ToChild{Routes: r}) })
	return r.Version
}

// known reports whether every process that may call others uses a routing table at least this new. One that has used
// none yet serves nobody, so it calls nobody. mu is held.
func (c *Cluster) known(version int) bool {
	all := true
	c.each(func(p *process) { all = all && (p.acked >= version || p.acked == 0 && p != c.users) })
	return all
}

// each hands over every process that lives and was told what to be. mu is held.
func (c *Cluster) each(f func(*process)) {
	for _, s := range c.services {
		for _, r := range s.replicas {
			if r.proc != nil && r.proc.booted && r.proc.alive() {
				f(r.proc)
			}
		}
	}
	if c.users != nil && c.users.alive() {
		f(c.users)
	}
}

// within waits until done, called with mu held, is true, or d has passed.
func (c *Cluster) within(d time.Duration, done func() bool) bool {
	ctx, cancel := context.WithTimeout(c.ctx, d)
	defer cancel()
	return c.until(ctx, done) == nil
}

// hear takes a message of a replica.
func (c *Cluster) hear(r *replica, p *process, m wire.ToParent) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if m.Ready != "" {
		r.address = m.Ready
	}
	if m.Metrics != "" {
		r.metrics = m.Metrics
	}
	c.heard(p, m)
}

// heard takes what all processes may say. mu is held.
func (c *Cluster) heard(p *process, m wire.ToParent) {
	p.acked = max(p.acked, m.Ack)
	if m.Fault != "" {
		p.fault = m.Fault
		if c.started { // before, New's error says it
			c.logf("%s: %s", p.name, m.Fault)
		}
	}
	if m.Dropped > 0 {
		c.dropped += m.Dropped - c.lost[p.name]
		c.lost[p.name] = m.Dropped
	}
	c.notify()
}

// hearUsers takes a message of the users.
func (c *Cluster) hearUsers(p *process, m wire.ToParent) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if m.Figures != nil {
		c.figures = *m.Figures
	}
	c.heard(p, m)
}

// Broken is why the run can't go on; nil while it can. Next says it as well, to whoever observes by it.
func (c *Cluster) Broken() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.broken != nil {
		return fmt.Errorf("testbed: %w", c.broken)
	}
	return nil
}

// usersEnded is called when the users' process has ended. It is not started again: a run without its load is no run.
func (c *Cluster) usersEnded(p *process) {
	c.mu.Lock()
	defer c.mu.Unlock()
	defer c.notify()
	if c.closing || c.figures.Final {
		return
	}
	if c.broken == nil {
		c.broken = fmt.Errorf("the load generator ended: %w", p.death())
	}
}
