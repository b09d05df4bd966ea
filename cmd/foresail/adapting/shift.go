package adapting

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"foresail.dev/appfile"
	"foresail.dev/cmd/foresail/cli"
	"foresail.dev/cmd/foresail/learning"
	"foresail.dev/cmd/foresail/training"
	"foresail.dev/model/tail"
	"foresail.dev/model/tail/steps"
)

// shift is what the command's flags say.
type shift struct {
	before, after, model string
	share, holdOut       float64
	seed                 uint64
	epochs               int
	json                 bool
}

// ShiftRow is a model, on runs of the data after the shift that none was trained on.
type ShiftRow struct {
	Application string   `json:"application"`
	Model       string   `json:"model"` // old, fine-tuned, retrained (on the data from before and after), anew (on the data after alone)
	Trained     int      `json:"train_rows"`
	Samples     int      `json:"samples"`
	RMSE        float64  `json:"rmse_p99_ms"`
	Below       float64  `json:"rmse_below_p99_ms"`
	Over        float64  `json:"rmse_over_retrained"` // rmse_p99_ms over that of the model that was retrained
	Accuracy    float64  `json:"accuracy"`
	Weighted    float64  `json:"weighted_accuracy"`
	AUC         *float64 `json:"auc,omitempty"`
	ECE         float64  `json:"calibration_error"`
	TrainS      float64  `json:"train_s"`
	CPUS        float64  `json:"train_cpu_s"`
}

// NewShift is the command.
func NewShift() *cobra.Command {
	var f shift
	c := &cobra.Command{
		Use:   "shift --before DIR --after DIR",
		Short: "Measures what a model is worth after its load has shifted, fine-tuned with a little data and trained anew",
		Long: `Takes two data sets of one application: from before its load's mix, its machines or its services have changed, and from after. A
part of the runs after the change is held out, and four models predict it: the one from before; that one fine-tuned with a
share of the other runs, a stretch of each that is drawn; one trained on all data from before and after; and one trained on the data after
alone.`,
		Example: "  foresail train shift --before data/social --after data/social-w3 --model social.fsm",
		Args:    cli.Needs("before", "after"),
		RunE:    func(c *cobra.Command, _ []string) error { return f.run(c) },
	}
	fl := c.Flags()
	fl.StringVar(&f.before, "before", "", "folder of data sets from before the change")
	fl.StringVar(&f.after, "after", "", "folder of data sets from after it")
	fl.StringVar(&f.model, "model", "", "model that was trained on the data from before; empty: it is trained first")
	fl.Float64Var(&f.share, "share", 0.1, "share of each run after the change, a stretch that is drawn, that the model is fine-tuned with")
	fl.Float64Var(&f.holdOut, "hold-out", 0.2, "share of the runs after the change that models are measured on")
	fl.Uint64Var(&f.seed, "seed", 1, "seed of everything that is drawn")
	fl.IntVar(&f.epochs, "epochs", 0, "times that a network that is trained anew sees the data; 0: as in train sinan")
	fl.BoolVar(&f.json, "json", false, "print the result as JSON")
	return c
}

func (f *shift) run(c *cobra.Command) error {
	var errs []error
	for name, v := range map[string]float64{"share": f.share, "hold-out": f.holdOut} {
		if !(v > 0 && v < 1) {
			errs = append(errs, fmt.Errorf("--%s %v: give a share above 0 and below 1", name, v))
		}
	}
	if f.epochs < 0 {
		errs = append(errs, fmt.Errorf("--epochs %d: give a number from 1 on, or 0", f.epochs))
	}
	if err := errors.Join(errs...); err != nil {
		return cli.Usage(err)
	}
	before, err := steps.ReadDir(f.before, nil)
	if err != nil {
		return cli.Usagef("--before: %w", err)
	}
	schema, err := whole(before[0].Header.Schema)
	if err != nil {
		return cli.Usagef("--before %s: %w", f.before, err)
	}
	after, err := steps.ReadDir(f.after, &schema)
	if err != nil {
		return cli.Usagef("--after: %w", err)
	}
	if len(after) < 2 {
		return cli.Usagef("--after %s has one data set: models are measured on another one than they are trained on, so give two or more", f.after)
	}
	var old *tail.Model
	if f.model != "" {
		if old, err = learning.ReadModel(f.model); err != nil {
			return cli.Usagef("--model: %w", err)
		}
		if have := old.Schema(); have.Differs(&schema) != nil {
			return cli.Usagef("--model %s: %w", f.model, have.Differs(&schema))
		}
	}
	ctx, stop := cli.Stoppable(c.Context())
	defer stop()
	p := cli.NewProgress(c.ErrOrStderr())
	rows, err := f.measure(ctx, schema, old, steps.Runs(before), after, p)
	p.End()
	if err != nil {
		return err
	}
	if f.json {
		return cli.PrintJSON(c.OutOrStdout(), cli.NewResult("train-shift", &f.seed, rows))
	}
	return show(c.OutOrStdout(), rows)
}

// whole is a schema with its objectives, which early data sets don't have: those of the built-in application that they are of.
func whole(s tail.Schema) (tail.Schema, error) {
	if len(s.Objectives) > 0 {
		return s, nil
	}
	b, err := appfile.ReadApp(s.Name)
	if err != nil {
		return s, fmt.Errorf("it does not say the objectives of %s, which is no built-in application: collect it again", s.Name)
	}
	out := tail.SchemaOf(b.App)
	return out, s.Differs(&out)
}

// measure trains the models and predicts the runs that are held out.
func (f *shift) measure(ctx context.Context, schema tail.Schema, old *tail.Model, before []tail.Run, files []*steps.File, p *cli.Progress) ([]ShiftRow, error) {
	var held, rest []tail.Run
	n := min(max(int(math.Round(f.holdOut*float64(len(files)))), 1), len(files)-1)
	for i, k := range rand.New(rand.NewPCG(f.seed, 2)).Perm(len(files)) {
		if i < n {
			held = append(held, files[k].Runs...)
		} else {
			rest = append(rest, files[k].Runs...)
		}
	}
	few := make([]tail.Run, len(rest))
	draw := rand.New(rand.NewPCG(f.seed, 3))
	for i, r := range rest {
		n := int(math.Ceil(f.share * float64(len(r.Steps))))
		at := draw.IntN(len(r.Steps) - n + 1)
		few[i] = tail.Run{Name: r.Name, Steps: r.Steps[at : at+n]}
	}
	cfg := tail.Default()
	cfg.Seed, cfg.HoldOut, cfg.Source = f.seed, 0, filepath.Base(filepath.Clean(f.after))
	if f.epochs > 0 {
		cfg.Epochs = f.epochs
	}
	if old != nil {
		cfg.Label, cfg.Channels = old.Label(), old.Channels()
	}
	tuning := tail.Tuning()
	tuning.Seed, tuning.Source = cfg.Seed, cfg.Source

	var rows []ShiftRow
	add := func(name string, make func(progress func(float64, string)) (*tail.Model, *tail.Report, error)) (*tail.Model, error) {
		began, cpu := time.Now(), training.CPUTime()
		m, r, err := make(func(done float64, what string) { p.At(done, name+": "+what) })
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		w := ShiftRow{Application: schema.Name, Model: name}
		if r != nil {
			w.Trained, w.TrainS, w.CPUS = r.Trained, cli.Round(time.Since(began).Seconds()), cli.Round((training.CPUTime() - cpu).Seconds())
		}
		s := tail.Evaluate(m, held)
		w.Samples, w.RMSE, w.Below, w.Accuracy, w.Weighted, w.AUC, w.ECE = s.Samples, cli.Round(s.RMSE[tail.P99]), cli.Round(s.Below), fine(s.Accuracy), fine(s.AtPrior), s.AUC, fine(s.ECE)
		rows = append(rows, w)
		return m, nil
	}
	train := func(runs []tail.Run) func(func(float64, string)) (*tail.Model, *tail.Report, error) {
		return func(progress func(float64, string)) (*tail.Model, *tail.Report, error) {
			return tail.Train(ctx, schema, runs, cfg, progress)
		}
	}
	was, err := add("old", func(progress func(float64, string)) (*tail.Model, *tail.Report, error) {
		if old != nil {
			return old, nil, nil
		}
		return train(before)(progress)
	})
	if err == nil {
		_, err = add("fine-tuned", func(progress func(float64, string)) (*tail.Model, *tail.Report, error) {
			return tail.FineTune(ctx, was, few, tuning, progress)
		})
	}
	if err == nil {
		_, err = add("retrained", train(append(append([]tail.Run{}, before...), rest...)))
	}
	if err == nil {
		_, err = add("anew", train(rest))
	}
	if err != nil {
		return nil, err
	}
	for i := range rows {
		rows[i].Over = cli.Round(rows[i].RMSE / rows[2].RMSE)
	}
	return rows, nil
}

// fine keeps five decimals of a share.
func fine(v float64) float64 { return cli.Round(v*100) / 100 }

func show(w io.Writer, rows []ShiftRow) error {
	var cells [][]string
	for _, r := range rows {
		trained := "—"
		if r.Trained > 0 {
			trained = fmt.Sprint(r.Trained)
		}
		cells = append(cells, []string{r.Model, trained, fmt.Sprintf("%.1f", r.RMSE), fmt.Sprintf("%.2f", r.Over), fmt.Sprintf("%.1f", r.Below), fmt.Sprintf("%.1f", 100*r.Accuracy), fmt.Sprintf("%.1f", 100*r.Weighted),
			cli.Opt("%.4f", r.AUC), fmt.Sprintf("%.4f", r.ECE), fmt.Sprintf("%.0f", r.TrainS), fmt.Sprintf("%.0f", r.CPUS)})
	}
	return cli.Table(w, []string{"model", "rows", "p99 wrong by ms", "× retrained", "below the objective", "accuracy %", "at equal weight %", "AUC", "calibration error", "train s", "CPU s"}, cells)
}
