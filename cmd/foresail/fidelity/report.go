package fidelity

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"foresail.dev"
	"foresail.dev/load"
	"foresail.dev/sketch"
)

// tooFew is below how many requests a 99th percentile says too little: of 300, three are beyond it. Where each run has
// fewer the runs are taken together, and where all have fewer there is none.
const tooFew = 300

// Row is one endpoint of one case. Times are medians over the runs.
type Row struct {
	Application   string   `json:"application"`
	Limit         float64  `json:"cpu_limit"`
	Rate          float64  `json:"load_rps"`
	Endpoint      string   `json:"endpoint"`
	Requests      float64  `json:"requests"` // of the run with the fewest
	Errors        float64  `json:"errors"`
	RealP50       float64  `json:"real_p50_ms"`
	SimP50        float64  `json:"sim_p50_ms"`
	P50Ratio      float64  `json:"p50_ratio"` // simulated over real
	P50Within     bool     `json:"p50_within"`
	RealP99       *float64 `json:"real_p99_ms,omitempty"`
	RealP99Least  *float64 `json:"real_p99_least_ms,omitempty"` // of the runs
	RealP99Most   *float64 `json:"real_p99_most_ms,omitempty"`
	SimP99        *float64 `json:"sim_p99_ms,omitempty"`
	P99Ratio      *float64 `json:"p99_ratio,omitempty"`
	P99Within     *bool    `json:"p99_within,omitempty"`
	RealCores     float64  `json:"real_cores"`
	SimCores      float64  `json:"sim_cores"`
	RealThrottled float64  `json:"real_throttled_share"`
	SimThrottled  float64  `json:"sim_throttled_share"`
	Users         float64  `json:"load_generator_cores"`
	Collector     float64  `json:"collector_cores"`
	Others        float64  `json:"others_cores"`
	LoadAverage   float64  `json:"load_average"`
	Runs          int      `json:"runs"`
}

// Run compares. Its first five fields are set before Do; Rows are what it found.
type Run struct {
	File        File
	Cases       []Case
	Calibration *foresail.Blueprint
	Start       func(ctx context.Context, bp *foresail.Blueprint, l *load.Load, seed uint64, d time.Duration, spans func([]foresail.Span)) (Bed, error)
	Progress    func(done float64, what string)

	Rows         []Row
	calibrations []calibrationRound
	began        time.Time
}

// alike reports whether a case has the same application as the one before it: what the machine takes drifts, so it is
// calibrated anew for each application.
func (r *Run) alike(i int) bool {
	return i > 0 && r.Cases[i].blueprint.App.Name == r.Cases[i-1].blueprint.App.Name
}

// Do calibrates, then measures and simulates the cases, application by application. What there is stays when it is stopped.
func (r *Run) Do(ctx context.Context) (err error) {
	r.began = time.Now()
	parts := float64(len(r.Cases) * r.File.Repeat)
	for i := range r.Cases {
		if !r.alike(i) {
			parts += float64(len(r.File.Calibration.Loads))
		}
	}
	done := 0.0
	for i := range r.Cases {
		c := &r.Cases[i]
		if !r.alike(i) {
			r.Progress(done/parts, "calibrating")
			known, err := r.calibrate(ctx, c.blueprint.App.Name)
			if err != nil {
				return err
			}
			r.calibrations = append(r.calibrations, known)
			done += float64(len(r.File.Calibration.Loads))
		}
		known := &r.calibrations[len(r.calibrations)-1]
		var real []measured
		spans := 0.0
		for n := range r.File.Repeat {
			r.Progress(done/parts, fmt.Sprintf("%s, %g cores, %g requests/s, run %d", c.blueprint.App.Name, c.limit, c.rate, n+1))
			m, _, err := r.forReal(ctx, c.blueprint, c.load, r.File.Seed+uint64(n), nil)
			if err != nil {
				return fmt.Errorf("%s with %g cores at %g requests/s: %w", c.blueprint.App.Name, c.limit, c.rate, err)
			}
			spans += m.spans / float64(r.File.Repeat)
			real = append(real, m)
			done++
		}
		simulated, err := known.simulated(ctx, c, r.File.Seed, r.File.Warmup, r.File.Simulated, spans)
		if err != nil {
			return err
		}
		r.compare(c, real, simulated)
	}
	return nil
}

// compare adds the rows of a case.
func (r *Run) compare(c *Case, real []measured, s measured) {
	of := func(get func(*measured) float64) (out []float64) {
		for i := range real {
			if v := get(&real[i]); !math.IsNaN(v) {
				out = append(out, v)
			}
		}
		slices.Sort(out)
		return out
	}
	middle := func(get func(*measured) float64) float64 { return medianOf(of(get)) }
	tolerance := float64(r.File.Tolerance)
	within := func(ratio float64) bool { return ratio >= 1-tolerance && ratio <= 1+tolerance }
	for e, endpoint := range c.blueprint.App.Endpoints {
		requests := of(func(m *measured) float64 { return m.requests[e] })
		if requests[len(requests)-1] == 0 {
			continue
		}
		quantile := func(q float64) func(*measured) float64 {
			return func(m *measured) float64 { return m.latency[e].Quantile(q) * 1e3 }
		}
		row := Row{Application: c.blueprint.App.Name, Limit: c.limit, Rate: c.rate, Endpoint: endpoint.Name, Runs: len(real),
			Requests: requests[0], Errors: middle(func(m *measured) float64 { return m.errors[e] }),
			RealP50: round(middle(quantile(0.5))), SimP50: round(s.latency[e].Quantile(0.5) * 1e3),
			RealCores: round(middle(func(m *measured) float64 { return m.cores })), SimCores: round(s.cores),
			RealThrottled: round(middle(func(m *measured) float64 { return m.throttled })), SimThrottled: round(s.throttled),
			Users:       round(middle(func(m *measured) float64 { return m.users })),
			Collector:   round(middle(func(m *measured) float64 { return m.collector })),
			Others:      round(middle(func(m *measured) float64 { return m.others })),
			LoadAverage: round(middle(func(m *measured) float64 { return m.load }))}
		row.P50Ratio = round(row.SimP50 / row.RealP50)
		row.P50Within = within(row.SimP50 / row.RealP50)
		all, total := sketch.New(), 0.0
		for i := range real {
			all.Merge(real[i].latency[e])
			total += real[i].requests[e]
		}
		if total >= tooFew {
			p99 := of(quantile(0.99))
			middle := medianOf(p99)
			if requests[0] < tooFew { // of one run it says little: all runs are taken together
				middle = all.Quantile(0.99) * 1e3
			}
			row.RealP99, row.SimP99 = ptr(round(middle)), ptr(round(s.latency[e].Quantile(0.99)*1e3))
			row.RealP99Least, row.RealP99Most = ptr(round(p99[0])), ptr(round(p99[len(p99)-1]))
			row.P99Ratio = ptr(round(*row.SimP99 / *row.RealP99))
			row.P99Within = ptr(within(*row.SimP99 / *row.RealP99))
		}
		r.Rows = append(r.Rows, row)
	}
}

// medianOf sorted values.
func medianOf(v []float64) float64 {
	if len(v) == 0 {
		return math.NaN()
	}
	return (v[(len(v)-1)/2] + v[len(v)/2]) / 2
}

// Detail is what a result holds beside its rows.
type Detail struct {
	P50Within int        `json:"p50_within"`
	P50       int        `json:"p50_compared"`
	P99Within int        `json:"p99_within"`
	P99       int        `json:"p99_compared"`
	Tolerance float64    `json:"tolerance"`
	Warmup    float64    `json:"warmup_s"`
	Duration  float64    `json:"duration_s"`
	Repeat    int        `json:"repeat"`
	Simulated float64    `json:"simulated_s"`
	Began     time.Time  `json:"began"`
	Platform  []Platform `json:"platform"`
}

// Platform is what a calibration at one load found.
type Platform struct {
	Before     string            `json:"before"` // the cases that it was made for
	Rate       float64           `json:"load_rps"`
	Busy       float64           `json:"replica_cores"` // used by a replica, on average
	Overhead   foresail.Overhead `json:"overhead_ns"`
	PerRequest float64           `json:"load_generator_us_per_request"`
	PerSpan    float64           `json:"collector_us_per_span"`
	Others     float64           `json:"others_cores"`
}

// Detail is what there is beside the rows.
func (r *Run) Detail() Detail {
	d := Detail{Tolerance: float64(r.File.Tolerance), Warmup: r.File.Warmup.Seconds(), Duration: r.File.Duration.Seconds(),
		Repeat: r.File.Repeat, Simulated: r.File.Simulated.Seconds(), Began: r.began.UTC().Truncate(time.Second)}
	for _, c := range r.calibrations {
		for _, p := range c.Points {
			d.Platform = append(d.Platform, Platform{Before: c.Before, Rate: p.Rate, Busy: round(p.Busy), Overhead: p.Overhead,
				PerRequest: round(p.PerSend.Seconds() * 1e6), PerSpan: round(p.PerSpan.Seconds() * 1e6), Others: round(c.Others)})
		}
	}
	for i := range r.Rows {
		d.P50++
		if r.Rows[i].P50Within {
			d.P50Within++
		}
		if w := r.Rows[i].P99Within; w != nil {
			d.P99++
			if *w {
				d.P99Within++
			}
		}
	}
	return d
}

// Head names the cells of a row.
var Head = []string{"application", "cores", "requests/s", "endpoint", "requests", "p50 real", "p50 sim", "ratio", "p99 real", "(runs)", "p99 sim", "ratio",
	"cores real", "cores sim", "throttled real", "throttled sim", "others' cores"}

// Cells are the rows as text.
func (r *Run) Cells() (out [][]string) {
	mark := func(ratio float64, in bool) string {
		if in {
			return fmt.Sprintf("%.2f", ratio)
		}
		return fmt.Sprintf("%.2f ✗", ratio)
	}
	for i := range r.Rows {
		w := &r.Rows[i]
		cells := []string{w.Application, fmt.Sprintf("%g", w.Limit), fmt.Sprintf("%g", w.Rate), w.Endpoint, fmt.Sprintf("%.0f", w.Requests),
			fmt.Sprintf("%.1f", w.RealP50), fmt.Sprintf("%.1f", w.SimP50), mark(w.P50Ratio, w.P50Within)}
		if w.RealP99 == nil {
			cells = append(cells, "too few", "", "", "")
		} else {
			cells = append(cells, fmt.Sprintf("%.1f", *w.RealP99), fmt.Sprintf("%.1f–%.1f", *w.RealP99Least, *w.RealP99Most), fmt.Sprintf("%.1f", *w.SimP99), mark(*w.P99Ratio, *w.P99Within))
		}
		out = append(out, append(cells, fmt.Sprintf("%.2f", w.RealCores), fmt.Sprintf("%.2f", w.SimCores), fmt.Sprintf("%.1f %%", 100*w.RealThrottled),
			fmt.Sprintf("%.1f %%", 100*w.SimThrottled), fmt.Sprintf("%.2f", w.Others)))
	}
	return out
}

// Summary says in two lines what the rows say.
func (r *Run) Summary() string {
	d := r.Detail()
	return fmt.Sprintf("within %.0f %%: %d of %d medians, %d of %d 99th percentiles\n", 100*d.Tolerance, d.P50Within, d.P50, d.P99Within, d.P99)
}

// PlatformHead names the cells of a calibration.
var PlatformHead = []string{"calibrated before", "requests/s", "cores of a replica", "caller, us", "callee, us", "network, us", "users, us", "CPU per demand", "late messages", "late by, us", "report, us",
	"load generator, us/request", "collector, us/span", "others' cores"}

// PlatformCells are what was found as text.
func (r *Run) PlatformCells() (out [][]string) {
	us := func(d time.Duration) string { return fmt.Sprintf("%.0f", d.Seconds()*1e6) }
	for _, p := range r.Detail().Platform {
		o := &p.Overhead
		out = append(out, []string{p.Before, fmt.Sprintf("%g", p.Rate), fmt.Sprintf("%.3f", p.Busy), us(o.Caller), us(o.Callee), us(o.Network), us(o.Users),
			fmt.Sprintf("%.3f", o.Stretch), fmt.Sprintf("%.2f %%", 100*o.Late), us(o.LateBy), us(o.Report), fmt.Sprintf("%.0f", p.PerRequest), fmt.Sprintf("%.0f", p.PerSpan), fmt.Sprintf("%.2f", p.Others)})
	}
	return out
}

// Markdown is the page with the table; what explains it is for people to write below.
func (r *Run) Markdown(file, commit, machine string) string {
	var b strings.Builder
	d := r.Detail()
	fmt.Fprintf(&b, "# Simulator and testbed side by side\n\n`foresail fidelity -f %s`, commit %s, seed %d, %s; on %s.\n\n", file, commit, r.File.Seed, d.Began.Format("2006-01-02 15:04 UTC"), machine)
	fmt.Fprintf(&b, "Each case ran %d times for %v after %v of warm-up on the testbed (medians of the runs; in brackets the least and the most), and %v in the simulator. "+
		"Latencies are in ms, as users see them. Ratios are simulated over real; ✗ is outside of %.0f %%. With fewer than %d requests in a run the p99 is that of all runs together, and with fewer in all of them there is none. "+
		"Others' cores are what the machine did besides: neither the application, nor the load generator, nor the collector of spans.\n\n",
		r.File.Repeat, r.File.Duration, r.File.Warmup, r.File.Simulated, 100*d.Tolerance, tooFew)
	for _, line := range strings.Split(strings.TrimSpace(r.Summary()), "\n") {
		fmt.Fprintf(&b, "- %s\n", line)
	}
	b.WriteByte('\n')
	markdownTable(&b, Head, r.Cells())
	b.WriteString("\nWhat the platform took beside the demands, as calibrated on another application:\n\n")
	markdownTable(&b, PlatformHead, r.PlatformCells())
	return b.String()
}

func markdownTable(b *strings.Builder, head []string, rows [][]string) {
	row := func(cells []string) { fmt.Fprintf(b, "| %s |\n", strings.Join(cells, " | ")) }
	row(head)
	row(slices.Repeat([]string{"---"}, len(head)))
	for _, c := range rows {
		row(c)
	}
}

// round keeps three decimals: no figure here is more exact.
func round(v float64) float64 { return math.Round(v*1000) / 1000 }

func ptr[T any](v T) *T { return &v }
