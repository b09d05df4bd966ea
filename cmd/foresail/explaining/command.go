package explaining

import (
	"errors"
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"foresail.dev/cmd/foresail/cli"
	"foresail.dev/model/tail"
)

func (f *from) register(fl *pflag.FlagSet, at string) {
	fl.StringVar(&f.history, "history", "", "directory of a history that foresail run or simulate has kept")
	fl.StringVar(&f.key, "key-file", "", "file with the history's key, or env:NAME, where it is encrypted")
	fl.StringVar(&f.data, "data", "", "instead of a history: a folder with steps that foresail explore has collected")
	fl.StringVar(&f.run, "run", "", "with --data: which run; empty: the one that has this time")
	fl.StringVar(&f.application, "application", "", "with --data: the application, a file or the name of a built-in one; empty: the built-in one of the data's name")
	fl.StringVar(&f.model, "model", "", "model file of foresail train sinan; empty: the built-in model of the application")
	fl.StringVar(&f.at, "at", at, `the moment: a time like 2026-03-01T12:00:00Z, or how long before the newest snapshot, like 90s`)
	fl.BoolVar(&f.json, "json", false, "print the result as JSON")
}

// NewExplain is the command.
func NewExplain() *cobra.Command {
	var f from
	var picture string
	var top int
	c := &cobra.Command{
		Use:   "explain --at TIME (--history DIR | --data DIR)",
		Short: "Says which services and resources drove a prediction and a decision",
		Long: `Reads the seconds before a moment, predicts what was predicted then, and says what drove it: how many milliseconds of
p99, and how much of the log odds of a violation, each service's resources account for, against what is usual. Then it
lists what was changed at that moment, and what each change was predicted to do.`,
		Example: `  foresail explain --history history --at 2026-03-01T12:00:05Z
  foresail explain --history history --at 90s --model model.fsm --plot why.png
  foresail explain --data steps --run users-24 --at 10m --json`,
		Args: cli.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := f.check(c.CommandPath()); err != nil {
				return err
			}
			if !c.Flags().Changed("at") {
				return cli.Usagef("%s needs --at; see %q", c.CommandPath(), c.CommandPath()+" --help")
			}
			if top < 0 {
				return cli.Usagef("--top %d: give a number, or 0 for all", top)
			}
			m, err := f.find(c.Context(), c.ErrOrStderr())
			if err != nil {
				return err
			}
			model, about, err := f.modelFor(m)
			if err != nil {
				return err
			}
			rows, d, err := explain(m, model, about)
			if err != nil {
				return err
			}
			if picture != "" {
				png, err := d.picture(rows, max(top, 1))
				if err == nil {
					err = os.WriteFile(picture, png, 0o644)
				}
				if err != nil {
					return cli.Usagef("--plot: %w", err)
				}
			}
			if f.json {
				r := cli.NewResult("explain", nil, rows)
				r.Detail = d
				return cli.PrintJSON(c.OutOrStdout(), r)
			}
			return d.print(c.OutOrStdout(), rows, top)
		},
	}
	f.register(c.Flags(), "")
	c.Flags().StringVar(&picture, "plot", "", "draw what drove it into this PNG file")
	c.Flags().IntVar(&top, "top", 12, "how many drivers are shown; 0: all. JSON has all")
	return c
}

// Case is one allocation and what is predicted of it.
type Case struct {
	Case string `json:"case"` // now, or changed
	Predicted
}

// whatIf is what a result of whatif has besides its rows.
type whatIf struct {
	Application string   `json:"application"`
	At          string   `json:"at"`
	Model       About    `json:"model"`
	Set         []Set    `json:"set"`
	Outside     []string `json:"outside"` // in what way the change lies outside of what the model was trained on; empty: it does not
	OutsideNow  []string `json:"outside_now"`
}

// NewWhatIf is the command.
func NewWhatIf() *cobra.Command {
	var f from
	var set []string
	c := &cobra.Command{
		Use:   "whatif --set SERVICE.cpu=CORES (--history DIR | --data DIR)",
		Short: "Predicts what another allocation would do to tail latency",
		Long: `Predicts latency percentiles and the probability of a violation at a moment, for the allocation as it was and for a changed
one, and says when that is asked outside of what the model was trained on. A moment that is not named is the newest.

  --set cart.cpu=1.5        cores of each replica of cart
  --set search.replicas=3   replicas of search`,
		Example: `  foresail whatif --history history --set cart.cpu=1.5 --set search.replicas=3
  foresail whatif --history history --at 2026-03-01T12:00:05Z --set cart.cpu=0.5 --json`,
		Args: cli.Needs("set"),
		RunE: func(c *cobra.Command, _ []string) error {
			if err := f.check(c.CommandPath()); err != nil {
				return err
			}
			m, err := f.find(c.Context(), c.ErrOrStderr())
			if err != nil {
				return err
			}
			model, about, modelErr := f.modelFor(m)
			all, err := parse(m.app, set)
			if err := errors.Join(modelErr, err); err != nil {
				if cli.IsUsage(modelErr) || modelErr == nil {
					err = cli.Usage(err)
				}
				return err
			}
			return f.answer(c, m, model, about, all)
		},
	}
	f.register(c.Flags(), "0s")
	c.Flags().StringArrayVar(&set, "set", nil, "what is changed: SERVICE.cpu=CORES of each replica, or SERVICE.replicas=NUMBER; may be repeated")
	return c
}

// answer predicts for the allocation as it was and as it is set.
func (f *from) answer(c *cobra.Command, m *moment, model *tail.Model, about About, all []setting) error {
	now := m.held()
	changed, sets := apply(m, all)
	p := model.Predictor()
	if err := p.Look(m.past); err != nil {
		return err
	}
	out := make([]tail.Prediction, 2)
	p.Try([][]float64{now, changed}, out)
	w := whatIf{Application: m.app.Name, At: m.at.UTC().Format("2006-01-02T15:04:05Z"), Model: about, Set: sets, Outside: model.Outside(m.past, changed), OutsideNow: model.Outside(m.past, now)}
	for _, list := range []*[]string{&w.Outside, &w.OutsideNow} {
		if *list == nil {
			*list = []string{}
		}
	}
	rows := []Case{{"now", predicted(&out[0], now)}, {"changed", predicted(&out[1], changed)}}
	if f.json {
		r := cli.NewResult("whatif", nil, rows)
		r.Detail = w
		return cli.PrintJSON(c.OutOrStdout(), r)
	}
	return w.print(c.OutOrStdout(), m, rows)
}
