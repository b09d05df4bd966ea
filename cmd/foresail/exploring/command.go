package exploring

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"foresail.dev"
	"foresail.dev/appfile"
	"foresail.dev/cmd/foresail/cli"
	"foresail.dev/load"
	"foresail.dev/plan/explore"
)

// Flags are those of the command.
type Flags struct {
	File    string // of a real application: foresail.yaml
	App     string // of a simulated one
	Load    string
	Users   string
	Rates   string
	Mix     string
	Think   time.Duration
	Each    time.Duration
	Warmup  time.Duration
	Repeat  int
	Workers int
	Unit    float64
	Reach   float64
	Dwell   int
	Scale   bool
	Budget  string
	For     time.Duration
	Seed    uint64
	Out     string
	JSON    bool
}

// New is the command; live explores the application that a run configuration names.
func New(live func(c *cobra.Command, f Flags) error) *cobra.Command {
	var f Flags
	c := &cobra.Command{
		Use:   "explore --app APPLICATION --users LEVELS --out DIR",
		Short: "Collects what models of tail latency are trained on",
		Long: `Moves the cores of every service of an application each second, as Sinan's multi-armed bandit does, so that most is learnt
of which allocations still hold its objectives, and keeps what was observed in a folder, for 'foresail train sinan'.

With --app it simulates: one run for each level of the load, as many at once as there are processors. Runs that are
finished are kept; the same command goes on where an earlier one stopped.

With -f it explores a real application, as foresail.yaml says where it runs. Objectives are violated on the way: for --budget
in all, over all runs into the same folder. Before that is spent, and at the end, everything is put to its maximum.`,
		Example: `  foresail explore --app social-network-28 --load examples/loads/sinan-w0.yaml --out data/social
  foresail explore --app social-network-28 --users 4..48/2 --each 20m --mix compose-post=5,read-home-timeline=80,read-user-timeline=15 --out data/social
  foresail explore --app hotel-reservation-17 --load examples/loads/hotel-reservation-17/constant.yaml --rates 300..2700/100 --each 750s --out data/hotel
  foresail explore -f examples/testbed.yaml --budget 60s --for 30m --out data/live`,
		Args: cli.Needs("out"),
		RunE: func(c *cobra.Command, _ []string) error {
			if err := f.check(c); err != nil {
				return err
			}
			if f.File != "" {
				return live(c, f)
			}
			return simulate(c, f)
		},
	}
	fl := c.Flags()
	fl.StringVar(&f.App, "app", "", "application to simulate: a file, or the name of a built-in one (see 'foresail apps')")
	fl.StringVar(&f.Load, "load", "", "load file: its mix, its mode and, where its curve is steps, its levels and how long each lasts")
	fl.StringVar(&f.Users, "users", "", "users, who each wait for an answer: 4..48/2, or 4,8,16")
	fl.StringVar(&f.Rates, "rates", "", "requests/s, which wait for nothing: 300..2700/100")
	fl.StringVar(&f.Mix, "mix", "", "share of each endpoint, as in search=600,recommend=390; that of the load file where it is not given, else all are equal")
	fl.DurationVar(&f.Think, "think", 100*time.Millisecond, "mean pause of a user, where no load file says it")
	fl.DurationVar(&f.Each, "each", 20*time.Minute, "what is kept of each run, where no load file says it")
	fl.DurationVar(&f.Warmup, "warmup", 2*time.Minute, "what comes before that, with everything at its maximum: of a simulation it is not kept, of a real application it does not count against the budget")
	fl.IntVar(&f.Repeat, "repeat", 1, "runs of each level, under seeds that follow each other")
	fl.IntVar(&f.Workers, "workers", 0, "runs at once; 0: as many as there are processors")
	fl.Float64Var(&f.Unit, "unit", 0, "cores that services are moved by; below one of these, by fifths of it; 0: 1")
	fl.Float64Var(&f.Reach, "reach", 0, "how many times what it uses a service is raised to at most; 0: as far as its bounds allow")
	fl.IntVar(&f.Dwell, "dwell", 1, "seconds, in the mean, that everything is held for when chance says so")
	fl.BoolVar(&f.Scale, "replicas", false, "move the number of replicas as well, within their bounds; else each service keeps those it has")
	fl.StringVarP(&f.File, "file", "f", "", "a real application: what to run, see docs/formats/run.md; its manager, guard and state are not used")
	fl.StringVar(&f.Budget, "budget", "", "of a real application: for how long its objectives may be violated, 60s or 5% of --for")
	fl.DurationVar(&f.For, "for", 30*time.Minute, "of a real application: for how long it is explored, spending the budget evenly; 0: until stopped")
	fl.Uint64Var(&f.Seed, "seed", 1, "seed of everything that is drawn")
	fl.StringVarP(&f.Out, "out", "o", "", "folder for the data set")
	fl.BoolVar(&f.JSON, "json", false, "print the result as JSON")
	return c
}

// check tells every flag that does not go with the others.
func (f *Flags) check(c *cobra.Command) error {
	var errs []error
	wrong := func(bad bool, format string, a ...any) {
		if bad {
			errs = append(errs, fmt.Errorf(format, a...))
		}
	}
	given := func(names ...string) (out string) {
		for _, n := range names {
			if c.Flags().Changed(n) {
				return "--" + n
			}
		}
		return ""
	}
	real := f.File != ""
	wrong(real == (f.App != ""), "give either --app, an application to simulate, or -f, what to run for real")
	wrong(!real && f.App != "" && f.Load == "" && f.Users == "" && f.Rates == "", "give --load, --users or --rates: what to explore under")
	wrong(f.Users != "" && f.Rates != "", "--users and --rates: give one of them")
	wrong(f.Each < time.Second || f.Each%time.Second != 0, "--each %v: give whole seconds", f.Each)
	wrong(f.Warmup < time.Second || f.Warmup%time.Second != 0, "--warmup %v: give whole seconds, one at least", f.Warmup)
	wrong(f.Think < 0, "--think %v: must not be negative", f.Think)
	wrong(f.Repeat < 1 || f.Repeat > 1000, "--repeat %d: give a number from 1 to 1000", f.Repeat)
	wrong(f.Workers < 0, "--workers %d: give a number from 1 on, or 0 for as many as there are processors", f.Workers)
	wrong(!(f.Unit >= 0 && f.Unit <= 64), "--unit %v: give cores above 0, up to 64", f.Unit)
	wrong(f.Reach != 0 && !(f.Reach >= 1 && f.Reach <= 1000), "--reach %v: give a number from 1 to 1000, or 0", f.Reach)
	wrong(f.Dwell < 1 || f.Dwell > 3600, "--dwell %d: give a number from 1 to 3600", f.Dwell)
	if real {
		which := given("load", "users", "rates", "mix", "think", "each", "repeat", "workers")
		wrong(which != "", "%s is of a simulation, and -f %s says what runs: leave it out", which, f.File)
		wrong(f.Budget == "", "give --budget, for how long the objectives of the application may be violated: 60s, or 5%% of --for")
		wrong(f.For < 0, "--for %v: give a time, or 0 to go on until stopped", f.For)
	} else {
		which := given("budget", "for")
		wrong(which != "", "%s is of a real application: give -f, or leave it out", which)
	}
	return cli.Usage(errors.Join(errs...))
}

// Live is the manager's configuration for a real application.
func (f *Flags) Live() (explore.Config, error) {
	budget, err := ParseBudget(f.Budget, f.For)
	if err != nil {
		return explore.Config{}, err
	}
	c := f.config()
	c.Budget, c.Pace, c.Warmup = budget, f.For, int(f.Warmup/time.Second)
	return c, nil
}

// config is the manager's configuration as far as it is the same everywhere.
func (f *Flags) config() explore.Config {
	return explore.Config{Unit: f.Unit, Reach: f.Reach, Dwell: f.Dwell, Replicas: f.Scale}
}

// loads are what to explore under.
func (f *Flags) loads(c *cobra.Command, app *foresail.App) ([]Load, error) {
	base := &load.Load{Name: "users", Mode: load.Closed, Think: f.Think}
	if f.Rates != "" {
		base = &load.Load{Name: "rates"}
	}
	var levels []float64
	if f.Load != "" {
		l, err := appfile.ReadLoad(f.Load, app)
		if err != nil {
			return nil, cli.Usage(err)
		}
		base = l
		var each time.Duration
		levels, each = stepsOf(l)
		if each > 0 && !c.Flags().Changed("each") {
			f.Each = each.Truncate(time.Second)
		}
		if c.Flags().Changed("think") {
			base.Think = f.Think
		}
	}
	text, flag, most := f.Users, "--users", float64(maxUsers)
	if f.Rates != "" {
		text, flag, most = f.Rates, "--rates", maxRate
	}
	if text != "" {
		var err error
		if levels, err = ParseLevels(text, most); err != nil {
			return nil, cli.Usagef("%s: %w", flag, err)
		}
		want := load.Closed
		if f.Rates != "" {
			want = load.Open
		}
		if base.Mode != want {
			return nil, cli.Usagef("%s: the load of %s is of the other mode: use --rates for one that is open, --users for one that is closed", flag, f.Load)
		}
	}
	if f.Mix != "" {
		mix, err := parseMix(f.Mix, app)
		if err != nil {
			return nil, cli.Usagef("--mix: %w", err)
		}
		base.Mix = mix
	}
	return withLevels(base, levels), nil
}

// simulate explores a simulated application.
func simulate(c *cobra.Command, f Flags) error {
	bp, err := appfile.ReadApp(f.App)
	if err != nil {
		return cli.Usage(err)
	}
	g := &Grid{Blueprint: bp, Dir: f.Out, Workers: f.Workers, Commit: cli.Commit(), Config: f.config()}
	if g.Loads, err = f.loads(c, bp.App); err != nil {
		return err
	}
	g.Each, g.Warmup = f.Each, f.Warmup
	for k := range f.Repeat {
		g.Seeds = append(g.Seeds, f.Seed+uint64(k))
	}
	if _, err := explore.New(bp.App, g.Config, 0); err != nil {
		return cli.Usage(err)
	}
	if err := g.Check(); err != nil {
		return cli.Usage(err)
	}
	ctx, stop := cli.Stoppable(c.Context())
	defer stop()
	errw := c.ErrOrStderr()
	g.Progress = watch(errw, len(g.Loads)*len(g.Seeds))
	rows, detail, err := g.Run(ctx)
	if err != nil {
		return err
	}
	return printResult(c.OutOrStdout(), f.Out, f.Seed, rows, detail, f.JSON)
}

// watch tells progress: a line that is redrawn on a terminal, a line for each run elsewhere.
func watch(w io.Writer, total int) func(share float64, finished *Row) {
	line := cli.NewProgress(w)
	done := 0
	return func(share float64, r *Row) {
		if r != nil {
			done++
		}
		if line.W != nil {
			if line.At(share, fmt.Sprintf("%d of %d runs", done, total)); done == total {
				line.End()
			}
			return
		}
		if r == nil {
			return
		}
		how := "done"
		if r.Kept {
			how = "was there"
		}
		left := time.Duration(float64(time.Since(line.Began)) * (1 - share) / share).Round(time.Second)
		fmt.Fprintf(w, "%d/%d %s: %s, %d steps, %.1f %% near, %.1f %% violated; %v left\n", done, total, r.Run, how, r.Steps, r.Near*100, r.Violation*100, left)
	}
}
