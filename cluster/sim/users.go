package sim

import (
	"math"
	"math/rand/v2"
	"time"

	"foresail.dev"
	"foresail.dev/cluster/sim/chance"
	"foresail.dev/cluster/sim/des"
	"foresail.dev/load"
)

// crowdEvery is how often the number of users of a closed load is brought to its curve.
const crowdEvery = int64(100e6)

// pause is how long a user waits at least after a request that took no time at all, so that time goes on.
const pause = int64(1e6)

// users send requests as a load says.
type users struct {
	load     *load.Load
	start    int64 // the load's offset 0
	epoch    uint32
	arrivals *load.Arrivals // Open
	limit    int64          // arrivals are drawn up to here
	active   int            // Closed: users there are
	wanted   int            // Closed: users there should be; those too many leave when they would next send
	requests uint64         // sent so far
	shares   []float64      // scratch
	gone     bool           // there are endpoints that nobody calls any more
}

// endpointStats counts what a snapshot tells of an endpoint, since the beat began.
type endpointStats struct {
	objective int64 // ns; 0: none
	usage     usage // inFlight is not used
	late      float64
	firstLate int64 // never: none
}

// SetLoad changes the load from now on; its offset 0 is now. Call it between two calls of Next.
func (c *Cluster) SetLoad(l *load.Load) {
	u := &c.users
	u.load, u.start = l, c.queue.Now()
	u.epoch++
	u.wanted = 0
	c.spikeRises()
	if l.Mode == load.Closed {
		c.queue.Soon(des.Event{Kind: onCrowd, B: u.epoch})
		return
	}
	u.arrivals.SetLoad(l, 0)
}

// nextArrival draws the next request of an open load, if there is one before the beat's end.
func (c *Cluster) nextArrival() {
	u := &c.users
	if u.load.Mode != load.Open {
		return
	}
	if at, ok := u.arrivals.Next(time.Duration(u.limit - u.start)); ok {
		c.queue.At(u.start+int64(at), des.Event{Kind: onRequest, B: u.epoch})
	}
}

// crowd brings the number of users to the curve.
func (c *Cluster) crowd(epoch uint32) {
	u := &c.users
	if epoch != u.epoch {
		return
	}
	now := c.queue.Now()
	u.wanted = int(math.Round(u.load.Level(time.Duration(now-u.start)) * max(c.troubles.spike.factor, 1)))
	for u.active < u.wanted {
		u.active++
		c.think(0)
	}
	c.queue.At(now+crowdEvery, des.Event{Kind: onCrowd, B: epoch})
}

// think lets a user go on after a pause of at least the given length.
func (c *Cluster) think(least int64) {
	wait := int64(float64(c.users.load.Think) * c.thinking.Rand.ExpFloat64())
	c.queue.At(c.queue.Now()+max(wait, least), des.Event{Kind: onUser})
}

// wake lets a user send a request, or leave when there are too many.
func (c *Cluster) wake() {
	if c.users.active > c.users.wanted {
		c.users.active--
		return
	}
	c.request(true)
}

// request sends one.
func (c *Cluster) request(closed bool) {
	u := &c.users
	u.requests++
	c.issue(c.pick(time.Duration(c.queue.Now()-u.start), c.picking.Rand), c.demands, u.requests, closed)
}

// pick draws the endpoint of a request, among those that are there.
func (c *Cluster) pick(at time.Duration, rng *rand.Rand) foresail.EndpointID {
	u := &c.users
	e := u.load.Pick(at, rng, u.shares)
	for try := 0; u.gone && c.app.Endpoints[e].Gone && try < 100; try++ {
		e = u.load.Pick(at, rng, u.shares)
	}
	return e
}

// issue sends the n-th request of a kind, whose needs are derived from it.
func (c *Cluster) issue(e foresail.EndpointID, demands chance.Stream, n uint64, closed bool) {
	if c.app.Endpoints[e].Gone { // the load has nothing else
		return
	}
	c.endpoints[e].usage.arrivals++
	ci, k := c.newCall(c.program.Entries+int32(e), chance.Stream(chance.Mix(uint64(demands)+n*chance.Golden)))
	k.sent, k.closed = c.queue.Now(), closed
	if c.cfg.Spans != nil && c.cfg.TraceShare > 0 {
		chosen := chance.Stream(chance.Mix(uint64(c.tracing) + n*chance.Golden))
		k.sampled = chosen.Float() < c.cfg.TraceShare
	}
	c.ask(ci, k)
}

// requestDone ends a user's request, all attempts included.
func (c *Cluster) requestDone(ci int32, k *call, failed bool) {
	now := c.queue.Now()
	took, sent, closed := now-k.sent, k.sent, k.closed
	endpoint := c.program.Calls[k.def].Endpoint
	e := &c.endpoints[endpoint]
	c.calls.Give(ci)
	e.usage.completions++
	if failed {
		e.usage.errors++
	} else {
		c.endpointsTook.Add(endpoint, took)
	}
	if e.objective > 0 && (failed || took > e.objective) {
		e.late++
		e.firstLate = min(e.firstLate, sent)
	}
	if !closed {
		return
	}
	if c.users.active > c.users.wanted {
		c.users.active--
		return
	}
	least := int64(0)
	if took == 0 {
		least = pause
	}
	c.think(least)
}
