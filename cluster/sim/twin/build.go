package twin

import (
	"math"

	"foresail.dev"
)

// builder writes the blueprint.
type builder struct {
	f       *forest
	targets []foresail.Target // by operation
	in      *Input
}

func (f *forest) build(in *Input, b *bins) *foresail.Blueprint {
	out := &foresail.Blueprint{App: in.App, Services: make([]foresail.ServiceBlueprint, len(in.App.Services)), Overhead: f.solveOverhead()}
	w := &builder{f: f, in: in, targets: make([]foresail.Target, len(f.ops))}
	for id := range out.Services {
		if id < len(in.Limits) {
			out.Services[id] = in.Limits[id]
			out.Services[id].Operations = nil
		}
		for k, o := range f.of(foresail.ServiceID(id)) {
			w.targets[o] = foresail.Target{Service: foresail.ServiceID(id), Operation: k}
		}
		if out.Services[id].BaseMemory == 0 {
			out.Services[id].BaseMemory = idle(in.Snapshots, id, in.App.Services[id].Bounds.MinMemory)
		}
	}
	messages := f.solveSizes(b, in.Snapshots)
	for i, o := range f.ops {
		s := &out.Services[o.service]
		op := foresail.Operation{Name: o.name, Steps: w.operation(o, out.Overhead)}
		if messages != nil {
			op.Request, op.Response = messages[i].request, messages[i].response
		}
		s.Operations = append(s.Operations, op)
	}
	for i := range in.App.Endpoints {
		o, _ := f.entry(&in.App.Endpoints[i])
		out.Entries = append(out.Entries, w.targets[o])
		var p foresail.Patience
		if i < len(in.Timeouts) {
			p = in.Timeouts[i]
		}
		out.Timeouts = append(out.Timeouts, p)
	}
	w.cycles(out)
	return out
}

// operation spreads the CPU of a visit, less what messages take, and its waiting over the steps as gaps are.
func (w *builder) operation(o *operation, over foresail.Overhead) []foresail.Step {
	cpu := math.Max(o.cpu-over.Callee.Seconds()-o.calls*over.Caller.Seconds(), 0)
	if o.cpu > 0 && cpu == 0 { // the fit of overheads took all: a hundredth is left, so that it stays an operation that works
		cpu = o.cpu / 100
	}
	perGap, perWait := 0.0, 0.0
	if o.own > 0 {
		perGap, perWait = cpu/o.own, o.waits()/o.own
	}
	steps := w.steps(o, o.layout.steps, perGap, perWait)
	if tail := (foresail.Step{Work: demand(&o.layout.tail, perGap, perWait)}); tail.Work != (foresail.Demand{}) || len(steps) == 0 {
		steps = append(steps, tail)
	}
	return steps
}

func (w *builder) steps(o *operation, list []stage, perGap, perWait float64) []foresail.Step {
	var out []foresail.Step
	for i := range list {
		st := &list[i]
		step := foresail.Step{Work: demand(&st.work, perGap, perWait)}
		for k := range st.calls {
			b := &st.calls[k]
			c := foresail.Call{Target: w.targets[o.layout.callees[b.slot]], Probability: b.probability, Repeat: 1, Async: st.async}
			if b.probability >= certain {
				c.Probability = 1
			}
			if int(o.service) < len(w.in.Patience) {
				c.Patience = w.in.Patience[o.service]
			}
			if len(b.then) > 0 {
				c.Cached, c.Hit = true, math.Max(b.hit, 0)
				if b.hit < 1-certain {
					c.Hit = 0
				}
				c.Miss = w.steps(o, b.then, perGap, perWait)
			}
			step.Calls = append(step.Calls, c)
		}
		if n := len(out) - 1; n >= 0 && again(&out[n], &step) {
			out[n].Calls[0].Repeat++
			continue
		}
		out = append(out, step)
	}
	return out
}

// again reports whether a step makes once more, without work of its own, the one call that the step before it made.
func again(before, step *foresail.Step) bool {
	if len(before.Calls) != 1 || len(step.Calls) != 1 || step.Work != (foresail.Demand{}) {
		return false
	}
	a, b := &before.Calls[0], &step.Calls[0]
	plain := func(c *foresail.Call) bool { return c.Probability == 1 && !c.Cached && !c.Async }
	return plain(a) && plain(b) && a.Target == b.Target
}

// demand is own work of a mean length and variation as gaps have. What is under ten microseconds is none: a call's end and
// the next one's start are as far apart in any program.
func demand(g *gaps, perGap, perWait float64) foresail.Demand {
	const least = 10e-6
	mean := g.mean()
	shape, cv := g.shape()
	dist := func(mean float64) foresail.Dist {
		if mean < least {
			return foresail.Dist{}
		}
		return foresail.Dist{Shape: shape, Mean: math.Round(mean*1e9) / 1e9, CV: math.Round(cv*1000) / 1000}
	}
	d := foresail.Demand{CPU: dist(mean * perGap), IO: dist(mean * perWait)}
	if d.CPU.Mean > 0 && d.IO.Mean > 0 && shape == foresail.LogNormal { // both vary alike, and so much together
		both := math.Hypot(d.CPU.Mean, d.IO.Mean)
		v := math.Round(cv*(d.CPU.Mean+d.IO.Mean)/both*1000) / 1000
		d.CPU.CV, d.IO.CV = v, v
	}
	return d
}

// idle is the least memory that a replica was seen to hold; 0 where it is not known, or more than it may be given.
func idle(snapshots []*foresail.Snapshot, id int, most int64) int64 {
	least := int64(math.MaxInt64)
	for _, s := range snapshots {
		if id >= len(s.Services) {
			continue
		}
		for k := range s.Services[id].Replicas {
			if r := &s.Services[id].Replicas[k]; r.Has.Has(foresail.SignalMemory|foresail.SignalReady) && r.Ready == 1 && r.Memory > 0 {
				least = min(least, r.Memory)
			}
		}
	}
	if least == math.MaxInt64 || most > 0 && least > most {
		return 0
	}
	return least
}

// cycles declares the rings that synchronous calls of the fitted application make: what ran may be so.
func (w *builder) cycles(bp *foresail.Blueprint) {
	n := len(bp.Services)
	calls := make([]map[foresail.ServiceID]bool, n)
	var walk func(from int, steps []foresail.Step)
	walk = func(from int, steps []foresail.Step) {
		for i := range steps {
			for k := range steps[i].Calls {
				c := &steps[i].Calls[k]
				if !c.Async && c.Probability > 0 {
					calls[from][c.Target.Service] = true
				}
				walk(from, c.Miss)
			}
		}
	}
	for i := range bp.Services {
		calls[i] = map[foresail.ServiceID]bool{}
		for k := range bp.Services[i].Operations {
			walk(i, bp.Services[i].Operations[k].Steps)
		}
	}
	for i := range n {
		if ring := ringFrom(calls, foresail.ServiceID(i)); ring != nil {
			bp.Cycles = append(bp.Cycles, ring)
		}
	}
}

// ringFrom is the shortest way of calls from a service back to itself over services of no smaller number.
func ringFrom(calls []map[foresail.ServiceID]bool, from foresail.ServiceID) []foresail.ServiceID {
	type step struct {
		at  foresail.ServiceID
		way []foresail.ServiceID
	}
	seen := make([]bool, len(calls))
	queue := []step{{from, []foresail.ServiceID{from}}}
	for len(queue) > 0 {
		s := queue[0]
		queue = queue[1:]
		for to := from; int(to) < len(calls); to++ {
			if !calls[s.at][to] {
				continue
			}
			if to == from {
				return s.way
			}
			if !seen[to] {
				seen[to] = true
				queue = append(queue, step{to, append(append([]foresail.ServiceID{}, s.way...), to)})
			}
		}
	}
	return nil
}
