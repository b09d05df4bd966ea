package load

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"

	"foresail.dev/telemetry/agent/probe"
)

// What is asked of a disk.
const (
	depth    = 8         // requests under way at once, at full intensity
	fileSize = 64 << 20  // that they go to, of each worker; a victim's is smaller
	request  = 256 << 10 // bytes of a load's
	small    = 4 << 10   // of a victim's
	aligned  = 4 << 10
)

// disk reads and writes a file of its own past the kernel's cache, at places that nobody foresees: large pieces one way and the
// other; gently, small reads. Its time is the wall's, since nobody works meanwhile.
func disk(dir string, gentle bool) (*worker, func() error, error) {
	n, size := int64(request), int64(fileSize/depth)
	if gentle {
		n = small
	}
	f, err := os.CreateTemp(dir, "foresail-probe-")
	if err != nil {
		return nil, nil, fmt.Errorf("disk probe: %w: name a folder that can be written to", err)
	}
	name := f.Name()
	fd, err := unix.Open(name, unix.O_RDWR|unix.O_DIRECT|unix.O_CLOEXEC, 0)
	gone := errors.Join(f.Close(), os.Remove(name)) // the open file stays until it is closed
	if err != nil {
		return nil, nil, &Unavailable{probe.Disk, fmt.Sprintf("files in %s can't be read and written past the kernel's cache (%v): name a folder on a disk", dirOf(name), err)}
	}
	raw := make([]byte, request+aligned)
	raw = raw[(aligned-int64(uintptr(unsafe.Pointer(unsafe.SliceData(raw)))%aligned))%aligned:]
	if gone == nil {
		for at := int64(0); at < size && gone == nil; at += request {
			_, gone = unix.Pwrite(fd, raw[:request], at)
		}
	}
	if gone != nil {
		return nil, nil, fmt.Errorf("disk probe: %w", errors.Join(gone, unix.Close(fd)))
	}
	r := rand.New(rand.NewPCG(2, uint64(fd)))
	turn := 0
	return &worker{chunk: func() error {
		at := r.Int64N(size/n) * n
		do := unix.Pread
		if turn++; !gentle && turn%2 == 0 {
			do = unix.Pwrite
		}
		if got, err := do(fd, raw[:n], at); err != nil || int64(got) != n {
			return fmt.Errorf("disk probe: %d of %d bytes: %w", got, n, errors.Join(err, errShort))
		}
		return nil
	}}, func() error { return unix.Close(fd) }, nil
}

var errShort = errors.New("the disk did not take a request whole")

func dirOf(path string) string {
	for i := len(path) - 1; i > 0; i-- {
		if path[i] == '/' {
			return path[:i]
		}
	}
	return "/"
}
