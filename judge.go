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
	objective Objective
	open      Window
	endpoint  EndpointID
	good      int       // good windows in a row during an episode
	last      time.Time // end of the newest violated window

	Windows  int // judged
	Violated int // of those, in violation
	Requests float64
	Bad      float64
	Last     Window    // the newest judgement
	Episodes []Episode // oldest first; bounded by maxEpisodes, the oldest dropped
	count    int
}

const maxEpisodes = 10_000

// NewJudge judges endpoint e by its objective.
func NewJudge(e EndpointID, o Objective) *Judge { return &Judge{objective: o, endpoint: e} }

// Add takes the next snapshot, of at most the window's length, and returns the newest judgement that it completes, if any.
// Stale snapshots and those without endpoints are left out: nothing was seen, so nothing is judged.
func (j *Judge) Add(s *Snapshot) (Window, bool) {
	if s.Stale || !s.Has.Has(SignalEndpoints) || int(j.endpoint) >= len(s.Endpoints) {
		return Window{}, false
	}
	e := &s.Endpoints[j.endpoint]
	w := j.objective.WindowOrDefault()
	// A window whose last snapshots were missing ends when the next begins.
	missed, closed := Window{}, false
	if !j.open.Start.IsZero() && s.Start.Truncate(w).After(j.open.End.Add(-1).Truncate(w)) {
		missed, closed = j.close()
	}
	if j.open.Start.IsZero() {
		j.open.Start = s.Start
	}
	j.open.End = s.End
	j.open.Requests += e.Requests
	j.open.Bad += e.Late
	if j.open.FirstBad.IsZero() && e.Late > 0 {
		j.open.FirstBad = e.FirstLate
		if j.open.FirstBad.IsZero() {
			j.open.FirstBad = s.Start
		}
	}
	if s.End.Truncate(w).After(s.Start.Truncate(w)) { // the window is over
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
