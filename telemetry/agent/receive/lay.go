package receive

import (
	"slices"
	"time"

	"foresail.dev"
	"foresail.dev/telemetry/agent/wire"
	"foresail.dev/telemetry/frames"
)

// better are the signals that spans tell better: where a snapshot has them, they are left as they are.
const better = foresail.SignalInFlight

// Lay adds to a snapshot of app, which covers whole beats, what agents reported of its interval, and to its Late what
// they reported since of earlier ones. Snapshots come in the order of time. What the snapshot has of in-flight requests
// stays.
func (r *Receiver) Lay(s *foresail.Snapshot, app *foresail.App) {
	r.mu.Lock()
	defer r.mu.Unlock()
	from, to := cellOf(s.Start.UnixNano()), cellOf(s.End.UnixNano())
	if to <= from {
		return
	}
	if app != r.app {
		r.app, r.index = app, services(app)
	}
	known := app.Services
	var parts []*foresail.Snapshot
	for i := from; i < to; i++ {
		parts = append(parts, r.part(i, to, len(known)))
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
	r.late(s, from, to, len(known))
	r.cut, r.started = max(r.cut, to), true
	r.forget()
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
func (r *Receiver) part(at, now int64, n int) *foresail.Snapshot {
	out := &foresail.Snapshot{Services: make([]foresail.ServiceStats, n)}
	out.Start, out.End = span(at)
	c := r.cells[at]
	if c == nil {
		return out
	}
	for _, x := range c.reports {
		r.tell(x, out)
	}
	r.sums(c, now, out, true)
	c.fresh = false
	return out
}

// tell adds a node's report: the node, and its replicas.
func (r *Receiver) tell(x *reported, out *foresail.Snapshot) {
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
		service, ok := r.service(x.table, int(s.Index))
		if !ok {
			r.stats.Unknown++
			continue
		}
		addReplica(&out.Services[service], x, s)
	}
}

// service is whose a container is, by its number.
func (r *Receiver) service(t *table, i int) (int, bool) {
	if t.app != r.app || t.open {
		r.resolve(t)
	}
	return int(t.ids[i]), t.ids[i] >= 0
}

// resolve finds the services of a table's containers, once for each application; those of pods that nobody knows yet
// again and again.
func (r *Receiver) resolve(t *table) {
	if t.app == r.app && t.at == r.cut {
		return
	}
	t.app, t.at, t.open = r.app, r.cut, false
	t.ids = slices.Grow(t.ids[:0], len(t.containers))[:len(t.containers)]
	for i := range t.containers {
		if t.services[i] == "" && r.cfg.Names != nil {
			service, replica, ok := r.cfg.Names.Name(&t.containers[i])
			if t.open = t.open || !ok; ok {
				t.services[i], t.replicas[i] = frames.Clip(service), frames.Clip(replica)
			}
		}
		t.ids[i] = -1
		if k, ok := r.index[t.services[i]]; ok && t.services[i] != "" {
			t.ids[i] = int32(k)
		}
	}
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

// sums adds the sums of services of which every node has reported. What all replicas have, the sum has. all says that
// out holds every report of the cell.
func (r *Receiver) sums(c *cell, now int64, out *foresail.Snapshot, all bool) {
	missing := r.missing(c, now)
	whole := out
	if !all {
		whole = &foresail.Snapshot{Services: make([]foresail.ServiceStats, len(out.Services))}
	}
	c.pending = false
	for _, x := range c.reports {
		for i := range x.samples {
			k, ok := r.service(x.table, int(x.samples[i].Index))
			switch {
			case !ok || c.told[k]:
			case missing[k]:
				c.pending = true
			case !all:
				addReplica(&whole.Services[k], x, &x.samples[i])
			}
		}
	}
	if c.told == nil {
		c.told = map[int]bool{}
	}
	for k := range whole.Services {
		s := &whole.Services[k]
		if len(s.Replicas) == 0 || c.told[k] || missing[k] {
			continue
		}
		c.told[k] = true
		has := foresail.SignalsAll
		var sum foresail.Usage
		for j := range s.Replicas {
			has &= s.Replicas[j].Has
			plus(&sum, &s.Replicas[j].Usage)
		}
		out.Services[k].Usage = only(&sum, has)
	}
}

// missing are the services of which a node that lives has not reported the cell's beat.
func (r *Receiver) missing(c *cell, now int64) map[int]bool {
	var missing map[int]bool
	for _, n := range r.nodes {
		if n.table == nil || now-n.newest > awaited || slices.ContainsFunc(c.reports, func(x *reported) bool { return x.node == n }) {
			continue
		}
		for i := range n.table.containers {
			if k, ok := r.service(n.table, i); ok {
				if missing == nil {
					missing = map[int]bool{}
				}
				missing[k] = true
			}
		}
	}
	return missing
}

// amend adds a report that came after the sums of its services were told without it, since its node was taken for dead.
// That CPU was observed then is known already.
func (r *Receiver) amend(c *cell, x *reported, out *foresail.Snapshot) {
	for i := range x.samples {
		if k, ok := r.service(x.table, int(x.samples[i].Index)); ok && c.told[k] {
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
func (r *Receiver) late(s *foresail.Snapshot, from, to int64, n int) {
	for at := to - revisions; at < from; at++ {
		c := r.cells[at]
		if c == nil || !r.started || !c.fresh && !c.pending {
			continue
		}
		out := &foresail.Snapshot{Services: make([]foresail.ServiceStats, n)}
		out.Start, out.End = span(at)
		for _, x := range c.reports {
			if !x.taken {
				r.amend(c, x, out)
				r.tell(x, out)
			}
		}
		r.sums(c, to, out, false)
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
