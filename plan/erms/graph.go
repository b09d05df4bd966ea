package erms

import (
	"cmp"
	"slices"

	"foresail.dev"
)

// seen is how many requests took a form.
type seen struct {
	form     *foresail.Form
	requests float64
}

// graph is the complete graph of an endpoint's requests: all calls that any of them made, as if each request made them all.
// That is what the authors scale for; Luo et al. (Derm, ISCA 2024) is about what it costs.
type graph struct {
	calls      []Call   // in the order that Request has them, Times multiplied down
	operations []string // of calls
}

// complete merges the forms of one endpoint. A call is the same in two forms where service, operation and parent are, and it
// is the same of several alike. Where forms differ on when or how often it is made, the one counts that most requests took.
// Calls that nobody waits for, and what they call, are left out.
func complete(forms []seen) *graph {
	slices.SortFunc(forms, func(a, b seen) int {
		return cmp.Or(cmp.Compare(b.requests, a.requests), cmp.Compare(a.form.Key(), b.form.Key()))
	})
	var m merger
	for _, f := range forms {
		m.add(f.form)
	}
	g := &graph{}
	if len(m.calls) > 0 {
		m.lay(g, 0, -1, 1)
	}
	return g
}

// merger is the graph as it grows.
type merger struct {
	calls []merging
	at    []int // scratch: by visit of a form, the call that it is; -1: it is left out
}

type merging struct {
	foresail.Visit
	nth      int // of those alike below one parent, from 0
	children []int
}

func (m *merger) add(f *foresail.Form) {
	m.at = m.at[:0]
	for i, v := range f.Visits {
		switch {
		case i == 0 && len(m.calls) == 0:
			m.calls = append(m.calls, merging{Visit: v})
			m.at = append(m.at, 0)
		case i == 0 && v.Service != m.calls[0].Service:
			return // the endpoint's entry was moved: fewer requests took it there
		case i == 0:
			m.at = append(m.at, 0)
		case v.Async || m.at[v.Parent] < 0:
			m.at = append(m.at, -1)
		default:
			m.at = append(m.at, m.child(f, i))
		}
	}
}

// child finds or makes the call that a visit is.
func (m *merger) child(f *foresail.Form, visit int) int {
	v := f.Visits[visit]
	nth := 0
	for k := v.Parent + 1; k < visit; k++ {
		if w := &f.Visits[k]; w.Parent == v.Parent && w.Service == v.Service && w.Operation == v.Operation && !w.Async {
			nth++
		}
	}
	parent := m.at[v.Parent]
	for _, c := range m.calls[parent].children {
		if o := &m.calls[c]; o.Service == v.Service && o.Operation == v.Operation && o.nth == nth {
			return c
		}
	}
	m.calls = append(m.calls, merging{Visit: v, nth: nth})
	c := len(m.calls) - 1
	m.calls[parent].children = append(m.calls[parent].children, c)
	return c
}

// lay appends a call and what it waits for.
func (m *merger) lay(g *graph, i, parent int, times float64) {
	c := &m.calls[i]
	times *= float64(c.Times)
	at := len(g.calls)
	g.calls = append(g.calls, Call{Microservice: int(c.Service), Parent: parent, Step: c.Step, Times: times})
	g.operations = append(g.operations, c.Operation)
	slices.SortStableFunc(c.children, func(a, b int) int { return cmp.Compare(m.calls[a].Step, m.calls[b].Step) })
	for _, k := range c.children {
		m.lay(g, k, at, times)
	}
}

// latency is how long a request takes when each call takes what own says, repetitions included, and how much of that each
// call is: nothing where another takes longer beside it.
func latency(calls []Call, own func(call int) float64) (total float64, part []float64) {
	n := len(calls)
	all, part := make([]float64, n), make([]float64, n)
	type step struct{ parent, step int }
	longest := map[step]int{}
	steps := make([][]int, n) // by call: the longest of each of its steps
	for i := n - 1; i >= 0; i-- {
		all[i] += own(i)
		if p := calls[i].Parent; p >= 0 {
			k := step{p, calls[i].Step}
			j, ok := longest[k]
			switch {
			case !ok:
				all[p] += all[i]
				longest[k] = len(steps[p])
				steps[p] = append(steps[p], i)
			case all[i] > all[steps[p][j]]:
				all[p] += all[i] - all[steps[p][j]]
				steps[p][j] = i
			}
		}
	}
	var mark func(i int)
	mark = func(i int) {
		part[i] = own(i)
		for _, k := range steps[i] {
			mark(k)
		}
	}
	if n > 0 {
		total = all[0]
		mark(0)
	}
	return total, part
}
