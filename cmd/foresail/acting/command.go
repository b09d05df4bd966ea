package acting

import (
	"fmt"
	"io"
	"strconv"

	"github.com/spf13/cobra"

	"foresail.dev/cmd/foresail/cli"
)

// New is foresail foresee act.
func New() *cobra.Command {
	var file string
	var asJSON bool
	c := &cobra.Command{
		Use:   "act -f ACTING.yaml",
		Short: "Says how many violations are avoided by acting on what is foreseen, and what that costs",
		Long: `Simulates operation under loads and faults that are drawn, each seed twice: under a manager alone, and under the same manager wrapped so
that the service which is about to start a violation gets more for as long as the danger lasts. Prints, of all episodes and of those of each
kind of fault, how many were foreseen and how many avoided, and what cores that took; and the same of runs in which nothing goes wrong.`,
		Example: "  foresail foresee act -f examples/seer-acting.yaml --json",
		Args:    cli.Needs("file"),
		RunE: func(c *cobra.Command, _ []string) error {
			f, err := Read(file)
			if err != nil {
				return err
			}
			ctx, stop := cli.Stoppable(c.Context())
			defer stop()
			p := cli.NewProgress(c.ErrOrStderr())
			rows, err := f.Measure(ctx, p.At)
			p.End()
			if err != nil {
				return err
			}
			if asJSON {
				return cli.PrintJSON(c.OutOrStdout(), cli.NewResult("foresee-act", &f.Seed, rows))
			}
			return printRows(c.OutOrStdout(), rows)
		},
	}
	c.Flags().StringVarP(&file, "file", "f", "", "what is simulated, who manages, and what foresees; see docs/formats/foresee.md")
	c.Flags().BoolVar(&asJSON, "json", false, "print the result as JSON")
	return c
}

func printRows(w io.Writer, rows []Row) error {
	percent := func(v *float64) string { return cli.Opt("%.1f %%", times(v, 100)) }
	cells := [][]string{}
	for i := range rows {
		r := &rows[i]
		name := r.Manager
		if r.Guarded {
			name = "guard(" + name + ")"
		}
		cells = append(cells, []string{r.Application, name, r.Cause, strconv.Itoa(r.Episodes), strconv.Itoa(r.Foreseen), percent(r.Named),
			fmt.Sprintf("%d of %d", r.ForeseenAvoided, r.Foreseen), fmt.Sprintf("%d of %d", r.Avoided, r.Episodes),
			cli.Opt("%d", r.Wrapped), cli.Opt("%.0f", r.Violated), cli.Opt("%.0f", r.ViolatedW), cli.Opt("%d", r.Alarms), cli.Opt("%d", r.False),
			cli.Opt("%.2f", r.Cores), percent(r.CoresAdded), percent(r.CoresFalse)})
	}
	return cli.Table(w, []string{"application", "manager", "cause", "episodes", "foreseen", "culprit", "foreseen avoided", "all avoided",
		"episodes wrapped", "violated s", "wrapped s", "alarms", "false", "cores", "added", "by false alarms"}, cells)
}

func times(v *float64, by float64) *float64 {
	if v == nil {
		return nil
	}
	u := *v * by
	return &u
}
