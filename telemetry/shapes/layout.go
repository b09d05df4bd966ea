package shapes

import (
	"bytes"
	"math/bits"
	"slices"
)

// Limits of a form.
const (
	exactly  = 8  // calls alike that are counted one by one; more are rounded to powers of two
	maxSteps = 16 // of one caller, beyond which calls alike are taken together wherever they stand
)

// branch is visits of one caller that look alike: one visit of the form, or as many as copies says.
type branch struct {
	first  int32 // visit; the others follow by mate
	count  int32 // of visits
	times  int32 // that the form says are made one after the other
	copies int32 // that the form says go on side by side
	step   int32
	async  bool
	text   [2]int32
	size   int32 // visits of the form at and beneath one copy
	took   int64 // all of them one after the other
}

// layout turns visits into forms. Its memory is used again.
type layout struct {
	tree
	branches []branch
	text     []byte
	sync     []int32 // children of the visit at hand, in the order of time
	async    []int32
	segments []segment
	beside   beside
	few      []branch // scratch
}

// segment is children, by their place in sync, that follow each other alike (row), or go on side by side.
type segment struct {
	from, to int32
	row      bool
}

// lay finds out the steps of all requests that were found, and each visit's own time. A visit whose form would have more than most
// visits gets a size above that, and no steps.
func (l *layout) lay(most int32) {
	l.branches, l.text = l.branches[:0], l.text[:0]
	for i := len(l.found) - 1; i >= 0; i-- {
		if v := &l.found[i]; v.parent != noOne && !v.dropped {
			v.next, l.found[v.parent].first = l.found[v.parent].first, int32(i)
		}
	}
	for i := len(l.found) - 1; i >= 0; i-- { // children before their parents: they were found after
		l.arrange(int32(i), most)
	}
}

// arrange finds the steps of one visit, once those of what it called are known.
func (l *layout) arrange(i, most int32) {
	v := &l.found[i]
	v.own, v.size = v.to-v.from, 1
	v.branches = [2]int32{int32(len(l.branches)), int32(len(l.branches))}
	if v.first != noOne {
		l.part(v)
		l.merge(v)
		l.learn(v)
		l.divide(v)
		l.collect(v)
		v.branches[1] = int32(len(l.branches))
	}
	for k := v.branches[0]; k < v.branches[1]; k++ {
		if v.size += l.branches[k].copies * l.branches[k].size; v.size > most {
			v.size = most + 1
			v.branches[1] = v.branches[0]
			break
		}
	}
	l.write(v)
}

// part tells the visits that somebody waited for from the others, and puts both in the order of time.
func (l *layout) part(v *visit) {
	l.sync, l.async = l.sync[:0], l.async[:0]
	for c := v.first; c != noOne; c = l.found[c].next {
		w := &l.found[c]
		if !w.async && !w.byCaller && w.from < v.begun { // of two clocks
			l.shift(w, v.begun-w.from)
		}
		if !w.async {
			late, h := w.to > v.over, l.call(v.op, w.op)
			switch {
			case v.failed || w.failed:
			case w.byCaller:
				h.see(late, unwaitedFor)
			default:
				h.see(late, likelyUnwaited)
			}
			w.async = h.is
			if late && !w.async {
				l.fit(v, w)
			}
		}
		if w.async {
			l.async = append(l.async, c)
		} else {
			l.sync = append(l.sync, c)
		}
	}
	if len(l.sync) > 1 {
		slices.SortFunc(l.sync, l.byTime)
	}
}

// shift moves a visit in time.
func (l *layout) shift(w *visit, by int64) {
	w.from, w.to = w.from+by, w.to+by
	l.stats.Clamped++
}

// fit makes a visit end with its caller, who waited for it: by another clock it may have been shifted, else it is cut.
func (l *layout) fit(v, w *visit) {
	if by := w.to - v.over; !w.byCaller && w.from-by >= v.begun {
		l.shift(w, -by)
		return
	}
	cut := w.to - max(v.over, w.from)
	w.to -= cut
	w.own = max(w.own-cut, 0)
	l.stats.Clamped++
}

// merge takes attempts for one visit: what failed, and was followed by the same.
func (l *layout) merge(v *visit) {
	kept := l.sync[:0]
	failed := false
	for _, c := range l.sync {
		w := &l.found[c]
		for k := len(kept) - 1; failed && k >= max(0, len(kept)-maxSteps); k-- {
			p := &l.found[kept[k]]
			if p.op != w.op {
				continue
			}
			if p.failed && p.to <= w.from {
				p.dropped = true
				w.own += w.from - p.from
				w.from = p.from
				kept = append(kept[:k], kept[k+1:]...)
				l.stats.Retries++
			}
			break
		}
		kept = append(kept, c)
		failed = failed || w.failed
	}
	l.sync = kept
	if failed { // the later attempt stands where the first did
		slices.SortFunc(l.sync, l.byTime)
	}
}

// nth tells the first, the second and further visits of one operation by one caller apart, so that calls that go on beside the first
// need not do so beside the second.
func nth(op int32, before int32) int32 { return op | min(before, 2)<<14 }

// learn sees which of a visit's calls go on side by side. Those that lie next to each other in time are compared.
func (l *layout) learn(v *visit) {
	l.beside.reset()
	end, busy, before := int64(0), uint32(0), uint32(0)
	var until [maxSteps]int64
	for k, c := range l.sync {
		w := &l.found[c]
		i := l.beside.index(w.op)
		w.nth = int32(i)
		if k > 0 && w.from >= end {
			busy, before = 0, busy
		}
		end = max(end, w.to)
		if i == many || w.failed || v.failed {
			continue
		}
		l.beside.compared[i] |= busy | before
		if !w.byCaller {
			l.beside.foreign |= 1 << i
		}
		for b := busy; b != 0; b &= b - 1 {
			if j := bits.TrailingZeros32(b); w.from < until[j] {
				l.beside.met[i] |= 1 << j
			}
		}
		if busy&(1<<i) == 0 {
			until[i] = 0
		}
		busy |= 1 << i
		until[i] = max(until[i], w.to)
	}
	l.beside.learn(v.op, l.habits)
}

// divide cuts a visit's calls into segments, by what was learnt.
func (l *layout) divide(v *visit) {
	l.segments = l.segments[:0]
	busy, end := uint32(0), int64(0)
	for k, c := range l.sync {
		w := &l.found[c]
		i, beside := int(w.nth), false
		if i == many {
			beside = w.from < end
		}
		for b := busy; b != 0 && i != many && !beside; b &= b - 1 {
			beside = l.beside.are(i, bits.TrailingZeros32(b), v.op, l.habits)
		}
		last := len(l.segments) - 1
		switch {
		case k > 0 && beside:
			l.segments[last].row = false
		case k > 0 && l.segments[last].row && l.found[l.sync[l.segments[last].from]].op == w.op:
		default:
			l.segments = append(l.segments, segment{int32(k), int32(k), true})
			last++
			busy = 0
		}
		l.segments[last].to++
		if i != many {
			busy |= 1 << i
		}
		end = max(end, w.to)
	}
}

// collect makes branches of the segments, and takes the waiting from the visit's own time.
func (l *layout) collect(v *visit) {
	step := int32(0)
	for _, s := range l.segments {
		from := len(l.branches)
		l.alike(v, l.sync[s.from:s.to], step, false)
		if s.row { // what is not alike follows each other
			for k := from; k < len(l.branches); k++ {
				l.branches[k].step = step
				step++
			}
			continue
		}
		step++
	}
	if step > maxSteps {
		step = l.gather(v)
	}
	longest, at := int64(0), int32(noOne)
	for k := v.branches[0]; int(k) < len(l.branches); k++ {
		b := &l.branches[k]
		if b.step != at {
			v.own -= longest
			longest, at = 0, b.step
		}
		longest = max(longest, b.took)
	}
	if v.own -= longest; v.own < 0 {
		v.own = 0
		l.stats.Overruns++
	}
	l.alike(v, l.async, step, true) // nobody waits, and no step comes later
}

// alike makes a branch of each kind of visits, in the order of their text.
func (l *layout) alike(v *visit, visits []int32, step int32, async bool) {
	slices.SortFunc(visits, func(a, b int32) int {
		if c := bytes.Compare(l.textOf(a), l.textOf(b)); c != 0 {
			return c
		}
		return l.byTime(a, b)
	})
	for k := 0; k < len(visits); {
		w := &l.found[visits[k]]
		b := branch{first: visits[k], count: 1, step: step, async: async, text: w.text, size: w.size, took: w.to - w.from}
		end := k + 1
		for ; end < len(visits) && bytes.Equal(l.textOf(visits[end]), l.textOf(visits[k])); end++ {
			l.found[visits[end-1]].mate = visits[end]
			b.count++
			b.took += l.found[visits[end]].to - l.found[visits[end]].from
		}
		b.times, b.copies = rounded(b.count), 1
		if !async && b.count > 1 && l.beside.are(int(w.nth), int(l.found[w.mate].nth), v.op, l.habits) {
			b.times, b.copies = 1, floored(b.count)
			b.took = 0
			for c := b.first; c != noOne; c = l.found[c].mate {
				b.took = max(b.took, l.found[c].to-l.found[c].from)
			}
		}
		l.branches = append(l.branches, b)
		k = end
	}
}
