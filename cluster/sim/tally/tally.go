// Package tally keeps the simulator's counts over a beat: how long things took, for many owners at the cost of few, and
// how many there were of what comes and goes.
package tally

import "foresail.dev/sketch"

// Latencies counts how long requests took, by owner: a replica, an edge or an endpoint. What is counted is written down in
// the order in which it comes, which costs the same for many owners as for few, and sorted by owner when the beat ends;
// so no owner needs a sketch of its own that would not be in the cache when its turn comes. A log that is full, which
// takes a long beat, is sorted in between.
type Latencies struct {
	log    []latency
	sorted []int64          // the log's, by owner, in the order in which they came
	ends   []int32          // by owner: the end of its part of sorted
	counts []*sketch.Sketch // by owner: what was sorted before this beat's end; nil: nothing
	spare  []*sketch.Sketch
	few    sketch.Sketch // scratch
}

type latency struct {
	ns    int64
	owner int32
}

// logLimit is how many Latencies wait to be sorted.
const logLimit = 1 << 16

// Grow makes room for n owners.
func (l *Latencies) Grow(n int) {
	for len(l.ends) < n {
		l.ends = append(l.ends, 0)
		l.counts = append(l.counts, nil)
	}
}

// Add counts one, of ns nanoseconds.
func (l *Latencies) Add(owner int32, ns int64) {
	if len(l.log) == logLimit {
		l.spill()
	}
	l.log = append(l.log, latency{ns: ns, owner: owner})
}

// Sort sorts the log by owner; Take may follow.
func (l *Latencies) Sort() {
	clear(l.ends)
	for i := range l.log {
		l.ends[l.log[i].owner]++
	}
	at := int32(0)
	for i, n := range l.ends { // the beginnings
		l.ends[i] = at
		at += n
	}
	if cap(l.sorted) < len(l.log) {
		l.sorted = make([]int64, cap(l.log))
	}
	l.sorted = l.sorted[:len(l.log)]
	for i := range l.log { // which become ends
		e := &l.log[i]
		l.sorted[l.ends[e.owner]] = e.ns
		l.ends[e.owner]++
	}
	l.log = l.log[:0]
}

// of is what Sort has found of an owner.
func (l *Latencies) of(owner int32) []int64 {
	from := int32(0)
	if owner > 0 {
		from = l.ends[owner-1]
	}
	return l.sorted[from:l.ends[owner]]
}

// spill empties the log before the beat's end.
func (l *Latencies) spill() {
	l.Sort()
	for i := range l.ends {
		part := l.of(int32(i))
		if len(part) == 0 {
			continue
		}
		if l.counts[i] == nil {
			l.counts[i] = l.newSketch()
		}
		count(l.counts[i], part)
	}
}

func (l *Latencies) newSketch() *sketch.Sketch {
	n := len(l.spare)
	if n == 0 {
		return sketch.New()
	}
	s := l.spare[n-1]
	l.spare = l.spare[:n-1]
	return s
}

func count(s *sketch.Sketch, ns []int64) {
	for _, v := range ns {
		s.Add(float64(v) * 1e-9)
	}
}

// Take is a copy of what was counted for an owner since the beat began, and forgets it; nil: nothing was. It is added to
// sum, where there is one. Sort comes first.
func (l *Latencies) Take(owner int32, out *Copies, sum *sketch.Sketch) *sketch.Sketch {
	part := l.of(owner)
	s := l.counts[owner]
	if s == nil {
		if len(part) == 0 {
			return nil
		}
		s = &l.few
	} else {
		l.counts[owner] = nil
		l.spare = append(l.spare, s)
	}
	count(s, part)
	if sum != nil {
		sum.Merge(s)
	}
	c := out.Take(s)
	s.Reset()
	return c
}

// Copies makes the sketches of a snapshot: a few large allocations instead of two for each.
type Copies struct {
	sketches []sketch.Sketch // room that is left
	counts   []float64
	// What this snapshot took so far, and the one before.
	took, before struct{ sketches, counts int }
}

// Begin starts a snapshot. Nothing is shared by two.
func (p *Copies) Begin() {
	p.sketches, p.counts = nil, nil
	p.before = p.took
	p.took.sketches, p.took.counts = 0, 0
}

// piece is how much to allocate where n is needed: as much as the snapshot before took, less what this one has, and some
// more; where this one takes more than that, a quarter of what it has.
func piece(n, took, before int) int { return max(n, before-took+before/16, took/4, 16) }

// Take is a copy of a sketch.
func (p *Copies) Take(s *sketch.Sketch) *sketch.Sketch {
	if len(p.sketches) == 0 {
		p.sketches = make([]sketch.Sketch, piece(1, p.took.sketches, p.before.sketches))
	}
	room := s.Room()
	if len(p.counts) < room {
		p.counts = make([]float64, piece(room, p.took.counts, p.before.counts))
	}
	out := &p.sketches[0]
	p.sketches = p.sketches[1:]
	p.counts = s.CopyTo(out, p.counts)
	p.took.sketches++
	p.took.counts += room
	return out
}
