// Package follow keeps an inference graph in step with what runs: it is shown one snapshot after the other, and where a service is
// scaled, released or given other knobs, that service's part of the graph changes, and nothing else does (Fluxion, §3.2.1, §4.1.2).
package follow

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"foresail.dev"
	"foresail.dev/model/latency"
	"foresail.dev/model/latency/compose"
	"foresail.dev/model/latency/learner"
	"foresail.dev/model/latency/observed"
	"foresail.dev/model/latency/stream"
)

// Config says how a Follower learns. Start from Default.
type Config struct {
	Target    string // service and percentile, like frontend:0.90
	Source    string // of snapshots, for what is told of models
	Observed  observed.Config
	Learn     learner.Config
	Skill     float64 // see compose.Config
	First     int     // rows from which the first graph is learnt; all of its assignments are then, at once
	Again     int     // rows after a change from which what changed is learnt anew
	Trainings int     // of assignments in one Step at most, but for the first graph
	Rows      int     // that are kept
}

// Default is a Config without a target.
func Default() Config {
	return Config{Observed: observed.Default(), Learn: learner.Config{Kinds: []learner.Kind{learner.Scaled}, Evaluations: 2, Folds: 5}, Skill: 0.3, First: 60, Again: 15, Trainings: 2, Rows: 5000}
}

// Check reports all that is wrong.
func (c *Config) Check() error {
	faults := []error{c.Learn.Check()}
	check := func(ok bool, format string, args ...any) {
		if !ok {
			faults = append(faults, fmt.Errorf(format, args...))
		}
	}
	service, metric, _ := strings.Cut(c.Target, ":")
	_, ok := observed.Percentile(metric)
	check(service != "" && ok, "the target is %q: it must be a service's name, a colon and a percentile, as in frontend:0.90", c.Target)
	check(!ok || slices.Contains(c.Observed.Metrics, metric), "the target is of the percentile %s, which is not observed: %s", metric, strings.Join(c.Observed.Metrics, ", "))
	check(c.First >= 10, "first is %d, must be at least 10", c.First)
	check(c.Again >= 5, "again is %d, must be at least 5", c.Again)
	check(c.Trainings >= 1, "trainings is %d, must be at least 1", c.Trainings)
	check(c.Rows >= c.First && c.Rows >= c.Again, "%d rows are kept, which is less than are learnt from", c.Rows)
	check(c.Skill < 1, "skill is %v, must be below 1", c.Skill)
	return errors.Join(faults...)
}

// What is what became of a service in the graph.
type What string

// All there is.
const (
	Composed   What = "composed"   // the graph was learnt
	Scaled     What = "scaled"     // its instances are others now; nothing was learnt
	Aggregated What = "aggregated" // its service-vertices were learnt, or found to be no better than the mean
	Released   What = "released"   // all of its replicas are others than before: another release, or all were started anew
	Changed    What = "changed"    // its knobs are others
	Replaced   What = "replaced"   // its assignments were learnt anew
	Kept       What = "kept"       // they were, and those before are better
	Unseen     What = "unseen"     // what is needed to learn it anew was not observed, for long
)

// Event is something that happened to the graph.
type Event struct {
	At      time.Time
	Service string
	What    What
	Trained []string // labels of assignments that were trained for it
	Text    string
}

// Follower follows one application. It must not be used by several goroutines at once; the graphs that it gave may be read by any.
type Follower struct {
	cfg       Config
	joiner    *stream.Joiner
	calls     observed.Calls
	services  []compose.Service // of the graph
	states    map[string]*state
	graph     *latency.Graph
	rows      int // snapshots so far
	trainings map[string]int
	work      []*job
	failed    int // rows at which composing failed last
}

// state is what was seen last of a service, when it was steady.
type state struct {
	instances int
	knobs     []string
	names     []string // of its replicas since it was scaled last, or released
}

// New follows nothing yet.
func New(cfg Config) (*Follower, error) {
	if err := cfg.Check(); err != nil {
		return nil, err
	}
	return &Follower{cfg: cfg, joiner: stream.New(stream.Config{Open: 1, Rows: cfg.Rows}), states: map[string]*state{}, trainings: map[string]int{}}, nil
}

// Graph is the graph as it is; nil: there is none yet. It does not change: the next one is another.
func (f *Follower) Graph() *latency.Graph { return f.graph }

// Services are those of the graph.
func (f *Follower) Services() []compose.Service { return f.services }

// Trainings is how often each assignment was trained, by label; a service-vertex has its label and " of instances".
func (f *Follower) Trainings() map[string]int { return maps.Clone(f.trainings) }

// Waiting is how many services wait to be learnt anew.
func (f *Follower) Waiting() int { return len(f.work) }

// Step shows the next snapshot, and says what that changes. At most Config.Trainings assignments are trained, but when the graph is learnt
// for the first time. An error leaves the graph as it was, and the next Step goes on.
func (f *Follower) Step(app *foresail.App, s *foresail.Snapshot) ([]Event, error) {
	if s.Stale {
		return nil, nil
	}
	f.rows++
	for _, v := range observed.Values(app, s, f.cfg.Observed) {
		if err := f.joiner.Add(v); err != nil && !errors.Is(err, stream.ErrLate) && !errors.Is(err, stream.ErrDuplicate) {
			return nil, fmt.Errorf("the snapshot until %s: %w", s.End.Format(time.RFC3339), err)
		}
	}
	events := f.look(app, s)
	if f.graph == nil {
		f.calls.Add(s)
		e, err := f.compose(app, s)
		return append(events, e...), err
	}
	e, err := f.learn(s)
	return append(events, e...), err
}

// compose learns the first graph, when there are rows enough.
func (f *Follower) compose(app *foresail.App, s *foresail.Snapshot) ([]Event, error) {
	if f.rows < f.cfg.First || f.failed > 0 && f.rows < f.failed+f.cfg.Again {
		return nil, nil
	}
	knobs := map[string][]string{}
	for service, st := range f.states {
		knobs[service] = st.knobs
	}
	services, notes, err := f.calls.Services(app, knobs, f.cfg.Observed, f.cfg.Target)
	if err != nil {
		return nil, err
	}
	t, seqs, err := f.table(labelsOf(services, f.cfg.Target), 0)
	if err != nil || len(seqs) < f.cfg.First {
		return nil, err
	}
	cfg := compose.Default()
	cfg.Services, cfg.Target, cfg.Learn, cfg.Skill, cfg.Demand = services, f.cfg.Target, f.cfg.Learn, f.cfg.Skill, false
	g, vertices, err := compose.Fit(cfg, t)
	if err != nil {
		f.failed = f.rows
		return nil, fmt.Errorf("composing the graph: %w", err)
	}
	e := Event{At: s.End, What: Composed, Text: strings.Join(append([]string{fmt.Sprintf("the graph of %s, from %d rows", f.cfg.Target, len(seqs))}, notes...), "; ")}
	for _, v := range vertices {
		f.trainings[v.Label]++
		e.Trained = append(e.Trained, v.Label)
		if !v.Used {
			continue
		}
		a := g.Assignment(v.Label).Clone()
		a.Describe(f.cfg.Source, "", time.Unix(seqs[0], 0), s.End)
		if err := g.Replace(a); err != nil {
			return nil, err
		}
	}
	f.services, f.graph = services, g
	events := []Event{e}
	for i := range services {
		if n := f.states[services[i].Name].instances; n > 1 {
			events = append(events, f.scale(s, services[i].Name, n)...)
		}
	}
	return events, nil
}

// table is the rows from a number on that have all labels.
func (f *Follower) table(labels []string, since int64) (*latency.Table, []int64, error) {
	t, seqs, _, err := f.joiner.Table(labels)
	if err != nil {
		return nil, nil, err
	}
	first, _ := slices.BinarySearch(seqs, since)
	var rows []int
	for i := first; i < len(seqs); i++ {
		rows = append(rows, i)
	}
	return t.Pick(rows), seqs[first:], nil
}

// labelsOf are all that services are learnt from.
func labelsOf(services []compose.Service, target string) []string {
	out := []string{target}
	for i := range services {
		s := &services[i]
		out = append(out, slices.Concat(s.Knobs, s.States)...)
		for _, m := range s.Metrics {
			out = append(out, latency.Label(s.Name, m))
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
