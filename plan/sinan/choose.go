package sinan

import (
	"cmp"
	"fmt"

	"foresail.dev/model/tail"
)

// limits are what a candidate is held against.
type limits struct {
	latency    float64 // ms; the percentile that the objective is of must stay below it
	percentile int     // which, in tail.Percentiles
	down, up   float64 // probabilities
	lower      bool    // something may be lowered
	hold       bool    // what there is may be held
}

// safe reports whether a candidate may be taken, and says why not. Numbers that are none are not safe.
func (l *limits) safe(k kind, p *tail.Prediction) (bool, string) {
	ms := p.Latency[l.percentile]
	if !(ms < l.latency) {
		return false, fmt.Sprintf("%s of %.0f ms is not below %.0f ms", percentile(l.percentile), ms, l.latency)
	}
	if k == down {
		if !(p.Violation <= l.down) {
			return false, fmt.Sprintf("a violation with probability %.3f is above %g", p.Violation, l.down)
		}
		return true, ""
	}
	if !(p.Violation < l.up) {
		return false, fmt.Sprintf("a violation with probability %.3f is not below %g", p.Violation, l.up)
	}
	return true, ""
}

// fits is safe without the words.
func (l *limits) fits(k kind, p *tail.Prediction) bool {
	if !(p.Latency[l.percentile] < l.latency) {
		return false
	}
	if k == down {
		return p.Violation <= l.down
	}
	return p.Violation < l.up
}

// choose is the artefact's rule: the index of the candidate to take. The first is hold and the second the most. next asks
// whether a candidate that would be lowered to may be after all; where it says no, the next cheapest is asked about.
func choose(list []candidate, p []tail.Prediction, l *limits, may func(*candidate) bool) int {
	if l.lower {
		if i := lowest(list, p, l, may); i >= 0 {
			return i
		}
	}
	if l.hold && l.fits(hold, &p[0]) {
		return 0
	}
	best := 1
	for i := range list {
		if list[i].kind == up && l.fits(up, &p[i]) && (best == 1 || before(list, p, l, i, best)) {
			best = i
		}
	}
	return best
}

// lowest is the cheapest safe candidate that lowers something; -1: there is none. One that goes back is held against the test of
// what is held: there was less a moment ago.
func lowest(list []candidate, p []tail.Prediction, l *limits, may func(*candidate) bool) int {
	last := -1
	for {
		best := -1
		for i := range list {
			if k := list[i].kind; k != down && k != back || !l.fits(k, &p[i]) || last >= 0 && !before(list, p, l, last, i) {
				continue
			}
			if best < 0 || before(list, p, l, i, best) {
				best = i
			}
		}
		if best < 0 || may(&list[best]) {
			return best
		}
		last = best
	}
}

// before orders candidates by cores, then by predicted latency, then as they were made.
func before(list []candidate, p []tail.Prediction, l *limits, i, j int) bool {
	if !same(list[i].total, list[j].total) {
		return list[i].total < list[j].total
	}
	return cmp.Or(cmp.Compare(p[i].Latency[l.percentile], p[j].Latency[l.percentile]), cmp.Compare(i, j)) < 0
}

// percentile is how people call one of tail.Percentiles.
func percentile(i int) string { return fmt.Sprintf("p%g", tail.Percentiles[i]*100) }
