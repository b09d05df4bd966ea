package replica

import (
	"fmt"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// touched returns memory of at least n bytes outside Go's heap, each page of it written, so that it really is in use
// and goes back to the kernel as soon as it is released.
func touched(n int64) ([]byte, error) {
	b, err := unix.Mmap(-1, 0, int(n), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return nil, fmt.Errorf("allocate %d bytes: %w", n, err)
	}
	for i := 0; i < len(b); i += os.Getpagesize() {
		b[i] = 1
	}
	return b, nil
}

// resident is how many bytes of its own, not shared with files, this process has in memory.
func resident() int64 {
	var size, all, shared int64
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	if _, err := fmt.Sscan(string(b), &size, &all, &shared); err != nil {
		return 0
	}
	return (all - shared) * int64(os.Getpagesize())
}

// held is the memory that one operation holds until it ends. Parallel branches may add to it.
type held struct {
	mu     sync.Mutex
	blocks [][]byte
}

func (h *held) add(n int64) error {
	if n <= 0 {
		return nil
	}
	b, err := touched(n)
	if err != nil {
		return err
	}
	h.mu.Lock()
	h.blocks = append(h.blocks, b)
	h.mu.Unlock()
	return nil
}

func (h *held) release() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, b := range h.blocks {
		_ = unix.Munmap(b)
	}
	h.blocks = nil
}
