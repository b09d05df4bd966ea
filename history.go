package foresail

import "time"

// History is what was observed so far, in three rings: snapshots of the source's own interval (beats), of a second and
// of a minute, each merged from the one before, so that a manager that decides each minute and one that decides each
// 100 ms read the same truth. A source slower than a ring.s step fills it with its own, longer snapshots.
//
// It is used by one goroutine at a time. What it returns must not be changed.
type History struct {
	app     *App
	beats   ring
	seconds ring
	minutes ring
	second  accumulator
	minute  accumulator
	last    *Snapshot
}

// Limits of a History: what a manager may ask for at most.
const (
	MaxBeats   = 36_000  // one hour of 100 ms
	MaxSeconds = 172_800 // two days
	MaxMinutes = 129_600 // ninety days
)

// NewHistory keeps as much as needs asks for, within the limits; at least one snapshot of each kind.
func NewHistory(app *App, needs Needs) *History {
	h := &History{app: app}
	h.beats.limit = min(max(needs.Beats, 1), MaxBeats)
	h.seconds.limit = min(max(needs.Seconds, 1), MaxSeconds)
	h.minutes.limit = min(max(needs.Minutes, 1), MaxMinutes)
	h.second.step, h.minute.step = time.Second, time.Minute
	return h
}

// Keep makes it keep at least as much as needs asks for from now on, within the limits. What is there stays.
func (h *History) Keep(needs Needs) {
	h.beats.grow(min(needs.Beats, MaxBeats))
	h.seconds.grow(min(needs.Seconds, MaxSeconds))
	h.minutes.grow(min(needs.Minutes, MaxMinutes))
}

// App is the application as it was when the last snapshot came.
func (h *History) App() *App { return h.app }

// SetApp replaces the application when its generation has grown.
func (h *History) SetApp(app *App) { h.app = app }

// Now is the end of the newest snapshot; zero before the first.
func (h *History) Now() time.Time {
	if h.last == nil {
		return time.Time{}
	}
	return h.last.End
}

// Last is the newest snapshot of the source's own interval; nil before the first.
func (h *History) Last() *Snapshot { return h.last }

// Beats are the newest n snapshots of the source's own interval, oldest first; fewer when there are fewer.
func (h *History) Beats(n int) []*Snapshot { return h.beats.tail(n) }

// Seconds are the newest n complete snapshots of one second, oldest first.
func (h *History) Seconds(n int) []*Snapshot { return h.seconds.tail(n) }

// Minutes are the newest n complete snapshots of one minute, oldest first.
func (h *History) Minutes(n int) []*Snapshot { return h.minutes.tail(n) }

// Over merges the newest snapshots that together cover at least d, taken from the finest ring that reaches that far
// back; nil when there are none. When history is shorter, it covers what there is.
func (h *History) Over(d time.Duration) *Snapshot {
	rings := []*ring{&h.beats, &h.seconds, &h.minutes}
	best := rings[0]
	for _, r := range rings {
		if r.covers() > best.covers() {
			best = r
		}
		if r.covers() >= d {
			best = r
			break
		}
	}
	n := 0
	for covered := time.Duration(0); n < best.len() && covered < d; n++ {
		covered += best.at(best.len() - 1 - n).Duration()
	}
	return Merge(best.tail(n)...)
}

// Add appends the next snapshot and applies its late additions to the ones they belong to. The history owns s.
func (h *History) Add(s *Snapshot) {
	for _, late := range s.Late {
		h.revise(late)
	}
	h.last = s
	h.beats.push(s)
	for _, sec := range h.second.add(s) {
		h.seconds.push(sec)
		for _, m := range h.minute.add(sec) {
			h.minutes.push(m)
		}
	}
}

// Recall puts in what was observed before this history began, oldest first and before the first Add: snapshots of a minute or
// longer among the minutes, of a second or longer among the seconds, shorter ones among the beats. Each goes nowhere else,
// so whoever has them merged gives them apart. Now and Last stay those of what is added. The history owns s.
func (h *History) Recall(s *Snapshot) {
	switch d := s.Duration(); {
	case d >= time.Minute:
		h.minutes.push(s)
	case d >= time.Second:
		h.seconds.push(s)
	default:
		h.beats.push(s)
	}
}

func (h *History) revise(late *Snapshot) {
	h.beats.revise(late)
	h.second.revise(late)
	h.seconds.revise(late)
	h.minute.revise(late)
	h.minutes.revise(late)
}

// ring holds the newest snapshots, up to limit.
type ring struct {
	limit int
	head  int // index of the oldest once full
	items []*Snapshot
}

func (r *ring) len() int           { return len(r.items) }
func (r *ring) at(i int) *Snapshot { return r.items[(r.head+i)%len(r.items)] }
func (r *ring) push(s *Snapshot) {
	if len(r.items) < r.limit {
		r.items = append(r.items, s)
		return
	}
	r.items[r.head] = s
	r.head = (r.head + 1) % r.limit
}

func (r *ring) grow(limit int) {
	if limit > r.limit {
		r.items, r.head, r.limit = r.tail(len(r.items)), 0, limit
	}
}

func (r *ring) tail(n int) []*Snapshot {
	n = max(min(n, len(r.items)), 0)
	out := make([]*Snapshot, n)
	for i := range out {
		out[i] = r.at(len(r.items) - n + i)
	}
	return out
}

func (r *ring) covers() time.Duration {
	if len(r.items) == 0 {
		return 0
	}
	return r.at(len(r.items) - 1).End.Sub(r.at(0).Start)
}

// revise replaces the snapshot that late belongs to by one with the addition, so that a snapshot once handed out stays
// as it was.
func (r *ring) revise(late *Snapshot) {
	for i := len(r.items) - 1; i >= 0; i-- {
		s := r.at(i)
		if !late.Start.Before(s.End) {
			return
		}
		if !late.Start.Before(s.Start) {
			c := Merge(s)
			c.Stale = false
			c.revise(late)
			r.items[(r.head+i)%len(r.items)] = c
			return
		}
	}
}

// accumulator gathers parts into snapshots of step, aligned to the clock.
type accumulator struct {
	step  time.Duration
	parts []*Snapshot
}

// add takes the next part and returns the snapshots that it completes.
func (a *accumulator) add(s *Snapshot) []*Snapshot {
	var done []*Snapshot
	cell := s.Start.Truncate(a.step)
	if len(a.parts) > 0 && !a.parts[0].Start.Truncate(a.step).Equal(cell) {
		done = append(done, Merge(a.parts...)) // a gap: what there is of the earlier cell is complete
		a.parts = nil
	}
	a.parts = append(a.parts, s)
	if !s.End.Before(cell.Add(a.step)) {
		done = append(done, Merge(a.parts...))
		a.parts = nil
	}
	return done
}

func (a *accumulator) revise(late *Snapshot) {
	for i, s := range a.parts {
		if !late.Start.Before(s.Start) && late.Start.Before(s.End) {
			c := Merge(s)
			c.Stale = false
			c.revise(late)
			a.parts[i] = c
			return
		}
	}
}
