package otlp

import (
	"sync"
	"time"
)

// patience is how long a request may be read before another one may take its slot.
const patience = time.Second

// slots bound how many requests are held at once, and with them the memory: each holds up to MaxRequestBytes. A request
// takes a slot before its bytes are read and keeps it until it is answered. A sender that is slow to send must not keep
// others out, so when all slots are taken a newcomer gets the one that has been read for longest, if that is longer than
// patience. What has been read whole is never put off.
type slots struct {
	mu   sync.Mutex
	free int
	read []*slot // being read, oldest first
}

// slot is the place of one request.
type slot struct {
	of    *slots
	since time.Time
	cut   func() // ends the reading; called at most once, and not after arrived or leave have returned
	state slotState
}

type slotState int

const (
	slotReading slotState = iota
	slotWorking
	slotGone // given back, or taken by another
)

// enter takes a slot for a request whose reading cut ends; false when there is none.
func (s *slots) enter(now time.Time, cut func()) (*slot, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.free == 0 {
		if len(s.read) == 0 || now.Sub(s.read[0].since) < patience {
			return nil, false
		}
		oldest := s.read[0]
		oldest.end()
		oldest.cut()
	}
	s.free--
	x := &slot{of: s, since: now, cut: cut}
	s.read = append(s.read, x)
	return x, true
}

// arrived says that the request was read whole; false when its slot was taken in the meantime.
func (x *slot) arrived() bool {
	x.of.mu.Lock()
	defer x.of.mu.Unlock()
	if x.state == slotReading {
		x.unlist()
		x.state = slotWorking
	}
	return x.state == slotWorking
}

// leave gives the slot back, unless it was taken.
func (x *slot) leave() {
	x.of.mu.Lock()
	defer x.of.mu.Unlock()
	x.end()
}

func (x *slot) end() {
	switch x.state {
	case slotGone:
		return
	case slotReading:
		x.unlist()
	}
	x.state = slotGone
	x.of.free++
}

func (x *slot) unlist() {
	for i, y := range x.of.read {
		if y == x {
			x.of.read = append(x.of.read[:i], x.of.read[i+1:]...)
			return
		}
	}
}
