package seeing

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"foresail.dev"
	"foresail.dev/appfile"
	"foresail.dev/cluster/sim"
	"foresail.dev/cmd/foresail/cli"
	"foresail.dev/cmd/foresail/training"
	"foresail.dev/model/foresee"
	"foresail.dev/model/foresee/label"
	"foresail.dev/model/foresee/network"
)

// UpdateFile says how an application changes, and what learns from how much of what comes after.
type UpdateFile struct {
	Before  version         `yaml:"before" rule:"required"`
	After   version         `yaml:"after" rule:"required"`
	Train   stretch         `yaml:"train"`                   // before the change; absent: model is given
	Model   string          `yaml:"model"`                   // trained before the change; absent: one is trained
	Retrain stretch         `yaml:"retrain" rule:"required"` // after it
	Test    stretch         `yaml:"test" rule:"required"`    // after it; measured on
	Use     []time.Duration `yaml:"use" rule:"required"`     // how much of retrain the old model is trained on with
	Network string          `yaml:"network"`                 // absent: hybrid
	Window  time.Duration   `yaml:"window"`                  // how far ahead; absent: 500 ms
	Beats   int             `yaml:"beats" rule:"min=2,max=100"`
	Epochs  int             `yaml:"epochs" rule:"min=1,max=1000"` // from scratch
	Seed    uint64          `yaml:"seed"`                         // of training
}

// version is an application as it is before the change, or after it.
type version struct {
	Application string  `yaml:"application" rule:"required"`
	Low         float64 `yaml:"low" rule:"required,min=0.1,max=1000000"`  // requests/s
	High        float64 `yaml:"high" rule:"required,min=0.1,max=1000000"` // requests/s
}

// Check asks for stretches that fit together.
func (f *UpdateFile) Check(at appfile.Place) {
	for name, a := range map[string]version{"before": f.Before, "after": f.After} {
		if a.Low > a.High {
			at.At(name, "low").Faultf("is %v, and high %v: give the lower first", a.Low, a.High)
		}
	}
	if (f.Model == "") == (f.Train.Runs == 0) {
		at.Faultf("give one of model, trained before the change, and train, to train it on")
	}
	if f.Train.Runs == 1 {
		at.At("train", "runs").Faultf("is 1, must be 2 or more: one to learn from and one to be held out")
	}
	if f.Retrain.Runs == 1 {
		at.At("retrain", "runs").Faultf("is 1, must be 2 or more: a model from scratch needs one to learn from and one to be held out")
	}
	if a, b := f.Retrain, f.Test; a.Runs > 0 && b.Runs > 0 && a.Seed < b.Seed+uint64(b.Runs) && b.Seed < a.Seed+uint64(a.Runs) {
		at.At("test", "seed").Faultf("is %d with %d runs, and retrain has %d with %d: what is measured on must not have been learnt from", b.Seed, b.Runs, a.Seed, a.Runs)
	}
	for i, u := range f.Use {
		if u < f.Retrain.Each || u > f.Retrain.Each*time.Duration(f.Retrain.Runs) {
			at.At("use", i).Faultf("is %v, must be one run of retrain, %v, to all %d of them", u, f.Retrain.Each, f.Retrain.Runs)
		}
	}
	if f.Network != "" && !slices.Contains(network.Kinds, network.Kind(f.Network)) {
		at.At("network").Faultf("is %q; there are %v", f.Network, network.Kinds)
	}
	if f.Window != 0 && (f.Window < foresail.Beat || f.Window > time.Minute) {
		at.At("window").Faultf("is %v, must be 100ms to 1m", f.Window)
	}
}

func (f *UpdateFile) config() foresee.Config {
	c := foresee.Default()
	c.Horizon, c.Source, c.Commit = 500*time.Millisecond, "simulated operation", cli.Commit()
	if f.Seed != 0 {
		c.Seed = f.Seed
	}
	if f.Network != "" {
		c.Network = network.Kind(f.Network)
	}
	if f.Window != 0 {
		c.Horizon = f.Window
	}
	if f.Beats != 0 {
		c.Window = f.Beats
	}
	if f.Epochs != 0 {
		c.Epochs = f.Epochs
	}
	return c
}

func newUpdate() *cobra.Command {
	var file string
	var asJSON bool
	c := &cobra.Command{
		Use:   "update -f UPDATE.yaml",
		Short: "Measures what a model is worth after its application was changed, trained on from its weights and anew",
		Long: `Simulates an application before and after an update: services come, go and are replaced. On runs of the new version that none has seen it
measures the old model as it is; the old model trained on from its weights with ever more of what came after the update; and one that was
trained on all of that from scratch, with the time that each took.`,
		Example: "  foresail foresee update -f examples/seer-update.yaml --json",
		Args:    cli.Needs("file"),
		RunE: func(c *cobra.Command, _ []string) error {
			var f UpdateFile
			if err := appfile.ReadFile(file, &f); err != nil {
				return cli.Usage(err)
			}
			dir := filepath.Dir(file)
			for _, name := range []*string{&f.Before.Application, &f.After.Application, &f.Model} {
				if strings.ContainsAny(*name, "/.") {
					*name = cli.Relative(dir, *name)
				}
			}
			ctx, stop := cli.Stoppable(c.Context())
			defer stop()
			p := cli.NewProgress(c.ErrOrStderr())
			rows, moved, err := f.Measure(ctx, p.At)
			p.End()
			if err != nil {
				return err
			}
			if asJSON {
				res := cli.NewResult("foresee-update", &f.Seed, rows)
				res.Detail = map[string]float64{"critical_path_moved": cli.Round(moved)}
				return cli.PrintJSON(c.OutOrStdout(), res)
			}
			return printUpdate(c.OutOrStdout(), rows, moved)
		},
	}
	c.Flags().StringVarP(&file, "file", "f", "", "how the application changes, and what learns; see docs/formats/foresee.md")
	c.Flags().BoolVar(&asJSON, "json", false, "print the result as JSON")
	return c
}

// UpdateRow is one model, on the runs of the new version that measure.
type UpdateRow struct {
	Application string   `json:"application"`
	Model       string   `json:"model"`     // old: as it is; updated: trained on from the old one's weights; anew: from scratch
	Hours       float64  `json:"learnt_h"`  // simulated, after the update
	Moments     int      `json:"moments"`   // before a violation, that were learnt from
	Episodes    int      `json:"episodes"`  // that measure
	Recall      float64  `json:"recall"`    // share of them that was foreseen
	Precision   *float64 `json:"precision"` // of warnings; null without any
	Top1        *float64 `json:"culprit_top1"`
	Accuracy    float64  `json:"accuracy"` // share of the episodes that was foreseen and whose culprit was named
	TrainS      float64  `json:"train_s"`
	CPUS        float64  `json:"train_cpu_s"`
	Share       float64  `json:"cpu_over_anew"` // train_cpu_s over that of the model from scratch
}

// Measure does what the file says. Moved is by how much critical paths have.
func (f *UpdateFile) Measure(ctx context.Context, progress func(done float64, what string)) (rows []UpdateRow, moved float64, err error) {
	before, err := appfile.ReadApp(f.Before.Application)
	if err != nil {
		return nil, 0, cli.Usage(err)
	}
	after, err := appfile.ReadApp(f.After.Application)
	if err != nil {
		return nil, 0, cli.Usage(err)
	}
	after = foresail.Align(before, after) // as an application that is updated while it runs is numbered
	cfg := f.config()
	if moved, err = f.moved(ctx, before, after, cfg.Seed); err != nil {
		return nil, 0, err
	}
	collect := func(bp *foresail.Blueprint, a version, s stretch, from, to float64) ([]*Operated, error) {
		o := Operation{Blueprint: bp, Low: a.Low, High: a.High, Duration: s.Each.Truncate(foresail.Beat), Every: Between, Traced: 1, Kinds: Usual}
		return o.Collect(ctx, s.Seed, s.Runs, nil, func(d float64, what string) { progress(from+d*(to-from), what) })
	}
	old, err := f.old(ctx, before, cfg, collect)
	if err != nil {
		return nil, 0, err
	}
	learnt, err := collect(after, f.After, f.Retrain, 0.3, 0.6)
	if err != nil {
		return nil, 0, err
	}
	tested, err := collect(after, f.After, f.Test, 0.6, 0.75)
	if err != nil {
		return nil, 0, err
	}
	learn, test := Runs(learnt), Runs(tested)
	add := func(name string, runs int, make func() (*foresee.Model, *foresee.Report, error)) error {
		began, cpu := time.Now(), training.CPUTime()
		m, report, err := make()
		if err != nil {
			return fmt.Errorf("%s, on %d runs: %w", name, runs, err)
		}
		row := UpdateRow{Application: after.App.Name, Model: name, Hours: cli.Round((time.Duration(runs) * f.Retrain.Each).Hours()),
			TrainS: cli.Round(time.Since(began).Seconds()), CPUS: cli.Round((training.CPUTime() - cpu).Seconds())}
		if report != nil {
			row.Moments = report.Violations
		}
		row.measure(m, test)
		rows = append(rows, row)
		return nil
	}
	err = add("old", 0, func() (*foresee.Model, *foresee.Report, error) {
		m, err := foresee.Carry(old, after.App, nil)
		return m, nil, err
	})
	for _, u := range f.Use {
		n := int(u / f.Retrain.Each)
		if err == nil {
			progress(0.75, fmt.Sprintf("trains on with %v", u))
			err = add("updated", n, func() (*foresee.Model, *foresee.Report, error) {
				c := foresee.Updating(old)
				c.Seed = cfg.Seed
				return foresee.Update(ctx, old, after.App, learn[:n], c, nil)
			})
		}
	}
	if err == nil {
		err = add("anew", len(learn), func() (*foresee.Model, *foresee.Report, error) {
			return foresee.Train(ctx, foresee.SchemaOf(after.App), learn, cfg, func(epoch int, _ float64) {
				progress(0.8+0.2*float64(epoch)/float64(cfg.Epochs), fmt.Sprintf("from scratch: epoch %d of %d", epoch, cfg.Epochs))
			})
		})
	}
	if err != nil {
		return nil, 0, err
	}
	for i := range rows {
		rows[i].Share = cli.Round(rows[i].CPUS / rows[len(rows)-1].CPUS)
	}
	return rows, moved, nil
}

// old is the model from before the change.
func (f *UpdateFile) old(ctx context.Context, before *foresail.Blueprint, cfg foresee.Config, collect func(*foresail.Blueprint, version, stretch, float64, float64) ([]*Operated, error)) (*foresee.Model, error) {
	if f.Model != "" {
		data, err := os.ReadFile(f.Model)
		if err != nil {
			return nil, cli.Usagef("model: %w", err)
		}
		m, err := foresee.Read(bytes.NewReader(data))
		if err == nil {
			err = m.Fits(before.App)
		}
		if err != nil {
			return nil, cli.Usagef("model %s: %w", f.Model, err)
		}
		return m, nil
	}
	all, err := collect(before, f.Before, f.Train, 0, 0.2)
	if err != nil {
		return nil, err
	}
	m, _, err := foresee.Train(ctx, foresee.SchemaOf(before.App), Runs(all), cfg, nil)
	if err != nil {
		return nil, fmt.Errorf("before the update: %w", err)
	}
	return m, nil
}

// measure fills in how well a model foresees.
func (r *UpdateRow) measure(m *foresee.Model, test []*foresee.Run) {
	all := foresee.Evaluate(foresee.JudgeAll(m, test, m.Horizon(), m.Beats()), m.Threshold())
	r.Episodes, r.Recall = len(all.Outcomes), cli.Round(all.Recall())
	r.Precision, r.Top1 = known(all.Precision()), known(all.Top1(test))
	right, n := 0, 0
	for _, o := range all.Outcomes {
		if c := test[o.Run].Episodes[o.Episode].Culprit; c != label.Nobody {
			n++
			if o.Caught && o.Named == c {
				right++
			}
		}
	}
	r.Accuracy = cli.Round(float64(right) / float64(n))
}

func known(v float64) *float64 {
	if v != v {
		return nil
	}
	v = cli.Round(v)
	return &v
}

// moved is by how much critical paths have moved, of ten minutes without faults before and after.
func (f *UpdateFile) moved(ctx context.Context, before, after *foresail.Blueprint, seed uint64) (float64, error) {
	var paths [2]*label.Paths
	for i, bp := range []*foresail.Blueprint{before, after} {
		a := []version{f.Before, f.After}[i]
		o := Operation{Blueprint: bp, Low: a.Low, High: a.High, Duration: 10 * time.Minute}
		paths[i] = label.NewPaths(bp.App)
		c, err := sim.New(sim.Config{Blueprint: bp, Load: o.load(rand.New(rand.NewPCG(seed, uint64(i)))), Seed: seed, Duration: o.Duration, TraceShare: 0.1, Spans: paths[i].Spans})
		if err != nil {
			return 0, err
		}
		for err == nil {
			_, err = c.Next(ctx)
		}
		if !errors.Is(err, io.EOF) {
			return 0, err
		}
	}
	moved, ok := paths[0].Moved(paths[1])
	if !ok {
		return 0, errors.New("too few requests for critical paths: give higher loads")
	}
	return moved, nil
}

func printUpdate(w io.Writer, rows []UpdateRow, moved float64) error {
	share := func(v *float64) string {
		if v == nil {
			return "—"
		}
		return strconv.FormatFloat(*v, 'f', 3, 64)
	}
	cells := [][]string{}
	for i := range rows {
		r := &rows[i]
		cells = append(cells, []string{r.Application, r.Model, fmt.Sprintf("%.1f", r.Hours), strconv.Itoa(r.Moments), strconv.Itoa(r.Episodes), share(&r.Recall), share(r.Precision), share(r.Top1), share(&r.Accuracy),
			fmt.Sprintf("%.2f", r.CPUS), fmt.Sprintf("%.4f", r.Share)})
	}
	if err := cli.Table(w, []string{"application", "model", "h learnt", "moments", "episodes", "recall", "precision", "culprit top 1", "accuracy", "CPU s", "of anew"}, cells); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "of the time on critical paths %.1f %% is other services' than before\n", 100*moved)
	return err
}
