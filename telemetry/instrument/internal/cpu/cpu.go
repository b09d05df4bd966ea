// Package cpu measures benchmarks by processor time, which others that keep the machine busy do not lengthen as they do
// the clock's.
package cpu

import (
	"syscall"
	"testing"
	"time"
)

// Measure reports the processor time that the process uses for each operation until the result is called, as cpu-ns/op.
func Measure(b *testing.B) func() {
	begun := used()
	return func() { b.ReportMetric(float64(used()-begun)/float64(b.N), "cpu-ns/op") }
}

func used() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
