package sim

import (
	"time"

	"foresail.dev/cluster/sim/chance"
	"foresail.dev/cluster/sim/des"
	"foresail.dev/load"
)

// spike is a load spike in progress. What it adds to an open load is a Poisson process of its own, at a rate of the load's
// times the factor less one; both together are one of the load's rate times the factor. So the requests that come without
// the spike come with it just the same, at the same instants and with the same needs. Of a closed load it multiplies the
// users.
type spike struct {
	number   int32 // of the fault; -1: none
	factor   float64
	arrivals *load.Arrivals // of an open load
	extra    *load.Load
	picking  *chance.Drawer
	demands  chance.Stream
	requests uint64
	epoch    uint32
}

func (c *Cluster) spikeBegins(i int32, t *trouble) {
	s := &c.troubles.spike
	instants := chance.NewDrawer()
	instants.Current = t.rnd.Split()
	s.number, s.factor, s.picking, s.requests = i, t.Amount, chance.NewDrawer(), 0
	s.picking.Current, s.demands = t.rnd.Split(), t.rnd.Split()
	s.arrivals = load.NewArrivals(c.users.load, instants.Rand)
	c.spikeRises()
}

// spikeRises draws from the load that there is now.
func (c *Cluster) spikeRises() {
	s := &c.troubles.spike
	s.epoch++
	if s.factor == 0 || c.users.load.Mode != load.Open {
		return
	}
	s.extra = c.users.load.Times(s.factor - 1)
	s.arrivals.SetLoad(s.extra, time.Duration(c.queue.Now()-c.users.start))
	c.nextOfSpike()
}

func (c *Cluster) spikeEnds() {
	s := &c.troubles.spike
	s.epoch++
	s.factor = 0
}

// nextOfSpike draws the next request that a spike adds, or looks again when the beat is over.
func (c *Cluster) nextOfSpike() {
	u, s := &c.users, &c.troubles.spike
	if u.load.Mode != load.Open {
		return
	}
	if at, ok := s.arrivals.Next(time.Duration(u.limit - u.start)); ok {
		c.queue.At(u.start+int64(at), des.Event{Kind: onSpike, B: s.epoch})
	}
}

// spikes sends a request that a spike adds.
func (c *Cluster) spikes(epoch uint32) {
	s := &c.troubles.spike
	if epoch != s.epoch {
		return
	}
	s.requests++
	at := time.Duration(c.queue.Now() - c.users.start)
	c.issue(c.pick(at, s.picking.Rand), s.demands, s.requests, false)
	c.nextOfSpike()
}
