package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"foresail.dev"
	"foresail.dev/cmd/foresail/cli"
	"foresail.dev/cmd/foresail/fidelity"
	"foresail.dev/load"
)

func newFidelity() *cobra.Command {
	var file, out string
	var asJSON bool
	c := &cobra.Command{
		Use:   "fidelity -f FIDELITY",
		Short: "Runs applications for real and simulated, and says how far the latencies are apart",
		Long: `Runs each case of a file on the testbed, as often as it says, and in the simulator: the same application, CPU limit, load and
seed. Prints the median and the 99th percentile of each endpoint from both, and which are within the tolerance.

What the platform takes beside the demands (remote calls, tracing, the runtime, the network) is found before the cases
of each application on a calibration application that is none of those compared. Needs permission to make cgroups. Everything else on the machine
disturbs what is measured: the table says how much CPU others used.`,
		Example: "  foresail fidelity -f examples/fidelity.yaml --json > result.json --markdown docs/results/fidelity.md",
		Args:    cli.Needs("file"),
		RunE: func(c *cobra.Command, _ []string) error {
			f, cases, calibration, err := fidelity.Read(file)
			if err != nil {
				return cli.Usage(err)
			}
			ctx, stop := cli.Stoppable(c.Context())
			defer stop()
			p := cli.NewProgress(c.ErrOrStderr())
			r := &fidelity.Run{File: f, Cases: cases, Calibration: calibration, Progress: p.At,
				Start: func(ctx context.Context, bp *foresail.Blueprint, l *load.Load, seed uint64, d time.Duration, spans func([]foresail.Span)) (fidelity.Bed, error) {
					b, err := startBed(ctx, bedConfig{blueprint: bp, load: l, seed: seed, duration: d, grpc: "127.0.0.1:0", log: c.ErrOrStderr(), spans: spans, favour: true})
					if err != nil {
						return nil, err
					}
					return fidelityBed{b}, nil
				}}
			err = r.Do(ctx)
			p.End()
			if len(r.Rows) == 0 {
				return err
			}
			if out != "" {
				if werr := os.WriteFile(out, []byte(r.Markdown(file, cli.Commit(), cli.ThisMachine().String())+explained(out)), 0o644); werr != nil {
					err = errors.Join(err, cli.Usage(werr))
				}
			}
			if asJSON {
				res := cli.NewResult("fidelity", &f.Seed, r.Rows)
				res.Detail = r.Detail()
				return errors.Join(err, cli.PrintJSON(c.OutOrStdout(), res))
			}
			if terr := cli.Table(c.OutOrStdout(), fidelity.Head, r.Cells()); terr != nil {
				return errors.Join(err, terr)
			}
			_, perr := fmt.Fprint(c.OutOrStdout(), "\n", r.Summary(), "\n")
			return errors.Join(err, perr, cli.Table(c.OutOrStdout(), fidelity.PlatformHead, r.PlatformCells()))
		},
	}
	fl := c.Flags()
	fl.StringVarP(&file, "file", "f", "", "what to compare; see docs/formats/fidelity.md")
	fl.StringVar(&out, "markdown", "", "write the table to this file as well; what stands there from \"## What explains the rest\" on stays")
	fl.BoolVar(&asJSON, "json", false, "print the result as JSON")
	return c
}

// explained is what people wrote below the table of an earlier run.
func explained(path string) string {
	old, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	if _, below, ok := strings.Cut(string(old), "\n## What explains the rest\n"); ok {
		return "\n## What explains the rest\n" + below
	}
	return ""
}

// fidelityBed is a testbed as package fidelity wants it.
type fidelityBed struct{ *bed }

// Stop ends it.
func (b fidelityBed) Stop() error { return b.stop() }
