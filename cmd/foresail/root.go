package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"foresail.dev/cmd/foresail/acting"
	"foresail.dev/cmd/foresail/agents"
	"foresail.dev/cmd/foresail/apps"
	"foresail.dev/cmd/foresail/callgraphs"
	"foresail.dev/cmd/foresail/cli"
	"foresail.dev/cmd/foresail/comparing"
	"foresail.dev/cmd/foresail/doctor"
	"foresail.dev/cmd/foresail/explaining"
	"foresail.dev/cmd/foresail/fitting"
	"foresail.dev/cmd/foresail/ingesters"
	"foresail.dev/cmd/foresail/latencies"
	"foresail.dev/cmd/foresail/latencies/keeping"
	"foresail.dev/cmd/foresail/neighbours"
	"foresail.dev/cmd/foresail/operating"
	"foresail.dev/cmd/foresail/plugin"
	"foresail.dev/cmd/foresail/scenes"
	"foresail.dev/cmd/foresail/security"
	"foresail.dev/cmd/foresail/seeing"
	"foresail.dev/cmd/foresail/sharing"
	"foresail.dev/cmd/foresail/tracing"
	"foresail.dev/cmd/foresail/tuning"
)

func newRoot(stdout, stderr io.Writer) *cobra.Command {
	root := &cobra.Command{
		Use:   "foresail",
		Short: "Keeps a microservice application inside its latency objectives with as few cores as it can",
		Long: `Foresail keeps a microservice application inside its latency objectives with as few cores as it can,
and says what will go wrong before it does, where, and why.

Try it, with nothing to install or configure:

  foresail demo`,
		SilenceErrors:     true,
		SilenceUsage:      true,
		Args:              cli.NoArgs,
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
		RunE:              func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.SetOut(stdout)
	root.SetErr(stderr)
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return cli.Usagef("%w; see %q", err, c.CommandPath()+" --help")
	})
	ports := security.CLI{Needs: cli.Needs, Usage: cli.Usage, Print: func(w io.Writer, name string, rows any) error {
		return cli.PrintJSON(w, cli.NewResult(name, nil, rows))
	}}
	node := agents.CLI{NoArgs: cli.NoArgs, Usage: cli.Usage, Table: cli.Table,
		Stoppable: func(ctx context.Context) (context.Context, func()) { return cli.Stoppable(ctx) },
		Print: func(w io.Writer, rows, detail any) error {
			r := cli.NewResult("agent", nil, rows)
			r.Detail = detail
			return cli.PrintJSON(w, r)
		}}
	root.AddCommand(newDemo(), newRun(), newSimulate(), newTestbed(), fitting.New(), newFidelity(), comparing.New(startCompared))
	root.AddCommand(newForecast(), newTrain(), newExplore(), newHistory(), newInsights(), explaining.NewExplain(), explaining.NewWhatIf(), scenes.New())
	root.AddCommand(callgraphs.New(sharing.NewEvaluate()), newImport(), tracing.New(), agents.NewAgent(node), ingesters.New(), doctor.New(), newDiagnose(), neighbours.NewHog())
	root.AddCommand(seeing.NewForesee(acting.New()), latencies.New(keeping.NewFit(), keeping.NewList(), keeping.NewPredict(), keeping.NewDebug()))
	root.AddCommand(tuning.New(startTuned), operating.New(), plugin.New(), apps.New(), security.NewToken(ports), security.NewKey(ports), newVersion())
	return root
}

func newVersion() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Prints the version", Args: cli.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			_, err := fmt.Fprintf(c.OutOrStdout(), "foresail %s %s\n", cli.Version(), cli.Commit())
			return err
		},
	}
}
