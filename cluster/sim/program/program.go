// Package program lays an application's blueprint out flat for the simulator: services, operations, steps and calls by
// number, so that what a request needs next is found without following pointers. A blueprint that replaces another is laid
// out beside it: what is in progress goes on by the numbers that it has.
package program

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"foresail.dev"
	"foresail.dev/cluster/sim/chance"
)

// Program is a blueprint laid out flat: operations, steps and calls by number.
type Program struct {
	Services  []Service
	Ops       []Operation
	Steps     []Step
	Disks     []Disk
	Calls     []Call // a step's calls follow each other; those of the users, one per endpoint, come last
	Entries   int32  // the first of the users' calls
	Edges     []foresail.EdgeStats
	Numbers   map[[2]int32]int32 // of edges, by from and to
	Deadlines []int64            // the distinct timeouts, ns
	Overhead  Overhead
}

// Service is one version of a service.
type Service struct {
	Workers, Queue, Pool int32
	Start, Warmup        int64 // ns
	Cold                 float64
	Memory               int64
	Callees              []int32 // services it calls, ascending: what pools are for
	Edges                []int32 // by callee
	Ops                  Extent
	Bad                  int32    // of a bad version: its fault's number and one
	Good                 *Service // of a bad version: the one before
	Pull                 int64    // ns
	Interference         *foresail.Interference
	Network              bool // the sizes of all messages that it sends and receives are known
}

// Operation is what a version of a service does for one kind of request.
type Operation struct {
	Name    string
	Service int32
	Index   int32 // in its service; -1: of no version
	Steps   Extent
}

// Extent is the half-open range [from, to).
type Extent struct{ From, To int32 }

// Step is own work, then calls in parallel.
type Step struct {
	Cpu    chance.Demand
	Memory int64
	Calls  Extent
	Disk   int32 // index into disks; -1: nothing
}

// Disk is what a step needs of a disk; few do.
type Disk struct {
	Takes         chance.Demand
	Read, Written int64 // bytes
}

// Call is a call that a step makes, or users do. It begins with what every call needs: a large application's calls are hardly ever in the cache.
type Call struct {
	Service     int32
	Pool        int32  // index into the caller's callees; -1: users
	Limit       int32  // connections of the caller to the callee; 0: no limit
	Edge        int32  // -1: users
	Steps       Extent // of the operation
	Deadline    int32  // index into deadlines; -1: waits for ever
	Repeat      int32
	Request     int64 // bytes
	Response    int64 // bytes
	Probability float64
	Retries     int32
	Either      int32 // of the first of several of which one is made: how many; else 0
	Async       bool
	Cached      bool

	Op       int32
	Endpoint int32   // -1: not users
	Backoff  float64 // ns
	Hit      float64
	Miss     Extent
}

// compiler lays out a blueprint and collects what is wrong with it.
type compiler struct {
	bp   *foresail.Blueprint
	p    Program
	errs []error
}

// Compile lays out a blueprint.
func Compile(bp *foresail.Blueprint) (*Program, error) {
	changed := make([]bool, len(bp.Services))
	for i := range changed {
		changed[i] = true
	}
	return Recompile(&Program{Numbers: map[[2]int32]int32{}}, bp, changed)
}

// Recompile lays out the services of a blueprint that have changed, and what users call, beside what there is: what is in
// progress goes on by the numbers that it has. Definitions of services are new ones; the old stay where they are.
func Recompile(old *Program, bp *foresail.Blueprint, changed []bool) (*Program, error) {
	c := &compiler{bp: bp, p: *old}
	c.p.Services = slices.Clone(old.Services)
	app := bp.App
	if len(bp.Services) != len(app.Services) {
		return nil, fmt.Errorf("sim: the blueprint has %d services and its application %d", len(bp.Services), len(app.Services))
	}
	if len(bp.Entries) != len(app.Endpoints) {
		return nil, fmt.Errorf("sim: the blueprint has %d entries for %d endpoints", len(bp.Entries), len(app.Endpoints))
	}
	c.overhead(&bp.Overhead)
	for i := range bp.Services {
		if changed[i] {
			c.service(i)
			c.layEdges(i)
		}
	}
	first := len(c.p.Calls)
	for i := range bp.Services {
		for k := range bp.Services[i].Operations {
			if changed[i] {
				where := fmt.Sprintf("service %s, operation %s", app.Services[i].Name, bp.Services[i].Operations[k].Name)
				c.p.Ops[c.p.Services[i].Ops.From+int32(k)].Steps = c.steps(where, i, bp.Services[i].Operations[k].Steps)
			}
		}
	}
	c.p.Entries = int32(len(c.p.Calls))
	for e, target := range bp.Entries {
		if app.Endpoints[e].Gone {
			c.p.Calls = append(c.p.Calls, Call{}) // which nobody makes
			continue
		}
		call := foresail.Call{Target: target, Probability: 1}
		if e < len(bp.Timeouts) {
			call.Patience = bp.Timeouts[e]
		}
		def := c.call(fmt.Sprintf("endpoint %s", app.Endpoints[e].Name), -1, &call)
		def.Endpoint = int32(e)
		c.p.Calls = append(c.p.Calls, def)
	}
	if err := errors.Join(c.errs...); err != nil {
		return nil, err
	}
	for i := first; i < len(c.p.Calls); i++ {
		c.p.Calls[i].Steps = c.p.Ops[c.p.Calls[i].Op].Steps
	}
	return &c.p, nil
}

// know notes that a service has an operation, or calls it: where the sizes of its messages are not known, neither is the
// service's network.
func (c *compiler) know(service int32, op *foresail.Operation) {
	if op.Request <= 0 || op.Response <= 0 {
		c.p.Services[service].Network = false
	}
}

func (c *compiler) fault(bad bool, where, format string, args ...any) {
	if bad {
		c.errs = append(c.errs, fmt.Errorf("sim: %s: %w", where, fmt.Errorf(format, args...)))
	}
}

func (c *compiler) service(i int) {
	s, a := &c.bp.Services[i], &c.bp.App.Services[i]
	where := "service " + a.Name
	c.fault(s.Workers < 0 || s.Queue < 0 || s.Pool < 0, where, "workers, queue and pool must not be negative")
	c.fault(s.Start < 0 || s.Warmup < 0 || s.BaseMemory < 0, where, "start, warm-up and memory must not be negative")
	c.fault(s.ColdFactor != 0 && !(s.ColdFactor >= 1 && s.ColdFactor < 1e6), where, "cold factor %v is below 1 or no number", s.ColdFactor)
	if err := CheckNumbers(a.Initial); err != nil && !a.Gone {
		c.fault(true, where, "initial allocation: %v", err)
	}
	between := &foresail.DefaultInterference
	if s.Interference != nil {
		between = s.Interference
	}
	c.fault(s.Pull < 0, where, "the time to pull an image must not be negative")
	c.fault(between.Cache < 0 || !(between.Bandwidth >= 0 && between.Bandwidth < 1e15), where, "cache and memory bandwidth must not be negative")
	c.fault(!(between.CacheSensitivity >= 0 && between.CacheSensitivity < 1e3) || !(between.BandwidthSensitivity >= 0 && between.BandwidthSensitivity < 1e3),
		where, "sensitivities must not be negative")
	from := int32(len(c.p.Ops))
	def := Service{
		Ops:  Extent{from, from + int32(len(s.Operations))},
		Pull: int64(s.Pull), Interference: between,
		Workers: int32(s.Workers), Queue: int32(s.Queue), Pool: int32(s.Pool),
		Start: int64(s.Start), Warmup: int64(s.Warmup), Cold: max(s.ColdFactor, 1), Memory: s.BaseMemory, Network: true,
	}
	if i < len(c.p.Services) {
		c.p.Services[i] = def
	} else {
		c.p.Services = append(c.p.Services, def)
	}
	for k := range s.Operations {
		op := &s.Operations[k]
		c.fault(op.Request < 0 || op.Response < 0, where+", operation "+op.Name, "the sizes of messages must not be negative")
		c.know(int32(i), op)
		c.p.Ops = append(c.p.Ops, Operation{Name: op.Name, Service: int32(i), Index: int32(k)})
	}
}

// layEdges finds whom a service calls.
func (c *compiler) layEdges(i int) {
	var callees []int32
	var walk func([]foresail.Step)
	walk = func(steps []foresail.Step) {
		for s := range steps {
			for k := range steps[s].Calls {
				for _, call := range made(&steps[s].Calls[k]) {
					callees = append(callees, int32(call.Target.Service))
					walk(call.Miss)
				}
			}
		}
	}
	for k := range c.bp.Services[i].Operations {
		walk(c.bp.Services[i].Operations[k].Steps)
	}
	slices.Sort(callees)
	def := &c.p.Services[i]
	def.Callees, def.Edges = slices.Compact(callees), nil
	for _, to := range def.Callees {
		def.Edges = append(def.Edges, c.p.Edge(int32(i), to))
	}
}

// EdgeBetween is the number of an edge; -1: there is none.
func (p *Program) EdgeBetween(from, to int32) int32 {
	if at, ok := p.Numbers[[2]int32{from, to}]; ok {
		return at
	}
	return -1
}

// Edge is the number of an edge, a new one where there is none. Those of a first compilation are in the order of (from, to).
func (p *Program) Edge(from, to int32) int32 {
	at := p.EdgeBetween(from, to)
	if at < 0 {
		at = int32(len(p.Edges))
		p.Edges = append(p.Edges, foresail.EdgeStats{From: foresail.ServiceID(from), To: foresail.ServiceID(to)})
		p.Numbers[[2]int32{from, to}] = at
	}
	return at
}

func (c *compiler) steps(where string, service int, steps []foresail.Step) Extent {
	from := int32(len(c.p.Steps))
	for range steps {
		c.p.Steps = append(c.p.Steps, Step{})
	}
	for i := range steps {
		w := &steps[i].Work
		c.dist(where, "CPU", w.CPU)
		c.dist(where, "I/O", w.IO)
		c.fault(w.Memory < 0 || w.Read < 0 || w.Write < 0, where, "memory %d, read %d and write %d must not be negative", w.Memory, w.Read, w.Write)
		calls := make([]Call, 0, len(steps[i].Calls))
		for k := range steps[i].Calls {
			first, some := len(calls), made(&steps[i].Calls[k])
			for j := range some {
				c.fault(len(some) > 1 && len(some[j].Either) > 0, where, "a call that stands for several stands for more")
				calls = append(calls, c.call(where, service, &some[j]))
			}
			if len(some) > 1 {
				calls[first].Either = int32(len(some))
			}
		}
		first := int32(len(c.p.Calls))
		c.p.Calls = append(c.p.Calls, calls...)
		s := Step{Cpu: c.stretched(w.CPU), Memory: w.Memory, Calls: Extent{first, int32(len(c.p.Calls))}, Disk: -1}
		if d := (Disk{Takes: chance.NewDemand(w.IO), Read: w.Read, Written: w.Write}); d.Takes.Any() {
			s.Disk = int32(len(c.p.Disks))
			c.p.Disks = append(c.p.Disks, d)
		}
		c.p.Steps[from+int32(i)] = s
	}
	return Extent{from, from + int32(len(steps))}
}

// made is what a call stands for: itself, or several of which one is made.
func made(call *foresail.Call) []foresail.Call {
	if len(call.Either) > 0 {
		return call.Either
	}
	return []foresail.Call{*call}
}

func (c *compiler) dist(where, what string, d foresail.Dist) {
	c.fault(!(d.Mean >= 0 && d.Mean < 1e6), where, "mean %s demand %v s is negative or no number", what, d.Mean)
	c.fault(!(d.CV >= 0 && d.CV < 1e3), where, "variation %v of the %s demand is negative or no number", d.CV, what)
}

func (c *compiler) call(where string, caller int, call *foresail.Call) Call {
	t := call.Target
	def := Call{Pool: -1, Edge: -1, Endpoint: -1, Deadline: -1}
	if t.Service < 0 || int(t.Service) >= len(c.bp.Services) ||
		t.Operation < 0 || t.Operation >= len(c.bp.Services[t.Service].Operations) {
		c.fault(true, where, "calls operation %d of service %d, which is not there", t.Operation, t.Service)
		return def
	}
	c.fault(!(call.Probability >= 0 && call.Probability <= 1), where, "probability %v is outside 0..1", call.Probability)
	c.fault(!(call.Hit >= 0 && call.Hit <= 1), where, "hit probability %v is outside 0..1", call.Hit)
	c.fault(call.Timeout < 0 || call.Retries < 0 || call.Backoff < 0 || call.Repeat < 0, where,
		"timeout, retries, backoff and repeat must not be negative")
	def.Op = c.p.Services[t.Service].Ops.From + int32(t.Operation)
	def.Service = int32(t.Service)
	asked := &c.bp.Services[t.Service].Operations[t.Operation]
	def.Request, def.Response = asked.Request, asked.Response
	def.Retries, def.Repeat = int32(call.Retries), int32(max(call.Repeat, 1))
	def.Backoff, def.Probability = float64(call.Backoff), call.Probability
	def.Async, def.Cached, def.Hit = call.Async, call.Cached, call.Hit
	if call.Timeout > 0 {
		def.Deadline = c.deadline(call.Timeout)
	}
	if caller >= 0 {
		c.know(int32(caller), asked)
		at, _ := slices.BinarySearch(c.p.Services[caller].Callees, def.Service)
		def.Pool = int32(at)
		def.Edge = c.p.Services[caller].Edges[at]
		def.Limit = c.p.Services[caller].Pool
		if call.Cached {
			def.Miss = c.steps(where, caller, call.Miss)
		}
	}
	return def
}

func (c *compiler) deadline(d time.Duration) int32 {
	at := slices.Index(c.p.Deadlines, int64(d))
	if at < 0 {
		at = len(c.p.Deadlines)
		c.p.Deadlines = append(c.p.Deadlines, int64(d))
	}
	return int32(at)
}

// CheckNumbers says whether an allocation is one at all.
func CheckNumbers(a foresail.Allocation) error {
	switch {
	case a.Replicas < 1 || a.Replicas > 1e6:
		return fmt.Errorf("%d replicas: ask for 1 to 1000000", a.Replicas)
	case !(a.CPU > 0 && a.CPU <= 1e6):
		return fmt.Errorf("%v cores per replica: ask for more than 0 and at most 1000000", a.CPU)
	case a.Memory < 0:
		return fmt.Errorf("%d bytes of memory per replica: ask for 0 or more", a.Memory)
	}
	return nil
}
