package testbed

import (
	"context"
	"errors"
	"testing"
)

// A process may fail just when the wait for it is over for another reason: the failure is told, or it came too late, but
// never is it read while it is written.
func TestFailureAtTheEndOfAWait(t *testing.T) {
	failure := errors.New("a replica ended")
	for range 200 {
		c := &Cluster{ctx: context.Background(), changed: make(chan struct{})}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		written := make(chan struct{})
		go func() {
			defer close(written)
			c.mu.Lock()
			defer c.mu.Unlock()
			c.broken = failure
		}()
		if err := c.unbroken(ctx, func() bool { return false }); !errors.Is(err, failure) && !errors.Is(err, context.Canceled) {
			t.Errorf("told %v", err)
		}
		<-written
		if err := c.unbroken(ctx, func() bool { return true }); err != failure {
			t.Errorf("told %v, not the failure alone", err)
		}
	}
}
