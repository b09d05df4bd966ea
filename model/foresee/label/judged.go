package label

import (
	"time"

	"foresail.dev"
)

// judged is one endpoint and its episodes.
type judged struct {
	endpoint  foresail.EndpointID
	objective foresail.Objective
	judge     *foresail.Judge
	beats     []beat // since the last window that was judged
	episodes  []Episode
	good      int // windows in a row since the last violated one
}

// beat is what one interval told of an endpoint.
type beat struct {
	start, end time.Time
	late       float64
}

func (j *judged) add(s *foresail.Snapshot) {
	for _, r := range s.Late {
		if v := j.lateIn(r); v > 0 {
			for i := range j.beats {
				if b := &j.beats[i]; !r.Start.Before(b.start) && r.Start.Before(b.end) {
					b.late += v
				}
			}
		}
	}
	j.beats = append(j.beats, beat{s.Start, s.End, j.lateIn(s)})
	if w, ok := j.judge.Add(s); ok {
		j.take(w)
	}
}

// flush judges what still waits for additions: time goes on and nothing is seen, so that each window is told of.
func (j *judged) flush() {
	if n := len(j.beats); n > 0 && j.judge.Hold > 0 {
		for at, end := j.beats[n-1].end, j.beats[n-1].end.Add(j.judge.Hold); at.Before(end); at = at.Add(foresail.Beat) {
			if w, ok := j.judge.Add(&foresail.Snapshot{Start: at, End: at.Add(foresail.Beat), Stale: true}); ok {
				j.take(w)
			}
		}
	}
}

func (j *judged) lateIn(s *foresail.Snapshot) float64 {
	if s.Stale || !s.Has.Has(foresail.SignalEndpoints) || int(j.endpoint) >= len(s.Endpoints) {
		return 0
	}
	return s.Endpoints[j.endpoint].Late
}

// take counts a window that was judged.
func (j *judged) take(w foresail.Window) {
	n := len(j.episodes)
	open := n > 0 && j.episodes[n-1].Over.IsZero()
	switch {
	case w.Violated && !open:
		j.good = 0
		j.episodes = append(j.episodes, Episode{Start: w.FirstBad, Broken: j.broken(w), End: w.End, Endpoint: j.endpoint, first: w.End})
	case w.Violated:
		j.good, j.episodes[n-1].End = 0, w.End
	case open:
		if j.good++; j.good >= foresail.EpisodeEnd {
			j.episodes[n-1].Over = w.End
		}
	}
	keep := 0
	for _, b := range j.beats {
		if !b.start.Before(w.End) {
			j.beats[keep] = b
			keep++
		}
	}
	j.beats = j.beats[:keep]
}

// broken is the end of the beat in which a violated window had used up what is allowed of its requests.
func (j *judged) broken(w foresail.Window) time.Time {
	allowed, seen := w.Requests*j.objective.Allowed()*(1+1e-9), 0.0
	for _, b := range j.beats {
		if b.start.Before(w.Start) || !b.start.Before(w.End) {
			continue
		}
		if seen += b.late; seen > allowed {
			return b.end
		}
	}
	return w.End
}
