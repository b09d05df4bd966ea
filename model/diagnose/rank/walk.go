package rank

import (
	"math"
	"slices"
)

// The walk's settings are those of MonitorRank and CloudRanger.
const (
	backward = 0.1  // weight of a step to a caller, beside 1 of one to a callee
	restart  = 0.15 // chance that the walk starts anew, as in PageRank
	rounds   = 1000 // at most
	settled  = 1e-12
)

// walk ranks services by how often a random walk visits them (Kim, Sumbaly, Shah: MonitorRank, SIGMETRICS 2013; as a
// personalised PageRank, Yu et al.: MicroRank, WWW 2021). A service weighs what its anomaly correlates with the front's symptom,
// over the issue and normal rows before it. The walk goes to callees by their weight, back to callers by a tenth of theirs,
// stays where a service weighs more than all its callees, and starts anew at services by their weight.
func walk(in *Input) []Suspect {
	g := newGraph(in)
	weights := correlations(in, g.front)
	n := len(weights)
	total := 0.0
	for _, w := range weights {
		total += w
	}
	visits, next := make([]float64, n), make([]float64, n)
	for i := range visits {
		visits[i] = weights[i] / total
	}
	type step struct {
		to     int
		chance float64
	}
	steps := make([][]step, n)
	for i := range n {
		sum, most := 0.0, 0.0
		for _, c := range g.callees[i] {
			w := weights[in.Calls[c].To]
			sum, most = sum+w, max(most, w)
			steps[i] = append(steps[i], step{in.Calls[c].To, w})
		}
		for _, c := range g.callers[i] {
			w := backward * weights[in.Calls[c].From]
			sum += w
			steps[i] = append(steps[i], step{in.Calls[c].From, w})
		}
		if stay := weights[i] - most; stay > 0 {
			sum += stay
			steps[i] = append(steps[i], step{i, stay})
		}
		for k := range steps[i] {
			steps[i][k].chance /= sum
		}
	}
	for range rounds {
		for i := range next {
			next[i] = restart * weights[i] / total
		}
		for i, v := range visits {
			for _, s := range steps[i] {
				next[s.to] += (1 - restart) * v * s.chance
			}
		}
		moved := 0.0
		for i := range next {
			moved += math.Abs(next[i] - visits[i])
		}
		visits, next = next, visits
		if moved < settled {
			break
		}
	}
	return in.order(visits, nil)
}

const leastWeight = 1e-3 // of a service without correlation, so that the walk may still pass

const before = 10 // rows of the normal period, for each of the issue, that a correlation is taken over

// correlations are of each service that of its anomaly with the front's symptom: with its latency or its errors, that which
// deviates more. Positive or negative counts alike. A service's anomaly is the largest of its metrics, each scaled as baro does.
func correlations(in *Input, front int) []float64 {
	out := slices.Repeat([]float64{leastWeight}, len(in.Services))
	if front < 0 {
		return out
	}
	var symptom []float64
	most := -1.0
	f := &in.Services[front]
	for _, s := range []Series{f.Latency, f.Tail, percent(f.Errors)} {
		z := scaled(s)
		top := 0.0
		for _, v := range z.Issue {
			if finite(v) {
				top = max(top, math.Abs(v))
			}
		}
		if len(z.Issue) > 0 && top > most {
			most, symptom = top, joined(s)
		}
	}
	if symptom == nil {
		return out
	}
	for i := range out {
		anomaly := make([]float64, len(symptom))
		for _, s := range in.Services[i].core() {
			for k, v := range joined(scaled(s)) {
				if finite(v) {
					anomaly[k] = max(anomaly[k], math.Abs(v))
				}
			}
		}
		out[i] = max(out[i], math.Abs(correlation(anomaly, symptom)))
	}
	return out
}

// joined are the rows of the issue, after those of the normal period that count.
func joined(s Series) []float64 {
	n := len(s.Normal)
	return slices.Concat(s.Normal[max(0, n-before*len(s.Issue)):], s.Issue)
}

// correlation is Pearson's, over rows that both have; 0 where it is not defined.
func correlation(a, b []float64) float64 {
	n, ma, mb := 0.0, 0.0, 0.0
	for i := range a {
		if finite(a[i]) && finite(b[i]) {
			n++
			ma, mb = ma+(a[i]-ma)/n, mb+(b[i]-mb)/n
		}
	}
	var ab, aa, bb float64
	for i := range a {
		if finite(a[i]) && finite(b[i]) {
			x, y := a[i]-ma, b[i]-mb
			ab, aa, bb = ab+x*y, aa+x*x, bb+y*y
		}
	}
	if n < 3 || !(aa > 0) || !(bb > 0) {
		return 0
	}
	return ab / math.Sqrt(aa*bb)
}
