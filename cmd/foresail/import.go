package main

import (
	"github.com/spf13/cobra"
)

func newImport() *cobra.Command {
	c := &cobra.Command{
		Use: "import", Short: "Reads outside data and prints what is in it", Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(newImportJaeger())
	return c
}
