package receive

import (
	"fmt"
	"sync"

	"foresail.dev"
	"foresail.dev/telemetry/agent/wire"
	"foresail.dev/telemetry/frames"
)

// Receiver holds what agents reported until snapshots take it. Any goroutine may use it.
type Receiver struct {
	mu         sync.Mutex
	cfg        Config
	nodes      map[string]*node
	containers int // in all tables
	cells      map[int64]*cell
	samples    int   // in all cells
	cut        int64 // beats before it are in snapshots
	started    bool  // there was a cut
	stats      Stats
	app        *foresail.App  // that index is of
	index      map[string]int // services by name
}

// node is what is known of one node.
type node struct {
	name     string
	instance uint64
	streams  uint64 // how many streams it had: the newest is its own
	seq      uint64 // newest beat
	dropped  uint64 // beats that its agent gave up, as told last
	clock    clock
	table    *table
	newest   int64 // newest beat's place
	memory   held
	end      func() // ends the stream that reports it
}

// table is a node's containers.
type table struct {
	generation uint64
	containers []wire.Container
	memory     []held
	replicas   []string // names, with which they are told
	services   []string
	ids        []int32 // numbers of the services in app; -1: none
	app        *foresail.App
	at         int64 // of the cut when they were found
	open       bool  // some are not known yet, and may be later
}

// held is memory as told last.
type held struct {
	bytes int64
	at    int64 // nanoseconds, by the agent's clock; 0: never
}

// cell is what was reported of one beat.
type cell struct {
	reports []*reported
	told    map[int]bool // services whose sum is in a snapshot
	fresh   bool         // there are reports that no snapshot has
	pending bool         // there are services whose sum can't be told yet
}

// reported is one node's part of a cell.
type reported struct {
	node    *node
	table   *table
	sample  wire.Sample
	samples []wire.Sample
	taken   bool // by a snapshot
}

// New makes a Receiver.
func New(cfg Config) *Receiver {
	cfg.complete()
	return &Receiver{cfg: cfg, nodes: map[string]*node{}, cells: map[int64]*cell{}}
}

// Stats are the counts so far.
func (r *Receiver) Stats() Stats {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.stats
	s.Containers = r.containers
	for _, n := range r.nodes {
		if n.end != nil {
			s.Nodes++
		}
		if n.clock.offset != 0 {
			s.Corrected++
		}
	}
	return s
}

// session is one stream.
type session struct {
	r      *Receiver
	node   *node
	stream uint64
}

// open begins a stream with its first message.
func (r *Receiver) open(h *wire.Hello, end func()) (*session, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if h.Version != wire.Version {
		r.stats.Refused++
		return nil, fmt.Errorf("the agent speaks version %d, this daemon %d: use the same release", h.Version, wire.Version)
	}
	n := r.nodes[h.Node]
	if n == nil {
		r.forget()
		if len(r.nodes) >= r.cfg.MaxNodes {
			r.stats.Refused++
			return nil, fmt.Errorf("%d nodes report already, which is the limit", len(r.nodes))
		}
		n = &node{name: h.Node, newest: max(r.cut, r.cfg.Now().UnixNano()/int64(beat))}
		r.nodes[h.Node] = n
	}
	if n.end != nil {
		n.end()
		r.stats.Replaced++
	}
	if n.instance != h.Instance { // another life of the agent
		n.instance, n.seq, n.dropped, n.clock, n.memory = h.Instance, 0, 0, clock{}, held{}
		r.setTable(n, nil)
	}
	n.streams++
	n.end = end
	return &session{r, n, n.streams}, nil
}

// forget gives up nodes that no stream reports and that were not heard of for long.
func (r *Receiver) forget() {
	for name, n := range r.nodes {
		if n.end == nil && r.cut-n.newest > forgotten {
			r.setTable(n, nil)
			delete(r.nodes, name)
		}
	}
}

// close ends a stream. What it reported stays.
func (s *session) close() {
	s.r.mu.Lock()
	defer s.r.mu.Unlock()
	if s.node.streams == s.stream {
		s.node.end = nil
	}
}

// own tells whether the node's newest stream is this one. mu is held.
func (s *session) own() bool { return s.node.streams == s.stream }

// setTable replaces a node's table, within the bound over all nodes.
func (r *Receiver) setTable(n *node, t *wire.Table) {
	old := n.table
	if old != nil {
		r.containers -= len(old.containers)
	}
	n.table = nil
	if t == nil {
		return
	}
	cs := t.Containers
	if room := max(r.cfg.MaxContainers-r.containers, 0); len(cs) > room {
		r.stats.Limit += uint64(len(cs) - room)
		cs = cs[:room]
	}
	r.containers += len(cs)
	x := &table{generation: t.Generation, containers: cs, memory: make([]held, len(cs)), replicas: make([]string, len(cs)), services: make([]string, len(cs))}
	last := map[string]held{}
	if old != nil {
		for i := range old.containers {
			last[old.containers[i].ID] = old.memory[i]
		}
	}
	for i := range cs {
		x.memory[i] = last[cs[i].ID]
		x.services[i], x.replicas[i] = cs[i].Service, cs[i].Replica
	}
	n.table = x
}

// take takes a frame after the first. seq is the beat that it completes; 0: none.
func (s *session) take(f *wire.Frame) (seq uint64, err error) {
	r := s.r
	received := r.cfg.Now().UnixNano()
	r.mu.Lock()
	defer r.mu.Unlock()
	if !s.own() {
		return 0, errReplaced
	}
	switch {
	case f.Table != nil:
		r.setTable(s.node, f.Table)
		return 0, nil
	case f.Beat == nil:
		return 0, fmt.Errorf("%w: a second hello", frames.ErrMalformed)
	}
	b := f.Beat
	n := s.node
	if n.table == nil || n.table.generation != b.Table {
		return 0, fmt.Errorf("%w: a beat of a table that was not sent", frames.ErrMalformed)
	}
	if b.Seq <= n.seq {
		r.stats.Duplicate++
		return n.seq, nil
	}
	if n.seq > 0 {
		r.stats.Lost += b.Seq - n.seq - 1
	}
	if b.Dropped > n.dropped {
		r.stats.Dropped += b.Dropped - n.dropped
		n.dropped = b.Dropped
	}
	n.seq = b.Seq
	n.clock.observe(received, f.Sent)
	r.place(n, b, received)
	return b.Seq, nil
}

// place puts a beat into its cells.
func (r *Receiver) place(n *node, b *wire.Beat, received int64) {
	r.hold(n, b)
	last := cellOf(b.Start + b.Length + n.clock.offset - int64(beat))
	now := received / int64(beat)
	if r.started {
		now = max(now, r.cut)
	}
	if last > now+ahead {
		r.stats.Ahead++
		return
	}
	r.stats.Beats++
	n.newest = max(n.newest, last)
	parts := max((b.Length+int64(beat)/2)/int64(beat), 1)
	late := false
	for k := range parts {
		at := last - parts + 1 + k
		if r.started && at < r.cut-revisions || !r.started && at < now-revisions {
			r.stats.TooLate++
			continue
		}
		late = late || r.started && at < r.cut
		r.put(n, at, b, k, parts)
	}
	if late {
		r.stats.Late++
	}
}

// cellOf is the beat that an instant is nearest to the start of.
func cellOf(t int64) int64 { return (t + int64(beat)/2) / int64(beat) }

// put puts a share of a beat into a cell. Two beats that a change of the clock's correction put into one are joined.
func (r *Receiver) put(n *node, at int64, b *wire.Beat, k, parts int64) {
	c := r.cells[at]
	if c == nil {
		if len(r.cells) >= maxCells { // nobody has cut for long
			for i, c := range r.cells {
				if i < at-maxCells/2 {
					r.drop(i, c)
				}
			}
		}
		c = &cell{}
		r.cells[at] = c
	}
	count := min(len(b.Containers), len(n.table.containers))
	if r.samples+count > r.cfg.MaxSamples {
		r.stats.Limit += uint64(count)
		count = 0
	}
	for _, x := range c.reports {
		if x.node == n {
			if !x.taken && x.table == n.table {
				x.join(b, k, parts)
			}
			return
		}
	}
	x := &reported{node: n, table: n.table, sample: share(&b.Node, k, parts, b.Length)}
	x.samples = make([]wire.Sample, 0, count)
	for i := range b.Containers {
		if s := &b.Containers[i]; len(x.samples) < count && int(s.Index) < len(n.table.containers) {
			x.samples = append(x.samples, share(s, k, parts, b.Length))
		}
	}
	r.samples += len(x.samples)
	c.reports = append(c.reports, x)
	c.fresh = true
}

// hold tells memory again in beats that did not read it.
func (r *Receiver) hold(n *node, b *wire.Beat) {
	end := b.Start + b.Length
	again := func(s *wire.Sample, h *held) {
		switch {
		case s.Has.Has(foresail.SignalMemory):
			*h = held{s.Value[wire.Memory], end}
		case h.at != 0 && end-h.at <= heldMemory && end >= h.at:
			s.Has |= foresail.SignalMemory
			s.Value[wire.Memory] = h.bytes
		}
	}
	again(&b.Node, &n.memory)
	for i := range b.Containers {
		if s := &b.Containers[i]; int(s.Index) < len(n.table.memory) {
			again(s, &n.table.memory[s.Index])
		}
	}
}
