package sim

import (
	"context"
	"io"
	"maps"
	"time"

	"foresail.dev"
	"foresail.dev/cluster/sim/cfs"
	"foresail.dev/cluster/sim/chance"
	"foresail.dev/cluster/sim/des"
	"foresail.dev/cluster/sim/disturb"
	"foresail.dev/cluster/sim/program"
	"foresail.dev/cluster/sim/slab"
	"foresail.dev/cluster/sim/tally"
	"foresail.dev/cluster/sim/trace"
	"foresail.dev/cluster/sim/users"
	"foresail.dev/sketch"
)

// Cluster is a simulated application. It is a foresail.Cluster, used by one goroutine at a time: Next never waits, so
// there is no time at which another could act.
type Cluster struct {
	cfg       Config
	app       *foresail.App
	blueprint *foresail.Blueprint
	updated   bool // the application is not the first any more
	program   *program.Program
	queue     des.Queue

	services  []service
	endpoints []endpointStats
	edges     []edge
	deadlines []deadlines
	replicas  slab.Slab[replica]
	inFlight  []int32 // by replica: all that routing needs of them
	visits    slab.Slab[visit]
	frames    slab.Slab[frame]
	calls     slab.Slab[call]
	traces    trace.Traces
	users     *users.Users
	killed    []int32 // scratch
	machines
	troubles  disturb.Troubles
	odd       map[int32]*odd // by replica, where replica.odd
	edgeOrder []int32        // by (from, to), where edges were appended

	took          tally.Latencies // by replica
	edgesTook     tally.Latencies // by edge, as the callee's server saw it
	endpointsTook tally.Latencies // by endpoint
	merged        sketch.Sketch   // scratch
	copies        tally.Copies    // of the sketches of a snapshot

	draw            *chance.Drawer // of demands
	tracing, phases chance.Stream  // never drawn from, but derived
	routing         chance.Stream
}

// The kinds of events. What A and B hold is told beside each.
const (
	onArrive   uint8 = iota // A: a call comes to its service; B: its attempt
	onBegin                 // A: a visit that waited for a worker begins
	onCPU                   // A: a replica whose CPU must be looked at
	onDisk                  // A: a frame whose I/O is done
	onAnswer                // A: a visit whose answer comes to its caller
	onRetry                 // A: a call tries again
	onDeadline              // A: the list of deadlines of which one may be due
	onReady                 // A: a replica has started
	onKill                  // A: a replica has drained for too long
	onRefused               // A: a call whose refusal comes back; B: its attempt
	onReport                // A: a replica that tells of what it did
	onDeliver               // A: a message that comes to its replica
	onDivide                // A: a host whose cores are to be divided anew
	onMeasure               // the contention of caches and memory is to be measured
	onPlace                 // there is room again for replicas that fit nowhere
	onDetect                // A: a service of which a replica was lost with its node
	onUpdate                // A: an update

	// Those of packages users and disturb follow.
	ofUsers
	ofTroubles = ofUsers + users.Kinds
)

// New simulates an application from offset 0 on, with its initial allocation ready and warm. It reports everything
// that is wrong with the configuration or the blueprint.
func New(cfg Config) (*Cluster, error) {
	cfg.defaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	p, err := program.Compile(cfg.Blueprint)
	if err != nil {
		return nil, err
	}
	if err := cfg.checkUpdates(); err != nil {
		return nil, err
	}
	c := &Cluster{cfg: cfg, app: cfg.Blueprint.App, blueprint: cfg.Blueprint, program: p, odd: map[int32]*odd{}, edges: make([]edge, len(p.Edges))}
	c.seed()
	for _, d := range p.Deadlines {
		c.deadlines = append(c.deadlines, deadlines{timeout: d, first: -1, last: -1})
	}
	c.edgesTook.Grow(len(p.Edges))
	c.endpointsTook.Grow(len(c.app.Endpoints))
	c.endpoints = make([]endpointStats, len(c.app.Endpoints))
	for i := range c.app.Endpoints {
		c.endpoints[i].firstLate = cfs.Never
		if o := c.app.Endpoints[i].Objective; o != nil {
			c.endpoints[i].objective = int64(o.Latency)
		}
	}
	if err := c.build(); err != nil {
		return nil, err
	}
	c.services = make([]service, len(c.app.Services))
	for i := range c.services {
		c.deploy(int32(i))
	}
	c.users = users.New(cfg.Seed, &c.queue, ofUsers, c.request)
	c.users.SetEndpoints(c.app.Endpoints)
	c.SetLoad(cfg.Load)
	c.nextUpdate(0)
	return c, c.foretell()
}

func (c *Cluster) seed() {
	seed := c.cfg.Seed
	c.draw = chance.NewDrawer()
	c.tracing, c.phases = chance.Purpose(seed, chance.ForTraces), chance.Purpose(seed, chance.ForPhases)
	c.routing = chance.Purpose(seed, chance.ForRouting)
	c.traces = trace.New(seed, c.cfg.TraceShare, c.cfg.Spans)
}

// deploy sets up a service with its initial allocation.
func (c *Cluster) deploy(s int32) {
	sv := &c.services[s]
	a := c.app.Services[s].Initial
	a.Settings = maps.Clone(a.Settings)
	*sv = service{def: &c.program.Services[s], name: c.app.Services[s].Name, target: a, now: a}
	for range a.Replicas {
		host, ok := c.place(s)
		if !ok {
			c.postpone(s)
			break
		}
		id := c.newReplica(s, ready, host)
		c.replicas.At(id).readySince = -1 << 62 // long warm
		if host >= 0 {
			c.hosts[host].Keep(s)
		}
		sv.ready = append(sv.ready, id)
	}
}

// App is the application.
func (c *Cluster) App() *foresail.App { return c.app }

// Offset is how much was simulated so far.
func (c *Cluster) Offset() time.Duration { return time.Duration(c.queue.Now()) }

// Now is the simulated instant: the end of the last snapshot.
func (c *Cluster) Now() time.Time { return c.instant(c.queue.Now()) }

// Events is how many events were simulated so far: a request is sent, a call comes to its service, a request leaves the
// accept queue, a thread or a disk is done, a quota period begins, an answer comes back, a wait is over.
func (c *Cluster) Events() uint64 { return c.queue.Handled() }

// Next simulates one beat and returns what was observed in it; io.EOF when the duration is over. The snapshot is the
// caller's. When ctx is done before the beat has begun, nothing is simulated.
func (c *Cluster) Next(ctx context.Context) (*foresail.Snapshot, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	start := c.queue.Now()
	if c.cfg.Duration > 0 && start >= int64(c.cfg.Duration) {
		return nil, io.EOF
	}
	end := start + int64(c.cfg.Beat)
	c.users.Until(end)
	for {
		e, ok := c.queue.Next(end)
		if !ok {
			return c.observe(start), nil
		}
		c.handle(e)
	}
}

func (c *Cluster) handle(e des.Event) {
	switch e.Kind {
	case onArrive:
		c.arrive(e.A, e.B)
	case onBegin:
		c.dequeued(e.A)
	case onCPU:
		c.look(e.A)
	case onDisk:
		c.served(e.A)
	case onAnswer:
		c.answered(e.A)
	case onRetry:
		c.ask(e.A, c.calls.At(e.A))
	case onDeadline:
		c.due(e.A)
	case onReady:
		c.started(e.A)
	case onKill:
		c.replicas.At(e.A).change = des.None
		c.kill(e.A)
	case onRefused:
		c.refusal(e.A, e.B)
	case onReport:
		c.report(e.A)
	case onDeliver:
		c.deliver(e.A)
	case onDivide:
		c.hosts[e.A].Tick()
	case onMeasure:
		c.measure(e)
	case onPlace:
		c.placeAgain()
	case onDetect:
		c.detect(e.A)
	case onUpdate:
		c.update(e.A)
	default:
		if e.Kind < ofTroubles {
			c.users.Handle(e)
			return
		}
		c.troubles.Handle(e)
		c.growEdges() // those of calls back
	}
}

var _ foresail.Cluster = (*Cluster)(nil)
