// Package cgroup makes Linux control groups, sets their CPU quota and memory limit, and reads what they used.
//
// Both kernel interfaces are known. With version 2 one tree holds all controllers; with version 1 each controller has a
// hierarchy of its own, and a group is a directory of the same name in each. A machine may have both mounted: version 2
// is taken only where it really holds the cpu controller.
package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	groups "foresail.dev/telemetry/agent/cgroup"
)

// ErrUnavailable is wrapped by every error that means: CPU quotas can't be set here, whatever the name of the group.
var ErrUnavailable = errors.New("no usable cgroup hierarchy")

// MinCores is the smallest CPU quota that the kernel takes: 1 ms in each Period.
const MinCores = 0.01

// Hierarchy is a place where groups can be made.
type Hierarchy interface {
	// Version is 1 or 2.
	Version() int
	// Memory is nil where memory can be limited. Otherwise it wraps ErrUnavailable and says what is missing.
	Memory() error
	// Prepare makes the parent that groups are made below. It fails with ErrUnavailable where that is not allowed, and
	// with fs.ErrExist where the parent is there already.
	Prepare(parent string) error
	// Favour lets a prepared parent go before everything beside it where CPUs are short.
	Favour(parent string) error
	// Dirs are the directories of a group: one with version 2, one for each controller with version 1.
	Dirs(name string) []string
	// Make makes a group below a prepared parent, for example "foresail-1/frontend-1".
	Make(name string) (Group, error)
}

// Group is one control group.
type Group interface {
	// Add moves a process with all its threads into the group.
	Add(pid int) error
	// SetCPU limits the group to a number of cores, at least MinCores, and reads back what the kernel took.
	SetCPU(cores float64) (Written, error)
	// SetMemory limits the group's memory to a number of bytes and reads back what the kernel took; 0 lifts the limit.
	// It does nothing where memory is not controlled and bytes is 0.
	SetMemory(bytes int64) (Written, error)
	// Favour lets the group go before its siblings where CPUs are short.
	Favour() error
	// Read is what the group has used since it was made.
	Read() (Stats, error)
	// Remove kills what is in the group, waits for its end and removes the group. It is safe to call twice.
	Remove() error
}

// Written is a value that was written to a control file and read back.
type Written struct {
	Path  string
	Value string
}

// Detect finds the hierarchy of this machine. Its error wraps ErrUnavailable and says what is missing.
func Detect() (Hierarchy, error) {
	b, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return detect(string(b))
}

// detect chooses by mountinfo.
func detect(mountinfo string) (Hierarchy, error) {
	m := groups.ParseMounts(mountinfo)
	v1 := m.V1
	var seen []string
	for _, u := range m.Unified {
		if slices.Contains(u.Controllers, "cpu") {
			return &v2{root: u.Point, memory: slices.Contains(u.Controllers, "memory"), mkdir: mkdir}, nil
		}
		seen = append(seen, u.Point+" (cgroup v2) holds no cpu controller")
	}
	if v1["cpu"] != "" && v1["cpuacct"] != "" {
		return &v1tree{cpu: v1["cpu"], cpuacct: v1["cpuacct"], memory: v1["memory"], blkio: v1["blkio"], pressure: m.Pressure(), mkdir: mkdir}, nil
	}
	for _, c := range []string{"cpu", "cpuacct"} {
		if v1[c] == "" && len(v1) > 0 {
			seen = append(seen, "the "+c+" controller of cgroup v1 is not mounted")
		}
	}
	if len(seen) == 0 {
		seen = []string{"no cgroup file system is mounted"}
	}
	return nil, fmt.Errorf("%w: %s; mount /sys/fs/cgroup with the cpu controller", ErrUnavailable, strings.Join(seen, ", and "))
}

func mkdir(path string) error { return os.Mkdir(path, 0o755) }

// prepare makes the parent's directories; none is left when one fails.
func prepare(dirs []string, mkdir func(string) error) error {
	for i, d := range dirs {
		err := mkdir(d)
		if err == nil {
			continue
		}
		for _, made := range dirs[:i] {
			_ = os.Remove(made)
		}
		if errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("cgroup %s is there already: remove it or choose another parent: %w", d, fs.ErrExist)
		}
		return fmt.Errorf("%w: can't make %s: %w; run as root, or have the cpu controller delegated", ErrUnavailable, d, reason(err))
	}
	return nil
}

// reason is the bare system error, since the path is said already.
func reason(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}
