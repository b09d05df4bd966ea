package profile

import (
	"math"
	"slices"

	"foresail.dev/model/callgraph/dist"
)

// model is what predictions are made with; it is made when it is asked for.
type model struct {
	knots       []knot
	anchor      float64 // load
	sat         Saturation
	bent        bend
	exponential bool
}

func (o *operation) build(v *service, cfg Config) *model {
	m := &model{sat: v.saturation(cfg)}
	o = &operation{seen: v.weighed(o.seen, cfg)}
	counts := o.counting()
	now, tells := o.newest(counts)
	m.anchor = now.load
	m.knots = knots(o.seen, func(e *observation) float64 {
		if tells(e) || !counts(e) {
			return 0
		}
		return o.weight(e, v, cfg)
	})
	m.knots = fasten(m.knots, now)
	m.bent = m.bend()
	m.exponential = isExponential(at(m.knots, m.anchor).exp())
	return m
}

// counting says which observations tell how own times hang on load: where there are others, neither those of containers that
// used up their CPU, whose own times are those of what piled up, nor those of a time in which replicas came, were cold, or went.
// All that makes own times longer; so the latter count where they are shorter than those of as much load or more.
func (o *operation) counting() func(*observation) bool {
	if !o.steady() {
		return func(*observation) bool { return true }
	}
	steady := func(e *observation) bool { return !e.Unsteady && !e.Spent }
	return func(e *observation) bool {
		return steady(e) || !e.Spent && slices.ContainsFunc(o.seen, func(s observation) bool {
			return steady(&s) && s.CPU == e.CPU && s.Load >= e.Load*(1-near) && s.Quantiles[median] >= e.Quantiles[median] && s.Quantiles[late] >= e.Quantiles[late]
		})
	}
}

// steady reports whether there are such observations of containers like those there are now.
func (o *operation) steady() bool {
	cpu := o.seen[len(o.seen)-1].CPU
	return slices.ContainsFunc(o.seen, func(e observation) bool { return !e.Unsteady && !e.Spent && e.CPU == cpu })
}

// recent is after how many seconds an observation of about the same load counts half in what is so now. Those that count an
// eighth at least make it up, the newest among them.
const recent = 90

// newest is what is observed at about the load of the newest observation now, its weight being the own times it is made of,
// and which observations tell of it.
func (o *operation) newest(counts func(*observation) bool) (now knot, tells func(*observation) bool) {
	newest := &o.seen[len(o.seen)-1]
	for i := len(o.seen) - 1; i >= 0; i-- {
		if counts(&o.seen[i]) {
			newest = &o.seen[i]
			break
		}
	}
	tells = func(e *observation) bool {
		return e == newest || counts(e) && math.Abs(e.Load-newest.Load) <= near*newest.Load && e.CPU == newest.CPU && newest.End-e.End <= 3*recent
	}
	for i := range o.seen {
		e := &o.seen[i]
		if !tells(e) {
			continue
		}
		w := e.Visits * math.Exp2(-float64(newest.End-e.End)/recent)
		if e.Unsteady {
			w *= unsteady
		}
		now.weight += w
		now.load += w / now.weight * (e.Load - now.load)
		for l, q := range e.Quantiles {
			now.log[l] += w / now.weight * (math.Log(q) - now.log[l])
		}
	}
	return now, tells
}

// fasten adds what is observed now to the knots of what was before, and moves those by as much as it differs from them, level
// by level: whatever makes a service slower than it was at this load does so at others. Levels that few own times lie above
// are moved less. Where the load is beyond all others nothing can be compared, and they stay, but for those that contradict it
// by being slower at less load or faster at more.
func fasten(before []knot, now knot) []knot {
	if n := len(before); n > 0 && now.load >= before[0].load*(1-near) && now.load <= before[n-1].load*(1+near) {
		was := at(before, now.load)
		for l := range levels {
			tail := now.weight * (1 - levels[l])
			off := (now.log[l] - was[l]) * tail / (tail + 10)
			for i := range before {
				before[i].log[l] += off
			}
			now.log[l] = was[l] + off
		}
	}
	i := 0
	for i < len(before) && before[i].load < now.load {
		i++
	}
	for k := range before {
		for l := range levels {
			if k < i {
				before[k].log[l] = min(before[k].log[l], now.log[l])
			} else {
				before[k].log[l] = max(before[k].log[l], now.log[l])
			}
		}
	}
	now.weight = 1
	return slices.Insert(before, i, now)
}

// isExponential says whether a shifted exponential of the same mean comes within a tenth of the median and of high
// percentiles.
func isExponential(q quantiles) bool {
	s := exponential(&q)
	if s.IsFixed() {
		return false
	}
	for _, l := range []int{median, 12, 14, 17} {
		if math.Abs(s.Quantile(levels[l])/q[l]-1) > tolerated {
			return false
		}
	}
	return true
}

func exponential(q *quantiles) dist.Stage {
	mean := q.mean()
	if !(mean > q[0]) {
		return dist.Fixed(q[0])
	}
	return dist.Exponential(q[0], 1/(mean-q[0]))
}

// beyond is how many times what was seen own time is taken to be at a load that can't be served.
const beyond = 1000

// stage predicts at a load; c is what sets a visit apart, nil where nothing does.
func (o *operation) stage(v *service, load float64, cfg Config, c *peculiarity) (dist.Stage, Validity) {
	if o.model == nil {
		o.model = o.build(v, cfg)
	}
	m := o.model
	valid := Validity{Basis: BasisSeen, From: m.knots[0].load, To: m.knots[len(m.knots)-1].load, Anchor: m.anchor,
		Saturation: m.sat.Load, Observations: len(o.seen), Steady: o.steady(), Exponential: c.isExponential(m)}
	log := at(m.knots, load)
	switch {
	case load < valid.From:
		valid.Basis = BasisBelow
		m.move(&log, valid.From, load)
	case load > valid.To:
		valid.Basis = BasisBeyond
		if !m.move(&log, valid.To, load) {
			valid.Basis = BasisSaturated
		}
	}
	q := c.put(log).exp()
	if valid.Exponential {
		return exponential(&q), valid
	}
	return q.stage(), valid
}

// bend is how own times depend on how busy containers are, ρ: as a power of what processor sharing makes of them, 1/(1-ρ).
type bend struct {
	fitted bool
	power  quantiles // by levels; of fitted ones
	error  quantiles // standard errors of these
}

// Bounds of powers: without a fit, and beyond and below what was seen. Beyond, own times never grow less than by leastPower.
const (
	blindBeyond, blindBelow = 1, 0.5
	leastPower, mostPower   = 0.25, 4
	widest                  = 0.15 // ln 1/(1-ρ) must be spread by that much, at least, for a fit
)

func (m *model) bend() (b bend) {
	if m.sat.Load <= 0 {
		return b
	}
	x := make([]float64, 0, len(m.knots))
	var n, mean float64
	least, largest := math.Inf(1), math.Inf(-1)
	for _, k := range m.knots {
		v := m.sat.crowd(k.load)
		x = append(x, v)
		n, mean = n+k.weight, mean+k.weight*v
		least, largest = min(least, v), max(largest, v)
	}
	if len(x) < 3 || largest-least < widest {
		return b
	}
	b.fitted = true
	mean /= n
	for l := range levels {
		var my, xx, xy, yy float64
		for _, k := range m.knots {
			my += k.weight / n * k.log[l]
		}
		for i, k := range m.knots {
			dx, dy := x[i]-mean, k.log[l]-my
			xx, xy, yy = xx+k.weight*dx*dx, xy+k.weight*dx*dy, yy+k.weight*dy*dy
		}
		b.power[l] = xy / xx
		b.error[l] = math.Sqrt(max(yy-xy*xy/xx, 0) / xx / float64(len(x)-2))
	}
	return b
}

// move takes logarithms of own times from the outermost load that was seen to one beyond; false where that can't be served, and
// own times are taken to be a thousand times as long.
func (m *model) move(log *quantiles, from, to float64) bool {
	if m.sat.Load <= 0 {
		if to > from {
			for l := range log {
				log[l] += math.Log(to / from)
			}
		}
		return true
	}
	d := m.sat.crowd(to) - m.sat.crowd(from)
	served := m.sat.Utilisation(to) < 1
	for l := range log {
		var power float64
		switch {
		case !m.bent.fitted && to > from:
			power = blindBeyond
		case !m.bent.fitted:
			power = blindBelow
		case to > from:
			power = min(max(m.bent.power[l]+m.bent.error[l], leastPower), mostPower)
		default:
			power = min(max(m.bent.power[l]-m.bent.error[l], 0), 1)
		}
		log[l] += power * d
		if !served {
			log[l] = max(log[l], at(m.knots, from)[l]+math.Log(beyond))
		}
	}
	return served
}
