package sim

import (
	"fmt"
	"slices"

	"foresail.dev/cluster/sim/disturb"
	"foresail.dev/cluster/sim/program"
)

// simulation is a Cluster as faults see it: nobody else is to do to it what they do.
type simulation Cluster

var _ disturb.Simulation = (*simulation)(nil)

// foretell draws all faults of the run.
func (c *Cluster) foretell() error {
	all, err := c.cfg.Faults.Draw(c.cfg.Seed, c.cfg.World())
	if err != nil {
		return fmt.Errorf("sim: faults: %w", err)
	}
	c.troubles = disturb.New(disturb.Config{Faults: all, Seed: c.cfg.Seed, Simulation: (*simulation)(c), Users: c.users,
		Hosts: c.hosts, NodeCores: c.cfg.NodeCores, Queue: &c.queue, First: ofTroubles, Start: c.cfg.Start, Tell: c.cfg.Truth},
		c.app, c.program)
	return nil
}

// Version is the program that a service runs.
func (s *simulation) Version(service int32) *program.Service { return s.services[service].def }

// RollOut gives a service another program.
func (s *simulation) RollOut(service int32, version *program.Service) {
	(*Cluster)(s).rollOut(service, version)
}

// Running are the replicas of a service that start or serve.
func (s *simulation) Running(service int32) []int32 {
	var out []int32
	for _, id := range s.services[service].replicas {
		if s.replicas.At(id).phase <= ready {
			out = append(out, id)
		}
	}
	return out
}

// SetDown loses a node, or gives it back.
func (s *simulation) SetDown(node int32, down bool) {
	if down {
		(*Cluster)(s).loseNode(node)
	} else {
		(*Cluster)(s).returnNode(node)
	}
}

// Replica is where a replica is, and whose.
func (s *simulation) Replica(id int32) disturb.Replica {
	r := s.replicas.At(id)
	now := &s.services[r.service].now
	out := disturb.Replica{Name: r.name, Service: r.service, Host: r.host, Asked: r.asked, Cores: now.CPU,
		Memory: r.memory, Most: now.Memory, Stopped: r.cpu.Stopped(), Interference: (*Cluster)(s).defOf(id, r).Interference}
	if r.odd {
		out.Harm = &s.odd[id].harm
	}
	return out
}

// Harm is what goes wrong in a replica; it may be changed.
func (s *simulation) Harm(id int32) *disturb.Harm { return &(*Cluster)(s).oddOf(id).harm }

func (s *simulation) Healed(id int32) { (*Cluster)(s).even(id) }

func (s *simulation) Bound(id int32, cores int64, slow float64) {
	r := s.replicas.At(id)
	r.cpu.Advance(s.queue.Now())
	r.cpu.Cores, r.cpu.Slow = cores, slow
	(*Cluster)(s).watch(id, r)
}

func (s *simulation) Stop(id int32, stopped bool) {
	r := s.replicas.At(id)
	r.cpu.Advance(s.queue.Now())
	r.asleep = false
	if stopped {
		r.cpu.Stop()
	} else {
		r.cpu.Go()
	}
	(*Cluster)(s).watch(id, r)
}

func (s *simulation) Restart(id int32) bool {
	r := s.replicas.At(id)
	sv := &s.services[r.service]
	switch r.phase {
	case starting:
		return false
	case ready:
		sv.ready = slices.DeleteFunc(sv.ready, func(k int32) bool { return k == id })
	}
	service := r.service
	(*Cluster)(s).kill(id)
	(*Cluster)(s).reconcile(service)
	return true
}

func (s *simulation) Enter(frame, id int32) { (*Cluster)(s).enter(frame, id, s.replicas.At(id)) }

func (s *simulation) Proceed(frame int32, failed bool) {
	if failed {
		s.frames.At(frame).failed = true
	}
	(*Cluster)(s).proceed(frame)
}

func (s *simulation) CallBack(frame, call int32) { (*Cluster)(s).callBack(frame, call) }

func (s *simulation) GiveUp(def int32) {
	var waiting []int32
	s.calls.Each(func(ci int32, k *call) {
		if k.def == def && k.state != idle {
			waiting = append(waiting, ci)
		}
	})
	for _, ci := range waiting {
		if k := s.calls.At(ci); k.def == def && k.state != idle {
			(*Cluster)(s).giveUp(ci, k)
		}
	}
}
