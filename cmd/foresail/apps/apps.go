// Package apps is "foresail apps".
package apps

import (
	"fmt"
	"io/fs"

	"github.com/spf13/cobra"

	"foresail.dev/appfile"
	"foresail.dev/appfile/write"
	"foresail.dev/apps"
	"foresail.dev/apps/random"
	"foresail.dev/cmd/foresail/cli"
)

// New is the command.
func New() *cobra.Command {
	c := &cobra.Command{
		Use: "apps [NAME]", Short: "Lists the built-in applications, prints the file of one, or draws one",
		Args: func(c *cobra.Command, args []string) error { return cli.Usage(cobra.MaximumNArgs(1)(c, args)) },
		RunE: func(c *cobra.Command, args []string) error {
			out := c.OutOrStdout()
			if len(args) == 1 {
				b, err := fs.ReadFile(apps.Files, args[0]+".yaml")
				if err != nil {
					return cli.Usagef("no built-in application %q: see 'foresail apps'", args[0])
				}
				_, err = out.Write(b)
				return err
			}
			var rows [][]string
			for _, name := range appfile.BuiltIn() {
				b, err := appfile.ReadApp(name)
				if err != nil {
					return err
				}
				rows = append(rows, []string{name, fmt.Sprint(len(b.App.Services)), fmt.Sprint(len(b.App.Endpoints))})
			}
			return cli.Table(out, []string{"application", "services", "endpoints"}, rows)
		},
	}
	c.AddCommand(newAppsRandom())
	return c
}

func newAppsRandom() *cobra.Command {
	var cfg random.Config
	c := &cobra.Command{
		Use:   "random --services N",
		Short: "Draws an application after Alibaba's characterisation, and prints its file",
		Long: `Draws an application nobody tuned to, after the published characterisation of Alibaba's microservices,
and prints its file. The same flags give the same file, to the byte.`,
		Example: "  foresail apps random --services 100 --seed 7 > random.yaml\n  foresail simulate -f random.yaml --load load.yaml",
		Args:    cli.Needs("services"),
		RunE: func(c *cobra.Command, _ []string) error {
			for name, v := range map[string]float64{"depth": cfg.Depth, "fan-out": cfg.FanOut, "sharing": cfg.Sharing} {
				if v == 0 { // which would mean the default
					return cli.Usagef("--%s 0: give more than zero; see %q", name, c.CommandPath()+" --help")
				}
			}
			about := write.About{
				Comment: "Drawn. Format: docs/formats/app.md.",
				Assumed: true,
				Sources: []string{"Call graphs: after the characterisation of Alibaba's in Luo et al., SoCC 2021"},
				Note: fmt.Sprintf("foresail apps random --services %d --depth %g --fan-out %g --sharing %g --dynamic %g --rate %g --seed %d",
					cfg.Services, cfg.Depth, cfg.FanOut, cfg.Sharing, cfg.Dynamic, cfg.Rate, cfg.Seed),
			}
			if cfg.Dynamic == 0 {
				cfg.Dynamic = -1
			}
			bp, err := random.New(cfg)
			if err != nil {
				return cli.Usage(err)
			}
			return write.App(c.OutOrStdout(), bp, about)
		},
	}
	f := c.Flags()
	f.IntVar(&cfg.Services, "services", 0, "how many services, 4 to 10000")
	f.Float64Var(&cfg.Depth, "depth", 3, "mean depth of a call graph, in calls, 1 to 20")
	f.Float64Var(&cfg.FanOut, "fan-out", 3, "mean number of calls of an operation that makes any, 1 to 50")
	f.Float64Var(&cfg.Sharing, "sharing", 0.05, "share of services that are hot spots, 0.001 to 0.3")
	f.Float64Var(&cfg.Dynamic, "dynamic", 0.4, "share of calls that are not always made, 0 to 1")
	f.Float64Var(&cfg.Rate, "rate", 0, "requests/s that the initial allocation is for; 0: 10 for each endpoint")
	f.Uint64Var(&cfg.Seed, "seed", 1, "seed of everything that is drawn")
	return c
}
