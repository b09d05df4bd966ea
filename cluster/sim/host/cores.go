package host

import (
	"math"

	"foresail.dev/cluster/sim/cfs"
	"foresail.dev/cluster/sim/des"
	"foresail.dev/cluster/sim/node"
)

// divideEvery is how often the cores of a contended host are divided anew at least: the tick of a kernel at 250 Hz.
const divideEvery = int64(4e6)

// cores is how a host's cores are shared. While there are no more runnable threads than cores it costs two counters. Once
// there are, the cores are divided at the present instant, and again when the number of runnable threads has changed by an
// eighth of the cores, when it falls to the number of cores, and each divideEvery. In between, replicas keep what they
// were given, so that for moments some more than all cores may be used, or fewer; what was used too much is taken off what
// is divided next.
type cores struct {
	running []*Member // with a runnable thread
	threads int64     // runnable, those that wait for quota included
	all     int64     // in parts of 1/cfs.Core
	left    int64     // by antagonists
	level   float64   // each member has min(level × weight, left); +Inf while there is no contention
	when    int64     // threads when the cores were last divided
	at      int64     // when that was
	spent   int64     // ns of CPU since
	debt    int64     // ns of CPU used too much
	event   des.Event
	armed   des.Handle // of that event, which is scheduled while there is contention
}

// contended reports whether there are more runnable threads than cores.
func (c *cores) contended() bool { return c.threads*cfs.Core > c.left }

// step is a change of the number of threads that counts.
func (c *cores) step() int64 { return c.left/(8*cfs.Core) + 1 }

// given is how much a member has.
func (c *cores) given(m *Member) int64 {
	if v := c.level * m.Weight * float64(cfs.Core); v < float64(c.left) {
		return max(int64(v+0.5), 1)
	}
	return c.left
}

// spend counts what a member used since it was last counted.
func (c *cores) spend(m *Member) {
	c.spent += m.CPU.Total - m.counted
	m.counted = m.CPU.Total
}

// Begin is called when a member has one runnable thread more, which its CPU knows of.
func (h *Host) Begin(m *Member) {
	c := &h.cpu
	h.seen.runnable.add(h.queue.Now(), 1)
	c.threads++
	if m.runs < 0 {
		m.runs = int32(len(c.running))
		c.running = append(c.running, m)
		m.CPU.Cores = c.given(m)
		m.counted = m.CPU.Total
		if m.acts < 0 {
			h.act(m)
		}
	}
	if c.contended() && h.Node.Cores > 0 && (c.armed == des.None || c.threads-c.when >= c.step()) {
		h.Divide()
	}
}

// End is called when it has one less.
func (h *Host) End(m *Member) {
	c := &h.cpu
	h.seen.runnable.add(h.queue.Now(), -1)
	c.threads--
	if m.CPU.Threads() == 0 {
		c.spend(m)
		last := c.running[len(c.running)-1]
		c.running[m.runs], last.runs = last, m.runs
		c.running = c.running[:len(c.running)-1]
		m.runs = -1
	}
	if c.armed != des.None && (!c.contended() || c.when-c.threads >= c.step()) {
		h.Divide()
	}
}

// Tick divides the cores when the event has come.
func (h *Host) Tick() {
	h.cpu.armed = des.None
	h.Divide()
}

// Divide divides the cores among the members that run, as cgroups do by weight.
func (h *Host) Divide() {
	c, now := &h.cpu, h.queue.Now()
	h.shares = h.shares[:0]
	for _, m := range c.running {
		m.CPU.Advance(now)
		c.spend(m)
		busy := float64(m.CPU.Threads())
		if m.CPU.Waits() {
			busy = 0
		}
		h.shares = append(h.shares, node.Share{Busy: busy, Weight: m.Weight})
	}
	c.debt = max(c.debt+c.spent-(now-c.at)*c.left/cfs.Core, 0)
	c.spent, c.at, c.when = 0, now, c.threads
	c.level = math.Inf(1)
	contended := c.contended() && h.Node.Cores > 0
	if contended {
		left := float64(c.left) / float64(cfs.Core)
		c.level = node.Level(max(left-float64(c.debt)/float64(divideEvery), left/2), h.shares)
	}
	for _, m := range c.running {
		if given := c.given(m); given != m.CPU.Cores {
			m.CPU.Cores = given
			h.watch(m.ID)
		}
	}
	switch {
	case !contended && c.armed != des.None:
		h.queue.Cancel(c.armed)
		c.armed = des.None
	case contended && c.armed == des.None:
		c.armed = h.queue.At(now+divideEvery, c.event)
	}
}
