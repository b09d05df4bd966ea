package agent

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"foresail.dev/telemetry/agent/cgroup"
	"foresail.dev/telemetry/agent/queue"
	"foresail.dev/telemetry/agent/wire"
)

// Limits of looking at sockets.
const (
	freshConnections = 2 * time.Second  // what connections told is told no longer
	rediscover       = 10 * time.Second // listening sockets are listed anew at least so often; a new namespace's more often
	idleEvery        = 10               // beats between looks at accept queues where nobody works
	filesPerSecond   = 1000             // that are looked at to find out whose a socket is
	outside          = queue.NoOwner - 1
	wanted           = queue.NoOwner - 2 // its owner is being looked for
)

// spaces are the network namespaces that containers are in.
type spaces struct {
	cfg    *Config
	host   string // the node's own namespace
	all    map[string]*space
	order  []*space
	beats  int
	files  int           // looked at each second
	turn   int           // whose connections are next
	credit time.Duration // of CPU time, for looking at connections and listing sockets
	byKey  map[int]*container
	broken string // why sockets can't be looked at; empty: they can
}

// space is one namespace.
type space struct {
	*queue.Space
	name       string
	containers []*container
	opened     time.Duration
	listed     time.Duration
	looked     time.Duration // when connections were looked at; negative: never
	stale      bool          // listening sockets have gone
	unowned    bool          // some are nobody's yet
	cursor     int           // of the containers, where looking for owners goes on
	network    *container    // has the namespace's network numbers
	asked      traffic       // before accept queues were asked for
	walked     traffic       // before connections were looked at
}

func newSpaces(cfg *Config) spaces {
	s := spaces{cfg: cfg, files: filesPerSecond, all: map[string]*space{}, byKey: map[int]*container{}}
	if s.host, _ = os.Readlink(filepath.Join(cfg.Proc, "1/ns/net")); s.host == "" {
		s.host, _ = os.Readlink(filepath.Join(cfg.Proc, "self/ns/net"))
	}
	return s
}

func (s *spaces) close() {
	for _, x := range s.all {
		x.Close()
	}
	s.all, s.order = nil, nil
}

// beat asks for accept queues, and for connections as far as there is credit: where either can have changed. whole says
// that traffic was read just now.
func (s *spaces) beat(now, length time.Duration, whole bool) {
	s.beats++
	for i, x := range s.order {
		if x.idle() && !x.due(whole, (s.beats+i)%idleEvery == 0) {
			continue
		}
		gone, err := x.Backlogs()
		x.stale = x.stale || gone || err != nil
		x.asked = x.traffic()
	}
	if s.cfg.Connections > 0 && len(s.order) > 0 {
		s.connections(now, length, whole)
	}
	s.tell(now)
}

// connections looks at connections as far as there is credit, in turn. Where none can have changed since the last look,
// that one counts as of now, for nothing.
func (s *spaces) connections(now, length time.Duration, whole bool) {
	s.credit = min(s.credit+time.Duration(s.cfg.Connections*float64(length)), 50*time.Millisecond)
	if whole {
		for _, x := range s.order {
			if x.still() {
				x.looked = now
			}
		}
	}
	for n := 0; s.credit > 0 && n < len(s.order); n++ {
		s.turn = (s.turn + 1) % len(s.order)
		x := s.order[s.turn]
		if len(x.Listeners) == 0 || x.still() {
			continue
		}
		began := startWork()
		x.walked = x.traffic()
		if x.Connections() == nil {
			x.looked = now
		} else {
			x.walked = 0
		}
		s.credit -= began.took()
	}
}

// traffic is what has crossed the namespace's interfaces, as read last; 0: not known.
func (x *space) traffic() traffic {
	if x.network == nil {
		return 0
	}
	return x.network.traffic
}

// due tells whether accept queues are asked for where nobody works and nobody waits: when there was traffic, without which
// no connection comes; where that is not known, in its turn.
func (x *space) due(whole, turn bool) bool {
	if t := x.traffic(); t != 0 {
		return whole && t != x.asked
	}
	return turn
}

// still tells whether all connections are as at the last look: nothing came or went, and nobody had anything to read or
// to accept, which takes no traffic.
func (x *space) still() bool {
	t := x.traffic()
	return t != 0 && t == x.walked && x.looked >= 0 && x.Settled
}

// idle tells whether nobody there has worked in this beat, and nobody waited at the last look.
func (x *space) idle() bool {
	for _, c := range x.containers {
		if c.backlog > 0 || c.sample.Value[wire.CPU] >= int64(time.Millisecond) {
			return false
		}
	}
	return true
}

// tell sums what listening sockets told, for their owners.
func (s *spaces) tell(now time.Duration) {
	for _, x := range s.order {
		fresh := x.looked >= 0 && now-x.looked <= freshConnections
		for _, c := range x.containers {
			c.backlog, c.limit, c.unread, c.unreadBytes, c.busy = 0, 0, 0, 0, 0
			c.listening, c.connections = false, fresh
		}
		for i := range x.Listeners {
			l := &x.Listeners[i]
			c := s.byKey[l.Owner]
			if l.Owner < 0 || c == nil {
				continue
			}
			c.listening = true
			c.backlog += int64(l.Backlog)
			c.limit += int64(l.Limit)
			c.unread += int64(l.Unread)
			c.unreadBytes += int64(l.Bytes)
			c.busy += int64(l.Busy)
		}
	}
}

// second sees which namespaces there are, and whose their listening sockets are.
func (s *spaces) second(now time.Duration, containers []*container) {
	s.place(now, containers)
	budget := s.files
	for _, x := range s.order {
		every := min(max(now-x.opened, time.Second), rediscover)
		if !x.stale && !x.unowned && now-x.listed < every {
			continue
		}
		began := startWork()
		if now-x.listed >= every || x.stale {
			if s.credit <= -100*time.Millisecond && !x.stale {
				continue // many namespaces: at another second
			}
			if x.Discover() != nil {
				x.stale = true
				continue
			}
			x.listed, x.stale = now, false
			if x.Newcomers {
				x.asked, x.walked = 0, 0 // what is known is not of them
			}
		}
		s.claim(x, &budget)
		s.credit -= began.took()
	}
}

// place puts containers into the namespaces of their processes.
func (s *spaces) place(now time.Duration, containers []*container) {
	clear(s.byKey)
	for _, x := range s.order {
		x.containers = x.containers[:0]
	}
	for _, c := range containers {
		s.byKey[c.key] = c
		if !c.placed || c.age%slowest == 0 && (c.space == nil || !alive(s.cfg.Proc, c.pid)) {
			s.settle(c, now)
		}
		if c.space != nil {
			c.space.containers = append(c.space.containers, c)
		}
	}
	kept := s.order[:0]
	for _, x := range s.order {
		if len(x.containers) == 0 {
			x.Close()
			delete(s.all, x.name)
			continue
		}
		kept = append(kept, x)
		if x.name != s.host {
			x.connect(s.cfg.Proc)
		}
	}
	clear(s.order[len(kept):])
	s.order = kept
}

// alive tells whether a process is still there.
func alive(proc string, pid int) bool {
	if pid == 0 {
		return false
	}
	_, err := os.Lstat(filepath.Join(proc, strconv.Itoa(pid)))
	return err == nil
}

// settle finds a container's namespace, by a process of it.
func (s *spaces) settle(c *container, now time.Duration) {
	c.space = nil
	c.unplug()
	c.pid = first(cgroup.Procs(c.dir, 1, s.cfg.buf()))
	if c.placed = c.pid != 0; !c.placed {
		return
	}
	path := fmt.Sprintf("%s/%d/ns/net", s.cfg.Proc, c.pid)
	name, err := os.Readlink(path)
	if err != nil {
		return
	}
	x := s.all[name]
	if x == nil {
		q, err := queue.OpenSpace(path)
		if err != nil {
			s.broken = err.Error()
			return
		}
		x = &space{Space: q, name: name, opened: now, listed: now, looked: -1, unowned: true}
		s.all[name] = x
		s.order = append(s.order, x)
	}
	c.space, x.unowned = x, true
	if name == s.host || len(x.containers) > 0 {
		for i := range x.Listeners {
			if x.Listeners[i].Owner == outside {
				x.Listeners[i].Owner = queue.NoOwner // a socket that was nobody's may be the newcomer's
			}
		}
	}
}

// connect lets one container of a namespace tell the namespace's network numbers: the one that listens, or else the one
// that has used most CPU time, for as long as it is there.
func (x *space) connect(proc string) {
	best := (*container)(nil)
	for _, c := range x.containers {
		if c == x.network {
			best = c
			break
		}
		if best == nil || c.listening && !best.listening || c.listening == best.listening && c.meter.Total() > best.meter.Total() {
			best = c
		}
	}
	if best != x.network && x.network != nil {
		x.network.unplug()
	}
	x.network = best
	best.plug(proc)
}

// claim finds out whose the listening sockets of a namespace are that nobody has claimed. Looking through the files of all
// processes may take several seconds' budgets: it goes on where it stopped.
func (s *spaces) claim(x *space, budget *int) {
	if len(x.containers) == 1 && x.name != s.host {
		for i := range x.Listeners {
			x.Listeners[i].Owner = x.containers[0].key
		}
		x.unowned = false
		return
	}
	open := 0
	for i := range x.Listeners {
		l := &x.Listeners[i]
		if l.Owner >= 0 && s.byKey[l.Owner] == nil {
			l.Owner = queue.NoOwner
		}
		if l.Owner == queue.NoOwner && x.cursor == 0 {
			l.Owner = wanted
		}
		if l.Owner == wanted {
			open++
		}
	}
	for ; open > 0 && x.cursor < len(x.containers) && *budget > 0; x.cursor++ {
		c := x.containers[x.cursor]
		for _, pid := range cgroup.Procs(c.dir, 64, s.cfg.buf()) {
			*budget -= queue.Sockets(s.cfg.Proc, pid, func(inode uint32) {
				for i := range x.Listeners {
					if l := &x.Listeners[i]; l.Inode == inode && l.Owner < 0 {
						l.Owner = c.key
						open--
					}
				}
			})
		}
	}
	if open > 0 && x.cursor < len(x.containers) {
		x.unowned = true // the rest at another second
		return
	}
	x.cursor, x.unowned = 0, false
	for i := range x.Listeners {
		switch l := &x.Listeners[i]; l.Owner {
		case wanted:
			l.Owner = outside // of a process that is in no container
		case queue.NoOwner:
			x.unowned = true // it came meanwhile
		}
	}
}
