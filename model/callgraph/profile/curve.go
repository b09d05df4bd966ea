package profile

import (
	"cmp"
	"math"
	"slices"
)

// levels are the shares of visits whose own times are kept of an observation: the least, the body, and ever more of the tail.
var levels = [...]float64{0, .05, .1, .2, .3, .4, .5, .6, .7, .75, .8, .85, .9, .925, .95, .97, .98, .99, .995, .999}

// The places of 0.5 and 0.95 in levels.
const (
	median = 6
	late   = 14
)

// quantiles are own times in seconds by levels, ascending.
type quantiles [len(levels)]float64

func (s Sample) quantiles() (q quantiles) {
	for i, p := range levels {
		q[i] = s.Quantile(p)
	}
	q[0] = s.least()
	for i := 1; i < len(q); i++ {
		q[i] = max(q[i], q[i-1])
	}
	return q
}

// knot is what is known at about one load: the logarithms of quantiles.
type knot struct {
	load, weight float64
	log          quantiles
}

// near is within how much two loads are taken to be one: a share.
const near = 0.08

// knots joins observations of about one load, and makes every quantile grow with load, as it must: where it doesn't, it is
// noise, and the weighted mean of those that disagree is taken (pool adjacent violators).
func knots(seen []observation, weight func(*observation) float64) []knot {
	order := make([]int, len(seen))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(seen[a].Load, seen[b].Load) })
	var out []knot
	first := 0.0 // the least load of the last knot
	for _, i := range order {
		o := &seen[i]
		w := weight(o)
		if !(w > 0) {
			continue
		}
		if len(out) == 0 || o.Load > first*(1+near) {
			out = append(out, knot{})
			first = o.Load
		}
		k := &out[len(out)-1]
		k.weight += w
		k.load += w / k.weight * (o.Load - k.load)
		for l, q := range o.Quantiles {
			k.log[l] += w / k.weight * (math.Log(q) - k.log[l])
		}
	}
	for l := range levels {
		isotonic(out, l)
	}
	return out
}

// isotonic makes level l of the knots ascend.
func isotonic(ks []knot, l int) {
	type block struct {
		value, weight float64
		n             int
	}
	var blocks [maxSeen + 1]block
	n := 0
	for i := range ks {
		blocks[n] = block{ks[i].log[l], ks[i].weight, 1}
		n++
		for n > 1 && blocks[n-2].value > blocks[n-1].value {
			a, b := &blocks[n-2], blocks[n-1]
			a.value = (a.value*a.weight + b.value*b.weight) / (a.weight + b.weight)
			a.weight += b.weight
			a.n += b.n
			n--
		}
	}
	i := 0
	for _, b := range blocks[:n] {
		for range b.n {
			ks[i].log[l] = b.value
			i++
		}
	}
}

// at is the quantiles' logarithms at a load: between knots interpolated, beyond them those of the outermost.
func at(ks []knot, load float64) quantiles {
	i := 0
	for i < len(ks) && ks[i].load < load {
		i++
	}
	switch {
	case i == 0:
		return ks[0].log
	case i == len(ks):
		return ks[i-1].log
	}
	a, b := &ks[i-1], &ks[i]
	part := (load - a.load) / (b.load - a.load)
	var q quantiles
	for l := range q {
		q[l] = a.log[l] + part*(b.log[l]-a.log[l])
	}
	return q
}

// exp is the seconds of logarithms, ascending.
func (log quantiles) exp() (q quantiles) {
	last := 0.0
	for l := range q {
		last = max(math.Exp(log[l]), last)
		q[l] = last
	}
	return q
}
