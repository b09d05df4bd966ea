package compare

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Results are what an experiment's runs say.
type Results struct {
	Experiment string   `json:"experiment"`
	Note       string   `json:"note,omitempty"`
	Seeds      []uint64 `json:"seeds"`
	Duration   float64  `json:"duration_s"`        // judged, of each run
	Warmup     float64  `json:"warmup_s"`          // before, neither judged nor paid for
	Violations float64  `json:"violations"`        // the share up to which a manager keeps its objectives
	Reference  string   `json:"reference"`         // the manager that Pairs compares with
	Cluster    string   `json:"cluster,omitempty"` // testbed where runs were real processes, one at a time

	Rows    []*Row   `json:"-"`
	Pairs   []Pair   `json:"pairs"`
	Tuned   []Tuned  `json:"tuned,omitempty"`
	Notes   []string `json:"notes,omitempty"` // what a reader must know: runs left out, missing, failed
	Missing int      `json:"runs_missing,omitempty"`

	Runs []*Outcome `json:"-"` // in the experiment's order, those that there are
}

// Pair is the difference between a manager and the reference under the same load, over the seeds that both have: the
// mean of the differences seed by seed, with half the width of its 95 % interval.
type Pair struct {
	Application  string   `json:"application"`
	Load         string   `json:"load"`
	Manager      string   `json:"manager"`
	Guarded      bool     `json:"guarded"`
	Reference    string   `json:"reference"` // "guard(...)" where it is guarded
	Seeds        int      `json:"seeds"`
	Cores        float64  `json:"cores_diff"`
	CoresCI      *float64 `json:"cores_diff_ci95,omitempty"`
	CoresShare   float64  `json:"cores_diff_share"` // of what the reference holds
	Violations   *float64 `json:"violation_diff,omitempty"`
	ViolationsCI *float64 `json:"violation_diff_ci95,omitempty"`
}

// manifest is what an experiment asked for, kept so that its results can be shown again.
type manifest struct {
	Schema     string   `json:"schema"`
	Experiment string   `json:"experiment"`
	Note       string   `json:"note,omitempty"`
	Seeds      []uint64 `json:"seeds"`
	Duration   float64  `json:"duration_s"`
	Warmup     float64  `json:"warmup_s"`
	Violations float64  `json:"violations"`
	Reference  string   `json:"reference"`
	Cluster    string   `json:"cluster,omitempty"`
	Runs       []kept   `json:"runs"`
	Tuned      []Tuned  `json:"tuned,omitempty"`
	Notes      []string `json:"notes,omitempty"`
}

// kept is a run and the key that its outcome is kept under.
type kept struct {
	Key string `json:"key"`
	Run
}

const manifestSchema = "foresail.dev/experiment/v1"

// assemble makes results of a manifest and the outcomes that there are, by key.
func assemble(m *manifest, outcomes map[string]*Outcome) *Results {
	r := &Results{Experiment: m.Experiment, Note: m.Note, Seeds: m.Seeds, Duration: m.Duration, Warmup: m.Warmup,
		Violations: m.Violations, Reference: m.Reference, Cluster: m.Cluster, Tuned: m.Tuned, Notes: slices.Clone(m.Notes)}
	type place struct {
		application, load, manager string
		guarded                    bool
	}
	var order []place
	cells := map[place][]*Outcome{}
	for _, run := range m.Runs {
		o := outcomes[run.Key]
		p := place{run.Application, run.Load, run.Manager, run.Inputs.Guarded}
		if _, there := cells[p]; !there {
			order = append(order, p)
			cells[p] = nil
		}
		if o == nil {
			r.Missing++
			continue
		}
		named := *o
		named.Run = run.Run // kept under another name, perhaps
		cells[p] = append(cells[p], &named)
		r.Runs = append(r.Runs, &named)
	}
	for _, p := range order {
		if len(cells[p]) > 0 {
			r.Rows = append(r.Rows, newRow(cells[p]))
		}
	}
	if r.Missing > 0 {
		r.Notes = append(r.Notes, fmt.Sprintf("%d of %d runs are not made yet", r.Missing, len(m.Runs)))
	}
	r.fallShort()
	r.pair()
	return r
}

// maxShortfalls is how many runs that fell short are named; the rest are counted.
const maxShortfalls = 5

// fallShort notes which real runs were not what was asked for.
func (r *Results) fallShort() {
	n := 0
	for _, o := range r.Runs {
		if len(o.Shortfalls) == 0 {
			continue
		}
		if n++; n <= maxShortfalls {
			r.Notes = append(r.Notes, o.String()+": "+strings.Join(o.Shortfalls, "; "))
		}
	}
	if n > maxShortfalls {
		r.Notes = append(r.Notes, fmt.Sprintf("%d more runs fell short of what was asked for", n-maxShortfalls))
	}
}

// Groups are the rows by application and load, in order.
func (r *Results) Groups() [][]*Row {
	var out [][]*Row
	for _, row := range r.Rows {
		if n := len(out); n > 0 && out[n-1][0].Application == row.Application && out[n-1][0].Load == row.Load {
			out[n-1] = append(out[n-1], row)
			continue
		}
		out = append(out, []*Row{row})
	}
	return out
}

// pair compares each row with the reference's of the same application and load: the bare one where there is one.
func (r *Results) pair() {
	for _, rows := range r.Groups() {
		i := slices.IndexFunc(rows, func(row *Row) bool { return row.Manager == r.Reference })
		if i < 0 {
			continue
		}
		for k, row := range rows {
			if k == i {
				continue
			}
			if p, ok := newPair(row, rows[i]); ok {
				r.Pairs = append(r.Pairs, p)
			}
		}
	}
}

func newPair(row, ref *Row) (Pair, bool) {
	cores, refCores := common(row, ref, func(v seedValues) *float64 { return v.cores })
	if len(cores) == 0 {
		return Pair{}, false
	}
	d := paired(cores, refCores).rounded()
	p := Pair{Application: row.Application, Load: row.Load, Manager: row.Manager, Guarded: row.Guarded,
		Reference: label(ref.Manager, ref.Guarded), Seeds: len(cores), Cores: d.mean, CoresCI: d.half}
	if m := estimated(refCores).mean; m > 0 {
		p.CoresShare = finer(d.mean / m)
	}
	if a, b := common(row, ref, func(v seedValues) *float64 { return v.violations }); len(a) > 0 {
		d := paired(a, b).rounded()
		p.Violations, p.ViolationsCI = &d.mean, d.half
	}
	return p, true
}

// common are two rows' values for the seeds that both have.
func common(a, b *Row, of func(seedValues) *float64) (x, y []float64) {
	var seeds []uint64
	for s, v := range a.bySeed {
		if w, ok := b.bySeed[s]; ok && of(v) != nil && of(w) != nil {
			seeds = append(seeds, s)
		}
	}
	slices.Sort(seeds)
	for _, s := range seeds {
		x, y = append(x, *of(a.bySeed[s])), append(y, *of(b.bySeed[s]))
	}
	return x, y
}

// Keeps reports whether a row's violation share is one that keeps its objectives.
func (r *Results) Keeps(row *Row) bool {
	return row.Violations != nil && *row.Violations <= r.Violations
}

// Cheapest is the row that keeps its objectives with the fewest cores, when its interval against each other that keeps
// them lies apart from zero; nil where none does, or they can't be told apart.
func (r *Results) Cheapest(rows []*Row) *Row {
	return least(rows, func(row *Row) bool { return r.Keeps(row) && row.Cores != nil },
		func(row *Row) float64 { return *row.Cores }, func(v seedValues) *float64 { return v.cores })
}

// Calmest is the row with the fewest violations, in the same way.
func (r *Results) Calmest(rows []*Row) *Row {
	return least(rows, func(row *Row) bool { return row.Violations != nil },
		func(row *Row) float64 { return *row.Violations }, func(v seedValues) *float64 { return v.violations })
}

func least(rows []*Row, counts func(*Row) bool, mean func(*Row) float64, of func(seedValues) *float64) *Row {
	var in []*Row
	for _, row := range rows {
		if counts(row) {
			in = append(in, row)
		}
	}
	if len(in) < 2 {
		return nil
	}
	best := slices.MinFunc(in, func(a, b *Row) int { return cmp.Compare(mean(a), mean(b)) })
	for _, row := range in {
		if row == best {
			continue
		}
		a, b := common(best, row, of)
		if len(a) == 0 || !paired(a, b).below() {
			return nil
		}
	}
	return best
}

// rounded keeps six decimals.
func (e estimate) rounded() estimate {
	e.mean = finer(e.mean)
	if e.half != nil {
		e.half = ptr(finer(*e.half))
	}
	return e
}

// sentence counts things for people.
func sentence(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
