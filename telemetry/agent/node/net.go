package node

import (
	"bytes"
	"os"
	"path/filepath"

	"foresail.dev/telemetry/agent/cgroup"
)

// Interfaces says which network interfaces count; nil: all but the loopback.
type Interfaces map[string]bool

// Physical lists the interfaces that stand for a device: bytes that cross a bridge or a pair of virtual ones would
// count twice. It is nil where there is none, as in a container's namespace.
func Physical(sysClassNet string) Interfaces {
	entries, err := os.ReadDir(sysClassNet)
	if err != nil {
		return nil
	}
	var n Interfaces
	for _, e := range entries {
		if _, err := os.Stat(filepath.Join(sysClassNet, e.Name(), "device")); err == nil {
			if n == nil {
				n = Interfaces{}
			}
			n[e.Name()] = true
		}
	}
	return n
}

// Bytes sums what interfaces received and sent, of /proc/net/dev; -1 where there is none.
func Bytes(text []byte, which Interfaces) (in, out int64) {
	in, out = -1, -1
	for len(text) > 0 {
		var line []byte
		line, text = cgroup.Line(text)
		name, rest, ok := bytes.Cut(line, []byte{':'})
		if !ok {
			continue // a heading
		}
		name = bytes.TrimSpace(name)
		if which == nil && string(name) == "lo" || which != nil && !which[string(name)] {
			continue
		}
		var v [9]int64
		for i := range v {
			var word []byte
			word, rest = cgroup.Word(rest)
			v[i], _ = cgroup.Int(word)
		}
		in, out = max(in, 0)+v[0], max(out, 0)+v[8]
	}
	return in, out
}

// Retransmits is how many TCP segments were sent again, of /proc/net/snmp; -1: not told. Its place is where the line of
// names says.
func Retransmits(text []byte) int64 {
	var names []byte
	for len(text) > 0 {
		var line []byte
		line, text = cgroup.Line(text)
		kind, rest := cgroup.Word(line)
		if string(kind) != "Tcp:" {
			continue
		}
		if names == nil {
			names = rest
			continue
		}
		for len(names) > 0 {
			var name, value []byte
			name, names = cgroup.Word(names)
			value, rest = cgroup.Word(rest)
			if string(name) == "RetransSegs" {
				if n, ok := cgroup.Int(value); ok {
					return n
				}
				return -1
			}
		}
	}
	return -1
}
