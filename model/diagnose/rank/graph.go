package rank

import (
	"math"
	"slices"
	"strings"
)

// graph is who calls whom.
type graph struct {
	in               *Input
	callees, callers [][]int // of services: indices of calls
	front            int     // negative: there is none
	reached          []bool  // from the front
	sums             []*Series
}

func newGraph(in *Input) *graph {
	n := len(in.Services)
	g := &graph{in: in, callees: make([][]int, n), callers: make([][]int, n), front: in.Front, sums: make([]*Series, n)}
	seen := map[[2]int]bool{}
	for i, c := range in.Calls {
		if k := [2]int{c.From, c.To}; c.From != c.To && !seen[k] {
			seen[k] = true
			g.callees[c.From], g.callers[c.To] = append(g.callees[c.From], i), append(g.callers[c.To], i)
		}
	}
	if g.front < 0 {
		g.front = g.top()
	}
	g.reached = g.from(g.front)
	return g
}

// Top is the index of the service without callers from which most others are reached; of those alike, the first by name. It is
// negative where nothing calls.
func (in *Input) Top() int {
	plain := *in
	plain.Front = -1
	return newGraph(&plain).front
}

// from tells which services are reached from one, itself included.
func (g *graph) from(start int) []bool {
	out := make([]bool, len(g.in.Services))
	if start < 0 {
		return out
	}
	out[start] = true
	for todo := []int{start}; len(todo) > 0; {
		i := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		for _, c := range g.callees[i] {
			if to := g.in.Calls[c].To; !out[to] {
				out[to] = true
				todo = append(todo, to)
			}
		}
	}
	return out
}

// top is the service without callers from which most are reached, of those alike the first by name; -1 where nothing calls.
func (g *graph) top() int {
	best, most := -1, 1
	for i := range g.in.Services {
		if len(g.callers[i]) > 0 || len(g.callees[i]) == 0 {
			continue
		}
		n := 0
		for _, ok := range g.from(i) {
			if ok {
				n++
			}
		}
		if n > most || n == most && best >= 0 && strings.Compare(g.in.Services[i].Name, g.in.Services[best].Name) < 0 {
			best, most = i, n
		}
	}
	return best
}

// into is the requests of all callers of a service.
func (g *graph) into(i int) Series {
	if g.sums[i] != nil {
		return *g.sums[i]
	}
	var s Series
	for _, c := range g.callers[i] {
		r := g.in.Services[g.in.Calls[c].From].Requests
		if len(r.Issue) == 0 {
			continue
		}
		if s.Issue == nil {
			s = Series{slices.Repeat([]float64{math.NaN()}, len(r.Normal)), slices.Repeat([]float64{math.NaN()}, len(r.Issue))}
		}
		plus(s.Normal, r.Normal)
		plus(s.Issue, r.Issue)
	}
	g.sums[i] = &s
	return s
}

func plus(to, v []float64) {
	for i, x := range v {
		switch {
		case !finite(x):
		case math.IsNaN(to[i]):
			to[i] = x
		default:
			to[i] += x
		}
	}
}
