package keeping

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"foresail.dev/cmd/foresail/cli"
	"foresail.dev/cmd/foresail/latencies/repository"
)

// NewList is foresail latency list.
func NewList() *cobra.Command {
	var models string
	var asJSON, graphs bool
	c := &cobra.Command{
		Use:     "list --models DIR",
		Short:   "Lists the models of latency in a repository, and what they were trained on",
		Example: "  foresail latency list --models models",
		Args:    cli.Needs("models"),
		RunE: func(c *cobra.Command, _ []string) error {
			r, err := existing(models)
			if err != nil {
				return err
			}
			all, notes, err := r.List()
			if err != nil {
				return err
			}
			rows := []repository.Entry{}
			for _, e := range all {
				if !graphs || e.Kind == "graph" {
					rows = append(rows, e)
				}
			}
			if asJSON {
				res := cli.NewResult("latency-list", nil, rows)
				res.Detail = map[string]any{"notes": notes}
				return cli.PrintJSON(c.OutOrStdout(), res)
			}
			var cells [][]string
			for _, e := range rows {
				cells = append(cells, []string{e.ID, e.Kind, e.Label, e.Application, fmt.Sprint(e.Inputs), fmt.Sprint(e.Models), e.Learner, fmt.Sprint(e.Rows), day(e.From), day(e.To), e.Release,
					fmt.Sprintf("%.3g", e.Error), e.Source})
			}
			err = cli.Table(c.OutOrStdout(), []string{"id", "kind", "of", "application", "inputs", "models", "learner", "rows", "from", "to", "release", "mae", "source"}, cells)
			return errors.Join(err, printNotes(c.OutOrStdout(), notes))
		},
	}
	c.Flags().StringVar(&models, "models", "", "directory of the repository of models")
	c.Flags().BoolVar(&graphs, "graphs", false, "graphs alone, without the assignments that they are composed of")
	c.Flags().BoolVar(&asJSON, "json", false, "print the result as JSON")
	return c
}

func day(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Format("2006-01-02 15:04")
}
