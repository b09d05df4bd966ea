package node

import (
	"math"

	"foresail.dev"
)

// What the model of caches and memory assumes.
const (
	// EvictedTraffic is how much more a busy core moves from and to memory when its whole footprint is evicted, in times of
	// what it moves with the footprint in the cache. Assumed.
	EvictedTraffic = 2.0
	// MaxUse is the highest share of the memory bandwidth that is used: beyond it the wait would have no end.
	MaxUse = 0.98
	// Line is the bytes of a cache line: what one miss moves.
	Line = 64
)

// Tenant is a replica, or several, on a node.
type Tenant struct {
	Busy float64 // mean cores in use
	Of   *foresail.Interference
}

// Contention is the state of what the cores of a node share. Its zero value is a quiet node.
type Contention struct {
	Evicted float64 // x: share of footprints that does not fit in the cache, 0..1
	Wait    float64 // y: wait for memory, in times of what an idle memory needs to answer
	Used    float64 // ρ: share of the memory bandwidth in use, antagonists included, 0..MaxUse
}

// Contend is the contention among tenants of a node under a pressure.
func Contend(n *foresail.Node, p *Pressure, tenants []Tenant) Contention {
	var c Contention
	if n.Cache > 0 {
		filled := 0.0
		for i := range tenants {
			filled += float64(tenants[i].Of.Cache) * min(1, tenants[i].Busy)
		}
		if has := float64(n.Cache) * p.Left(Cache); filled > has {
			c.Evicted = 1 - has/filled
		}
	}
	if n.MemoryBandwidth > 0 {
		c.settle(n.MemoryBandwidth, p.Of(MemoryBandwidth), tenants)
	}
	return c
}

// settle finds the use of memory at which what tenants move, slowed as they then are, is that use. Moving falls as use
// grows, so the use lies between any guess and what is moved at it: the next guess is what is moved, or the middle of what
// is still possible where that is outside.
func (c *Contention) settle(bandwidth, taken float64, tenants []Tenant) {
	moved := func(used float64) float64 {
		c.Used, c.Wait = used, wait(used)
		demand := 0.0
		for i := range tenants {
			demand += tenants[i].Busy * c.Traffic(tenants[i].Of)
		}
		return taken + demand/bandwidth
	}
	low, high := 0.0, MaxUse
	for guess := min(moved(0), MaxUse); ; {
		next := moved(guess)
		if next > guess {
			low = guess
		} else {
			high = guess
		}
		if math.Abs(next-guess) < precision || high-low < precision {
			return
		}
		if guess = next; !(next > low && next < high) {
			guess = (low + high) / 2
		}
	}
}

// precision of the use of memory.
const precision = 1e-5

// wait is the mean wait in an M/D/1 queue, in service times.
func wait(used float64) float64 { return used / (2 * (1 - used)) }

// Slowdown is how many times as long work takes.
func (c Contention) Slowdown(of *foresail.Interference) float64 {
	return 1 + of.CacheSensitivity*c.Evicted + of.BandwidthSensitivity*c.Wait
}

// Traffic is the bytes/s that a busy core moves from and to memory.
func (c Contention) Traffic(of *foresail.Interference) float64 {
	return of.Bandwidth * (1 + EvictedTraffic*c.Evicted) / c.Slowdown(of)
}

// Reclaiming memory is assumed to begin at nine tenths of a replica's limit, and to take half of its CPU time at the limit.
const (
	ReclaimFrom = 0.9
	ReclaimMost = 0.5
)

// Reclaim is how much more CPU time work takes, in times of what it needs, in a replica that holds so many bytes under a
// limit; 0: there is none.
func Reclaim(held, limit int64) float64 {
	over := float64(held) - ReclaimFrom*float64(limit)
	if limit == 0 || over <= 0 {
		return 0
	}
	lost := ReclaimMost * min(over/((1-ReclaimFrom)*float64(limit)), 1)
	return lost / (1 - lost)
}
