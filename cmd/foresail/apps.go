package main

import (
	"fmt"
	"io/fs"
	"strings"

	"github.com/spf13/cobra"

	"foresail.dev/appfile"
	"foresail.dev/apps"
)

func newApps() *cobra.Command {
	return &cobra.Command{
		Use: "apps [NAME]", Short: "Lists the built-in applications, or prints the file of one",
		Args: func(c *cobra.Command, args []string) error { return usage(cobra.MaximumNArgs(1)(c, args)) },
		RunE: func(c *cobra.Command, args []string) error {
			out := c.OutOrStdout()
			if len(args) == 1 {
				b, err := fs.ReadFile(apps.Files, args[0]+".yaml")
				if err != nil {
					return usagef("no built-in application %q: see 'foresail apps'", args[0])
				}
				_, err = out.Write(b)
				return err
			}
			names, err := fs.Glob(apps.Files, "*.yaml")
			if err != nil {
				return err
			}
			var rows [][]string
			for _, n := range names {
				name := strings.TrimSuffix(n, ".yaml")
				b, err := appfile.ReadApp(name)
				if err != nil {
					return err
				}
				rows = append(rows, []string{name, fmt.Sprint(len(b.App.Services)), fmt.Sprint(len(b.App.Endpoints))})
			}
			return table(out, []string{"application", "services", "endpoints"}, rows)
		},
	}
}
