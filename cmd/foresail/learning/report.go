package learning

import (
	"fmt"
	"io"
	"math"

	"foresail.dev/cmd/foresail/cli"
	"foresail.dev/model/tail"
)

// detail is what does not fit in rows.
type detail struct {
	Application string  `json:"application"`
	Model       string  `json:"model"`
	Bytes       int64   `json:"bytes"`
	From        string  `json:"from,omitempty"`
	Label       string  `json:"label"`
	Channels    string  `json:"channels"`
	Runs        int     `json:"runs"`
	Trained     int     `json:"train_rows"`
	Epochs      int     `json:"epochs"`
	Best        int     `json:"best_epoch"`
	Trees       int     `json:"trees"`
	Margin      float64 `json:"margin_ms"`
	WallS       float64 `json:"wall_s"`
	CPUS        float64 `json:"cpu_s"`
}

// row is one measurement. What can't be told is absent.
type row struct {
	Application      string   `json:"application"`
	On               string   `json:"on"` // validation, held out, or before: the model of --from on the same rows
	Samples          int      `json:"samples"`
	RMSE90           float64  `json:"rmse_p90_ms"`
	RMSE95           float64  `json:"rmse_p95_ms"`
	RMSE98           float64  `json:"rmse_p98_ms"`
	RMSE99           float64  `json:"rmse_p99_ms"`
	RMSE999          float64  `json:"rmse_p999_ms"`
	Raw99            float64  `json:"rmse_raw_p99_ms"`
	Below            float64  `json:"rmse_below_p99_ms"`
	Violations       float64  `json:"violation_share"`
	Accuracy         float64  `json:"accuracy"`
	Balanced         float64  `json:"balanced_accuracy"`
	Weighted         float64  `json:"weighted_accuracy"`
	Precision        *float64 `json:"precision,omitempty"`
	Recall           *float64 `json:"recall,omitempty"`
	AUC              *float64 `json:"auc,omitempty"`
	CalibrationError float64  `json:"calibration_error"`
	Brier            float64  `json:"brier"`
}

func rows(application string, r *tail.Report) (out []row) {
	add := func(on string, s *tail.Scores) {
		if s == nil || s.Samples == 0 {
			return
		}
		out = append(out, row{application, on, s.Samples, cli.Round(s.RMSE[0]), cli.Round(s.RMSE[1]), cli.Round(s.RMSE[2]), cli.Round(s.RMSE[3]), cli.Round(s.RMSE[4]),
			cli.Round(s.Raw[tail.P99]), cli.Round(s.Below), fine(s.Violations), fine(s.Accuracy), fine(s.Balanced), fine(s.AtPrior),
			finer(s.Precision), finer(s.Recall), finer(s.AUC), fine(s.ECE), fine(s.Brier)})
	}
	add("validation", &r.Scores)
	add("held out", r.Held)
	add("before", r.Before)
	return out
}

// fine keeps five decimals of a share.
func fine(v float64) float64 { return math.Round(v*1e5) / 1e5 }

func finer(v *float64) *float64 {
	if v == nil {
		return nil
	}
	f := fine(*v)
	return &f
}

var head = []string{"measured on", "samples", "p99 wrong by ms", "of it below the objective", "violations", "accuracy", "at equal weight", "precision", "recall", "AUC", "calibration error"}

func show(w io.Writer, d *detail, r *tail.Report) error {
	var cells [][]string
	percent := func(v float64) string { return fmt.Sprintf("%.1f %%", 100*v) }
	optional := func(v *float64) string {
		if v == nil {
			return ""
		}
		return percent(*v)
	}
	for _, c := range rows(d.Application, r) {
		cells = append(cells, []string{c.On, fmt.Sprint(c.Samples), fmt.Sprintf("%.1f", c.RMSE99), fmt.Sprintf("%.1f", c.Below), percent(c.Violations), percent(c.Accuracy), percent(c.Weighted),
			optional(c.Precision), optional(c.Recall), cli.Opt("%.4f", c.AUC), fmt.Sprintf("%.4f", c.CalibrationError)})
	}
	if err := cli.Table(w, head, cells); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "\n%s: %d KiB, from %d samples of %d runs, %d trees, best epoch %d of %d, margin %.1f ms, in %.0f s (%.0f s of a processor)\n",
		d.Model, (d.Bytes+1023)/1024, d.Trained, d.Runs, d.Trees, d.Best, d.Epochs, d.Margin, d.WallS, d.CPUS)
	return err
}
