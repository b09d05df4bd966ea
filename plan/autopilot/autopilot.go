// Package autopilot is Google's Autopilot by its moving-window rules (Rzadca et al., EuroSys 2020): statistics of past
// usage, weighted by an age whose worth halves in 12 h (CPU) or 48 h (memory), and a margin.
//
// Horizontal, the default, since that is what Madu is compared with (Luo et al., SoCC 2022, §5.2): a service has as many
// replicas as bring its CPU to a target utilisation (§3.3),
//
//	replicas = ceil(S(total usage) / (target × CPU of a replica))
//
// where S is the same statistic, and the target is 50 % as in Madu's experiments. What follows the recommendation is the
// paper's: deferred downscaling (the largest of the last while counts), slow decay (few replicas go in 5 min), changes too
// small to be worth it are left out, and growth may be limited to a share of replicas that are still starting.
//
// Vertical: the CPU of a replica is the statistic of what replicas used (§3.2.1), plus a margin that is smaller for large
// replicas, and the largest of the last hour counts; memory, where it is managed, likewise by its p98.
//
// The statistic is for CPU
//
//	S_p  the percentile of usage weighted by age and by usage itself ("load-adjusted"), p95 for work that is sensitive to
//	     latency, and that is the default; p100 is the window's maximum
//	S_avg the mean weighted by age, for batch work
//
// The paper aggregates over 5 min and leaves open how often it decides. Here a sample of a total is a minute's mean, one of
// a replica is a second's, as in the paper, and a decision is made each minute on all of them, so that nothing is waited
// for. Assumed, as the paper gives no figure: how slow the decay is, what change is too small, and how the margin of 10 to
// 15 % falls with size. Its machine-learning recommender (§3.2.2) is not built.
package autopilot

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"time"

	"foresail.dev"
	"foresail.dev/plan"
)

// Config of a Manager. Zero fields mean the defaults.
type Config struct {
	Vertical   bool          // the CPU of each replica instead of their number
	Percentile float64       // of usage; 1 is the maximum; 0 means 0.95
	Average    bool          // the weighted mean instead of the percentile, for batch work
	HalfLife   time.Duration // of a sample of CPU; 0 means 12 h
	Margin     float64       // vertical: on top of the statistic, for replicas up to a core; 0 means 0.15, negative: none

	Target    float64       // horizontal: CPU used over CPU allocated, as a share; 0 means 0.5
	Deferred  time.Duration // horizontal: the largest recommendation of so long counts; 0: only the newest
	Decay     float64       // horizontal: the share of replicas, or one, that may go in 5 min; 0 means 0.05
	MinChange float64       // horizontal: a smaller change, as a share of the replicas, is left out; 0 means 0.1
	Growth    float64       // horizontal: the share of replicas that may be starting at once; 0: any
}

// The paper's constants.
const (
	memoryPercentile = 0.98
	memoryHalfLife   = 48 * time.Hour
	hold             = time.Hour       // vertical: the largest recommendation of so long counts
	decayOver        = 5 * time.Minute // what Decay counts over
)

func (c Config) withDefaults() (Config, error) {
	set := func(v *float64, to float64) {
		if *v == 0 {
			*v = to
		}
	}
	set(&c.Percentile, 0.95)
	set(&c.Margin, 0.15)
	set(&c.Target, 0.5)
	set(&c.Decay, 0.05)
	set(&c.MinChange, 0.1)
	c.Margin = max(c.Margin, 0)
	if c.HalfLife == 0 {
		c.HalfLife = 12 * time.Hour
	}
	var errs []error
	fault := func(bad bool, format string, a ...any) {
		if bad {
			errs = append(errs, fmt.Errorf("autopilot: "+format, a...))
		}
	}
	fault(!(c.Percentile > 0 && c.Percentile <= 1), "percentile %v: must be above 0 and at most 1", c.Percentile)
	fault(math.IsInf(c.Margin, 0) || math.IsNaN(c.Margin), "margin %v: must be a number", c.Margin)
	fault(c.HalfLife < time.Second, "half-life %v: must be at least a second", c.HalfLife)
	fault(!(c.Target > 0), "target %v: must be above 0, for example 0.5", c.Target)
	fault(!(c.Decay > 0 && c.Decay <= 1), "decay %v: must be above 0 and at most 1", c.Decay)
	fault(!(c.MinChange > 0), "least change %v: must be above 0", c.MinChange)
	fault(!(c.Growth >= 0 && c.Growth < 1), "growth %v: must be at least 0 and below 1", c.Growth)
	fault(c.Deferred < 0, "deferred %v: must not be negative", c.Deferred)
	return c, errors.Join(errs...)
}

// Manager is "autopilot", or "autopilot-vertical".
type Manager struct {
	c     Config
	state state
}

// New builds a manager for an application, or tells every fault of c.
func New(app *foresail.App, c Config) (*Manager, error) {
	if app == nil {
		return nil, errors.New("autopilot: no application")
	}
	c, err := c.withDefaults()
	if err != nil {
		return nil, err
	}
	m := &Manager{c: c}
	m.state.grow(len(app.Services), c.HalfLife)
	return m, nil
}

// Name is "autopilot", or "autopilot-vertical".
func (m *Manager) Name() string {
	if m.c.Vertical {
		return "autopilot-vertical"
	}
	return "autopilot"
}

// Needs asks for a decision each minute on the CPU used.
func (m *Manager) Needs() foresail.Needs {
	n := foresail.Needs{Every: time.Minute, Required: foresail.SignalCPU,
		Optional: foresail.SignalAllocation | foresail.SignalReady, Beats: 10, Minutes: 10}
	if m.c.Vertical {
		n.Optional |= foresail.SignalMemory
		n.Seconds = 120
	}
	return n
}

// Decide takes the samples since the last decision and recommends for each service by itself. It errs when no service's
// CPU has been observed in the newest of them.
func (m *Manager) Decide(h *foresail.History) (*foresail.Plan, error) {
	app := h.App()
	m.state.grow(len(app.Services), m.c.HalfLife)
	if m.state.Last.After(h.Now()) {
		m.state.restart()
	}
	parts := h.Minutes(10)
	if m.c.Vertical {
		parts = h.Seconds(120)
	}
	if len(parts) == 0 {
		return nil, nil // the first is not over
	}
	for _, p := range parts {
		if p.Start.Before(m.state.Last) {
			continue
		}
		m.state.Last = p.End
		for i := range app.Services {
			if st := plan.Stats(p, foresail.ServiceID(i)); st != nil {
				m.state.Services[i].sample(m.c.Vertical, st, p)
			}
		}
	}
	if recent := plan.Tail(parts, time.Minute); !observed(recent, len(app.Services)) {
		return nil, fmt.Errorf("%s: no service's CPU was observed in the last minute: %w", m.Name(), foresail.ErrStale)
	}
	d := plan.NewDraft(h, m.Name())
	beats := h.Beats(10)
	for i := range app.Services {
		svc, id, u := &app.Services[i], foresail.ServiceID(i), m.state.Services[i]
		st := plan.Latest(beats, id, foresail.SignalAllocation)
		from, known := plan.Wanted(svc, st)
		switch {
		case u.Samples == 0:
			d.Note(svc.Name + ": kept, its CPU was not observed")
		case m.c.Vertical:
			m.vertical(d, id, svc, from, known, u)
		default:
			m.horizontal(d, id, svc, from, known, st, u)
		}
	}
	return d.Plan(), nil
}

func observed(parts []*foresail.Snapshot, services int) bool {
	for i := range services {
		if plan.Latest(parts, foresail.ServiceID(i), foresail.SignalCPU) != nil {
			return true
		}
	}
	return false
}

// statistic is S of CPU, in cores, and how a person would call it.
func (m *Manager) statistic(u *usage) (cores float64, name string) {
	switch {
	case m.c.Average:
		return u.mean(), "the mean"
	case m.c.Percentile == 1:
		return u.CPU.Percentile(1), "the maximum"
	default:
		return u.CPU.Percentile(m.c.Percentile), fmt.Sprintf("p%g", m.c.Percentile*100)
	}
}

// vertical sets the CPU and the memory of each replica.
func (m *Manager) vertical(d *plan.Draft, id foresail.ServiceID, svc *foresail.Service, from foresail.Allocation, known bool, u *usage) {
	s, name := m.statistic(u)
	margin := m.c.Margin * taper(s)
	now := s * (1 + margin)
	held := u.CPUAsked.largest(d.At(), now, hold)
	to := from
	to.CPU = plan.MilliUp(held)
	if !u.Memory.Empty() {
		bytes := u.Memory.Percentile(memoryPercentile) * (1 + m.c.Margin)
		to.Memory = int64(u.MemoryAsked.largest(d.At(), bytes, hold))
	}
	r := foresail.Reason{
		Rule: "autopilot/vertical",
		Text: fmt.Sprintf("%s of what a replica used over %v, weighted by age, is %.3f cores; with %.0f %% more and the largest of %v it is %.3f",
			name, u.over(), s, margin*100, hold, held),
		Considered: []string{fmt.Sprintf("%.3f cores, which would do by the newest recommendation alone", now)},
	}
	d.Set(id, svc, from, to, plan.Admit(r, known))
}

// taper is what the margin is multiplied by: all of it up to a core, two thirds from ten cores on.
func taper(cores float64) float64 {
	return 1 - min(max(math.Log10(max(cores, 1)), 0), 1)/3
}

// horizontal sets the number of replicas.
func (m *Manager) horizontal(d *plan.Draft, id foresail.ServiceID, svc *foresail.Service, from foresail.Allocation, known bool, st *foresail.ServiceStats, u *usage) {
	if from.Replicas == 0 || !(from.CPU > 0) {
		return // nothing scales what was scaled to zero by hand
	}
	s, name := m.statistic(u)
	raw := math.Ceil(min(s/(m.c.Target*from.CPU), 1e6) - 1e-9)
	// Outside the bounds there is nothing to wait for: the largest that is remembered is one that could be had.
	lo := float64(max(svc.Bounds.MinReplicas, 1))
	hi := max(float64(svc.Bounds.MaxReplicas), lo)
	n := int(u.CPUAsked.largest(d.At(), min(max(raw, lo), hi), m.c.Deferred))
	r := foresail.Reason{
		Rule: "autopilot/horizontal",
		Text: fmt.Sprintf("%s of the total CPU over %v, weighted by age, is %.3f cores: at %.0f %% of %.3f cores each that takes %.0f replicas",
			name, u.over(), s, m.c.Target*100, from.CPU, raw),
	}
	switch {
	case n < from.Replicas:
		if least := from.Replicas - u.mayGo(d.At(), from.Replicas, m.c.Decay); n < least {
			r.Considered = append(r.Considered, fmt.Sprintf("%d replicas at once: slow decay lets %.0f %% of them, or one, go in %v", n, m.c.Decay*100, decayOver))
			n = least
		}
	case n > from.Replicas && m.c.Growth > 0 && st != nil && st.Has.Has(foresail.SignalReady):
		if most := max(int(math.Floor(float64(st.Ready)/(1-m.c.Growth)+1e-9)), from.Replicas, 1); n > most {
			r.Considered = append(r.Considered, fmt.Sprintf("%d replicas at once: at most %.0f %% of them may be starting", n, m.c.Growth*100))
			n = most
		}
	}
	if math.Abs(float64(n-from.Replicas)) < m.c.MinChange*float64(from.Replicas) {
		return
	}
	r.Considered = append(r.Considered, fmt.Sprintf("%d replicas as before: the change is %.0f %% or more", from.Replicas, m.c.MinChange*100))
	u.went(d.At(), from.Replicas-n)
	to := from
	to.Replicas = n
	d.Set(id, svc, from, to, plan.Admit(r, known))
}

// Save keeps the usage seen and the recommendations that still count.
func (m *Manager) Save() ([]byte, error) { return json.Marshal(m.state) }

// Restore takes back what Save kept.
func (m *Manager) Restore(b []byte) error {
	s, err := restore(b, m.c.HalfLife)
	if err != nil {
		return fmt.Errorf("autopilot: state: %w", err)
	}
	s.grow(len(m.state.Services), m.c.HalfLife)
	m.state = s
	return nil
}
