package twin

import (
	"slices"
)

// layout is the steps that an operation's visits show.
type layout struct {
	steps   []stage
	tail    gaps   // after the last call
	callees []int  // by slot: the operation that it calls
	nobody  []bool // by slot: nobody waits for it
}

// stage is one step: own work, then the calls of its slots.
type stage struct {
	slots []int
	work  gaps
	async bool // nobody waits for it
	calls []branch
}

// branch is one call of a stage, and what follows it alone.
type branch struct {
	slot        int
	probability float64
	hit         float64 // that nothing follows
	then        []stage
}

// gaps are times without calls, in which an operation does its own work.
type gaps struct {
	seconds []float64
	runs    int // how often the work was done; not all gaps can be seen
}

// lay decides on the steps.
func (v *votes) lay() layout {
	parent := make([]int, len(v.slots)) // of a slot that follows another in its branch; -1: none
	for s := range v.slots {
		parent[s] = v.branchOf(s)
	}
	groups := v.groups(parent)
	var out layout
	for s := range v.slots {
		out.callees = append(out.callees, v.slots[s].op)
		out.nobody = append(out.nobody, v.slots[s].async)
	}
	// 1. Steps in order; one that is not in every visit belongs to what came before, where that was a single call.
	for _, g := range groups {
		v.attach(&out.steps, g, v.visits)
	}
	// 2. What follows a call within its branch.
	for s := range v.slots {
		if parent[s] >= 0 {
			v.follow(out.steps, parent, s)
		}
	}
	return out
}

// branchOf is the slot that a slot follows while others of the same step still run.
func (v *votes) branchOf(s int) int {
	best, n := -1, 0
	for _, e := range keys(v.slots[s].behind) {
		if k := v.slots[s].behind[e]; k > n {
			best, n = e, k
		}
	}
	beside := 0
	for _, e := range keys(v.slots[s].beside) {
		beside = max(beside, v.slots[s].beside[e])
	}
	if best < 0 || n <= beside || float64(n) < branchShare*float64(v.slots[s].seen) || v.given(s, best) < together {
		return -1
	}
	return best
}

// groups are the slots that run side by side, in the order in which they begin.
func (v *votes) groups(parent []int) [][]int {
	of := make([]int, len(v.slots)) // a slot's group: its smallest member
	for s := range v.slots {
		of[s] = s
		if parent[s] >= 0 || v.slots[s].async {
			continue
		}
		for e := range s {
			if parent[e] < 0 && !v.slots[e].async && 2*v.slots[s].beside[e] >= v.both[pair(e, s)] && v.slots[s].beside[e] > 0 {
				old := of[s]
				for i := range of {
					if of[i] == old {
						of[i] = of[e]
					}
				}
			}
		}
	}
	var out [][]int
	for s := range v.slots {
		if parent[s] >= 0 {
			continue
		}
		i := slices.IndexFunc(out, func(g []int) bool { return of[g[0]] == of[s] })
		if i < 0 {
			out = append(out, []int{s})
		} else {
			out[i] = append(out[i], s)
		}
	}
	// Insertion by majority: the visits that make both say which comes first.
	for i := 1; i < len(out); i++ {
		for k := i; k > 0 && v.earlier(out[k], out[k-1]); k-- {
			out[k], out[k-1] = out[k-1], out[k]
		}
	}
	return out
}

func (v *votes) earlier(a, b []int) bool {
	first, second := 0, 0
	for _, x := range a {
		for _, y := range b {
			first += v.before[[2]int{x, y}]
			second += v.before[[2]int{y, x}]
		}
	}
	return first > second
}

// attach puts a group behind the steps of a list, or beneath the call that it always comes with.
func (v *votes) attach(list *[]stage, group []int, visits int) {
	n := 0
	for _, s := range group {
		n = max(n, v.slots[s].seen)
	}
	st := stage{slots: group, async: v.slots[group[0]].async}
	for _, s := range group {
		st.calls = append(st.calls, branch{slot: s, probability: ratio(v.slots[s].seen, n), hit: 1})
	}
	if !v.optional(group, n, visits) {
		*list = append(*list, st)
		return
	}
	if at := v.host(*list, group); at != nil && v.inseparable(group) {
		v.beneath(at, st, n)
		return
	}
	for i := range st.calls { // nothing to come with: by chance, each for itself
		st.calls[i].probability = ratio(v.slots[st.calls[i].slot].seen, visits)
	}
	*list = append(*list, st)
}

func (v *votes) optional(group []int, n, visits int) bool {
	return float64(n) < certain*float64(visits) && !v.slots[group[0]].async
}

// host is the last single call before, when it is made in all visits that make a call of the group.
func (v *votes) host(list []stage, group []int) *branch {
	if len(list) == 0 {
		return nil
	}
	last := &list[len(list)-1]
	if len(last.calls) != 1 || v.slots[last.calls[0].slot].async {
		return nil
	}
	for _, s := range group {
		if v.given(s, last.calls[0].slot) < together {
			return nil
		}
	}
	return &last.calls[0]
}

// inseparable reports whether the calls of a group are always made together.
func (v *votes) inseparable(group []int) bool {
	for _, a := range group {
		for _, b := range group {
			if a != b && v.given(a, b) < together {
				return false
			}
		}
	}
	return true
}

// beneath puts a stage, made n times, among what follows a call: with the step there that it always comes with, or
// beneath that step's own call, or as a further choice.
func (v *votes) beneath(b *branch, st stage, n int) {
	if len(b.then) == 0 {
		b.hit = 1 - ratio(n, v.slots[b.slot].seen)
		b.then = []stage{st}
		return
	}
	last := b.then[len(b.then)-1]
	m := 0
	for _, s := range last.slots {
		m = max(m, v.slots[s].seen)
	}
	came := 0 // visits in which a call of the last step there was made too
	for _, e := range last.slots {
		came = max(came, v.both[pair(e, st.slots[0])])
	}
	switch {
	case float64(came) >= together*float64(n) && float64(n) >= together*float64(m): // always with the last step
		b.then = append(b.then, st)
	case float64(came) >= together*float64(n) && len(last.calls) == 1: // only when the last step's call was made
		v.beneath(&b.then[len(b.then)-1].calls[0], st, n)
	default: // by chance, beside what else may follow
		rest := (1 - b.hit) * float64(v.slots[b.slot].seen)
		if float64(n) > rest { // follows more often than what was there: that becomes the choice
			f := rest / float64(n)
			for i := range b.then {
				for k := range b.then[i].calls {
					b.then[i].calls[k].probability *= f
				}
			}
			b.hit = 1 - ratio(n, v.slots[b.slot].seen)
			rest = float64(n)
		}
		for i := range st.calls {
			st.calls[i].probability *= float64(n) / rest
		}
		b.then = append(b.then, st)
	}
}

// follow puts a slot beneath the call that it follows in a branch.
func (v *votes) follow(steps []stage, parent []int, s int) {
	host := parent[s]
	for parent[host] >= 0 && find(steps, host) == nil { // its own comes first
		host = parent[host]
	}
	if b := find(steps, host); b != nil && find(steps, s) == nil {
		n := v.slots[s].seen
		v.beneath(b, stage{slots: []int{s}, calls: []branch{{slot: s, probability: 1, hit: 1}}}, n)
	}
}

func find(steps []stage, s int) *branch {
	for i := range steps {
		for k := range steps[i].calls {
			b := &steps[i].calls[k]
			if b.slot == s {
				return b
			}
			if f := find(b.then, s); f != nil {
				return f
			}
		}
	}
	return nil
}

func ratio(a, b int) float64 { return min(float64(a)/float64(b), 1) }

func keys(m map[int]int) []int {
	out := make([]int, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}
