package sim

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"foresail.dev"
	"foresail.dev/cluster/sim/chance"
)

// program is a blueprint laid out flat: operations, steps and calls by number.
type program struct {
	services  []serviceDef
	ops       []opDef
	steps     []stepDef
	disks     []diskDef
	calls     []callDef // a step's calls follow each other; those of the users, one per endpoint, come last
	entries   int32     // the first of the users' calls
	edges     []foresail.EdgeStats
	numbers   map[[2]int32]int32 // of edges, by from and to
	deadlines []int64            // the distinct timeouts, ns
	overhead  overhead
}

type serviceDef struct {
	workers, queue, pool int32
	start, warmup        int64 // ns
	cold                 float64
	memory               int64
	callees              []int32 // services it calls, ascending: what pools are for
	edges                []int32 // by callee
	ops                  extent
	bad                  int32       // of a bad version: its fault's number and one
	good                 *serviceDef // of a bad version: the one before
	pull                 int64       // ns
	interference         *foresail.Interference
	network              bool // the sizes of all messages that it sends and receives are known
}

type opDef struct {
	name    string
	service int32
	index   int32 // in its service; -1: of no version
	steps   extent
}

// extent is the half-open range [from, to).
type extent struct{ from, to int32 }

type stepDef struct {
	cpu    chance.Demand
	memory int64
	calls  extent
	disk   int32 // index into disks; -1: nothing
}

// diskDef is what a step needs of a disk; few do.
type diskDef struct {
	takes         chance.Demand
	read, written int64 // bytes
}

// callDef begins with what every call needs: a large application's calls are hardly ever in the cache.
type callDef struct {
	service     int32
	pool        int32  // index into the caller's callees; -1: users
	limit       int32  // connections of the caller to the callee; 0: no limit
	edge        int32  // -1: users
	steps       extent // of the operation
	deadline    int32  // index into deadlines; -1: waits for ever
	repeat      int32
	request     int64 // bytes
	response    int64 // bytes
	probability float64
	retries     int32
	async       bool
	cached      bool

	op       int32
	endpoint int32   // -1: not users
	backoff  float64 // ns
	hit      float64
	miss     extent
}

// compiler lays out a blueprint and collects what is wrong with it.
type compiler struct {
	bp   *foresail.Blueprint
	p    program
	errs []error
}

// compile lays out a blueprint.
func compile(bp *foresail.Blueprint) (*program, error) {
	changed := make([]bool, len(bp.Services))
	for i := range changed {
		changed[i] = true
	}
	return recompile(&program{numbers: map[[2]int32]int32{}}, bp, changed)
}

// recompile lays out the services of a blueprint that have changed, and what users call, beside what there is: what is in
// progress goes on by the numbers that it has. Definitions of services are new ones; the old stay where they are.
func recompile(old *program, bp *foresail.Blueprint, changed []bool) (*program, error) {
	c := &compiler{bp: bp, p: *old}
	c.p.services = slices.Clone(old.services)
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
	first := len(c.p.calls)
	for i := range bp.Services {
		for k := range bp.Services[i].Operations {
			if changed[i] {
				where := fmt.Sprintf("service %s, operation %s", app.Services[i].Name, bp.Services[i].Operations[k].Name)
				c.p.ops[c.p.services[i].ops.from+int32(k)].steps = c.steps(where, i, bp.Services[i].Operations[k].Steps)
			}
		}
	}
	c.p.entries = int32(len(c.p.calls))
	for e, target := range bp.Entries {
		if app.Endpoints[e].Gone {
			c.p.calls = append(c.p.calls, callDef{}) // which nobody makes
			continue
		}
		call := foresail.Call{Target: target, Probability: 1}
		if e < len(bp.Timeouts) {
			call.Patience = bp.Timeouts[e]
		}
		def := c.call(fmt.Sprintf("endpoint %s", app.Endpoints[e].Name), -1, &call)
		def.endpoint = int32(e)
		c.p.calls = append(c.p.calls, def)
	}
	if err := errors.Join(c.errs...); err != nil {
		return nil, err
	}
	for i := first; i < len(c.p.calls); i++ {
		c.p.calls[i].steps = c.p.ops[c.p.calls[i].op].steps
	}
	return &c.p, nil
}

// know notes that a service has an operation, or calls it: where the sizes of its messages are not known, neither is the
// service's network.
func (c *compiler) know(service int32, op *foresail.Operation) {
	if op.Request <= 0 || op.Response <= 0 {
		c.p.services[service].network = false
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
	if err := checkNumbers(a.Initial); err != nil && !a.Gone {
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
	from := int32(len(c.p.ops))
	def := serviceDef{
		ops:  extent{from, from + int32(len(s.Operations))},
		pull: int64(s.Pull), interference: between,
		workers: int32(s.Workers), queue: int32(s.Queue), pool: int32(s.Pool),
		start: int64(s.Start), warmup: int64(s.Warmup), cold: max(s.ColdFactor, 1), memory: s.BaseMemory, network: true,
	}
	if i < len(c.p.services) {
		c.p.services[i] = def
	} else {
		c.p.services = append(c.p.services, def)
	}
	for k := range s.Operations {
		op := &s.Operations[k]
		c.fault(op.Request < 0 || op.Response < 0, where+", operation "+op.Name, "the sizes of messages must not be negative")
		c.know(int32(i), op)
		c.p.ops = append(c.p.ops, opDef{name: op.Name, service: int32(i), index: int32(k)})
	}
}

// layEdges finds whom a service calls.
func (c *compiler) layEdges(i int) {
	var callees []int32
	var walk func([]foresail.Step)
	walk = func(steps []foresail.Step) {
		for s := range steps {
			for k := range steps[s].Calls {
				callees = append(callees, int32(steps[s].Calls[k].Target.Service))
				walk(steps[s].Calls[k].Miss)
			}
		}
	}
	for k := range c.bp.Services[i].Operations {
		walk(c.bp.Services[i].Operations[k].Steps)
	}
	slices.Sort(callees)
	def := &c.p.services[i]
	def.callees, def.edges = slices.Compact(callees), nil
	for _, to := range def.callees {
		def.edges = append(def.edges, c.p.edge(int32(i), to))
	}
}

// edgeBetween is the number of an edge; -1: there is none.
func (p *program) edgeBetween(from, to int32) int32 {
	if at, ok := p.numbers[[2]int32{from, to}]; ok {
		return at
	}
	return -1
}

// edge is the number of an edge, a new one where there is none. Those of a first compilation are in the order of (from, to).
func (p *program) edge(from, to int32) int32 {
	at := p.edgeBetween(from, to)
	if at < 0 {
		at = int32(len(p.edges))
		p.edges = append(p.edges, foresail.EdgeStats{From: foresail.ServiceID(from), To: foresail.ServiceID(to)})
		p.numbers[[2]int32{from, to}] = at
	}
	return at
}

func (c *compiler) steps(where string, service int, steps []foresail.Step) extent {
	from := int32(len(c.p.steps))
	for range steps {
		c.p.steps = append(c.p.steps, stepDef{})
	}
	for i := range steps {
		w := &steps[i].Work
		c.dist(where, "CPU", w.CPU)
		c.dist(where, "I/O", w.IO)
		c.fault(w.Memory < 0 || w.Read < 0 || w.Write < 0, where, "memory %d, read %d and write %d must not be negative", w.Memory, w.Read, w.Write)
		calls := make([]callDef, len(steps[i].Calls))
		for k := range steps[i].Calls {
			calls[k] = c.call(where, service, &steps[i].Calls[k])
		}
		first := int32(len(c.p.calls))
		c.p.calls = append(c.p.calls, calls...)
		s := stepDef{cpu: c.stretched(w.CPU), memory: w.Memory, calls: extent{first, int32(len(c.p.calls))}, disk: -1}
		if d := (diskDef{takes: chance.NewDemand(w.IO), read: w.Read, written: w.Write}); d.takes.Any() {
			s.disk = int32(len(c.p.disks))
			c.p.disks = append(c.p.disks, d)
		}
		c.p.steps[from+int32(i)] = s
	}
	return extent{from, from + int32(len(steps))}
}

func (c *compiler) dist(where, what string, d foresail.Dist) {
	c.fault(!(d.Mean >= 0 && d.Mean < 1e6), where, "mean %s demand %v s is negative or no number", what, d.Mean)
	c.fault(!(d.CV >= 0 && d.CV < 1e3), where, "variation %v of the %s demand is negative or no number", d.CV, what)
}

func (c *compiler) call(where string, caller int, call *foresail.Call) callDef {
	t := call.Target
	def := callDef{pool: -1, edge: -1, endpoint: -1, deadline: -1}
	if t.Service < 0 || int(t.Service) >= len(c.bp.Services) ||
		t.Operation < 0 || t.Operation >= len(c.bp.Services[t.Service].Operations) {
		c.fault(true, where, "calls operation %d of service %d, which is not there", t.Operation, t.Service)
		return def
	}
	c.fault(!(call.Probability >= 0 && call.Probability <= 1), where, "probability %v is outside 0..1", call.Probability)
	c.fault(!(call.Hit >= 0 && call.Hit <= 1), where, "hit probability %v is outside 0..1", call.Hit)
	c.fault(call.Timeout < 0 || call.Retries < 0 || call.Backoff < 0 || call.Repeat < 0, where,
		"timeout, retries, backoff and repeat must not be negative")
	def.op = c.p.services[t.Service].ops.from + int32(t.Operation)
	def.service = int32(t.Service)
	asked := &c.bp.Services[t.Service].Operations[t.Operation]
	def.request, def.response = asked.Request, asked.Response
	def.retries, def.repeat = int32(call.Retries), int32(max(call.Repeat, 1))
	def.backoff, def.probability = float64(call.Backoff), call.Probability
	def.async, def.cached, def.hit = call.Async, call.Cached, call.Hit
	if call.Timeout > 0 {
		def.deadline = c.deadline(call.Timeout)
	}
	if caller >= 0 {
		c.know(int32(caller), asked)
		at, _ := slices.BinarySearch(c.p.services[caller].callees, def.service)
		def.pool = int32(at)
		def.edge = c.p.services[caller].edges[at]
		def.limit = c.p.services[caller].pool
		if call.Cached {
			def.miss = c.steps(where, caller, call.Miss)
		}
	}
	return def
}

func (c *compiler) deadline(d time.Duration) int32 {
	at := slices.Index(c.p.deadlines, int64(d))
	if at < 0 {
		at = len(c.p.deadlines)
		c.p.deadlines = append(c.p.deadlines, int64(d))
	}
	return int32(at)
}
