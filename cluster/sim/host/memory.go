package host

import (
	"math"

	"foresail.dev/cluster/sim/node"
)

const (
	// MeasureEvery is how often Measure is to be called, ns.
	MeasureEvery = int64(10e6)
	// remembered is how much of the CPU use that contention is reckoned from is of before: a time constant of 50 ms.
	remembered = 0.8187307530779818 // exp(-10/50)
	// noticed is the least change of a slowdown that is put into effect, as a share of the speed.
	noticed = 0.001
)

// memory is how a host's last-level cache and memory are shared. It is measured for the node as a whole, from how much CPU
// its members used in the last moments, and holds until the next time.
type memory struct {
	state    node.Contention
	measured int64 // when that was
}

// SharesMemory reports whether there is anything of the memory system to contend for.
func (h *Host) SharesMemory() bool { return h.Node.Cache > 0 || h.Node.MemoryBandwidth > 0 }

// slow is the share of a thread's time that is lost when work takes so many times as long.
func slow(slowdown float64) float64 { return 1 - 1/slowdown }

// act counts a member among those that use CPU, and rest no longer.
func (h *Host) act(m *Member) {
	m.acts = int32(len(h.active))
	h.active = append(h.active, m)
	m.CPU.Slow = slow(h.memory.state.Slowdown(m.Of))
}

func (h *Host) rest(m *Member) {
	last := h.active[len(h.active)-1]
	h.active[m.acts], last.acts = last, m.acts
	h.active = h.active[:len(h.active)-1]
	m.acts, m.using = -1, 0
}

// Measure looks at what members used since the last time, and at the contention that this makes.
func (h *Host) Measure() {
	now := h.queue.Now()
	over := float64(now - h.memory.measured)
	h.memory.measured = now
	if len(h.active) == 0 || over == 0 {
		return
	}
	h.CountTraffic()
	for i := len(h.active) - 1; i >= 0; i-- {
		m := h.active[i]
		m.using = remembered*m.using + (1-remembered)*float64(m.CPU.Total-m.measured)/over
		m.measured = m.CPU.Total
		if m.using < 1e-4 && m.runs < 0 {
			h.rest(m)
		}
	}
	h.contend()
}

// contend slows members down as their neighbours have it. One that rests learns of it when it acts.
func (h *Host) contend() {
	h.tenants = h.tenants[:0]
	for _, m := range h.active {
		h.tenants = append(h.tenants, node.Tenant{Busy: m.using, Of: m.Of})
	}
	h.memory.state = node.Contend(&h.Node, &h.pressure, h.tenants)
	for _, m := range h.active {
		s := slow(h.memory.state.Slowdown(m.Of))
		if s == m.CPU.Slow || s > 0 && math.Abs(s-m.CPU.Slow) < noticed*(1-m.CPU.Slow) {
			continue
		}
		m.CPU.Advance(h.queue.Now())
		m.CPU.Slow = s
		h.watch(m.ID)
	}
}

// CountTraffic counts what members moved from and to memory up to now, and in doing so brings their CPUs to this instant.
func (h *Host) CountTraffic() {
	for _, m := range h.cpu.running {
		m.CPU.Advance(h.queue.Now())
	}
	for _, m := range h.active {
		if d := m.CPU.Total - m.moved; d > 0 {
			m.Traffic += float64(d) * 1e-9 * h.memory.state.Traffic(m.Of)
			m.moved = m.CPU.Total
		}
	}
}
