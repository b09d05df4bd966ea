package node

import (
	"math"

	"foresail.dev"
)

// Request is what a replica asks a node for.
type Request struct {
	Milli  int64 // thousandths of a core
	Memory int64 // bytes
}

// NewRequest is the request of one replica with so many cores and bytes; it counts whole thousandths, rounded up.
func NewRequest(cores float64, memory int64) Request {
	return Request{Milli: int64(math.Ceil(cores*1000 - 1e-6)), Memory: memory}
}

// Room is a node and what is requested of it.
type Room struct {
	Node      foresail.Node
	Requested Request
	Replicas  int
	Down      bool // it takes no replicas
}

// Take requests more.
func (r *Room) Take(q Request) {
	r.Requested.Milli += q.Milli
	r.Requested.Memory += q.Memory
	r.Replicas++
}

// Give takes a request back.
func (r *Room) Give(q Request) {
	r.Requested.Milli -= q.Milli
	r.Requested.Memory -= q.Memory
	r.Replicas--
}

// Resize replaces a request by another, whether it fits or not: limits of running replicas are written as they are.
func (r *Room) Resize(from, to Request) {
	r.Requested.Milli += to.Milli - from.Milli
	r.Requested.Memory += to.Memory - from.Memory
}

// Fits reports whether a node is up and has as much to spare.
func (r *Room) Fits(q Request) bool {
	return !r.Down && (r.Node.Cores == 0 || r.Requested.Milli+q.Milli <= int64(r.Node.Cores)*1000) &&
		(r.Node.Memory == 0 || r.Requested.Memory+q.Memory <= r.Node.Memory)
}

// Score is how much a placement likes a replica on a node that it fits on; see the package comment.
func Score(p foresail.Placement, r *Room, q Request) float64 {
	c, m := 0.0, 0.0
	if r.Node.Cores > 0 {
		c = float64(r.Requested.Milli+q.Milli) / float64(r.Node.Cores*1000)
	}
	if r.Node.Memory > 0 {
		m = float64(r.Requested.Memory+q.Memory) / float64(r.Node.Memory)
	}
	if p == foresail.BinPack {
		return (c + m) / 2
	}
	return ((1-c)+(1-m))/2 + 1 - math.Abs(c-m)/2
}

// Place is the index of the node that a replica goes to; -1: it fits nowhere.
func Place(p foresail.Placement, rooms []Room, q Request) int {
	best, most := -1, math.Inf(-1)
	for i := range rooms {
		if !rooms[i].Fits(q) {
			continue
		}
		s := Score(p, &rooms[i], q)
		if s > most || s == most && p == foresail.Spread && rooms[i].Replicas < rooms[best].Replicas {
			best, most = i, s
		}
	}
	return best
}
