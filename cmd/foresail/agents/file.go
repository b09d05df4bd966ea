package agents

import (
	"errors"
	"fmt"
	"time"

	"foresail.dev/appfile"
	"foresail.dev/cmd/foresail/cli"
	"foresail.dev/telemetry/agent/identity"
	"foresail.dev/telemetry/agent/partition"
	"foresail.dev/telemetry/agent/probe"
	"foresail.dev/telemetry/agent/probe/load"
)

// File is what an agent's file says, see docs/formats/agent.md.
type File struct {
	Rules      []identity.Rule `yaml:"rules"`
	Probes     Probes          `yaml:"probes"`
	Partitions Partitions      `yaml:"partitions"`

	path string
}

// Probes says whether and how contention probes may run on this node.
type Probes struct {
	Allow bool          `yaml:"allow"`
	Dir   string        `yaml:"dir"`                        // on the disk that is loaded
	Peer  string        `yaml:"peer"`                       // host:port of a sink beyond the network that is loaded
	Burst time.Duration `yaml:"burst" rule:"min=0s,max=1s"` // 0: 10 ms
	Limit time.Duration `yaml:"limit" rule:"min=0s,max=1m"` // for each resource; 0: 2 s
	Rise  float64       `yaml:"rise" rule:"min=0,max=100"`  // of latency that matters; 0: 0.1
}

// Partitions says which resources of this node may be divided.
type Partitions struct {
	Allow []string `yaml:"allow"`    // cache, network, memory; empty: none
	Undo  string   `yaml:"undo_dir"` // of undo records; empty: defaultUndo
}

// defaultUndo is where undo records are kept: it must outlive an agent that dies.
const defaultUndo = "/var/lib/foresail/partitions"

// readFile reads an agent's file; of no name, one that allows nothing.
func readFile(path string) (f File, err error) {
	f.path = path
	if path != "" {
		if err := appfile.ReadFile(path, &f); err != nil {
			return f, cli.Usage(err)
		}
	}
	if f.Partitions.Undo == "" {
		f.Partitions.Undo = defaultUndo
	}
	var errs []error
	for _, k := range f.Partitions.Allow {
		switch partition.Kind(k) {
		case partition.Cache, partition.Network, partition.Memory:
		default:
			errs = append(errs, fmt.Errorf("%s: partitions.allow: %q is no kind; known: cache, network, memory", path, k))
		}
	}
	if len(errs) > 0 {
		return f, cli.Usage(errors.Join(errs...))
	}
	return f, nil
}

// mayProbe is the permission that the file gives.
func (f *File) mayProbe() probe.Permission {
	if !f.Probes.Allow {
		return probe.Permission{}
	}
	return probe.Allow(f.path + ": probes.allow")
}

// mayPartition is the permission that the file gives.
func (f *File) mayPartition() partition.Permission {
	kinds := make([]partition.Kind, len(f.Partitions.Allow))
	for i, k := range f.Partitions.Allow {
		kinds[i] = partition.Kind(k)
	}
	return partition.Allow(f.path+": partitions.allow", kinds...)
}

func (f *File) loads() load.Config { return load.Config{Dir: f.Probes.Dir, Peer: f.Probes.Peer} }
