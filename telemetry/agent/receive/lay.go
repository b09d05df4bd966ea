package receive

import (
	"slices"
	"time"

	"foresail.dev"
	"foresail.dev/telemetry/agent/wire"
)

// better are the signals that spans tell better: where a snapshot has them, they are left as they are.
const better = foresail.SignalInFlight

// Lay adds to a snapshot of app, which covers whole beats, what agents reported of its interval, and to its Late what they reported since of
// earlier ones. Snapshots come in the order of time. What the snapshot has of in-flight requests stays.
func (r *Receiver) Lay(s *foresail.Snapshot, app *foresail.App) {
	r.mu.Lock()
	defer r.mu.Unlock()
	from, to := cellOf(s.Start.UnixNano()), cellOf(s.End.UnixNano())
	if to <= from {
		return
	}
	index := services(app)
	known := app.Services
	var parts []*foresail.Snapshot
	for i := from; i < to; i++ {
		parts = append(parts, r.part(i, to, index, len(known)))
	}
	sum := parts[0]
	if len(parts) > 1 {
		sum = foresail.Merge(parts...)
	}
	for len(s.Services) < len(known) {
		s.Services = append(s.Services, foresail.ServiceStats{})
	}
	for i := range sum.Services {
		lay(&s.Services[i], &sum.Services[i])
	}
	if len(sum.Nodes) > 0 {
		s.Nodes, s.Has = sum.Nodes, s.Has|foresail.SignalNodes
	}
	r.late(s, from, to, index, len(known))
	r.cut, r.started = max(r.cut, to), true
	for i, c := range r.cells {
		if i < to-revisions {
			r.drop(i, c)
		}
	}
}

func (r *Receiver) drop(at int64, c *cell) {
	for _, x := range c.reports {
		r.samples -= len(x.samples)
	}
	delete(r.cells, at)
}

func services(app *foresail.App) map[string]int {
	index := make(map[string]int, len(app.Services))
	for i := range app.Services {
		index[app.Services[i].Name] = i
	}
	return index
}

// span is a beat's interval.
func span(at int64) (start, end time.Time) {
	start = time.Unix(0, at*int64(beat)).UTC()
	return start, start.Add(beat)
}

// part is what was reported of one beat.
func (r *Receiver) part(at, now int64, index map[string]int, n int) *foresail.Snapshot {
	out := &foresail.Snapshot{Services: make([]foresail.ServiceStats, n)}
	out.Start, out.End = span(at)
	c := r.cells[at]
	if c == nil {
		return out
	}
	for _, x := range c.reports {
		r.tell(x, out, index)
	}
	r.sums(c, now, out, index)
	c.fresh = false
	return out
}

// tell adds a node's report: the node, and its replicas.
func (r *Receiver) tell(x *reported, out *foresail.Snapshot, index map[string]int) {
	x.taken = true
	n := foresail.NodeStats{Name: x.node.name, Usage: usage(&x.sample), DiskBusy: time.Duration(x.sample.Value[wire.DiskBusy])}
	if n.Has.Has(foresail.SignalRunnable) {
		g := float64(x.sample.Value[wire.Runnable]) / 1000
		n.Runnable = foresail.Gauge{Last: g, Mean: g, Max: g}
	}
	out.Nodes = append(out.Nodes, n)
	out.Has |= foresail.SignalNodes
	for i := range x.samples {
		s := &x.samples[i]
		service, ok := r.service(x.table, int(s.Index), index)
		if !ok {
			r.stats.Unknown++
			continue
		}
		addReplica(&out.Services[service], x, s)
	}
}

// service is whose a container is.
func (r *Receiver) service(t *table, i int, index map[string]int) (int, bool) {
	if t.services[i] == "" && r.cfg.Names != nil {
		if service, replica, ok := r.cfg.Names.Name(&t.containers[i]); ok {
			t.services[i], t.replicas[i] = wire.Clip(service), wire.Clip(replica)
		}
	}
	k, ok := index[t.services[i]]
	return k, ok && t.services[i] != ""
}

// addReplica adds a container; several of one name are one replica.
func addReplica(s *foresail.ServiceStats, x *reported, sample *wire.Sample) {
	u := usage(sample)
	name, c := x.table.replicas[sample.Index], &x.table.containers[sample.Index]
	if name == "" {
		name = c.ID
	}
	if k := slices.IndexFunc(s.Replicas, func(r foresail.ReplicaStats) bool { return r.Name == name }); k >= 0 {
		s.Replicas[k].Has |= u.Has
		plus(&s.Replicas[k].Usage, &u)
		return
	}
	rs := foresail.ReplicaStats{Name: name, Node: x.node.name, Usage: u}
	if c.Started > 0 {
		rs.Started = time.Unix(0, c.Started).UTC()
	}
	s.Replicas = append(s.Replicas, rs)
}

// sums adds the sums of services of which every node has reported. What all replicas have, the sum has.
func (r *Receiver) sums(c *cell, now int64, out *foresail.Snapshot, index map[string]int) {
	missing := map[int]bool{}
	for _, n := range r.nodes {
		if n.table == nil || now-n.newest > awaited || slices.ContainsFunc(c.reports, func(x *reported) bool { return x.node == n }) {
			continue
		}
		for i := range n.table.containers {
			if k, ok := r.service(n.table, i, index); ok {
				missing[k] = true
			}
		}
	}
	whole := &foresail.Snapshot{Services: make([]foresail.ServiceStats, len(out.Services))}
	for _, x := range c.reports {
		for i := range x.samples {
			if k, ok := r.service(x.table, int(x.samples[i].Index), index); ok && !missing[k] && !c.told[k] {
				addReplica(&whole.Services[k], x, &x.samples[i])
			}
		}
	}
	if c.told == nil {
		c.told = map[int]bool{}
	}
	c.pending = false
	for _, x := range c.reports {
		for i := range x.samples {
			if k, ok := r.service(x.table, int(x.samples[i].Index), index); ok && missing[k] && !c.told[k] {
				c.pending = true
			}
		}
	}
	for k := range whole.Services {
		s := &whole.Services[k]
		if len(s.Replicas) == 0 || c.told[k] {
			continue
		}
		c.told[k] = true
		has := foresail.SignalsAll
		for j := range s.Replicas {
			has &= s.Replicas[j].Has
			plus(&s.Usage, &s.Replicas[j].Usage)
		}
		out.Services[k].Usage = only(&s.Usage, has)
	}
}

// amend adds a report that came after the sums of its services were told without it, since its node was taken for dead. That CPU was
// observed then is known already.
func (r *Receiver) amend(c *cell, x *reported, out *foresail.Snapshot, index map[string]int) {
	for i := range x.samples {
		if k, ok := r.service(x.table, int(x.samples[i].Index), index); ok && c.told[k] {
			u := usage(&x.samples[i])
			s := &out.Services[k]
			s.Has |= u.Has &^ (foresail.SignalCPU | foresail.SignalThrottled)
			plus(&s.Usage, &u)
			s.CPUOver = 0
		}
	}
}

// only leaves of a usage what some signals say.
func only(u *foresail.Usage, has foresail.Signals) foresail.Usage {
	out := *u
	out.Has = has
	if !has.Has(foresail.SignalCPU) {
		out.CPU, out.CPUOver, out.Throttled = 0, 0, 0
	}
	if !has.Has(foresail.SignalMemory) {
		out.Memory = 0
	}
	if !has.Has(foresail.SignalNetwork) {
		out.NetIn, out.NetOut = 0, 0
	}
	if !has.Has(foresail.SignalQueue) {
		out.Queue = foresail.Gauge{}
	}
	if !has.Has(foresail.SignalInFlight) {
		out.InFlight = foresail.Gauge{}
	}
	if !has.Has(foresail.SignalDisk) {
		out.DiskRead, out.DiskWritten, out.IOWait = 0, 0, 0
	}
	if !has.Has(foresail.SignalPressure) {
		out.CPUPressure, out.MemoryPressure, out.IOPressure = 0, 0, 0
	}
	if !has.Has(foresail.SignalRetransmits) {
		out.Retransmits = 0
	}
	if !has.Has(foresail.SignalCacheMisses) {
		out.CacheMisses = 0
	}
	return out
}

// late tells what came since for earlier beats.
func (r *Receiver) late(s *foresail.Snapshot, from, to int64, index map[string]int, n int) {
	for at := to - revisions; at < from; at++ {
		c := r.cells[at]
		if c == nil || !r.started || !c.fresh && !c.pending {
			continue
		}
		out := &foresail.Snapshot{Services: make([]foresail.ServiceStats, n)}
		out.Start, out.End = span(at)
		for _, x := range c.reports {
			if !x.taken {
				r.amend(c, x, out, index)
				r.tell(x, out, index)
			}
		}
		r.sums(c, to, out, index)
		if c.fresh = false; revises(out) {
			s.Late = append(s.Late, out)
		}
	}
}

// revises prepares a late addition: gauges that an addition can't change are left out. It is false when nothing is left.
func revises(s *foresail.Snapshot) bool {
	any := len(s.Nodes) > 0
	strip := func(u *foresail.Usage) {
		u.Has &^= foresail.SignalMemory | better
		u.Memory, u.InFlight = 0, foresail.Gauge{}
		any = any || u.Has != 0
	}
	for i := range s.Nodes {
		strip(&s.Nodes[i].Usage)
	}
	for i := range s.Services {
		strip(&s.Services[i].Usage)
		for j := range s.Services[i].Replicas {
			strip(&s.Services[i].Replicas[j].Usage)
		}
	}
	return any
}

// lay adds what agents reported of a service.
func lay(dst, src *foresail.ServiceStats) {
	over(&dst.Usage, &src.Usage)
	for j := range src.Replicas {
		x := &src.Replicas[j]
		k := slices.IndexFunc(dst.Replicas, func(d foresail.ReplicaStats) bool { return d.Name == x.Name })
		if k < 0 {
			k = len(dst.Replicas)
			dst.Replicas = append(dst.Replicas, foresail.ReplicaStats{Name: x.Name, Started: x.Started})
		}
		d := &dst.Replicas[k]
		d.Node = x.Node
		if d.Started.IsZero() {
			d.Started = x.Started
		}
		over(&d.Usage, &x.Usage)
	}
}

// over writes what agents reported over a usage. It has nothing of it yet but in flight, where spans tell.
func over(dst, src *foresail.Usage) {
	if !dst.Has.Has(foresail.SignalInFlight) && src.Has.Has(foresail.SignalInFlight) {
		dst.InFlight = src.InFlight
	}
	dst.Has |= src.Has
	dst.Add(src)
	if src.Has.Has(foresail.SignalCPU) {
		dst.CPUOver = src.CPUOver
	}
	if src.Has.Has(foresail.SignalMemory) {
		dst.Memory = src.Memory
	}
	if src.Has.Has(foresail.SignalQueue) {
		dst.Queue = src.Queue
	}
}
