package wire

import (
	"fmt"
	"os"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Bytes are received and sent.
type Bytes struct{ In, Out int64 }

// Sub is what came since.
func (b Bytes) Sub(since Bytes) Bytes { return Bytes{b.In - since.In, b.Out - since.Out} }

// Traffic counts the bytes of a replica's connections, in a page of memory that it shares with its parent: counting costs
// no message, reading no system call, and what a replica counted outlives it. It is safe for concurrent use, but for
// Close. A nil *Traffic counts nothing.
type Traffic struct {
	counters *struct{ in, out atomic.Int64 }
	page     []byte
}

// NewTraffic makes the page and the file through which a child opens it.
func NewTraffic() (*Traffic, *os.File, error) {
	fd, err := unix.MemfdCreate("foresail-traffic", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, nil, fmt.Errorf("memory to count traffic in: %w", err)
	}
	file := os.NewFile(uintptr(fd), "foresail-traffic")
	if err := file.Truncate(int64(os.Getpagesize())); err != nil {
		_ = file.Close()
		return nil, nil, fmt.Errorf("memory to count traffic in: %w", err)
	}
	t, err := mapTraffic(file)
	if err != nil {
		_ = file.Close()
		return nil, nil, err
	}
	return t, file, nil
}

// OpenTraffic is the child's side: the page behind a descriptor that it inherited, which is closed.
func OpenTraffic(fd int) (*Traffic, error) {
	file := os.NewFile(uintptr(fd), "foresail-traffic")
	if file == nil {
		return nil, fmt.Errorf("memory to count traffic in: no descriptor %d", fd)
	}
	defer file.Close()
	return mapTraffic(file)
}

func mapTraffic(file *os.File) (*Traffic, error) {
	page, err := unix.Mmap(int(file.Fd()), 0, os.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("memory to count traffic in: %w", err)
	}
	return &Traffic{counters: (*struct{ in, out atomic.Int64 })(unsafe.Pointer(&page[0])), page: page}, nil
}

// Received counts n more bytes.
func (t *Traffic) Received(n int) {
	if t != nil {
		t.counters.in.Add(int64(n))
	}
}

// Sent counts n more bytes.
func (t *Traffic) Sent(n int) {
	if t != nil {
		t.counters.out.Add(int64(n))
	}
}

// Bytes is what was counted so far.
func (t *Traffic) Bytes() Bytes {
	if t == nil {
		return Bytes{}
	}
	return Bytes{In: t.counters.in.Load(), Out: t.counters.out.Load()}
}

// Close gives the page back; no other method may be called from then on.
func (t *Traffic) Close() {
	if t != nil {
		_ = unix.Munmap(t.page)
	}
}
