package replica

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"foresail.dev"
	"foresail.dev/cluster/testbed/wire"
	"golang.org/x/sys/unix"
)

// Bounds of a replica's data file: large enough for its largest request, and small enough for dozens of replicas.
const (
	minFile = 1 << 20
	maxFile = 64 << 20
)

// disk is a replica's disk: one file, used by one request at a time in the order of their coming.
type disk struct {
	turn  chan struct{}
	file  *os.File // nil where no operation reads or writes
	size  int64
	block int64 // accesses are of whole ones; 0: of any length
	at    int64 // where the next access begins
	buf   []byte
}

// newDisk makes the data file, filled, where any operation reads or writes. The file has no name once it is open, so
// that it goes with the process. direct: it is read and written past the kernel's cache, in whole blocks.
func newDisk(path string, largest int64, direct bool) (*disk, error) {
	d := &disk{turn: make(chan struct{}, 1)}
	if largest <= 0 {
		return d, nil
	}
	d.size = min(max(largest, minFile), maxFile)
	d.buf = make([]byte, 256<<10)
	flags := os.O_RDWR | os.O_CREATE | os.O_EXCL
	if direct {
		var err error
		if d.buf, err = touched(int64(len(d.buf))); err != nil { // whole pages, as the kernel asks for
			return nil, err
		}
		d.block, flags = int64(os.Getpagesize()), flags|unix.O_DIRECT
		d.size = whole(d.size, d.block)
	}
	f, err := os.OpenFile(path, flags, 0o600)
	if err != nil {
		return nil, fmt.Errorf("data file: %w", err)
	}
	d.file = f
	err = os.Remove(path)
	for at := int64(0); at < d.size && err == nil; at += int64(len(d.buf)) {
		_, err = f.WriteAt(d.buf, at)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("data file of %d bytes: %w", d.size, err), f.Close())
	}
	return d, nil
}

// use writes and reads as demanded and holds the disk for at least busy.
func (d *disk) use(busy time.Duration, work *foresail.Demand) error {
	d.turn <- struct{}{} // blocked senders are served first come, first served
	defer func() { <-d.turn }()
	start := time.Now()
	err := d.access(work.Write, d.write)
	if err == nil {
		err = d.access(work.Read, d.read)
	}
	wire.Sleep(busy - time.Since(start))
	return err
}

// access goes through n bytes of the file from where the last access ended, round and round.
func (d *disk) access(n int64, do func(b []byte, at int64) (int, error)) error {
	if d.block > 0 {
		n = whole(n, d.block)
	}
	for n > 0 && d.file != nil {
		part := min(n, int64(len(d.buf)), d.size-d.at)
		if _, err := do(d.buf[:part], d.at); err != nil && err != io.EOF {
			return err
		}
		d.at = (d.at + part) % d.size
		n -= part
	}
	return nil
}

// whole is n rounded up to whole blocks.
func whole(n, block int64) int64 { return (n + block - 1) / block * block }

func (d *disk) write(b []byte, at int64) (int, error) { return d.file.WriteAt(b, at) }
func (d *disk) read(b []byte, at int64) (int, error)  { return d.file.ReadAt(b, at) }

// largest is the most that any operation reads or writes at once.
func largest(ops []foresail.Operation) (n int64) {
	for i := range ops {
		n = max(n, largestOf(ops[i].Steps))
	}
	return n
}

func largestOf(steps []foresail.Step) (n int64) {
	for i := range steps {
		n = max(n, steps[i].Work.Read, steps[i].Work.Write)
		for j := range steps[i].Calls {
			n = max(n, largestOf(steps[i].Calls[j].Miss))
		}
	}
	return n
}
