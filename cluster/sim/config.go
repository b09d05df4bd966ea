package sim

import (
	"errors"
	"fmt"
	"time"

	"foresail.dev"
	"foresail.dev/fault"
	"foresail.dev/load"
)

// Config says what is simulated.
type Config struct {
	Blueprint *foresail.Blueprint
	Load      *load.Load
	Seed      uint64
	// Start is the simulated instant of offset 0, on a whole beat; zero means 2024-01-01 00:00 UTC.
	Start time.Time
	// Duration is how much is simulated, in whole beats; 0: for ever.
	Duration time.Duration
	// Beat is the length of a snapshot; 0 means foresail.Beat.
	Beat time.Duration

	// TraceShare is the share of requests, 0..1, whose spans are reported to Spans.
	TraceShare float64
	// Spans receives the spans of one trace when all work for it has ended, from within Next, in the order of their ends.
	// The receiver owns the slice. Each span's weight is 1/TraceShare.
	Spans func([]foresail.Span)

	// Nodes are the machines that replicas run on and share. Nil: each replica has a machine for itself, nothing interferes,
	// and the network and images take no time.
	Nodes []foresail.Node
	// Placement is how a node is chosen for a replica.
	Placement foresail.Placement
	// Overcommit lets replicas request more CPU than nodes have, as limits without requests do.
	Overcommit bool
	// Within and Between are how long a message takes to another replica of the same node and to another node, beside the
	// time of its bytes.
	Within, Between time.Duration
	// Detection is how long it takes until the replicas of a node that was lost are replaced; 0 means DefaultDetection.
	Detection time.Duration

	// Faults is what goes wrong; nil: nothing does. What is random in it is drawn from Seed.
	Faults *fault.Schedule
	// Updates are what the application becomes in the course of the run, in the order of time.
	Updates []Update
	// Truth is told what faults and updates do, when they do it, from within Next. It is for who evaluates a run: nothing of
	// it can be had through the foresail.Cluster.
	Truth func(fault.Truth)

	// NodeCores is how many threads of one replica run at once, whatever its limit, where its node does not say; 0 means
	// DefaultNodeCores.
	NodeCores int
	// DrainLimit is how long a replica that is being removed may go on with what it has; then the rest fails. 0 means
	// DefaultDrainLimit.
	DrainLimit time.Duration
}

// Defaults of a Config.
const (
	DefaultNodeCores  = 64
	DefaultDrainLimit = 30 * time.Second
	DefaultDetection  = 40 * time.Second // Kubernetes' node-monitor-grace-period was so until 1.32
)

var defaultStart = time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)

func (c *Config) defaults() {
	if c.Start.IsZero() {
		c.Start = defaultStart
	}
	c.Start = c.Start.UTC()
	if c.Beat == 0 {
		c.Beat = foresail.Beat
	}
	if c.NodeCores == 0 {
		c.NodeCores = DefaultNodeCores
	}
	if c.DrainLimit == 0 {
		c.DrainLimit = DefaultDrainLimit
	}
	if c.Detection == 0 {
		c.Detection = DefaultDetection
	}
}

// validate reports every fault at once; it comes after defaults.
func (c *Config) validate() error {
	var errs []error
	fault := func(bad bool, format string, args ...any) {
		if bad {
			errs = append(errs, fmt.Errorf("sim: "+format, args...))
		}
	}
	fault(c.Blueprint == nil || c.Blueprint.App == nil, "no blueprint of an application: set Config.Blueprint")
	fault(c.Load == nil, "no load: set Config.Load")
	fault(c.Beat < 0, "beat %s is negative", c.Beat)
	fault(c.Duration < 0, "duration %s is negative", c.Duration)
	if c.Beat > 0 {
		fault(c.Duration%c.Beat != 0, "duration %s is not a whole number of beats of %s", c.Duration, c.Beat)
		fault(c.Start.UnixNano()%int64(c.Beat) != 0, "start %s is not on a whole beat of %s", c.Start.Format(time.RFC3339Nano), c.Beat)
	}
	fault(!(c.TraceShare >= 0 && c.TraceShare <= 1), "trace share %v is outside 0..1", c.TraceShare)
	fault(c.NodeCores < 0, "%d cores per node", c.NodeCores)
	fault(c.DrainLimit < 0, "drain limit %s is negative", c.DrainLimit)
	fault(c.Within < 0 || c.Between < 0, "network latencies %s and %s: they must not be negative", c.Within, c.Between)
	fault(c.Detection < 0, "detection of lost nodes after %s: it must not be negative", c.Detection)
	names := map[string]bool{}
	for i := range c.Nodes {
		n := &c.Nodes[i]
		err := n.Check()
		fault(err != nil, "%w", err)
		fault(names[n.Name], "two nodes are called %s", n.Name)
		names[n.Name] = true
	}
	return errors.Join(errs...)
}

// World is what faults are aimed at in a simulation of this configuration: see fault.Schedule.CheckIn.
func (c *Config) World() *fault.World {
	w := &fault.World{Duration: c.Duration, Versions: []fault.Version{{Blueprint: c.Blueprint}}}
	for _, u := range c.Updates {
		w.Versions = append(w.Versions, fault.Version{At: u.At, Blueprint: u.Blueprint})
	}
	for i := range c.Nodes {
		w.Nodes = append(w.Nodes, c.Nodes[i].Name)
	}
	return w
}
