package agent

import (
	"path/filepath"
	"strconv"
	"time"

	"foresail.dev"
	"foresail.dev/telemetry/agent/cgroup"
	"foresail.dev/telemetry/agent/node"
	"foresail.dev/telemetry/agent/perf"
	"foresail.dev/telemetry/agent/wire"
)

// container is one group that is looked at.
type container struct {
	key             int // for as long as the agent runs
	path            string
	dir             string // of its group, where its processes are listed
	pid             int    // one of its processes; 0: none is known
	what            wire.Container
	unsure          bool // what it is could not be told for certain
	gone            bool
	age             int  // seconds that it was looked at, begun anywhere, so that not all containers take long in the same one
	seen            bool // sample holds something
	drowsy, skipped bool // it did next to nothing at the last look; it was not looked at in this beat

	group *cgroup.Group
	meter cgroup.Meter
	cores float64       // quota; 0: none
	used  time.Duration // CPU time in the last beat
	perf  *perf.Counter

	memory                                    int64
	read, written, ioWait                     node.Counter
	cpuStalled, memoryStalled, ioStalled      node.Counter
	dev, snmp                                 *cgroup.File // of its network namespace, where that is its own
	in, out, resent                           node.Counter
	counting                                  bool    // resent was read once
	traffic                                   traffic // of its network namespace, as read last
	placed                                    bool    // it was tried to find its network namespace
	space                                     *space
	backlog, limit, unread, unreadBytes, busy int64
	listening                                 bool // somebody of it listens
	connections                               bool // what is known of connections is new enough
	sample                                    wire.Sample
}

// slowest is how many seconds apart the numbers are read that the kernel takes long to tell.
const slowest = 5

func (c *container) close() {
	if c.group != nil {
		c.group.Close()
		c.group = nil
	}
	c.perf.Close()
	c.dev.Close()
	c.snmp.Close()
	c.dev, c.snmp = nil, nil
}

// calm is how much CPU time the group may have used in all, for that to be less than half of its quota in this beat and
// the one before together, and so in any period that ended in this one: it can hardly have been throttled. The kernel's
// counts miss nothing: they are read in the next beat that is not calm, and each second.
func (c *container) calm() time.Duration {
	return c.meter.Total() - c.used + time.Duration(c.cores*float64(cgroup.Period)/2)
}

// beat reads what each beat tells; false when the group is gone. All of it where whole is true.
func (c *container) beat(now, length time.Duration, whole bool, buf []byte) bool {
	c.sample = wire.Sample{}
	c.seen, c.skipped = false, false
	if c.group == nil {
		return false
	}
	calm := time.Duration(-1)
	if !whole {
		calm = c.calm()
	}
	stats, err := c.group.CPU(buf, calm)
	if err != nil {
		c.gone = true
		return false
	}
	cpu, throttled := c.meter.Next(stats, c.cores, now)
	c.used = cpu
	c.drowsy = cpu < drowsy && throttled == 0
	c.seen = true
	c.sample.Has = beatSignals
	c.sample.Value[wire.CPU] = max(int64(cpu), 0)
	c.sample.Value[wire.Throttled] = min(int64(throttled), int64(length))
	return true
}

// second reads what each second tells.
func (c *container) second(buf []byte, disks cgroup.Disks) {
	if c.seen {
		c.slow(buf, disks, &c.sample)
	}
}

// slow reads the slow numbers, into into where that is not nil.
func (c *container) slow(buf []byte, disks cgroup.Disks, into *wire.Sample) {
	var none wire.Sample
	if into == nil {
		into = &none
	}
	v := c.group.Slow(buf, disks, c.age%slowest == 0)
	c.age++
	c.cores = v.Cores
	if c.memory = v.Memory; v.Memory >= 0 {
		into.Has |= foresail.SignalMemory
		into.Value[wire.Memory] = v.Memory
	}
	count := func(signal foresail.Signals, f wire.Field, k *node.Counter, v int64) {
		if d, ok := k.Next(v); ok {
			into.Has |= signal
			into.Value[f] = d
		}
	}
	count(foresail.SignalDisk, wire.DiskRead, &c.read, v.Read)
	count(foresail.SignalDisk, wire.DiskWritten, &c.written, v.Written)
	count(foresail.SignalPressure, wire.CPUPressure, &c.cpuStalled, int64(v.CPUPressure))
	count(foresail.SignalPressure, wire.MemoryPressure, &c.memoryStalled, int64(v.MemoryPressure))
	count(foresail.SignalPressure, wire.IOPressure, &c.ioStalled, int64(v.IOPressure))
	if wait := v.IOWait; wait >= 0 {
		count(foresail.SignalDisk, wire.IOWait, &c.ioWait, int64(wait))
	} else {
		into.Value[wire.IOWait] = into.Value[wire.IOPressure]
	}
	c.network(buf, into)
	if c.perf != nil {
		if n, ok := c.perf.Next(); ok {
			into.Has |= foresail.SignalCacheMisses
			into.Value[wire.CacheMisses] = n
		}
	}
}

// network reads what its network namespace counted. Where no byte has left it since the last second, no segment was sent
// again, and the kernel's longer file is not read.
func (c *container) network(buf []byte, into *wire.Sample) {
	if c.dev == nil {
		return
	}
	text, err := c.dev.Text(buf)
	if err != nil {
		c.unplug()
		return
	}
	c.traffic = trafficOf(text)
	in, out := node.Bytes(text, nil)
	received, ok := c.in.Next(in)
	sent, _ := c.out.Next(out)
	if ok {
		into.Has |= foresail.SignalNetwork
		into.Value[wire.NetIn], into.Value[wire.NetOut] = received, sent
	}
	if c.snmp == nil {
		return
	}
	if c.counting && sent == 0 {
		into.Has |= foresail.SignalRetransmits
		return
	}
	if text, err := c.snmp.Text(buf); err == nil {
		if n, ok := c.resent.Next(node.Retransmits(text)); ok {
			into.Has |= foresail.SignalRetransmits
			into.Value[wire.Retransmits] = n
		}
		c.counting = true
	}
}

// plug opens the network numbers of its namespace, through one of its processes.
func (c *container) plug(proc string) {
	if c.dev != nil || c.pid == 0 {
		return
	}
	of := filepath.Join(proc, strconv.Itoa(c.pid), "net")
	c.dev, _ = cgroup.Open(filepath.Join(of, "dev"))
	c.snmp, _ = cgroup.Open(filepath.Join(of, "snmp"))
	c.in, c.out, c.resent, c.counting = node.Counter{}, node.Counter{}, node.Counter{}, false
}

func (c *container) unplug() {
	c.dev.Close()
	c.snmp.Close()
	c.dev, c.snmp, c.traffic = nil, nil, 0
}

// queues adds what its sockets told.
func (c *container) queues() {
	if !c.listening {
		return
	}
	v := &c.sample.Value
	c.sample.Has |= foresail.SignalQueue
	v[wire.Backlog], v[wire.BacklogLimit] = c.backlog, c.limit
	if c.connections {
		c.sample.Has |= foresail.SignalInFlight
		v[wire.Unread], v[wire.UnreadBytes], v[wire.Busy] = c.unread, c.unreadBytes, c.busy
	}
}
