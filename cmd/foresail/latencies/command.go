package latencies

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"gonum.org/v1/gonum/stat"

	"foresail.dev/cmd/foresail/cli"
	"foresail.dev/cmd/foresail/latencies/changing"
	"foresail.dev/model/latency/evaluate"
)

// New is foresail latency; others are commands below it.
func New(others ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{
		Use:   "latency",
		Short: "Predicts latency from load and allocation",
		Args:  cli.NoArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(newEvaluate())
	c.AddCommand(others...)
	return c
}

func newEvaluate() *cobra.Command {
	var file string
	var seed uint64
	var asJSON bool
	c := &cobra.Command{
		Use:   "evaluate -f RUNS.yaml",
		Short: "Measures composed and monolithic models of latency on runs of an application",
		Long: `Trains, on random parts of recorded runs, models that predict a latency of the whole application from its services' knobs: composed
of models of single services (an inference graph), and monolithic ones of all knobs at once. Prints how far each is off on the
other runs, over all splits, and the ratio to the best monolith of the same data set.

Of kind mix, a file says how the mix of requests changes in simulation: debugging names which services' models are at fault, and each
is mended. Of kind days, it says which patterns days have: models of earlier days are used again.`,
		Example: `  foresail latency evaluate -f examples/boutique-runs.yaml --json
  foresail latency evaluate -f examples/fluxion-mix.yaml
  foresail latency evaluate -f examples/fluxion-days.yaml`,
		Args: cli.Needs("file"),
		RunE: func(c *cobra.Command, _ []string) error {
			p := cli.NewProgress(c.ErrOrStderr())
			if kind := changing.Kind(file); kind != "" && kind != "runs" {
				return measureChanging(c, p, file, kind, seed, asJSON)
			}
			p.At(0, "reading the runs")
			f, all, err := Read(file)
			if err != nil {
				p.End()
				return cli.Usage(err)
			}
			if c.Flags().Changed("seed") {
				f.Seed = seed
			}
			ctx, stop := cli.Stoppable(c.Context())
			defer stop()
			r, err := Measure(ctx, f, all, p.At)
			p.End()
			if err != nil {
				return err
			}
			if asJSON {
				res := cli.NewResult("latency-evaluate", &f.Seed, r.Rows)
				res.Detail = r.Detail
				return cli.PrintJSON(c.OutOrStdout(), res)
			}
			return r.print(c.OutOrStdout())
		},
	}
	c.Flags().StringVarP(&file, "file", "f", "", "which methods, and on what; see docs/formats/latency.md")
	c.Flags().Uint64Var(&seed, "seed", 1, "of splits and searches, in place of the file's")
	c.Flags().BoolVar(&asJSON, "json", false, "print the result as JSON")
	return c
}

// measureChanging measures what a file of another kind says.
func measureChanging(c *cobra.Command, p *cli.Progress, file, kind string, seed uint64, asJSON bool) error {
	ctx, stop := cli.Stoppable(c.Context())
	defer stop()
	given := &seed
	if !c.Flags().Changed("seed") {
		given = nil
	}
	r, err := changing.Run(ctx, file, kind, given, p.At)
	p.End()
	if err != nil {
		return err
	}
	if asJSON {
		res := cli.NewResult(r.Name, &r.Seed, r.Rows)
		res.Detail = r.Detail
		return cli.PrintJSON(c.OutOrStdout(), res)
	}
	return r.Print(c.OutOrStdout())
}

// Row is how one method did on one data set: means over splits.
type Row struct {
	Dataset   string   `json:"dataset"`
	Method    string   `json:"method"`
	TrainRows int      `json:"train_rows"`
	TestRows  int      `json:"test_rows"`
	Repeats   int      `json:"repeats"`
	Target    string   `json:"target"`
	MAE       float64  `json:"mae"`
	MAEMs     float64  `json:"mae_ms"`
	MAELog    float64  `json:"mae_log"`
	TrainS    float64  `json:"train_s"`
	InferUs   float64  `json:"infer_us"`
	Ratio     *float64 `json:"ratio,omitempty"`
	RatioLow  *float64 `json:"ratio_ci95_low,omitempty"`
	RatioHigh *float64 `json:"ratio_ci95_high,omitempty"`
}

// Result is the rows and what does not fit in them.
type Result struct {
	Rows   []Row
	Detail Detail
}

// Detail tells which monolith ratios are to, and the errors of each split.
type Detail struct {
	Best   map[string]string               `json:"best_monolith,omitempty"`
	Splits map[string]map[string][]float64 `json:"mae_by_split"`
	Notes  []string                        `json:"notes,omitempty"`
}

// Measure measures the file's methods on all data sets.
func Measure(ctx context.Context, f File, all []Dataset, progress func(done float64, what string)) (*Result, error) {
	r := &Result{Rows: []Row{}, Detail: Detail{Best: map[string]string{}, Splits: map[string]map[string][]float64{}}}
	start, done, jobs := time.Now(), 0.0, float64(len(all)*f.Repeats*len(f.Methods))
	for i := range all {
		d := &all[i]
		for _, n := range d.Notes {
			r.Detail.Notes = append(r.Detail.Notes, d.Name+": "+n)
		}
		c := evaluate.Config{Target: f.Target, Repeats: f.Repeats, Train: d.Train, Seed: f.Seed, Clock: func() time.Duration { return time.Since(start) }}
		splits, err := c.Splits(d.Table.Rows())
		if err != nil {
			return nil, fmt.Errorf("data set %s: %w", d.Name, err)
		}
		scores := make([]evaluate.Score, len(f.Methods))
		for k, split := range splits {
			for m, name := range f.Methods {
				if err := ctx.Err(); err != nil {
					return nil, fmt.Errorf("stopped after %.0f of %.0f trainings", done, jobs)
				}
				progress(done/jobs, fmt.Sprintf("%s, split %d, %s", d.Name, k+1, name))
				if err := c.One(f.method(name, d), d.Table, split, k, &scores[m]); err != nil {
					return nil, fmt.Errorf("data set %s: %w", d.Name, err)
				}
				done++
			}
		}
		r.add(&f, d, scores)
	}
	return r, nil
}

// add makes a data set's rows.
func (r *Result) add(f *File, d *Dataset, scores []evaluate.Score) {
	best := -1
	r.Detail.Splits[d.Name] = map[string][]float64{}
	for m, name := range f.Methods {
		if strings.HasPrefix(name, "monolith") && (best < 0 || stat.Mean(scores[m].MAE, nil) < stat.Mean(scores[best].MAE, nil)) {
			best = m
		}
		var each []float64
		for _, v := range scores[m].MAE {
			each = append(each, cli.Round(v))
		}
		r.Detail.Splits[d.Name][name] = each
	}
	test := d.Table.Rows() - d.Train
	for m, name := range f.Methods {
		s := &scores[m]
		row := Row{Dataset: d.Name, Method: name, TrainRows: d.Train, TestRows: test, Repeats: f.Repeats, Target: f.Target,
			MAE: cli.Round(stat.Mean(s.MAE, nil)), MAELog: cli.Round(stat.Mean(s.Log, nil)),
			MAEMs:  cli.Round(stat.Mean(s.Unit, nil) * f.Unit.Seconds() * 1000),
			TrainS: cli.Round(s.TrainTime.Seconds()), InferUs: cli.Round(s.InferTime.Seconds() * 1e6)}
		if best >= 0 && m != best {
			ratio, low, high := evaluate.Ratio(s.MAE, scores[best].MAE, float64(test)/float64(d.Train))
			ratio, low, high = cli.Round(ratio), cli.Round(low), cli.Round(high)
			row.Ratio, row.RatioLow, row.RatioHigh = &ratio, &low, &high
		}
		r.Rows = append(r.Rows, row)
	}
	if best >= 0 {
		r.Detail.Best[d.Name] = f.Methods[best]
	}
}

var head = []string{"data set", "method", "trained on", "mae, sd", "ms", "log", "train s", "infer µs", "ratio", "from", "to"}

func (r *Result) print(out io.Writer) error {
	var cells [][]string
	for _, w := range r.Rows {
		cells = append(cells, []string{w.Dataset, w.Method, fmt.Sprint(w.TrainRows), fmt.Sprintf("%.3f", w.MAE), fmt.Sprintf("%.1f", w.MAEMs), fmt.Sprintf("%.3f", w.MAELog),
			fmt.Sprintf("%.2f", w.TrainS), fmt.Sprintf("%.1f", w.InferUs), cli.Opt("%.3f", w.Ratio), cli.Opt("%.3f", w.RatioLow), cli.Opt("%.3f", w.RatioHigh)})
	}
	if err := cli.Table(out, head, cells); err != nil {
		return err
	}
	for _, n := range slices.Clone(r.Detail.Notes) {
		if _, err := fmt.Fprintln(out, strings.Map(cli.Printable, n)); err != nil {
			return err
		}
	}
	return nil
}
