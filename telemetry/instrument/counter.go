package instrument

import (
	"math/bits"
	"math/rand/v2"
	"runtime"
	"sync/atomic"
	"time"
)

// Endpoint counts the requests of one endpoint. It is safe for concurrent use, and nil counts nothing.
type Endpoint struct {
	name   string
	shards []shard // a power of two
}

// shard is a part of a counter on cache lines of its own, so that cores don't wait for each other.
//
// open holds two numbers that must be read together: in its low countBits the requests in flight, and above them, modulo
// 2⁴⁴, the sum of their ends less the sum of their starts. At time t that sum and (in flight)·t is the area under the
// number in flight up to t, so two readings give the exact mean between them, whatever ended or began in the meantime.
type shard struct {
	open   atomic.Uint64
	done   atomic.Uint64
	failed atomic.Uint64
	_      [104]byte
}

const (
	countBits = 20 // up to a million requests in flight in one shard
	tickBits  = 4  // the area's unit of time is 16 ns, so that the area of a million requests over a day is told from none
	maxShards = 32
)

// began is where the process's ticks count from.
var began = time.Now()

// ticks is the steady time.
func ticks() uint64 { return uint64(time.Since(began)) >> tickBits }

func newEndpoint(name string) *Endpoint {
	n := min(1<<bits.Len(uint(runtime.GOMAXPROCS(0)-1)), maxShards)
	return &Endpoint{name: name, shards: make([]shard, n)}
}

// Request is one request in flight. The zero Request counts nothing.
type Request struct{ s *shard }

// Begin counts a request that starts now. It must be ended exactly once.
func (e *Endpoint) Begin() Request {
	if e == nil {
		return Request{}
	}
	s := &e.shards[0]
	if n := len(e.shards); n > 1 {
		s = &e.shards[int(rand.Uint32())&(n-1)]
	}
	s.open.Add(1 - ticks()<<countBits)
	return Request{s}
}

// End counts the request's end.
func (r Request) End(failed bool) {
	if r.s == nil {
		return
	}
	r.s.open.Add(ticks()<<countBits - 1)
	if failed {
		r.s.failed.Add(1)
	}
	r.s.done.Add(1) // after open, and read before it, so that no request is ever seen as both
}

// level is how many requests are in flight.
func (e *Endpoint) level() (n uint64) {
	for i := range e.shards {
		n += e.shards[i].open.Load() & (1<<countBits - 1)
	}
	return n
}

// area is the area under the number in flight up to now, modulo 2⁴⁴ ticks, and the counts so far.
func (e *Endpoint) area(now uint64) (area, level, done, failed uint64) {
	for i := range e.shards {
		s := &e.shards[i]
		failed += s.failed.Load()
		done += s.done.Load()
		open := s.open.Load()
		n := open & (1<<countBits - 1)
		level += n
		area += open>>countBits + n*now
	}
	return area & (1<<(64-countBits) - 1), level, done, failed
}

// Counts are what an endpoint counted since the process began.
type Counts struct{ Arrivals, Completions, Errors, InFlight uint64 }

// Counts are the counts so far.
func (e *Endpoint) Counts() Counts {
	if e == nil {
		return Counts{}
	}
	_, level, done, failed := e.area(0)
	return Counts{Arrivals: done + level, Completions: done, Errors: failed, InFlight: level}
}
