package training

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"
)

// Detail is what does not fit in rows.
type Detail struct {
	Models   string  `json:"models"`
	Kind     string  `json:"kind"`
	Shard    string  `json:"shard"`
	Services int     `json:"services"` // of all shards
	Trained  int     `json:"trained"`
	Again    int     `json:"again"`
	Skipped  int     `json:"skipped"`
	Shared   string  `json:"shared,omitempty"` // version of the shared model, where it was needed
	SharedS  float64 `json:"shared_s,omitempty"`
	WallS    float64 `json:"wall_s"`
	CPUS     float64 `json:"cpu_s,omitempty"` // of this process, from its start on
	Accuracy float64 `json:"accuracy_mean,omitempty"`
	Last     float64 `json:"last_value_accuracy_mean,omitempty"`
}

// Detail tells it; took is how long Do did.
func (r *Run) Detail(took time.Duration) Detail {
	d := Detail{Models: r.Bucket.String(), Kind: r.Settings.Kind(), Shard: r.Shard.String(), Services: len(r.Source.Services()),
		Shared: r.sharedModel.name.Version, SharedS: r.SharedS, WallS: seconds(took), CPUS: seconds(CPUTime())}
	measured := 0
	for _, row := range r.Rows {
		switch {
		case row.Skipped != "":
			d.Skipped++
		case row.Again:
			d.Again++
		default:
			d.Trained++
		}
		if row.Accuracy != nil && row.LastValue != nil {
			d.Accuracy += *row.Accuracy
			d.Last += *row.LastValue
			measured++
		}
	}
	d.Accuracy, d.Last = mean(d.Accuracy, measured), mean(d.Last, measured)
	return d
}

func mean(sum float64, n int) float64 { return math.Round(1e5*sum/float64(max(n, 1))) / 1e5 }

// Head names the cells of a service.
var Head = []string{"service", "rows", "steps", "from", "accuracy", "last value", "within 10 %", "s"}

// mostShown is how many services a table for people holds.
const mostShown = 40

// Cells are the services as text: all where there are few, else those whose forecasts are worst.
func (r *Run) Cells() (out [][]string) {
	var rows []Row
	for _, row := range r.Rows {
		if row.Skipped == "" {
			rows = append(rows, row)
		}
	}
	if len(rows) > mostShown {
		slices.SortStableFunc(rows, func(a, b Row) int { return cmp.Compare(value(a.Accuracy), value(b.Accuracy)) })
		rows = rows[:10]
	}
	for _, row := range rows {
		took := fmt.Sprintf("%.1f", row.TrainS)
		if row.Again {
			took = "there"
		}
		from := row.Start
		if len(from) > 6 && from[:6] == string(Shared) {
			from = string(Shared)
		}
		out = append(out, []string{row.Service, number(row.TrainRows), number(row.Steps), from, percent(row.Accuracy), percent(row.LastValue), percent(row.Within10), took})
	}
	return out
}

func value(v *float64) float64 {
	if v == nil {
		return 2
	}
	return *v
}

func number(n int) string {
	if n == 0 {
		return "—"
	}
	return fmt.Sprint(n)
}

func percent(v *float64) string {
	if v == nil {
		return "—"
	}
	return fmt.Sprintf("%.1f %%", 100**v)
}

// Summary tells in lines what was done, and which services could not be trained.
func (r *Run) Summary(took time.Duration) (lines []string) {
	d := r.Detail(took)
	if r.SharedOnly {
		switch {
		case d.Shared == "":
		case r.SharedBuilt:
			lines = append(lines, fmt.Sprintf("the shared model %s is trained, in %.1f s", d.Shared, d.SharedS))
		default:
			lines = append(lines, fmt.Sprintf("the shared model %s is there already", d.Shared))
		}
		return lines
	}
	if n := d.Trained + d.Again; n > mostShown {
		lines = append(lines, fmt.Sprintf("those are the worst of %d services; --json tells all", n), "")
	}
	text := fmt.Sprintf("%d trained, %d there already, %d skipped, of %d services", d.Trained, d.Again, d.Skipped, d.Services)
	if r.Shard.Count > 1 {
		text += ", shard " + d.Shard
	}
	text += fmt.Sprintf(", in %v, to %s", took.Round(100*time.Millisecond), d.Models)
	lines = append(lines, text)
	if d.Accuracy != 0 {
		lines = append(lines, fmt.Sprintf("mean accuracy on what was held out %.2f %%, of the last value %.2f %%", 100*d.Accuracy, 100*d.Last))
	}
	for _, row := range r.Rows {
		if row.Skipped != "" {
			lines = append(lines, fmt.Sprintf("skipped %s: %s", row.Service, row.Skipped))
		}
	}
	return lines
}

// Verdict is the error of a job that is to count as failed: nothing was trained, or with strict not everything.
func (r *Run) Verdict(strict bool) error {
	if r.SharedOnly {
		return nil
	}
	d := r.Detail(0)
	switch {
	case d.Skipped > 0 && d.Trained+d.Again == 0:
		return errors.New("no service could be trained: see the reasons above")
	case d.Skipped > 0 && strict:
		return fmt.Errorf("%d of %d services could not be trained: see the reasons above", d.Skipped, len(r.Rows))
	}
	return nil
}
