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

// worse is by how much more than the worst latency that was measured one counts that could not be measured.
const worse = 1.5

// filled are the latencies and slacks of trials, with something in place of what could not be measured: what was broken or
// refused is slower than anything that was seen.
func filled(trials []Trial) (latency, slack []float64) {
	worstLatency, worstSlack := 0.0, 1.0
	for i := range trials {
		worstLatency, worstSlack = max(worstLatency, trials[i].Latency), max(worstSlack, trials[i].Slack)
	}
	for i := range trials {
		t := &trials[i]
		l, s := t.Latency, t.Slack
		if t.Verdict == Broken || t.Verdict == Refused || !(l > 0) {
			l = worse * worstLatency
		}
		if t.Verdict == Broken || t.Verdict == Refused || t.Verdict == Violated && !(s > 0) {
			s = worse * worstSlack
		}
		latency, slack = append(latency, l), append(slack, s)
	}
	return latency, slack
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
