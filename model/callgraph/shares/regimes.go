package shares

import (
	"fmt"
	"math"
)

// Regimes knows that shares stay as they are for long and then jump. It tells the mixes that were there apart, and has experts that each
// expect something simple: that it stays, as last or in the mean of the mix; that a form that has begun to give its requests to
// another gives all of them; that a change goes on; that the mix before comes back; what followed this mix in earlier times, after as
// long; and the mean of all. Their blend is what was off by least, in the mean square, in the same situation: how long ago the mix
// changed, whether it was there before, and whether the one before it had lasted. What is learnt from a pool of series is those blends
// alone, so it holds for any forms and any number of them; a Tracker learns them on from what it observes.
var Regimes Method = regimes{}

type regimes struct{}

func (regimes) Name() string { return "regimes" }

// experts of Regimes. The first is the one that blends are shrunk to.
const (
	expertLast = iota
	expertLevel
	expertComplete
	expertTrend
	expertBack
	expertFollows
	expertMean
	experts
)

// situations, in each of which blends differ.
const (
	settled    = iota // the mix has been there for a while, or for as long as is known
	young             // for two or three windows
	newAfter          // it is new and follows one that had lasted
	newSoon           // it is new and follows one that had not
	knownAfter        // it was there before and follows one that had lasted
	knownSoon         // … that had not
	situations
)

// How blends are learnt.
const (
	blendAhead  = 3    // windows ahead for which there are blends; beyond, the last holds
	blendHeld   = 0.3  // windows that the last value is taken to have been right in
	blendLeast  = 0.02 // the least weight that an expert is given
	blendPool   = 60   // windows, in each situation, that a pool counts for at most
	blendForget = 0.998
)

// blends is what experts were off by, by windows ahead and situation.
type blends struct {
	n [blendAhead][situations]float64
	g [blendAhead][situations][experts * experts]float64
}

// capped is b, of no more than so many windows in each situation.
func (b *blends) capped(most float64) blends {
	out := *b
	for h := range out.n {
		for s, n := range out.n[h] {
			if n <= most {
				continue
			}
			out.n[h][s] = most
			for i := range out.g[h][s] {
				out.g[h][s][i] *= most / n
			}
		}
	}
	return out
}

// Train implements Method.
func (regimes) Train(pool []Series, _ Options) (Model, error) {
	m := &regimesModel{}
	for _, s := range pool {
		if err := s.Check(); err != nil {
			return nil, err
		}
		t := newRegimesTracker(s.Classes(), blends{})
		t.forget = 1
		for k, row := range s.Rows {
			t.Observe(row, s.Counted(k))
		}
		for h := range m.pool.n {
			for c := range m.pool.n[h] {
				m.pool.n[h][c] += t.n[h][c]
				for i, v := range t.g[h][c] {
					m.pool.g[h][c][i] += v
				}
			}
		}
	}
	m.pool = m.pool.capped(blendPool)
	return m, nil
}

type regimesModel struct{ pool blends }

// Track implements Model.
func (m *regimesModel) Track(classes int) (Tracker, bool) {
	return newRegimesTracker(classes, m.pool), true
}

// expectation is what experts expected, to be scored when it is there.
type expectation struct {
	situation int
	rows      [experts][]float64
}

type regimesTracker struct {
	blends
	auto    *automaton
	forget  float64
	last    []float64
	mean    []float64
	windows float64
	// made[h] holds what was expected h+1 windows ahead, the oldest first, for windows that are still to come.
	made    [blendAhead][]expectation
	weights [blendAhead][situations][]float64 // nil: to be found
}

func newRegimesTracker(classes int, from blends) *regimesTracker {
	return &regimesTracker{blends: from, auto: newAutomaton(classes), forget: blendForget, mean: make([]float64, classes)}
}

// Observe implements Tracker.
func (t *regimesTracker) Observe(row []float64, requests float64) {
	for h := range t.made {
		if len(t.made[h]) == h+1 {
			t.score(h, row)
		}
	}
	t.last = append(t.last[:0], row...)
	t.windows++
	for i, v := range row {
		t.mean[i] += (v - t.mean[i]) / t.windows
	}
	t.auto.observe(row, requests)
	for h := range t.made {
		t.made[h] = append(t.made[h], t.expect(h+1))
	}
}

// score takes what was expected h+1 windows before row.
func (t *regimesTracker) score(h int, row []float64) {
	e := t.made[h][0]
	t.made[h] = append(t.made[h][:0], t.made[h][1:]...)
	s := e.situation
	t.n[h][s] = t.n[h][s]*t.forget + 1
	g := &t.g[h][s]
	for i := range experts {
		for j := i; j < experts; j++ {
			d := 0.0
			for k, v := range row {
				d += (e.rows[i][k] - v) * (e.rows[j][k] - v)
			}
			v := g[i*experts+j]*t.forget + d
			g[i*experts+j], g[j*experts+i] = v, v
		}
	}
	t.weights[h][s] = nil
}

// situation is that of the last window.
func (t *regimesTracker) situation() int {
	a := t.auto
	switch {
	case a.before < 0 || a.age > 3:
		return settled
	case a.age > 1:
		return young
	case a.known && a.lasted > 2:
		return knownAfter
	case a.known:
		return knownSoon
	case a.lasted > 2:
		return newAfter
	}
	return newSoon
}

// expect asks all experts.
func (t *regimesTracker) expect(ahead int) expectation {
	a := t.auto
	k := a.classes
	flat := make([]float64, experts*k)
	e := expectation{situation: t.situation()}
	for i := range e.rows {
		e.rows[i] = flat[i*k : (i+1)*k]
	}
	now := a.states[a.now]
	copy(e.rows[expertLast], t.last)
	copy(e.rows[expertMean], t.mean)
	for _, i := range []int{expertLevel, expertComplete, expertTrend, expertBack} {
		copy(e.rows[i], now.center)
	}
	if a.before >= 0 {
		before := a.states[a.before].center
		if a.age <= 3 {
			if from, to := transfer(before, now.center); from >= 0 {
				complete(before, from, to, e.rows[expertComplete])
			}
			trend(before, now.center, float64(ahead), e.rows[expertTrend])
		}
		copy(e.rows[expertBack], before)
	}
	p := a.ahead(ahead)
	for j, s := range a.states {
		for i, v := range s.center {
			e.rows[expertFollows][i] += p[j] * v
		}
	}
	return e
}

// transfer tells which form gives requests to which, between two mixes: the one that has lost the largest part of its share and
// the one that gains most. from is -1 where none has lost anything, or where the loser has nothing left to give.
func transfer(before, now []float64) (from, to int) {
	from, to = -1, -1
	ratio, gain := 1.0, 0.0
	for i, b := range before {
		if b > sameShare && now[i]/b < ratio {
			ratio, from = now[i]/b, i
		}
		if d := now[i] - b; d > gain {
			gain, to = d, i
		}
	}
	if from < 0 || to < 0 || now[from] <= sameShare {
		return -1, -1
	}
	return from, to
}

// complete is the mix before, once from has given all to to.
func complete(before []float64, from, to int, dst []float64) {
	copy(dst, before)
	dst[to] += dst[from]
	dst[from] = 0
}

// trend goes on as from one mix to the next, and no share below zero.
func trend(before, now []float64, ahead float64, dst []float64) {
	sum := 0.0
	for i, v := range now {
		dst[i] = max(v+ahead*(v-before[i]), 0)
		sum += dst[i]
	}
	for i := range dst {
		dst[i] /= sum
	}
}

// blend is the weights for what is expected now.
func (t *regimesTracker) blend(ahead int) []float64 {
	h, s := min(ahead, blendAhead)-1, t.situation()
	if t.weights[h][s] == nil {
		w := make([]float64, experts)
		blendWeights(t.g[h][s][:], experts, t.n[h][s], blendHeld, blendLeast, w)
		t.weights[h][s] = w
	}
	return t.weights[h][s]
}

// expected is what was expected when the last window was observed, or further ahead.
func (t *regimesTracker) expected(ahead int) expectation {
	if ahead <= blendAhead {
		return t.made[ahead-1][len(t.made[ahead-1])-1]
	}
	return t.expect(ahead)
}

// Predict implements Tracker.
func (t *regimesTracker) Predict(ahead int, dst []float64) {
	if t.last == nil {
		copy(dst, uniform(len(dst)))
		return
	}
	e := t.expected(ahead)
	clear(dst)
	for i, w := range t.blend(ahead) {
		if w == 0 {
			continue
		}
		for k, v := range e.rows[i] {
			dst[k] += w * v
		}
	}
}

// Scenarios implements Mixer.
func (t *regimesTracker) Scenarios(ahead int) (all []Scenario) {
	if t.last == nil {
		return nil
	}
	a := t.auto
	e := t.expected(ahead)
	why := [experts]string{"as it was last", "the mix that is there", "one form gives all to another", "the change goes on", "the mix before", "", "the mean of all"}
	if a.before >= 0 {
		if from, to := transfer(a.states[a.before].center, a.states[a.now].center); from >= 0 && a.age <= 3 {
			why[expertComplete] = fmt.Sprintf("form %d gives all to form %d", from, to)
		}
	}
	for i, w := range t.blend(ahead) {
		switch {
		case w == 0:
		case i == expertFollows:
			for j, p := range a.ahead(ahead) {
				if w*p > 1e-9 {
					all = append(all, Scenario{Weight: w * p, Shares: append([]float64(nil), a.states[j].center...), Why: fmt.Sprintf("mix %d of %d that are known", j+1, len(a.states))})
				}
			}
		default:
			all = append(all, Scenario{Weight: w, Shares: append([]float64(nil), e.rows[i]...), Why: why[i]})
		}
	}
	return merged(all)
}

// merged is scenarios, those that are all but the same as one.
func merged(all []Scenario) (out []Scenario) {
next:
	for _, s := range all {
		for i := range out {
			far := 0.0
			for k, v := range s.Shares {
				far = math.Max(far, math.Abs(v-out[i].Shares[k]))
			}
			if far <= sameShare/2 {
				o := &out[i]
				for k, v := range s.Shares {
					o.Shares[k] += (v - o.Shares[k]) * s.Weight / (o.Weight + s.Weight)
				}
				o.Weight += s.Weight
				continue next
			}
		}
		out = append(out, s)
	}
	return out
}
