package keeping

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"foresail.dev/appfile"
	"foresail.dev/cmd/foresail/cli"
	"foresail.dev/cmd/foresail/history"
	"foresail.dev/cmd/foresail/latencies/repository"
	"foresail.dev/model/latency/learner"
	"foresail.dev/model/latency/observed"
	"foresail.dev/model/latency/stream"
)

const defaultStep = time.Minute

// learning is how models are learnt, as flags say.
type learning struct {
	evaluations, folds int
	budget             time.Duration
	skill              float64
	seed               uint64
}

func (l *learning) flags(c *cobra.Command) {
	f := c.Flags()
	f.IntVar(&l.evaluations, "evaluations", 2, "sets of hyper-parameters that are tried for each assignment")
	f.IntVar(&l.folds, "folds", 5, "of cross-validation, which chooses them")
	f.DurationVar(&l.budget, "search-budget", 0, "time after which searches end with what they have; 0: none. Results are then not the same every time")
	f.Float64Var(&l.skill, "skill", 0.3, "least share of the median's error that predictions of a metric must save, for callers to be given it")
	f.Uint64Var(&l.seed, "seed", 1, "of searches")
}

func (l *learning) check() error {
	var wrong []string
	say := func(is bool, format string, a ...any) {
		if is {
			wrong = append(wrong, fmt.Sprintf(format, a...))
		}
	}
	say(l.evaluations < 1 || l.evaluations > 10_000, "--evaluations %d: from 1 to 10000 can be", l.evaluations)
	say(l.folds < 2 || l.folds > 100, "--folds %d: from 2 to 100 can be", l.folds)
	say(l.budget < 0, "--search-budget %v: it must not be negative", l.budget)
	say(!(l.skill >= -1 && l.skill < 1), "--skill %v: from -1 to below 1 can be", l.skill)
	if wrong != nil {
		return cli.Usagef("%s", strings.Join(wrong, "; "))
	}
	return nil
}

func (l *learning) config() learner.Config {
	c := learner.Config{Kinds: []learner.Kind{learner.Scaled}, Evaluations: l.evaluations, Folds: l.folds, Seed: l.seed}
	if l.budget > 0 {
		began := time.Now()
		c.Stop = func() bool { return time.Since(began) > l.budget }
	}
	return c
}

// source is where rows come from, as flags say.
type source struct {
	data, key, streams, file, target string
	r                                history.Range
	least                            float64
}

func (s *source) flags(c *cobra.Command) {
	f := c.Flags()
	f.StringVarP(&s.data, "data", "d", "", "directory of a history store")
	f.StringVar(&s.key, "key-file", "", "file with the store's key, or env:NAME, where it is encrypted")
	f.StringVar(&s.r.From, "from", "oldest", `of a history, the start: a time like 2026-03-01T12:00:00Z, or how long before the newest snapshot, like 90m; "oldest": everything`)
	f.StringVar(&s.r.To, "to", "0s", "of a history, the end, likewise; 0s: the newest")
	f.DurationVar(&s.r.Step, "step", defaultStep, "of a history, the length of what one row covers")
	f.StringVar(&s.target, "target", "", "of a history, the service and percentile that are to be predicted, like frontend:0.90; empty: what the first endpoint with an objective is judged by")
	f.Float64Var(&s.least, "least", 100, "of a history, the requests that a service must have in a row")
	f.StringVar(&s.streams, "streams", "", "file of JSON lines {stream_uri, type, seq_num, val}, or - for standard input")
	f.StringVarP(&s.file, "file", "f", "", "of streams, which services there are; see docs/formats/latency.md")
}

func (s *source) check(c *cobra.Command) error {
	var wrong []string
	say := func(is bool, format string, a ...any) {
		if is {
			wrong = append(wrong, fmt.Sprintf(format, a...))
		}
	}
	say(s.data == "" && s.streams == "", "give --data with the directory of a history, or --streams and --file")
	say(s.data != "" && s.streams != "", "--data and --streams name two places to read from: give one")
	say(s.streams != "" && s.file == "", "--streams %s: say with --file which services they are of", s.streams)
	say(s.streams == "" && s.file != "", "--file %s is for --streams", s.file)
	for _, name := range []string{"from", "to", "step", "target", "least", "key-file"} {
		say(s.streams != "" && c.Flags().Changed(name), "--%s is of a history", name)
	}
	say(s.r.Step < time.Second, "--step %v: give a time of at least 1s", s.r.Step)
	say(!(s.least >= 1), "--least %v: at least 1 request is needed for a percentile", s.least)
	if wrong != nil {
		return cli.Usagef("%s; see %q", strings.Join(wrong, "; "), c.CommandPath()+" --help")
	}
	return nil
}

func (s *source) observe() observed.Config {
	cfg := observed.Default()
	cfg.Least = s.least
	return cfg
}

func (s *source) read(c *cobra.Command, shown *cli.Progress) (rows *Rows, err error) {
	if s.streams != "" {
		var f Format
		if err := appfile.ReadFile(s.file, &f); err != nil {
			return nil, cli.Usage(err)
		}
		shown.At(-1, "reading "+s.streams)
		return FromStreams(s.streams, c.InOrStdin(), &f)
	}
	h, err := history.Open(s.data, s.key, c.ErrOrStderr())
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, h.Close()) }()
	return FromHistory(c.Context(), h, &s.r, s.data, s.target, s.observe(), func(at time.Time) { shown.At(-1, "at "+at.Format(time.DateTime)) })
}

// NewFit is foresail latency fit.
func NewFit() *cobra.Command {
	var s source
	var l learning
	var models string
	var asJSON, follow bool
	c := &cobra.Command{
		Use:   "fit --models DIR (--data DIR | --streams FILE -f SERVICES.yaml)",
		Short: "Learns models of latency from a history or from streams, and keeps them",
		Long: `Learns a model of each percentile of each service, composes them to a graph that predicts latency from knobs and rates, and keeps
both in a repository of models. Rows come from a history, with who calls whom, or from streams of JSON lines that are joined by
their numbers. With --follow, the history is replayed: the graph follows as services are scaled and released, and only what
changed is learnt anew. See docs/formats/latency.md.`,
		Example: `  foresail latency fit --models models --data history --target frontend:0.90
  foresail latency fit --models models --data history --follow
  foresail latency fit --models models --streams values.jsonl -f services.yaml`,
		Args: func(c *cobra.Command, args []string) error {
			if err := cli.Needs("models")(c, args); err != nil {
				return err
			}
			if follow && s.data == "" {
				return cli.Usagef("--follow is of a history: give --data")
			}
			return errors.Join(s.check(c), l.check())
		},
		RunE: func(c *cobra.Command, _ []string) error {
			shown := cli.NewProgress(c.ErrOrStderr())
			defer shown.End()
			into, err := repository.Open(models)
			if err != nil {
				return cli.Usage(err)
			}
			if follow {
				return s.follow(c, &l, into, asJSON, shown)
			}
			rows, err := s.read(c, shown)
			if err != nil {
				return err
			}
			shown.At(-1, fmt.Sprintf("learning from %d rows", rows.Table.Rows()))
			_, id, vertices, err := Learn(rows, l.config(), l.skill, into)
			shown.End()
			if err != nil {
				return err
			}
			d := Learnt{Graph: id, Application: rows.Application, Target: rows.Target, Rows: rows.Table.Rows(), Notes: rows.Notes}
			d.Streams = rows.Report
			if asJSON {
				res := cli.NewResult("latency-fit", &l.seed, vertices)
				res.Detail = d
				return cli.PrintJSON(c.OutOrStdout(), res)
			}
			return d.print(c.OutOrStdout(), vertices)
		},
	}
	c.Flags().StringVar(&models, "models", "", "directory of the repository of models")
	c.Flags().BoolVar(&follow, "follow", false, "replay the history, and learn anew what changes")
	c.Flags().BoolVar(&asJSON, "json", false, "print the result as JSON")
	s.flags(c)
	l.flags(c)
	return c
}

// Learnt is what fit did, besides its vertices.
type Learnt struct {
	Graph       string         `json:"graph"`
	Application string         `json:"application,omitempty"`
	Target      string         `json:"target"`
	Rows        int            `json:"rows"`
	Streams     *stream.Report `json:"streams,omitempty"`
	Notes       []string       `json:"notes,omitempty"`
}

func (d *Learnt) print(w io.Writer, vertices []Vertex) error {
	var cells [][]string
	for _, v := range vertices {
		used := "yes"
		if !v.Used {
			used = "no"
		}
		cells = append(cells, []string{v.Label, fmt.Sprint(v.Inputs), v.Learner, fmt.Sprintf("%.2f", v.MAE), fmt.Sprintf("%.2f", v.Skill), used})
	}
	if err := cli.Table(w, []string{"assignment", "inputs", "learner", "mae, ms", "skill", "used"}, cells); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "graph %s predicts %s, learnt from %d rows\n", d.Graph, d.Target, d.Rows)
	return errors.Join(err, printNotes(w, d.Notes))
}

func printNotes(w io.Writer, notes []string) error {
	for _, n := range notes {
		if _, err := fmt.Fprintln(w, strings.Map(cli.Printable, n)); err != nil {
			return err
		}
	}
	return nil
}
