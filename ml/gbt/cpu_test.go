//go:build unix

package gbt_test

import (
	"syscall"
	"testing"
)

// cpu reports what a benchmark took of all processors, which says more than the clock where others compute too. The
// returned function is to be called after the loop.
func cpu(b *testing.B) (done func()) {
	now := func() int64 {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			b.Fatal(err)
		}
		return u.Utime.Nano() + u.Stime.Nano()
	}
	begin := now()
	return func() { b.ReportMetric(float64(now()-begin)/float64(b.N), "cpu-ns/op") }
}
