package seeing

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"foresail.dev"
	"foresail.dev/appfile"
	"foresail.dev/apps/random"
	"foresail.dev/cmd/foresail/cli"
	"foresail.dev/compare"
	"foresail.dev/fault"
	"foresail.dev/model/foresee"
	"foresail.dev/model/foresee/network"
)

// File says what is simulated, what learns from it, and what is measured on the rest.
type File struct {
	Applications []application   `yaml:"applications" rule:"required"`
	Train        stretch         `yaml:"train" rule:"required"`
	Test         stretch         `yaml:"test" rule:"required"`
	Absent       []fault.Kind    `yaml:"absent"` // kinds of faults that nobody learns from, and that are measured on alone, in as many runs again
	Networks     []string        `yaml:"networks" rule:"required"`
	Signals      []string        `yaml:"signals"` // absent: full
	Windows      []time.Duration `yaml:"windows"` // how far ahead; absent: 500 ms
	Beats        int             `yaml:"beats" rule:"min=2,max=100"`
	Epochs       int             `yaml:"epochs" rule:"min=1,max=1000"`
	Traced       float64         `yaml:"traced" rule:"min=0,max=1"` // absent: 1
	Seed         uint64          `yaml:"seed"`                      // of training
}

type application struct {
	Application string          `yaml:"application"`
	Random      *compare.Random `yaml:"random"`                                   // instead: one that is drawn
	Low         float64         `yaml:"low" rule:"required,min=0.1,max=1000000"`  // requests/s
	High        float64         `yaml:"high" rule:"required,min=0.1,max=1000000"` // requests/s
	Train       *stretch        `yaml:"train"`                                    // instead of the file's
}

// read is its blueprint.
func (a *application) read() (*foresail.Blueprint, error) {
	if r := a.Random; r != nil {
		return random.New(random.Config{Services: r.Services, Seed: r.Seed, Rate: r.Rate})
	}
	return appfile.ReadApp(a.Application)
}

type stretch struct {
	Runs int           `yaml:"runs" rule:"required,min=1,max=100000"`
	Each time.Duration `yaml:"each" rule:"required,min=1m,max=24h"`
	Seed uint64        `yaml:"seed" rule:"required"` // of the first run; the next have the next
}

// Check asks for networks and signals that there are, and for seeds that are not used twice.
func (f *File) Check(at appfile.Place) {
	for i, n := range f.Networks {
		if !slices.Contains(network.Kinds, network.Kind(n)) {
			at.At("networks", i).Faultf("is %q; there are %v", n, network.Kinds)
		}
	}
	for i, s := range f.Signals {
		if !slices.Contains(foresee.Signals, foresee.Signal(s)) {
			at.At("signals", i).Faultf("is %q; there are %v", s, foresee.Signals)
		}
	}
	for i, w := range f.Windows {
		if w < foresail.Beat || w > time.Minute {
			at.At("windows", i).Faultf("is %v, must be 100ms to 1m", w)
		}
	}
	for i, k := range f.Absent {
		if !slices.Contains(Usual, k) {
			at.At("absent", i).Faultf("is %v; there are %v", k, Usual)
		}
	}
	if len(kinds(f.Absent)) == 0 {
		at.At("absent").Faultf("has all kinds: leave some to learn from")
	}
	for i, a := range f.Applications {
		place := at.At("applications", i)
		if a.Low > a.High {
			place.At("low").Faultf("is %v, and high %v: give the lower first", a.Low, a.High)
		}
		if (a.Application == "") == (a.Random == nil) {
			place.Faultf("must have exactly one of application and random")
		}
		if a.Train != nil {
			f.checkTrain(*a.Train, place.At("train"))
		}
	}
	f.checkTrain(f.Train, at.At("train"))
}

// checkTrain asks for two runs or more that nothing is measured on.
func (f *File) checkTrain(train stretch, at appfile.Place) {
	if train.Runs == 1 {
		at.At("runs").Faultf("is 1, must be 2 or more: one to learn from and one to be held out")
	}
	if a, b := train, f.Test; a.Runs > 0 && b.Runs > 0 && a.Seed < b.Seed+uint64(b.Runs) && b.Seed < a.Seed+uint64(a.Runs) {
		at.At("seed").Faultf("is %d with %d runs, and test has %d with %d: what is measured on must not have been learnt from", a.Seed, a.Runs, b.Seed, b.Runs)
	}
}

// kinds are the usual ones without some.
func kinds(absent []fault.Kind) []fault.Kind {
	return slices.DeleteFunc(slices.Clone(Usual), func(k fault.Kind) bool { return slices.Contains(absent, k) })
}

func (f *File) defaults() {
	d := foresee.Default()
	if len(f.Signals) == 0 {
		f.Signals = []string{string(foresee.Full)}
	}
	if len(f.Windows) == 0 {
		f.Windows = []time.Duration{500 * time.Millisecond}
	}
	if f.Beats == 0 {
		f.Beats = d.Window
	}
	if f.Epochs == 0 {
		f.Epochs = d.Epochs
	}
	if f.Traced == 0 {
		f.Traced = 1
	}
	if f.Seed == 0 {
		f.Seed = d.Seed
	}
}

// NewForesee is foresail foresee, with commands of other rooms.
func NewForesee(more ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{
		Use:   "foresee",
		Short: "Says which service will start a violation",
		Args:  cli.NoArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(newEvaluate(), newUpdate())
	c.AddCommand(more...)
	return c
}

func newEvaluate() *cobra.Command {
	var file string
	var asJSON bool
	c := &cobra.Command{
		Use:   "evaluate -f SEER.yaml",
		Short: "Trains models that foresee violations, and measures them on runs that none has seen",
		Long: `Simulates operation under loads and faults that are drawn, trains each network on a part of the runs, and prints for the others how many
violations were foreseen, how many warnings were right, and whose culprit was named; of all and of each kind of fault. Beside them
stand a threshold on utilisation and one on queues, tuned on the training runs.`,
		Example: "  foresail foresee evaluate -f examples/seer-smoke.yaml --json",
		Args:    cli.Needs("file"),
		RunE: func(c *cobra.Command, _ []string) error {
			var f File
			if err := appfile.ReadFile(file, &f); err != nil {
				return cli.Usage(err)
			}
			f.defaults()
			ctx, stop := cli.Stoppable(c.Context())
			defer stop()
			p := cli.NewProgress(c.ErrOrStderr())
			rows, err := f.Measure(ctx, p.At)
			p.End()
			if err != nil {
				return err
			}
			if asJSON {
				return cli.PrintJSON(c.OutOrStdout(), cli.NewResult("foresee-evaluate", &f.Seed, rows))
			}
			return printRows(c.OutOrStdout(), rows)
		},
	}
	c.Flags().StringVarP(&file, "file", "f", "", "what is simulated, and what learns from it; see docs/formats/foresee.md")
	c.Flags().BoolVar(&asJSON, "json", false, "print the result as JSON")
	return c
}

// Row is how well one detector foresaw.
type Row struct {
	Application string   `json:"application"`
	Network     string   `json:"network"` // or "utilisation" or "queue": a threshold
	Signal      string   `json:"signal"`
	Window      float64  `json:"window_ms"`
	Faults      string   `json:"faults"`   // "usual", or "absent": kinds that nobody has learnt from
	Cause       string   `json:"cause"`    // "all", or what was injected
	Episodes    int      `json:"episodes"` // that could be foreseen
	Recall      float64  `json:"recall"`
	Precision   *float64 `json:"precision,omitempty"`    // of all causes together: a false warning has none
	Top1        *float64 `json:"culprit_top1,omitempty"` // absent where no culprit is known
	Lead        float64  `json:"lead_ms_p50"`            // until the objective is broken
	Infer       float64  `json:"infer_us,omitempty"`     // for one beat; of networks
}

// Measure does what the file says.
func (f *File) Measure(ctx context.Context, progress func(done float64, what string)) ([]Row, error) {
	rows := []Row{}
	for i := range f.Applications {
		at := func(done float64, what string) { progress((float64(i)+done)/float64(len(f.Applications)), what) }
		some, err := f.measureOne(ctx, &f.Applications[i], at)
		if err != nil {
			return nil, err
		}
		rows = append(rows, some...)
	}
	slices.SortStableFunc(rows, func(a, b Row) int { return cmpRows(&a, &b) })
	return rows, nil
}

// judged is what detectors of one application are measured on.
type judged struct {
	faults string
	all    []*Operated
}

// measureOne measures all detectors on one application.
func (f *File) measureOne(ctx context.Context, a *application, progress func(done float64, what string)) (rows []Row, err error) {
	bp, err := a.read()
	if err != nil {
		return nil, cli.Usage(err)
	}
	train := f.Train
	if a.Train != nil {
		train = *a.Train
	}
	o := Operation{Blueprint: bp, Low: a.Low, High: a.High, Every: Between, Traced: f.Traced}
	collect := func(s stretch, kinds []fault.Kind, each func(int, *foresee.Run), from, to float64) ([]*Operated, error) {
		o.Duration, o.Kinds = s.Each.Truncate(foresail.Beat), kinds
		return o.Collect(ctx, s.Seed, s.Runs, each, func(d float64, what string) { progress(from+(to-from)*d, what) })
	}
	cfg := foresee.Default()
	cfg.Seed, cfg.Window, cfg.Epochs = f.Seed, f.Beats, f.Epochs
	learnt, err := collect(train, kinds(f.Absent), Thin(&cfg, train.Runs, slices.Max(f.Windows)), 0, 0.3)
	if err != nil {
		return nil, err
	}
	sets := []judged{{faults: "usual"}}
	if sets[0].all, err = collect(f.Test, kinds(f.Absent), nil, 0.3, 0.4); err != nil {
		return nil, err
	}
	if len(f.Absent) > 0 {
		all, err := collect(f.Test, f.Absent, nil, 0.4, 0.5)
		if err != nil {
			return nil, err
		}
		sets = append(sets, judged{"absent", all})
	}
	learn := Runs(learnt)
	_, held := foresee.Split(learn, &cfg)
	add := func(row Row, d foresee.Detector, threshold float64, window time.Duration) (some []Row) {
		for _, s := range sets {
			row.Faults = s.faults
			some = append(some, measure(row, d, threshold, s.all, window, f.Beats)...)
		}
		return some
	}
	var jobs []func(context.Context) ([]Row, error)
	for _, window := range f.Windows {
		for name, d := range map[string]foresee.Detector{"utilisation": foresee.Utilisation{}, "queue": foresee.NewQueue(learn, window)} {
			jobs = append(jobs, func(context.Context) ([]Row, error) {
				threshold := foresee.Tune(foresee.JudgeAll(d, held, window, f.Beats), cfg.Precision)
				return add(Row{Application: bp.App.Name, Network: name, Signal: "threshold", Window: ms(window)}, d, threshold, window), nil
			})
		}
		for _, n := range f.Networks {
			for _, s := range f.Signals {
				cfg := cfg
				cfg.Network, cfg.Signal, cfg.Horizon = network.Kind(n), foresee.Signal(s), window
				jobs = append(jobs, func(ctx context.Context) ([]Row, error) {
					m, _, err := foresee.Train(ctx, foresee.SchemaOf(bp.App), learn, cfg, nil)
					if err != nil {
						return nil, fmt.Errorf("%s, %s on %s signals: %w", bp.App.Name, n, s, err)
					}
					return add(Row{Application: bp.App.Name, Network: n, Signal: s, Window: ms(window), Infer: inference(m, bp.App)}, m, m.Threshold(), window), nil
				})
			}
		}
	}
	return atOnce(ctx, jobs, func(done int) {
		progress(0.5+0.5*float64(done)/float64(len(jobs)), fmt.Sprintf("%s: %d of %d detectors are measured", bp.App.Name, done, len(jobs)))
	})
}

// atOnce does jobs on all processors, and gives what they give in their order. It tells how many are done.
func atOnce(ctx context.Context, jobs []func(context.Context) ([]Row, error), tell func(done int)) (rows []Row, err error) {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	out := make([][]Row, len(jobs))
	var mu sync.Mutex
	done := 0
	for i, job := range jobs {
		group.Go(func() (err error) {
			out[i], err = job(ctx)
			mu.Lock()
			defer mu.Unlock()
			done++
			tell(done)
			return err
		})
	}
	err = group.Wait()
	return slices.Concat(out...), err
}

// measure is the rows of one detector: all causes, and each.
func measure(like Row, d foresee.Detector, threshold float64, causes []*Operated, window time.Duration, beats int) (rows []Row) {
	runs := Runs(causes)
	all := foresee.Evaluate(foresee.JudgeAll(d, runs, window, beats), threshold)
	of := map[string]*foresee.Result{"all": &all}
	for _, o := range all.Outcomes {
		cause := causes[o.Run].Causes[o.Episode]
		if of[cause] == nil {
			of[cause] = &foresee.Result{}
		}
		of[cause].Outcomes = append(of[cause].Outcomes, o)
	}
	for cause, r := range of {
		if len(r.Outcomes) == 0 {
			continue
		}
		row := like
		row.Cause, row.Episodes, row.Recall, row.Lead = cause, len(r.Outcomes), cli.Round(r.Recall()), ms(r.Lead())
		if cause == "all" && r.Right+r.False > 0 {
			v := cli.Round(r.Precision())
			row.Precision = &v
		}
		if v := r.Top1(runs); v == v {
			v = cli.Round(v)
			row.Top1 = &v
		}
		rows = append(rows, row)
	}
	return rows
}

func ms(d time.Duration) float64 { return float64(d.Milliseconds()) }

// inference is how long one beat takes, in microseconds: the median of some hundred.
func inference(m *foresee.Model, app *foresail.App) float64 {
	w := m.Watcher()
	s := &foresail.Snapshot{Start: time.Unix(0, 0).UTC(), Services: make([]foresail.ServiceStats, len(app.Services))}
	s.End = s.Start.Add(m.Beat())
	for i := range s.Services {
		s.Services[i].Has = m.Needs()
	}
	var took []float64
	for range 300 {
		began := time.Now()
		w.Add(s)
		took = append(took, float64(time.Since(began).Nanoseconds())/1e3)
		s.Start, s.End = s.End, s.End.Add(m.Beat())
	}
	took = took[100:]
	slices.Sort(took)
	return cli.Round(took[len(took)/2])
}

func printRows(w io.Writer, rows []Row) error {
	share := func(v *float64) string {
		if v == nil {
			return "—"
		}
		return strconv.FormatFloat(*v, 'f', 3, 64)
	}
	cells := [][]string{}
	for i := range rows {
		r := &rows[i]
		infer := "—"
		if r.Infer > 0 {
			infer = strconv.FormatFloat(r.Infer, 'f', 0, 64)
		}
		cells = append(cells, []string{r.Application, r.Network, r.Signal, strconv.FormatFloat(r.Window, 'f', 0, 64), r.Faults, r.Cause, strconv.Itoa(r.Episodes),
			share(&r.Recall), share(r.Precision), share(r.Top1), strconv.FormatFloat(r.Lead, 'f', 0, 64), infer})
	}
	return cli.Table(w, []string{"application", "network", "signal", "ms ahead", "faults", "cause", "episodes", "recall", "precision", "culprit top 1", "lead ms", "infer us"}, cells)
}

// cmpRows orders rows by what they are of; "all" comes before the causes.
func cmpRows(a, b *Row) int {
	first := func(r *Row) int {
		if r.Cause == "all" {
			return 0
		}
		return 1
	}
	return cmp.Or(cmp.Compare(a.Application, b.Application), cmp.Compare(a.Window, b.Window), cmp.Compare(a.Network, b.Network), cmp.Compare(a.Signal, b.Signal),
		-cmp.Compare(a.Faults, b.Faults), cmp.Compare(first(a), first(b)), cmp.Compare(a.Cause, b.Cause))
}
