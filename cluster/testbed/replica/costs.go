package replica

import (
	"runtime"
	"time"

	"foresail.dev"
)

// costs are what memory and disk take of the CPU on this machine, in nanoseconds for each byte.
type costs struct{ memory, read, write float64 }

// of is what a step's memory and disk take.
func (c *costs) of(w *foresail.Demand) time.Duration {
	return time.Duration(c.memory*float64(w.Memory) + c.read*float64(w.Read) + c.write*float64(w.Write))
}

// measure measures them, in pieces as large as those that requests use most. The least of some tries counts, since others
// may disturb one.
func measure(d *disk) (c costs, err error) {
	const piece, tries = 64 << 10, 9
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	per := func(what func() error) float64 {
		least := time.Duration(1<<63 - 1)
		for range tries {
			start := threadCPU()
			if e := what(); e != nil && err == nil {
				err = e
			}
			least = min(least, threadCPU()-start)
		}
		return float64(least) / piece
	}
	c.memory = per(func() error {
		var h held
		defer h.release()
		return h.add(piece)
	})
	if d.file != nil {
		c.write = per(func() error { return d.access(piece, d.write) })
		c.read = per(func() error { return d.access(piece, d.read) })
	}
	return c, err
}
