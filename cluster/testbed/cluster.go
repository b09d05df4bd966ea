package testbed

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"foresail.dev"
	"foresail.dev/cluster/testbed/cgroup"
	"foresail.dev/cluster/testbed/wire"
	"foresail.dev/load"
)

// startLimit is how long the processes may take to start, all of them together.
const startLimit = 60 * time.Second

// Cluster is an application that runs as real processes. It is a foresail.Cluster; all methods are safe for concurrent
// use but Next, which one goroutine calls.
type Cluster struct {
	cfg       Config
	ctx       context.Context // ends with Close
	cancel    context.CancelFunc
	hierarchy cgroup.Hierarchy
	janitor   *janitor
	dir       string
	clock     wire.Clock
	origin    time.Duration  // since the epoch: the first interval's start
	wait      sync.WaitGroup // the goroutines of this cluster
	quiet     quiet
	exporter  *exporter     // nil: no metrics are served
	last      time.Duration // since the epoch: the newest interval's end; 0 before the first; Next's own
	logging   sync.Mutex
	closed    sync.Once
	closeErr  error

	mu       sync.Mutex
	changed  chan struct{} // closed and replaced whenever what mu guards has changed
	services []*service
	users    *process
	crowd    cgroup.Group // of the users; it has no limit
	routes   *wire.Routes
	broken   error // why a process failed at the start, or the users later
	started  bool
	closing  bool
	writes   []Write
	figures  wire.Figures
	dropped  int64                // spans lost so far, told to no snapshot yet
	lost     map[string]int64     // spans lost so far, by process
	samples  []*foresail.Snapshot // measured and not yet taken by Next
}

// New starts every process of the application and waits until all replicas are ready and the users have begun. The
// context bounds starting alone. On an error nothing is left behind.
func New(ctx context.Context, cfg Config) (*Cluster, error) {
	if err := cfg.complete(); err != nil {
		return nil, err
	}
	if cfg.OTLP != "" {
		if err := reach(ctx, cfg.OTLP); err != nil {
			return nil, err
		}
	}
	h, err := cgroup.Detect()
	if err == nil && slices.ContainsFunc(cfg.Blueprint.App.Services, func(s foresail.Service) bool { return s.Initial.Memory > 0 || s.Bounds.MaxMemory > 0 }) {
		err = h.Memory()
	}
	if err != nil {
		return nil, fmt.Errorf("testbed: %w", err)
	}
	c := &Cluster{cfg: cfg, hierarchy: h, clock: wire.NewClock(cfg.Epoch), changed: make(chan struct{}), lost: map[string]int64{}}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	if err := c.prepare(); err != nil {
		return nil, err
	}
	if cfg.Metrics != "" {
		if err := c.startExporter(cfg.Metrics); err != nil {
			return nil, errors.Join(err, c.Close())
		}
	}
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	if err := c.start(ctx); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// prepare makes the run directory, the janitor and the parent cgroup; nothing is left of them on an error.
func (c *Cluster) prepare() (err error) {
	if c.dir, err = os.MkdirTemp(c.cfg.Dir, "foresail-"); err != nil {
		return fmt.Errorf("testbed: run directory: %w", err)
	}
	if c.janitor, err = startJanitor(c.cfg.Command); err != nil {
		return errors.Join(err, os.RemoveAll(c.dir))
	}
	if err = c.hierarchy.Prepare(c.cfg.CgroupRoot); err != nil {
		return errors.Join(fmt.Errorf("testbed: %w", err), c.janitor.dismiss(), os.RemoveAll(c.dir))
	}
	if c.cfg.Favour {
		if err := c.hierarchy.Favour(c.cfg.CgroupRoot); err != nil {
			c.logf("the run can't be favoured over the rest of the machine: %v", err)
		}
	}
	if err := c.janitor.tell(chores{Groups: c.hierarchy.Dirs(c.cfg.CgroupRoot), Dir: c.dir}); err != nil {
		return errors.Join(fmt.Errorf("testbed: the janitor: %w", err), c.Close())
	}
	return nil
}

// start starts the replicas, then the users, then the clock of intervals.
func (c *Cluster) start(ctx context.Context) error {
	app := c.cfg.Blueprint.App
	c.mu.Lock()
	c.routes = &wire.Routes{Version: 1, Addresses: make([][]string, len(app.Services))}
	for i := range app.Services {
		s := &service{id: foresail.ServiceID(i), target: app.Services[i].Initial}
		s.cpu, s.memory = s.target.CPU, s.target.Memory
		c.services = append(c.services, s)
	}
	for _, s := range c.services {
		c.reconcile(s)
	}
	c.mu.Unlock()
	if err := c.unbroken(ctx, c.settled); err != nil {
		return fmt.Errorf("testbed: start: %w", err)
	}
	if err := c.startUsers(ctx); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.started = true
	c.discover()
	elapsed := c.clock.Elapsed()
	wall := c.clock.At(elapsed)
	c.origin = elapsed + wall.Truncate(c.cfg.Beat).Add(2*c.cfg.Beat).Sub(wall)
	c.quiet = quiet{load: c.cfg.Load, since: c.origin}
	c.users.send(wire.ToChild{Begin: &c.origin})
	c.wait.Go(c.sample)
	return nil
}

// startUsers starts the load generator, lets every process know the routes and waits until all do.
func (c *Cluster) startUsers(ctx context.Context) error {
	p, err := c.spawn(roleUsers, "users", c.hearUsers, c.usersEnded)
	if err != nil {
		return err
	}
	group, err := c.hierarchy.Make(c.cfg.CgroupRoot + "/users")
	if err == nil {
		err = group.Add(p.cmd.Process.Pid)
	}
	if err == nil { // an application that takes all CPUs must not slow those who measure it
		err = group.Favour()
	}
	if err != nil {
		p.kill()
		return fmt.Errorf("testbed: cgroup of the users: %w", err)
	}
	p.send(wire.ToChild{Boot: &wire.Boot{
		Blueprint: c.cfg.Blueprint, Name: "users", Seed: c.cfg.Seed, OTLP: c.cfg.OTLP, Epoch: c.cfg.Epoch,
		Load: c.cfg.Load, Limit: c.cfg.Outstanding,
	}})
	c.mu.Lock()
	c.users, c.crowd = p, group
	p.booted = true
	version := c.publish()
	c.mu.Unlock()
	if err := c.unbroken(ctx, func() bool { return c.known(version) && c.users.alive() }); err != nil {
		return fmt.Errorf("testbed: start the users: %w", err)
	}
	return nil
}

// App is the application. It does not change.
func (c *Cluster) App() *foresail.App { return c.cfg.Blueprint.App }

// SetLoad changes what the users do from now on. Its offset 0 is now.
func (c *Cluster) SetLoad(l *load.Load) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.users != nil {
		c.quiet.load, c.quiet.since = l, c.clock.Elapsed()
		c.users.send(wire.ToChild{Load: l})
	}
}

// notify wakes whoever waits in until. mu is held.
func (c *Cluster) notify() {
	close(c.changed)
	c.changed = make(chan struct{})
}

// until waits until done, which is called with mu held, is true; its error is the context's, or that of a Close.
func (c *Cluster) until(ctx context.Context, done func() bool) error {
	for {
		c.mu.Lock()
		ok, changed := done(), c.changed
		c.mu.Unlock()
		if ok {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("waiting for the processes: %w", ctx.Err())
		case <-c.ctx.Done():
			return errClosed
		}
	}
}

// unbroken is until, but for that a process which failed meanwhile is an error.
func (c *Cluster) unbroken(ctx context.Context, done func() bool) error {
	var broken error // as it was while mu was held
	err := c.until(ctx, func() bool {
		broken = c.broken
		return broken != nil || done()
	})
	if broken != nil {
		return broken
	}
	return err
}

var errClosed = errors.New("the testbed is closed")

// logf tells a person.
func (c *Cluster) logf(format string, args ...any) {
	c.logging.Lock()
	defer c.logging.Unlock()
	_, _ = fmt.Fprintf(c.cfg.Log, "testbed: "+format+"\n", args...)
}
