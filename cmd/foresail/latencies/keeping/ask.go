package keeping

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"foresail.dev/cmd/foresail/cli"
	"foresail.dev/cmd/foresail/latencies"
	"foresail.dev/cmd/foresail/latencies/repository"
	"foresail.dev/model/latency"
)

// existing opens a repository that is there.
func existing(dir string) (*repository.Repository, error) {
	if st, err := os.Stat(dir); err != nil {
		return nil, cli.Usage(fmt.Errorf("--models: %w", err))
	} else if !st.IsDir() {
		return nil, cli.Usagef("--models %s: give the directory of a repository", dir)
	}
	r, err := repository.Open(dir)
	if err != nil {
		return nil, cli.Usage(err)
	}
	return r, nil
}

// chosen is which graph is meant, as flags say.
type chosen struct{ models, graph, target, application string }

func (k *chosen) flags(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&k.models, "models", "", "directory of the repository of models")
	f.StringVar(&k.graph, "graph", "", "id of the graph, or how it begins; empty: the newest")
	f.StringVar(&k.application, "application", "", "the application that the graph must be of; empty: any")
	f.StringVar(&k.target, "target", "", "what the graph must predict; empty: whatever it does")
}

func (k *chosen) load() (*latency.Graph, repository.About, error) {
	r, err := existing(k.models)
	if err != nil {
		return nil, repository.About{}, err
	}
	if k.graph == "" {
		all, notes, err := r.List()
		if err != nil {
			return nil, repository.About{}, err
		}
		if len(all) == 0 || all[0].Kind != "graph" {
			return nil, repository.About{}, fmt.Errorf("%s holds no graph%s", k.models, told(notes))
		}
		k.graph = all[0].ID
	}
	return r.Graph(k.graph, repository.Want{Application: k.application, Target: k.target})
}

// Predicted is what a graph expects of one row of inputs.
type Predicted struct {
	Row      int      `json:"row"`
	Label    string   `json:"label"`
	Value    float64  `json:"predicted_ms"`
	Low      float64  `json:"ci95_low_ms"`
	High     float64  `json:"ci95_high_ms"`
	Measured *float64 `json:"measured_ms,omitempty"`
}

// NewPredict is foresail latency predict.
func NewPredict() *cobra.Command {
	var k chosen
	var runs string
	var sets []string
	var asJSON bool
	c := &cobra.Command{
		Use:   "predict --models DIR (--runs FILE | --set LABEL=NUMBER,...)",
		Short: "Predicts latency from knobs and rates with a kept model, and says how sure that is",
		Example: `  foresail latency predict --models models --set frontend:cpu=2,frontend:rps=120,cart:cpu=1,cart:rps=80
  foresail latency predict --models models --runs runs.csv --set cart:cpu=0.5`,
		Args: func(c *cobra.Command, args []string) error {
			if err := cli.Needs("models")(c, args); err != nil {
				return err
			}
			if runs == "" && len(sets) == 0 {
				return cli.Usagef("give --set with inputs, or --runs with a CSV file of them")
			}
			return nil
		},
		RunE: func(c *cobra.Command, _ []string) error {
			known, err := numbers(sets)
			if err != nil {
				return err
			}
			g, about, err := k.load()
			if err != nil {
				return err
			}
			rows, notes, err := predict(g, about.Target, runs, known)
			if err != nil {
				return err
			}
			if asJSON {
				res := cli.NewResult("latency-predict", nil, rows)
				res.Detail = map[string]any{"graph": k.graph, "notes": notes}
				return cli.PrintJSON(c.OutOrStdout(), res)
			}
			return printPredicted(c.OutOrStdout(), rows, notes)
		},
	}
	k.flags(c)
	c.Flags().StringVar(&runs, "runs", "", "CSV file of runs: each row is predicted")
	c.Flags().StringSliceVar(&sets, "set", nil, "inputs, in place of what the file says (several: repeat it, or separate by commas)")
	c.Flags().BoolVar(&asJSON, "json", false, "print the result as JSON")
	return c
}

// numbers reads LABEL=NUMBER.
func numbers(sets []string) (map[string]float64, error) {
	out := map[string]float64{}
	var wrong []string
	for _, s := range sets {
		at := strings.LastIndex(s, "=")
		v, err := strconv.ParseFloat(s[at+1:], 64)
		if at < 1 || err != nil || math.IsNaN(v) || math.Abs(v) > 1e100 {
			wrong = append(wrong, fmt.Sprintf("--set %q: give a label, =, and a number, like frontend:cpu=2", s))
			continue
		}
		out[s[:at]] = v
	}
	if wrong != nil {
		return nil, cli.Usagef("%s", strings.Join(wrong, "; "))
	}
	return out, nil
}

func predict(g *latency.Graph, target, runs string, known map[string]float64) (rows []Predicted, notes []string, err error) {
	f, err := g.Compile(target)
	if err != nil {
		return nil, nil, err
	}
	used := map[string]bool{}
	for _, in := range f.Inputs() {
		service, name, _ := strings.Cut(in, ":")
		of, _, _ := strings.Cut(service, "#")
		used[in], used[latency.Label(of, name)] = true, true
	}
	for l := range known {
		if !used[l] {
			return nil, nil, cli.Usagef("--set %s: the graph has no such input; it has %s", l, few(f.Inputs()))
		}
	}
	one := func(row int, of map[string]float64, measured *float64) error {
		x, err := inputs(f, target, of)
		if err != nil {
			return err
		}
		p := f.Moments(x)
		rows = append(rows, Predicted{Row: row, Label: target, Value: cli.Round(1000 * p.Value), Low: cli.Round(1000 * p.Quantile(-1.96)), High: cli.Round(1000 * p.Quantile(1.96)), Measured: measured})
		return nil
	}
	if runs == "" {
		return rows, nil, one(0, known, nil)
	}
	t, notes, err := latencies.ReadRuns(runs)
	if err != nil {
		return nil, nil, err
	}
	y, has := t.Column(target)
	for i := range t.Rows() {
		of := map[string]float64{}
		for _, l := range t.Names() {
			c, _ := t.Column(l)
			of[l] = c[i]
		}
		for l, v := range known {
			of[l] = v
		}
		var measured *float64
		if has {
			v := cli.Round(1000 * y[i])
			measured = &v
		}
		if err := one(i, of, measured); err != nil {
			return nil, nil, fmt.Errorf("%s: %w", runs, err)
		}
	}
	return rows, notes, nil
}

func few(names []string) string {
	const most = 12
	if n := len(names); n > most {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), n-most)
	}
	return strings.Join(names, ", ")
}

func printPredicted(w io.Writer, rows []Predicted, notes []string) error {
	var cells [][]string
	for _, r := range rows {
		cells = append(cells, []string{fmt.Sprint(r.Row), r.Label, fmt.Sprintf("%.2f", r.Value), fmt.Sprintf("%.2f", r.Low), fmt.Sprintf("%.2f", r.High), cli.Opt("%.2f", r.Measured)})
	}
	return errors.Join(cli.Table(w, []string{"row", "of", "ms", "from", "to", "measured"}, cells), printNotes(w, notes))
}

// Off is how far a vertex of a graph is off.
type Off struct {
	Label    string   `json:"label"`
	MAE      float64  `json:"mae_ms"`
	Log      float64  `json:"mae_log"`
	LocalLog *float64 `json:"local_mae_log,omitempty"` // with the callees' true metrics
	Fault    bool     `json:"fault"`                   // the one that debugging names
}

// The ways of debugging.
const (
	byIntervention = "intervention"
	byCorrelation  = "correlation"
)

// NewDebug is foresail latency debug.
func NewDebug() *cobra.Command {
	var k chosen
	var s source
	var runs, by string
	var asJSON bool
	c := &cobra.Command{
		Use:   "debug --models DIR (--runs FILE | --data DIR | --streams FILE -f SERVICES.yaml)",
		Short: "Names the part of a kept model that is at fault for its errors",
		Long: `Holds a graph against recent observations, and follows its errors from what it predicts down to the service whose model is at fault.
By intervention: a vertex that is off with the true metrics of those that it hangs on, too, is at fault; otherwise it goes on to the one
whose truth lowers the error most. By correlation, as Fluxion has it: to the one whose errors vary most alike, for as long as that is
more than chance.`,
		Example: "  foresail latency debug --models models --data history --from 2h",
		Args: func(c *cobra.Command, args []string) error {
			if err := cli.Needs("models")(c, args); err != nil {
				return err
			}
			if by != byIntervention && by != byCorrelation {
				return cli.Usagef("--by %q: there are %s and %s", by, byIntervention, byCorrelation)
			}
			if runs != "" {
				if s.data+s.streams != "" {
					return cli.Usagef("--runs, --data and --streams name places to read from: give one")
				}
				return nil
			}
			return s.check(c)
		},
		RunE: func(c *cobra.Command, _ []string) error {
			g, about, err := k.load()
			if err != nil {
				return err
			}
			s.target = about.Target
			shown := cli.NewProgress(c.ErrOrStderr())
			var t *latency.Table
			var notes []string
			if runs != "" {
				t, notes, err = latencies.ReadRuns(runs)
			} else {
				var rows *Rows
				if rows, err = s.read(c, shown); err == nil {
					t, notes = rows.Table, rows.Notes
					if about.Application != "" && rows.Application != "" && about.Application != rows.Application {
						err = fmt.Errorf("graph %s is of application %q, and what is observed of %q: %w", k.graph, about.Application, rows.Application, repository.ErrOther)
					}
				}
			}
			shown.End()
			if err != nil {
				return err
			}
			rows, way, err := debug(g, about.Target, t, by)
			if err != nil {
				return err
			}
			if asJSON {
				res := cli.NewResult("latency-debug", nil, rows)
				res.Detail = map[string]any{"graph": k.graph, "way": way, "rows": t.Rows(), "notes": notes}
				return cli.PrintJSON(c.OutOrStdout(), res)
			}
			return printOff(c.OutOrStdout(), rows, way, notes)
		},
	}
	k.flags(c)
	c.Flags().StringVar(&runs, "runs", "", "CSV file of runs")
	c.Flags().StringVar(&by, "by", byIntervention, "how the fault is looked for: intervention or correlation")
	c.Flags().BoolVar(&asJSON, "json", false, "print the result as JSON")
	f := c.Flags()
	f.StringVarP(&s.data, "data", "d", "", "directory of a history store")
	f.StringVar(&s.key, "key-file", "", "file with the store's key, or env:NAME, where it is encrypted")
	f.StringVar(&s.r.From, "from", "oldest", "of a history, the start: a time, or how long before the newest snapshot, like 90m")
	f.StringVar(&s.r.To, "to", "0s", "of a history, the end, likewise; 0s: the newest")
	f.DurationVar(&s.r.Step, "step", defaultStep, "of a history, the length of what one row covers")
	f.Float64Var(&s.least, "least", 100, "of a history, the requests that a service must have in a row")
	f.StringVar(&s.streams, "streams", "", "file of JSON lines {stream_uri, type, seq_num, val}, or - for standard input")
	f.StringVarP(&s.file, "file", "f", "", "of streams, which services there are; see docs/formats/latency.md")
	return c
}

// Way is a step of debugging.
type Way struct {
	Label       string   `json:"label"`
	Next        string   `json:"next,omitempty"`
	Correlation *float64 `json:"correlation,omitempty"` // of their errors
	Log         *float64 `json:"mae_log,omitempty"`     // by intervention: the error, that with the truth of next, and that with the truth of all that it hangs on
	After       *float64 `json:"next_true_mae_log,omitempty"`
	Local       *float64 `json:"local_mae_log,omitempty"`
}

func debug(g *latency.Graph, target string, t *latency.Table, by string) (rows []Off, way []Way, err error) {
	f, err := g.Compile(target)
	if err != nil {
		return nil, nil, err
	}
	if t, err = spread(f, t); err != nil {
		return nil, nil, err
	}
	num := func(v float64) *float64 { v = cli.Round(v); return &v }
	var at string
	if by == byCorrelation {
		var steps []latency.Step
		if at, steps, err = g.Debug(target, t); err != nil {
			return nil, nil, err
		}
		for _, s := range steps {
			way = append(way, Way{Label: s.Label, Next: s.Next, Correlation: num(s.Correlation)})
		}
	} else {
		var steps []latency.Blamed
		if at, steps, err = g.Blame(target, t); err != nil {
			return nil, nil, err
		}
		for _, s := range steps {
			w := Way{Label: s.Label, Next: s.Next, Log: num(s.Error), Local: num(s.Local)}
			if s.Next != "" {
				w.After = num(s.After)
			}
			way = append(way, w)
		}
	}
	errs, err := g.Errors(target, t)
	if err != nil {
		return nil, nil, err
	}
	for _, e := range errs {
		o := Off{Label: e.Label, MAE: cli.Round(1000 * e.MAE), Log: cli.Round(e.Log), Fault: e.Label == at}
		if !math.IsNaN(e.LocalLog) {
			o.LocalLog = num(e.LocalLog)
		}
		rows = append(rows, o)
	}
	return rows, way, nil
}

func printOff(w io.Writer, rows []Off, way []Way, notes []string) error {
	var cells [][]string
	fault := ""
	for _, r := range rows {
		if r.Fault {
			fault = r.Label
		}
		cells = append(cells, []string{r.Label, fmt.Sprintf("%.2f", r.MAE), fmt.Sprintf("%.3f", r.Log), cli.Opt("%.3f", r.LocalLog)})
	}
	err := cli.Table(w, []string{"vertex", "mae, ms", "log", "by itself"}, cells)
	for _, s := range way {
		text := ""
		switch {
		case s.Correlation != nil && s.Next != "":
			text = fmt.Sprintf("%s → %s: errors correlate by %.2f\n", s.Label, s.Next, *s.Correlation)
		case s.Next != "":
			text = fmt.Sprintf("%s → %s: it is off by %.3f, by %.3f with the truth of that, by %.3f with the truth of all\n", s.Label, s.Next, *s.Log, *s.After, *s.Local)
		case s.Log != nil:
			text = fmt.Sprintf("%s: it is off by %.3f, by %.3f with the truth of all that it hangs on\n", s.Label, *s.Log, *s.Local)
		}
		_, e := io.WriteString(w, text)
		err = errors.Join(err, e)
	}
	_, e := fmt.Fprintf(w, "at fault: %s\n", fault)
	return errors.Join(err, e, printNotes(w, notes))
}
