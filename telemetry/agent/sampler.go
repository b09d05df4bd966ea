package agent

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"foresail.dev"
	"foresail.dev/telemetry/agent/cgroup"
	"foresail.dev/telemetry/agent/identity"
	"foresail.dev/telemetry/agent/node"
	"foresail.dev/telemetry/agent/perf"
	"foresail.dev/telemetry/agent/report"
	"foresail.dev/telemetry/agent/wire"
)

// Config says what to look at.
type Config struct {
	Rules     identity.Rules // which control groups are whose
	Proc, Sys string         // where these file systems are mounted. Default: /proc, /sys
	// Mounts are where control groups are. Default: those of this process.
	Mounts *cgroup.Mounts
	// Connections is the share of a core that looking at all connections may take. Default: 0.002; negative: none.
	Connections float64
	// MaxContainers bounds what is looked at; more count into the node alone. Default: 1024.
	MaxContainers int
	buffer        []byte
}

func (c *Config) buf() []byte {
	if c.buffer == nil {
		c.buffer = make([]byte, cgroup.BufferSize)
	}
	return c.buffer
}

// Second is how often slow numbers are read.
const second = time.Second

// Sampler looks at a node. It is used by one goroutine at a time, and reads no clock but for what its own work takes.
type Sampler struct {
	cfg        Config
	mounts     cgroup.Mounts
	tree       *cgroup.Tree
	treeRoot   string
	node       *node.Reader
	containers []*container
	keys       int
	generation uint64
	table      *report.Table
	spaces     spaces
	rest       rest
	cpus       []int  // that cache misses are counted on; nil: they can't be
	perfRoot   string // of the hierarchy that holds perf_event
	notes      []string
	walked     time.Duration
	slow       time.Duration         // when slow numbers were read last
	again      bool                  // a group could not be identified yet
	over       int                   // containers over the bound
	known      map[string]*container // while looking for new ones
	spare      []*container
	buf        []byte
}

// walkEvery is how often the tree is walked even though nothing seems to have changed.
const walkEvery = 30 * time.Second

// NewSampler opens what the node has. It fails where control groups can't be read at all.
func NewSampler(cfg Config) (*Sampler, error) {
	if cfg.Proc == "" {
		cfg.Proc = "/proc"
	}
	if cfg.Sys == "" {
		cfg.Sys = "/sys"
	}
	if cfg.Connections == 0 {
		cfg.Connections = 0.002
	}
	if cfg.MaxContainers <= 0 {
		cfg.MaxContainers = 1024
	}
	cfg.MaxContainers = min(cfg.MaxContainers, wire.MaxContainers)
	s := &Sampler{cfg: cfg, buf: make([]byte, cgroup.BufferSize), known: map[string]*container{}, walked: -walkEvery, slow: -second}
	if cfg.Mounts != nil {
		s.mounts = *cfg.Mounts
	} else {
		m, err := cgroup.ReadMounts(filepath.Join(cfg.Proc, "self/mountinfo"))
		if err != nil {
			return nil, fmt.Errorf("where control groups are mounted: %w", err)
		}
		s.mounts = m
	}
	at, version := s.mounts.Where("cpu")
	if version == 0 {
		return nil, errors.New("no hierarchy of control groups with the cpu controller is mounted; mount /sys/fs/cgroup, in a container from the host")
	}
	if _, err := os.ReadDir(at); err != nil {
		return nil, fmt.Errorf("control groups: %w", err)
	}
	s.tree, s.treeRoot = cgroup.NewTree(at), at
	s.node = node.Open(cfg.Proc, cfg.Sys, &s.mounts)
	s.notes = append(s.notes, s.node.Notes...)
	if s.mounts.Pressure() == "" {
		s.notes = append(s.notes, "pressure of containers: control groups of version 1 keep none, and none of version 2 that do are mounted")
	}
	s.openPerf()
	s.spaces = newSpaces(&s.cfg)
	s.table = report.NewTable(&wire.Table{})
	return s, nil
}

// openPerf finds out whether cache misses can be counted for groups.
func (s *Sampler) openPerf() {
	note := func(err error) { s.notes = append(s.notes, fmt.Sprintf("cache misses: %v", err)) }
	root, version := s.mounts.Where("perf_event")
	if version == 0 && len(s.mounts.Unified) > 0 { // version 2 has it without listing it
		root, version = s.mounts.Unified[0].Point, 2
	}
	if _, of := s.mounts.Where("cpu"); version == 0 || version != of {
		note(fmt.Errorf("%w: the groups that hold processes have no perf_event controller", perf.ErrUnavailable))
		return
	}
	if err := perf.Check(perf.CacheMisses); err != nil {
		note(err)
		return
	}
	list, err := os.ReadFile(filepath.Join(s.cfg.Sys, "devices/system/cpu/online"))
	if err != nil {
		note(err)
		return
	}
	if s.cpus, err = perf.Online(string(list)); err != nil {
		note(err)
	}
	s.perfRoot = root
}

// Close closes everything.
func (s *Sampler) Close() {
	for _, c := range s.containers {
		c.close()
	}
	s.spaces.close()
	s.rest.close()
	s.tree.Close()
	s.node.Close()
}

// Notes are what is not available on this node, and why.
func (s *Sampler) Notes() []string { return s.notes }

// Memory is the node's, bytes; 0: not known.
func (s *Sampler) Memory() int64 { return s.node.MemoryTotal }

// Table is the table that the newest sample refers to.
func (s *Sampler) Table() *report.Table { return s.table }

// Containers is how many are looked at, and how many more there are.
func (s *Sampler) Containers() (seen, over int) { return len(s.containers), s.over }

// Sample looks at everything at the end of an interval of a given length: now is when it ends, on any steady clock, and
// whole that slow numbers are due. b is filled; the Sampler keeps nothing of it.
func (s *Sampler) Sample(b *wire.Beat, now, length time.Duration, whole bool) {
	b.Length = int64(length)
	b.Node = wire.Sample{}
	s.node.Beat(&b.Node, s.buf)
	gone := s.beats(now, length, whole)
	if whole {
		s.second(&b.Node, now)
	}
	s.spaces.beat(now, length, whole)
	b.Containers = b.Containers[:0]
	for i, c := range s.containers {
		if !c.seen {
			continue
		}
		c.sample.Index = uint32(i)
		c.queues()
		b.Containers = append(b.Containers, c.sample)
	}
	b.Table = s.generation
	if whole { // after the sample was written, so that it refers to the table that there was
		s.find(now, gone)
	}
}

// second reads what each second tells.
func (s *Sampler) second(n *wire.Sample, now time.Duration) {
	s.node.Second(n, s.buf)
	for _, c := range s.containers {
		c.second(s.buf, s.node.Disks)
	}
	s.slow = now
}

// find looks which containers there are.
func (s *Sampler) find(now time.Duration, gone bool) {
	due := now-s.walked >= walkEvery
	if !s.tree.Changed() && !due && !gone && !s.again {
		s.spaces.second(now, s.containers)
		return
	}
	if due {
		s.node.Refresh()
		s.tree.Forget()
	}
	s.walked, s.again, s.over = now, false, 0
	known := s.known
	clear(known)
	for _, c := range s.containers {
		if c.gone {
			c.close()
			continue
		}
		known[c.path] = c
	}
	kept := s.spare[:0]
	changed := false
	err := s.tree.Walk(func(path string) (below bool) {
		c := known[path]
		if c == nil {
			var ok bool
			if c, ok = s.open(path, now); !ok {
				return true
			}
			changed = true
		} else if c.unsure {
			changed = s.identify(c) || changed
		}
		delete(known, path)
		if len(kept) == s.cfg.MaxContainers {
			s.over++
			c.close()
			return false
		}
		kept = append(kept, c)
		return false
	})
	if err != nil && len(kept) == 0 {
		return // what was there is there still, as far as is known
	}
	for _, c := range known {
		c.close()
		changed = true
	}
	if changed || len(kept) != len(s.containers) {
		s.containers, s.spare = kept, s.containers
		s.number()
		s.rest.below(&s.mounts, s.containers)
	}
	s.spaces.second(now, s.containers)
}

// open makes a container of a group, where it is one.
func (s *Sampler) open(path string, now time.Duration) (*container, bool) {
	c := &container{path: path, memory: -1}
	if !s.identifies(c) {
		return nil, false
	}
	if c.pid == 0 {
		c.pid = first(cgroup.Procs(s.dir(c), 1, s.buf))
		s.date(c)
	}
	group, err := s.mounts.OpenGroup(path)
	if err != nil {
		return nil, false
	}
	stats, err := group.CPU(s.buf, -1)
	if err != nil {
		group.Close()
		return nil, false
	}
	s.keys++
	c.key, c.group, c.meter, c.cores = s.keys, group, cgroup.StartMeter(stats, now), group.Cores(s.buf)
	c.slow(s.buf, s.node.Disks, nil)
	c.age = s.keys // what it counted so far is not of the second to come
	if len(s.cpus) > 0 {
		if c.perf, err = perf.OpenGroup(filepath.Join(s.perfRoot, path), s.cpus, perf.CacheMisses); err == nil {
			c.perf.Next()
		}
	}
	return c, true
}

// identifies says what a group is; false: no container, as far as can be told.
func (s *Sampler) identifies(c *container) bool {
	what, ok, again := s.cfg.Rules.Identify(c.path, func() []byte {
		if c.pid == 0 {
			c.pid = first(cgroup.Procs(s.dir(c), 1, s.buf))
		}
		if c.pid == 0 {
			return nil
		}
		return identity.Environ(s.cfg.Proc, c.pid)
	})
	s.again = s.again || again
	what.Started = c.what.Started
	c.what, c.unsure = what, again
	s.date(c)
	return ok
}

// dir is where a group's processes are listed.
func (s *Sampler) dir(c *container) string {
	if c.dir == "" {
		c.dir = filepath.Join(s.treeRoot, c.path)
	}
	return c.dir
}

// date finds out when a container started, where that is not known.
func (s *Sampler) date(c *container) {
	if c.what.Started == 0 && c.pid != 0 {
		c.what.Started = s.node.Started(c.pid, s.buf)
	}
}

// identify looks once more; true when it found something else than before.
func (s *Sampler) identify(c *container) bool {
	before := c.what
	return s.identifies(c) && c.what != before
}

// number makes the table of the containers that there are.
func (s *Sampler) number() {
	s.generation++
	t := &wire.Table{Generation: s.generation, Containers: make([]wire.Container, len(s.containers))}
	for i, c := range s.containers {
		t.Containers[i] = c.what
	}
	s.table = report.NewTable(t)
}

func first(pids []int) int {
	if len(pids) == 0 {
		return 0
	}
	return pids[0]
}

// signals that a container has where its groups have the numbers.
const beatSignals = foresail.SignalCPU | foresail.SignalThrottled
