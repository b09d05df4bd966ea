package compare

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
)

// Run makes every run of an experiment that is not kept, stage by stage: the trials of tuning, training, and the runs
// that are reported. It returns what they say. When ctx is done before the last run, the error is ErrStopped; what was
// made is kept, and Run goes on from there with the same options. An error of keeping a run ends the experiment too.
func (g *Grid) Run(ctx context.Context, o Options) (*Results, error) {
	if g.exp.real() {
		if o.Start == nil {
			return nil, errors.New("cluster is testbed, and nothing is given that starts processes")
		}
		o.Workers = 1 // two at once would disturb each other
	} else {
		o.Start = nil
	}
	s, err := openStore(o.Dir)
	if err != nil {
		return nil, err
	}
	defer s.close()
	r := newRunner(o, g.exp.DecisionLimit, s)
	r.exec.took = g.took
	m := g.manifest()
	searches := g.searches()
	tried := trialJobs(searches)
	reported := g.reported(func(_ string, c contender) map[string]float64 { return c.Settings })
	for _, jobs := range [][]*job{training(tried), tried, training(reported), reported} { // as many whatever is found
		r.expect(jobs)
	}
	if len(searches) > 0 {
		if err := r.stage(ctx, tried); err != nil {
			return nil, err
		}
		for i := range searches {
			m.Tuned = append(m.Tuned, searches[i].choose(r.outcomes, float64(g.exp.Violations)))
		}
		reported = g.reported(m.settings)
	}
	for _, j := range reported {
		m.Runs = append(m.Runs, kept{j.Inputs.key(), j.Run})
	}
	notes, err := s.leftOut(m, r.outcomes)
	if err != nil {
		return nil, err
	}
	m.Notes = append(m.Notes, notes...)
	if err := s.write(manifestName, m); err != nil {
		return nil, err
	}
	if o.Told != nil {
		for _, n := range notes {
			o.Told(n)
		}
	}
	if err := r.stage(ctx, reported); err != nil {
		return nil, err
	}
	return assemble(m, r.outcomes), nil
}

// Show is what the runs kept in a folder say, all that there are.
func Show(dir string) (*Results, error) {
	b, err := os.ReadFile(filepath.Join(dir, manifestName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s holds no experiment: give the folder that compare --out wrote", dir)
	}
	if err != nil {
		return nil, err
	}
	m := &manifest{}
	if err := json.Unmarshal(b, m); err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Join(dir, manifestName), err)
	}
	if m.Schema != manifestSchema {
		return nil, fmt.Errorf("%s: is of schema %q, not %s: run the experiment again", filepath.Join(dir, manifestName), m.Schema, manifestSchema)
	}
	s := &store{dir: dir}
	outcomes := map[string]*Outcome{}
	for _, run := range m.Runs {
		o, err := s.load(run.Key)
		if err != nil {
			return nil, err
		}
		if o != nil {
			outcomes[run.Key] = o
		}
	}
	return assemble(m, outcomes), nil
}

// stage trains what jobs need to have learnt, then makes them.
func (r *runner) stage(ctx context.Context, jobs []*job) error {
	if err := r.run(ctx, training(jobs)); err != nil {
		return err
	}
	for _, j := range jobs {
		if in, ok := j.Inputs.training(); ok {
			learnt := r.outcomes[in.key()]
			j.state, j.untrained = learnt.State, learnt.Failed
		}
	}
	return r.run(ctx, jobs)
}

func trialJobs(searches []search) (out []*job) {
	for _, s := range searches {
		for _, jobs := range s.jobs {
			out = append(out, jobs...)
		}
	}
	return out
}

func (g *Grid) manifest() *manifest {
	e := g.exp
	return &manifest{Schema: manifestSchema, Experiment: e.Name, Note: e.Note, Seeds: e.Seeds, Duration: e.Duration.Seconds(),
		Warmup: e.Warmup.Seconds(), Violations: float64(e.Violations), Reference: e.Reference, Cluster: inReal(e.real())}
}

// inReal is the name that results and inputs have for where runs are made: none in simulated time.
func inReal(real bool) string {
	if real {
		return realCluster
	}
	return ""
}

// settings are those that were found for a manager in an application, or that the experiment gives.
func (m *manifest) settings(application string, c contender) map[string]float64 {
	for _, t := range m.Tuned {
		if t.Application == application && t.Manager == c.Label() && t.Guarded == c.guarded {
			return t.Settings
		}
	}
	return c.Settings
}

// leftOut says which kept runs are not used, though they are of what the experiment names: their inputs have changed.
func (s *store) leftOut(m *manifest, used map[string]*Outcome) ([]string, error) {
	type name struct {
		application, load, manager string
		guarded                    bool
		seed                       uint64
	}
	of := func(r *Run) name { return name{r.Application, r.Load, r.Manager, r.Inputs.Guarded, r.Inputs.Seed} }
	wanted, now := map[string]bool{}, map[name]*Run{}
	for i := range m.Runs {
		r := &m.Runs[i].Run
		wanted[m.Runs[i].Key], now[of(r)] = true, r
	}
	for key := range used {
		wanted[key] = true
	}
	others, err := s.others(wanted)
	if err != nil {
		return nil, err
	}
	counts := map[string]int{}
	for _, o := range others {
		if r := now[of(&o.Run)]; r != nil && o.Inputs.Kind == report {
			counts[changed(&o.Run, r)]++
		}
	}
	var notes []string
	for _, why := range slices.Sorted(maps.Keys(counts)) {
		notes = append(notes, fmt.Sprintf("%s of older inputs left out: %s", sentence(counts[why], "kept run", "kept runs"), why))
	}
	return notes, nil
}

// changed says what of a run's inputs is not what it was: the first that is found.
func changed(was, is *Run) string {
	a, b := was.Inputs, is.Inputs
	switch {
	case a.Application != b.Application:
		return "application " + is.Application + " changed since"
	case a.Load != b.Load:
		return "load " + is.Load + " of " + is.Application + " changed since"
	case a.Nodes != b.Nodes:
		return "nodes changed since"
	case a.Faults != b.Faults:
		return "the faults of load " + is.Load + " changed since"
	case a.Model != b.Model || a.Foresight != b.Foresight:
		return "the model of " + label(is.Manager, b.Guarded) + " changed since"
	case a.Manager != b.Manager || hashOf(a.Acts) != hashOf(b.Acts) || !maps.Equal(a.Settings, b.Settings) || a.Baseline != b.Baseline:
		return "the settings of " + label(is.Manager, b.Guarded) + " changed since"
	}
	return "durations or training changed since"
}
