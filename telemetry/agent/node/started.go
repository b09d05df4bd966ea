package node

import (
	"bytes"
	"fmt"
	"path/filepath"
	"strconv"
	"time"

	"foresail.dev/telemetry/agent/cgroup"
)

// Started is when a process started, nanoseconds since 1970; 0: not known. It is exact to about a second, as the
// machine's own start is.
func (r *Reader) Started(pid int, buf []byte) int64 {
	boot := r.boot(buf)
	f, err := cgroup.Open(fmt.Sprintf("%s/%d/stat", r.Proc, pid))
	if err != nil || boot == 0 {
		return 0
	}
	defer f.Close()
	text, err := f.Text(buf)
	if err != nil {
		return 0
	}
	// After the name, which may hold anything, in parentheses: 19 fields, then ticks since the machine started.
	rest := text[bytes.LastIndexByte(text, ')')+1:]
	var word []byte
	for range 20 {
		word, rest = cgroup.Word(rest)
	}
	ticks, ok := cgroup.Int(word)
	if !ok {
		return 0
	}
	return boot + ticks*int64(time.Second/100)
}

// boot is when the machine started, nanoseconds since 1970; 0: not known.
func (r *Reader) boot(buf []byte) int64 {
	f, err := cgroup.Open(filepath.Join(r.Proc, "uptime"))
	if err != nil {
		return 0
	}
	defer f.Close()
	text, err := f.Text(buf)
	if err != nil {
		return 0
	}
	word, _ := cgroup.Word(text)
	seconds, err := strconv.ParseFloat(string(word), 64)
	if err != nil || seconds < 0 {
		return 0
	}
	return time.Now().UnixNano() - int64(seconds*1e9)
}
