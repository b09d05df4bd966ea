package foresail

import "time"

// Window is one judgement of an objective.
type Window struct {
	Start, End time.Time
	Requests   float64
	Bad        float64 // late or failed
	FirstBad   time.Time
	Violated   bool
}

// Episode is a stretch in which an objective is missed: from the first late or failed request of its first violated
// window until EpisodeEnd good windows have passed.
type Episode struct {
	Start time.Time
	End   time.Time // the end of the last violated window; zero while it goes on
}

// EpisodeEnd is how many good windows end an episode.
const EpisodeEnd = 5

// Judge judges one objective over tumbling windows aligned to the clock. A window with fewer than MinRequests requests
// is joined with the next until it has enough. The zero value is not usable; see NewJudge.
type Judge struct {
	// Hold is how long a snapshot waits for its late additions before it is judged: 0 where none come (a simulator), up
	// to RevisionLimit where requests are known from spans. Additions that come later still are not judged.
	Hold time.Duration

	objective Objective
	open      Window
	endpoint  EndpointID
	held      []seen
	good      int       // good windows in a row during an episode
	last      time.Time // end of the newest violated window
	count     int

	Windows  int // judged
	Violated int // of those, in violation
	Requests float64
	Bad      float64
	Last     Window    // the newest judgement
	Episodes []Episode // oldest first; bounded by maxEpisodes, the oldest dropped
}

const maxEpisodes = 10_000

// seen is what a snapshot told of the endpoint.
type seen struct {
	start, end time.Time
	observed   bool
	requests   float64
	bad        float64
	firstBad   time.Time
}

// add counts what was seen of the endpoint in s.
func (n *seen) add(s *Snapshot, e EndpointID) {
	if s.Stale || !s.Has.Has(SignalEndpoints) || int(e) >= len(s.Endpoints) {
		return
	}
	n.observed = true
	st := &s.Endpoints[e]
	n.requests += st.Requests
	n.bad += st.Late
	if st.Late <= 0 {
		return
	}
	first := st.FirstLate
	if first.IsZero() {
		first = s.Start
	}
	if n.firstBad.IsZero() || first.Before(n.firstBad) {
		n.firstBad = first
	}
}

// NewJudge judges endpoint e by its objective.
func NewJudge(e EndpointID, o Objective) *Judge { return &Judge{objective: o, endpoint: e} }

// Add takes the next snapshot, of at most the window's length, with the late additions it carries, and returns the
// newest judgement that this completes, if any. Stale intervals and those without endpoints are left out: nothing
// was seen, so nothing is judged.
func (j *Judge) Add(s *Snapshot) (Window, bool) {
	for _, late := range s.Late {
		for i := range j.held {
			if h := &j.held[i]; !late.Start.Before(h.start) && late.Start.Before(h.end) {
				h.add(late, j.endpoint)
			}
		}
	}
	now := seen{start: s.Start, end: s.End}
	now.add(s, j.endpoint)
	j.held = append(j.held, now)
	due := 0
	for due < len(j.held) && !j.held[due].end.Add(j.Hold).After(s.End) {
		due++
	}
	return j.judge(due)
}

// Flush judges what is still held, when no more is to come. An unfinished window stays unjudged.
func (j *Judge) Flush() (Window, bool) { return j.judge(len(j.held)) }

// judge takes the oldest n that are held.
func (j *Judge) judge(n int) (newest Window, any bool) {
	for _, s := range j.held[:n] {
		if win, ok := j.take(s); ok {
			newest, any = win, true
		}
	}
	j.held = append(j.held[:0], j.held[n:]...)
	return newest, any
}

// take counts one interval for the open window and closes it when it is over.
func (j *Judge) take(s seen) (Window, bool) {
	if !s.observed {
		return Window{}, false
	}
	w := j.objective.WindowOrDefault()
	// A window whose last intervals were missing ends when the next begins.
	missed, closed := Window{}, false
	if !j.open.Start.IsZero() && s.start.Truncate(w).After(j.open.End.Add(-1).Truncate(w)) {
		missed, closed = j.close()
	}
	if j.open.Start.IsZero() {
		j.open.Start = s.start
	}
	j.open.End = s.end
	j.open.Requests += s.requests
	j.open.Bad += s.bad
	if !s.firstBad.IsZero() && (j.open.FirstBad.IsZero() || s.firstBad.Before(j.open.FirstBad)) {
		j.open.FirstBad = s.firstBad
	}
	if s.end.Truncate(w).After(s.start.Truncate(w)) { // the window is over
		if win, ok := j.close(); ok {
			return win, true
		}
	}
	return missed, closed
}

// close judges the open window, unless it has too few requests and must be joined with the next.
func (j *Judge) close() (Window, bool) {
	if j.open.Requests < float64(j.objective.MinRequestsOrDefault()) {
		return Window{}, false
	}
	win := j.open
	j.open = Window{}
	// A tolerance of a billionth, so that exactly the allowed share is not a violation because of rounding.
	win.Violated = win.Bad > win.Requests*j.objective.Allowed()*(1+1e-9)
	j.record(win)
	return win, true
}

func (j *Judge) record(w Window) {
	j.Last = w
	j.Windows++
	j.Requests += w.Requests
	j.Bad += w.Bad
	ongoing := len(j.Episodes) > 0 && j.Episodes[len(j.Episodes)-1].End.IsZero()
	switch {
	case w.Violated:
		j.Violated++
		j.good = 0
		j.last = w.End
		if !ongoing {
			j.count++
			if len(j.Episodes) == maxEpisodes {
				j.Episodes = append(j.Episodes[:0], j.Episodes[1:]...)
			}
			j.Episodes = append(j.Episodes, Episode{Start: w.FirstBad})
		}
	case ongoing:
		if j.good++; j.good >= EpisodeEnd {
			j.Episodes[len(j.Episodes)-1].End = j.last
		}
	}
}

// ViolationShare is the share of judged windows in violation; 0 before the first.
func (j *Judge) ViolationShare() float64 {
	if j.Windows == 0 {
		return 0
	}
	return float64(j.Violated) / float64(j.Windows)
}

// BudgetLeft is the share of the error budget that is left: 1 while every request was good, 0 when the allowed share
// of requests was late or failed, negative beyond. It is 1 before the first judgement.
func (j *Judge) BudgetLeft() float64 {
	allowed := j.Requests * j.objective.Allowed()
	if allowed <= 0 {
		if j.Bad > 0 {
			return -1
		}
		return 1
	}
	return 1 - j.Bad/allowed
}

// EpisodeCount is how many episodes have begun.
func (j *Judge) EpisodeCount() int { return j.count }
