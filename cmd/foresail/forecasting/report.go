package forecasting

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"foresail.dev/model/forecast/evaluate"
)

// Row is one method on one series. What could not be measured is absent.
type Row struct {
	Series         string   `json:"series"`
	Method         string   `json:"method"`
	N              int      `json:"n"`
	M              int      `json:"m"`
	Accuracy       *float64 `json:"accuracy,omitempty"`
	Overestimation *float64 `json:"overestimation_accuracy,omitempty"`
	Within10       *float64 `json:"within10,omitempty"`
	MASE           *float64 `json:"mase,omitempty"`
	Pinball        *float64 `json:"pinball,omitempty"`
	Coverage90     *float64 `json:"coverage90,omitempty"`
	TrainS         float64  `json:"train_s"`
	InferUS        float64  `json:"infer_us"`

	AccuracyLow    *float64 `json:"accuracy_p0_50,omitempty"` // of the steps below the median
	AccuracyMiddle *float64 `json:"accuracy_p50_95,omitempty"`
	AccuracyHigh   *float64 `json:"accuracy_p95_100,omitempty"`
	OverLow        *float64 `json:"overestimation_accuracy_p0_50,omitempty"`
	OverMiddle     *float64 `json:"overestimation_accuracy_p50_95,omitempty"`
	OverHigh       *float64 `json:"overestimation_accuracy_p95_100,omitempty"`
	Within10Low    *float64 `json:"within10_p0_50,omitempty"`
	Within10Middle *float64 `json:"within10_p50_95,omitempty"`
	Within10High   *float64 `json:"within10_p95_100,omitempty"`
	TrainSteps     int      `json:"train_steps"`
	Steps          int      `json:"steps"` // that were forecast and observed
	Fallbacks      int      `json:"fallbacks,omitempty"`
	Fallback       string   `json:"fallback,omitempty"`
	Trail          *Trail   `json:"trail,omitempty"`
}

func rowOf(j job, r evaluate.Result) Row {
	g := r.Groups
	return Row{Series: j.series.Name, Method: j.method, N: j.n, M: j.m,
		Accuracy: figure(r.Accuracy), Overestimation: figure(r.Overestimation), Within10: figure(r.Within10),
		MASE: figure(r.MASE), Pinball: figure(r.Pinball), Coverage90: figure(r.Coverage90),
		TrainS: round(r.TrainTime.Seconds()), InferUS: math.Round(10*float64(r.InferTime.Nanoseconds())/1e3) / 10,
		AccuracyLow: figure(g[0].Accuracy), AccuracyMiddle: figure(g[1].Accuracy), AccuracyHigh: figure(g[2].Accuracy),
		OverLow: figure(g[0].Overestimation), OverMiddle: figure(g[1].Overestimation), OverHigh: figure(g[2].Overestimation),
		Within10Low: figure(g[0].Within10), Within10Middle: figure(g[1].Within10), Within10High: figure(g[2].Within10),
		TrainSteps: j.series.Train, Steps: r.Steps, Fallbacks: r.Fallbacks, Fallback: r.Fallback}
}

// round keeps four decimals: no figure here is more exact.
func round(v float64) float64 { return math.Round(v*1e4) / 1e4 }

func figure(v float64) *float64 {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return nil
	}
	v = round(v)
	return &v
}

// Flat is the rows without what plots are drawn from.
func (r *Run) Flat() []Row {
	rows := slices.Clone(r.Rows)
	for i := range rows {
		rows[i].Trail = nil
	}
	return rows
}

// Detail is what there is beside the rows.
func (r *Run) Detail() any {
	return struct {
		Means []Mean `json:"means"`
	}{r.Means()}
}

// Mean is what one method was worth over all series of one n and m.
type Mean struct {
	Method      string   `json:"method"`
	N           int      `json:"n"`
	M           int      `json:"m"`
	Series      int      `json:"series"`
	Accuracy    *float64 `json:"accuracy,omitempty"` // means over the series
	MASE        *float64 `json:"mase,omitempty"`
	Pinball     *float64 `json:"pinball,omitempty"`
	Steps       int      `json:"steps"`
	Coverage90  *float64 `json:"coverage90,omitempty"`       // over all steps
	WorstMASE   *float64 `json:"worst_mase_ratio,omitempty"` // foresail's MASE over this method's, where that is largest
	WorstSeries string   `json:"worst_mase_series,omitempty"`
}

// own is the method that the others are held against.
const own = "foresail"

// Means are over the series, by n, m and method, in the order of the rows. Only series on which the method was evaluated count.
func (r *Run) Means() (all []Mean) {
	type sums struct{ accuracy, mase, pinball, covered []float64 }
	totals := map[[3]any]*sums{}
	mase := map[[4]any]float64{}
	for _, w := range r.Rows {
		if w.MASE != nil {
			mase[[4]any{w.Series, w.Method, w.N, w.M}] = *w.MASE
		}
	}
	for _, w := range r.Rows {
		key := [3]any{w.Method, w.N, w.M}
		t := totals[key]
		if t == nil {
			t = &sums{}
			totals[key] = t
			all = append(all, Mean{Method: w.Method, N: w.N, M: w.M})
		}
		i := slices.IndexFunc(all, func(m Mean) bool { return m.Method == w.Method && m.N == w.N && m.M == w.M })
		m := &all[i]
		m.Series++
		for _, p := range []struct {
			to   *[]float64
			from *float64
		}{{&t.accuracy, w.Accuracy}, {&t.mase, w.MASE}, {&t.pinball, w.Pinball}} {
			if p.from != nil {
				*p.to = append(*p.to, *p.from)
			}
		}
		if w.Coverage90 != nil {
			t.covered = append(t.covered, *w.Coverage90*float64(w.Steps))
			m.Steps += w.Steps
		}
		ours, ok := mase[[4]any{w.Series, own, w.N, w.M}]
		if ok && w.MASE != nil && *w.MASE > 0 && w.Method != own {
			if ratio := ours / *w.MASE; m.WorstMASE == nil || ratio > *m.WorstMASE {
				m.WorstMASE, m.WorstSeries = figure(ratio), w.Series
			}
		}
		m.Accuracy, m.MASE, m.Pinball = mean(t.accuracy), mean(t.mase), mean(t.pinball)
		if c := mean(t.covered); c != nil {
			m.Coverage90 = figure(*c * float64(len(t.covered)) / float64(m.Steps))
		}
	}
	return all
}

func mean(v []float64) *float64 {
	sum := 0.0
	for _, x := range v {
		sum += x
	}
	return figure(sum / float64(len(v)))
}

// Head names the cells of a row.
var Head = []string{"series", "method", "n", "m", "accuracy", "≤p50", "p50–95", ">p95", "over", "within 10 %", "MASE", "pinball", "cover 90 %", "train s", "infer us"}

// Cells are the rows as text.
func (r *Run) Cells() (out [][]string) {
	for _, w := range r.Rows {
		name := w.Method
		if w.Fallbacks > 0 {
			name += " *"
		}
		out = append(out, []string{w.Series, name, fmt.Sprint(w.N), fmt.Sprint(w.M), percent(w.Accuracy), percent(w.AccuracyLow), percent(w.AccuracyMiddle), percent(w.AccuracyHigh),
			percent(w.Overestimation), percent(w.Within10), number(w.MASE), number(w.Pinball), percent(w.Coverage90), fmt.Sprintf("%.2f", w.TrainS), fmt.Sprintf("%.0f", w.InferUS)})
	}
	return out
}

// Notes are the footnotes of rows: why forecasts were only the last value.
func (r *Run) Notes() (out []string) {
	for _, w := range r.Rows {
		if w.Fallbacks > 0 {
			out = append(out, fmt.Sprintf("* %s on %s, n %d, m %d: the last value %d times: %s", w.Method, w.Series, w.N, w.M, w.Fallbacks, w.Fallback))
		}
	}
	return out
}

// MeansHead names the cells of a mean.
var MeansHead = []string{"method", "n", "m", "series", "accuracy", "MASE", "pinball", "steps", "cover 90 %", "foresail's MASE over it, at most", "on"}

// MeansCells are the means as text.
func (r *Run) MeansCells() (out [][]string) {
	for _, m := range r.Means() {
		out = append(out, []string{m.Method, fmt.Sprint(m.N), fmt.Sprint(m.M), fmt.Sprint(m.Series), percent(m.Accuracy), number(m.MASE), number(m.Pinball),
			fmt.Sprint(m.Steps), percent(m.Coverage90), number(m.WorstMASE), m.WorstSeries})
	}
	return out
}

func percent(v *float64) string {
	if v == nil {
		return "—"
	}
	return fmt.Sprintf("%.1f", 100**v)
}

func number(v *float64) string {
	if v == nil {
		return "—"
	}
	return fmt.Sprintf("%.3f", *v)
}

// Markdown is the page with the tables; what explains them is for people to write below.
func (r *Run) Markdown(file, commit, machine string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Forecasts, side by side\n\n`foresail forecast evaluate -f %s`, commit %s, seed %d; on %s, %d evaluations at once.\n\n", file, commit, r.File.Seed, machine, r.workers())
	fmt.Fprintf(&b, "Each method is trained on the first part of a series; then the origin moves over the rest, m steps at a time. "+
		"Accuracy is Madu's eq 15, over is its eq 16, both and the share within 10 %% in %%, steps without calls left out; ≤p50, p50–95 and >p95 are accuracy by the percentile of the load. "+
		"MASE and pinball are over the mean change from one step to the next in the training: less is better. Times are of the wall clock, with other evaluations beside; inference includes what is learnt between two origins.\n\n")
	row := func(cells []string) { fmt.Fprintf(&b, "| %s |\n", strings.Join(cells, " | ")) }
	row(Head)
	row(slices.Repeat([]string{"---"}, len(Head)))
	for _, c := range r.Cells() {
		row(c)
	}
	for _, n := range r.Notes() {
		fmt.Fprintf(&b, "\n%s\n", strings.Replace(n, "* ", "\\* ", 1))
	}
	fmt.Fprintf(&b, "\nOver the series: means of accuracy, MASE and pinball; coverage over all steps; and where foresail's MASE is worst against the method's.\n\n")
	row(MeansHead)
	row(slices.Repeat([]string{"---"}, len(MeansHead)))
	for _, c := range r.MeansCells() {
		row(c)
	}
	fmt.Fprintf(&b, "\nThe series:\n\n")
	for _, s := range r.Series {
		fmt.Fprintf(&b, "- %s: %d steps of %v, the first %d to train on", s.Name, len(s.Series.Values), s.Series.Step, s.Train)
		if s.Repairs.Any() {
			fmt.Fprintf(&b, "; %s", s.Repairs)
		}
		fmt.Fprintln(&b)
	}
	return b.String()
}
