package erms

import (
	"cmp"
	"math"
	"slices"
)

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
