// Package node reads what a whole machine has used: CPU, threads that want a core, memory, disks, network, pressure.
package node

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"time"

	"foresail.dev"
	"foresail.dev/telemetry/agent/cgroup"
	"foresail.dev/telemetry/agent/wire"
)

// Counter turns what a kernel counts into what was counted since the last look.
type Counter struct {
	last  int64
	known bool
}

// Next is how much was counted since; ok is false at the first look, where there is nothing (a negative count), and where the count has
// begun anew.
func (c *Counter) Next(v int64) (d int64, ok bool) {
	d, ok = v-c.last, c.known && v >= 0 && v >= c.last
	c.last, c.known = v, v >= 0
	if !ok {
		d = 0
	}
	return d, ok
}

// Reader keeps the files open. It is used by one goroutine at a time.
type Reader struct {
	Proc, Sys string
	Disks     cgroup.Disks
	nics      Interfaces
	root      *cgroup.Group // nil: CPU time comes from stat
	stat      *cgroup.File
	load      *cgroup.File
	memory    *cgroup.File
	disks     *cgroup.File
	dev, snmp *cgroup.File
	pressure  [3]*cgroup.File

	cpu, in, out, resent          Counter
	read, written, busy, weighted Counter
	waited                        [3]Counter
	MemoryTotal                   int64
	Notes                         []string // what can't be read here, and why
}

// Open opens what a machine has. proc and sys are where these file systems are mounted.
func Open(proc, sys string, mounts *cgroup.Mounts) *Reader {
	r := &Reader{Proc: proc, Sys: sys}
	open := func(what, path string) *cgroup.File {
		f, err := cgroup.Open(filepath.Join(proc, path))
		if err != nil && what != "" {
			r.Notes = append(r.Notes, fmt.Sprintf("%s of the node: %v", what, err))
		}
		return f
	}
	if g, err := mounts.OpenGroup("/"); err == nil {
		r.root = g
	}
	r.stat, r.load = open("CPU time", "stat"), open("threads", "loadavg")
	r.memory, r.disks = open("memory", "meminfo"), open("disks", "diskstats")
	// Of the first process: the node's own network, whatever namespace the agent is in.
	if r.dev = open("", "1/net/dev"); r.dev == nil {
		r.dev = open("network", "net/dev")
	}
	if r.snmp = open("", "1/net/snmp"); r.snmp == nil {
		r.snmp = open("retransmits", "net/snmp")
	}
	for i, name := range [...]string{"pressure/cpu", "pressure/memory", "pressure/io"} {
		r.pressure[i] = open("pressure", name)
	}
	r.Refresh()
	buf := make([]byte, cgroup.BufferSize)
	if text, err := r.text(r.memory, buf); err == nil {
		total, _ := Meminfo(text)
		r.MemoryTotal = total
	}
	return r
}

// Close closes the files.
func (r *Reader) Close() {
	if r.root != nil {
		r.root.Close()
	}
	for _, f := range [...]*cgroup.File{r.stat, r.load, r.memory, r.disks, r.dev, r.snmp, r.pressure[0], r.pressure[1], r.pressure[2]} {
		f.Close()
	}
}

// Refresh looks which disks and network interfaces there are.
func (r *Reader) Refresh() {
	r.Disks = cgroup.FindDisks(filepath.Join(r.Sys, "block"))
	r.nics = Physical(filepath.Join(r.Sys, "class/net"))
}

func (r *Reader) text(f *cgroup.File, buf []byte) ([]byte, error) {
	if f == nil {
		return nil, os.ErrNotExist
	}
	return f.Text(buf)
}

// Beat adds what each beat tells.
func (r *Reader) Beat(s *wire.Sample, buf []byte) {
	if ns, ok := r.cpu.Next(r.used(buf)); ok {
		s.Has |= foresail.SignalCPU
		s.Value[wire.CPU] = ns
	}
	if text, err := r.text(r.load, buf); err == nil {
		if n, ok := running(text); ok {
			s.Has |= foresail.SignalRunnable
			s.Value[wire.Runnable] = 1000 * max(n-1, 0) // this very thread runs, too
		}
	}
}

// used is the CPU time of everything, nanoseconds; -1: not known.
func (r *Reader) used(buf []byte) int64 {
	if r.root != nil {
		if s, err := r.root.CPU(buf, math.MaxInt64); err == nil && s.CPU > 0 {
			return int64(s.CPU)
		}
	}
	text, err := r.text(r.stat, buf)
	if err != nil {
		return -1
	}
	return ticks(text)
}

// ticks sums user, nice, system, irq and softirq of the first line of /proc/stat, in nanoseconds.
func ticks(text []byte) int64 {
	const tick = int64(time.Second / 100) // USER_HZ is 100 wherever Go runs
	line, _ := cgroup.Line(text)
	name, rest := cgroup.Word(line)
	if string(name) != "cpu" {
		return -1
	}
	sum := int64(0)
	for i := range 7 {
		var word []byte
		word, rest = cgroup.Word(rest)
		if n, ok := cgroup.Int(word); ok && i != 3 && i != 4 { // idle, and waiting for I/O
			sum += n
		}
	}
	return sum * tick
}

// running is how many threads run or wait for a core: "0.20 0.18 0.12 3/129 11206".
func running(loadavg []byte) (int64, bool) {
	rest := loadavg
	for range 3 {
		_, rest = cgroup.Word(rest)
	}
	word, _ := cgroup.Word(rest)
	n, _, ok := bytes.Cut(word, []byte{'/'})
	if !ok {
		return 0, false
	}
	return cgroup.Int(n)
}

// Second adds what each second tells.
func (r *Reader) Second(s *wire.Sample, buf []byte) {
	if text, err := r.text(r.memory, buf); err == nil {
		if total, available := Meminfo(text); total > 0 {
			s.Has |= foresail.SignalMemory
			s.Value[wire.Memory] = max(total-available, 0)
		}
	}
	if text, err := r.text(r.dev, buf); err == nil {
		in, out := Bytes(text, r.nics)
		add(s, foresail.SignalNetwork, wire.NetIn, &r.in, in)
		add(s, foresail.SignalNetwork, wire.NetOut, &r.out, out)
	}
	if text, err := r.text(r.snmp, buf); err == nil {
		add(s, foresail.SignalRetransmits, wire.Retransmits, &r.resent, Retransmits(text))
	}
	if text, err := r.text(r.disks, buf); err == nil && len(r.Disks) > 0 {
		d := diskstats(text, r.Disks)
		add(s, foresail.SignalDisk, wire.DiskRead, &r.read, d.read)
		add(s, foresail.SignalDisk, wire.DiskWritten, &r.written, d.written)
		add(s, foresail.SignalDisk, wire.DiskBusy, &r.busy, d.busy)
		add(s, foresail.SignalDisk, wire.IOWait, &r.weighted, d.weighted)
	}
	for i, field := range [...]wire.Field{wire.CPUPressure, wire.MemoryPressure, wire.IOPressure} {
		if text, err := r.text(r.pressure[i], buf); err == nil {
			add(s, foresail.SignalPressure, field, &r.waited[i], int64(cgroup.Stalled(text)))
		}
	}
}

// add sets a field to what was counted since the last look.
func add(s *wire.Sample, signal foresail.Signals, f wire.Field, c *Counter, v int64) {
	if d, ok := c.Next(v); ok {
		s.Has |= signal
		s.Value[f] = d
	}
}

// Meminfo reads a machine's memory and what could be had of it, bytes.
func Meminfo(text []byte) (total, available int64) {
	for len(text) > 0 {
		var line []byte
		line, text = cgroup.Line(text)
		name, rest := cgroup.Word(line)
		kib, _ := cgroup.Word(rest)
		switch n, _ := cgroup.Int(kib); string(name) {
		case "MemTotal:":
			total = n << 10
		case "MemAvailable:":
			return total, n << 10
		}
	}
	return total, 0
}

// disksum is what disks did since the machine started: bytes, and nanoseconds.
type disksum struct{ read, written, busy, weighted int64 }

func diskstats(text []byte, disks cgroup.Disks) (d disksum) {
	var number [32]byte
	for len(text) > 0 {
		var line []byte
		line, text = cgroup.Line(text)
		major, rest := cgroup.Word(line)
		minor, rest := cgroup.Word(rest)
		_, rest = cgroup.Word(rest) // its name
		id := append(append(append(number[:0], major...), ':'), minor...)
		if !disks[string(id)] {
			continue
		}
		var v [11]int64
		for i := range v {
			var word []byte
			word, rest = cgroup.Word(rest)
			v[i], _ = cgroup.Int(word)
		}
		const sector = 512
		d.read += v[2] * sector
		d.written += v[6] * sector
		d.busy += v[9] * int64(time.Millisecond)
		d.weighted += v[10] * int64(time.Millisecond)
	}
	return d
}
