package shares

import "math"

// state is a mix that was there for a while, and may come again.
type state struct {
	center  []float64
	weight  float64 // windows, or requests where they are known, that the center is the mean of
	windows float64
	visits  float64
	seen    int       // window in which it was there last
	leaves  float64   // times that it was left
	byAge   []ageStat // by how long it had been there, from one window on; the last for all beyond
	next    map[int]float64
	after   map[[2]int]float64 // by the state before it, and the one that followed
}

type ageStat struct{ reached, left float64 }

const (
	mostStates = 24
	mostAges   = 16
	// A window belongs to a state where no share is further off than this, or than counting explains.
	sameShare = 0.01
)

// automaton tells states apart and counts which follows which, after how long.
type automaton struct {
	states  []*state
	classes int
	now     int  // state; -1: nothing was observed
	before  int  // the state before it; -1: there was none
	known   bool // it was there before
	age     int  // windows that it has been there
	lasted  int  // windows that the state before it had been there
	window  int
	steps   float64 // windows that followed another, and
	changes float64 // those of them in which the state changed
}

func newAutomaton(classes int) *automaton { return &automaton{classes: classes, now: -1, before: -1} }

// distance is how far a row is from a state, 1 is the most that counts as the same: the mean square deviation in units of
// what counting explains (three deviations of a normal figure, both sides counted) and of what does not matter.
func (s *state) distance(row []float64, requests float64) float64 {
	sum := 0.0
	for i, c := range s.center {
		v := sameShare * sameShare
		if requests > 0 {
			p := (c*s.weight + row[i]*requests) / (s.weight + requests)
			v += (p*(1-p) + 0.25/requests) * (1/requests + 1/s.weight)
		}
		sum += (row[i] - c) * (row[i] - c) / v
	}
	if requests > 0 {
		return sum / (float64(len(row)) + 4*math.Sqrt(2*float64(len(row))))
	}
	return sum / float64(len(row))
}

func (a *automaton) observe(row []float64, requests float64) {
	a.window++
	best, near := -1, 1.0
	for i, s := range a.states {
		if d := s.distance(row, requests); d <= near {
			best, near = i, d
		}
	}
	// The one that is there is left only where another is clearly nearer.
	if a.now >= 0 && best >= 0 && best != a.now {
		if d := a.states[a.now].distance(row, requests); d <= 1 && d < 2*near+0.25 {
			best = a.now
		}
	}
	known := best >= 0
	if !known {
		best = a.add(row)
	}
	s := a.states[best]
	w := max(requests, 1)
	for i, v := range row {
		s.center[i] += (v - s.center[i]) * w / (s.weight + w)
	}
	s.weight += w
	s.windows++
	s.seen = a.window
	a.move(best, known)
}

// move counts what followed what.
func (a *automaton) move(to int, known bool) {
	if a.now < 0 {
		a.now, a.age = to, 1
		a.states[to].visits++
		return
	}
	from := a.states[a.now]
	age := &from.byAge[min(a.age, mostAges)-1]
	age.reached++
	a.steps++
	if to == a.now {
		a.age++
		return
	}
	age.left++
	from.leaves++
	a.changes++
	from.next[to]++
	if a.before >= 0 {
		from.after[[2]int{a.before, to}]++
	}
	a.before, a.now, a.known, a.lasted, a.age = a.now, to, known, a.age, 1
	a.states[to].visits++
}

// add makes a state, in the place of the one that has not been seen for longest where there are too many.
func (a *automaton) add(row []float64) int {
	s := &state{center: append([]float64(nil), row...), byAge: make([]ageStat, mostAges), next: map[int]float64{}, after: map[[2]int]float64{}}
	if len(a.states) < mostStates {
		a.states = append(a.states, s)
		return len(a.states) - 1
	}
	old := -1
	for i, c := range a.states {
		if i != a.now && i != a.before && (old < 0 || c.seen < a.states[old].seen) {
			old = i
		}
	}
	for _, c := range a.states {
		delete(c.next, old)
		for k := range c.after {
			if k[0] == old || k[1] == old {
				delete(c.after, k)
			}
		}
	}
	a.states[old] = s
	return old
}

// leaving is the probability that a state is left after so many windows. What is known of one age, of one state and of all
// is held together as if each had been seen once from the one above.
func (a *automaton) leaving(i, age int) float64 {
	const held = 1
	s := a.states[i]
	all := (a.changes + 0.1) / (a.steps + 10)
	reached := 0.0
	for _, g := range s.byAge {
		reached += g.reached
	}
	own := (s.leaves + held*all) / (reached + held)
	g := s.byAge[min(age, mostAges)-1]
	return (g.left + held*own) / (g.reached + held)
}

// following writes the probability of each state to be the next after i, given that it is left for one that is known; all zero: none
// is known to follow. Before is the state before i, or -1.
func (a *automaton) following(i, before int, p []float64) {
	const held = 1
	s := a.states[i]
	clear(p)
	n, popular := 0.0, 0.0
	for j, c := range a.states {
		n += s.next[j]
		if j != i {
			popular += c.visits
		}
	}
	if popular == 0 {
		return
	}
	for j, c := range a.states {
		if j != i {
			p[j] = (s.next[j] + held*c.visits/popular) / (n + held)
		}
	}
	if before < 0 {
		return
	}
	n = 0
	for j := range a.states {
		n += s.after[[2]int{before, j}]
	}
	if n == 0 {
		return
	}
	for j := range a.states {
		p[j] = (s.after[[2]int{before, j}] + held*p[j]) / (n + held)
	}
}

// ahead is the probability of each state, some windows ahead: the state that is there may stay, at ever higher ages, and others
// come and go. It is exact for the counts that it hangs on, but that of states that follow only the last is remembered.
func (a *automaton) ahead(windows int) []float64 {
	k := len(a.states)
	stay := 1.0 // the probability that the state has stayed
	// others[j][g]: it is j, entered g+1 windows ago
	others := make([][]float64, k)
	for j := range others {
		others[j] = make([]float64, windows)
	}
	p := make([]float64, k)
	for h := range windows {
		entered := make([]float64, k)
		left := stay * a.leaving(a.now, a.age+h)
		a.following(a.now, a.before, p)
		total := 0.0
		for j, v := range p {
			entered[j] += left * v
			total += v
		}
		if total > 0 {
			stay -= left
		}
		for j := range others {
			a.following(j, -1, p)
			for g := h - 1; g >= 0; g-- {
				m := others[j][g]
				if m == 0 {
					continue
				}
				l := m * a.leaving(j, g+1)
				others[j][g] = 0
				others[j][g+1] += m - l
				for i, v := range p {
					entered[i] += l * v
				}
			}
		}
		for j, m := range entered {
			others[j][0] += m
		}
	}
	out := make([]float64, k)
	out[a.now] = stay
	for j, o := range others {
		for _, m := range o {
			out[j] += m
		}
	}
	return out
}
