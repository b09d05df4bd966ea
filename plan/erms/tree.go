package erms

import "math"

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
