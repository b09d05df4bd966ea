package seeing

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"foresail.dev"
	"foresail.dev/appfile"
	"foresail.dev/cmd/foresail/cli"
	"foresail.dev/model/foresee"
	"foresail.dev/model/foresee/network"
)

// trainFlags are those of foresail train seer.
type trainFlags struct {
	app, out, network, signal string
	low, high, traced         float64
	each, horizon             time.Duration
	runs, window, epochs      int
	seed                      uint64
	force, json               bool
}

// NewTrain is foresail train seer.
func NewTrain() *cobra.Command {
	var f trainFlags
	d := foresee.Default()
	c := &cobra.Command{
		Use:   "seer --app APPLICATION --out MODEL",
		Short: "Trains a model that foresees violations, on simulated operation",
		Long: `Simulates an application under loads and faults that are drawn from the seed, labels the violations from the spans of late
requests, and trains a network to tell from what each service has in flight which one will start a violation within the horizon.

Three tenths of the runs is held out: it chooses the epoch, calibrates, and sets the threshold of alarms. What is printed of recall and
precision is of these, and so a little better than on runs that nobody has seen: see 'foresail foresee evaluate'.`,
		Example: `  foresail train seer --app social-network --low 80 --high 220 --runs 14 --each 1h --horizon 500ms --out social.fsm`,
		Args:    cli.Needs("app", "out"),
		RunE:    func(c *cobra.Command, _ []string) error { return f.train(c) },
	}
	fl := c.Flags()
	fl.StringVar(&f.app, "app", "", "application to simulate: a file, or the name of a built-in one (see 'foresail apps')")
	fl.StringVarP(&f.out, "out", "o", "", "where the model goes: a file, like social.fsm")
	fl.Float64Var(&f.low, "low", 80, "requests/s that loads lie above")
	fl.Float64Var(&f.high, "high", 220, "requests/s that loads lie below")
	fl.Float64Var(&f.traced, "traced", 1, "share of requests whose spans labels are made from")
	fl.IntVar(&f.runs, "runs", 14, "how many runs are simulated")
	fl.DurationVar(&f.each, "each", time.Hour, "how long each lasts")
	fl.StringVar(&f.network, "network", string(d.Network), "cnn, lstm or hybrid")
	fl.StringVar(&f.signal, "signal", string(d.Signal), "full, application or network")
	fl.IntVar(&f.window, "window", d.Window, "beats of 100 ms that are seen")
	fl.DurationVar(&f.horizon, "horizon", 500*time.Millisecond, "how far ahead a violation is foreseen")
	fl.IntVar(&f.epochs, "epochs", d.Epochs, "times that the network sees the data")
	fl.Uint64Var(&f.seed, "seed", d.Seed, "seed of everything that is drawn")
	fl.BoolVar(&f.force, "force", false, "replace the file of --out where it is there")
	fl.BoolVar(&f.json, "json", false, "print the result as JSON")
	return c
}

// Trained is the row of the result.
type Trained struct {
	Application string  `json:"application"`
	Network     string  `json:"network"`
	Signal      string  `json:"signal"`
	Window      float64 `json:"window_ms"` // how far ahead, as DESIGN's tables call it
	Runs        int     `json:"runs"`
	Hours       float64 `json:"simulated_h"`
	Episodes    int     `json:"episodes"`
	Moments     int     `json:"moments"` // before a violation, that were learnt from
	Epoch       int     `json:"best_epoch"`
	Recall      float64 `json:"recall"`
	Precision   float64 `json:"precision"`
	Top1        float64 `json:"culprit_top1"`
	Bytes       int64   `json:"bytes"`
	SimulateS   float64 `json:"simulate_s"`
	TrainS      float64 `json:"train_s"`
}

func (f *trainFlags) check() (*Operation, foresee.Config, error) {
	cfg := foresee.Default()
	cfg.Seed, cfg.Network, cfg.Signal = f.seed, network.Kind(f.network), foresee.Signal(f.signal)
	cfg.Window, cfg.Horizon, cfg.Epochs = f.window, f.horizon, f.epochs
	cfg.Source, cfg.Commit = "simulated operation", cli.Commit()
	errs := []error{cfg.Check()}
	bp, err := appfile.ReadApp(f.app)
	if err != nil {
		errs = append(errs, fmt.Errorf("--app: %w", err))
	}
	wrong := func(bad bool, format string, args ...any) {
		if bad {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	wrong(!(f.low > 0 && f.high >= f.low && f.high <= 1e6), "--low %v and --high %v: give requests/s above 0, the lower first", f.low, f.high)
	wrong(!(f.traced > 0 && f.traced <= 1), "--traced %v: give a share above 0 and at most 1", f.traced)
	wrong(f.runs < 2 || f.runs > 1e5, "--runs %d: give two or more: one to learn from and one to be held out", f.runs)
	wrong(f.each < time.Minute || f.each > 24*time.Hour, "--each %v: give a minute to a day", f.each)
	if _, err := os.Stat(f.out); err == nil && !f.force {
		errs = append(errs, fmt.Errorf("--out %s is there already: give another file, or --force", f.out))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, cfg, err
	}
	return &Operation{Blueprint: bp, Duration: f.each.Truncate(foresail.Beat), Low: f.low, High: f.high, Every: Between, Traced: f.traced, Kinds: Usual}, cfg, nil
}

func (f *trainFlags) train(c *cobra.Command) error {
	o, cfg, err := f.check()
	if err != nil {
		return cli.Usage(err)
	}
	ctx, stop := cli.Stoppable(c.Context())
	defer stop()
	p := cli.NewProgress(c.ErrOrStderr())
	defer p.End()
	began := time.Now()
	all, err := o.Collect(ctx, f.seed, f.runs, Thin(&cfg, f.runs, cfg.Horizon), func(done float64, what string) { p.At(done/2, what) })
	if err != nil {
		return err
	}
	simulated := time.Now()
	m, report, err := foresee.Train(ctx, foresee.SchemaOf(o.Blueprint.App), Runs(all), cfg, func(epoch int, loss float64) {
		p.At(0.5+float64(epoch)/float64(cfg.Epochs)/2, fmt.Sprintf("epoch %d of %d", epoch, cfg.Epochs))
	})
	if err != nil {
		return err
	}
	row := Trained{Application: o.Blueprint.App.Name, Network: f.network, Signal: f.signal, Window: float64(f.horizon.Milliseconds()), Runs: f.runs,
		Hours: cli.Round(float64(f.runs) * o.Duration.Hours()), Moments: report.Violations, Epoch: report.Epoch, Recall: cli.Round(report.Recall), Precision: cli.Round(report.Precision),
		Top1: cli.Round(report.Top1), SimulateS: cli.Round(simulated.Sub(began).Seconds()), TrainS: cli.Round(time.Since(simulated).Seconds())}
	for _, r := range all {
		row.Episodes += len(r.Run.Episodes)
	}
	if row.Bytes, err = writeModel(f.out, m); err != nil {
		return err
	}
	p.End()
	if f.json {
		return cli.PrintJSON(c.OutOrStdout(), cli.NewResult("train-seer", &f.seed, []Trained{row}))
	}
	return row.print(c.OutOrStdout(), f.out)
}

func (r *Trained) print(w io.Writer, out string) error {
	_, err := fmt.Fprintf(w, "%s, %s on %s signals, %.0f ms ahead: %d episodes in %.1f simulated hours, %d moments before them learnt from\n"+
		"on the runs that were held out, which set the threshold: %.3f of episodes foreseen, %.3f of warnings right, %.3f of culprits named\n%s has %d bytes\n",
		strings.Map(cli.Printable, r.Application), r.Network, r.Signal, r.Window, r.Episodes, r.Hours, r.Moments, r.Recall, r.Precision, r.Top1, out, r.Bytes)
	return err
}

// writeModel puts a model into place at one go.
func writeModel(path string, m *foresee.Model) (size int64, err error) {
	t, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return 0, err
	}
	defer os.Remove(t.Name())
	err = errors.Join(foresee.Write(t, m), t.Sync(), t.Chmod(0o644))
	if info, serr := t.Stat(); serr == nil {
		size = info.Size()
	}
	if err = errors.Join(err, t.Close()); err != nil {
		return 0, err
	}
	return size, os.Rename(t.Name(), path)
}
