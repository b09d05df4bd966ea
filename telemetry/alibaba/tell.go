package alibaba

import (
	"slices"
	"time"

	"foresail.dev"
	"foresail.dev/telemetry/source"
)

// finish tells all minutes, and what is absent.
func (t *tables) finish() error {
	if t.shares {
		t.c.Note("cores and bytes are absent: use is given as a share, and the data does not say of what (--container-cores and others)")
	}
	if t.scaled {
		t.c.Note("requests are absent: rates are scaled to 0..1, and the data does not say from what (--call-rate)")
	}
	return t.tell(len(t.minutes))
}

// tell gives the earliest n minutes to the collector, in order.
func (t *tables) tell(n int) error {
	order := make([]int64, 0, len(t.minutes))
	for i := range t.minutes {
		order = append(order, i)
	}
	slices.Sort(order)
	for _, i := range order[:n] {
		m := t.minutes[i]
		delete(t.minutes, i)
		t.cells -= len(m.services) + len(m.nodes)
		t.told = max(t.told, i+1)
		if err := t.c.AddSnapshot(t.app, t.snapshot(i, m)); err != nil {
			return source.Stop(err)
		}
	}
	return nil
}

func (t *tables) snapshot(i int64, m *minute) *foresail.Snapshot {
	start := t.o.Epoch.Add(time.Duration(i) * interval).UTC()
	s := &foresail.Snapshot{Start: start, End: start.Add(interval), Services: make([]foresail.ServiceStats, len(t.app.Services))}
	for k := range m.services {
		c := &m.services[k]
		st := &s.Services[k]
		st.Usage = c.usage(t.o.ContainerCores, t.o.ContainerMemory, float64(c.rows))
		st.Ready = int(c.rows)
		if st.Has.Has(foresail.SignalCPU) {
			st.Has |= foresail.SignalAllocation
			st.Allocation = foresail.Allocation{Replicas: int(c.rows), CPU: t.o.ContainerCores, Memory: int64(t.o.ContainerMemory)}
		}
	}
	for k := range m.nodes {
		c := &m.nodes[k]
		u := c.usage(t.o.NodeCores, t.o.NodeMemory, 1)
		if u.Has&^foresail.SignalReady == 0 {
			continue
		}
		u.Has &^= foresail.SignalReady
		s.Nodes = append(s.Nodes, foresail.NodeStats{Name: t.nodeOf[k], Usage: u})
		s.Has |= foresail.SignalNodes
	}
	return s
}

// usage is a cell in cores and bytes, where it is known of what its shares are. Rows are summed for a service; those of a
// node, which may be told twice a minute, are averaged over n = 1.
func (c *cell) usage(cores, memory, n float64) foresail.Usage {
	u := foresail.Usage{Has: c.has, Arrivals: c.calls, Completions: c.calls}
	if c.rows > 0 {
		scale := n / float64(c.rows)
		u.CPU = c.cpu * scale * cores * interval.Seconds()
		u.Memory = int64(c.memory * scale * memory)
	}
	if cores <= 0 {
		u.Has &^= foresail.SignalCPU
	}
	if memory <= 0 {
		u.Has &^= foresail.SignalMemory
	}
	return u
}
