package compare

import (
	"time"

	"foresail.dev"
	"foresail.dev/load"
)

// stretch is a spike or flash crowd of a run, and until when what it did is its own: the next one's start, or the run's end.
type stretch struct{ start, end, until time.Time }

// stretches are the surges of a load that begin between from and until, in a run that began at origin.
func stretches(surges []load.Surge, origin, from, until time.Time) (out []stretch) {
	for _, s := range surges {
		at := origin.Add(s.Start)
		if at.Before(from) || !at.Before(until) {
			continue
		}
		if n := len(out); n > 0 {
			out[n-1].until = at
		}
		out = append(out, stretch{at, origin.Add(s.End), until})
	}
	return out
}

// recovery is how long after a surge's start an endpoint was well again: until the first of the five good windows that end
// the last episode which began while the surge lasted; 0 where none did. ok is false where that never came: then it is the
// time until the next surge or the end, and at least that. windows are the endpoint's, in order.
func (s stretch) recovery(windows []foresail.Window) (took time.Duration, ok bool) {
	well := s.start
	ill, good, since := false, 0, time.Time{}
	for _, w := range windows {
		if !w.End.After(s.start) {
			continue
		}
		if !w.Start.Before(s.until) {
			break
		}
		switch {
		case w.Violated && !ill && !w.Start.Before(s.end): // an episode that the surge did not begin
			return well.Sub(s.start), true
		case w.Violated:
			ill, good = true, 0
		case ill:
			if good++; good == 1 {
				since = w.Start
			}
			if good == foresail.EpisodeEnd {
				ill, well = false, since
			}
		}
	}
	if ill {
		return s.until.Sub(s.start), false
	}
	return well.Sub(s.start), true
}

// recover notes how a run came out of its surges: the endpoint that took longest counts, and the mean over surges.
func (m *measure) recover() {
	if len(m.surges) == 0 {
		return
	}
	sum := 0.0
	for _, s := range m.surges {
		longest, all := time.Duration(0), true
		for i := range m.judged {
			took, ok := s.recovery(m.judged[i].windows)
			longest, all = max(longest, took), all && ok
		}
		sum += longest.Seconds()
		if !all {
			m.out.Unrecovered++
		}
	}
	m.out.Surges = len(m.surges)
	m.out.Recovery = ptr(round(sum / float64(len(m.surges))))
}
