package appfile

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"foresail.dev"
)

// maxVisits bounds the operations that one request to an endpoint may run on average: beyond it a file describes a
// mistake, or a load that nothing here can run.
const maxVisits = 100_000

// edge is a synchronous call between services.
type edge struct{ from, to foresail.ServiceID }

// cycles checks that services which wait for each other in a ring are declared to, since with a worker limit such a
// ring can lock itself, and that no request goes on for ever.
func (b *builder) cycles() {
	declared := map[edge]bool{}
	sound := len(b.at.c.faults) == 0
	edges := syncEdges(b.out)
	for i, names := range b.file.Cycles {
		at := b.at.At("cycles", i)
		ring := make([]foresail.ServiceID, len(names))
		known := len(names) > 0
		if !known {
			at.Faultf("is empty; name the services in calling order")
		}
		for j, name := range names {
			id, ok := b.ids[name]
			if !ok {
				at.At(j).Faultf("%q is not a service in this file%s", name, didYouMean(name, b.file.Services.Keys()))
			}
			if slices.Contains(ring[:j], id) && ok {
				at.At(j).Faultf("%q is named twice", name)
				ok = false
			}
			ring[j], known = id, known && ok
		}
		if !known {
			continue
		}
		for j := range ring {
			e := edge{ring[j], ring[(j+1)%len(ring)]}
			declared[e] = true
			if sound && !slices.Contains(edges[e.from], e.to) {
				at.At(j).Faultf("is a declared cycle that is not there: %s makes no synchronous call to %s", names[j], names[(j+1)%len(names)])
			}
		}
		b.out.Cycles = append(b.out.Cycles, ring)
	}
	if !sound {
		return
	}
	reported, endless := map[string]bool{}, towardsRings(edges)
	for from := range edges {
		for _, to := range edges[from] {
			if !endless[from] || !endless[to] || declared[edge{foresail.ServiceID(from), to}] {
				continue
			}
			ring := path(edges, to, foresail.ServiceID(from))
			if ring == nil {
				continue
			}
			if key := canonical(ring); !reported[key] {
				reported[key] = true
				b.reportCycle(ring)
			}
		}
	}
	b.endless()
}

func (b *builder) reportCycle(ring []foresail.ServiceID) {
	least := slices.Index(ring, slices.Min(ring))
	ring = slices.Concat(ring[least:], ring[:least])
	names := make([]string, len(ring))
	for i, id := range ring {
		names[i] = b.file.Services[id].Key
	}
	b.at.At("services", names[0]).Faultf("calls itself synchronously, in a cycle that is not declared: %s; take it out, make a call async, or declare it: cycles: [[%s]]",
		strings.Join(append(names, names[0]), " → "), strings.Join(names, ", "))
}

// canonical is the same for every rotation of a ring.
func canonical(ring []foresail.ServiceID) string {
	least := slices.Index(ring, slices.Min(ring))
	var s strings.Builder
	for _, id := range slices.Concat(ring[least:], ring[:least]) {
		fmt.Fprintf(&s, "%d ", id)
	}
	return s.String()
}

// path is the shortest way along edges, both ends included; nil when there is none.
func path(edges [][]foresail.ServiceID, from, to foresail.ServiceID) []foresail.ServiceID {
	back := map[foresail.ServiceID]foresail.ServiceID{from: from}
	for queue := []foresail.ServiceID{from}; len(queue) > 0; queue = queue[1:] {
		at := queue[0]
		if at == to {
			way := []foresail.ServiceID{at}
			for at != from {
				at = back[at]
				way = append(way, at)
			}
			slices.Reverse(way)
			return way
		}
		for _, next := range edges[at] {
			if _, seen := back[next]; !seen {
				back[next] = at
				queue = append(queue, next)
			}
		}
	}
	return nil
}

// towardsRings marks the services from which calls can lead into a ring: what is left when those that call nobody are
// taken away, again and again. In a large application that is next to nothing.
func towardsRings(edges [][]foresail.ServiceID) []bool {
	calls, callers := make([]int, len(edges)), make([][]int, len(edges))
	var done []int
	for from := range edges {
		if calls[from] = len(edges[from]); calls[from] == 0 {
			done = append(done, from)
		}
		for _, to := range edges[from] {
			callers[to] = append(callers[to], from)
		}
	}
	left := make([]bool, len(edges))
	for i := range left {
		left[i] = true
	}
	for ; len(done) > 0; done = done[1:] {
		left[done[0]] = false
		for _, from := range callers[done[0]] {
			if calls[from]--; calls[from] == 0 {
				done = append(done, from)
			}
		}
	}
	return left
}

// visit is a mean number of calls from one operation to another.
type visit struct {
	to    int // index over all operations
	times float64
}

// flow is the calls between all operations of a blueprint, asynchronous ones too.
type flow struct {
	base []int // by service: the index of its first operation
	out  [][]visit
}

func newFlow(bp *foresail.Blueprint) flow {
	var f flow
	n := 0
	for i := range bp.Services {
		f.base = append(f.base, n)
		n += len(bp.Services[i].Operations)
	}
	f.out = make([][]visit, n)
	for i := range bp.Services {
		for j, op := range bp.Services[i].Operations {
			at := f.base[i] + j
			eachCall(op.Steps, 1, func(c *foresail.Call, times float64) {
				f.out[at] = append(f.out[at], visit{f.base[c.Target.Service] + c.Target.Operation, times})
			})
		}
	}
	return f
}

// eachCall calls f with every call in steps, those after cache misses too, and how often it is made on average.
func eachCall(steps []foresail.Step, times float64, f func(c *foresail.Call, times float64)) {
	for i := range steps {
		for j := range steps[i].Calls {
			c := &steps[i].Calls[j]
			made := times * c.Probability * float64(c.Repeat)
			f(c, made)
			eachCall(c.Miss, made*(1-c.Hit), f)
		}
	}
}

// syncEdges lists, by service, the services it calls and waits for.
func syncEdges(bp *foresail.Blueprint) [][]foresail.ServiceID {
	out := make([][]foresail.ServiceID, len(bp.Services))
	for i := range bp.Services {
		for _, op := range bp.Services[i].Operations {
			eachCall(op.Steps, 1, func(c *foresail.Call, times float64) {
				if to := c.Target.Service; !c.Async && c.Probability > 0 && !slices.Contains(out[i], to) {
					out[i] = append(out[i], to)
				}
			})
		}
	}
	return out
}

func (f flow) step(x []float64) []float64 {
	next := make([]float64, len(x))
	for i, v := range x {
		if v > 0 {
			for _, e := range f.out[i] {
				next[e.to] += v * e.times
			}
		}
	}
	return next
}

// rounds is how many calls deep a request is followed. Calls that form no cycle end long before; those of a cycle that
// are made with a probability of less than about 0.99 in all have died out by then.
const rounds = 5000

// recursion finds an operation that calls itself, over others or not, so often that requests never end: the calls of
// one depth, given those of the last, don't die out. It is -1 when there is none.
func (f flow) recursion() int {
	x, scale := make([]float64, len(f.out)), 0.0
	for i := range x {
		x[i] = 1
	}
	for range rounds {
		x = f.step(x)
		top := slices.Max(x)
		if top == 0 {
			return -1
		}
		for i := range x {
			x[i] /= top
		}
		scale += math.Log(top)
	}
	if scale < -20 {
		return -1
	}
	return slices.Index(x, 1)
}

// runs is how many operations a request to each operation runs on average, itself included.
func (f flow) runs() []float64 {
	total, x := make([]float64, len(f.out)), make([]float64, len(f.out))
	for i := range x {
		x[i] = 1 // of the calls so many deep, how many there are
	}
	for range rounds {
		next, sum := make([]float64, len(x)), 0.0
		for i, v := range x {
			total[i] += v
			sum += v
			for _, e := range f.out[i] {
				next[i] += e.times * x[e.to]
			}
		}
		if sum < 1e-12 || sum > 1e12 { // died out, or beyond all measure
			break
		}
		x = next
	}
	return total
}

// endless refuses requests that make calls without end, or without measure.
func (b *builder) endless() {
	f := newFlow(b.out)
	if len(f.out) == 0 {
		return
	}
	if at := f.recursion(); at >= 0 {
		s := len(f.base) - 1
		for f.base[s] > at {
			s--
		}
		b.at.At("services", b.file.Services[s].Key, "operations", b.out.Services[s].Operations[at-f.base[s]].Name).
			Faultf("calls itself without end: each run leads to one more, or to more, on average; lower a probability")
		return
	}
	runs := f.runs()
	for i, t := range b.out.Entries {
		sum := runs[f.base[t.Service]+t.Operation]
		if sum > maxVisits {
			b.at.At("endpoints", b.file.Endpoints[i].Key).Faultf("leads to %.3g calls per request on average, at most %d are run; look for repeats within repeats", sum, maxVisits)
		}
	}
}
