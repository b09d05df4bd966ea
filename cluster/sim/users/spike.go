package users

import (
	"time"

	"foresail.dev/cluster/sim/chance"
	"foresail.dev/load"
)

// spike is a load spike in progress. What it adds to an open load is a Poisson process of its own, at a rate of the load's
// times the factor less one; both together are one of the load's rate times the factor. So the requests that come without
// the spike come with it just the same, at the same instants and with the same needs. Of a closed load it multiplies the
// users.
type spike struct {
	factor   float64        // 0: there is none
	arrivals *load.Arrivals // of an open load
	picking  *chance.Drawer
	demands  chance.Stream
	requests uint64
	epoch    uint32
}

// Spike begins a load spike, which multiplies the load. What it adds is drawn from rnd.
func (u *Users) Spike(factor float64, rnd *chance.Stream) {
	s := &u.spike
	instants := chance.NewDrawer()
	instants.Current = rnd.Split()
	s.factor, s.picking, s.requests = factor, chance.NewDrawer(), 0
	s.picking.Current, s.demands = rnd.Split(), rnd.Split()
	s.arrivals = load.NewArrivals(u.load, instants.Rand)
	u.rise()
}

// EndSpike ends it.
func (u *Users) EndSpike() {
	u.spike.epoch++
	u.spike.factor = 0
}

// rise draws what a spike adds from the load that there is now.
func (u *Users) rise() {
	s := &u.spike
	s.epoch++
	if s.factor == 0 || u.load.Mode != load.Open {
		return
	}
	s.arrivals.SetLoad(u.load.Times(s.factor-1), time.Duration(u.queue.Now()-u.start))
	u.nextOfSpike()
}

// nextOfSpike draws the next request that a spike adds, if there is one before the instant of Until.
func (u *Users) nextOfSpike() {
	if u.load.Mode != load.Open {
		return
	}
	if at, ok := u.spike.arrivals.Next(time.Duration(u.limit - u.start)); ok {
		u.queue.At(u.start+int64(at), u.event(onSpike, u.spike.epoch))
	}
}

// added sends a request that a spike adds.
func (u *Users) added(epoch uint32) {
	s := &u.spike
	if epoch != s.epoch {
		return
	}
	s.requests++
	u.issue(s.picking.Rand, s.demands, s.requests, false)
	u.nextOfSpike()
}
