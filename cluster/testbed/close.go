package testbed

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"foresail.dev/cluster/testbed/cgroup"
	"foresail.dev/cluster/testbed/wire"
)

// Limits of an orderly end.
const (
	figuresLimit = 2 * time.Second  // for the users' last figures
	closeLimit   = 15 * time.Second // for everything to be dead and removed
)

// Close ends every process, removes the cgroups and the run directory and waits until that is done. Next then returns
// io.EOF. It may be called again, and returns the same.
func (c *Cluster) Close() error {
	c.closed.Do(func() { c.closeErr = c.close() })
	return c.closeErr
}

func (c *Cluster) close() error {
	c.lastFigures()
	c.mu.Lock()
	c.closing = true // no process is started from now on
	var all []*process
	for _, s := range c.services {
		for _, r := range s.replicas {
			if r.proc != nil {
				all = append(all, r.proc)
			}
		}
	}
	if c.users != nil {
		all = append(all, c.users)
	}
	c.mu.Unlock()
	c.cancel()
	c.exporter.close()
	for _, p := range all {
		p.kill()
	}
	// The groups are emptied whatever the processes do; this also ends one that was started a moment ago.
	var errs []error
	if c.crowd != nil {
		errs = append(errs, c.crowd.Remove())
	}
	if err := cgroup.Destroy(c.hierarchy.Dirs(c.cfg.CgroupRoot), closeLimit); err != nil {
		errs = append(errs, fmt.Errorf("testbed: close: %w", err))
	}
	reaped := make(chan struct{})
	go func() { c.wait.Wait(); close(reaped) }()
	select {
	case <-reaped:
	case <-time.After(closeLimit):
		errs = append(errs, fmt.Errorf("testbed: close: processes are still there after %v", closeLimit))
	}
	if err := errors.Join(errs...); err != nil { // leave the rest to the janitor
		_ = c.janitor.pipe.Close()
		return err
	}
	return errors.Join(os.RemoveAll(c.dir), c.janitor.dismiss())
}

// lastFigures asks the users to stop and waits, for a moment, for what they counted.
func (c *Cluster) lastFigures() {
	c.mu.Lock()
	p := c.users
	c.mu.Unlock()
	if p == nil {
		return
	}
	p.send(wire.ToChild{Drain: true})
	ctx, cancel := context.WithTimeout(context.Background(), figuresLimit)
	defer cancel()
	_ = c.until(ctx, func() bool {
		select {
		case <-p.exited:
			return true
		default:
			return c.figures.Final
		}
	})
}
