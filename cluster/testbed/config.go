package testbed

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"

	"foresail.dev"
	"foresail.dev/cluster/testbed/cgroup"
	"foresail.dev/cluster/testbed/trace"
	"foresail.dev/cluster/testbed/wire"
	"foresail.dev/load"
)

// ErrNoCgroup is wrapped by New's error where this machine, or its permissions, don't allow CPU quotas to be set. The
// error is one line that says what is missing.
var ErrNoCgroup = cgroup.ErrUnavailable

// Observer turns the spans that the processes send into snapshots.
type Observer interface {
	// Cut ends the current interval at end and returns what was observed in it; the next begins there.
	Cut(end time.Time) *foresail.Snapshot
}

// Config says what to run, and how.
type Config struct {
	Blueprint *foresail.Blueprint // required
	Load      *load.Load          // nil: no requests until SetLoad
	Seed      uint64

	Observer Observer // nil: snapshots hold what cgroups tell alone
	OTLP     string   // host:port of the OTLP receiver (gRPC) that feeds the observer; empty, where Metrics are served: none

	// InFlight is the host:port of an OTLP receiver (HTTP) that replicas report their requests in flight to each 100 ms, as they
	// begin; spans tell of them only once they have ended. Default: they don't.
	InFlight string
	// Command runs this binary again, such that main calls Child with the arguments that are appended.
	// Default: /proc/self/exe.
	Command []string
	// Dir is where the run makes a directory of its own, which Close removes. Default: the system's temporary directory.
	Dir string
	// Duration is how long the run lasts from the first interval on; 0: until Close.
	Duration time.Duration
	// Beat is the length of an interval. Default: foresail.Beat.
	Beat time.Duration
	// Lag is how long after an interval's end Next waits for the last spans of it: processes send them 100 ms after they
	// end. Later ones revise. Default: 150 ms; negative: none.
	Lag time.Duration
	// CgroupRoot names the group, below the mount points, that holds the replicas' groups; it must not be there yet.
	// Default: "foresail-" and the process's number.
	CgroupRoot string
	// Favour lets the run's processes go before everything else on this machine where CPUs are short, so that others disturb
	// what is measured as little as may be. It changes nothing among the processes.
	Favour bool
	// Contend lets neighbours take from replicas what machines share. Without it work is so much CPU time, whoever runs beside, and
	// files are in memory. With it, a service whose blueprint has an Interference walks through as much memory as that says it fills of
	// a cache, so that its work takes longer where others throw it out; and files are read and written past the kernel's cache.
	Contend bool
	// Agent says that a node agent reports to the observer what cgroups tell: CPU, throttled time, memory. They are not read
	// here then.
	Agent bool
	// Outstanding is how many requests of the users may be unanswered at once; beyond, a request fails without being
	// sent. Default: 4096.
	Outstanding int
	// Metrics is where the testbed serves metrics for Prometheus, host:port, port 0 for a free one; each replica then serves
	// its own on a port that the file Targets tells, as Prometheus reads it (file_sd). Empty: none are kept.
	Metrics, Targets string
	// MetricsTLS and MetricsGuard protect what Metrics serves; nil: nothing does. Replicas serve theirs on loopback alone.
	MetricsTLS   *tls.Config
	MetricsGuard func(http.Handler) http.Handler
	// Processes are what services' processes are told when they start, where it is not as usual.
	Processes map[foresail.ServiceID]Process
	// Log is told, a line each, what a person should know: replicas that died, spans lost. Default: nobody.
	Log io.Writer

	// Epoch is when the steady time of all timestamps begins. Who receives the spans should take the time from
	// wire.NewClock of the same epoch, so that setting the machine's clock during a run does not look like clock skew.
	// Default: now.
	Epoch wire.Epoch
}

// Process is how a service's processes use their machine. 0: as usual.
type Process struct {
	Procs     int // threads that compute at once; usually 16
	GCPercent int // how much the heap may grow until it is collected, percent; usually 400
}

// complete fills in defaults and checks, naming every fault at once.
func (c *Config) complete() error {
	var faults []error
	fault := func(wrong bool, format string, args ...any) {
		if wrong {
			faults = append(faults, fmt.Errorf("testbed: "+format, args...))
		}
	}
	fault(c.Blueprint == nil || c.Blueprint.App == nil, "no application is given")
	fault(c.OTLP == "" && c.Metrics == "", "no OTLP address is given, and none for metrics: processes need one to be observed by")
	fault(c.Duration < 0, "the duration %v is negative", c.Duration)
	fault(c.Beat < 0 || c.Beat > 0 && c.Beat < 10*time.Millisecond, "a beat of %v is too short: use at least 10ms", c.Beat)
	fault(c.Targets != "" && c.Metrics == "", "a file of targets, and no address to serve metrics at: give both, or neither")
	for id, p := range c.Processes {
		fault(p.Procs < 0 || p.Procs > 1024, "service %d: %d threads that compute at once: use 1 to 1024", id, p.Procs)
		fault(p.GCPercent < 0 || p.GCPercent > 100_000, "service %d: a heap that grows by %d %%: use 1 to 100000", id, p.GCPercent)
	}
	fault(c.Outstanding < 0, "%d outstanding requests: use a positive number", c.Outstanding)
	if b := c.Blueprint; b != nil && b.App != nil {
		fault(len(b.Services) != len(b.App.Services), "the blueprint has %d services and its application %d", len(b.Services), len(b.App.Services))
		for _, s := range b.App.Services {
			fault(s.Initial.Replicas > 0 && !(s.Initial.CPU >= cgroup.MinCores), "service %s: %g cores per replica: use at least %g", s.Name, s.Initial.CPU, cgroup.MinCores)
		}
	}
	if len(faults) > 0 {
		return errors.Join(faults...)
	}
	if c.Load == nil {
		c.Load = &load.Load{Name: "none"}
	}
	c.Load = c.Load.Seeded(c.Seed)
	if len(c.Command) == 0 {
		c.Command = []string{"/proc/self/exe"}
	}
	if c.Dir == "" {
		c.Dir = os.TempDir()
	}
	if c.Beat == 0 {
		c.Beat = foresail.Beat
	}
	switch {
	case c.Lag == 0:
		c.Lag = trace.Interval * 3 / 2
	case c.Lag < 0:
		c.Lag = 0
	}
	if c.CgroupRoot == "" {
		c.CgroupRoot = fmt.Sprintf("foresail-%d", os.Getpid())
	}
	if c.Outstanding == 0 {
		c.Outstanding = 4096
	}
	if c.Epoch == (wire.Epoch{}) {
		c.Epoch = wire.NewEpoch()
	}
	if c.Log == nil {
		c.Log = io.Discard
	}
	return nil
}

// reach checks that something listens where spans are to go.
func reach(ctx context.Context, address string) error {
	d := net.Dialer{Timeout: 2 * time.Second}
	conn, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("testbed: no OTLP receiver at %s: %w; start it before the testbed", address, err)
	}
	return conn.Close()
}
