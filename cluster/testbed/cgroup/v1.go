package cgroup

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	groups "foresail.dev/telemetry/agent/cgroup"
)

// v1tree is cgroup version 1: a mount point for each controller. Memory and blkio are optional, and cpu and cpuacct are often
// the same one. Where version 2 is mounted as well, without controllers, groups are made there too: it keeps their pressure.
type v1tree struct {
	cpu, cpuacct, memory string
	blkio, pressure      string // for whoever observes: nothing is limited there
	mkdir                func(string) error
}

func (t *v1tree) Version() int { return 1 }

func (t *v1tree) Memory() error {
	if t.memory == "" {
		return fmt.Errorf("%w: the memory controller of cgroup v1 is not mounted, and the application limits memory; mount it", ErrUnavailable)
	}
	return nil
}

func (t *v1tree) Dirs(name string) []string {
	var dirs []string
	for _, m := range []string{t.cpu, t.cpuacct, t.memory, t.blkio, t.pressure} {
		if d := filepath.Join(m, name); m != "" && !slices.Contains(dirs, d) {
			dirs = append(dirs, d)
		}
	}
	return dirs
}

func (t *v1tree) Prepare(parent string) error { return prepare(t.Dirs(parent), t.mkdir) }

// Favour is Group.Favour of the parent.
func (t *v1tree) Favour(parent string) error {
	return (&v1group{tree: t, name: parent}).Favour()
}

func (t *v1tree) Make(name string) (Group, error) {
	g := &v1group{tree: t, name: name, dirs: t.Dirs(name)}
	for _, d := range g.dirs {
		if err := t.mkdir(d); err != nil {
			return nil, errors.Join(err, g.Remove())
		}
	}
	if err := g.open(); err != nil {
		return nil, errors.Join(err, g.Remove())
	}
	return g, nil
}

type v1group struct {
	tree               *v1tree
	name               string
	dirs               []string
	usage, stat, bytes *reader
}

func (g *v1group) open() (err error) {
	if g.usage, err = open(filepath.Join(g.tree.cpuacct, g.name, "cpuacct.usage")); err != nil {
		return err
	}
	if g.stat, err = open(filepath.Join(g.tree.cpu, g.name, "cpu.stat")); err != nil || g.tree.memory == "" {
		return err
	}
	g.bytes, err = open(filepath.Join(g.tree.memory, g.name, "memory.usage_in_bytes"))
	return err
}

func (g *v1group) Add(pid int) error {
	for _, d := range g.dirs {
		if err := write(filepath.Join(d, "cgroup.procs"), strconv.Itoa(pid)); err != nil {
			return err
		}
	}
	return nil
}

func (g *v1group) SetCPU(cores float64) (Written, error) {
	us, err := micros(cores)
	if err != nil {
		return Written{}, err
	}
	dir := filepath.Join(g.tree.cpu, g.name)
	period := strconv.FormatInt(Period.Microseconds(), 10)
	if _, err := confirm(filepath.Join(dir, "cpu.cfs_period_us"), period, same(period)); err != nil {
		return Written{}, err
	}
	quota := strconv.FormatInt(us, 10)
	return confirm(filepath.Join(dir, "cpu.cfs_quota_us"), quota, same(quota))
}

// Favour gives the group the largest weight that the kernel takes: 256 times that of a sibling.
func (g *v1group) Favour() error {
	return write(filepath.Join(g.tree.cpu, g.name, "cpu.shares"), "262144")
}

func (g *v1group) SetMemory(bytes int64) (Written, error) {
	path := filepath.Join(g.tree.memory, g.name, "memory.limit_in_bytes")
	switch {
	case g.tree.memory == "" && bytes == 0:
		return Written{}, nil
	case g.tree.memory == "":
		return Written{}, g.tree.Memory()
	case bytes == 0:
		return confirm(path, "-1", func(string) bool { return true })
	}
	return confirm(path, strconv.FormatInt(bytes, 10), about(bytes))
}

func (g *v1group) Read() (Stats, error) {
	s := Stats{Memory: -1}
	used, err := g.usage.number()
	if err != nil {
		return s, err
	}
	s.CPU = time.Duration(used)
	text, err := g.stat.text()
	if err != nil {
		return s, err
	}
	s.Limited, _ = groups.Value(text, "nr_throttled")
	waited, _ := groups.Value(text, "throttled_time")
	if s.Throttled = time.Duration(waited); g.bytes == nil {
		return s, nil
	}
	s.Memory, err = g.bytes.number()
	return s, err
}

func (g *v1group) Remove() error {
	closeAll(g.usage, g.stat, g.bytes)
	return Destroy(g.dirs, removeLimit)
}
