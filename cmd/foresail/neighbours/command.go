package neighbours

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"foresail.dev/cmd/foresail/cli"
)

// New is the command. start starts the testbed.
func New(start func(io.Writer) Start) *cobra.Command {
	var file string
	var asJSON bool
	c := &cobra.Command{
		Use:   "neighbours -f NEIGHBOURS.yaml",
		Short: "Puts a noisy process beside a service of a testbed, and counts how often service and resource are named",
		Long: `Runs an application as real processes and puts beside one of its services a process that burns CPU, copies memory or fills the
disk's queue. The service and its neighbour share a CPU that nobody else of the application has. Counts in how many runs the service
is the first suspect, and its resource the first finding. Needs permission to make cgroups, two CPUs, and a machine that does nothing
else.`,
		Example: "  foresail diagnose neighbours -f examples/neighbours.yaml --json",
		Args:    cli.Needs("file"),
		RunE: func(c *cobra.Command, _ []string) error {
			f, err := Read(file)
			if err != nil {
				return cli.Usage(err)
			}
			ctx, stop := cli.Stoppable(c.Context())
			defer stop()
			p := cli.NewProgress(c.ErrOrStderr())
			r, err := Measure(ctx, f, start(c.ErrOrStderr()), p.At, c.ErrOrStderr())
			p.End()
			if err != nil {
				return err
			}
			if asJSON {
				res := cli.NewResult("diagnose-neighbours", &f.Seed, r.Rows)
				res.Detail = map[string]any{"runs": r.Runs}
				return cli.PrintJSON(c.OutOrStdout(), res)
			}
			return r.print(c.OutOrStdout())
		},
	}
	c.Flags().StringVarP(&file, "file", "f", "", "the experiment; see docs/formats/neighbours.md")
	c.Flags().BoolVar(&asJSON, "json", false, "print the result as JSON")
	return c
}

func (r *Result) print(w io.Writer) error {
	var cells [][]string
	for _, x := range r.Rows {
		cells = append(cells, []string{string(x.Neighbour), x.Beside, fmt.Sprint(x.Runs), fmt.Sprint(x.Located), fmt.Sprint(x.Named), fmt.Sprintf("%.2f", x.Slower)})
	}
	return cli.Table(w, []string{"neighbour", "beside", "runs", "located", "named", "times as slow"}, cells)
}
