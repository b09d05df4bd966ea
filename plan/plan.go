// Package plan holds what managers share: reading what a service was last asked to have, writing a plan with reasons, and
// keeping time by the snapshots. Each manager is a package of its own beneath it.
package plan

import (
	"math"
	"strings"
	"time"

	"foresail.dev"
)

// Wanted is what a service was last asked to have: what is pending, else what is in effect. The application's initial
// allocation stands in where neither was observed, and known is then false.
func Wanted(svc *foresail.Service, st *foresail.ServiceStats) (a foresail.Allocation, known bool) {
	switch {
	case st == nil || !st.Has.Has(foresail.SignalAllocation):
		return svc.Initial, false
	case st.Pending != nil:
		return *st.Pending, true
	default:
		return st.Allocation, true
	}
}

// Admit adds to a reason that the allocation in effect was not observed, where it was not: see Wanted.
func Admit(r foresail.Reason, known bool) foresail.Reason {
	if !known {
		r.Considered = append(r.Considered, "the allocation in effect: not observed, so the initial one was used")
	}
	return r
}

// Stats is what a snapshot says of a service; nil where it says nothing.
func Stats(s *foresail.Snapshot, id foresail.ServiceID) *foresail.ServiceStats {
	if s == nil || int(id) >= len(s.Services) {
		return nil
	}
	return &s.Services[id]
}

// Latest is the newest of parts, oldest first, that observed all of want of a service; nil where none did.
func Latest(parts []*foresail.Snapshot, id foresail.ServiceID, want foresail.Signals) *foresail.ServiceStats {
	for i := len(parts) - 1; i >= 0; i-- {
		if st := Stats(parts[i], id); st != nil && st.Has.Has(want) {
			return st
		}
	}
	return nil
}

// Tail is those of parts, oldest first, that began within d of the newest one's end; the newest at least. What came before
// the clock was put back is left out.
func Tail(parts []*foresail.Snapshot, d time.Duration) []*foresail.Snapshot {
	if len(parts) == 0 {
		return nil
	}
	i := len(parts) - 1
	for from := parts[i].End.Add(-d); i > 0 && !parts[i-1].Start.Before(from) && !parts[i-1].End.After(parts[i].Start); {
		i--
	}
	return parts[i:]
}

// Cores is the mean number of cores that a service used while its CPU was observed, and for how long that was: silence is
// no idleness.
func Cores(parts []*foresail.Snapshot, id foresail.ServiceID) (cores float64, observed time.Duration) {
	used := 0.0
	for _, p := range parts {
		if st := Stats(p, id); st != nil && st.Has.Has(foresail.SignalCPU) {
			over := p.Duration()
			if st.CPUOver > 0 {
				over = st.CPUOver
			}
			used += st.CPU
			observed += over
		}
	}
	if observed <= 0 {
		return 0, 0
	}
	return used / observed.Seconds(), observed
}

// Draft gathers a plan.
type Draft struct {
	plan  foresail.Plan
	notes []string
}

// NewDraft begins a plan of the named manager, decided on the newest snapshot of h.
func NewDraft(h *foresail.History, manager string) *Draft {
	return &Draft{plan: foresail.Plan{At: h.Now(), Manager: manager}}
}

// Set asks for an allocation, moved into the service's bounds; what was binding is added to the reason. Nothing is asked
// for when that is what the service was last asked to have. Services must come in ascending order.
func (d *Draft) Set(id foresail.ServiceID, svc *foresail.Service, from, to foresail.Allocation, r foresail.Reason) {
	if svc.Bounds.MinMemory == 0 && svc.Bounds.MaxMemory == 0 {
		to.Memory = from.Memory // not managed: whatever the cluster gives
	}
	to, bound := svc.Bounds.Clamp(to)
	if bound != "" {
		r.Bound = join(r.Bound, bound)
	}
	if to.Equal(from) {
		return
	}
	d.plan.Changes = append(d.plan.Changes, foresail.Change{Service: id, To: to, Reason: r})
}

// Note adds a remark to the plan: why something was left as it is.
func (d *Draft) Note(text string) { d.notes = append(d.notes, text) }

// Expect adds a forecast. Services must come in ascending order.
func (d *Draft) Expect(f foresail.Forecast) { d.plan.Forecasts = append(d.plan.Forecasts, f) }

// Await adds what is expected of an endpoint's latency. Endpoints must come in ascending order.
func (d *Draft) Await(e foresail.Expectation) { d.plan.Expected = append(d.plan.Expected, e) }

// Foresee adds what is expected of users' latency.
func (d *Draft) Foresee(o foresail.Outlook) { d.plan.Outlook = &o }

// Warn adds an alarm.
func (d *Draft) Warn(a foresail.Alarm) { d.plan.Alarms = append(d.plan.Alarms, a) }

// Clear says that the danger of an earlier alarm is over.
func (d *Draft) Clear(id foresail.ServiceID) { d.plan.Over = append(d.plan.Over, id) }

// Plan is what was gathered; nil when there is neither a change nor a remark nor anything that is expected.
func (d *Draft) Plan() *foresail.Plan {
	if len(d.plan.Changes) == 0 && len(d.notes) == 0 && len(d.plan.Forecasts) == 0 && len(d.plan.Expected) == 0 && d.plan.Outlook == nil && len(d.plan.Alarms) == 0 && len(d.plan.Over) == 0 {
		return nil
	}
	d.plan.Note = strings.Join(d.notes, "; ")
	return &d.plan
}

func join(a, b string) string {
	if a == "" {
		return b
	}
	return a + ", " + b
}

// Timer tells when something that is done each Every is due, by the snapshots' time. The zero value is due at once.
type Timer struct{ Last time.Time }

// Due reports whether it is time, and if so counts from now on. It is also due when time has jumped back. A gap is not
// made up for.
func (t *Timer) Due(now time.Time, every time.Duration) bool {
	past := now.Sub(t.Last)
	if t.Last.IsZero() || past < 0 || every <= 0 {
		t.Last = now
		return true
	}
	if past < every {
		return false
	}
	t.Last = t.Last.Add(past.Truncate(every))
	return true
}

// Milli rounds cores down to a thousandth, which is what clusters can give; what is a rounding error short of one counts
// as one.
func Milli(cores float64) float64 { return math.Floor(cores*1000+1e-6) / 1000 }

// MilliUp rounds cores up to a thousandth; a rounding error more does not count.
func MilliUp(cores float64) float64 { return math.Ceil(cores*1000-1e-6) / 1000 }

// At is the end of the newest snapshot.
func (d *Draft) At() time.Time { return d.plan.At }
