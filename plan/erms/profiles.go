package erms

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"

	"foresail.dev"
	"foresail.dev/model/callgraph/profile"
	"foresail.dev/sketch"
)

// Profiles are what is known of services: learnt from what was observed.
type Profiles interface {
	// Observe takes what was observed over another interval.
	Observe(app *foresail.App, s *foresail.Snapshot)
	// Pieces are the p95 of a service's own time, in seconds, over the calls a second of one of its containers; ok is false
	// where too little was seen to tell.
	Pieces(id foresail.ServiceID) (m Model, ok bool)
	// Full is how many calls a second use up a container's CPU; 0: not known.
	Full(id foresail.ServiceID) float64
	foresail.Stateful
}

// run is what one service was like over one interval.
type run struct {
	Load float64 `json:"load"` // calls a second of one container
	P95  float64 `json:"p95"`  // of own time, seconds; 0: too few were seen
	CPU  float64 `json:"cpu"`  // cores that a container has
	Used float64 `json:"used"` // cores that a container used
}

// measured are profiles as the authors have them: runs at several loads, with two pieces fitted to them.
type measured struct {
	services []record
}

// record is the runs of one service, oldest first.
type record struct {
	Runs  []run `json:"runs,omitempty"`
	Ready int   `json:"ready,omitempty"` // containers in the interval before; 0: not known
	Spent bool  `json:"spent,omitempty"` // they used up their CPU then
	model Model
	ok    bool
	made  bool // the model is that of Runs
}

const (
	mostRuns  = 120
	fewVisits = 100  // own times that a p95 is taken of at least
	failing   = 0.01 // share of calls: where more fail it is overload that is seen
)

// Observe takes an interval. Services whose containers came or went, whose calls failed, and those that used up their CPU or had
// in the interval before, so that calls had queued up, tell nothing of how latency hangs on load.
func (p *measured) Observe(app *foresail.App, s *foresail.Snapshot) {
	if s == nil || s.Stale || s.Duration() <= 0 {
		return
	}
	for len(p.services) < min(len(app.Services), len(s.Services)) {
		p.services = append(p.services, record{})
	}
	own := ownSketches(s, len(app.Services))
	for i := range min(len(app.Services), len(s.Services)) {
		p.services[i].observe(&s.Services[i], s, own[i])
	}
}

func (v *record) observe(st *foresail.ServiceStats, s *foresail.Snapshot, own *sketch.Sketch) {
	ready, spentBefore := v.Ready, v.Spent
	v.Ready, v.Spent = 0, false
	if !st.Has.Has(foresail.SignalReady|foresail.SignalAllocation|foresail.SignalArrivals|foresail.SignalCPU) || st.Ready < 1 || !(st.Allocation.CPU > 0) {
		return
	}
	cores, ok := st.Cores(s.Duration())
	if !ok || !sane(cores) || !sane(st.Arrivals) || st.Arrivals == 0 {
		return
	}
	v.Ready, v.Spent = st.Ready, spent(st, s)
	began := slices.ContainsFunc(st.Replicas, func(r foresail.ReplicaStats) bool { return r.Gone || r.Started.After(s.Start) })
	switch {
	case began || len(st.Replicas) == 0 && ready != st.Ready:
		return // for part of it, the load of a container was another
	case v.Spent || spentBefore || st.Errors > failing*st.Arrivals:
		return
	}
	r := run{Load: st.Arrivals / s.Duration().Seconds() / float64(st.Ready), CPU: st.Allocation.CPU, Used: cores / float64(st.Ready)}
	if own != nil && own.Count() >= fewVisits {
		r.P95 = own.Quantile(0.95)
	}
	v.Runs = append(v.Runs, r)
	if n := len(v.Runs) - mostRuns; n > 0 {
		v.Runs = slices.Delete(v.Runs, 0, n)
	}
	v.made = false
}

// ownSketches are the own times of services, all their visits together; nil where there are none.
func ownSketches(s *foresail.Snapshot, services int) []*sketch.Sketch {
	out := make([]*sketch.Sketch, services)
	for i := range s.Shapes {
		sh := &s.Shapes[i]
		for k, v := range sh.Form.Visits {
			if k >= len(sh.Own) || int(v.Service) >= services || sh.Own[k].Count() == 0 {
				continue
			}
			if out[v.Service] == nil {
				out[v.Service] = sketch.New()
			}
			out[v.Service].Merge(sh.Own[k])
		}
	}
	return out
}

// Pieces are fitted to the runs of containers like those there are now.
func (p *measured) Pieces(id foresail.ServiceID) (Model, bool) {
	if int(id) >= len(p.services) {
		return Model{}, false
	}
	v := &p.services[id]
	if !v.made {
		v.model, v.ok = v.fit()
		v.made = true
	}
	return v.model, v.ok
}

// alike are the runs of containers like the newest.
func (v *record) alike() []run {
	return slices.DeleteFunc(slices.Clone(v.Runs), func(r run) bool {
		cpu := v.Runs[len(v.Runs)-1].CPU
		return math.Abs(r.CPU-cpu) > 0.1*cpu
	})
}

// fewest runs are what a model is made of at least.
const fewest = 6

func (v *record) fit() (Model, bool) {
	var runs []profile.Run
	for _, r := range v.alike() {
		if r.P95 > 0 {
			runs = append(runs, profile.Run{Load: 60 * r.Load, P95: 1e6 * r.P95, Used: r.Used / r.CPU})
		}
	}
	if len(runs) < fewest {
		return Model{}, false
	}
	fit, err := profile.FitPieces(runs)
	if errors.Is(err, profile.ErrRuns) {
		fit, err = profile.FitOne(runs)
	}
	if err != nil {
		return Model{}, false // what was seen is no basis for any
	}
	const second, each = 1e-6, 1.0 / 60
	piece := func(p profile.Piece) Piece { return Piece{A: p.Slope(0, 0) * second / each, B: p.D * second} }
	m := NewModel(piece(fit.Before), piece(fit.After))
	if !(m.Inflection > 0) || math.IsInf(m.Inflection, 1) {
		m.Inflection = fit.Knee * each
	}
	return m, usable(m)
}

// Full is the CPU of a container over what a call takes of it, by all runs together.
func (p *measured) Full(id foresail.ServiceID) float64 {
	if int(id) >= len(p.services) {
		return 0
	}
	load, used, cpu := 0.0, 0.0, 0.0
	for _, r := range p.services[id].alike() {
		load, used, cpu = load+r.Load, used+r.Used, r.CPU
	}
	if used == 0 {
		return 0
	}
	return cpu * load / used
}

// Save keeps the runs.
func (p *measured) Save() ([]byte, error) { return json.Marshal(p.services) }

// Restore takes back what Save kept.
func (p *measured) Restore(b []byte) error {
	var services []record
	if len(b) > 0 {
		if err := json.Unmarshal(b, &services); err != nil {
			return fmt.Errorf("profiles: %w", err)
		}
	}
	for i := range services {
		for _, r := range services[i].Runs {
			if !(r.Load >= 0 && r.P95 >= 0 && r.CPU > 0 && r.Used >= 0) || math.IsInf(r.Load+r.P95+r.CPU+r.Used, 0) {
				return fmt.Errorf("profiles: service %d: %+v: must be finite numbers, none below 0, and CPU above", i, r)
			}
		}
	}
	p.services = services
	return nil
}

func newProfiles() Profiles { return &measured{} }
