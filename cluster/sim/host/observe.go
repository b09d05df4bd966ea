package host

import (
	"time"

	"foresail.dev"
	"foresail.dev/cluster/sim/node"
)

// seen is what an agent on a host counts beside what its members do, since the last observation.
type seen struct {
	runnable       gauge
	sent, received int64 // bytes over the link
	disk           int64 // ns
}

// gauge is a count that goes up and down.
type gauge struct{ n, max, area, at int64 }

func (g *gauge) add(now, d int64) {
	g.area += g.n * (now - g.at)
	g.at = now
	g.n += d
	g.max = max(g.max, g.n)
}

// Counters are what only agents with hardware counters see.
const Counters = foresail.SignalCacheMisses | foresail.SignalMemoryTraffic

// What is always seen of a node, and of it alone.
const always = foresail.SignalCPU | foresail.SignalMemory | foresail.SignalDisk | foresail.SignalRetransmits | foresail.SignalRunnable

// Observe tells what an agent sees of the node over the last so many nanoseconds: what its members did, as used says, and
// what antagonists do, without telling one from the other. The network is told where the sizes of all messages are known.
func (h *Host) Observe(over int64, used *foresail.Usage, sized bool) foresail.NodeStats {
	g, seconds := &h.seen.runnable, float64(over)*1e-9
	g.add(h.queue.Now(), 0)
	antagonist := h.pressure.Of(node.CPU) * float64(h.Node.Cores)
	s := foresail.NodeStats{Name: h.Node.Name, Usage: foresail.Usage{Has: always, CPU: used.CPU + antagonist*seconds, Memory: used.Memory,
		DiskRead: used.DiskRead, DiskWritten: used.DiskWritten, IOWait: used.IOWait, Retransmits: used.Retransmits}}
	s.Runnable = foresail.Gauge{Last: float64(g.n) + antagonist, Mean: float64(g.area)/float64(over) + antagonist, Max: float64(g.max) + antagonist}
	if sized {
		through := int64(h.pressure.Of(node.Network) * h.Node.Network * seconds)
		s.Has |= foresail.SignalNetwork
		s.NetIn, s.NetOut = h.seen.received+through, h.seen.sent+through
	}
	taken := h.pressure.Of(node.Disk) * seconds
	s.DiskRead += int64(taken * h.Node.Disk)
	s.DiskBusy = time.Duration(h.seen.disk) + time.Duration(taken*float64(len(h.disks))*1e9)
	if h.Node.Counters {
		s.Has |= Counters
		s.MemoryTraffic = used.MemoryTraffic + h.pressure.Of(node.MemoryBandwidth)*h.Node.MemoryBandwidth*seconds
		s.CacheMisses = s.MemoryTraffic / node.Line
	}
	g.area, g.max = 0, g.n
	h.seen = seen{runnable: *g}
	return s
}
