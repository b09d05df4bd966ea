package cgroup

import (
	"bytes"
	"errors"
	"path/filepath"
	"strconv"
	"time"
)

// Group is one group whose files are open. It is used by one goroutine at a time.
type Group struct {
	cpu, usage                 *File // of version 1 alone: usage
	current, memory, disk, tie *File
	pressure                   [3]*File // CPU, memory, I/O: of version 2, or of a hybrid machine whose version 2 has the group as well
	quota, period              *File    // period: of version 1 alone
	version                    int      // of the cpu controller
	unlimited                  bool     // it has no quota, so that it is never throttled
	waited                     Stats    // of it, Throttled and Limited as read last
	idle                       int64    // bytes of file pages that nobody used lately, as read last
	memoryVersion, diskVersion int
}

// Slow is what is read each second. What is not there is -1.
type Slow struct {
	Memory                                  int64 // bytes in use that can't be reclaimed at once: the working set
	Read, Written                           int64 // bytes, since the group was made
	IOWait                                  time.Duration
	CPUPressure, MemoryPressure, IOPressure time.Duration // in which at least one thread waited
	Cores                                   float64       // the quota; 0: none
}

// OpenGroup opens what there is of a group, by its path below the mount points. It fails where CPU time can't be read.
func (m *Mounts) OpenGroup(path string) (*Group, error) {
	g := &Group{}
	at, version := m.Where("cpu")
	var err error
	switch g.version = version; version {
	case 2:
		g.cpu, err = Open(filepath.Join(at, path, "cpu.stat"))
		g.quota, _ = Open(filepath.Join(at, path, "cpu.max"))
	case 1:
		if g.usage, err = Open(filepath.Join(m.V1["cpuacct"], path, "cpuacct.usage")); err == nil {
			g.cpu, err = Open(filepath.Join(at, path, "cpu.stat"))
		}
		g.quota, _ = Open(filepath.Join(at, path, "cpu.cfs_quota_us"))
		g.period, _ = Open(filepath.Join(at, path, "cpu.cfs_period_us"))
	default:
		err = errors.New("no cpu controller of control groups is mounted")
	}
	if err != nil {
		g.Close()
		return nil, err
	}
	switch at, g.memoryVersion = m.Where("memory"); g.memoryVersion {
	case 2:
		g.current, _ = Open(filepath.Join(at, path, "memory.current"))
		g.memory, _ = Open(filepath.Join(at, path, "memory.stat"))
	case 1:
		g.current, _ = Open(filepath.Join(at, path, "memory.usage_in_bytes"))
		g.memory, _ = Open(filepath.Join(at, path, "memory.stat"))
	}
	if at, g.diskVersion = m.Where("io"); g.diskVersion == 2 {
		g.disk, _ = Open(filepath.Join(at, path, "io.stat"))
	} else if at, g.diskVersion = m.Where("blkio"); g.diskVersion == 1 {
		g.disk, _ = Open(filepath.Join(at, path, "blkio.throttle.io_service_bytes_recursive"))
		g.tie, _ = Open(filepath.Join(at, path, "blkio.io_wait_time_recursive"))
	}
	if at := m.Pressure(); at != "" {
		for i, name := range [...]string{"cpu.pressure", "memory.pressure", "io.pressure"} {
			g.pressure[i], _ = Open(filepath.Join(at, path, name))
		}
	}
	return g, nil
}

// Close closes its files.
func (g *Group) Close() {
	for _, f := range [...]*File{g.cpu, g.usage, g.current, g.memory, g.disk, g.tie, g.quota, g.period, g.pressure[0], g.pressure[1], g.pressure[2]} {
		f.Close()
	}
}

// BufferSize is what the longest control file needs.
const BufferSize = 16 << 10

// CPU reads what a beat tells, with a buffer of BufferSize. It fails when the group is gone. With version 1, where
// throttling is in a file of its own, it is as read last where the group has no quota, or has used no more CPU time in
// all than calm.
func (g *Group) CPU(buf []byte, calm time.Duration) (s Stats, err error) {
	s.Memory = -1
	if g.usage != nil {
		n, err := g.usage.Number(buf)
		if err != nil {
			return s, err
		}
		s.CPU = time.Duration(n)
	}
	if g.version == 1 && (g.unlimited || s.CPU <= calm) {
		s.Limited, s.Throttled = g.waited.Limited, g.waited.Throttled
		return s, nil
	}
	text, err := g.cpu.Text(buf)
	if err != nil {
		return s, err
	}
	s.Limited, _ = Value(text, "nr_throttled")
	if g.version == 2 {
		n, _ := Value(text, "usage_usec")
		s.CPU = time.Duration(n) * time.Microsecond
		n, _ = Value(text, "throttled_usec")
		s.Throttled = time.Duration(n) * time.Microsecond
		return s, nil
	}
	n, _ := Value(text, "throttled_time")
	s.Throttled = time.Duration(n)
	g.waited = s
	return s, nil
}

// Slow reads what a second tells. disks says which devices count, see Disks; nil: all. Which pages are idle changes
// slowly, and takes the kernel long to tell: it is read where all is true.
func (g *Group) Slow(buf []byte, disks Disks, all bool) Slow {
	s := Slow{Memory: g.workingSet(buf, all), Read: -1, Written: -1, IOWait: -1, Cores: g.Cores(buf)}
	if text, ok := content(g.disk, buf); ok {
		if g.diskVersion == 2 {
			s.Read, s.Written = ioStat(text, disks)
		} else {
			s.Read, s.Written = blkioBytes(text, disks)
		}
	}
	s.CPUPressure, s.MemoryPressure, s.IOPressure = g.stalled(0, buf), g.stalled(1, buf), g.stalled(2, buf)
	if text, ok := content(g.tie, buf); ok {
		if n, ok := Value(text, "Total"); ok {
			s.IOWait = time.Duration(n)
		}
	}
	return s
}

func content(f *File, buf []byte) ([]byte, bool) {
	if f == nil {
		return nil, false
	}
	text, err := f.Text(buf)
	return text, err == nil
}

// workingSet is memory in use without file pages that nobody used lately, which the kernel drops first.
func (g *Group) workingSet(buf []byte, all bool) int64 {
	if g.current == nil {
		return -1
	}
	n, err := g.current.Number(buf)
	if err != nil {
		return -1
	}
	if all {
		name := "inactive_file"
		if g.memoryVersion == 1 {
			name = "total_inactive_file"
		}
		g.idle = 0
		if text, ok := content(g.memory, buf); ok {
			g.idle, _ = Value(text, name)
		}
	}
	return max(n-g.idle, 0)
}

// Cores is the group's quota; 0: it has none.
func (g *Group) Cores(buf []byte) float64 {
	text, ok := content(g.quota, buf)
	if !ok {
		return 0
	}
	first, rest := Word(bytes.TrimSpace(text))
	quota, limited := Int(first) // "max", or -1
	second, _ := Word(rest)
	period, ok := Int(second)
	if g.version == 1 && limited && g.period != nil {
		n, err := g.period.Number(buf)
		period, ok = n, err == nil
	}
	g.unlimited = !limited
	if !limited || !ok || period <= 0 {
		return 0
	}
	return float64(quota) / float64(period)
}

func (g *Group) stalled(i int, buf []byte) time.Duration {
	text, ok := content(g.pressure[i], buf)
	if !ok {
		return -1
	}
	return Stalled(text)
}

// Stalled is the time in which at least one thread waited, of a file of pressure; -1 where it has no such line.
func Stalled(text []byte) time.Duration {
	line, _ := Line(text)
	kind, rest := Word(line)
	if string(kind) != "some" {
		return -1
	}
	if i := bytes.Index(rest, []byte("total=")); i >= 0 {
		if n, ok := Int(bytes.TrimSpace(rest[i+len("total="):])); ok {
			return time.Duration(n) * time.Microsecond
		}
	}
	return -1
}

// Procs are the processes in a group's directory, at most limit.
func Procs(dir string, limit int, buf []byte) []int {
	f, err := Open(filepath.Join(dir, "cgroup.procs"))
	if err != nil {
		return nil
	}
	defer f.Close()
	text, err := f.Text(buf)
	if err != nil {
		return nil
	}
	var pids []int
	for len(text) > 0 && len(pids) < limit {
		var line []byte
		line, text = Line(text)
		if pid, err := strconv.Atoi(string(line)); err == nil && pid > 0 {
			pids = append(pids, pid)
		}
	}
	return pids
}
