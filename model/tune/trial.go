package tune

import (
	"math"
	"slices"
)

// Verdict is how a trial ended.
type Verdict string

// The verdicts.
const (
	Fine     Verdict = "fine"
	Violated Verdict = "violated" // an objective was missed
	Broken   Verdict = "broken"   // the application no longer worked
	Refused  Verdict = "refused"  // the setting could not be put into effect
)

// Trial is a setting and what was measured under it.
type Trial struct {
	Setting Setting
	Verdict Verdict
	Latency float64 // seconds: the percentile that is tuned; 0: it was not measured
	Slack   float64 // the largest of the objectives' percentiles over its bound; 0: it was not measured
	// Metrics are services' metrics, by label. What was not measured is absent.
	Metrics map[string]float64
	// Calls are who called whom, service by service.
	Calls [][2]string
}

// best is the trial of the lowest score among those that were fine, and of settings that were tried several times by their mean;
// -1: none was fine.
func (c *Config) best(trials []Trial) int {
	type mean struct{ sum, n float64 }
	scores := map[string]mean{}
	bad := map[string]bool{}
	for i := range trials {
		t := &trials[i]
		k := t.Setting.key()
		if t.Verdict != Fine || !(t.Latency > 0) {
			bad[k] = true
			continue
		}
		m := scores[k]
		scores[k] = mean{m.sum + math.Log(c.Score(t.Setting, t.Latency)), m.n + 1}
	}
	best, least := -1, math.Inf(1)
	for i := range trials {
		k := trials[i].Setting.key()
		if m, ok := scores[k]; ok && !bad[k] && m.sum/m.n < least {
			best, least = i, m.sum/m.n
		}
	}
	return best
}

// Best is the number of the trial whose setting is best: of those under which nothing was ever violated, the one with the lowest
// score (Config.Score), in the geometric mean where it was tried several times. -1: none is good.
func (c *Config) Best(trials []Trial) int { return c.best(trials) }

// mostSlack is how large a slack counts at most, and what one counts that could not be measured, for the application broke: it says
// how far from working a setting is, which nobody knows beyond this.
const mostSlack = 8

// tooSlack is a slack above which an application no longer works as it does below: its queues grow, and how slow it is hangs on how
// long it is watched.
const tooSlack = 2

// worked is whether what was measured is of an application that worked.
func (t *Trial) worked() bool {
	return t.Latency > 0 && t.Verdict != Broken && t.Verdict != Refused && t.Slack <= tooSlack
}

// slacks are those of trials.
func slacks(trials []Trial) []float64 {
	out := make([]float64, len(trials))
	for i := range trials {
		t := &trials[i]
		switch {
		case t.Verdict == Broken || t.Verdict == Refused || !(t.Latency > 0):
			out[i] = mostSlack
		case t.Slack > 0:
			out[i] = min(t.Slack, mostSlack)
		case t.Verdict == Violated:
			out[i] = mostSlack
		default: // nothing has an objective
			out[i] = careless
		}
	}
	return out
}

// metric is a metric's column; what is missing in it is the largest that was measured, for it is missing where nothing was answered.
func metric(trials []Trial, label string) []float64 {
	out, most := make([]float64, len(trials)), 0.0
	for i := range trials {
		out[i] = trials[i].Metrics[label]
		most = max(most, out[i])
	}
	for i := range out {
		if !(out[i] > 0) {
			out[i] = most
		}
	}
	return out
}

// calls are who calls whom in any trial, by caller, without what would close a cycle.
func calls(trials []Trial) map[string][]string {
	var all [][2]string
	for i := range trials {
		all = append(all, trials[i].Calls...)
	}
	slices.SortFunc(all, func(a, b [2]string) int { return slices.Compare(a[:], b[:]) })
	out := map[string][]string{}
	reaches := func(from, to string) bool {
		seen, todo := map[string]bool{}, []string{from}
		for len(todo) > 0 {
			one := todo[0]
			todo = todo[1:]
			if one == to {
				return true
			}
			if !seen[one] {
				seen[one] = true
				todo = append(todo, out[one]...)
			}
		}
		return false
	}
	for _, c := range slices.Compact(all) {
		if !reaches(c[1], c[0]) {
			out[c[0]] = append(out[c[0]], c[1])
		}
	}
	return out
}
