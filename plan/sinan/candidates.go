package sinan

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"foresail.dev"
)

// kind says which rule a candidate is looked at under.
type kind uint8

const (
	hold kind = iota // as it is, but for services over the utilisation cap
	up
	down
	back // down to somewhat more than there was before everything was raised
	most // every service at the maximum of its replicas
)

// candidate is an allocation of the whole application that is tried.
type candidate struct {
	kind  kind
	what  string // which services, where there are several, for people: "all services"
	one   foresail.ServiceID
	op    string
	cores []float64 // totals by ServiceID
	total float64
}

// now is what candidates are made from.
type now struct {
	grids []grid    // by ServiceID; zero: the service has gone, or nothing is known of it
	cores []float64 // totals that were last asked for
	// floor is what each service has at least in every candidate, because it uses more of its cores than the cap allows; 0: it
	// does not.
	floor []float64
	// low is what each service may be lowered to: what it uses, at the cap.
	low     []float64
	used    []float64              // share of its cores that each service uses
	busy    []float64              // cores that each service uses
	fixed   []bool                 // services that no candidate changes but the most
	lowered [][]foresail.ServiceID // services that the last actions lowered, oldest first
	before  []float64              // totals before everything was raised to its maximum, by ServiceID; nil: it was not
}

// candidates makes the candidates and keeps their memory.
type candidates struct {
	list  []candidate
	slab  []float64
	order []foresail.ServiceID
	set   []foresail.ServiceID
}

// make lists the candidates: hold, the most, and then what ups and downs make of single services and of sets. A candidate that
// changes nothing is left out.
func (c *candidates) make(n *now) []candidate {
	c.list = c.list[:0]
	services := len(n.cores)
	if most := c.most(services) * services; cap(c.slab) < most {
		c.slab = make([]float64, 0, most)
	}
	c.slab = c.slab[:0]
	c.add(n, hold, "as it is", "", nil, nil)
	c.add(n, most, "all services", "at their maximum", nil, nil)
	c.order = c.order[:0]
	for i := range n.cores {
		if !n.fixed[i] && n.grids[i].unit > 0 {
			c.order = append(c.order, foresail.ServiceID(i))
		}
	}
	for i := range ups {
		for _, id := range c.order {
			c.single(n, up, id, &ups[i])
		}
		c.add(n, up, "all services", ups[i].name, c.order, &ups[i])
	}
	c.victims(n)
	for i := range downs {
		c.add(n, down, "all services", downs[i].name, c.order, &downs[i])
		for _, id := range c.order {
			c.single(n, down, id, &downs[i])
		}
	}
	c.least(n)
	c.back(n)
	return c.list
}

// most is how many candidates there can be for so many services.
func (c *candidates) most(services int) int {
	return 2 + len(returns) + len(ups)*(services+1+2*remembered) + len(downs)*(2*services+1)
}

// victims are raised together: those that the newest action lowered, those of the newest two and so on, and the same from
// the oldest on.
func (c *candidates) victims(n *now) {
	k := len(n.lowered)
	c.set = c.set[:0]
	for i := range k {
		if c.join(n, n.lowered[k-1-i]) {
			c.raise(n, fmt.Sprintf("what the last %d actions lowered", i+1))
		}
	}
	all := len(c.set)
	c.set = c.set[:0]
	for i := range k {
		if c.join(n, n.lowered[i]) && len(c.set) < all { // all of them were there before
			c.raise(n, fmt.Sprintf("what the first %d of the last %d actions lowered", i+1, k))
		}
	}
}

// join adds services to the set once each, but for those that can't be changed now, and reports whether it has grown.
func (c *candidates) join(n *now, ids []foresail.ServiceID) bool {
	was := len(c.set)
	for _, id := range ids {
		if slices.Contains(c.order, id) && !slices.Contains(c.set, id) {
			c.set = append(c.set, id)
		}
	}
	return len(c.set) > was
}

func (c *candidates) raise(n *now, what string) {
	for i := range ups {
		c.add(n, up, what, ups[i].name, c.set, &ups[i])
	}
}

// least lowers the two, three and more least used services together, of those that have more than a unit and use less than
// the cap.
func (c *candidates) least(n *now) {
	c.set = c.set[:0]
	for _, id := range c.order {
		if n.cores[id] > n.grids[id].unit+rounding && n.floor[id] == 0 {
			c.set = append(c.set, id)
		}
	}
	slices.SortStableFunc(c.set, func(a, b foresail.ServiceID) int { return cmp.Compare(n.used[a], n.used[b]) })
	for size := 2; size <= len(c.set); size++ {
		for i := range downs {
			c.add(n, down, "the least used services", downs[i].name, c.set[:size], &downs[i])
		}
	}
}

// returns are how much more than before there is after everything was raised; they spare many small steps down.
var returns = [...]struct {
	factor float64
	name   string
}{{1.5, "half as much again as before the violation"}, {2, "twice as much as before the violation"}}

// back goes back towards what there was before everything was raised to its maximum.
func (c *candidates) back(n *now) {
	if n.before == nil {
		return
	}
	for _, r := range returns {
		begin := len(c.slab)
		c.slab = append(c.slab, n.cores...)
		cores := c.slab[begin:len(c.slab):len(c.slab)]
		total, lowered := 0.0, false
		for i := range cores {
			if g := n.grids[i]; g.unit > 0 && !n.fixed[i] && i < len(n.before) {
				to := max(g.up(n.before[i]*r.factor), min(n.low[i], cores[i]))
				lowered = lowered || to < cores[i]-rounding
				cores[i] = max(min(cores[i], to), n.floor[i])
			}
			total += cores[i]
		}
		if !lowered {
			c.slab = c.slab[:begin]
			continue
		}
		c.list = append(c.list, candidate{kind: back, what: r.name, one: -1, cores: cores, total: total})
	}
}

// single adds what an operation makes of one service, unless that is nothing, or what another has made of it already.
func (c *candidates) single(n *now, k kind, id foresail.ServiceID, o *operation) {
	to := n.grids[id].apply(*o, n.cores[id])
	if k == down {
		to = max(to, min(n.low[id], n.cores[id]))
	}
	if same(to, n.cores[id]) {
		return
	}
	for i := len(c.list) - 1; i > 1; i-- {
		if e := &c.list[i]; e.kind == k && e.what == "" && e.one == id && same(e.cores[id], max(to, n.floor[id])) {
			return
		}
	}
	ids := [1]foresail.ServiceID{id}
	if c.add(n, k, "", o.name, ids[:], o) {
		c.list[len(c.list)-1].one = id
	}
}

// add adds a candidate: what an operation makes of a set of services. One that changes nothing is left out, and it says so.
func (c *candidates) add(n *now, k kind, what, op string, ids []foresail.ServiceID, o *operation) bool {
	begin := len(c.slab)
	c.slab = append(c.slab, n.cores...)
	cores := c.slab[begin:len(c.slab):len(c.slab)]
	for _, id := range ids {
		to := n.grids[id].apply(*o, cores[id])
		if k == down {
			to = max(to, min(n.low[id], cores[id]))
		}
		cores[id] = to
	}
	changed := k == hold || k == most
	total := 0.0
	for i := range cores {
		switch {
		case n.grids[i].most == 0:
		case k == most:
			cores[i] = max(n.grids[i].full, cores[i], n.floor[i])
		case !n.fixed[i]:
			cores[i] = max(cores[i], n.floor[i])
		}
		changed = changed || !same(cores[i], max(n.cores[i], n.floor[i]))
		total += cores[i]
	}
	if !changed {
		c.slab = c.slab[:begin]
		return false
	}
	c.list = append(c.list, candidate{kind: k, what: what, one: -1, op: op, cores: cores, total: total})
	return true
}

func same(a, b float64) bool { return a-b < rounding && b-a < rounding }

// name is how people read a candidate: "frontend -1", "all services +0.25x".
func (c *candidate) name(app *foresail.App) string {
	what := c.what
	if c.one >= 0 {
		what = app.Services[c.one].Name
	}
	return strings.TrimSpace(what + " " + c.op)
}
