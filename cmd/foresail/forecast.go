package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"foresail.dev/cmd/foresail/cli"
	"foresail.dev/cmd/foresail/comparing"
	"foresail.dev/cmd/foresail/forecasting"
	"foresail.dev/cmd/foresail/trained"
	"foresail.dev/model/forecast/csvfile"
	"foresail.dev/model/forecast/methods"
)

type forecastFlags struct {
	file, zone, method, plot string
	csv                      csvfile.Options
	ahead, n                 int
	seed                     uint64
	json                     bool
	models                   trained.Flags
}

func newForecast() *cobra.Command {
	var f forecastFlags
	c := &cobra.Command{
		Use:   "forecast -f SERIES.csv",
		Short: "Forecasts the load of a series, with intervals",
		Long: `Forecasts what follows a series: for each step the middle of what is expected, its scale and quantiles.
The file is CSV: an instant and a load in each row. Gaps, doubled and unordered rows are mended and told; negative loads
are refused. With nothing to learn from, the forecast is the last value and says so.`,
		Example: `  foresail forecast -f examples/forecast/calls.csv --ahead 10
  foresail forecast -f calls/cart.csv --models models/ --application shop
  foresail forecast evaluate -f examples/forecast.yaml`,
		Args: cli.Needs("file"),
		RunE: func(c *cobra.Command, _ []string) error {
			if f.models.URL != "" && !c.Flags().Changed("method") {
				f.method = "madu" // what foresail train trains where it is told nothing
			}
			return forecastAhead(c, f)
		},
	}
	fl := c.Flags()
	fl.StringVarP(&f.file, "file", "f", "", "series: a CSV file, compressed with gzip or not; - is the standard input")
	fl.StringVar(&f.csv.Column, "column", "", "heading of the loads; empty: the second column, or the only one")
	fl.DurationVar(&f.csv.Step, "step", 0, "time from one row to the next; 0: as most rows are apart")
	fl.StringVar(&f.zone, "zone", "UTC", "time zone of instants that name none, like Europe/Zurich")
	fl.StringVar(&f.method, "method", "foresail", "one of "+strings.Join(methods.Names(), ", "))
	fl.IntVar(&f.ahead, "ahead", 5, "steps to forecast, 1 to 1000")
	fl.IntVar(&f.n, "history", 60, "steps that a method with a window of fixed length looks at")
	fl.Uint64Var(&f.seed, "seed", 1, "seed of everything that is drawn")
	fl.StringVar(&f.plot, "plot", "", "draw the forecast to this PNG file")
	fl.BoolVar(&f.json, "json", false, "print the result as JSON")
	f.models.Register(fl)
	c.AddCommand(newForecastEvaluate())
	return c
}

func forecastAhead(c *cobra.Command, f forecastFlags) (err error) {
	_, known := methods.ByName(f.method)
	f.csv.Zone, err = time.LoadLocation(f.zone)
	switch {
	case !known:
		return cli.Usagef("--method %q: there are %s", f.method, strings.Join(methods.Names(), ", "))
	case err != nil:
		return cli.Usagef("--zone %q is no time zone known here: name one like Europe/Zurich", f.zone)
	case f.ahead < 1 || f.ahead > 1000:
		return cli.Usagef("--ahead %d: give 1 to 1000 steps", f.ahead)
	case f.n < 1 || f.n > 10000:
		return cli.Usagef("--history %d: give 1 to 10000 steps", f.n)
	case f.csv.Step < 0:
		return cli.Usagef("--step %v: give a time longer than zero", f.csv.Step)
	}
	if err := f.models.Check(f.method); err != nil {
		return cli.Usage(err)
	}
	in, name := c.InOrStdin(), "standard input"
	if f.file != "-" {
		file, err := os.Open(f.file)
		if err != nil {
			return cli.Usage(err)
		}
		defer file.Close()
		in, name = file, f.file
	}
	s, repairs, err := csvfile.Read(in, f.csv)
	if err != nil {
		return cli.Usage(fmt.Errorf("%s: %w", name, err))
	}
	var a *forecasting.Ahead
	if f.models.URL == "" {
		a, err = forecasting.Forecast(s, repairs, f.method, f.n, f.ahead, f.seed)
	} else {
		model, merr := f.models.Find(c.Context(), f.file, f.csv.Column, f.method, f.n, f.ahead, s.Step)
		if merr != nil {
			return usageOf(merr)
		}
		a, err = forecasting.With(model, s, repairs, f.method, f.ahead)
	}
	if err != nil {
		return cli.Usage(fmt.Errorf("%s: %w", name, err))
	}
	picture := a.Picture(filepath.Base(name) + ", " + f.method)
	if f.plot != "" {
		png, err := picture.PNG()
		if err == nil {
			err = os.WriteFile(f.plot, png, 0o666)
		}
		if err != nil {
			return err
		}
	}
	out := c.OutOrStdout()
	if f.json {
		res := cli.NewResult("forecast", &f.seed, a.Rows)
		res.Detail = a.Detail()
		return cli.PrintJSON(out, res)
	}
	fmt.Fprintln(out, a.Summary())
	if err := cli.Table(out, forecasting.AheadHead, a.Cells()); err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "\n%s", picture.Text(72, 12))
	return err
}

func newForecastEvaluate() *cobra.Command {
	var file, out, markdown string
	var asJSON, plots bool
	var workers int
	c := &cobra.Command{
		Use:   "evaluate -f FORECAST.yaml",
		Short: "Measures forecast methods on the series of a file, on a rolling origin",
		Long: `Trains each method on the first part of each series and lets it forecast the rest, m steps at a time, from what lies before
alone. Prints how good the forecasts were, and what they cost.

With --out, each finished evaluation is kept in that folder, with a picture; the same command goes on where an earlier one
stopped.`,
		Example: `  foresail forecast evaluate -f examples/forecast-smoke.yaml --plot
  foresail forecast evaluate -f examples/forecast.yaml --json > result.json --markdown docs/results/forecast.md`,
		Args: cli.Needs("file"),
		RunE: func(c *cobra.Command, _ []string) error {
			if workers < 0 {
				return cli.Usagef("--workers %d: give a number from 1 on, or 0 for as many as there are processors", workers)
			}
			f, series, err := forecasting.Read(file)
			if err != nil {
				return cli.Usage(err)
			}
			ctx, stop := cli.Stoppable(c.Context())
			defer stop()
			p := cli.NewProgress(c.ErrOrStderr())
			r := &forecasting.Run{File: f, Series: series, Workers: workers, Dir: out, Program: comparing.Build(), Progress: p.At}
			err = r.Do(ctx)
			p.End()
			if len(r.Rows) == 0 {
				return err
			}
			if markdown != "" {
				page := r.Markdown(file, cli.Commit(), cli.ThisMachine().String()) + explained(markdown)
				if werr := os.WriteFile(markdown, []byte(page), 0o644); werr != nil {
					err = errors.Join(err, cli.Usage(werr))
				}
			}
			if asJSON {
				res := cli.NewResult("forecast-evaluate", &f.Seed, r.Flat())
				res.Detail = r.Detail()
				return errors.Join(err, cli.PrintJSON(c.OutOrStdout(), res))
			}
			return errors.Join(err, printEvaluation(c, r, plots))
		},
	}
	fl := c.Flags()
	fl.StringVarP(&file, "file", "f", "", "what to evaluate, and on what; see docs/formats/forecast.md")
	fl.StringVarP(&out, "out", "o", "", "folder that keeps the evaluations and plots; empty: nothing is kept")
	fl.StringVar(&markdown, "markdown", "", "write the table to this file as well; what stands there from \"## What explains the rest\" on stays")
	fl.IntVar(&workers, "workers", 0, "evaluations at once; 0: as many as there are processors")
	fl.BoolVar(&plots, "plot", false, "draw the last steps of each evaluation below the table")
	fl.BoolVar(&asJSON, "json", false, "print the result as JSON")
	return c
}

func printEvaluation(c *cobra.Command, r *forecasting.Run, plots bool) error {
	out := c.OutOrStdout()
	if err := cli.Table(out, forecasting.Head, r.Cells()); err != nil {
		return err
	}
	for _, n := range r.Notes() {
		fmt.Fprintln(out, strings.Map(cli.Printable, n))
	}
	fmt.Fprintln(out)
	if err := cli.Table(out, forecasting.MeansHead, r.MeansCells()); err != nil {
		return err
	}
	if plots {
		for _, w := range r.Rows {
			p := forecasting.PictureOf(w)
			fmt.Fprintf(out, "\n%s\n%s", strings.Map(cli.Printable, p.Title), p.Text(100, 12))
		}
	}
	return nil
}
