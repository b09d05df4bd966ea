package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"foresail.dev/cmd/foresail/cli"
	"foresail.dev/cmd/foresail/importing"
	"foresail.dev/telemetry/alibaba"
	"foresail.dev/telemetry/source"
)

func newImport() *cobra.Command {
	c := &cobra.Command{
		Use: "import", Short: "Reads outside data, prints what is in it, and puts it into a history", Args: cli.NoArgs,
		Long: `Reads outside data, prints the services, the calls between them and the endpoints that are in it, and with --history
puts it into a history on disk. Files may be compressed (gzip, zstd) or in tar archives; "-" is standard input. Each format
is told in docs/formats/import.md.`,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	for _, f := range importing.Formats() {
		c.AddCommand(newImporter(f))
	}
	return c
}

func newImporter(f importing.Format) *cobra.Command {
	var o importing.Options
	var asJSON bool
	check := func() error { return nil }
	c := &cobra.Command{
		Use: f.Name + " FILE|FOLDER...", Short: f.Short, Long: f.Long, Example: f.Example,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return cli.Usagef("give one file of %s or more, or - for standard input", f.What)
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			if err := check(); err != nil {
				return err
			}
			return runImport(c, &f, o, args, asJSON)
		},
	}
	fl := c.Flags()
	fl.BoolVar(&asJSON, "json", false, "print the result as JSON")
	fl.StringVar(&o.History, "history", "", "write snapshots into the history in this folder")
	fl.StringVar(&o.KeyFile, "key-file", "", "file with the key that encrypts both, or env:NAME; empty: they are not encrypted")
	fl.StringVar(&o.Application, "application", f.Name, "name of the application in a history and in traces")
	if f.Interval > 0 {
		fl.DurationVar(&o.Interval, "interval", f.Interval, "length of a snapshot made of spans")
		fl.StringVar(&o.Traces, "traces", "", "write exemplar traces into this folder: of each minute the slowest five and a random five")
		fl.Uint64Var(&o.Seed, "seed", 1, "seed of the random choice of traces")
	}
	if f.Shares {
		check = alibabaFlags(c, &o.Alibaba)
	}
	return c
}

// alibabaFlags say what Alibaba's data does not; the result checks them.
func alibabaFlags(c *cobra.Command, o *alibaba.Options) (check func() error) {
	var epoch string
	var containerGiB, nodeGiB float64
	fl := c.Flags()
	fl.StringVar(&epoch, "epoch", alibaba.DefaultEpoch.Format(time.RFC3339), "when timestamp 0 was: the data gives no date")
	fl.Float64Var(&o.ContainerCores, "container-cores", 0, "cores that a container's utilisation is a share of; 0: not known")
	fl.Float64Var(&containerGiB, "container-gib", 0, "memory that a container's utilisation is a share of, in GiB; 0: not known")
	fl.Float64Var(&o.NodeCores, "node-cores", 0, "cores that a node's utilisation is a share of; 0: not known")
	fl.Float64Var(&nodeGiB, "node-gib", 0, "memory that a node's utilisation is a share of, in GiB; 0: not known")
	fl.Float64Var(&o.CallRate, "call-rate", 0, "calls per second that a rate of 1 stands for in v2022; 0: not known")
	return func() error {
		t, err := time.Parse(time.RFC3339, epoch)
		if err != nil || t.Year() < 1971 || t.Year() > 2200 {
			return cli.Usagef("--epoch %q: give a time such as 2022-01-01T00:00:00Z", epoch)
		}
		for _, v := range []float64{o.ContainerCores, containerGiB, o.NodeCores, nodeGiB, o.CallRate} {
			if !(v >= 0 && v <= 1e9) {
				return cli.Usagef("%g: give sizes and rates from 0 to 1e9", v)
			}
		}
		const gib = 1 << 30
		o.Epoch, o.ContainerMemory, o.NodeMemory = t.UTC(), containerGiB*gib, nodeGiB*gib
		return nil
	}
}

func runImport(c *cobra.Command, f *importing.Format, o importing.Options, paths []string, asJSON bool) error {
	progress := cli.NewProgress(c.ErrOrStderr())
	r, err := f.Run(o, paths, c.InOrStdin(), func(name string, n int64) { progress.At(0, fmt.Sprintf("%s: %d MB", name, n/1e6)) })
	progress.End()
	if err != nil {
		return err
	}
	out := c.OutOrStdout()
	rows := append([]source.Row{}, r.Summary.Rows()...) // a list, also when empty
	if asJSON {
		res := cli.NewResult("import", nil, rows)
		res.Detail = r.Detail
		return cli.PrintJSON(out, res)
	}
	r.Head(out)
	if len(rows) > 0 {
		head, cells := importing.Table(rows)
		if err := cli.Table(out, head, cells); err != nil {
			return err
		}
	}
	r.Tail(out)
	return nil
}
