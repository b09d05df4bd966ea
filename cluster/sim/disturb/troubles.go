package disturb

import (
	"slices"
	"strings"
	"time"

	"foresail.dev"
	"foresail.dev/cluster/sim/chance"
	"foresail.dev/cluster/sim/des"
	"foresail.dev/cluster/sim/host"
	"foresail.dev/cluster/sim/node"
	"foresail.dev/cluster/sim/program"
	"foresail.dev/cluster/sim/users"
	"foresail.dev/fault"
)

// The kinds of events, counted from Config.First.
const (
	onFault  uint8 = iota // A: a fault begins
	onRelief              // A: a fault ends
	onUnlock              // A: a replica of which a lock is given back; B: the fault
	onPause               // A: a replica whose threads stop or go on; B: the fault
	onFull                // A: a replica whose memory may be used up
)

// Troubles is what goes wrong in a simulation, in the order in which it begins. Only the next fault has an event, so that
// what lies ahead costs nothing. The zero value is a simulation in which nothing goes wrong.
type Troubles struct {
	cfg     Config
	app     *foresail.App
	program *program.Program
	list    []trouble
	begun   int32
	ongoing []int32   // of those, the ones that have not ended
	roads   int       // ongoing faults on messages
	edges   []float64 // by edge: share of messages lost; nil: none is
}

// trouble is one fault.
type trouble struct {
	fault.Fault
	service int32 // whose replicas it hits; -1: not replicas
	op      int32 // of the service, by its index there; -1: all
	edge    int32
	call    int32   // back, that a blocking cycle makes
	presses []int32 // hosts
	hits    []int32 // replicas, as long as they are there
	rnd     chance.Stream
}

// Config is what goes wrong, and where.
type Config struct {
	Faults     []fault.Fault // in the order in which they begin
	Seed       uint64
	Simulation Simulation
	Users      *users.Users
	Hosts      []*host.Host // nil: there are no nodes
	NodeCores  int          // of a machine that a replica has for itself

	Queue *des.Queue
	First uint8     // the first of the kinds of events that are handed to Handle
	Start time.Time // the instant of offset 0
	// Tell is told what faults do, when they do it; nil: nobody is.
	Tell func(fault.Truth)
}

// New waits for the first fault.
func New(cfg Config, app *foresail.App, p *program.Program) Troubles {
	t := Troubles{cfg: cfg, app: app, program: p}
	rnd := chance.Purpose(cfg.Seed, chance.ForFaults)
	for _, f := range cfg.Faults {
		t.list = append(t.list, trouble{Fault: f, service: -1, op: -1, edge: -1, rnd: rnd.Split()})
	}
	t.next()
	return t
}

// SetApplication makes the application another.
func (t *Troubles) SetApplication(app *foresail.App, p *program.Program) { t.app, t.program = app, p }

// Any reports whether a fault goes on.
func (t *Troubles) Any() bool { return len(t.ongoing) > 0 }

// OnMessages reports whether a fault goes on that delays messages otherwise than on a node's link: see Astray.
func (t *Troubles) OnMessages() bool { return t.roads > 0 }

// Handle is what happens at an event of a fault's. The program may have more edges afterwards.
func (t *Troubles) Handle(e des.Event) {
	switch e.Kind - t.cfg.First {
	case onFault:
		t.strike(e.A)
	case onRelief:
		t.relieve(e.A)
	case onUnlock:
		t.unlocked(e.A, int32(e.B))
	case onPause:
		t.pause(e.A, int32(e.B))
	case onFull:
		t.filled(e.A)
	}
}

// at schedules an event.
func (t *Troubles) at(instant int64, kind uint8, a, b int32) des.Handle {
	return t.cfg.Queue.At(instant, des.Event{Kind: t.cfg.First + kind, A: a, B: uint32(b)})
}

func (t *Troubles) now() int64 { return t.cfg.Queue.Now() }

func (t *Troubles) next() {
	if int(t.begun) < len(t.list) {
		t.at(max(int64(t.list[t.begun].At), t.now()), onFault, t.begun, 0)
	}
}

// strike begins a fault.
func (t *Troubles) strike(i int32) {
	f := &t.list[i]
	t.begun++
	t.ongoing = append(t.ongoing, i)
	t.aim(f)
	switch {
	case f.Kind == fault.LoadSpike:
		t.cfg.Users.Spike(f.Amount, &f.rnd)
	case f.Kind == fault.NodeLost:
		t.cfg.Simulation.SetDown(t.hostByName(f.Node), true)
	case len(f.presses) > 0:
		for _, h := range f.presses {
			t.cfg.Hosts[h].Press(pressed[f.Kind], share(&f.Fault))
		}
	case f.Kind == fault.BadRelease:
		bad := *t.cfg.Simulation.Version(f.service) // replicas are hit as they come
		bad.Bad, bad.Good = i+1, t.cfg.Simulation.Version(f.service)
		t.cfg.Simulation.RollOut(f.service, &bad)
	case f.Kind == fault.PacketLoss && f.edge >= 0:
		t.edges = append(t.edges, make([]float64, len(t.program.Edges)-len(t.edges))...)
		t.edges[f.edge] = f.Amount
	default:
		for _, id := range t.chosen(f) {
			t.hit(i, id)
		}
	}
	if f.onMessages() {
		t.roads++
	}
	if end, ends := f.End(); ends {
		t.at(int64(end), onRelief, i, 0)
	}
	t.tell(i, f, fault.Begins)
	t.next()
}

// relieve ends a fault.
func (t *Troubles) relieve(i int32) {
	f := &t.list[i]
	t.ongoing = slices.DeleteFunc(t.ongoing, func(k int32) bool { return k == i })
	if f.onMessages() {
		t.roads--
	}
	t.tell(i, f, fault.Ends)
	switch {
	case f.Kind == fault.LoadSpike:
		t.cfg.Users.EndSpike()
	case f.Kind == fault.NodeLost:
		t.cfg.Simulation.SetDown(t.hostByName(f.Node), false)
	case len(f.presses) > 0:
		for _, h := range f.presses {
			t.cfg.Hosts[h].Press(pressed[f.Kind], -share(&f.Fault))
		}
	case f.Kind == fault.BadRelease:
		t.rollBack(i, f)
	case f.Kind == fault.PacketLoss && f.edge >= 0:
		t.edges[f.edge] = 0
	}
	for len(f.hits) > 0 {
		t.spare(i, f.hits[len(f.hits)-1])
	}
	if f.Kind == fault.BlockingCycle {
		t.cfg.Simulation.GiveUp(f.call) // their requests fail and go
	}
}

// rollBack rolls back to the version before, unless an update has replaced the bad one already. Replicas of the bad version
// stay bad until they go.
func (t *Troubles) rollBack(i int32, f *trouble) {
	f.hits = nil
	if v := t.cfg.Simulation.Version(f.service); v.Bad == i+1 {
		t.cfg.Simulation.RollOut(f.service, v.Good)
	}
}

// pressed is what a fault on a node takes of it.
var pressed = map[fault.Kind]node.Resource{
	fault.CPUContention: node.CPU, fault.CacheContention: node.Cache, fault.MemoryContention: node.MemoryBandwidth,
	fault.NetworkContention: node.Network, fault.DiskContention: node.Disk, fault.SlowDisk: node.Disk, fault.PacketLoss: node.Loss,
}

// share is the share of a node's resource that is gone: a disk of which so much is left takes Amount times as long.
func share(f *fault.Fault) float64 {
	if f.Kind == fault.SlowDisk {
		return 1 - 1/f.Amount
	}
	return f.Amount
}

// onMessages reports whether a fault delays messages here, rather than on a node's link.
func (f *trouble) onMessages() bool {
	return len(f.presses) == 0 && (f.Kind == fault.PacketLoss || f.Kind == fault.NetworkContention)
}

// tell tells what was injected to whoever evaluates, and to nobody else.
func (t *Troubles) tell(i int32, f *trouble, what fault.Moment, replicas ...string) {
	if t.cfg.Tell == nil {
		return
	}
	if replicas == nil {
		for _, id := range f.hits {
			replicas = append(replicas, t.cfg.Simulation.Replica(id).Name)
		}
		slices.SortFunc(replicas, strings.Compare)
	}
	e := fault.Truth{At: t.cfg.Start.Add(time.Duration(t.now())), Moment: what, Number: int(i), Fault: f.Fault, Replicas: replicas}
	for _, h := range f.presses {
		e.Nodes = append(e.Nodes, t.cfg.Hosts[h].Node.Name)
	}
	t.cfg.Tell(e)
}
