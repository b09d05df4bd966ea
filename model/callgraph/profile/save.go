package profile

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"

	"foresail.dev/sketch"
)

// saved is a Profiler's state in files.
type saved struct {
	Version  int            `json:"version"`
	Services []savedService `json:"services"`
	Visits   []savedVisit   `json:"visits,omitempty"` // by form and visit
}

type savedVisit struct {
	Form  string `json:"form"` // its key
	Visit int    `json:"visit"`
	peculiarity
}

type savedService struct {
	Name       string           `json:"name"`
	Ready      int              `json:"ready,omitempty"`
	Load       float64          `json:"load,omitempty"`
	CPU        float64          `json:"cpu,omitempty"`
	All        savedOperation   `json:"all"`
	Operations []savedOperation `json:"operations,omitempty"`
	Usage      []usage          `json:"usage,omitempty"`
}

type savedOperation struct {
	Name   string        `json:"name,omitempty"`
	Streak int           `json:"streak,omitempty"`
	Seen   []observation `json:"seen,omitempty"`
	Part   *savedPart    `json:"part,omitempty"`
}

// savedPart are own times too few for an observation yet.
type savedPart struct {
	Zero     float64      `json:"zero,omitempty"` // those that took no time
	Buckets  [][2]float64 `json:"buckets"`        // of the sketch: index and count
	Visits   float64      `json:"visits"`
	Time     float64      `json:"time"`
	Used     float64      `json:"used,omitempty"`
	Ready    int          `json:"ready"`
	CPU      float64      `json:"cpu"`
	Unsteady bool         `json:"unsteady,omitempty"`
	Spent    bool         `json:"spent,omitempty"`
}

func (k *pending) save() *savedPart {
	if k.times == nil {
		return nil
	}
	s := &savedPart{Zero: k.times.Zero(), Visits: k.visits, Time: k.time, Used: k.used, Ready: k.ready, CPU: k.cpu, Unsteady: k.unsteady, Spent: k.spent}
	for i, n := range k.times.Buckets() {
		s.Buckets = append(s.Buckets, [2]float64{float64(i), n})
	}
	return s
}

// restore gives the own times back; what a sketch has besides buckets nobody asks for.
func (s *savedPart) restore() (k pending, err error) {
	if s == nil {
		return k, nil
	}
	amount := func(v float64) bool { return v >= 0 && !math.IsInf(v, 0) }
	ok := amount(s.Zero) && amount(s.Visits) && s.Time > 0 && amount(s.Time) && s.Ready > 0 && amount(s.CPU) && amount(s.Used)
	k = pending{times: sketch.New(), visits: s.Visits, time: s.Time, used: s.Used, ready: s.Ready, cpu: s.CPU, unsteady: s.Unsteady, spent: s.Spent}
	k.times.AddN(0, s.Zero)
	for _, b := range s.Buckets {
		i := int(b[0])
		ok = ok && b[0] == math.Trunc(b[0]) && i >= sketch.MinIndex && i <= sketch.MaxIndex && amount(b[1])
		if !ok {
			break
		}
		k.times.AddBucket(i, b[1], 0)
	}
	if !ok {
		return k, errors.New("own times that can't be")
	}
	return k, nil
}

const version = 1

// Save is the state as JSON.
func (p *Profiler) Save() ([]byte, error) {
	s := saved{Version: version}
	for i := range p.services {
		v := &p.services[i]
		k := savedService{Name: v.name, Ready: v.ready, Load: v.now.load, CPU: v.now.cpu, Usage: v.usage,
			All: savedOperation{Streak: v.all.streak, Seen: v.all.seen, Part: v.all.part.save()}}
		for _, o := range v.ops {
			k.Operations = append(k.Operations, savedOperation{Name: o.name, Streak: o.streak, Seen: o.seen, Part: o.part.save()})
		}
		s.Services = append(s.Services, k)
	}
	for at, c := range p.visits {
		s.Visits = append(s.Visits, savedVisit{Form: at.form, Visit: at.visit, peculiarity: *c})
	}
	slices.SortFunc(s.Visits, func(a, b savedVisit) int {
		return cmp.Or(cmp.Compare(a.Form, b.Form), cmp.Compare(a.Visit, b.Visit))
	})
	return json.Marshal(&s)
}

// Restore replaces the state by one that Save wrote, of the same application: services are told by their numbers. On an
// error the state is as it was.
func (p *Profiler) Restore(b []byte) error {
	var s saved
	if err := json.Unmarshal(b, &s); err != nil {
		return fmt.Errorf("state of a latency profiler: %w", err)
	}
	if s.Version != version {
		return fmt.Errorf("state of a latency profiler: version %d, and this is version %d: begin without it", s.Version, version)
	}
	services := make([]service, len(s.Services))
	var err error
	for i := range s.Services {
		k := &s.Services[i]
		if err := k.check(); err != nil {
			return fmt.Errorf("state of a latency profiler: service %d (%s): %w", i, k.Name, err)
		}
		v := &services[i]
		*v = service{name: k.Name, ready: k.Ready, now: moment{load: k.Load, cpu: k.CPU}, usage: k.Usage,
			all: operation{streak: k.All.Streak, seen: k.All.Seen}}
		for _, o := range k.Operations {
			v.ops = append(v.ops, &operation{name: o.Name, streak: o.Streak, seen: o.Seen})
			if v.ops[len(v.ops)-1].part, err = o.Part.restore(); err != nil {
				return fmt.Errorf("state of a latency profiler: service %d (%s), operation %q: %w", i, k.Name, o.Name, err)
			}
		}
		if v.all.part, err = k.All.Part.restore(); err != nil {
			return fmt.Errorf("state of a latency profiler: service %d (%s): %w", i, k.Name, err)
		}
	}
	visits := map[place]*peculiarity{}
	for i, k := range s.Visits {
		ok := k.Visits > 0 && !math.IsInf(k.Visits, 0) && i < maxVisits
		for _, off := range k.Off {
			ok = ok && !math.IsNaN(off) && !math.IsInf(off, 0)
		}
		if !ok {
			return fmt.Errorf("state of a latency profiler: visit %d of form %q can't be", k.Visit, k.Form)
		}
		visits[place{k.Form, k.Visit}] = &peculiarity{End: k.End, Visits: k.Visits, Off: k.Off}
	}
	p.services, p.visits = services, visits
	return nil
}

func (k *savedService) check() error {
	positive := func(v float64) bool { return v > 0 && !math.IsInf(v, 0) }
	for _, u := range k.Usage {
		if !positive(u.Load) || !positive(u.CPU) || !(u.Used >= 0) || math.IsInf(u.Used, 0) {
			return errors.New("usage that can't be")
		}
		for _, r := range u.Rates {
			if !positive(r.Visits) {
				return errors.New("visits of operations that can't be")
			}
		}
	}
	if len(k.Usage) > maxSeen || len(k.Operations) > maxOperations {
		return errors.New("more than is kept")
	}
	if !(k.Load >= 0) || !(k.CPU >= 0) {
		return errors.New("load or CPU below zero")
	}
	for i, o := range append([]savedOperation{k.All}, k.Operations...) {
		if i > 1 && o.Name <= k.Operations[i-2].Name {
			return fmt.Errorf("operation %q is out of order", o.Name)
		}
		if len(o.Seen) > maxSeen || abs(o.Streak) > len(o.Seen) {
			return fmt.Errorf("operation %q: more than is kept", o.Name)
		}
		for _, e := range o.Seen {
			last := 0.0
			ok := positive(e.Load) && positive(e.Visits) && e.CPU >= 0 && e.Used >= 0 && !math.IsInf(e.Used, 0) && e.Published >= 0 && e.Likely >= 0
			for _, q := range e.Quantiles {
				ok = ok && positive(q) && q >= last
				last = q
			}
			if !ok {
				return fmt.Errorf("operation %q: an observation that can't be", o.Name)
			}
		}
	}
	return nil
}
