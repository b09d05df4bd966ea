// Package users is who sends requests to a simulated application: when, and to which endpoint. It knows nothing of what
// becomes of a request.
//
// An open load is a Poisson process whose rate follows the load's curve. A closed one has users who send, wait for the
// answer, think for an exponential time and go on; their number is brought to the curve each 100 ms: new ones think
// first, and those too many leave when they would next send. A user whose request took no time at all pauses for a
// millisecond at least, so that time goes on.
//
// Instants, endpoints and what requests need come from a stream each, and a request's needs from its number, so that what
// happens to requests changes none of them.
package users

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

// pause is how long a user waits at least after a request that took no time at all.
const pause = int64(1e6)

// The kinds of events, counted from the first that New is given.
const (
	onRequest uint8 = iota // a user of an open load sends; B: the load's epoch
	onUser                 // a user of a closed load has thought
	onCrowd                // the number of users is brought to the curve; B: the load's epoch
	onSpike                // a request that a spike adds; B: its epoch
	kinds
)

// Kinds is how many kinds of events are Users's.
const Kinds = kinds

// Users send requests as a load says.
type Users struct {
	queue     *des.Queue
	first     uint8
	send      func(Request)
	endpoints []foresail.Endpoint

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
	spike    spike

	thinking, picking *chance.Drawer // of closed users; of endpoints
	demands           chance.Stream  // never drawn from, but derived
}

// Request is one that a user sends.
type Request struct {
	Endpoint foresail.EndpointID
	Number   uint64        // of its kind: those that a spike adds count for themselves
	Needs    chance.Stream // what it needs is drawn from it
	Closed   bool          // its user waits: see Answered
}

// New is users without a load. Their events are of the kinds from first on, and whoever handles the queue's events hands
// them to Handle; send is told of each request at its instant.
func New(seed uint64, queue *des.Queue, first uint8, send func(Request)) *Users {
	u := &Users{queue: queue, first: first, send: send, thinking: chance.NewDrawer(), picking: chance.NewDrawer()}
	u.thinking.Current, u.picking.Current = chance.Purpose(seed, chance.ForUsers), chance.Purpose(seed, chance.ForEndpoints)
	u.demands = chance.Purpose(seed, chance.ForDemands)
	arrivals := chance.NewDrawer()
	arrivals.Current = chance.Purpose(seed, chance.ForArrivals)
	u.arrivals = load.NewArrivals(nil, arrivals.Rand)
	return u
}

// SetEndpoints says what there is to call, from now on.
func (u *Users) SetEndpoints(endpoints []foresail.Endpoint) {
	u.endpoints, u.shares, u.gone = endpoints, make([]float64, len(endpoints)), false
	for i := range endpoints {
		u.gone = u.gone || endpoints[i].Gone
	}
}

// SetLoad changes the load from now on; its offset 0 is now. Of an open load nobody sends before the next call of Until or
// Next.
func (u *Users) SetLoad(l *load.Load) {
	u.load, u.start = l, u.queue.Now()
	u.epoch++
	u.wanted = 0
	u.rise()
	if l.Mode == load.Closed {
		u.queue.Soon(u.event(onCrowd, u.epoch))
		return
	}
	u.arrivals.SetLoad(l, 0)
}

// Until lets users go on sending up to an instant, at which it is to be called again.
func (u *Users) Until(end int64) {
	u.limit = end
	u.Next()
	if u.spike.factor > 0 {
		u.nextOfSpike()
	}
}

// Next draws the next request of an open load, if there is one before the instant of Until.
func (u *Users) Next() {
	if u.load.Mode != load.Open {
		return
	}
	if at, ok := u.arrivals.Next(time.Duration(u.limit - u.start)); ok {
		u.queue.At(u.start+int64(at), u.event(onRequest, u.epoch))
	}
}

// Handle is what happens at an event of the users'.
func (u *Users) Handle(e des.Event) {
	switch e.Kind - u.first {
	case onRequest:
		if e.B == u.epoch {
			u.request(false)
			u.Next()
		}
	case onUser:
		if u.stays() {
			u.request(true)
		}
	case onCrowd:
		u.crowd(e.B)
	case onSpike:
		u.added(e.B)
	}
}

// Answered lets the user of a Closed request go on that took so many ns, whatever came of it.
func (u *Users) Answered(took int64) {
	if !u.stays() {
		return
	}
	least := int64(0)
	if took == 0 {
		least = pause
	}
	u.think(least)
}

func (u *Users) event(kind uint8, epoch uint32) des.Event {
	return des.Event{Kind: u.first + kind, B: epoch}
}

// crowd brings the number of users to the curve.
func (u *Users) crowd(epoch uint32) {
	if epoch != u.epoch {
		return
	}
	now := u.queue.Now()
	u.wanted = int(math.Round(u.load.Level(time.Duration(now-u.start)) * max(u.spike.factor, 1)))
	for u.active < u.wanted {
		u.active++
		u.think(0)
	}
	u.queue.At(now+crowdEvery, u.event(onCrowd, epoch))
}

// think lets a user go on after a pause of at least the given length.
func (u *Users) think(least int64) {
	wait := int64(float64(u.load.Think) * u.thinking.Rand.ExpFloat64())
	u.queue.At(u.queue.Now()+max(wait, least), u.event(onUser, 0))
}

// stays lets a user go when there are too many.
func (u *Users) stays() bool {
	if u.active > u.wanted {
		u.active--
		return false
	}
	return true
}

func (u *Users) request(closed bool) {
	u.requests++
	u.issue(u.picking.Rand, u.demands, u.requests, closed)
}

// issue sends the n-th request of a kind, whose needs are derived from it, to one of the endpoints that are there.
func (u *Users) issue(rng *rand.Rand, demands chance.Stream, n uint64, closed bool) {
	at := time.Duration(u.queue.Now() - u.start)
	e := u.load.Pick(at, rng, u.shares)
	for try := 0; u.gone && u.endpoints[e].Gone && try < 100; try++ {
		e = u.load.Pick(at, rng, u.shares)
	}
	if u.endpoints[e].Gone { // the load has nothing else
		return
	}
	u.send(Request{Endpoint: e, Number: n, Needs: chance.Stream(chance.Mix(uint64(demands) + n*chance.Golden)), Closed: closed})
}
