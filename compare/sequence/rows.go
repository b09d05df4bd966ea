package sequence

import (
	"math"
	"slices"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"
)

// Row is a method in one step, trained on so many samples of after it: means over seeds and test samples.
type Row struct {
	Sequence    string  `json:"sequence"`
	Step        int     `json:"step"`
	Change      string  `json:"change"`
	Instances   int     `json:"instances"`
	Inputs      int     `json:"inputs"`
	Method      string  `json:"method"`
	Points      int     `json:"points"`
	Seeds       int     `json:"seeds"`
	Target      string  `json:"target"`
	MAE         float64 `json:"mae_ms"`
	CI          float64 `json:"mae_ci95_ms"` // half of the interval's width, from how test samples differ
	SD          float64 `json:"mae_sd"`      // MAE in standard deviations of the target
	Log         float64 `json:"mae_log"`
	Signed      float64 `json:"error_log"` // mean error of the logarithm: above 0 where predictions are too high
	CPU         float64 `json:"train_cpu_s"`
	Assignments int     `json:"assignments,omitempty"`
	New         int     `json:"assignments_trained,omitempty"`
}

// Yardstick holds the composed model on few points against monoliths on many, in one step.
type Yardstick struct {
	Sequence string  `json:"sequence"`
	Step     int     `json:"step"`
	Few      int     `json:"composed_points"`
	Many     int     `json:"monolith_points"`
	Composed float64 `json:"composed_mae_ms"`
	// Of each monolith: how much lower composed's error is, ms, with the ends of its 95 % interval; and the ratios of errors and of
	// training time.
	Against []Against `json:"against"`
	Holds   bool      `json:"below_all"`
}

// Against is a yardstick's comparison with one monolith.
type Against struct {
	Method string  `json:"method"`
	MAE    float64 `json:"mae_ms"`
	Lower  float64 `json:"lower_by_ms"`
	Low    float64 `json:"lower_by_ci95_low_ms"`
	High   float64 `json:"lower_by_ci95_high_ms"`
	Ratio  float64 `json:"mae_ratio"`
	Time   float64 `json:"train_time_ratio,omitempty"` // composed's over the monolith's; 0: not known
}

// off is the absolute error of each test sample, the mean over seeds, ms.
func (c *Cell) off() []float64 {
	out := make([]float64, len(c.Seeds[0].Off))
	for _, s := range c.Seeds {
		for i, v := range s.Off {
			out[i] += 1000 * v / float64(len(c.Seeds))
		}
	}
	return out
}

func (c *Cell) cpu() (sum float64) {
	for _, s := range c.Seeds {
		sum += s.CPU / float64(len(c.Seeds))
	}
	return sum
}

// half is half the width of the mean's 95 % interval.
func half(v []float64) float64 {
	n := float64(len(v))
	return distuv.StudentsT{Mu: 0, Sigma: 1, Nu: n - 1}.Quantile(0.975) * stat.StdDev(v, nil) / math.Sqrt(n)
}

func (f *File) config(name string) *Config {
	return f.Sequences[slices.IndexFunc(f.Sequences, func(c *Config) bool { return c.Name == name })]
}

// Rows are all rows, in order of sequences, steps, methods and points.
func (o *Outcome) Rows() []Row {
	var out []Row
	for _, cell := range o.Cells {
		c := o.File.config(cell.Sequence)
		d := c.deployments[cell.Step]
		off := cell.off()
		w := Row{Sequence: c.Name, Step: cell.Step + 1, Change: c.Steps[cell.Step].Name, Instances: d.Count(), Inputs: len(d.Inputs()), Method: cell.Method,
			Points: cell.Points, Seeds: len(cell.Seeds), Target: o.File.target(d), MAE: stat.Mean(off, nil), CI: half(off), CPU: cell.cpu(),
			Assignments: cell.Seeds[0].Trained.Assignments, New: cell.Seeds[0].Trained.New}
		w.SD = w.MAE / 1000 / o.Dev[c.Name][cell.Step]
		for _, s := range cell.Seeds {
			w.Log += stat.Mean(s.Log, nil) / float64(len(cell.Seeds))
			w.Signed += s.Signed / float64(len(cell.Seeds))
		}
		out = append(out, w)
	}
	return out
}

func (o *Outcome) cell(sequence string, step int, method string, points int) *Cell {
	for _, c := range o.Cells {
		if c.Sequence == sequence && c.Step == step && c.Method == method && c.Points == points {
			return c
		}
	}
	return nil
}

// Yardsticks hold composed on the fewest points against monoliths on 300, or on the most below, after each step but the first.
func (o *Outcome) Yardsticks() []Yardstick {
	few, many := o.File.Points[0], 0
	for _, n := range o.File.Points {
		if n <= 300 {
			many = n
		}
	}
	var out []Yardstick
	for _, c := range o.File.Sequences {
		for step := 1; step < len(c.Steps); step++ {
			own := o.cell(c.Name, step, "composed", few)
			if own == nil || many == 0 {
				continue
			}
			y := Yardstick{Sequence: c.Name, Step: step + 1, Few: few, Many: many, Composed: stat.Mean(own.off(), nil), Holds: true}
			for _, m := range []string{"monolith-gp", "monolith-nn", "monolith-kept"} {
				cell := o.cell(c.Name, step, m, many)
				if cell == nil {
					continue
				}
				a, off := Against{Method: m, MAE: stat.Mean(cell.off(), nil)}, cell.off()
				for i, v := range own.off() {
					off[i] -= v
				}
				a.Lower = stat.Mean(off, nil)
				a.Low, a.High = a.Lower-half(off), a.Lower+half(off)
				a.Ratio = y.Composed / a.MAE
				if t := cell.cpu(); t > 0 {
					a.Time = own.cpu() / t
				}
				y.Against = append(y.Against, a)
				y.Holds = y.Holds && a.Lower > 0
			}
			if len(y.Against) > 0 {
				out = append(out, y)
			}
		}
	}
	return out
}

// Notes say what a reader should know of the sequences.
func (o *Outcome) Notes() (out []string) {
	for _, c := range o.File.Sequences {
		for _, ring := range c.rings {
			out = append(out, c.Name+": the call "+ring+" closes a ring, and is no edge of the inference graph")
		}
	}
	return out
}
