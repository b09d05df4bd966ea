package load

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Sizes are bytes of the caches that a core uses.
type Sizes struct {
	L1, L2, LastLevel int64
	Assumed           bool // the machine doesn't tell the last one, or none
}

// usual are sizes of a server's processor: what is taken where a machine doesn't tell.
var usual = Sizes{L1: 32 << 10, L2: 1 << 20, LastLevel: 32 << 20, Assumed: true}

// ReadSizes reads them of the first CPU, from where these file systems are mounted. Many virtual machines tell L2 alone.
func ReadSizes(sys, proc string) Sizes {
	s := Sizes{}
	dirs, _ := filepath.Glob(filepath.Join(sys, "devices/system/cpu/cpu0/cache/index*")) // the pattern is well formed
	for _, d := range dirs {
		text := func(name string) string {
			b, _ := os.ReadFile(filepath.Join(d, name)) // what isn't there isn't known
			return strings.TrimSpace(string(b))
		}
		size := bytes(text("size"))
		switch level := text("level"); {
		case text("type") == "Instruction" || size == 0:
		case level == "1":
			s.L1 = size
		case level == "2":
			s.L2 = size
		case level == "3" || level == "4":
			s.LastLevel = max(s.LastLevel, size)
		}
	}
	if s.L2 == 0 && s.LastLevel == 0 {
		b, _ := os.ReadFile(filepath.Join(proc, "cpuinfo"))
		for line := range strings.Lines(string(b)) {
			if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "cache size" {
				s.L2 = bytes(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "B")))
				break
			}
		}
	}
	if s.L2 > 8<<20 { // cpuinfo of some processors tells the last cache
		s.LastLevel, s.L2 = max(s.LastLevel, s.L2), 0
	}
	if s.LastLevel == 0 {
		s.LastLevel, s.Assumed = max(usual.LastLevel, 4*s.L2), true
	}
	if s.L1 == 0 {
		s.L1 = usual.L1
	}
	if s.L2 == 0 {
		s.L2 = min(usual.L2, s.LastLevel)
	}
	return s
}

// bytes reads "32K", "1024 K" or "16M"; 0: it is none of them.
func bytes(s string) int64 {
	unit := int64(1)
	switch {
	case strings.HasSuffix(s, "K"):
		unit = 1 << 10
	case strings.HasSuffix(s, "M"):
		unit = 1 << 20
	}
	n, err := strconv.ParseInt(strings.TrimSpace(strings.TrimRight(s, "KM")), 10, 64)
	if err != nil || n < 0 || n > 1<<40 {
		return 0
	}
	return n * unit
}
