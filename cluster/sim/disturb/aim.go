package disturb

import (
	"math"
	"slices"

	"foresail.dev/cluster/sim/host"
	"foresail.dev/cluster/sim/program"
	"foresail.dev/fault"
)

// aim finds what a fault hits, by the names that there are when it begins.
func (t *Troubles) aim(f *trouble) {
	f.service = t.serviceByName(f.ServiceName())
	if f.Operation != "" {
		ops := t.cfg.Simulation.Version(f.service).Ops
		f.op = int32(slices.IndexFunc(t.program.Ops[ops.From:ops.To], func(op program.Operation) bool { return op.Name == f.Operation }))
	}
	if f.From != "" {
		from, to := t.serviceByName(f.From), t.serviceByName(f.To)
		f.edge = t.program.EdgeBetween(from, to)
		if f.Kind == fault.BlockingCycle {
			f.service = to
			cpu := f.Length
			if cpu == 0 {
				cpu = fault.DefaultCallback
			}
			f.call = t.program.CallBack(f.edge, to, from, int64(cpu))
		}
	}
	switch {
	case f.Kind == fault.NodeLost:
	case f.Node != "":
		f.presses = []int32{t.hostByName(f.Node)}
	case f.Kind.Contention() && len(t.cfg.Hosts) > 0: // the nodes of the replicas that there are now
		for _, id := range t.chosen(f) {
			if h := t.cfg.Simulation.Replica(id).Host; !slices.Contains(f.presses, h) {
				f.presses = append(f.presses, h)
			}
		}
	}
}

func (t *Troubles) serviceByName(name string) int32 {
	id, ok := t.app.ServiceByName(name)
	if !ok {
		return -1
	}
	return int32(id)
}

func (t *Troubles) hostByName(name string) int32 {
	return int32(slices.IndexFunc(t.cfg.Hosts, func(h *host.Host) bool { return h.Node.Name == name }))
}

// chosen lists the replicas that a fault hits when it begins.
func (t *Troubles) chosen(f *trouble) []int32 {
	out := t.cfg.Simulation.Running(f.service)
	if f.Replica != "" {
		out = slices.DeleteFunc(out, func(id int32) bool { return t.cfg.Simulation.Replica(id).Name != f.Replica })
	}
	if f.Share == 0 {
		return out
	}
	rnd := f.rnd
	for i := range out { // the first of a random order
		k := i + int(rnd.Float()*float64(len(out)-i))
		out[i], out[k] = out[k], out[i]
	}
	return out[:int(ceil(f.Share*float64(len(out))))]
}

// Join lets a replica that is new be hit by what goes on.
func (t *Troubles) Join(id int32) {
	r := t.cfg.Simulation.Replica(id)
	for _, i := range t.ongoing {
		f := &t.list[i]
		if f.service != r.Service || len(f.presses) > 0 || f.Replica != "" {
			continue
		}
		if f.Kind == fault.BadRelease && t.cfg.Simulation.Version(r.Service).Bad != i+1 {
			continue
		}
		if f.Share > 0 && float64(len(f.hits)) >= ceil(f.Share*float64(len(t.cfg.Simulation.Running(f.service)))) {
			continue
		}
		t.hit(i, id)
		t.tell(i, f, fault.Spreads, r.Name)
	}
}

// ceil rounds up, but for what arithmetic has added to a whole number.
func ceil(v float64) float64 { return math.Ceil(v - 1e-9) }
