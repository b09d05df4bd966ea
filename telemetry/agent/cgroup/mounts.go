// Package cgroup reads what Linux control groups have used: of both kernel interfaces, through files that stay open.
//
// With version 2 one tree holds all controllers; with version 1 each controller has a hierarchy of its own, and a group
// is a directory of the same name in each. A machine may have both mounted (hybrid): each kind of number is read where its
// controller is.
package cgroup

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Unified is one mount of version 2.
type Unified struct {
	Point       string
	Controllers []string
}

// Mounts are where control groups are mounted.
type Mounts struct {
	Unified []Unified
	V1      map[string]string // mount points by controller
}

// ReadMounts reads those of a process, by its mountinfo, for example "/proc/self/mountinfo".
func ReadMounts(mountinfo string) (Mounts, error) {
	b, err := os.ReadFile(mountinfo)
	if err != nil {
		return Mounts{}, err
	}
	return ParseMounts(string(b)), nil
}

// ParseMounts reads mountinfo, see proc(5): fields up to a lone "-", then file system type, source and super options.
func ParseMounts(mountinfo string) Mounts {
	m := Mounts{V1: map[string]string{}}
	for line := range strings.Lines(mountinfo) {
		before, after, ok := strings.Cut(strings.TrimSpace(line), " - ")
		left, right := strings.Fields(before), strings.Fields(after)
		if !ok || len(left) < 5 || len(right) < 3 {
			continue
		}
		point := unescape(left[4])
		switch right[0] {
		case "cgroup2":
			b, _ := os.ReadFile(filepath.Join(point, "cgroup.controllers")) // none where it can't be read
			m.Unified = append(m.Unified, Unified{Point: point, Controllers: strings.Fields(string(b))})
		case "cgroup":
			for _, o := range strings.Split(right[2], ",") {
				m.V1[o] = point
			}
		}
	}
	return m
}

// unescape undoes mountinfo's octal escapes of blanks.
func unescape(s string) string {
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\134`, `\`).Replace(s)
}

// Where is the mount point of the hierarchy that holds a controller, and its version; 0: none does.
func (m *Mounts) Where(controller string) (point string, version int) {
	for _, u := range m.Unified {
		if slices.Contains(u.Controllers, controller) {
			return u.Point, 2
		}
	}
	if p := m.V1[controller]; p != "" {
		return p, 1
	}
	return "", 0
}

// Pressure is the mount point of the hierarchy that tells groups' pressure; empty: none does. That is version 2, which keeps it
// with or without controllers: a machine whose controllers are of version 1 has it of those groups that version 2 has as well.
func (m *Mounts) Pressure() string {
	if at, version := m.Where("cpu"); version == 2 {
		return at
	}
	for _, u := range m.Unified {
		if _, err := os.Stat(filepath.Join(u.Point, "cpu.pressure")); err == nil {
			return u.Point
		}
	}
	return ""
}
