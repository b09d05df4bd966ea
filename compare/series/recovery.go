package series

import (
	"time"

	"foresail.dev"
	"foresail.dev/load"
)

// Stretch is a spike or flash crowd of a run, and until when what it did is its own: the next one's start, or the run's end.
type Stretch struct{ Start, End, Until time.Time }

// Stretches are the surges of a load that begin between from and until, in a run that began at origin.
func Stretches(surges []load.Surge, origin, from, until time.Time) (out []Stretch) {
	for _, s := range surges {
		at := origin.Add(s.Start)
		if at.Before(from) || !at.Before(until) {
			continue
		}
		if n := len(out); n > 0 {
			out[n-1].Until = at
		}
		out = append(out, Stretch{at, origin.Add(s.End), until})
	}
	return out
}

// Recovery is how long after a surge's start an endpoint was well again: until the first of the five good windows that end
// the last episode which began while the surge lasted; 0 where none did. ok is false where that never came: then it is the
// time until the next surge or the end, and at least that. windows are the endpoint's, in order.
func (s Stretch) Recovery(windows []foresail.Window) (took time.Duration, ok bool) {
	well := s.Start
	ill, good, since := false, 0, time.Time{}
	for _, w := range windows {
		if !w.End.After(s.Start) {
			continue
		}
		if !w.Start.Before(s.Until) {
			break
		}
		switch {
		case w.Violated && !ill && !w.Start.Before(s.End): // an episode that the surge did not begin
			return well.Sub(s.Start), true
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
		return s.Until.Sub(s.Start), false
	}
	return well.Sub(s.Start), true
}
