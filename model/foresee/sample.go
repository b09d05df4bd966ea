package foresee

import (
	"slices"
	"time"

	"foresail.dev"
	"foresail.dev/model/foresee/label"
)

// Early is how long before it is broken an episode's run-up may begin, where its start lies so far back: late requests that
// came earlier are stragglers rather than its first.
const Early = 2 * time.Second

// What a beat is, by what comes after it.
const (
	quiet   = iota // nothing
	nearing        // an episode is broken within the horizon
	early          // an episode has started and is broken after the horizon
	ongoing        // an episode goes on, or is still in the window
)

// moment is what a beat is, and of which episode.
type moment struct {
	what    uint8
	episode int32 // of nearing, early and ongoing
}

// moments are those of all beats of a run, for a horizon and windows of so many beats.
func moments(r *Run, horizon time.Duration, window int) []moment {
	out := make([]moment, r.Beats())
	for i := range r.Episodes {
		e := &r.Episodes[i]
		for t := max(r.before(e.Broken.Add(-max(horizon, Early))), 0); t < len(out); t++ {
			end := r.End(t)
			m := moment{quiet, int32(i)}
			switch {
			case !end.Before(e.Broken):
				if !e.Over.IsZero() && !end.Before(e.Over.Add(time.Duration(window)*r.Beat)) {
					t = len(out)
					continue
				}
				m.what = ongoing
			case !end.Before(e.Broken.Add(-horizon)):
				m.what = nearing
			case !end.Before(e.Start):
				m.what = early
			default:
				continue
			}
			if out[t].what != ongoing {
				out[t] = m
			}
		}
	}
	return out
}

// before is the last beat that ends before an instant.
func (r *Run) before(at time.Time) int { return int((at.Sub(r.Start)-1)/r.Beat) - 1 }

// sample is the window that ends with a beat of a run.
type sample struct {
	run, beat int32
	class     int32 // in the model's order; the number of services: none
}

// samples are the windows of runs that have a class: not those that an episode is in, or has started before, not those
// before episodes whose culprit is not known, and not those less than Gap before a run-up: an alarm there is right if it goes on, and what
// is seen then is often no different.
func samples(runs []*Run, window int, horizon time.Duration, order []foresail.ServiceID) (ahead, none []sample) {
	place := make([]int32, len(order))
	for i, s := range order {
		place[s] = int32(i)
	}
	for i, r := range runs {
		all, kept := moments(r, horizon, window), 0
		for t, m := range all {
			if kept++; !r.kept(t) {
				kept = 0
			}
			if kept < window {
				continue
			}
			switch m.what {
			case quiet:
				if slices.ContainsFunc(all[t:min(t+Gap, len(all))], func(m moment) bool { return m.what == nearing || m.what == early }) {
					continue
				}
				none = append(none, sample{int32(i), int32(t), int32(len(order))})
			case nearing:
				if c := r.Episodes[m.episode].Culprit; c != label.Nobody {
					ahead = append(ahead, sample{int32(i), int32(t), place[c]})
				}
			}
		}
	}
	return ahead, none
}
