package receive

import (
	"time"

	"foresail.dev"
	"foresail.dev/telemetry/agent/wire"
)

// gauges are the fields that are levels, not counts.
const gauges = 1<<wire.Memory | 1<<wire.Backlog | 1<<wire.BacklogLimit | 1<<wire.Unread | 1<<wire.UnreadBytes | 1<<wire.Busy | 1<<wire.Runnable

// share is the k-th of several equal parts of a sample. What doesn't divide goes to the last.
func share(s *wire.Sample, k, parts, length int64) wire.Sample {
	out := *s
	if parts == 1 {
		return out
	}
	for i, v := range &s.Value {
		if gauges&(1<<i) != 0 {
			continue
		}
		out.Value[i] = v / parts
		if k == parts-1 {
			out.Value[i] += v % parts
		}
	}
	out.Value[wire.CPUOver] = min(out.Value[wire.CPUOver], length/parts)
	return out
}

// join adds a share of another beat to one that a cell has.
func (x *reported) join(b *wire.Beat, k, parts int64) {
	add(&x.sample, &b.Node, k, parts, b.Length)
	j := 0
	for i := range b.Containers {
		for j < len(x.samples) && x.samples[j].Index < b.Containers[i].Index {
			j++
		}
		if j < len(x.samples) && x.samples[j].Index == b.Containers[i].Index {
			add(&x.samples[j], &b.Containers[i], k, parts, b.Length)
		}
	}
}

func add(to, s *wire.Sample, k, parts, length int64) {
	v := share(s, k, parts, length)
	to.Has |= v.Has
	for i := range to.Value {
		if gauges&(1<<i) != 0 {
			to.Value[i] = v.Value[i]
		} else {
			to.Value[i] = min(to.Value[i]+v.Value[i], wire.MaxValue)
		}
	}
}

// usage is a sample in the words of snapshots.
func usage(s *wire.Sample) foresail.Usage {
	v := &s.Value
	level := func(n int64) foresail.Gauge {
		g := float64(n)
		return foresail.Gauge{Last: g, Mean: g, Max: g}
	}
	u := foresail.Usage{
		Has: s.Has, CPU: float64(v[wire.CPU]) * 1e-9, CPUOver: time.Duration(v[wire.CPUOver]), Throttled: time.Duration(v[wire.Throttled]),
		Memory: v[wire.Memory], NetIn: v[wire.NetIn], NetOut: v[wire.NetOut],
		DiskRead: v[wire.DiskRead], DiskWritten: v[wire.DiskWritten], IOWait: time.Duration(v[wire.IOWait]),
		CPUPressure: time.Duration(v[wire.CPUPressure]), MemoryPressure: time.Duration(v[wire.MemoryPressure]), IOPressure: time.Duration(v[wire.IOPressure]),
		Retransmits: float64(v[wire.Retransmits]), CacheMisses: float64(v[wire.CacheMisses]),
	}
	if s.Has.Has(foresail.SignalQueue) {
		u.Queue = level(v[wire.Backlog] + v[wire.Unread])
	}
	if s.Has.Has(foresail.SignalInFlight) {
		u.InFlight = level(v[wire.Backlog] + v[wire.Busy])
	}
	return u
}

// plus adds the usage of a replica to a sum over replicas.
func plus(sum, u *foresail.Usage) {
	sum.Add(u)
	sum.Memory += u.Memory
	sum.CPUOver = max(sum.CPUOver, u.CPUOver)
	for _, g := range [...]struct{ to, from *foresail.Gauge }{{&sum.Queue, &u.Queue}, {&sum.InFlight, &u.InFlight}} {
		g.to.Last += g.from.Last
		g.to.Mean += g.from.Mean
		g.to.Max += g.from.Max
	}
}
