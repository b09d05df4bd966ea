package sim

import (
	"testing"
	"unsafe"
)

// A replica is a whole number of cache lines, and all that a visit needs of it lies in four of them: this is what keeps an
// application with 100,000 replicas near to the cost per event of a small one (BenchmarkSimScale). Who adds a field puts it
// before or behind those lines, unless each visit needs it.
func TestWhatAVisitNeedsOfAReplicaIsFourCacheLines(t *testing.T) {
	const line = 64
	var r replica
	from := unsafe.Offsetof(r.usage) + unsafe.Offsetof(r.usage.inFlight)
	to := unsafe.Offsetof(r.cpu) + unsafe.Offsetof(r.cpu.Throttled)
	if from%line != 0 || to-from > 4*line {
		t.Errorf("what a visit needs is in bytes %d to %d, want %d at most from the beginning of a line", from, to, 4*line)
	}
	if size := unsafe.Sizeof(r); size%line != 0 || size > 8*line {
		t.Errorf("a replica has %d bytes: want a multiple of %d, at most %d", size, line, 8*line)
	}
}
