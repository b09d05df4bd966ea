package sim

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"foresail.dev/cluster/sim/chance"
	"foresail.dev/cluster/sim/des"
	"foresail.dev/cluster/sim/node"
	"foresail.dev/cluster/sim/program"
	"foresail.dev/fault"
)

// troubles is what goes wrong in a simulation, in the order in which it begins. Only the next fault has an event, so that
// what lies ahead costs nothing.
type troubles struct {
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
	def     int32   // of the call back that a blocking cycle makes
	presses []int32 // hosts
	hits    []int32 // replicas, as long as they are there
	rnd     chance.Stream
}

// World is what faults are aimed at in a simulation of this configuration: see fault.Schedule.CheckIn.
func (c *Config) World() *fault.World {
	w := &fault.World{Duration: c.Duration, Versions: []fault.Version{{Blueprint: c.Blueprint}}}
	for _, u := range c.Updates {
		w.Versions = append(w.Versions, fault.Version{At: u.At, Blueprint: u.Blueprint})
	}
	for i := range c.Nodes {
		w.Nodes = append(w.Nodes, c.Nodes[i].Name)
	}
	return w
}

// foretell draws all faults of the run.
func (c *Cluster) foretell() error {
	all, err := c.cfg.Faults.Draw(c.cfg.Seed, c.cfg.World())
	if err != nil {
		return fmt.Errorf("sim: faults: %w", err)
	}
	rnd := chance.Purpose(c.cfg.Seed, chance.ForFaults)
	for _, f := range all {
		c.troubles.list = append(c.troubles.list, trouble{Fault: f, service: -1, op: -1, edge: -1, rnd: rnd.Split()})
	}
	c.nextFault()
	return nil
}

func (c *Cluster) nextFault() {
	if t := &c.troubles; int(t.begun) < len(t.list) {
		c.queue.At(max(int64(t.list[t.begun].At), c.queue.Now()), des.Event{Kind: onFault, A: t.begun})
	}
}

// strike begins a fault.
func (c *Cluster) strike(i int32) {
	t := &c.troubles.list[i]
	c.troubles.begun++
	c.troubles.ongoing = append(c.troubles.ongoing, i)
	c.aim(t)
	switch {
	case t.Kind == fault.LoadSpike:
		c.users.Spike(t.Amount, &t.rnd)
	case t.Kind == fault.NodeLost:
		c.loseNode(c.hostByName(t.Node))
	case len(t.presses) > 0:
		for _, h := range t.presses {
			c.press(h, pressed[t.Kind], share(&t.Fault))
		}
	case t.Kind == fault.BadRelease:
		c.releaseBad(i, t)
	case t.Kind == fault.PacketLoss && t.edge >= 0:
		if c.troubles.edges == nil {
			c.troubles.edges = make([]float64, len(c.edges))
		}
		c.troubles.edges[t.edge] = t.Amount
	default:
		for _, id := range c.chosen(t) {
			c.hit(i, id)
		}
	}
	if t.onMessages() {
		c.troubles.roads++
	}
	if end, ends := t.End(); ends {
		c.queue.At(int64(end), des.Event{Kind: onRelief, A: i})
	}
	c.tellTruth(i, t, fault.Begins)
	c.nextFault()
}

// relieve ends a fault.
func (c *Cluster) relieve(i int32) {
	t := &c.troubles.list[i]
	c.troubles.ongoing = slices.DeleteFunc(c.troubles.ongoing, func(k int32) bool { return k == i })
	if t.onMessages() {
		c.troubles.roads--
	}
	c.tellTruth(i, t, fault.Ends)
	switch {
	case t.Kind == fault.LoadSpike:
		c.users.EndSpike()
	case t.Kind == fault.NodeLost:
		c.returnNode(c.hostByName(t.Node))
	case len(t.presses) > 0:
		for _, h := range t.presses {
			c.press(h, pressed[t.Kind], -share(&t.Fault))
		}
	case t.Kind == fault.BadRelease:
		c.rollBack(i, t)
	case t.Kind == fault.PacketLoss && t.edge >= 0:
		c.troubles.edges[t.edge] = 0
	}
	for len(t.hits) > 0 {
		c.spare(i, t.hits[len(t.hits)-1])
	}
	if t.Kind == fault.BlockingCycle {
		c.endCycle(t)
	}
}

// aim finds what a fault hits, by the names that there are when it begins.
func (c *Cluster) aim(t *trouble) {
	byName := func(name string) int32 {
		id, ok := c.app.ServiceByName(name)
		if !ok {
			return -1
		}
		return int32(id)
	}
	t.service = byName(t.ServiceName())
	if t.Operation != "" {
		t.op = int32(slices.IndexFunc(c.opsOf(t.service), func(op program.Operation) bool { return op.Name == t.Operation }))
	}
	if t.From != "" {
		t.edge = c.program.EdgeBetween(byName(t.From), byName(t.To))
		if t.Kind == fault.BlockingCycle {
			t.service = byName(t.To)
			t.def = c.callBack(t, byName(t.From))
		}
	}
	switch {
	case t.Kind == fault.NodeLost:
	case t.Node != "":
		t.presses = []int32{c.hostByName(t.Node)}
	case t.Kind.Contention() && len(c.hosts) > 0: // the nodes of the replicas that there are now
		for _, id := range c.chosen(t) {
			if h := c.replicas.At(id).host; !slices.Contains(t.presses, h) {
				t.presses = append(t.presses, h)
			}
		}
	}
}

// chosen lists the replicas that a fault hits when it begins.
func (c *Cluster) chosen(t *trouble) []int32 {
	var out []int32
	for _, id := range c.services[t.service].replicas {
		if r := c.replicas.At(id); r.phase <= ready && (t.Replica == "" || t.Replica == r.name) {
			out = append(out, id)
		}
	}
	if t.Share == 0 {
		return out
	}
	rnd := t.rnd
	for i := range out { // the first of a random order
		k := i + int(rnd.Float()*float64(len(out)-i))
		out[i], out[k] = out[k], out[i]
	}
	return out[:int(ceil(t.Share*float64(len(out))))]
}

// join lets a replica that is new be hit by what goes on.
func (c *Cluster) join(id int32, r *replica) {
	for _, i := range c.troubles.ongoing {
		t := &c.troubles.list[i]
		if t.service != r.service || len(t.presses) > 0 || t.Replica != "" {
			continue
		}
		if t.Kind == fault.BadRelease && c.services[r.service].def.Bad != i+1 {
			continue
		}
		if alive := float64(c.alive(&c.services[t.service])); t.Share > 0 && float64(len(t.hits)) >= ceil(t.Share*alive) {
			continue
		}
		c.hit(i, id)
		c.tellTruth(i, t, fault.Spreads, r.name)
	}
}

func (c *Cluster) alive(sv *service) (n int) {
	for _, id := range sv.replicas {
		if c.replicas.At(id).phase <= ready {
			n++
		}
	}
	return n
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
func (t *trouble) onMessages() bool {
	return len(t.presses) == 0 && (t.Kind == fault.PacketLoss || t.Kind == fault.NetworkContention)
}

// tellTruth tells what was injected to whoever evaluates, and to nobody else.
func (c *Cluster) tellTruth(i int32, t *trouble, what fault.Moment, replicas ...string) {
	if c.cfg.Truth == nil {
		return
	}
	if replicas == nil {
		for _, id := range t.hits {
			replicas = append(replicas, c.replicas.At(id).name)
		}
		slices.SortFunc(replicas, strings.Compare)
	}
	e := fault.Truth{At: c.instant(c.queue.Now()), Moment: what, Number: int(i), Fault: t.Fault, Replicas: replicas}
	for _, h := range t.presses {
		e.Nodes = append(e.Nodes, c.rooms[h].Node.Name)
	}
	c.cfg.Truth(e)
}

// tellUpdate tells of an update.
func (c *Cluster) tellUpdate(at time.Duration, services []string) {
	if c.cfg.Truth != nil {
		c.cfg.Truth(fault.Truth{At: c.instant(int64(at)), Moment: fault.Updates, Services: services, Generation: c.app.Generation})
	}
}
