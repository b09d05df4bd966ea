package guard

import (
	"fmt"
	"math"
	"slices"
	"time"

	"foresail.dev"
	"foresail.dev/plan"
)

// memory is what the guard remembers of a service.
type memory struct {
	Last   foresail.Allocation // what it was last to have, as observed or else as asked for
	Known  bool                // that was observed once
	Raised time.Time           // when its total was last raised
	Totals []total             // total cores it was to have over the last period, oldest first; the first may be older
}

type total struct {
	At    time.Time
	Cores float64
}

// restart forgets what lies ahead after time has jumped back, and lets a cooldown begin anew.
func (m *memory) restart(now time.Time) {
	m.Totals = nil
	if m.Raised.After(now) {
		m.Raised = now
	}
}

// note records what a service is to have, whoever asked for it, and forgets what no period reaches. A plan counts when the
// cluster says that it was taken up: one that was only recommended changed nothing.
func (m *memory) note(now time.Time, cores float64, period time.Duration) {
	n := len(m.Totals)
	if n > 0 && cores > m.Totals[n-1].Cores {
		m.Raised = now
	}
	if n == 0 || m.Totals[n-1].Cores != cores {
		m.Totals = append(m.Totals, total{now, cores})
	}
	for len(m.Totals) > 1 && !m.Totals[1].At.After(now.Add(-period)) {
		m.Totals = m.Totals[1:]
	}
}

// sensible tells what makes a plan nonsense. What is merely too large or too small is not: the limits see to that.
func sensible(app *foresail.App, p *foresail.Plan) error {
	if p == nil {
		return nil
	}
	seen := make(map[foresail.ServiceID]bool, len(p.Changes))
	for _, c := range p.Changes {
		if c.Service < 0 || int(c.Service) >= len(app.Services) {
			return fmt.Errorf("nonsense plan: service %d, and %s has services 0 to %d", c.Service, app.Name, len(app.Services)-1)
		}
		name := app.Services[c.Service].Name
		if seen[c.Service] {
			return fmt.Errorf("nonsense plan: %s twice", name)
		}
		seen[c.Service] = true
		if math.IsNaN(c.To.CPU) || math.IsInf(c.To.CPU, 0) || c.To.CPU < 0 || c.To.Replicas < 0 || c.To.Memory < 0 {
			return fmt.Errorf("nonsense plan: %s should have %d replicas of %v cores and %d bytes", name, c.To.Replicas, c.To.CPU, c.To.Memory)
		}
		for k, v := range c.To.Settings {
			if math.IsNaN(v) || math.IsInf(v, 0) {
				return fmt.Errorf("nonsense plan: %s should have %s %v", name, k, v)
			}
		}
	}
	return nil
}

// limit moves a sensible plan into what is allowed. Nothing is lowered where hold is set. p may be nil.
func (g *Manager) limit(d *decision, p *foresail.Plan, by string, hold bool) *foresail.Plan {
	out := &foresail.Plan{At: d.now, Manager: g.name}
	for i := range d.app.Services {
		m := &g.state.Services[i]
		if base, known := g.base(d, foresail.ServiceID(i)); known {
			m.Last, m.Known = base, true
			m.note(d.now, base.Cores(), g.c.Period)
		}
	}
	if p == nil {
		return out
	}
	out.Note, out.Forecasts, out.Outlook, out.Alarms = p.Note, p.Forecasts, p.Outlook, p.Alarms
	changes := slices.Clone(p.Changes)
	slices.SortFunc(changes, func(a, b foresail.Change) int { return int(a.Service - b.Service) })
	for _, c := range changes {
		svc, m := &d.app.Services[c.Service], &g.state.Services[c.Service]
		base, known := g.base(d, c.Service)
		if !known {
			d.notes = append(d.notes, fmt.Sprintf("%s: kept as it is, though %s asked for %v: its allocation was not observed, so this might be less",
				svc.Name, by, c.To))
			continue
		}
		to, acts := g.allowed(d, c.Service, base, c.To, hold)
		if to.Equal(base) {
			if len(acts) > 0 {
				d.notes = append(d.notes, fmt.Sprintf("%s: kept at %v, though %s asked for %v (%s): %s",
					svc.Name, base, by, c.To, c.Reason.Text, acts.text()))
			}
			continue
		}
		m.Last = to
		out.Changes = append(out.Changes, foresail.Change{Service: c.Service, To: to, Reason: acts.reason(by, c, to)})
	}
	return out
}

// base is what a service was last asked to have, which steps count from; known is false where that was
// never observed.
func (g *Manager) base(d *decision, id foresail.ServiceID) (foresail.Allocation, bool) {
	if st := plan.Latest(d.beats, id, foresail.SignalAllocation); st != nil {
		return plan.Wanted(&d.app.Services[id], st)
	}
	if m := &g.state.Services[id]; m.Known {
		return m.Last, true
	}
	return d.app.Services[id].Initial, false
}

// allowed moves one allocation into the bounds and between the least and the most total CPU. Where the two disagree the
// bounds win.
func (g *Manager) allowed(d *decision, id foresail.ServiceID, base, to foresail.Allocation, hold bool) (foresail.Allocation, acts) {
	b := d.app.Services[id].Bounds
	managed := b.MinMemory > 0 || b.MaxMemory > 0
	if !managed {
		to.Memory = base.Memory
	}
	var did acts
	to, bound := b.Clamp(to)
	if bound != "" {
		did = append(did, act{"guard/bounds", bound, "the application's bounds allow no more and no less"})
	}
	if to.Cores() > base.Cores() {
		if hi, a := g.most(d, id, base); to.Cores() > hi+rounding {
			to = lower(base, to, hi)
			did = append(did, a)
		}
	}
	if to.Cores() < base.Cores() {
		if lo, a := g.least(d, id, base, hold); to.Cores() < lo-rounding {
			to = raise(base, to, lo)
			did = append(did, a)
		}
	}
	if managed && to.Memory != base.Memory && base.Memory > 0 {
		to.Memory, did = g.memory(d, id, base, to, hold, did)
	}
	if hold && lowersSettings(base, to) {
		to.Settings = base.Settings
		did = append(did, act{"guard/silence", "silence", "no setting is lowered while nothing is observed"})
	}
	to, _ = b.Clamp(to)
	return to, did
}

// most is how many cores a service may have in total after this decision, at least what it has.
func (g *Manager) most(d *decision, id foresail.ServiceID, base foresail.Allocation) (float64, act) {
	hi := base.Cores() * g.c.StepUp
	a := act{"guard/step-limit", "step up", fmt.Sprintf("one decision may make a service at most %v times larger", g.c.StepUp)}
	for _, t := range g.state.Services[id].Totals {
		if p := t.Cores * g.c.PeriodUp; p < hi {
			hi = p
			a = act{"guard/step-limit", "growth within " + g.c.Period.String(),
				fmt.Sprintf("a service may become at most %v times larger within %v, and it had %.2f cores", g.c.PeriodUp, g.c.Period, t.Cores)}
		}
	}
	return max(hi, base.Cores()), a
}

// least is how many cores a service must keep in total after this decision, at most what it has.
func (g *Manager) least(d *decision, id foresail.ServiceID, base foresail.Allocation, hold bool) (float64, act) {
	m := &g.state.Services[id]
	all := base.Cores()
	switch {
	case hold:
		return all, act{"guard/silence", "silence", "nothing is lowered while nothing is observed"}
	case g.c.Cooldown > 0 && !m.Raised.IsZero() && d.now.Sub(m.Raised) < g.c.Cooldown:
		return all, act{"guard/cooldown", "cooldown", fmt.Sprintf("it was raised %v ago, and is not lowered within %v", d.now.Sub(m.Raised), g.c.Cooldown)}
	}
	if plan.Latest(d.beats, id, foresail.SignalCPU) == nil {
		return all, act{"guard/usage", "no CPU observed", "nothing is lowered while its CPU is not observed"}
	}
	used, over := g.usage(d, id)
	if over < g.c.Observed {
		return all, act{"guard/usage", "no CPU observed", fmt.Sprintf("nothing is lowered before its CPU was observed for %v, and it was for %v", g.c.Observed, over)}
	}
	lo := used / g.c.Cap
	a := act{"guard/usage", "observed usage", fmt.Sprintf("up to %.2f cores were used in the last %v, which at most %.0f %% utilisation takes %.2f",
		used, min(over, g.c.Window), g.c.Cap*100, lo)}
	if s := all * g.c.StepDown; s > lo {
		lo, a = s, act{"guard/step-limit", "step down", fmt.Sprintf("one decision must leave %.0f %% of a service", g.c.StepDown*100)}
	}
	for _, t := range m.Totals {
		if p := t.Cores * g.c.PeriodDown; p > lo {
			lo = p
			a = act{"guard/step-limit", "reduction within " + g.c.Period.String(),
				fmt.Sprintf("%.0f %% of a service must be left within %v, and it had %.2f cores", g.c.PeriodDown*100, g.c.Period, t.Cores)}
		}
	}
	return min(lo, all), a
}

// usage is the largest mean number of cores that a service used for Sustain within Window, and over how long its CPU was
// observed. Means are over stretches that follow each other back from now, so one busy second does not hold an
// allocation for the whole window.
func (g *Manager) usage(d *decision, id foresail.ServiceID) (most float64, over time.Duration) {
	if d.past == nil {
		d.past = plan.Tail(d.h.Seconds(int(g.c.Window/time.Second)+1), g.c.Window)
	}
	parts := d.past
	if len(parts) == 0 || !parts[len(parts)-1].End.After(d.now.Add(-g.c.Window)) {
		return 0, 0
	}
	for end := len(parts); end > 0; {
		from, begin := parts[end-1].End.Add(-g.c.Sustain), end-1
		for begin > 0 && !parts[begin-1].Start.Before(from) {
			begin--
		}
		cores, observed := plan.Cores(parts[begin:end], id)
		if observed > 0 && (observed >= g.c.Sustain/2 || over == 0) { // a short rest at the window's far end says little
			most = max(most, cores)
		}
		over += observed
		end = begin
	}
	return most, over
}

// lowersSettings reports whether a setting becomes smaller or is taken away.
func lowersSettings(base, to foresail.Allocation) bool {
	for k, v := range base.Settings {
		if w, ok := to.Settings[k]; !ok || w < v {
			return true
		}
	}
	return false
}

// memory limits a change of memory as CPU is limited: by steps, and a fall by what was used. Memory
// counts for each replica: most of it is there whether a replica is busy or not, so that of a replica that goes need not
// find room in the others.
func (g *Manager) memory(d *decision, id foresail.ServiceID, base, to foresail.Allocation, hold bool, did acts) (int64, acts) {
	if hi := int64(math.Min(float64(base.Memory)*g.c.StepUp, math.MaxInt64/2)); to.Memory > hi {
		return hi, append(did, act{"guard/step-limit", "step up", fmt.Sprintf("one decision may give a replica at most %v times the memory", g.c.StepUp)})
	}
	if to.Memory > base.Memory {
		return to.Memory, did
	}
	st := plan.Latest(d.beats, id, foresail.SignalMemory)
	if hold || st == nil {
		return base.Memory, append(did, act{"guard/usage", "no memory observed", "memory is not lowered where its use was not observed"})
	}
	n := max(st.Ready, 1)
	if !st.Has.Has(foresail.SignalReady) {
		n = max(base.Replicas, 1)
	}
	used := int64(float64(st.Memory) / float64(n) / g.c.Cap)
	lo := min(max(used, int64(float64(base.Memory)*g.c.StepDown)), base.Memory)
	if to.Memory < lo {
		return lo, append(did, act{"guard/usage", "memory in use", fmt.Sprintf("a replica uses %d MiB, and one decision must leave %.0f %%",
			int64(float64(st.Memory)/float64(n))>>20, g.c.StepDown*100)})
	}
	return to.Memory, did
}

// rounding is what two totals may differ by and still be the same.
const rounding = 1e-6

// lower brings a raise down to hi cores, at least what there is: first the replicas, towards what there is, then the CPU
// of each. A raise never becomes a cut.
func lower(base, to foresail.Allocation, hi float64) foresail.Allocation {
	if to.Replicas > base.Replicas {
		n := math.Floor(hi/to.CPU + 1e-9)
		to.Replicas = int(min(max(n, float64(base.Replicas)), float64(to.Replicas)))
	}
	if to.Replicas > 0 && to.Cores() > hi {
		to.CPU = plan.Milli(hi / float64(to.Replicas))
	}
	if to.Cores() < base.Cores() {
		to.Replicas, to.CPU = base.Replicas, base.CPU
	}
	return to
}

// raise brings a cut up to lo cores, at most what there is: first the replicas, towards what there is, then the CPU of
// each. A cut never becomes a raise.
func raise(base, to foresail.Allocation, lo float64) foresail.Allocation {
	if to.Replicas < base.Replicas {
		n := math.Ceil(lo/to.CPU - 1e-9)
		if !(n < float64(base.Replicas)) { // not a number, and infinite, too
			n = float64(base.Replicas)
		}
		to.Replicas = max(int(n), to.Replicas)
	}
	switch n := float64(max(to.Replicas, 1)); {
	case to.Cores() < lo-rounding:
		to.CPU = plan.MilliUp(lo / n)
	case to.Cores() > base.Cores():
		to.CPU = plan.Milli(base.Cores() / n)
	}
	if c := to.Cores(); c < lo-rounding || c > base.Cores()+rounding || lo >= base.Cores() {
		to.Replicas, to.CPU = base.Replicas, base.CPU
	}
	return to
}
