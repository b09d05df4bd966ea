package cgroup

import (
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"time"

	groups "foresail.dev/telemetry/agent/cgroup"
)

// v2 is cgroup version 2: one tree.
type v2 struct {
	root   string
	memory bool
	mkdir  func(string) error
}

func (t *v2) Version() int { return 2 }

func (t *v2) Memory() error {
	if !t.memory {
		return fmt.Errorf("%w: the memory controller is not among those of %s (cgroup v2), and the application limits memory; enable it there", ErrUnavailable, t.root)
	}
	return nil
}

func (t *v2) Dirs(name string) []string { return []string{filepath.Join(t.root, name)} }

// Prepare also hands the controllers down: a child has those alone that its parent lists.
func (t *v2) Prepare(parent string) error {
	down := "+cpu"
	if t.memory {
		down += " +memory"
	}
	if err := write(filepath.Join(t.root, "cgroup.subtree_control"), down); err != nil {
		return fmt.Errorf("%w: can't hand the cpu controller down from %s: %w; run as root, outside a container's own cgroup", ErrUnavailable, t.root, err)
	}
	if err := prepare(t.Dirs(parent), t.mkdir); err != nil {
		return err
	}
	if err := write(filepath.Join(t.root, parent, "cgroup.subtree_control"), down); err != nil {
		return errors.Join(fmt.Errorf("%w: %w", ErrUnavailable, err), Destroy(t.Dirs(parent), removeLimit))
	}
	return nil
}

// Favour is Group.Favour of the parent.
func (t *v2) Favour(parent string) error {
	return (&v2group{tree: t, dir: filepath.Join(t.root, parent)}).Favour()
}

func (t *v2) Make(name string) (Group, error) {
	g := &v2group{tree: t, dir: filepath.Join(t.root, name)}
	if err := t.mkdir(g.dir); err != nil {
		return nil, err
	}
	if err := g.open(); err != nil {
		return nil, errors.Join(err, g.Remove())
	}
	return g, nil
}

type v2group struct {
	tree        *v2
	dir         string
	stat, bytes *reader
}

func (g *v2group) open() (err error) {
	if g.stat, err = open(filepath.Join(g.dir, "cpu.stat")); err != nil || !g.tree.memory {
		return err
	}
	g.bytes, err = open(filepath.Join(g.dir, "memory.current"))
	return err
}

func (g *v2group) Add(pid int) error {
	return write(filepath.Join(g.dir, "cgroup.procs"), strconv.Itoa(pid))
}

func (g *v2group) SetCPU(cores float64) (Written, error) {
	us, err := micros(cores)
	if err != nil {
		return Written{}, err
	}
	value := fmt.Sprintf("%d %d", us, Period.Microseconds())
	return confirm(filepath.Join(g.dir, "cpu.max"), value, same(value))
}

// Favour gives the group the largest weight that the kernel takes: 100 times that of a sibling.
func (g *v2group) Favour() error { return write(filepath.Join(g.dir, "cpu.weight"), "10000") }

func (g *v2group) SetMemory(bytes int64) (Written, error) {
	path := filepath.Join(g.dir, "memory.max")
	switch {
	case !g.tree.memory && bytes == 0:
		return Written{}, nil
	case !g.tree.memory:
		return Written{}, g.tree.Memory()
	case bytes == 0:
		return confirm(path, "max", same("max"))
	}
	return confirm(path, strconv.FormatInt(bytes, 10), about(bytes))
}

func (g *v2group) Read() (Stats, error) {
	s := Stats{Memory: -1}
	text, err := g.stat.text()
	if err != nil {
		return s, err
	}
	used, _ := groups.Value(text, "usage_usec")
	s.Limited, _ = groups.Value(text, "nr_throttled")
	waited, _ := groups.Value(text, "throttled_usec")
	s.CPU, s.Throttled = time.Duration(used)*time.Microsecond, time.Duration(waited)*time.Microsecond
	if g.bytes == nil {
		return s, nil
	}
	s.Memory, err = g.bytes.number()
	return s, err
}

func (g *v2group) Remove() error {
	closeAll(g.stat, g.bytes)
	return Destroy([]string{g.dir}, removeLimit)
}
