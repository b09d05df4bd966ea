package random

import (
	"fmt"
	"slices"
)

// hotEndpoints is the share of endpoints that are given a hot spot; others come upon one by chance.
const hotEndpoints = 0.92

// wire gives every place of every graph a service and an operation, and sees to it that every service is called.
func (d *drawer) wire() {
	width := len(fmt.Sprint(len(d.graphs)))
	for i, g := range d.graphs {
		d.slots--
		s := d.front()
		hot := d.chance(hotEndpoints)
		op := d.operation(s, fmt.Sprintf("e%0*d", width, i+1), g, 0, &hot)
		d.entries = append(d.entries, entry{s, op})
	}
	for i := range d.popular {
		if !d.services[d.popular[i]].used {
			d.callFrom(d.entries[d.rng.IntN(len(d.entries))], d.popular[i])
		}
	}
	for len(d.fresh) > 0 {
		e := d.entries[d.rng.IntN(len(d.entries))]
		d.callFrom(e, d.take(stateless, 1))
	}
}

// callFrom adds a call of a leaf to an entry's operation.
func (d *drawer) callFrom(e entry, to int) {
	op := &d.services[e.service].ops[e.op]
	op.calls = append(op.calls, d.call(to, d.serve(to)))
}

// operation gives a service an operation for a place that calls others; hot is whether the endpoint still wants a hot
// spot.
func (d *drawer) operation(s int, name string, g []place, at int, hot *bool) int {
	d.services[s].used = true
	d.services[s].ops = append(d.services[s].ops, opDrawn{name: name})
	index := len(d.services[s].ops) - 1
	var calls []callDrawn
	var called []int // a step asks a service for the same once
	for _, child := range g[at].children {
		d.slots--
		to, op := -1, 0
		if len(g[child].children) > 0 {
			if to = d.caller(s); to >= 0 {
				op = d.operation(to, fmt.Sprintf("op%d", len(d.services[to].ops)+1), g, child, hot)
			} else { // nobody is deeper: the graph ends here
				d.skip(g, child)
			}
		} else {
			d.leafs--
		}
		if to < 0 {
			to = d.leaf(s, *hot)
			*hot = false
			if slices.Contains(called, to) {
				to = d.leaf(s, false)
			}
			op = d.serve(to)
			called = append(called, to)
		}
		calls = append(calls, d.call(to, op))
	}
	d.services[s].ops[index].calls = d.behindCaches(calls)
	return index
}

// skip takes what hangs from a place off the count of places.
func (d *drawer) skip(g []place, at int) {
	for _, child := range g[at].children {
		d.slots--
		if len(g[child].children) == 0 {
			d.leafs--
		}
		d.skip(g, child)
	}
}

// serve is a service's operation that calls nobody.
func (d *drawer) serve(s int) int {
	v := &d.services[s]
	if v.used = true; v.serve == 0 {
		v.ops = append(v.ops, opDrawn{name: [...]string{"serve", "get", "find", "publish"}[v.kind]})
		v.serve = len(v.ops)
	}
	return v.serve - 1
}

// call draws how a call is made.
func (d *drawer) call(s, op int) callDrawn {
	c := callDrawn{service: s, op: op, probability: 1, repeat: 1, parallel: d.chance(0.5)}
	if d.chance(d.c.Dynamic) {
		c.probability = float64(1+d.rng.IntN(19)) / 20
	}
	switch {
	case d.services[s].kind == queue, d.chance(0.03):
		c.async = true
	case d.chance(0.1):
		c.repeat = 2 + d.rng.IntN(2)
	}
	return c
}

// behindCaches pairs each cache with a database that is asked for what the cache does not hold.
func (d *drawer) behindCaches(calls []callDrawn) []callDrawn {
	is := func(c callDrawn, k kind) bool { return d.services[c.service].kind == k && !c.async }
	for i := 0; i < len(calls); i++ {
		if !is(calls[i], cache) || calls[i].behind != nil {
			continue
		}
		j := slices.IndexFunc(calls, func(c callDrawn) bool { return is(c, database) })
		if j < 0 {
			break
		}
		db := calls[j]
		calls[i].behind, calls[i].hit, calls[i].repeat = &db, float64(14+d.rng.IntN(6))/20, 1
		db.probability = 1
		calls = slices.Delete(calls, j, j+1)
		if j < i {
			i--
		}
	}
	return calls
}
