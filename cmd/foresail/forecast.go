package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"foresail.dev/cmd/foresail/forecasting"
	"foresail.dev/model/forecast"
	"foresail.dev/model/forecast/csvfile"
	"foresail.dev/model/forecast/methods"
)

type forecastFlags struct {
	file, column, zone, method, plot string
	step                             time.Duration
	ahead, n                         int
	seed                             uint64
	json                             bool
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
  foresail forecast evaluate -f examples/forecast.yaml`,
		Args: needs("file"),
		RunE: func(c *cobra.Command, _ []string) error { return forecastAhead(c, f) },
	}
	fl := c.Flags()
	fl.StringVarP(&f.file, "file", "f", "", "series: a CSV file, compressed with gzip or not; - is the standard input")
	fl.StringVar(&f.column, "column", "", "heading of the loads; empty: the second column, or the only one")
	fl.DurationVar(&f.step, "step", 0, "time from one row to the next; 0: as most rows are apart")
	fl.StringVar(&f.zone, "zone", "UTC", "time zone of instants that name none, like Europe/Zurich")
	fl.StringVar(&f.method, "method", "foresail", "one of "+strings.Join(methods.Names(), ", "))
	fl.IntVar(&f.ahead, "ahead", 5, "steps to forecast, 1 to 1000")
	fl.IntVar(&f.n, "history", 60, "steps that a method with a window of fixed length looks at")
	fl.Uint64Var(&f.seed, "seed", 1, "seed of everything that is drawn")
	fl.StringVar(&f.plot, "plot", "", "draw the forecast to this PNG file")
	fl.BoolVar(&f.json, "json", false, "print the result as JSON")
	c.AddCommand(newForecastEvaluate())
	return c
}

// stepRow is one step ahead.
type stepRow struct {
	Start     time.Time `json:"start"`
	Mean      float64   `json:"mean"`
	Scale     float64   `json:"scale"`
	Predicted float64   `json:"predicted"`
	Low90     float64   `json:"low90"`
	P50       float64   `json:"p50"`
	High90    float64   `json:"high90"`
}

// forecastDetail is what does not fit in the rows.
type forecastDetail struct {
	Method    string          `json:"method"`
	StepS     float64         `json:"step_s"`
	Observed  int             `json:"observed"`
	Levels    []float64       `json:"levels"`
	Quantiles [][]float64     `json:"quantiles"` // by level, by step
	Fallback  string          `json:"fallback,omitempty"`
	Repairs   csvfile.Repairs `json:"repairs"`
}

func forecastAhead(c *cobra.Command, f forecastFlags) error {
	method, ok := methods.ByName(f.method)
	zone, err := time.LoadLocation(f.zone)
	switch {
	case !ok:
		return usagef("--method %q: there are %s", f.method, strings.Join(methods.Names(), ", "))
	case err != nil:
		return usagef("--zone %q is no time zone known here: name one like Europe/Zurich", f.zone)
	case f.ahead < 1 || f.ahead > 1000:
		return usagef("--ahead %d: give 1 to 1000 steps", f.ahead)
	case f.n < 1 || f.n > 10000:
		return usagef("--history %d: give 1 to 10000 steps", f.n)
	case f.step < 0:
		return usagef("--step %v: give a time longer than zero", f.step)
	}
	s, repairs, err := readSeries(c, f, zone)
	if err != nil {
		return usage(err)
	}
	p := newProgress(c.ErrOrStderr())
	p.at(0, "training")
	trained, err := method.Train(s, forecast.Options{N: f.n, M: f.ahead, Seed: f.seed})
	var ahead forecast.Forecast
	if err == nil {
		ahead, err = trained.Forecast(s, f.ahead)
	}
	p.end()
	if err != nil {
		return usage(fmt.Errorf("%s: %w", f.file, err))
	}
	from := max(0, len(s.Values)-48)
	picture := forecasting.Picture{Title: fmt.Sprintf("%s, %s", filepath.Base(f.file), f.method), Start: s.At(from), Step: s.Step, Observed: s.Values[from:],
		From: len(s.Values) - from, Mean: ahead.Mean}
	rows := make([]stepRow, f.ahead)
	for k := range rows {
		rows[k] = stepRow{s.At(len(s.Values) + k), ahead.Mean[k], ahead.Scale[k], ahead.Predicted()[k], ahead.Quantile(0.05, k), ahead.Quantile(0.5, k), ahead.Quantile(0.95, k)}
		picture.Low, picture.High = append(picture.Low, rows[k].Low90), append(picture.High, rows[k].High90)
	}
	if f.plot != "" {
		png, err := picture.PNG()
		if err == nil {
			err = os.WriteFile(f.plot, png, 0o666)
		}
		if err != nil {
			return err
		}
	}
	if f.json {
		res := newResult("forecast", &f.seed, rows)
		res.Detail = forecastDetail{f.method, s.Step.Seconds(), s.Observed(), ahead.Levels, ahead.Quantiles, ahead.Fallback, repairs}
		return printJSON(c.OutOrStdout(), res)
	}
	out := c.OutOrStdout()
	fmt.Fprintf(out, "%d steps of %v, %d of them observed, to %s\n", len(s.Values), s.Step, s.Observed(), s.End().UTC().Format(time.RFC3339))
	if repairs.Any() {
		fmt.Fprintf(out, "mended: %s\n", repairs)
	}
	if ahead.Fallback != "" {
		fmt.Fprintf(out, "only the last value: %s\n", ahead.Fallback)
	}
	fmt.Fprintln(out)
	var cells [][]string
	for _, r := range rows {
		cells = append(cells, []string{r.Start.UTC().Format("2006-01-02 15:04:05"), fmt.Sprintf("%.4g", r.Mean), fmt.Sprintf("%.4g", r.Scale), fmt.Sprintf("%.4g", r.Low90), fmt.Sprintf("%.4g", r.High90)})
	}
	if err := table(out, []string{"step from, UTC", "mean", "scale", "90 % from", "to"}, cells); err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "\n%s", picture.Text(72, 12))
	return err
}

func readSeries(c *cobra.Command, f forecastFlags, zone *time.Location) (forecast.Series, csvfile.Repairs, error) {
	in := c.InOrStdin()
	name := "standard input"
	if f.file != "-" {
		file, err := os.Open(f.file)
		if err != nil {
			return forecast.Series{}, csvfile.Repairs{}, err
		}
		defer file.Close()
		in, name = file, f.file
	}
	s, repairs, err := csvfile.Read(in, csvfile.Options{Column: f.column, Step: f.step, Zone: zone})
	if err != nil {
		return s, repairs, fmt.Errorf("%s: %w", name, err)
	}
	return s, repairs, nil
}

func newForecastEvaluate() *cobra.Command {
	var file, out, markdown string
	var asJSON, plots bool
	var workers int
	var seed uint64
	c := &cobra.Command{
		Use:   "evaluate -f FORECAST.yaml",
		Short: "Measures forecast methods on the series of a file, on a rolling origin",
		Long: `Trains each method on the first part of each series and lets it forecast the rest, m steps at a time, from what lies before
alone. Prints how good the forecasts were, and what they cost.

With --out, each finished evaluation is kept in that folder, with a picture; the same command goes on where an earlier one
stopped.`,
		Example: `  foresail forecast evaluate -f examples/forecast-smoke.yaml --plot
  foresail forecast evaluate -f examples/forecast.yaml --json > result.json --markdown docs/results/forecast.md`,
		Args: needs("file"),
		RunE: func(c *cobra.Command, _ []string) error {
			if workers < 0 {
				return usagef("--workers %d: give a number from 1 on, or 0 for as many as there are processors", workers)
			}
			f, series, err := forecasting.Read(file)
			if err != nil {
				return usage(err)
			}
			if c.Flags().Changed("seed") {
				f.Seed = seed
			}
			ctx, stop := stoppable(c.Context())
			defer stop()
			p := newProgress(c.ErrOrStderr())
			r := &forecasting.Run{File: f, Series: series, Workers: workers, Dir: out, Program: build(), Progress: p.at}
			err = r.Do(ctx)
			p.end()
			if len(r.Rows) == 0 {
				return err
			}
			return errors.Join(err, printEvaluation(c, r, file, out, markdown, asJSON, plots))
		},
	}
	fl := c.Flags()
	fl.StringVarP(&file, "file", "f", "", "what to evaluate, and on what; see docs/formats/forecast.md")
	fl.StringVarP(&out, "out", "o", "", "folder that keeps the evaluations and plots; empty: nothing is kept")
	fl.StringVar(&markdown, "markdown", "", "write the table to this file as well; what stands there from \"## What explains the rest\" on stays")
	fl.IntVar(&workers, "workers", 0, "evaluations at once; 0: as many as there are processors")
	fl.Uint64Var(&seed, "seed", 0, "seed of everything that is drawn; left out: that of the file")
	fl.BoolVar(&plots, "plot", false, "draw the last steps of each evaluation below the table")
	fl.BoolVar(&asJSON, "json", false, "print the result as JSON")
	return c
}

func printEvaluation(c *cobra.Command, r *forecasting.Run, file, dir, markdown string, asJSON, plots bool) error {
	res := newResult("forecast-evaluate", &r.File.Seed, nil)
	if dir != "" {
		for _, w := range r.Rows {
			png, err := forecasting.PictureOf(w).PNG()
			path := filepath.Join(dir, "plots", forecasting.FileName(w))
			if err == nil {
				err = os.MkdirAll(filepath.Dir(path), 0o777)
			}
			if err == nil {
				err = os.WriteFile(path, png, 0o666)
			}
			if err != nil {
				return err
			}
		}
	}
	if markdown != "" {
		page := r.Markdown(file, res.Commit, res.Machine.String()) + explained(markdown)
		if err := os.WriteFile(markdown, []byte(page), 0o644); err != nil {
			return usage(err)
		}
	}
	out := c.OutOrStdout()
	if asJSON {
		rows := make([]forecasting.Row, len(r.Rows))
		for i, w := range r.Rows {
			w.Trail = nil
			rows[i] = w
		}
		res.Rows, res.Detail = rows, map[string]any{"means": r.Means()}
		return printJSON(out, res)
	}
	if err := table(out, forecasting.Head, r.Cells()); err != nil {
		return err
	}
	for _, n := range r.Notes() {
		fmt.Fprintln(out, strings.Map(printable, n))
	}
	fmt.Fprintln(out)
	if err := table(out, forecasting.MeansHead, r.MeansCells()); err != nil {
		return err
	}
	if plots {
		for _, w := range r.Rows {
			p := forecasting.PictureOf(w)
			fmt.Fprintf(out, "\n%s\n%s", strings.Map(printable, p.Title), p.Text(100, 12))
		}
	}
	return nil
}
