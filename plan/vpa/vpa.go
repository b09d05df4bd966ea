// Package vpa is Kubernetes' Vertical Pod Autoscaler, in the parts that matter: its recommender and its updater's rules.
//
// The recommender (vertical-pod-autoscaler/pkg/recommender) takes a sample a minute of each replica: the CPU it used, into
// a histogram of its service whose buckets grow by 5 % from 0.01 core and whose weights halve in 24 h. A sample weighs the
// replica's request, 0.1 at least. From it come
//
//	target      p90 × 1.15
//	lower bound p50 × 1.15 × (1 + 0.001/days)^-2
//	upper bound p95 × 1.15 × (1 + 1/days)
//
// each 0.025 cores at least, where days is how long the history is, or how many samples it has at one a minute, whichever
// is less. Memory, where a service's is managed and observed, is treated alike: one sample for each replica and 24 h, the
// peak, in buckets from 10 MB. All three are brought into the service's bounds, as upstream's resource policy does, so that
// what a bound forbids is not asked for again and again. Their least memory stands in for upstream's 250 MiB a pod, which
// would call every smaller replica too small at once, and size its CPU anew by a minute's history on that occasion.
//
// The updater (pkg/updater/priority) moves a service to its target when what it has lies outside the bounds, or differs
// from the target by 10 % and its oldest replica has run undisturbed for 12 h, where an update counts as a disturbance.
//
// "In place" means: a change of CPU or memory applies to all replicas of the service at once, and none of them restarts.
// Upstream's mode for that, InPlaceOrRecreate (AEP-4016), keeps these conditions and drops those on eviction, which have
// nothing to limit here either. Replicas are added with the size that the others have, so nothing is sized on admission.
// Out-of-memory kills are not told by snapshots, so what upstream does after one is left out. An allocation is a request
// and a limit at once, and a replica that is held at its limit shows no more usage than that: its target grows by the
// margin a step. The number of replicas is left as it is.
package vpa

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"time"

	"foresail.dev"
	"foresail.dev/plan"
)

// Config of a Manager. Zero fields mean upstream's defaults.
type Config struct {
	Percentile float64       // of usage, for the target; 0 means 0.9
	Margin     float64       // added to every percentile, as a share; 0 means 0.15, negative: none
	HalfLife   time.Duration // of a sample's weight; 0 means 24 h
	MinCPU     float64       // cores that each recommendation has at least; 0 means 0.025
	MinMemory  int64         // bytes, likewise; 0: none but the service's bounds
	MinChange  float64       // a difference from the target that is worth a change, as a share; 0 means 0.1
	Life       time.Duration // how long the oldest replica must have run undisturbed before that; 0 means 12 h, negative: no time
}

// The bounds' percentiles; a target's percentile beyond them takes the bound along.
const (
	lowerPercentile = 0.5
	upperPercentile = 0.95
)

// sampling is how often upstream's recommender and updater run, and over what a sample is averaged.
const sampling = time.Minute

func (c Config) withDefaults() (Config, error) {
	set := func(v *float64, to float64) {
		if *v == 0 {
			*v = to
		}
	}
	set(&c.Percentile, 0.9)
	set(&c.Margin, 0.15)
	set(&c.MinCPU, 0.025)
	set(&c.MinChange, 0.1)
	if c.HalfLife == 0 {
		c.HalfLife = 24 * time.Hour
	}
	if c.Life == 0 {
		c.Life = 12 * time.Hour
	}
	c.Life, c.Margin = max(c.Life, 0), max(c.Margin, 0)
	var errs []error
	fault := func(bad bool, format string, a ...any) {
		if bad {
			errs = append(errs, fmt.Errorf("vpa: "+format, a...))
		}
	}
	fault(!(c.Percentile > 0 && c.Percentile <= 1), "percentile %v: must be above 0 and at most 1", c.Percentile)
	fault(math.IsInf(c.Margin, 0) || math.IsNaN(c.Margin), "margin %v: must be a number", c.Margin)
	fault(c.HalfLife < time.Second, "half-life %v: must be at least a second", c.HalfLife)
	fault(!(c.MinCPU > 0) || c.MinMemory < 0, "minima %v cores and %d bytes: must not be negative", c.MinCPU, c.MinMemory)
	fault(!(c.MinChange > 0), "least change %v: must be above 0", c.MinChange)
	return c, errors.Join(errs...)
}

// Manager is "vpa".
type Manager struct {
	c     Config
	state state
}

// state is what it remembers, as it is kept over a restart.
type state struct {
	Last     time.Time  // end of the newest minute that was sampled
	Services []*history // by ServiceID
}

// New builds a manager for an application, or tells every fault of c.
func New(app *foresail.App, c Config) (*Manager, error) {
	if app == nil {
		return nil, errors.New("vpa: no application")
	}
	c, err := c.withDefaults()
	if err != nil {
		return nil, err
	}
	m := &Manager{c: c}
	m.state.grow(len(app.Services), c.HalfLife)
	return m, nil
}

// Name is "vpa".
func (m *Manager) Name() string { return "vpa" }

// Needs asks for a decision each minute on the CPU used.
func (m *Manager) Needs() foresail.Needs {
	return foresail.Needs{Every: sampling, Required: foresail.SignalCPU,
		Optional: foresail.SignalAllocation | foresail.SignalMemory, Beats: 10, Minutes: 10}
}

// Decide samples the minutes since the last decision and updates each service whose allocation the rules say is due. It
// errs when no service's CPU has been observed in the newest of them.
func (m *Manager) Decide(h *foresail.History) (*foresail.Plan, error) {
	app := h.App()
	m.state.grow(len(app.Services), m.c.HalfLife)
	if m.state.Last.After(h.Now()) {
		m.state.Last = time.Time{} // time has jumped back
	}
	minutes := h.Minutes(10)
	if len(minutes) == 0 {
		return nil, nil // the first is not over
	}
	for _, p := range minutes {
		if p.Start.Before(m.state.Last) {
			continue
		}
		m.state.Last = p.End
		for i := range app.Services {
			if st := plan.Stats(p, foresail.ServiceID(i)); st != nil {
				m.state.Services[i].sample(&app.Services[i], st, p)
			}
		}
	}
	if !observed(minutes[len(minutes)-1]) {
		return nil, fmt.Errorf("vpa: no service's CPU was observed in the last minute: %w", foresail.ErrStale)
	}
	d := plan.NewDraft(h, m.Name())
	beats := h.Beats(10)
	for i := range app.Services {
		m.update(d, &app.Services[i], foresail.ServiceID(i), beats)
	}
	return d.Plan(), nil
}

func observed(p *foresail.Snapshot) bool {
	for i := range p.Services {
		if p.Services[i].Has.Has(foresail.SignalCPU) {
			return true
		}
	}
	return false
}

// update moves one service to its target when the updater's rules say so.
func (m *Manager) update(d *plan.Draft, svc *foresail.Service, id foresail.ServiceID, beats []*foresail.Snapshot) {
	past := m.state.Services[id]
	if past.CPU.Empty() {
		d.Note(svc.Name + ": kept, its CPU was not observed")
		return
	}
	st := plan.Latest(beats, id, foresail.SignalAllocation)
	from, known := plan.Wanted(svc, st)
	r := m.recommend(past, svc.Bounds)
	age, lived := oldest(st, d.At())
	if past.Updated.After(d.At()) {
		past.Updated = time.Time{} // time has jumped back
	}
	if !past.Updated.IsZero() {
		age = min(age, d.At().Sub(past.Updated))
	}
	why, due := r.due(from, lived && age >= m.c.Life, m.c.MinChange)
	if !due {
		return
	}
	to := from
	to.CPU = plan.MilliUp(r.cpu.target)
	if r.memory != nil {
		to.Memory = int64(r.memory.target)
	}
	if !to.Equal(from) {
		past.Updated = d.At()
	}
	d.Set(id, svc, from, to, m.reason(past, r, why, known))
}

// oldest is how long the oldest replica that is there has lived; ok is false where that is not known.
func oldest(st *foresail.ServiceStats, now time.Time) (age time.Duration, ok bool) {
	if st == nil {
		return 0, false
	}
	for i := range st.Replicas {
		if r := &st.Replicas[i]; !r.Gone && !r.Started.IsZero() {
			age, ok = max(age, now.Sub(r.Started)), true
		}
	}
	return age, ok
}

// reason puts a change into words.
func (m *Manager) reason(past *history, r recommendation, why string, known bool) foresail.Reason {
	out := foresail.Reason{
		Rule: "vpa/update",
		Text: fmt.Sprintf("%s: p%g of %.0f samples over %v, plus %.0f %%, is %.3f cores", why, m.c.Percentile*100,
			past.Samples, past.Newest.Sub(past.First).Round(time.Minute), m.c.Margin*100, r.cpu.target),
		Considered: []string{fmt.Sprintf("anything from %.3f to %.3f cores stays for as long as its oldest replica has not run undisturbed for %v",
			r.cpu.lower, r.cpu.upper, m.c.Life)},
	}
	if r.memory != nil {
		out.Considered = append(out.Considered, fmt.Sprintf("memory from %.0f to %.0f MiB, target %.0f MiB",
			r.memory.lower/(1<<20), r.memory.upper/(1<<20), r.memory.target/(1<<20)))
	}
	return plan.Admit(out, known)
}

// Save keeps the histograms.
func (m *Manager) Save() ([]byte, error) { return json.Marshal(m.state) }

// Restore takes back what Save kept.
func (m *Manager) Restore(b []byte) error {
	s, err := restore(b, m.c.HalfLife)
	if err != nil {
		return fmt.Errorf("vpa: state: %w", err)
	}
	s.grow(len(m.state.Services), m.c.HalfLife)
	m.state = s
	return nil
}
