// Package hpa is the reactive baseline: the Horizontal Pod Autoscaler of Kubernetes, autoscaling/v2, on CPU utilisation.
//
// It changes replicas only, each service by itself, every 15 s:
//
//	desired = ceil(current × utilisation / target)
//
// left alone within a tolerance of 10 %. A replica's request is the CPU of its allocation. Replicas that are not ready,
// or that have no metric, are treated as upstream's replica calculator does (see calculate); then the recommendation is
// stabilised and limited as upstream's behaviours do (see behave). The defaults are upstream's: no stabilisation of a
// scale-up, which may add the larger of 4 replicas and 100 % per 15 s; 300 s stabilisation of a scale-down, which may
// remove 100 % per 15 s. The target is 50 % unless set.
//
// Two things differ, both because a snapshot is not the API server: the metric is the mean over the last sync period
// rather than over the metrics server's window, and a service whose replicas are not told apart is scaled on its total.
package hpa

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"foresail.dev"
	"foresail.dev/plan"
)

// Config of a Manager. Zero fields mean upstream's defaults.
type Config struct {
	Target    float64       // CPU used over CPU requested, as a share; 0 means 0.5
	Tolerance float64       // no change while |1 - utilisation/target| is at most this; 0 means 0.1
	Sync      time.Duration // time between decisions, and what the metric is averaged over; 0 means 15 s
	// Initialisation is how long after its start a replica's CPU is left out while it is not ready, or not yet for a
	// whole metric window: start-up work is not load. 0 means 5 min.
	Initialisation time.Duration
	Up, Down       *Behaviour // nil means DefaultUp and DefaultDown
}

// Behaviour limits one direction, as HPAScalingRules does.
type Behaviour struct {
	Stabilisation time.Duration // the most cautious recommendation of this window counts
	Policies      []Policy      // the one that allows the largest change counts; none: no limit
}

// Policy is how much may change within a period.
type Policy struct {
	Replicas int     // so many
	Share    float64 // or this share of the replicas at the period's start
	Period   time.Duration
}

// DefaultUp and DefaultDown are upstream's default behaviours.
func DefaultUp() Behaviour {
	return Behaviour{Policies: []Policy{{Replicas: 4, Period: 15 * time.Second}, {Share: 1, Period: 15 * time.Second}}}
}

// DefaultDown is upstream's default behaviour for scaling down.
func DefaultDown() Behaviour {
	return Behaviour{Stabilisation: 5 * time.Minute, Policies: []Policy{{Share: 1, Period: 15 * time.Second}}}
}

func (c Config) withDefaults() (Config, error) {
	set := func(d *time.Duration, to time.Duration) {
		if *d == 0 {
			*d = to
		}
	}
	set(&c.Sync, 15*time.Second)
	set(&c.Initialisation, 5*time.Minute)
	if c.Target == 0 {
		c.Target = 0.5
	}
	if c.Tolerance == 0 {
		c.Tolerance = 0.1
	}
	if c.Up == nil {
		b := DefaultUp()
		c.Up = &b
	}
	if c.Down == nil {
		b := DefaultDown()
		c.Down = &b
	}
	var errs []error
	fault := func(bad bool, format string, a ...any) {
		if bad {
			errs = append(errs, fmt.Errorf("hpa: "+format, a...))
		}
	}
	fault(!(c.Target > 0), "target %v: must be above 0, for example 0.5", c.Target)
	fault(!(c.Tolerance >= 0), "tolerance %v: must not be negative", c.Tolerance)
	fault(c.Sync < 0 || c.Initialisation < 0, "durations must not be negative")
	for _, b := range []*Behaviour{c.Up, c.Down} {
		fault(b.Stabilisation < 0, "stabilisation %v: must not be negative", b.Stabilisation)
		for _, p := range b.Policies {
			fault(p.Period <= 0, "policy period %v: must be above 0", p.Period)
			fault(p.Replicas < 0 || !(p.Share >= 0), "policy of %d replicas or %v: must not be negative", p.Replicas, p.Share)
		}
	}
	return c, errors.Join(errs...)
}

// Manager is "hpa".
type Manager struct {
	c        Config
	services []memory // by ServiceID
}

// memory is what is remembered of a service.
type memory struct {
	Recommended []sample // unstabilised recommendations, oldest first
	Events      []sample // changes of replicas, positive when added, oldest first
	// Asked is the number of replicas last asked for, at AskedAt from AskedFrom: it becomes an event when the next sync
	// sees that it was done. While another manager rules, what is asked here is not.
	Asked, AskedFrom int
	AskedAt          time.Time
	Ready            map[string]bool // replicas that are there, and whether each was ever seen ready
}

type sample struct {
	At time.Time
	N  int
}

// New builds a manager for an application, or tells every fault of c.
func New(app *foresail.App, c Config) (*Manager, error) {
	if app == nil {
		return nil, errors.New("hpa: no application")
	}
	c, err := c.withDefaults()
	if err != nil {
		return nil, err
	}
	return &Manager{c: c, services: make([]memory, len(app.Services))}, nil
}

// Name is "hpa".
func (m *Manager) Name() string { return "hpa" }

// Needs asks for a decision at each sync, on the CPU used.
func (m *Manager) Needs() foresail.Needs {
	return foresail.Needs{
		Every:    m.c.Sync,
		Required: foresail.SignalCPU,
		Optional: foresail.SignalReady | foresail.SignalAllocation,
		Beats:    1,
		Seconds:  int(m.c.Sync/time.Second) + 1,
	}
}

// Decide scales each service by itself. It errs when no service's CPU was observed.
func (m *Manager) Decide(h *foresail.History) (*foresail.Plan, error) {
	app := h.App()
	parts := plan.Tail(h.Seconds(int(m.c.Sync/time.Second)+1), m.c.Sync)
	if len(parts) == 0 || !parts[len(parts)-1].End.After(h.Now().Add(-m.c.Sync)) {
		return nil, fmt.Errorf("hpa: nothing was observed: %w", foresail.ErrStale)
	}
	for len(m.services) < len(app.Services) {
		m.services = append(m.services, memory{})
	}
	d := plan.NewDraft(h, m.Name())
	seen := false
	for i := range app.Services {
		svc, id := &app.Services[i], foresail.ServiceID(i)
		mem := &m.services[i]
		st := plan.Latest(parts, id, foresail.SignalAllocation)
		from, known := plan.Wanted(svc, st)
		mem.settle(from.Replicas, h.Now())
		if from.Replicas == 0 {
			continue // as upstream: nothing scales what was scaled to zero by hand
		}
		v := m.measure(svc, id, st, from.Replicas, parts, mem)
		seen = seen || v.seen
		m.scale(d, id, svc, from, known, v, mem)
	}
	if !seen {
		return nil, fmt.Errorf("hpa: no service's CPU was observed in the last %v: %w", m.c.Sync, foresail.ErrStale)
	}
	return d.Plan(), nil
}

// Save keeps the recommendations and scale events, so that a restart does not forget the stabilisation window.
func (m *Manager) Save() ([]byte, error) { return json.Marshal(m.services) }

// Restore takes back what Save kept.
func (m *Manager) Restore(b []byte) error {
	var s []memory
	if err := json.Unmarshal(b, &s); err != nil {
		return fmt.Errorf("hpa: state: %w", err)
	}
	for len(s) < len(m.services) {
		s = append(s, memory{})
	}
	m.services = s
	return nil
}
