package exploring

import (
	"fmt"
	"io"
	"math"

	"foresail.dev"
	"foresail.dev/cmd/foresail/cli"
	"foresail.dev/model/tail"
)

// Row is one run in the result.
type Row struct {
	Application string  `json:"application"`
	Run         string  `json:"run"` // the file's name
	Load        string  `json:"load"`
	Level       float64 `json:"level,omitempty"` // users, or requests/s
	Seed        uint64  `json:"seed"`
	Steps       int     `json:"steps"`
	Rate        float64 `json:"rate_rps"`
	P99         float64 `json:"p99_ms"`          // mean over the seconds
	Below       float64 `json:"below_share"`     // of seconds with a p99 below half of the objective
	Near        float64 `json:"near_share"`      // from there to a tenth over it
	Above       float64 `json:"above_share"`     // and beyond
	Violation   float64 `json:"violation_share"` // of seconds in which an objective was missed
	Cores       float64 `json:"cores_mean"`
	Used        float64 `json:"cores_used_mean"`
	Kept        bool    `json:"kept,omitempty"` // it was there already
}

// Tally counts what a run's steps say.
type Tally struct {
	app       *foresail.App
	reference float64
	steps     int
	sums      Row
	latencies int
	services  []span
}

// span is what a service had.
type span struct{ least, sum, most float64 }

// NewTally counts for an application.
func NewTally(app *foresail.App) *Tally {
	return &Tally{app: app, reference: tail.Reference(app), services: make([]span, len(app.Services))}
}

// Add counts a step.
func (t *Tally) Add(s *tail.Step) {
	t.steps++
	r := &t.sums
	r.Rate += s.Rate
	if p := s.Latency[tail.P99]; !math.IsNaN(p) {
		t.latencies++
		r.P99 += p
		switch {
		case p < t.reference/2:
			r.Below++
		case p < 1.1*t.reference:
			r.Near++
		default:
			r.Above++
		}
	}
	if s.Violated(t.app) {
		r.Violation++
	}
	for i := range min(len(s.Services), len(t.services)) {
		v, of := &s.Services[i], &t.services[i]
		if t.app.Services[i].Gone || math.IsNaN(v.Cores) {
			continue
		}
		if of.least == 0 || v.Cores < of.least {
			of.least = v.Cores
		}
		of.sum += v.Cores
		of.most = max(of.most, v.Cores)
		r.Cores += v.Cores
		if !math.IsNaN(v.Used) {
			r.Used += v.Used * v.Replicas
		}
	}
}

// Row is what was counted, as part of a row.
func (t *Tally) Row() Row {
	n, l := float64(max(t.steps, 1)), float64(max(t.latencies, 1))
	r := t.sums
	return Row{Application: t.app.Name, Steps: t.steps, Rate: cli.Round(r.Rate / n), P99: cli.Round(r.P99 / l), Below: cli.Round(r.Below / l),
		Near: cli.Round(r.Near / l), Above: cli.Round(r.Above / l), Violation: cli.Round(r.Violation / n), Cores: cli.Round(r.Cores / n), Used: cli.Round(r.Used / n)}
}

// Join adds what another counted.
func (t *Tally) Join(o *Tally) {
	a, b := &t.sums, &o.sums
	for _, v := range [][2]*float64{{&a.Rate, &b.Rate}, {&a.P99, &b.P99}, {&a.Below, &b.Below}, {&a.Near, &b.Near}, {&a.Above, &b.Above},
		{&a.Violation, &b.Violation}, {&a.Cores, &b.Cores}, {&a.Used, &b.Used}} {
		*v[0] += *v[1]
	}
	t.steps += o.steps
	t.latencies += o.latencies
	for i := range t.services {
		s, of := o.services[i], &t.services[i]
		if of.least == 0 || s.least > 0 && s.least < of.least {
			of.least = s.least
		}
		of.sum += s.sum
		of.most = max(of.most, s.most)
	}
}

// Service is what one service had over all runs.
type Service struct {
	Service string  `json:"service"`
	Least   float64 `json:"cores_min"`
	Mean    float64 `json:"cores_mean"`
	Most    float64 `json:"cores_max"`
	Bound   float64 `json:"cores_bound"` // the most that it may have
}

// Detail is the result beside its rows.
type Detail struct {
	All      Row       `json:"all"`
	Services []Service `json:"services"`
}

// Detail is what was counted of services.
func (t *Tally) Detail() Detail {
	d := Detail{All: t.Row()}
	for i := range t.app.Services {
		svc, v := &t.app.Services[i], t.services[i]
		if svc.Gone {
			continue
		}
		_, most := tail.CoreBounds(svc)
		d.Services = append(d.Services, Service{svc.Name, cli.Round(v.least), cli.Round(v.sum / float64(max(t.steps, 1))), cli.Round(v.most), cli.Round(most)})
	}
	return d
}

// Print shows rows to a person, and what they come to.
func Print(w io.Writer, dir string, rows []Row, d Detail) error {
	all := d.All
	all.Run, all.Level, all.Seed = "all", 0, 0
	var cells [][]string
	for _, r := range append(rows, all) {
		level := "—"
		if r.Level > 0 {
			level = fmt.Sprintf("%g", r.Level)
		}
		cells = append(cells, []string{r.Run, level, fmt.Sprint(r.Steps), fmt.Sprintf("%.0f", r.Rate), fmt.Sprintf("%.0f", r.P99), fmt.Sprintf("%.1f %%", r.Below*100),
			fmt.Sprintf("%.1f %%", r.Near*100), fmt.Sprintf("%.1f %%", r.Above*100), fmt.Sprintf("%.1f %%", r.Violation*100), fmt.Sprintf("%.2f", r.Cores), fmt.Sprintf("%.2f", r.Used)})
	}
	if err := cli.Table(w, []string{"run", "level", "steps", "requests/s", "p99 ms", "below half", "near", "above", "violated", "cores", "used"}, cells); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "\nnear: a p99 from half of the objective to a tenth over it\n%s holds the data set\n", dir)
	return err
}
