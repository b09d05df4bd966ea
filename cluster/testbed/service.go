package testbed

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"foresail.dev"
	"foresail.dev/cluster/testbed/cgroup"
	replicas "foresail.dev/cluster/testbed/replica"
	"foresail.dev/cluster/testbed/wire"
	groups "foresail.dev/telemetry/agent/cgroup"
)

// Limits of a replica's life.
const (
	readyLimit   = 30 * time.Second // from its start to its being ready, start delay left out
	ackLimit     = 2 * time.Second  // for callers to learn that it leaves
	endLimit     = 5 * time.Second  // from the end of its draining to its own; then it is killed
	firstBackoff = 100 * time.Millisecond
	maxBackoff   = 10 * time.Second
	healthy      = 10 * time.Second // a replica that lived so long clears its service's failures
)

// state is where a replica is in its life.
type state uint8

const (
	starting state = iota
	ready          // callers know of it
	draining       // callers don't know of it any more; it finishes what it has
)

// service is one service's replicas, and what they should be. Guarded by Cluster.mu.
type service struct {
	id       foresail.ServiceID
	target   foresail.Allocation                    // what was asked for
	cpu      float64                                // the quota in effect, cores per replica
	memory   int64                                  // the limit in effect, bytes per replica; 0: none
	replicas []*replica                             // oldest first
	held     int                                    // replicas in effect: those ready, and those that died and are replaced
	named    int                                    // replicas so far
	failures int                                    // replicas that died one after the other
	resting  bool                                   // no replica is started until the back-off is over
	gone     struct{ cpu, throttled time.Duration } // of replicas that ended, not yet told to a snapshot
	carried  wire.Bytes                             // received and sent by them
}

// replica is one replica as the parent sees it. Guarded by Cluster.mu.
type replica struct {
	name    string
	state   state
	proc    *process // nil until it is started
	group   cgroup.Group
	address string
	metrics string       // where it serves metrics; empty: nowhere
	asked   time.Time    // steady time at which it was asked for
	since   time.Time    // steady time at which it became ready
	cpu     float64      // the quota written; 0: none yet
	memory  int64        // the limit written; 0: none yet
	used    groups.Meter // as the last snapshot told
	traffic *wire.Traffic
	carried wire.Bytes // as the last snapshot told
}

func (s *service) count(st state) (n int) {
	for _, r := range s.replicas {
		if r.state == st {
			n++
		}
	}
	return n
}

// reconcile moves a service towards its target: it starts what is missing; once enough are ready it drains
// what is too much and lowers the quotas of the others, so that nothing shrinks before its replacement is there. mu is held.
func (c *Cluster) reconcile(s *service) {
	if c.closing {
		return
	}
	defer c.notify()
	for n := s.count(starting) + s.count(ready); n < s.target.Replicas && !s.resting; n++ {
		c.launch(s)
	}
	surplus := s.count(starting) + s.count(ready) - s.target.Replicas
	for _, r := range slices.Backward(s.replicas) { // the newest first: those that start before those that work
		if surplus > 0 && r.state == starting && r.proc != nil {
			r.state = draining
			r.proc.kill()
			surplus--
		}
	}
	if s.count(ready) < s.target.Replicas {
		return
	}
	s.held = s.target.Replicas
	for i, surplus := len(s.replicas)-1, s.count(ready)-s.target.Replicas; i >= 0 && surplus > 0; i-- {
		if s.replicas[i].state == ready {
			c.drain(s.replicas[i])
			surplus--
		}
	}
	if s.target.CPU != s.cpu || s.target.Memory != s.memory {
		if err := c.limit(s, s.target.Replicas, s.target.CPU, s.target.Memory); err != nil {
			c.logf("%s: %v", c.nameOf(s), err)
		}
	}
}

// settled reports whether every service has what it should. mu is held.
func (c *Cluster) settled() bool {
	for _, s := range c.services {
		if s.count(ready) != s.target.Replicas {
			return false
		}
	}
	return true
}

// launch starts one more replica in the background. mu is held.
func (c *Cluster) launch(s *service) {
	cold := c.started
	r := &replica{name: fmt.Sprintf("%s-%d", fileName(c.nameOf(s), s.id), s.named), asked: c.clock.Now()}
	r.used = groups.StartMeter(cgroup.Stats{}, r.asked.Sub(c.clock.At(0)))
	s.named++
	s.replicas = append(s.replicas, r)
	c.wait.Go(func() {
		if err := c.run(s, r, cold); err != nil {
			c.mu.Lock()
			defer c.mu.Unlock()
			if r.proc == nil { // otherwise its end is heard of by itself
				c.bury(s, r, err)
			} else {
				r.proc.fault = err.Error()
				r.proc.kill()
			}
		}
	})
}

// run starts a replica's process, puts it into its cgroup before it does any work, and waits until it is ready and its
// start delay is over.
func (c *Cluster) run(s *service, r *replica, cold bool) error {
	group, err := c.enclose(s, r)
	if err != nil {
		return err
	}
	traffic, page, err := wire.NewTraffic()
	if err != nil {
		return err
	}
	defer page.Close()
	c.mu.Lock()
	r.traffic = traffic
	c.mu.Unlock()
	p, err := c.spawn(roleReplica, r.name,
		func(p *process, m wire.ToParent) { c.hear(r, p, m) },
		func(p *process) { c.ended(s, r, p) }, page)
	if err != nil {
		return err
	}
	c.mu.Lock()
	r.proc = p
	closing := c.closing
	if err = group.Add(p.cmd.Process.Pid); err == nil && !closing {
		p.send(wire.ToChild{Boot: c.boot(s, r, cold)})
		p.send(wire.ToChild{Routes: c.routes})
		p.booted = true
	}
	c.mu.Unlock()
	if err != nil || closing {
		p.kill()
		return err
	}
	patience := time.NewTimer(readyLimit)
	defer patience.Stop()
	version := -1
	for {
		c.mu.Lock()
		if version < 0 {
			version = c.routes.Version
		}
		up, changed := r.address != "" && p.acked >= version, c.changed
		c.mu.Unlock()
		if up {
			break
		}
		select {
		case <-changed:
		case <-p.exited:
			return nil
		case <-patience.C:
			return fmt.Errorf("not ready after %v", readyLimit)
		}
	}
	if cold {
		delay := time.NewTimer(c.cfg.Blueprint.Services[s.id].Start - c.clock.Now().Sub(r.asked))
		defer delay.Stop()
		select {
		case <-delay.C:
		case <-p.exited:
			return nil
		case <-c.ctx.Done():
			return nil
		}
	}
	c.admit(s, r)
	return nil
}

// enclose makes a replica's cgroup with its service's limits.
func (c *Cluster) enclose(s *service, r *replica) (cgroup.Group, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closing {
		return nil, errClosed
	}
	group, err := c.hierarchy.Make(c.cfg.CgroupRoot + "/" + r.name)
	if err != nil {
		return nil, err
	}
	r.group = group
	return group, c.limitOne(r, s.cpu, s.memory)
}

// procs is how many threads of a replica compute at once: more than this machine has cores, and than requests compute in one
// replica unless it is overloaded, so that the kernel shares the cores among them, and one is left for the network.
const procs = 16

// gcPercent is how much a replica's heap may grow until it is collected: heaps are small, since the memory that an application uses
// is outside of them.
const gcPercent = 400

// boot is what a replica is told to be.
func (c *Cluster) boot(s *service, r *replica, cold bool) *wire.Boot {
	procs, gc := procs, gcPercent
	if p := c.cfg.Processes[s.id]; p != (Process{}) {
		procs, gc = cmp.Or(p.Procs, procs), cmp.Or(p.GCPercent, gc)
	}
	return &wire.Boot{
		Blueprint: c.cfg.Blueprint, Service: s.id, Name: r.name, Seed: c.cfg.Seed, OTLP: c.cfg.OTLP, InFlight: c.cfg.InFlight, Dir: c.dir,
		Epoch: c.cfg.Epoch, Cold: cold, Admitted: r.asked.Add(c.cfg.Blueprint.Services[s.id].Start).Sub(c.clock.At(0)), Procs: procs, GCPercent: gc, Traffic: firstInherited,
		Metrics: c.exporter != nil, Contend: c.cfg.Contend,
	}
}

// admit lets callers know of a replica.
func (c *Cluster) admit(s *service, r *replica) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if r.state != starting || !r.proc.alive() {
		return
	}
	r.state, r.since = ready, c.clock.Now()
	if c.started {
		c.discover()
	}
	s.held = max(s.held, s.count(ready))
	if c.started {
		c.publish()
	}
	c.reconcile(s)
}

// drain takes a replica out of the routes and ends it when every caller knows, and it has finished. mu is held.
func (c *Cluster) drain(r *replica) {
	r.state = draining
	version, p := c.publish(), r.proc
	c.wait.Go(func() {
		if !c.within(ackLimit, func() bool { return c.known(version) }) {
			c.logf("%s leaves, though not every caller has said that it knows", r.name)
		}
		p.send(wire.ToChild{Drain: true})
		select {
		case <-p.exited:
		case <-c.ctx.Done():
		case <-time.After(replicas.DrainLimit + endLimit):
			c.logf("%s has not ended %v after it should have: killed", r.name, endLimit)
			p.kill()
		}
	})
}

// ended is called when a replica's process has ended, for whatever reason.
func (c *Cluster) ended(s *service, r *replica, p *process) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if r.proc == nil {
		r.proc = p // it ended before run could note it
	}
	c.bury(s, r, p.death())
}

// bury removes a replica that is no more, keeps what it used, and sees to its replacement. mu is held.
func (c *Cluster) bury(s *service, r *replica, why error) {
	s.replicas = slices.DeleteFunc(s.replicas, func(x *replica) bool { return x == r })
	delete(c.lost, r.name)
	if c.started {
		c.discover()
	}
	last := r.traffic.Bytes().Sub(r.carried)
	s.carried.In += last.In
	s.carried.Out += last.Out
	r.traffic.Close()
	r.traffic = nil
	if r.group != nil {
		if now, err := r.group.Read(); err == nil {
			cpu, throttled := r.used.Next(now, r.cpu, c.clock.Elapsed())
			s.gone.cpu += cpu
			s.gone.throttled += throttled
		}
		c.wait.Go(func() {
			if err := r.group.Remove(); err != nil && c.ctx.Err() == nil {
				c.logf("%v", err)
			}
		})
	}
	if r.state == ready && !c.closing {
		c.publish()
	}
	defer c.notify()
	if r.state == draining || c.closing {
		return
	}
	if !c.started && c.broken == nil {
		c.broken = fmt.Errorf("%s: %w", r.name, why)
		return
	}
	c.logf("%s ended: %v", r.name, why)
	if !r.since.IsZero() && c.clock.Now().Sub(r.since) >= healthy {
		s.failures = 0
	}
	s.resting = true
	backoff := min(firstBackoff<<min(s.failures, 20), maxBackoff)
	s.failures++
	c.wait.Go(func() {
		select {
		case <-time.After(backoff):
		case <-c.ctx.Done():
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		s.resting = false
		c.reconcile(s)
	})
}

func (c *Cluster) nameOf(s *service) string { return c.App().Services[s.id].Name }

// fileName makes a service's name usable as a file's. Names that had to be changed get the service's number, so that no
// two become the same.
func fileName(name string, id foresail.ServiceID) string {
	safe := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_' {
			return r
		}
		return '_'
	}, name)
	if safe != name {
		safe = fmt.Sprintf("%s_%d", safe, id)
	}
	return safe
}
