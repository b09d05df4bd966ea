package doctor

import (
	"errors"

	"github.com/spf13/cobra"

	"foresail.dev"
	"foresail.dev/appfile"
	"foresail.dev/cmd/foresail/cli"
	"foresail.dev/cmd/foresail/promfile"
	"foresail.dev/telemetry/prom"
)

// New is the command.
func New() *cobra.Command {
	var flags promfile.Flags
	var app string
	var asJSON bool
	c := &cobra.Command{
		Use:   "doctor --prometheus URL [-f APPLICATION]",
		Short: "Says which signals Prometheus has of each service, which are missing, and what that costs",
		Long: `Looks at what a Prometheus API has of an application: which signals of which service are there, and by which recipe;
which are missing, and which managers can't decide without them; how far samples are apart, how precise latencies are and
whether clocks agree. Without an application it looks at all services that it finds. Exit status 1 where nothing is usable.`,
		Example: "  foresail doctor --prometheus http://127.0.0.1:9090 -f hotel-reservation",
		Args:    cli.Needs("prometheus"),
		RunE: func(c *cobra.Command, _ []string) error {
			var application *foresail.App
			if app != "" {
				b, err := appfile.ReadApp(app)
				if err != nil {
					return cli.Usage(err)
				}
				application = b.App
			}
			cfg, err := flags.Reading(application)
			if err != nil {
				return cli.Usage(err)
			}
			ctx, stop := cli.Stoppable(c.Context())
			defer stop()
			report, err := prom.Examine(ctx, cfg)
			if err != nil {
				return err
			}
			d := Of(report)
			if asJSON {
				res := cli.NewResult("doctor", nil, d.Rows())
				res.Detail = d.Detail()
				err = cli.PrintJSON(c.OutOrStdout(), res)
			} else {
				err = d.Print(c.OutOrStdout(), application != nil)
			}
			return errors.Join(err, d.Usable(flags.URL()))
		},
	}
	fl := c.Flags()
	flags.Register(fl)
	fl.StringVarP(&app, "file", "f", "", "application: a file, or the name of a built-in one; without: whatever is found")
	fl.BoolVar(&asJSON, "json", false, "print the result as JSON")
	return c
}
