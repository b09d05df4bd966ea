package tune

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"

	"foresail.dev/model/latency"
	"foresail.dev/model/latency/learner"
)

// picker picks the next setting by what a model predicts.
type picker struct {
	c      *Config
	p      *predictor
	trials []Trial
	r      *rand.Rand
	tried  map[string]bool
}

// scored is a setting and its predicted score.
type scored struct {
	v     Setting
	score float64
	fine  bool // the other objectives are expected to hold
}

// order puts what is expected to hold first, and lower scores before higher ones.
func (a scored) order(b scored) int {
	if a.fine != b.fine {
		return b2i(b.fine) - b2i(a.fine)
	}
	return cmp.Compare(a.score, b.score)
}

func (k *picker) score(v Setting) scored { return scored{v, k.c.Score(v, k.p.value(v)), k.p.holds(v)} }

// exploit is the best predicted of many settings at random.
func (k *picker) exploit() Proposal {
	best := scored{score: math.Inf(1)}
	for range k.c.Candidates {
		v := k.c.Space.Draw(k.r)
		score := k.c.Score(v, k.p.value(v))
		if best.fine && score >= best.score {
			continue
		}
		one := scored{v, score, k.p.holds(v)}
		if one.order(best) < 0 && !k.tried[v.key()] {
			best = one
		}
	}
	return Proposal{Setting: best.v, Why: "exploit"}
}

// Sizes of what Bayesian optimisation and Metis look at closely: uncertainty takes far longer to predict than a value.
const (
	closely  = 96 // settings of which the uncertainty is predicted
	rounds   = 6  // of moving on from the best of them
	branches = 24 // settings beside it that are looked at in each
)

// candidates are settings that are worth a closer look: the best predicted of many at random, and as many of all of them.
func (k *picker) candidates() (out []Setting) {
	var best []scored
	all := max(k.c.Candidates, closely)
	for i := range all {
		v := k.c.Space.Draw(k.r)
		if i < closely/2 {
			out = append(out, v)
		}
		best = append(best, k.score(v))
		if len(best) >= 4*closely {
			slices.SortStableFunc(best, scored.order)
			best = best[:closely/2]
		}
	}
	slices.SortStableFunc(best, scored.order)
	for _, s := range best[:min(len(best), closely/2)] {
		out = append(out, s.v)
	}
	return slices.DeleteFunc(out, func(v Setting) bool { return k.tried[v.key()] })
}

// incumbent is the lowest score that is predicted of a setting that was fine: predictions are less noisy than single trials. Where
// none was, of any.
func (k *picker) incumbent() float64 {
	best, any := math.Inf(1), math.Inf(1)
	for i := range k.trials {
		s := k.score(k.trials[i].Setting).score
		any = min(any, s)
		if k.trials[i].Verdict == Fine {
			best = min(best, s)
		}
	}
	if math.IsInf(best, 1) {
		return any
	}
	return best
}

// improvement is by how much, in logarithms, a setting's score is expected to be below the incumbent's (expected improvement), times
// the probability that the other objectives hold.
func (k *picker) improvement(v Setting, incumbent float64) float64 {
	p, holds := k.p.predict(v)
	return holds * expected(k.c.Score(v, p.Value), k.spread(v, p), incumbent)
}

// spread is the standard deviation of a score's logarithm: what a setting costs is certain.
func (k *picker) spread(v Setting, p learner.Prediction) float64 {
	return p.Spread * p.Value / k.c.Score(v, p.Value)
}

func expected(score, spread, incumbent float64) float64 {
	gain := math.Log(incumbent / score)
	if !(spread > 0) {
		return max(gain, 0)
	}
	z := gain / spread
	return gain*normal(z) + spread*math.Exp(-z*z/2)/math.Sqrt(2*math.Pi)
}

// normal is the probability of a standard normal below z.
func normal(z float64) float64 { return 0.5 * math.Erfc(-z/math.Sqrt2) }

// below is the probability that what is predicted is at most a limit.
func below(p learner.Prediction, limit float64) float64 {
	d := math.Log(limit / p.Value)
	if !(p.Spread > 0) {
		return float64(b2i(d >= 0))
	}
	return normal(d / p.Spread)
}

// bayesian is the setting of the largest expected improvement: of candidates, and then of those beside the best of them.
func (k *picker) bayesian() Proposal {
	incumbent := k.incumbent()
	best, most := Setting(nil), -1.0
	look := func(v Setting) {
		if g := k.improvement(v, incumbent); g > most && !k.tried[v.key()] {
			best, most = v, g
		}
	}
	for _, v := range k.candidates() {
		look(v)
	}
	if b := k.c.best(k.trials); b >= 0 && best == nil {
		best = k.trials[b].Setting
	}
	for i := range rounds {
		from := best
		if from == nil {
			break
		}
		for range branches {
			look(k.c.Space.near(from, 0.2*math.Pow(0.6, float64(i)), k.r))
		}
	}
	if best == nil || k.tried[best.key()] {
		return Proposal{}
	}
	return Proposal{Setting: best, Why: "expected improvement"}
}

// outlier is how many robust standard deviations a trial's error must be for Metis to doubt it.
const outlier = 3

// metis picks, of three actions, the one that promises most: the predicted best (exploitation), the setting that the model knows
// least of (exploration), and to try again what the model can't explain (re-sampling; each setting once). All are held against each
// other by how far below the incumbent they are expected to lead. The paper's own measure, the change of the model once an action's
// outcome is imagined, takes a model trained anew for each.
func (k *picker) metis() Proposal {
	incumbent := k.incumbent()
	best, most := Proposal{}, -1.0
	offer := func(v Setting, why string, gain float64) {
		if gain > most {
			best, most = Proposal{Setting: v, Why: why}, gain
		}
	}
	found := k.candidates()
	if exploit := k.exploit(); exploit.Setting != nil {
		offer(exploit.Setting, "exploit", k.improvement(exploit.Setting, incumbent))
	}
	var widest Setting
	width := -1.0
	for _, v := range found {
		if p, holds := k.p.predict(v); holds >= 0.5 && k.spread(v, p) > width {
			widest, width = v, k.spread(v, p)
		}
	}
	if widest != nil {
		offer(widest, "explore", k.improvement(widest, incumbent))
	}
	if v, off := k.doubtful(); v != nil {
		offer(v, "sample again", expected(k.c.Score(v, k.p.value(v)), off, incumbent))
	}
	return best
}

// doubtful is the setting whose measurement is furthest, in logarithms, from what a model predicts of it that did not see it, if
// that is an outlier and the setting was tried once only; nil: none is. As in Metis it is a model for this alone, a Gaussian process of all knobs.
func (k *picker) doubtful() (at Setting, off float64) {
	y := make([]float64, len(k.p.trials))
	for i := range y {
		y[i] = k.p.trials[i].Latency
	}
	t, err := k.c.table(k.p.trials, latency.Label(k.c.Entry, target), y)
	if err != nil {
		return nil, 0
	}
	a, err := latency.NewAssignment(k.c.Entry, target, k.c.Space.Inputs(), nil)
	if err != nil {
		return nil, 0
	}
	learn := k.c.learn(MonolithGP, k.c.Seed)
	learn.Folds = len(y)
	report, err := a.Add(t, nil, "", learn, true)
	if err != nil {
		return nil, 0 // it can't be told, and nothing else hangs on it
	}
	var all []float64
	times := map[string]int{}
	for i := range y {
		times[k.p.trials[i].Setting.key()]++
		all = append(all, math.Abs(math.Log(y[i]/report.Held[i])))
	}
	sorted := slices.Sorted(slices.Values(all))
	limit := outlier * 1.4826 * sorted[len(sorted)/2]
	for i, e := range all {
		if v := k.p.trials[i].Setting; e > limit && e > off && times[v.key()] == 1 {
			at, off = v, e
		}
	}
	return at, off
}
