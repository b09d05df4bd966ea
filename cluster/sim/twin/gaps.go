package twin

import (
	"math"
	"slices"

	"foresail.dev"
)

// enough is how many undisturbed visits make it unnecessary to look at disturbed ones.
const enough = 100

// measure fills the gaps of an operation's layout from its visits.
func (o *operation) measure(visits []*visit) {
	var owns []int64
	for _, x := range visits {
		owns = append(owns, o.uncovered(x))
		made := make(map[int]*call, len(x.calls))
		for i := range x.calls {
			made[x.calls[i].slot] = &x.calls[i]
		}
		end, whole := through(o.layout.steps, made, x.start)
		if o.layout.tail.runs++; whole {
			o.layout.tail.seconds = append(o.layout.tail.seconds, max(float64(x.end-end)*1e-9, 0))
		}
	}
	if len(visits) > 0 {
		o.middle = float64(median(owns)) * 1e-9
		o.own = (o.layout.tail.total() + total(o.layout.steps)) / float64(len(visits))
	}
}

// uncovered is the time of a visit in which no call that it waits for goes on.
func (o *operation) uncovered(x *visit) int64 {
	left, until := x.end-x.start, x.start
	for i := range x.calls { // in the order in which they began
		c := &x.calls[i]
		if from := max(c.start, until); !o.layout.nobody[c.slot] && c.end > from {
			left -= c.end - from
			until = c.end
		}
	}
	return max(left, 0)
}

// total is the time of all work of the steps of a list.
func total(list []stage) (sum float64) {
	for i := range list {
		sum += list[i].work.total()
		for k := range list[i].calls {
			sum += total(list[i].calls[k].then)
		}
	}
	return sum
}

// through measures the steps of a list from an instant on, and tells when the last of them that was made ended. Work of
// a step is done whether or not its calls are made; where they are not, the next gap holds the work of both steps, and is
// left out: it is not whole.
func through(list []stage, made map[int]*call, from int64) (end int64, whole bool) {
	whole = true
	for i := range list {
		st := &list[i]
		if st.async { // nobody waits: it says nothing of the time before it or after it
			continue
		}
		st.work.runs++
		first, last, inner := int64(math.MaxInt64), from, true
		for k := range st.calls {
			b := &st.calls[k]
			c := made[b.slot]
			if c == nil {
				continue
			}
			first = min(first, c.start)
			ended := c.end
			if anyMade(b.then, made) {
				ended, inner = through(b.then, made, c.end)
			}
			last = max(last, ended)
		}
		if first == math.MaxInt64 {
			whole = false
			continue
		}
		if whole {
			st.work.seconds = append(st.work.seconds, max(float64(first-from)*1e-9, 0))
		}
		from, whole = last, inner
	}
	return from, whole
}

// anyMade reports whether what may follow a call did.
func anyMade(list []stage, made map[int]*call) bool {
	for i := range list {
		for k := range list[i].calls {
			if made[list[i].calls[k].slot] != nil {
				return true
			}
		}
	}
	return false
}

// mean of the gaps; each of the largest hundredth counts as the quantile that it lies above.
func (g *gaps) mean() float64 {
	if len(g.seconds) == 0 {
		return 0
	}
	slices.Sort(g.seconds)
	limit := g.quantile(0.99)
	sum := 0.0
	for _, v := range g.seconds {
		sum += min(v, limit)
	}
	return sum / float64(len(g.seconds))
}

// total is the time of all work, seen or not.
func (g *gaps) total() float64 { return g.mean() * float64(g.runs) }

// quantile of sorted gaps.
func (g *gaps) quantile(q float64) float64 {
	at := q * float64(len(g.seconds)-1)
	i := int(at)
	if i+1 >= len(g.seconds) {
		return g.seconds[len(g.seconds)-1]
	}
	return g.seconds[i] + (at-float64(i))*(g.seconds[i+1]-g.seconds[i])
}

// Normal quantiles.
const (
	z75 = 0.6744897501960817
	z90 = 1.2815515655446004
)

// shape finds the family of the gaps and its variation, from quantiles between a tenth and nine tenths.
func (g *gaps) shape() (foresail.DistShape, float64) {
	if len(g.seconds) < 10 {
		return foresail.LogNormal, 0.5
	}
	slices.Sort(g.seconds)
	q10, q25, q50, q75, q90 := g.quantile(0.1), g.quantile(0.25), g.quantile(0.5), g.quantile(0.75), g.quantile(0.9)
	if q10 <= 0 {
		return foresail.LogNormal, 0.5
	}
	sigma := math.Log(q75/q25) / (2 * z75)
	// Of an exponential this sigma is 1.17, and its logarithm leans to the left by 0.22; of a lognormal it does not lean.
	lean := (math.Log(q90/q50) - math.Log(q50/q10)) / math.Log(q90/q10)
	switch {
	case sigma < 0.05:
		return foresail.Constant, 0
	case sigma > 0.9 && lean < -0.1:
		return foresail.Exponential, 1
	}
	return foresail.LogNormal, math.Min(math.Sqrt(math.Expm1(sigma*sigma)), 10)
}

// calm are the visits during which their service was not throttled; all, when those are too few.
func calm(visits []*visit, disturbed func(from, to int64) bool) []*visit {
	var out []*visit
	for _, x := range visits {
		if !disturbed(x.start, x.end) {
			out = append(out, x)
		}
	}
	if len(out) < enough {
		return visits
	}
	return out
}

// throttled tells when a service was, by its snapshots.
func throttled(snapshots []*foresail.Snapshot, service foresail.ServiceID) func(from, to int64) bool {
	type span struct{ from, to int64 }
	var spans []span
	for _, s := range snapshots {
		if int(service) < len(s.Services) && s.Services[service].Has.Has(foresail.SignalThrottled) && s.Services[service].Throttled > 0 {
			spans = append(spans, span{s.Start.UnixNano(), s.End.UnixNano()})
		}
	}
	return func(from, to int64) bool {
		i, _ := slices.BinarySearchFunc(spans, from, func(s span, at int64) int {
			if s.to <= at {
				return -1
			}
			return 1
		})
		return i < len(spans) && spans[i].from < to
	}
}
