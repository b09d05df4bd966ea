package sharing

import (
	"context"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"

	"foresail.dev/cmd/foresail/cli"
	"foresail.dev/model/callgraph/shares"
	"foresail.dev/model/callgraph/shares/evaluate"
	"foresail.dev/model/callgraph/shares/methods"
)

// Row is how one method did on one data set. What could not be measured is absent.
type Row struct {
	Dataset      string   `json:"dataset"`
	Method       string   `json:"method"`
	Series       int      `json:"series"`
	Windows      int      `json:"windows"`
	Changed      int      `json:"changed"`
	MSE          float64  `json:"mse"`
	MSELow       *float64 `json:"mse_ci95_low,omitempty"`
	MSEHigh      *float64 `json:"mse_ci95_high,omitempty"`
	MSEChanged   *float64 `json:"mse_changed,omitempty"`
	MAE          float64  `json:"mae"`
	Skill        *float64 `json:"skill,omitempty"` // against the last value
	SkillLow     *float64 `json:"skill_ci95_low,omitempty"`
	SkillHigh    *float64 `json:"skill_ci95_high,omitempty"`
	SkillChanged *float64 `json:"skill_changed,omitempty"`
	Coverage90   float64  `json:"coverage90"`
	TrainS       float64  `json:"train_s"`
	InferUS      float64  `json:"infer_us"`
	Unfollowed   int      `json:"unfollowed,omitempty"` // series of which the last value was taken
}

// Result is the rows and what does not fit in them.
type Result struct {
	Rows   []Row
	Detail Detail
}

// Detail tells what of the data was mended.
type Detail struct {
	Notes []string `json:"notes,omitempty"`
}

// Measure lets methods predict all data sets. When ctx ends, the rows are those that are finished.
func Measure(ctx context.Context, f File, all []Dataset, progress func(done float64, what string)) (*Result, error) {
	r := &Result{Rows: []Row{}}
	start := time.Now()
	clock := func() time.Duration { return time.Since(start) }
	for i, d := range all {
		for _, n := range d.Notes {
			r.Detail.Notes = append(r.Detail.Notes, d.Name+": "+n)
		}
		c := evaluate.Case{Series: d.Series, Train: d.Train, Folds: f.Folds, Seed: f.Seed, Epochs: f.Epochs, Clock: clock}
		base, err := evaluate.Run(shares.LastValue, c, ctx.Err)
		if err != nil {
			return r, fmt.Errorf("data set %s: %w", d.Name, err)
		}
		for k, name := range d.Methods {
			m, _ := methods.ByName(name) // the file was checked
			done := (float64(i) + float64(k)/float64(len(d.Methods))) / float64(len(all))
			progress(done, d.Name+", "+name)
			res, err := evaluate.Run(m, c, func() error { progress(done, d.Name+", "+name); return ctx.Err() })
			if err != nil {
				return r, fmt.Errorf("data set %s: %w", d.Name, err)
			}
			r.Rows = append(r.Rows, rowOf(d, name, f.Seed, res, base))
		}
	}
	return r, nil
}

func rowOf(d Dataset, name string, seed uint64, r, base evaluate.Result) Row {
	low, high := r.Interval(seed)
	w := Row{Dataset: d.Name, Method: name, Series: len(d.Series), Windows: r.Windows, Changed: r.Changed, MSE: digits(r.MSE), MSELow: figure(low), MSEHigh: figure(high),
		MSEChanged: figure(r.MSEChanged), MAE: digits(r.MAE), Coverage90: cli.Round(r.Coverage90), TrainS: cli.Round(r.Train.Seconds()),
		InferUS: math.Round(float64(r.Infer.Nanoseconds())/100) / 10, Unfollowed: r.Unfollowed}
	skill, slow, shigh, changed := r.Skill(base, seed)
	w.Skill, w.SkillLow, w.SkillHigh, w.SkillChanged = figure(skill), figure(slow), figure(shigh), figure(changed)
	return w
}

// digits keeps four that count: no figure here is more exact.
func digits(v float64) float64 {
	out, err := strconv.ParseFloat(strconv.FormatFloat(v, 'g', 4, 64), 64)
	if err != nil {
		return v
	}
	return out
}

func figure(v float64) *float64 {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return nil
	}
	v = digits(v)
	return &v
}

var head = []string{"data set", "method", "series", "windows", "changed", "MSE", "95 %", "of changed", "MAE", "skill", "95 %", "of changed", "cover 90 %", "train s", "infer us"}

func (r *Result) print(w io.Writer) error {
	var cells [][]string
	for _, x := range r.Rows {
		name := x.Method
		if x.Unfollowed > 0 {
			name += " *"
		}
		cells = append(cells, []string{x.Dataset, name, fmt.Sprint(x.Series), fmt.Sprint(x.Windows), fmt.Sprint(x.Changed), fmt.Sprintf("%.3g", x.MSE),
			cli.Opt("%.3g", x.MSELow) + "–" + cli.Opt("%.3g", x.MSEHigh), cli.Opt("%.3g", x.MSEChanged), fmt.Sprintf("%.3g", x.MAE),
			cli.Opt("%.3f", x.Skill), cli.Opt("%.3f", x.SkillLow) + "–" + cli.Opt("%.3f", x.SkillHigh), cli.Opt("%.3f", x.SkillChanged),
			fmt.Sprintf("%.1f", 100*x.Coverage90), fmt.Sprintf("%.2f", x.TrainS), fmt.Sprintf("%.0f", x.InferUS)})
	}
	if err := cli.Table(w, head, cells); err != nil {
		return err
	}
	for _, x := range r.Rows {
		if x.Unfollowed > 0 {
			fmt.Fprintf(w, "* %s on %s: could not follow %d series, and took the last value\n", x.Method, strings.Map(cli.Printable, x.Dataset), x.Unfollowed)
		}
	}
	for _, n := range r.Detail.Notes {
		fmt.Fprintln(w, strings.Map(cli.Printable, n))
	}
	return nil
}
