package erms

import (
	"cmp"
	"math"
	"slices"
)

// Piece is one line of a latency model: the latency of a microservice whose containers get x requests each is A·x + B.
type Piece struct{ A, B float64 }

// Model is the latency of a microservice over the load of one of its containers: one line up to the inflection and another
// beyond it. Latencies have any one unit, that of Request.SLA, and loads any other, that of Request.Workload.
type Model struct {
	Before, After Piece
	Inflection    float64
}

// NewModel is the model of two lines, whose inflection is where they cross. It is computed from the slopes as they are, also
// where one is negative.
func NewModel(before, after Piece) Model {
	m := Model{Before: before, After: after}
	if before != after {
		m.Inflection = (after.B - before.B) / (before.A - after.A)
	}
	return m
}

// Entry is the model of an entry point (nginx, a frontend), to which the authors give next to no latency.
func Entry() Model { return NewModel(Piece{A: 1e-5}, Piece{A: 2e-5}) }

// Unknown is the model of a microservice of which none was fitted.
func Unknown() Model { return Model{Before: Piece{A: 1e-6}, After: Piece{A: 1e-6}} }

// Fit is a line whose slope hangs on the interference at its nodes: latency = (CPU·cpu + Memory·memory + Base)·x + Bias.
type Fit struct{ CPU, Memory, Base, Bias float64 }

// At is the line at so much CPU and memory used by others.
func (f Fit) At(cpu, memory float64) Piece {
	return Piece{f.CPU*cpu + f.Memory*memory + f.Base, f.Bias}
}

// Call is a microservice within a request.
type Call struct {
	Microservice int
	Parent       int // index into Request.Calls; -1 for the first
	// Step orders the calls of one parent: those of one step go on side by side, steps follow each other in the order in which
	// they are listed.
	Step int
	// Times is how often it is made, one after the other, within one request; 0 means once.
	Times float64
	// Constant is latency that no number of containers changes: of calls to databases, say.
	Constant float64
}

func (c *Call) times() float64 {
	if c.Times == 0 {
		return 1
	}
	return c.Times
}

// Request is what the authors call a service: requests of one kind, which must be done within an SLA.
type Request struct {
	Calls    []Call // parents before their children, and the calls of one step of one parent in one run among its children
	SLA      float64
	Workload float64 // requests, in the unit that the models' loads have; above 0
	// Workloads are those of microservices that do not get Workload, by microservice; nil: there are none.
	Workloads map[int]float64
	// Models are those fitted to requests of this kind, by microservice; one that is left out is Unknown.
	Models map[int]Model
}

// Sharing says what becomes of microservices that several kinds of requests call.
type Sharing int

const (
	// Priority: there, requests with a smaller latency target go first, so that those of a kind wait for all with a smaller
	// target, and for no others. Latency targets are computed again with those workloads.
	Priority Sharing = iota
	// Fair: the smallest target holds for all of them together.
	Fair
)

// Target is what came out for one Call.
type Target struct {
	Model      Model
	After      bool    // the second piece of the model holds
	A, B       float64 // of that piece, with Times and Constant in them
	Latency    float64 // the latency target
	Workload   float64
	Containers float64 // +Inf where no number does
	// MergedA and MergedB are the line of all that the call waits for, itself included, as it was when the target was computed.
	MergedA, MergedB float64
}

// Scaled is what came out.
type Scaled struct {
	Targets [][]Target // by request and call
	// Feasible is, by request, whether its targets can be met at all.
	Feasible []bool
	// Containers are the most that any call needs of a microservice: a whole number, at least 1, or +Inf.
	Containers map[int]float64
}

// Scale splits the SLA of each kind of requests into latency targets of the microservices that it calls, so that they need
// the fewest containers (Luo et al., "Erms", ASPLOS 2023, §4.2 and §4.3; where the paper leaves it open, as the published
// scaler does it).
//
// What a call waits for is merged into one line: two that follow each other into one with slope
// (√(a₁w₁) + √(a₂w₂))² / min(w₁, w₂) and offset b₁ + b₂, those side by side into one with slope Σ aᵢwᵢ / min(w) and offset
// max bᵢ, where w is the workload. Going down again, each gets its share √(aw) / √(AW) of what is left above the offsets.
// Which piece of its model holds for a microservice is chosen by its target, twice; then those whose target is negative, or
// below the offset of their first piece, are held to their first piece, until there is none left. Containers are
// ⌈a·w / (target − b)⌉.
func Scale(requests []Request, how Sharing) Scaled {
	trees := make([]*tree, len(requests))
	models := shared(requests)
	for i := range requests {
		trees[i] = newTree(&requests[i], models)
	}
	s := Scaled{Feasible: make([]bool, len(requests))}
	for i, t := range trees {
		s.Feasible[i] = t.split(requests[i].SLA)
	}
	if len(requests) > 1 {
		switch how {
		case Priority:
			prioritise(trees)
			for i, t := range trees {
				s.Feasible[i] = t.split(requests[i].SLA)
			}
		case Fair:
			join(trees)
		}
	}
	s.Containers = map[int]float64{}
	for _, t := range trees {
		s.Targets = append(s.Targets, t.targets)
		for k := range t.targets {
			ms := t.calls[k].Microservice
			s.Containers[ms] = max(s.Containers[ms], t.targets[k].Containers, 1)
		}
	}
	return s
}

// shared are the models of microservices that several kinds of requests call: of those fitted, the one with the largest mean
// slope, if any is positive. The others are not in it.
func shared(requests []Request) map[int]Model {
	type known struct {
		last, kinds int // the last request that called it, and how many do
		slope       float64
		model       Model
		has         bool
	}
	all := map[int]*known{}
	for i := range requests {
		for _, c := range requests[i].Calls {
			k := all[c.Microservice]
			if k == nil {
				k = &known{last: -1}
				all[c.Microservice] = k
			}
			if k.last == i {
				continue
			}
			k.last = i
			k.kinds++
			if m, ok := requests[i].Models[c.Microservice]; ok {
				if slope := (m.Before.A + m.After.A) / 2; slope > k.slope {
					k.slope, k.model, k.has = slope, m, true
				}
			}
		}
	}
	out := map[int]Model{}
	for ms, k := range all {
		if k.kinds > 1 && k.has {
			out[ms] = k.model
		}
	}
	return out
}

// tree is the calls of one kind of requests, and what is known of them so far.
type tree struct {
	calls   []Call
	targets []Target
	fixed   map[int]bool // microservices held to their first piece
	merged  []line       // by call
	groups  []group      // of calls side by side, those of one parent in a row
	first   []int        // by call: where its groups begin; one more at the end
	sla     []float64    // scratch: by call, what it and all it waits for may take
}

// line is a merged model: latency A·x + B for a workload of W.
type line struct{ A, B, W float64 }

// group is the calls of one step.
type group struct {
	members []int
	merged  line
}

func newTree(r *Request, common map[int]Model) *tree {
	n := len(r.Calls)
	t := &tree{calls: r.Calls, targets: make([]Target, n), fixed: map[int]bool{}, merged: make([]line, n), first: make([]int, n+1), sla: make([]float64, n)}
	for i, c := range r.Calls {
		m, ok := common[c.Microservice]
		if !ok {
			if m, ok = r.Models[c.Microservice]; !ok {
				m = Unknown()
			}
		}
		w, ok := r.Workloads[c.Microservice]
		if !ok {
			w = r.Workload
		}
		t.targets[i] = Target{Model: m, After: true, Workload: w}
		t.take(i)
	}
	children := make([][]int, n)
	for i, c := range r.Calls {
		if c.Parent >= 0 {
			children[c.Parent] = append(children[c.Parent], i)
		}
	}
	for i := range children {
		t.first[i] = len(t.groups)
		for at := 0; at < len(children[i]); {
			to := at + 1
			for to < len(children[i]) && r.Calls[children[i][to]].Step == r.Calls[children[i][at]].Step {
				to++
			}
			t.groups = append(t.groups, group{members: children[i][at:to]})
			at = to
		}
	}
	t.first[n] = len(t.groups)
	t.merge()
	return t
}

// take fills in the piece that holds for a call. Latency does not fall with load: where a fit says so, its slope is 1, as the
// published scaler has it.
func (t *tree) take(i int) {
	of, c := &t.targets[i], &t.calls[i]
	p := of.Model.Before
	if of.After {
		p = of.Model.After
	}
	switch {
	case p.A < 0:
		p.A = 1
	case p.A == 0:
		p.A = Unknown().Before.A
	}
	of.A, of.B = c.times()*p.A, c.times()*p.B+c.Constant
}

// merge computes the lines of all that each call waits for.
func (t *tree) merge() {
	for i := len(t.calls) - 1; i >= 0; i-- {
		of := &t.targets[i]
		all := line{of.A, of.B, of.Workload}
		for g := t.first[i]; g < t.first[i+1]; g++ {
			t.groups[g].merged = t.beside(t.groups[g].members)
			all = follow(all, t.groups[g].merged)
		}
		t.merged[i] = all
		of.MergedA, of.MergedB = all.A, all.B
	}
}

// beside merges calls that go on side by side.
func (t *tree) beside(members []int) line {
	all := line{0, math.Inf(-1), math.Inf(1)}
	for _, i := range members {
		all.W = min(all.W, t.merged[i].W)
		all.B = max(all.B, t.merged[i].B)
		all.A += t.merged[i].A * t.merged[i].W
	}
	all.A /= all.W
	return all
}

// follow merges two lines of what follows each other.
func follow(x, y line) line {
	w := min(x.W, y.W)
	root := math.Sqrt(x.A*x.W) + math.Sqrt(y.A*y.W)
	return line{root * root / w, x.B + y.B, w}
}

// aim computes the latency targets and then chooses the piece that holds for each call.
func (t *tree) aim(sla float64) {
	t.sla[0] = sla
	for i := range t.calls {
		of, all := &t.targets[i], &t.merged[i]
		rate := (t.sla[i] - all.B) / math.Sqrt(all.A*all.W)
		of.Latency = math.Sqrt(of.A*of.Workload)*rate + of.B
		for g := t.first[i]; g < t.first[i+1]; g++ {
			step := &t.groups[g]
			for _, k := range step.members {
				t.sla[k] = math.Sqrt(step.merged.A*step.merged.W)*rate + step.merged.B
			}
		}
		of.After = !t.fixed[t.calls[i].Microservice] && !((of.Latency-of.B)/of.A <= of.Model.Inflection)
		t.take(i)
	}
}

// settled is how many rounds may pass in which no other microservice is held to its first piece.
const settled = 8

// split computes latency targets and containers; it reports whether they can be met.
func (t *tree) split(sla float64) (feasible bool) {
	if len(t.calls) == 0 {
		return true
	}
	t.aim(sla)
	t.merge()
	t.aim(sla)
	for idle := 0; idle < settled; idle++ {
		bad := false
		for i := range t.targets {
			if of := &t.targets[i]; of.Latency < 0 || of.Latency < t.calls[i].times()*of.Model.Before.B {
				bad = true
				if ms := t.calls[i].Microservice; !t.fixed[ms] {
					t.fixed[ms] = true
					idle = -1
				}
			}
		}
		if !bad {
			return t.count()
		}
		t.merge()
		t.aim(sla)
	}
	t.count()
	return false
}

// count computes containers. Where a piece asks for less than one, the other is taken. It reports whether there is a number
// for every call.
func (t *tree) count() (all bool) {
	all = true
	for i := range t.targets {
		of := &t.targets[i]
		if t.containers(i); of.Containers <= 0 {
			of.After = !of.After
			t.take(i)
			t.containers(i)
		}
		if !(of.Containers > 0) && of.Workload > 0 && of.A > 0 {
			of.Containers = math.Inf(1) // below the offsets of both
		}
		all = all && !math.IsInf(of.Containers, 1)
	}
	return all
}

func (t *tree) containers(i int) {
	of := &t.targets[i]
	of.Containers = math.Ceil(of.A * of.Workload / (of.Latency - of.B))
}

// holder is a tree that calls a microservice, and the first call of it there.
type holder struct {
	tree *tree
	call int
}

// holders are, by microservice, the trees that call it, in their order.
func holders(trees []*tree) map[int][]holder {
	by := map[int][]holder{}
	for _, t := range trees {
		for i, c := range t.calls {
			if h := by[c.Microservice]; len(h) == 0 || h[len(h)-1].tree != t {
				by[c.Microservice] = append(h, holder{t, i})
			}
		}
	}
	return by
}

// prioritise gives every call the workload that goes before it at its microservice, and its own.
func prioritise(trees []*tree) {
	workloads := map[*tree]map[int]float64{}
	for ms, h := range holders(trees) {
		if len(h) < 2 {
			continue
		}
		slices.SortStableFunc(h, func(a, b holder) int {
			return cmp.Compare(a.tree.targets[a.call].Latency, b.tree.targets[b.call].Latency)
		})
		sum := 0.0
		for _, x := range h {
			sum += x.tree.targets[x.call].Workload
			if workloads[x.tree] == nil {
				workloads[x.tree] = map[int]float64{}
			}
			workloads[x.tree][ms] = sum
		}
	}
	for _, t := range trees {
		for i, c := range t.calls {
			if w, ok := workloads[t][c.Microservice]; ok {
				t.targets[i].Workload = w
			}
		}
		t.merge()
	}
}

// join holds all that call a microservice to the smallest of their targets, at the sum of their workloads.
func join(trees []*tree) {
	type both struct{ target, workload float64 }
	by := map[int]both{}
	for ms, h := range holders(trees) {
		if len(h) < 2 {
			continue
		}
		b := both{target: math.Inf(1)}
		for _, x := range h {
			of := &x.tree.targets[x.call]
			b.target, b.workload = min(b.target, of.Latency), b.workload+of.Workload
		}
		by[ms] = b
	}
	for _, t := range trees {
		for i, c := range t.calls {
			if b, ok := by[c.Microservice]; ok {
				t.targets[i].Latency, t.targets[i].Workload = b.target, b.workload
			}
		}
		t.count()
	}
}
