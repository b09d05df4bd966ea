package agents

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"foresail.dev/cmd/foresail/cli"
	"foresail.dev/telemetry/agent/cgroup"
	"foresail.dev/telemetry/agent/partition"
	"foresail.dev/telemetry/agent/perf"
	"foresail.dev/telemetry/agent/probe"
	"foresail.dev/telemetry/agent/probe/load"
)

// mechanism is a row of 'foresail agent check'.
type mechanism struct {
	Mechanism string `json:"mechanism"`
	Available *bool  `json:"available,omitempty"` // absent: it was not tried
	Allowed   *bool  `json:"allowed,omitempty"`   // absent: it needs no permission
	Why       string `json:"why,omitempty"`
}

func newCheck(node CLI) *cobra.Command {
	var file string
	var asJSON bool
	c := &cobra.Command{
		Use:   "check [-f AGENT.yaml]",
		Short: "Says which mechanisms this node has, and which of them are allowed",
		Long: `Says what of this node can be observed (pressure, cache misses), divided (cache, network, memory) and probed. Probes are measured
where the agent's file allows them: each works for about a tenth of a second, and one that a victim on another CPU does not feel is
unavailable.`,
		Example: "  foresail agent check -f agent.yaml",
		Args:    cli.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			f, err := readFile(file)
			if err != nil {
				return err
			}
			ctx, stop := node.Stoppable(c.Context())
			defer stop()
			p := cli.NewProgress(c.ErrOrStderr())
			rows, err := check(ctx, &f, func(done float64) { p.At(done, "measuring probes") })
			p.End()
			if err != nil {
				return err
			}
			if asJSON {
				return cli.PrintJSON(c.OutOrStdout(), cli.NewResult("agent-check", nil, rows))
			}
			return printMechanisms(c.OutOrStdout(), rows)
		},
	}
	c.Flags().StringVarP(&file, "file", "f", "", "the agent's file, which says what is allowed; default: nothing is")
	c.Flags().BoolVar(&asJSON, "json", false, "print the result as JSON")
	return c
}

func check(ctx context.Context, f *File, progress func(float64)) ([]mechanism, error) {
	mounts, err := cgroup.ReadMounts("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	var rows []mechanism
	row := func(name string, lacks error) *mechanism {
		ok := lacks == nil
		m := mechanism{Mechanism: name, Available: &ok}
		if lacks != nil {
			m.Why = reason(lacks)
		}
		rows = append(rows, m)
		return &rows[len(rows)-1]
	}
	_, err = os.Stat("/proc/pressure/cpu")
	row("pressure of the node", err)
	row("pressure of containers", missing(mounts.Pressure() != "", "no control groups of version 2 are mounted that keep it"))
	row("cache misses", perf.Check(perf.CacheMisses))
	_, memory := mounts.Where("memory")
	for _, p := range []struct {
		kind  partition.Kind
		lacks error
	}{
		{partition.Cache, partition.CacheShare{Name: "check", Ways: 1, Processes: []int{os.Getpid()}}.Available()},
		{partition.Network, partition.NetworkShare{Name: "check", Device: "lo"}.Available()},
		{partition.Memory, missing(memory != 0, "the memory controller is not mounted")},
	} {
		allowed := slices.Contains(f.Partitions.Allow, string(p.kind))
		row(string(p.kind)+" partition", p.lacks).Allowed = &allowed
	}
	allowed := f.Probes.Allow
	lacks := func(probe.Resource) error { return nil }
	if allowed {
		if lacks, err = load.Lacks(ctx, f.loads(), cpus(), progress); err != nil {
			return nil, err
		}
	}
	for _, r := range probe.Outwards() {
		m := row(string(r)+" probe", lacks(r))
		if m.Allowed = &allowed; !allowed {
			m.Available, m.Why = nil, "not tried, since probes are not allowed"
		}
	}
	return rows, nil
}

func missing(there bool, what string) error {
	if there {
		return nil
	}
	return errors.New(what)
}

// reason is an error without what the row's name says already.
func reason(err error) string {
	var u *load.Unavailable
	var p *partition.Unavailable
	switch {
	case errors.As(err, &u):
		return u.Reason
	case errors.As(err, &p):
		return p.Where + ": " + p.Reason
	}
	return err.Error()
}

func printMechanisms(w io.Writer, rows []mechanism) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "mechanism\tavailable\tallowed\t")
	for _, r := range rows {
		has, may := "—", ""
		if r.Available != nil {
			has = map[bool]string{true: "yes", false: "unavailable"}[*r.Available]
		}
		if r.Allowed != nil {
			may = map[bool]string{true: "yes", false: "no"}[*r.Allowed]
		}
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\n", r.Mechanism, has, may, r.Why)
	}
	return tw.Flush()
}
