package autothrottle

import (
	"cmp"
	"math"
	"slices"
)

// The learner's widths: how far a sample speaks for other actions, in steps of a target, and for other loads, in buckets.
const (
	actionWidth = 0.4
	loadWidth   = 1.2
	faint       = 0.001 // how much a sample says of a load far away, where nothing nearer is known
	// optimism is the weight of the cost of nothing that an action is born with: what was never tried is a little better
	// than what surrounds it.
	optimism = 0.05
	// bucketShare is the width of a bucket of load over the mean load: the paper's 20 requests/s at 263.
	bucketShare = 20.0 / 263
	leastBucket = 20 // requests/s
)

// category is the median cost of the samples of one action at about one load.
type category struct {
	action, bucket int
	cost           float64
}

// costs are the paper's: the allocation among minutes that met the objective, from 0 to 1, and 2 plus the latency among
// those that did not.
func costs(samples []sample, factor float64) []float64 {
	loC, hiC, loL, hiL := math.Inf(1), 0.0, math.Inf(1), 0.0
	for _, s := range samples {
		if s.Latency <= factor {
			loC, hiC = min(loC, s.Cores), max(hiC, s.Cores)
		} else {
			loL, hiL = min(loL, s.Latency), max(hiL, s.Latency)
		}
	}
	within := func(x, lo, hi float64) float64 {
		if hi <= lo {
			return 0.5
		}
		return (x - lo) / (hi - lo)
	}
	out := make([]float64, len(samples))
	for i, s := range samples {
		if s.Latency <= factor {
			out[i] = within(s.Cores, loC, hiC)
		} else {
			out[i] = 2 + within(s.Latency, loL, hiL)
		}
	}
	return out
}

// aggregate groups samples by action and load and takes the median cost of each group.
func aggregate(samples []sample, cost []float64, width float64) []category {
	type key struct{ action, bucket int }
	by := map[key][]float64{}
	var order []key
	for i, s := range samples {
		k := key{s.Action, int(math.Round(s.RPS / width))}
		if by[k] == nil {
			order = append(order, k)
		}
		by[k] = append(by[k], cost[i])
	}
	slices.SortFunc(order, func(a, b key) int {
		return cmp.Or(cmp.Compare(a.action, b.action), cmp.Compare(a.bucket, b.bucket))
	})
	out := make([]category, len(order))
	for i, k := range order {
		v := by[k]
		slices.Sort(v)
		out[i] = category{k.action, k.bucket, (v[(len(v)-1)/2] + v[len(v)/2]) / 2}
	}
	return out
}

// trend is by how much the cost of minutes that met the objective grows from one bucket of load to the next: what an
// action cost at one load is compared at another with that taken into account. It is a least-squares line.
func trend(cs []category) float64 {
	n, mx, my := 0.0, 0.0, 0.0
	for _, c := range cs {
		if c.cost <= 1 {
			n, mx, my = n+1, mx+float64(c.bucket), my+c.cost
		}
	}
	sxy, sxx := 0.0, 0.0
	for _, c := range cs {
		if dx := float64(c.bucket) - mx/n; c.cost <= 1 {
			sxy, sxx = sxy+dx*(c.cost-my/n), sxx+dx*dx
		}
	}
	if sxx == 0 {
		return 0
	}
	return max(sxy/sxx, 0)
}

// best is the action with the least expected cost at a load, among those that were tried and their neighbours. Without
// samples it is the most cautious one, and known is false.
//
// The expectation is a mean of the categories' medians, weighted by how near their action and load are. Each category
// counts once, which is what the paper's 10,000 draws with replacement come to.
func (t *tower) best(rps, factor float64) (action int, cost float64, known bool) {
	if len(t.Samples) == 0 {
		return 0, 0, false
	}
	mean := 0.0
	for _, s := range t.Samples {
		mean += s.RPS / float64(len(t.Samples))
	}
	width := max(leastBucket, bucketShare*mean)
	near := [ladder]float64{}
	for i := range near {
		near[i] = math.Exp(-float64(i*i) / (2 * actionWidth * actionWidth))
	}
	var sum, weight [actions]float64
	var open [actions]bool
	here := rps / width
	cs := aggregate(t.Samples, costs(t.Samples, factor), width)
	slope := trend(cs)
	for _, c := range cs {
		d := (here - float64(c.bucket)) / loadWidth
		w := math.Exp(-d*d/2) + faint/(1+d*d)
		if c.cost <= 1 {
			c.cost = min(max(c.cost+slope*(here-float64(c.bucket)), 0), 1)
		}
		for a := range actions {
			k := w * near[abs(a/ladder-c.action/ladder)] * near[abs(a%ladder-c.action%ladder)]
			weight[a] += k
			sum[a] += k * c.cost
		}
		open[c.action] = true
		for _, a := range neighbours(c.action) {
			open[a] = true
		}
	}
	prior := optimism * slices.Max(weight[:])
	cost = math.Inf(1)
	for a := range actions {
		if c := sum[a] / (weight[a] + prior); open[a] && c < cost {
			action, cost = a, c
		}
	}
	return action, cost, true
}

func abs(x int) int { return max(x, -x) }
