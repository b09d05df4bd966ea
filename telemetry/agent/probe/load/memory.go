package load

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"

	"foresail.dev/telemetry/agent/probe"
)

// line is what a cache moves at once.
type line struct {
	next uint32
	_    [60]byte
}

// mapped is memory outside of Go's heap, so that no collection touches it and it is given back at once.
func mapped(n int64) ([]byte, error) {
	b, err := unix.Mmap(-1, 0, int(n), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return nil, fmt.Errorf("%d bytes of memory for a probe: %w", n, err)
	}
	return b, nil
}

// cached is a walk through as much memory as one level of caches holds, in an order that no prefetcher knows, each line read and
// written. Gently, three quarters of it; of the last level, whose size a virtual machine shares with strangers, twice the level before.
func cached(r probe.Resource, s Sizes, gentle bool) (*worker, func() error, error) {
	size := s.L1
	switch r {
	case probe.L2:
		size = s.L2
	case probe.LastLevelCache:
		size = s.LastLevel
	}
	switch {
	case gentle && r == probe.LastLevelCache:
		size = min(2*s.L2, size)
	case gentle:
		size = size / 4 * 3
	}
	b, err := mapped(size)
	if err != nil {
		return nil, nil, err
	}
	lines := unsafe.Slice((*line)(unsafe.Pointer(unsafe.SliceData(b))), len(b)/64)
	order := rand.New(rand.NewPCG(1, uint64(size))).Perm(len(lines)) // the same for all: it is no result that hangs on it
	for i, at := range order {
		lines[at].next = uint32(order[(i+1)%len(order)])
	}
	const chains = 4 // loads follow one place; a second and more make them faster, and a victim slower to be felt
	var at [chains]uint32
	for i := range at {
		at[i] = uint32(order[i*len(order)/chains])
	}
	chunk := func() error {
		p, q, u, v := at[0], at[1], at[2], at[3]
		if gentle {
			for range 2048 {
				p = lines[p].next
			}
		} else {
			for range 512 {
				a, b, c, d := &lines[p], &lines[q], &lines[u], &lines[v]
				p, q, u, v = a.next, b.next, c.next, d.next
				a.next, b.next, c.next, d.next = p, q, u, v // makes the line dirty: it must be written back
			}
		}
		at = [chains]uint32{p, q, u, v}
		return nil
	}
	return &worker{chunk, true}, func() error { return unix.Munmap(b) }, nil
}

// stream copies memory that no cache holds.
func stream(s Sizes) (*worker, func() error, error) {
	half := max(2*s.LastLevel, 32<<20)
	b, err := mapped(2 * half)
	if err != nil {
		return nil, nil, err
	}
	for i := 0; i < len(b); i += os.Getpagesize() {
		b[i] = 1
	}
	const piece = 256 << 10
	at := int64(0)
	return &worker{func() error {
		copy(b[half+at:half+at+piece], b[at:at+piece])
		at = (at + piece) % (half / piece * piece)
		return nil
	}, true}, func() error { return unix.Munmap(b) }, nil
}

// pages takes new memory, makes the kernel fill it, and gives it back: a page at a time, or gently a few.
//
// What a probe may hold is bounded by what it can fill within a burst, some ten megabytes: to make memory really short on a
// node would take the memory of others, and no latency is worth that.
func pages(gentle bool) (*worker, func() error, error) {
	n := int64(256 << 10)
	if gentle {
		n = 64 << 10
	}
	return &worker{func() error {
		b, err := mapped(n)
		if err != nil {
			return err
		}
		for i := 0; i < len(b); i += os.Getpagesize() {
			b[i] = 1
		}
		return unix.Munmap(b)
	}, true}, nil, nil
}

// Available is how much memory the node can still give, bytes, by /proc/meminfo; false where it doesn't tell.
func Available(meminfo string) (int64, bool) {
	for l := range strings.Lines(meminfo) {
		var n int64
		if _, err := fmt.Sscanf(l, "MemAvailable: %d kB", &n); err == nil {
			return n << 10, true
		}
	}
	return 0, false
}
