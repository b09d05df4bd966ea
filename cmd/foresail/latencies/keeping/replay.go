package keeping

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"foresail.dev"
	"foresail.dev/cmd/foresail/cli"
	"foresail.dev/cmd/foresail/history"
	"foresail.dev/cmd/foresail/latencies/repository"
	"foresail.dev/model/latency"
	"foresail.dev/model/latency/follow"
)

// Change is something that happened to a graph that follows an application.
type Change struct {
	At      time.Time `json:"at"`
	Service string    `json:"service,omitempty"`
	What    string    `json:"what"`
	Trained int       `json:"trained"`         // assignments
	Graph   string    `json:"graph,omitempty"` // its id from then on, where models are others
	Text    string    `json:"text"`
}

// Followed is what replaying a history did, besides its changes.
type Followed struct {
	Graph       string         `json:"graph"`
	Application string         `json:"application"`
	Target      string         `json:"target"`
	Snapshots   int            `json:"snapshots"`
	Assignments int            `json:"assignments"`
	Trainings   map[string]int `json:"trainings"`
	Waiting     int            `json:"waiting,omitempty"`
	Notes       []string       `json:"notes,omitempty"`
}

// follow replays a history.
func (s *source) follow(c *cobra.Command, l *learning, into *repository.Repository, asJSON bool, shown *cli.Progress) (err error) {
	h, err := history.Open(s.data, s.key, c.ErrOrStderr())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.Close()) }()
	app := h.App()
	if app == nil {
		return fmt.Errorf("%s: nothing was recorded in it yet", s.data)
	}
	all, err := s.r.Snapshots(c.Context(), h)
	if err != nil {
		return err
	}
	cfg := follow.Default()
	cfg.Target, cfg.Observed, cfg.Learn, cfg.Skill, cfg.Source = s.target, s.observe(), l.config(), l.skill, s.data
	if cfg.Target == "" {
		cfg.Target = Target(app)
	}
	if _, metric, ok := strings.Cut(cfg.Target, ":"); ok && !slices.Contains(cfg.Observed.Metrics, metric) {
		cfg.Observed.Metrics = append(cfg.Observed.Metrics, metric)
	}
	f, err := follow.New(cfg)
	if err != nil {
		return cli.Usage(err)
	}
	d := Followed{Application: app.Name, Target: cfg.Target}
	changes := []Change{}
	for sn, err := range all {
		if err != nil {
			return err
		}
		shown.At(-1, "at "+sn.End.Format(time.DateTime))
		d.Snapshots++
		events, err := f.Step(app, sn)
		if err != nil && len(d.Notes) < 8 {
			d.Notes = append(d.Notes, fmt.Sprintf("at %s: %v", sn.End.Format(time.RFC3339), err))
		}
		more, err := keep(f, events, app, s.data, sn.End, l.seed, cfg.Target, into)
		if err != nil {
			return err
		}
		changes = append(changes, more...)
	}
	g := f.Graph()
	if g == nil {
		return fmt.Errorf("%s: %d snapshots of %v are too few for a first graph of %s, which takes %d with enough requests of all services%s", s.data, d.Snapshots, s.r.Step, cfg.Target, cfg.First, told(d.Notes))
	}
	for _, ch := range changes {
		if ch.Graph != "" {
			d.Graph = ch.Graph
		}
	}
	d.Assignments, d.Trainings, d.Waiting = len(g.Labels()), f.Trainings(), f.Waiting()
	shown.End()
	if asJSON {
		res := cli.NewResult("latency-follow", &l.seed, changes)
		res.Detail = d
		return cli.PrintJSON(c.OutOrStdout(), res)
	}
	return d.print(c.OutOrStdout(), changes)
}

// keep puts a graph that changed into a repository.
func keep(f *follow.Follower, events []follow.Event, app *foresail.App, source string, now time.Time, seed uint64, target string, into *repository.Repository) (out []Change, err error) {
	for i, e := range events {
		ch := Change{At: e.At, Service: e.Service, What: string(e.What), Trained: len(e.Trained), Text: e.Text}
		if g := f.Graph(); i == len(events)-1 && g != nil {
			about := repository.About{Application: app.Name, Target: target, Source: source, To: now, Seed: seed, Commit: cli.Commit(), Releases: map[string]string{}}
			for _, l := range g.Labels() {
				a := g.Assignment(l)
				t := a.Trained(a.Models() - 1)
				if about.From.IsZero() || t.From.Before(about.From) {
					about.From = t.From
				}
				if l == target {
					about.Error = t.Error
				}
				if t.Release != "" {
					service, _, _ := strings.Cut(l, ":")
					about.Releases[service] = t.Release
				}
			}
			if ch.Graph, _, err = into.Put(g, about); err != nil {
				return nil, err
			}
		}
		out = append(out, ch)
	}
	return out, nil
}

func (d *Followed) print(w io.Writer, changes []Change) error {
	var cells [][]string
	for _, ch := range changes {
		cells = append(cells, []string{ch.At.Format(time.DateTime), ch.Service, ch.What, fmt.Sprint(ch.Trained), ch.Graph, ch.Text})
	}
	if err := cli.Table(w, []string{"at", "service", "what", "trained", "graph", ""}, cells); err != nil {
		return err
	}
	trained := 0
	for _, n := range d.Trainings {
		trained += n
	}
	_, err := fmt.Fprintf(w, "graph %s predicts %s: %d assignments, %d trainings in %d snapshots\n", d.Graph, d.Target, d.Assignments, trained, d.Snapshots)
	return errors.Join(err, printNotes(w, d.Notes))
}

// inputs is a row of a graph's inputs, from labels that are known.
func inputs(f *latency.Inference, target string, known map[string]float64) ([]float64, error) {
	missing := &latency.MissingError{Who: target, Why: "give them with --set, or in a file of --runs; of a service with several instances, one without # is for all of them"}
	row := make([]float64, len(f.Inputs()))
	for i, in := range f.Inputs() {
		v, ok := known[in]
		if !ok {
			if service, name, _ := strings.Cut(in, ":"); strings.Contains(service, "#") {
				of, _, _ := strings.Cut(service, "#")
				v, ok = known[latency.Label(of, name)]
			}
		}
		if !ok {
			missing.Inputs = append(missing.Inputs, in)
		}
		row[i] = v
	}
	if missing.Inputs != nil {
		return nil, missing
	}
	return row, nil
}

// spread gives each instance what a table says of its service as a whole, where it says nothing of instances.
func spread(f *latency.Inference, t *latency.Table) (*latency.Table, error) {
	for _, in := range f.Inputs() {
		service, name, _ := strings.Cut(in, ":")
		of, _, several := strings.Cut(service, "#")
		if !several || t.Has(in) {
			continue
		}
		if c, ok := t.Column(latency.Label(of, name)); ok {
			var err error
			if t, err = t.With(in, c); err != nil {
				return nil, err
			}
		}
	}
	return t, nil
}
