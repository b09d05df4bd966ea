package hpa

import (
	"fmt"
	"math"
	"time"

	"foresail.dev"
	"foresail.dev/plan"
)

// keep is how much longer than its window anything remembered is kept.
const keep = time.Second

// settle turns what was asked for into a scale event when it was done, and forgets it either way.
func (mem *memory) settle(replicas int, now time.Time) {
	if n := mem.Asked - mem.AskedFrom; n != 0 && replicas == mem.Asked {
		mem.Events = append(mem.Events, sample{mem.AskedAt, n})
	}
	mem.Asked, mem.AskedFrom = 0, 0
	if len(mem.Recommended) > 0 && now.Before(mem.Recommended[len(mem.Recommended)-1].At) {
		mem.Recommended, mem.Events = nil, nil // time has jumped back: what is remembered lies ahead
	}
}

// scale decides for one service, in upstream's order: outside the bounds, they decide; then the metric, the
// stabilisation, the rate limits and the bounds.
func (m *Manager) scale(d *plan.Draft, id foresail.ServiceID, svc *foresail.Service, from foresail.Allocation, known bool, v view, mem *memory) {
	now := d.At()
	if len(mem.Recommended) == 0 {
		mem.Recommended = []sample{{now.Add(-1), from.Replicas}} // a restart must not shrink anything for one window
	}
	o := m.calculate(from.Replicas, v)
	lo, hi := svc.Bounds.MinReplicas, max(svc.Bounds.MaxReplicas, svc.Bounds.MinReplicas)
	b := behaved{replicas: from.Replicas}
	switch {
	case from.Replicas > hi || from.Replicas < lo:
		b.replicas = min(max(from.Replicas, lo), hi)
		b.outside = true
	case !o.ok:
		d.Note(svc.Name + ": kept, no metric of a ready replica")
		return
	default:
		b = m.behave(mem, from.Replicas, o.replicas, lo, hi, now)
	}
	if b.replicas == from.Replicas {
		return
	}
	to := from
	to.Replicas = b.replicas
	mem.Asked, mem.AskedFrom, mem.AskedAt = b.replicas, from.Replicas, now
	d.Set(id, svc, from, to, m.reason(from, known, v, o, b))
}

// behaved is what became of a recommendation.
type behaved struct {
	replicas   int
	stabilised int    // the recommendation after stabilisation
	bound      string // what limited it then; empty: nothing
	outside    bool   // the bounds alone decided
}

// behave is upstream's normalizeDesiredReplicasWithBehaviors (pkg/controller/podautoscaler/horizontal.go): the
// recommendation is stabilised, then limited by the policies, then by the bounds.
func (m *Manager) behave(mem *memory, current, desired, lo, hi int, now time.Time) behaved {
	up, down := desired, desired
	longest := max(m.c.Up.Stabilisation, m.c.Down.Stabilisation)
	kept := mem.Recommended[:0]
	for _, r := range mem.Recommended {
		if r.At.After(now.Add(-m.c.Up.Stabilisation)) {
			up = min(up, r.N)
		}
		if r.At.After(now.Add(-m.c.Down.Stabilisation)) {
			down = max(down, r.N)
		}
		if r.At.After(now.Add(-longest - keep)) {
			kept = append(kept, r)
		}
	}
	if n := len(kept); n > 0 && kept[n-1].At.Equal(now) {
		kept = kept[:n-1] // asked again at the same instant
	}
	mem.Recommended = append(kept, sample{now, desired})
	mem.forget(now, m.c)

	b := behaved{replicas: min(max(current, up), down)}
	b.stabilised = b.replicas
	switch {
	case b.replicas > current:
		limit := max(limitUp(m.c.Up.Policies, mem.Events, current, now), current)
		if b.replicas > min(limit, hi) {
			b.replicas, b.bound = hi, "max replicas"
			if limit < hi {
				b.replicas, b.bound = limit, "scale-up policy"
			}
		}
	case b.replicas < current:
		limit := min(limitDown(m.c.Down.Policies, mem.Events, current, now), current)
		if b.replicas < max(limit, lo) {
			b.replicas, b.bound = lo, "min replicas"
			if limit > lo {
				b.replicas, b.bound = limit, "scale-down policy"
			}
		}
	}
	return b
}

// forget drops the events that no policy looks at.
func (mem *memory) forget(now time.Time, c Config) {
	longest := time.Duration(0)
	for _, b := range []*Behaviour{c.Up, c.Down} {
		for _, p := range b.Policies {
			longest = max(longest, p.Period)
		}
	}
	kept := mem.Events[:0]
	for _, e := range mem.Events {
		if e.At.After(now.Add(-longest)) {
			kept = append(kept, e)
		}
	}
	mem.Events = kept
}

// atStart is how many replicas there were when the period began.
func atStart(events []sample, current int, p Policy, now time.Time) int {
	for _, e := range events {
		if e.At.After(now.Add(-p.Period)) {
			current -= e.N
		}
	}
	return current
}

// limitUp is the most replicas that the policies allow: the most generous one counts.
func limitUp(ps []Policy, events []sample, current int, now time.Time) int {
	if len(ps) == 0 {
		return math.MaxInt32
	}
	limit := math.MinInt32
	for _, p := range ps {
		start := atStart(events, current, p, now)
		limit = max(limit, start+p.Replicas, ceil(float64(start)*(1+p.Share)))
	}
	return limit
}

// limitDown is the fewest replicas that the policies allow: the most generous one counts.
func limitDown(ps []Policy, events []sample, current int, now time.Time) int {
	if len(ps) == 0 {
		return 0
	}
	limit := math.MaxInt32
	for _, p := range ps {
		start := atStart(events, current, p, now)
		limit = min(limit, start-p.Replicas, int(float64(start)*(1-min(p.Share, 1))))
	}
	return limit
}

// reason puts a change into words.
func (m *Manager) reason(from foresail.Allocation, known bool, v view, o outcome, b behaved) foresail.Reason {
	r := foresail.Reason{Rule: "hpa/utilisation", Bound: b.bound}
	if b.outside {
		r.Rule = "hpa/bounds"
		r.Text = fmt.Sprintf("%d replicas are outside the bounds: %d is the nearest inside", from.Replicas, b.replicas)
		return r
	}
	r.Text = fmt.Sprintf("CPU at %.0f %% of the request over %v against a target of %.0f %%: from %d to %d replicas",
		o.utilisation, m.c.Sync, m.c.Target*100, from.Replicas, b.replicas)
	if o.why != "" {
		r.Considered = append(r.Considered, fmt.Sprintf("%s (%d not ready, %d without a metric): the ratio is %.2f",
			o.why, v.unready, v.missing, o.ratio))
	}
	if b.stabilised != o.replicas {
		r.Considered = append(r.Considered, fmt.Sprintf("%d replicas would do now; an earlier recommendation in the stabilisation window holds it at %d",
			o.replicas, b.stabilised))
	}
	if b.replicas != b.stabilised {
		r.Considered = append(r.Considered, fmt.Sprintf("%d replicas, which the %s does not allow", b.stabilised, b.bound))
	}
	if v.total {
		r.Considered = append(r.Considered, "replicas one by one: they were not told apart, so the total was used")
	}
	r = plan.Admit(r, known)
	if len(r.Considered) == 0 {
		r.Considered = []string{fmt.Sprintf("%d replicas as before: outside the tolerance of %.0f %%", from.Replicas, m.c.Tolerance*100)}
	}
	return r
}
