// Package autoscale holds the step scalers that Sinan is compared with (Zhang et al., ASPLOS 2021, §5.1): each second,
// each service by itself, a step up or down on CPU utilisation, by a table.
//
//	autoscale-cons  [30,50) % +10 %   ≥50 % +30 %                              <10 % -10 %
//	autoscale-opt   [60,70) % +10 %   ≥70 % +30 %   [30,40) % -10 %            <30 % -30 %
//
// CPU is a service's total over replicas. A step changes the CPU of each replica first; only when that would leave its
// bounds does the number of replicas change, to the nearest that holds the total within them.
package autoscale

import (
	"errors"
	"fmt"
	"math"
	"time"

	"foresail.dev"
	"foresail.dev/plan"
)

// Step is one line of a table: what happens while utilisation, as a share, is in [From, To).
type Step struct {
	From, To float64
	Factor   float64 // of the total CPU; above 1 raises
}

// Conservative is the table of autoscale-cons.
func Conservative() []Step {
	return []Step{{0.3, 0.5, 1.1}, {0.5, math.Inf(1), 1.3}, {0, 0.1, 0.9}}
}

// Optimised is the table of autoscale-opt.
func Optimised() []Step {
	return []Step{{0.6, 0.7, 1.1}, {0.7, math.Inf(1), 1.3}, {0.3, 0.4, 0.9}, {0, 0.3, 0.7}}
}

// Config of a Manager. The zero value is autoscale-cons.
type Config struct {
	Name  string        // "" means "autoscale-cons"
	Steps []Step        // nil means Conservative
	Every time.Duration // 0 means a second
}

// Manager is "autoscale-cons", "autoscale-opt" or another table under the name it was given. It has no state.
type Manager struct{ c Config }

// New builds a manager for an application, or tells every fault of c: steps that overlap, or that can't be taken.
func New(app *foresail.App, c Config) (*Manager, error) {
	if app == nil {
		return nil, errors.New("autoscale: no application")
	}
	if c.Name == "" {
		c.Name = "autoscale-cons"
	}
	if c.Steps == nil {
		c.Steps = Conservative()
	}
	if c.Every == 0 {
		c.Every = time.Second
	}
	var errs []error
	if c.Every < 0 {
		errs = append(errs, fmt.Errorf("autoscale: every %v: must be above 0", c.Every))
	}
	for i, s := range c.Steps {
		if !(s.From >= 0) || !(s.To > s.From) {
			errs = append(errs, fmt.Errorf("autoscale: step %d: [%v, %v) is not a range of utilisation", i+1, s.From, s.To))
		}
		if !(s.Factor > 0) || math.IsInf(s.Factor, 0) {
			errs = append(errs, fmt.Errorf("autoscale: step %d: factor %v: must be above 0", i+1, s.Factor))
		}
		for j, t := range c.Steps[:i] {
			if s.From < t.To && t.From < s.To {
				errs = append(errs, fmt.Errorf("autoscale: steps %d and %d overlap", j+1, i+1))
			}
		}
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return &Manager{c}, nil
}

// Name is the table's name.
func (m *Manager) Name() string { return m.c.Name }

// Needs asks for a decision each second on the CPU used and allocated.
func (m *Manager) Needs() foresail.Needs {
	return foresail.Needs{Every: m.c.Every, Required: foresail.SignalCPU | foresail.SignalAllocation,
		Beats: int(m.c.Every / foresail.Beat)}
}

// Decide takes a step for each service whose utilisation over the last interval asks for one. While a raise is pending,
// further ones start from what is in effect, so that waiting for replicas does not add up, and nothing is lowered.
func (m *Manager) Decide(h *foresail.History) (*foresail.Plan, error) {
	app := h.App()
	parts := plan.Tail(h.Beats(int(m.c.Every/foresail.Beat)), m.c.Every)
	d := plan.NewDraft(h, m.c.Name)
	seen := false
	for i := range app.Services {
		svc, id := &app.Services[i], foresail.ServiceID(i)
		used, observed := plan.Cores(parts, id)
		st := plan.Latest(parts, id, foresail.SignalAllocation)
		if observed <= 0 || st == nil || st.Allocation.Cores() <= 0 {
			d.Note(svc.Name + ": kept, its CPU or its allocation was not observed")
			continue
		}
		seen = true
		u := used / st.Allocation.Cores()
		if step, ok := m.step(u); ok {
			m.take(d, id, svc, st, u, step)
		}
	}
	if !seen {
		return nil, fmt.Errorf("%s: no service's CPU and allocation were observed: %w", m.c.Name, foresail.ErrStale)
	}
	return d.Plan(), nil
}

// step is the table's line for a utilisation.
func (m *Manager) step(u float64) (Step, bool) {
	for _, s := range m.c.Steps {
		if u >= s.From && u < s.To {
			return s, true
		}
	}
	return Step{}, false
}

func (m *Manager) take(d *plan.Draft, id foresail.ServiceID, svc *foresail.Service, st *foresail.ServiceStats, u float64, step Step) {
	from, wanted := st.Allocation, st.Allocation
	if st.Pending != nil {
		wanted = *st.Pending
	}
	total := from.Cores() * step.Factor
	if st.Pending != nil && total <= wanted.Cores() {
		return
	}
	to, bound := Spread(svc.Bounds, from, total)
	r := foresail.Reason{
		Rule:  m.c.Name + "/step",
		Text:  fmt.Sprintf("CPU at %.0f %% of %.2f cores, in %s: %+.0f %%", u*100, from.Cores(), step, (step.Factor-1)*100),
		Bound: bound,
	}
	for _, s := range m.c.Steps {
		if s != step {
			r.Considered = append(r.Considered, fmt.Sprintf("%+.0f %%, which needs utilisation in %s", (s.Factor-1)*100, s))
		}
	}
	d.Set(id, svc, wanted, to, r)
}

// String is the range in per cent.
func (s Step) String() string {
	if math.IsInf(s.To, 1) {
		return fmt.Sprintf("[%.0f, ∞) %%", s.From*100)
	}
	return fmt.Sprintf("[%.0f, %.0f) %%", s.From*100, s.To*100)
}

// Spread gives a service total cores: in CPU per replica while that stays within its bounds, else in the number of
// replicas that is nearest. It names what was binding. A raise is rounded up to a thousandth of a core and a cut down,
// so that a small service moves too.
func Spread(b foresail.Bounds, from foresail.Allocation, total float64) (foresail.Allocation, string) {
	to := from
	lo, hi := b.MinCPU, max(b.MaxCPU, b.MinCPU)
	n := float64(max(from.Replicas, 1))
	bound := ""
	switch each := total / n; {
	case each > hi && hi > 0:
		n, bound = math.Ceil(total/hi-1e-9), "max CPU per replica"
	case each < lo:
		n, bound = math.Floor(total/lo+1e-9), "min CPU per replica"
	}
	to.Replicas = int(min(max(n, float64(b.MinReplicas), 1), float64(max(b.MaxReplicas, b.MinReplicas, 1))))
	to.CPU = total / float64(to.Replicas)
	if total > from.Cores() {
		to.CPU = plan.MilliUp(to.CPU)
	} else {
		to.CPU = plan.Milli(to.CPU)
	}
	to.CPU = min(max(to.CPU, lo), hi)
	return to, bound
}
