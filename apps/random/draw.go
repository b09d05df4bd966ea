package random

import (
	"math"
	"math/rand/v2"
)

// kind is what a service is.
type kind uint8

const (
	stateless kind = iota
	cache
	database
	queue
)

// service is what is known of a service while calls are drawn.
type service struct {
	kind    kind
	popular bool
	used    bool
	level   int       // calls lead to higher levels alone
	serve   int       // the operation that calls nobody, 1-based; 0: none yet
	stores  []int     // caches, databases and queues that it calls
	ops     []opDrawn // in the order of the blueprint's
}

// opDrawn is an operation and what it calls.
type opDrawn struct {
	name  string
	calls []callDrawn
}

// callDrawn is a call to an operation. With behind, it is a cache that a database is behind.
type callDrawn struct {
	service, op int
	probability float64
	repeat      int
	async       bool
	parallel    bool // with the call before it
	behind      *callDrawn
	hit         float64
}

// entry is an endpoint's first operation.
type entry struct{ service, op int }

type drawer struct {
	c        Config
	rng      *rand.Rand
	services []service
	graphs   [][]place
	entries  []entry
	fresh    []int   // services that nothing calls yet, in the order they are given out
	popular  []int   // those that many call; hot spots first
	levels   [][]int // by level, the stateless services that are no popular ones
	fronts   []int   // services that endpoints enter by
	slots    int     // places still to be given a service
	leafs    int     // those among them that call nobody
}

// popularShare is how many services are popular for each hot spot, and popularLeaf how often a place that calls nobody is
// one of them: then more than a tenth of the stateless services have over 16 callers.
const (
	popularShare = 1.8
	popularLeaf  = 0.68
	popularLevel = 1 << 20 // they call nobody, so anybody may call them
)

// populate draws the graphs, and sets the popular services aside.
func (d *drawer) populate() {
	n := d.c.Services
	for total := 0; float64(total) < CallsPerService*float64(n); {
		g := graph(d.rng, d.c.Depth, d.c.FanOut, max(n-1, 2))
		d.graphs, total = append(d.graphs, g), total+len(g)
		d.slots += len(g)
		for i := range g {
			if len(g[i].children) == 0 {
				d.leafs++
			}
		}
	}
	for i := range int(math.Ceil(popularShare * d.c.Sharing * float64(n))) {
		d.services[i].popular, d.services[i].level = true, popularLevel
		d.popular = append(d.popular, i)
	}
	for i := len(d.popular); i < n; i++ {
		d.fresh = append(d.fresh, i)
	}
	d.levels = make([][]int, 1)
}

func (d *drawer) chance(p float64) bool { return d.rng.Float64() < p }

func (d *drawer) hotSpots() int { return max(1, int(math.Ceil(d.c.Sharing*float64(d.c.Services)))) }

// take gives out a service that nothing calls yet; -1 when there is none.
func (d *drawer) take(k kind, level int) int {
	if len(d.fresh) == 0 {
		return -1
	}
	s := d.fresh[0]
	d.fresh = d.fresh[1:]
	d.services[s].kind, d.services[s].level, d.services[s].used = k, level, true
	if k == stateless {
		for len(d.levels) <= level {
			d.levels = append(d.levels, nil)
		}
		d.levels[level] = append(d.levels[level], s)
	}
	return s
}

// due reports whether the next place should have a service that nothing calls yet, so that they last to the end.
func (d *drawer) due() bool {
	places := float64(d.slots) - popularLeaf*float64(d.leafs)
	return d.chance(float64(len(d.fresh)) / max(places, 1))
}

// deeper is some stateless service beyond a level; -1 when there is none.
func (d *drawer) deeper(level int) int {
	for range 8 {
		if level+1 >= len(d.levels) {
			return -1
		}
		l := d.levels[level+1+d.rng.IntN(len(d.levels)-level-1)]
		if len(l) > 0 {
			return l[d.rng.IntN(len(l))]
		}
	}
	return -1
}

// front is the service that an endpoint enters by: half of them share one.
func (d *drawer) front() int {
	if len(d.fronts) > 0 && (d.chance(0.5) || len(d.fresh) == 0) {
		return d.fronts[d.rng.IntN(len(d.fronts))]
	}
	s := d.take(stateless, 0)
	d.fronts = append(d.fronts, s)
	return s
}

// caller is the service of a place that calls others; -1 when nobody can be.
func (d *drawer) caller(parent int) int {
	level := d.services[parent].level
	if d.due() {
		if s := d.take(stateless, level+1+d.rng.IntN(2)); s >= 0 {
			return s
		}
	}
	if s := d.deeper(level); s >= 0 {
		return s
	}
	return d.take(stateless, level+1)
}

// leaf is the service of a place that calls nobody.
func (d *drawer) leaf(parent int, hot bool) int {
	p := &d.services[parent]
	switch {
	case hot:
		return d.popular[d.rng.IntN(min(d.hotSpots(), len(d.popular)))]
	case d.chance(popularLeaf):
		return d.popular[d.rng.IntN(len(d.popular))]
	case d.due():
		k := stateless
		switch u := d.rng.Float64(); {
		case u < 0.33:
			k = cache
		case u < 0.63:
			k = database
		case u < 0.70:
			k = queue
		}
		if s := d.take(k, p.level+1+d.rng.IntN(2)); s >= 0 {
			if k != stateless {
				p.stores = append(p.stores, s)
			}
			return s
		}
	}
	if len(p.stores) > 0 && d.chance(0.7) {
		return p.stores[d.rng.IntN(len(p.stores))]
	}
	if s := d.deeper(p.level); s >= 0 {
		return s
	}
	return d.popular[d.rng.IntN(len(d.popular))]
}
