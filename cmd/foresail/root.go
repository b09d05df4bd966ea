package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"foresail.dev/cmd/foresail/agents"
	"foresail.dev/cmd/foresail/security"
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
		Args:              noArgs,
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
		RunE:              func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.SetOut(stdout)
	root.SetErr(stderr)
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return usagef("%w; see %q", err, c.CommandPath()+" --help")
	})
	cli := security.CLI{Needs: needs, Usage: usage, Print: func(w io.Writer, name string, rows any) error { return printJSON(w, newResult(name, nil, rows)) }}
	node := agents.CLI{NoArgs: noArgs, Usage: usage, Table: table,
		Stoppable: func(ctx context.Context) (context.Context, func()) { return stoppable(ctx) },
		Print: func(w io.Writer, rows, detail any) error {
			r := newResult("agent", nil, rows)
			r.Detail = detail
			return printJSON(w, r)
		}}
	root.AddCommand(newDemo(), newRun(), newSimulate(), newTestbed(), newTwin(), newFidelity(), newCompare(), newForecast(), newTrain(), newHistory(), newScenario(), newImport(), newTraces(), agents.NewAgent(node), newDoctor(), newApps(), security.NewToken(cli), security.NewKey(cli), newVersion())
	return root
}

// noArgs refuses arguments and names the command that was meant.
func noArgs(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	if c.HasSubCommands() {
		msg := fmt.Sprintf("unknown command %q", args[0])
		c.SuggestionsMinimumDistance = 2
		if near := c.SuggestionsFor(args[0]); len(near) > 0 {
			msg += ", did you mean " + strings.Join(near, " or ") + "?"
		}
		return usagef("%s; see %q", msg, c.CommandPath()+" --help")
	}
	return usagef("%s takes no arguments, got %q", c.CommandPath(), args)
}

// needs refuses arguments, and a call without the named flags.
func needs(flags ...string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if err := noArgs(c, args); err != nil {
			return err
		}
		var missing []string
		for _, f := range flags {
			if !c.Flags().Changed(f) {
				missing = append(missing, "--"+f)
			}
		}
		if len(missing) > 0 {
			return usagef("%s needs %s; see %q", c.CommandPath(), strings.Join(missing, " and "), c.CommandPath()+" --help")
		}
		return nil
	}
}

func newVersion() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Prints the version", Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			_, err := fmt.Fprintf(c.OutOrStdout(), "foresail %s %s\n", version(), commit())
			return err
		},
	}
}
