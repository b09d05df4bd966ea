package callgraph

import (
	"math"

	"foresail.dev"
	"foresail.dev/model/callgraph/dist"
)

// block is what goes on one after the other: single stages, and the longest of several blocks side by side.
type block struct {
	terms  []dist.Term
	visits []int // by term
	sides  []side

	base   float64      // s: the shifts, as far as they are taken out of what lies on the grid
	phi    []complex128 // the transform of what is above base
	adj    []complex128 // of what is taken apart, by frequency
	active int          // frequencies from here on have nothing
}

// side is the longest of some blocks, Times times.
type side struct {
	branches []*block
	times    int
	base     float64      // the least base of its branches
	phi      []complex128 // of the longest, above base
	below    [][]float64  // by branch: the probability that it has ended at the end of each cell, cells in the order of time
	value    []float64    // by cell in the order of time: of what is taken apart, what there is if the longest ends there
}

// compile makes the block of a form whose visits' own times are stages.
func compile(f *foresail.Form, stages []dist.Stage) *block {
	children := make([][]int, len(f.Visits))
	for i, v := range f.Visits[1:] {
		if !v.Async {
			children[v.Parent] = append(children[v.Parent], i+1)
		}
	}
	b := &block{}
	b.add(f, stages, children, 0, 1)
	return b
}

// add takes up a visit, times times, with all it waits for: the sum of copies is as many copies of each of its summands.
func (b *block) add(f *foresail.Form, stages []dist.Stage, children [][]int, i, times int) {
	times *= f.Visits[i].Times
	b.terms = append(b.terms, dist.Term{Of: &stages[i], Times: times})
	b.visits = append(b.visits, i)
	for next := children[i]; len(next) > 0; {
		n := 1
		for n < len(next) && f.Visits[next[n]].Step == f.Visits[next[0]].Step {
			n++
		}
		if n == 1 {
			b.add(f, stages, children, next[0], times)
		} else {
			s := side{times: times}
			for _, c := range next[:n] {
				branch := &block{}
				branch.add(f, stages, children, c, 1)
				s.branches = append(s.branches, branch)
			}
			b.sides = append(b.sides, s)
		}
		next = next[n:]
	}
}

// settle computes the bases.
func (b *block) settle() {
	b.base = 0
	for _, t := range b.terms {
		b.base += t.Of.Shift * float64(t.Times)
	}
	for i := range b.sides {
		s := &b.sides[i]
		s.base = math.Inf(1)
		for _, c := range s.branches {
			c.settle()
			s.base = math.Min(s.base, c.base)
		}
		b.base += s.base * float64(s.times)
	}
}

// pole is the rate at which the block's tail falls in the end, 1/s.
func (b *block) pole() float64 {
	p := math.Inf(1)
	for _, t := range b.terms {
		p = math.Min(p, t.Of.Pole())
	}
	for _, s := range b.sides {
		for _, c := range s.branches {
			p = math.Min(p, c.pole())
		}
	}
	return p
}

// bound is a bound of ln E[exp(z T)] of what is above base, for a z from 0 to the pole: the longest of several is less
// than their sum.
func (b *block) bound(z float64) float64 {
	k := 0.0
	for _, t := range b.terms {
		k += float64(t.Times) * t.Of.LogTransform(z)
	}
	for _, s := range b.sides {
		most := math.Inf(-1)
		sum := 0.0
		for _, c := range s.branches {
			l := c.bound(z) + z*(c.base-s.base)
			if l > most {
				sum *= math.Exp(most - l)
				most = l
			}
			sum += math.Exp(l - most)
		}
		k += float64(s.times) * (most + math.Log(sum))
	}
	return k
}

// reach is a time above base that is exceeded with a probability of less than share, by Chernoff's bound; not all is fixed.
func (b *block) reach(share float64) float64 {
	pole := b.pole()
	need := -math.Log(share)
	at := func(x float64) float64 { // any z from 0 to the pole gives a bound; the least of them is wanted
		z := pole / (1 + math.Exp(x))
		if t := (b.bound(z) + need) / z; !math.IsNaN(t) {
			return t
		}
		return math.Inf(1) // it overflowed
	}
	lo, hi := -4.0, 10.0
	const golden = 0.6180339887498949
	x1, x2 := hi-golden*(hi-lo), lo+golden*(hi-lo)
	f1, f2 := at(x1), at(x2)
	for range 7 {
		if f1 < f2 {
			hi, x2, f2 = x2, x1, f1
			x1 = hi - golden*(hi-lo)
			f1 = at(x1)
		} else {
			lo, x1, f1 = x1, x2, f2
			x2 = lo + golden*(hi-lo)
			f2 = at(x2)
		}
	}
	return math.Min(f1, f2)
}

// longest is how long a block of fixed stages takes above its base.
func (b *block) longest() float64 {
	t := 0.0
	for _, s := range b.sides {
		most := 0.0
		for _, c := range s.branches {
			most = math.Max(most, c.longest()+c.base-s.base)
		}
		t += most * float64(s.times)
	}
	return t
}

// fixedShares adds to e.share what fixed stages take of times requests, where only the longest of a side counts.
func (b *block) fixedShares(times float64, e *effect) {
	for i, t := range b.terms {
		e.share[b.visits[i]] += times * float64(t.Times) * t.Of.Shift
	}
	for _, s := range b.sides {
		at, most := 0, math.Inf(-1)
		for i, c := range s.branches {
			if l := c.base + c.longest(); l > most {
				at, most = i, l
			}
		}
		s.branches[at].fixedShares(times*float64(s.times), e)
	}
}

// drop forgets what lay on another grid.
func (b *block) drop() {
	b.phi, b.adj = nil, nil
	for i := range b.sides {
		b.sides[i].phi = nil
		for _, c := range b.sides[i].branches {
			c.drop()
		}
	}
}
