package tuning

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"

	"foresail.dev/cmd/foresail/cli"
	"foresail.dev/model/tune"
)

// Row is one trial.
type Row struct {
	Seed      uint64       `json:"seed"`
	Phase     string       `json:"phase"`
	Method    string       `json:"method,omitempty"`
	Optimiser string       `json:"optimiser,omitempty"`
	Trial     int          `json:"trial"`
	Why       string       `json:"why,omitempty"`
	Knobs     string       `json:"knobs"`
	Cost      float64      `json:"cost"`
	Predicted *float64     `json:"predicted_ms,omitempty"`
	Measured  *float64     `json:"measured_ms,omitempty"`
	Slack     *float64     `json:"slack,omitempty"`
	Met       bool         `json:"met"`
	Verdict   tune.Verdict `json:"verdict"`
	Reason    string       `json:"reason,omitempty"`
}

// Detail is what the trials come to.
type Detail struct {
	Application string     `json:"application"`
	Cluster     string     `json:"cluster"`
	Endpoint    string     `json:"endpoint"`
	Percentile  float64    `json:"percentile"`
	Found       []Found    `json:"found"`
	Compared    []Compared `json:"compared,omitempty"`
	Trials      string     `json:"trials_file"`
	Notes       []string   `json:"notes,omitempty"`
}

// Found is what one method found with one seed. Times are geometric means over the measurements made at the end.
type Found struct {
	Method     string            `json:"method"`
	Optimiser  string            `json:"optimiser,omitempty"`
	Seed       uint64            `json:"seed"`
	Trials     int               `json:"trials"`
	Violations int               `json:"violations"` // trials that were not fine
	Trial      *int              `json:"trial,omitempty"`
	Default    *float64          `json:"default_ms,omitempty"`
	Best       *float64          `json:"best_ms,omitempty"`
	DefaultMet bool              `json:"default_met"`
	BestMet    bool              `json:"best_met"` // in every measurement at the end
	Cost0      float64           `json:"default_cost"`
	Cost       *float64          `json:"best_cost,omitempty"`
	Speedup    *float64          `json:"speedup,omitempty"`
	Low        *float64          `json:"speedup_ci95_low,omitempty"`
	High       *float64          `json:"speedup_ci95_high,omitempty"`
	Error      *float64          `json:"prediction_error_log,omitempty"` // mean size, of what was predicted of its own trials
	Setting    map[string]string `json:"setting,omitempty"`
	Matter     []Matter          `json:"matter,omitempty"`
}

// Matter is a knob that matters: how many times as large as the smallest the largest latency is that the model predicts while it
// alone goes through its range.
type Matter struct {
	Knob  string  `json:"knob"`
	Ratio float64 `json:"ratio"`
}

// Compared is by how much the latency of the first method is below another's with the same optimiser, over seeds.
type Compared struct {
	Method    string   `json:"method"`
	Over      string   `json:"over"`
	Optimiser string   `json:"optimiser,omitempty"`
	Seeds     int      `json:"seeds"`
	Speedup   float64  `json:"speedup"`
	Low       *float64 `json:"speedup_ci95_low,omitempty"`
	High      *float64 `json:"speedup_ci95_high,omitempty"`
}

// mostMatter is how many knobs are told.
const mostMatter = 8

func (s *session) result(file string) ([]Row, Detail) {
	rows := []Row{}
	for _, r := range s.rows {
		rows = append(rows, Row{r.Seed, r.Phase, r.Method, r.Optimiser, r.Trial, r.Why, flat(r.Setting), r.Cost, r.Predicted, r.Measured, r.Slack,
			r.Verdict == tune.Fine, r.Verdict, r.Reason})
	}
	f := &s.job.File
	d := Detail{Application: s.job.Blueprint.App.Name, Cluster: f.Cluster, Endpoint: f.Objective.Endpoint, Percentile: f.Objective.Percentile,
		Found: []Found{}, Trials: file, Notes: s.notes}
	for i := range s.found {
		d.Found = append(d.Found, s.describe(&s.found[i]))
	}
	d.Compared = compared(d.Found)
	return rows, d
}

// flat is a setting in one line.
func flat(setting map[string]string) string {
	var out []string
	for k, v := range setting {
		out = append(out, k+"="+v)
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

// logs are the logarithms of what was measured; nil: something could not be.
func logs(all []Record) (out []float64, met bool) {
	met = true
	for _, r := range all {
		met = met && r.Verdict == tune.Fine
		if r.Measured == nil {
			return nil, false
		}
		out = append(out, math.Log(*r.Measured))
	}
	return out, met
}

func (s *session) describe(f *found) Found {
	out := Found{Method: f.method, Optimiser: f.optimiser, Seed: f.seed, Trials: len(f.trials), Cost0: cli.Round(s.job.Space.Cost(s.job.Space.Default()))}
	for i := range f.trials {
		if f.trials[i].Verdict != tune.Fine {
			out.Violations++
		}
	}
	out.Error = s.missed(f)
	before, met := logs(f.reference)
	if out.DefaultMet = met; before != nil {
		out.Default = exp(stat.Mean(before, nil))
	}
	if f.best < 0 {
		return out
	}
	v := f.trials[f.best].Setting
	out.Trial, out.Setting, out.Cost = &f.best, s.job.Texts(v), rounded(s.job.Space.Cost(v))
	after, met := logs(f.confirmed)
	if out.BestMet = met; after != nil {
		out.Best = exp(stat.Mean(after, nil))
	}
	if before != nil && after != nil {
		out.Speedup, out.Low, out.High = ratio(before, after)
	}
	effects, err := s.config([2]string{f.method, f.optimiser}, f.seed).Effects(f.trials, v)
	if err != nil {
		s.notes = append(s.notes, fmt.Sprintf("which knobs matter is not known of %s: %v", f.method, err))
	}
	for _, e := range effects[:min(len(effects), mostMatter)] {
		out.Matter = append(out.Matter, Matter{s.job.Space.Knobs[e.Knob].Label, cli.Round(e.Ratio)})
	}
	return out
}

// missed is the mean size of the logarithm of predicted over measured, in a method's own trials.
func (s *session) missed(f *found) *float64 {
	sum, n := 0.0, 0.0
	for _, r := range s.rows {
		if r.Method == f.method && r.Optimiser == f.optimiser && r.Seed == f.seed && r.Predicted != nil && r.Measured != nil && r.Verdict != tune.Broken {
			sum += math.Abs(math.Log(*r.Predicted / *r.Measured))
			n++
		}
	}
	if n == 0 {
		return nil
	}
	return rounded(sum / n)
}

func exp(v float64) *float64 { return rounded(math.Exp(v)) }

// ratio is the geometric mean of a over b, pair by pair, with its 95 % interval (Student's) where there are several pairs.
func ratio(a, b []float64) (mean, low, high *float64) {
	d := make([]float64, len(a))
	for i := range a {
		d[i] = a[i] - b[i]
	}
	m, dev := stat.MeanStdDev(d, nil)
	if len(d) < 2 {
		return exp(m), nil, nil
	}
	half := distuv.StudentsT{Nu: float64(len(d) - 1), Sigma: 1}.Quantile(0.975) * dev / math.Sqrt(float64(len(d)))
	return exp(m), exp(m - half), exp(m + half)
}

// compared holds the first method against each other one, over the seeds in which both found something.
func compared(all []Found) (out []Compared) {
	if len(all) == 0 {
		return nil
	}
	first := all[0].Method
	type pair struct{ over, optimiser string }
	var order []pair
	mine, theirs := map[pair][]float64{}, map[pair][]float64{}
	for i := range all {
		a := &all[i]
		for k := range all {
			b := &all[k]
			if a.Method != first || b.Method == first || a.Seed != b.Seed || b.Optimiser != "" && a.Optimiser != b.Optimiser || a.Best == nil || b.Best == nil {
				continue
			}
			p := pair{b.Method, a.Optimiser}
			if !slices.Contains(order, p) {
				order = append(order, p)
			}
			mine[p], theirs[p] = append(mine[p], math.Log(*a.Best)), append(theirs[p], math.Log(*b.Best))
		}
	}
	for _, p := range order {
		c := Compared{Method: first, Over: p.over, Optimiser: p.optimiser, Seeds: len(mine[p])}
		mean, low, high := ratio(theirs[p], mine[p])
		c.Speedup, c.Low, c.High = *mean, low, high
		out = append(out, c)
	}
	return out
}

var head1 = []string{"method", "optimiser", "seed", "trials", "not fine", "default ms", "best ms", "speed-up", "from", "to", "default cost", "best cost", "trial", "met"}

// print writes tables for people.
func (d *Detail) print(out io.Writer) error {
	var cells [][]string
	for _, f := range d.Found {
		cells = append(cells, []string{f.Method, f.Optimiser, fmt.Sprint(f.Seed), fmt.Sprint(f.Trials), fmt.Sprint(f.Violations), cli.Opt("%.2f", f.Default), cli.Opt("%.2f", f.Best),
			cli.Opt("%.3f", f.Speedup), cli.Opt("%.3f", f.Low), cli.Opt("%.3f", f.High), fmt.Sprintf("%.2f", f.Cost0), cli.Opt("%.2f", f.Cost), cli.Opt("%d", f.Trial), fmt.Sprint(f.BestMet)})
	}
	if _, err := fmt.Fprintf(out, "p%g of %s in %s (%s)\n\n", d.Percentile, d.Endpoint, d.Application, d.Cluster); err != nil {
		return err
	}
	if err := cli.Table(out, head1, cells); err != nil {
		return err
	}
	if len(d.Compared) > 0 {
		cells = nil
		for _, c := range d.Compared {
			cells = append(cells, []string{c.Method, c.Over, c.Optimiser, fmt.Sprint(c.Seeds), fmt.Sprintf("%.3f", c.Speedup), cli.Opt("%.3f", c.Low), cli.Opt("%.3f", c.High)})
		}
		fmt.Fprintln(out)
		if err := cli.Table(out, []string{"method", "over", "optimiser", "seeds", "speed-up", "from", "to"}, cells); err != nil {
			return err
		}
	}
	if len(d.Found) == 1 {
		if err := d.Found[0].print(out); err != nil {
			return err
		}
	}
	for _, n := range append(slices.Clone(d.Notes), "trials: "+d.Trials) {
		if _, err := fmt.Fprintln(out, strings.Map(cli.Printable, n)); err != nil {
			return err
		}
	}
	return nil
}

// print is the setting that was found, the knobs that matter first.
func (f *Found) print(out io.Writer) error {
	var cells [][]string
	told := map[string]bool{}
	for _, m := range f.Matter {
		cells = append(cells, []string{m.Knob, f.Setting[m.Knob], fmt.Sprintf("%.2f", m.Ratio)})
		told[m.Knob] = true
	}
	var rest []string
	for k := range f.Setting {
		if !told[k] {
			rest = append(rest, k)
		}
	}
	slices.Sort(rest)
	for _, k := range rest {
		cells = append(cells, []string{k, f.Setting[k], "—"})
	}
	if len(cells) == 0 {
		_, err := fmt.Fprintln(out, "no setting was found under which every objective holds")
		return err
	}
	fmt.Fprintln(out)
	return cli.Table(out, []string{"knob", "set to", "matters"}, cells)
}
