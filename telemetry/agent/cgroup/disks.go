package cgroup

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
)

// Disks says of devices, by their number as "major:minor", whether they are disks whose bytes count: not those that only
// stand for others (loop, device mapper, RAID) or for memory, since each byte would count twice. A nil Disks counts all.
type Disks map[string]bool

// FindDisks lists the disks of a machine, by its /sys/block. Only whole disks are there, no partitions.
func FindDisks(sysBlock string) Disks {
	entries, err := os.ReadDir(sysBlock)
	if err != nil {
		return nil
	}
	d := Disks{}
	for _, e := range entries {
		name := e.Name()
		if strings.HasPrefix(name, "loop") || strings.HasPrefix(name, "ram") || strings.HasPrefix(name, "zram") {
			continue
		}
		if below, err := os.ReadDir(filepath.Join(sysBlock, name, "slaves")); err == nil && len(below) > 0 {
			continue
		}
		if number, err := os.ReadFile(filepath.Join(sysBlock, name, "dev")); err == nil {
			d[strings.TrimSpace(string(number))] = true
		}
	}
	return d
}

// ioStat sums lines of version 2: "8:0 rbytes=1 wbytes=2 rios=3 …".
func ioStat(text []byte, disks Disks) (read, written int64) {
	for len(text) > 0 {
		var line []byte
		line, text = Line(text)
		device, rest := Word(line)
		if disks != nil && !disks[string(device)] {
			continue
		}
		for len(rest) > 0 {
			var word []byte
			word, rest = Word(rest)
			if v, ok := bytes.CutPrefix(word, []byte("rbytes=")); ok {
				n, _ := Int(v)
				read += n
			} else if v, ok := bytes.CutPrefix(word, []byte("wbytes=")); ok {
				n, _ := Int(v)
				written += n
			}
		}
	}
	return read, written
}

// blkioBytes sums lines of version 1: "8:0 Read 4096".
func blkioBytes(text []byte, disks Disks) (read, written int64) {
	for len(text) > 0 {
		var line []byte
		line, text = Line(text)
		device, rest := Word(line)
		if disks != nil && !disks[string(device)] {
			continue
		}
		what, rest := Word(rest)
		count, _ := Word(rest)
		n, _ := Int(count)
		switch string(what) {
		case "Read":
			read += n
		case "Write":
			written += n
		}
	}
	return read, written
}
