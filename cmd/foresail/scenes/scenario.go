// Package scenes is "foresail scenario".
package scenes

import (
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"foresail.dev/cmd/foresail/cli"
	"foresail.dev/scenario"
)

// played is one scenario in the result of scenario.
type played struct {
	File      string        `json:"file"`
	Held      bool          `json:"held"`
	Failures  []unfulfilled `json:"failures,omitempty"`
	Simulated float64       `json:"simulated_s"`
}

type unfulfilled struct {
	Line int      `json:"line"`
	Text string   `json:"text"`
	Why  []string `json:"why"`
}

// New is the command.
func New() *cobra.Command {
	var update, asJSON bool
	c := &cobra.Command{
		Use:   "scenario FILE...",
		Short: "Runs scenarios and prints their transcripts",
		Long: `Runs scenarios: text files that set an application up in the simulator, let things happen to it under a manager, and say
what comes of it. Prints each as a transcript, with what was found below each command. Exits with 1 when an expectation
does not hold. The language is described in scenario/README.md.`,
		Example: "  foresail scenario examples/scenarios/*.scenario",
		Args: func(c *cobra.Command, args []string) error {
			if len(args) == 0 {
				return cli.Usagef("%s needs a scenario file; see %q", c.CommandPath(), c.CommandPath()+" --help")
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error { return runScenarios(c, args, update, asJSON) },
	}
	c.Flags().BoolVar(&update, "update", false, "write the outputs in the files as they are now")
	c.Flags().BoolVar(&asJSON, "json", false, "print the result as JSON instead of the transcripts")
	return c
}

func runScenarios(c *cobra.Command, files []string, update, asJSON bool) error {
	all := make([]*scenario.Scenario, len(files))
	for i, file := range files { // what is wrong in any of them comes before a long run
		var err error
		if all[i], err = scenario.Read(file); err != nil {
			return cli.Usage(err)
		}
	}
	ctx, stop := cli.Stoppable(c.Context())
	defer stop()
	progress := cli.NewProgress(c.ErrOrStderr())
	var rows []played
	failed := 0
	for i, s := range all {
		progress.At(float64(i)/float64(len(all)), files[i])
		began := time.Now()
		r, err := s.Run(ctx)
		if err != nil {
			progress.End()
			return err
		}
		if update {
			if err := os.WriteFile(files[i], []byte(r.Updated), 0o644); err != nil {
				progress.End()
				return err
			}
		}
		row := played{File: files[i], Held: true, Simulated: r.Simulated.Seconds()}
		for _, f := range r.Failures {
			if update && f.Output {
				continue
			}
			row.Held = false
			row.Failures = append(row.Failures, unfulfilled{f.Line, f.Text, f.Why})
		}
		failed += len(row.Failures)
		rows = append(rows, row)
		if !asJSON {
			progress.End()
			fmt.Fprintf(c.OutOrStdout(), "== %s\n%s== %s simulated in %s, %d failed\n\n", files[i], r.Transcript, r.Simulated,
				time.Since(began).Round(time.Millisecond), len(row.Failures))
		}
	}
	progress.End()
	if asJSON {
		if err := cli.PrintJSON(c.OutOrStdout(), cli.NewResult("scenario", nil, rows)); err != nil {
			return err
		}
	}
	if failed > 0 {
		return fmt.Errorf("%d of what %d scenarios expect does not hold", failed, len(files))
	}
	return nil
}
