package main

import (
	"github.com/spf13/cobra"

	"foresail.dev/cmd/foresail/cli"
	"foresail.dev/cmd/foresail/sharing"
)

func newCallgraph() *cobra.Command {
	c := &cobra.Command{Use: "callgraph", Short: "Call graphs that requests take", Args: cli.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() }}
	c.AddCommand(sharing.NewEvaluate())
	return c
}
