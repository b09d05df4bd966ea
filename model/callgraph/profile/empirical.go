package profile

import (
	"math"

	"foresail.dev/model/callgraph/dist"
)

// groups are the places in levels between which own times become one part of an empirical stage: the shares 0, 0.3, 0.6,
// 0.8, 0.9, 0.95, 0.98, 0.995 and, without an end, 1.
var groups = [...]int{0, 4, 7, 10, 12, 14, 16, 18, len(levels)}

// sharpest is the highest order of a part: a coefficient of variation of 1/8.
const sharpest = 64

// Empirical is a sample as a stage: for each of eight groups of own times, by their quantiles, an Erlang distribution with the
// group's mean above the least and, where its order can have it, the group's variance. Of humps far apart the mean may be a tenth off, since
// within a group only a few quantiles are kept. Beyond the 99.9th percentile it has the tail of an
// exponential.
func Empirical(s Sample) (dist.Stage, error) {
	if _, _, ok := s.curve(); !ok {
		return dist.Stage{}, ErrSample
	}
	q := s.quantiles()
	return q.stage(), nil
}

// stage is the empirical stage of quantiles.
func (q *quantiles) stage() dist.Stage {
	if !(q[len(q)-1] > q[0]) {
		return dist.Fixed(q[0])
	}
	s := dist.Stage{Shift: q[0], Parts: make([]dist.Part, 0, len(groups)-1)}
	for g := range len(groups) - 1 {
		weight, mean, variance := q.group(groups[g], groups[g+1])
		mean = max(mean-s.Shift, (q[len(q)-1]-q[0])*1e-6) // a part has a mean
		order := sharpest
		if variance*sharpest > mean*mean {
			order = max(int(math.Round(mean*mean/variance)), 1)
		}
		s.Parts = append(s.Parts, dist.Part{Weight: weight, Order: order, Rate: float64(order) / mean})
	}
	return s
}

// group is the weight of own times between two levels, and their mean and variance, spread evenly between one level and the
// next; with to the number of levels, without end.
func (q *quantiles) group(from, to int) (weight, mean, variance float64) {
	second := 0.0
	add := func(w, m, v float64) {
		weight += w
		mean += w * m
		second += w * (m*m + v)
	}
	for l := from; l < min(to, len(levels)-1); l++ {
		d := q[l+1] - q[l]
		add(levels[l+1]-levels[l], (q[l]+q[l+1])/2, d*d/12)
	}
	if to == len(levels) {
		tail := q.tail()
		add(1-levels[len(levels)-1], q[len(levels)-1]+tail, tail*tail)
	}
	mean /= weight
	return weight, mean, max(second/weight-mean*mean, 0)
}

// tail is the mean of what is above the last level: as an exponential has it that goes through the 98th percentile and the
// last, at least 1 % of the last.
func (q *quantiles) tail() float64 {
	const from = 16
	last := len(levels) - 1
	return max((q[last]-q[from])/math.Log((1-levels[from])/(1-levels[last])), q[last]/100)
}

// mean is the mean own time in seconds.
func (q *quantiles) mean() float64 {
	_, m, _ := q.group(0, len(levels))
	return m
}
