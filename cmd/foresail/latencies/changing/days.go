package changing

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"foresail.dev"
	"foresail.dev/appfile"
	"foresail.dev/cmd/foresail/cli"
	"foresail.dev/cmd/foresail/latencies/simulated"
	"foresail.dev/model/latency"
	"foresail.dev/model/latency/compose"
	"foresail.dev/model/latency/evaluate"
	"foresail.dev/model/latency/learner"
	"foresail.dev/model/latency/recur"
)

// Days says which days there are, and what changes; see docs/formats/latency.md.
type Days struct {
	Common    `yaml:",inline"`
	Days      int                `yaml:"days" rule:"min=3,max=400"`
	Rows      int                `yaml:"rows" rule:"min=24,max=2000"`
	Hours     int                `yaml:"hours" rule:"min=1,max=24"`
	Waver     float64            `yaml:"waver" rule:"min=0,max=2"`
	Patterns  map[string]pattern `yaml:"patterns" rule:"required"`
	Week      []string           `yaml:"week" rule:"required"`
	Special   []special          `yaml:"special"`
	Releases  []release          `yaml:"releases"`
	Tolerance float64            `yaml:"tolerance" rule:"min=1,max=100"`
	Gain      float64            `yaml:"gain" rule:"min=0,max=0.99"`
	Methods   []string           `yaml:"methods"`
}

// pattern is what a day is like.
type pattern struct {
	Load span               `yaml:"load"` // requests a second, at night and in the afternoon
	Mix  map[string]float64 `yaml:"mix"`
}

// special is a day that is unlike its day of the week.
type special struct {
	Day     int    `yaml:"day" rule:"min=1"`
	Pattern string `yaml:"pattern" rule:"required"`
}

// release is a change of a service's work, from a day on.
type release struct {
	Day     int     `yaml:"day" rule:"min=1"`
	Service string  `yaml:"service" rule:"required"`
	CPU     float64 `yaml:"cpu" rule:"above=0,max=100"`
}

// dayMethods are the methods of days.
var dayMethods = []string{"reuse", "daily", "daily-all", "monolith-daily", "monolith-all"}

// Check asks for patterns that there are.
func (d *Days) Check(at appfile.Place) {
	d.check(at)
	known := func(at appfile.Place, name string) {
		if _, ok := d.Patterns[name]; !ok {
			at.Faultf("is %q, which is not among the patterns", name)
		}
	}
	for i, name := range d.Week {
		known(at.At("week", i), name)
	}
	for i, s := range d.Special {
		known(at.At("special", i, "pattern"), s.Pattern)
	}
	for name, p := range d.Patterns {
		p.Load.check(at.At("patterns", name, "load"))
	}
	if d.Rows*d.Hours%24 != 0 {
		at.At("rows").Faultf("is %d: every %d hours there must be a whole number of them", d.Rows, d.Hours)
	}
	for i, m := range d.Methods {
		if !slices.Contains(dayMethods, m) {
			at.At("methods", i).Faultf("is %q; there are %s", m, strings.Join(dayMethods, ", "))
		}
	}
}

func defaultDays() Days {
	return Days{Common: common("days"), Days: 30, Rows: 48, Hours: 2, Waver: 0.1, Tolerance: 1.5, Gain: 0.2}
}

// DayRow is what one method did over all days but the first, which all of them learn from.
type DayRow struct {
	Method    string   `json:"method"`
	Days      int      `json:"days"`
	MAE       float64  `json:"mae_ms"`  // mean over days
	Log       float64  `json:"mae_log"` //
	TrainS    float64  `json:"train_cpu_s_per_day"`
	Trained   float64  `json:"trainings_per_day"` // of assignments
	Models    int      `json:"models"`            // at the end
	Ratio     *float64 `json:"mae_ratio,omitempty"`
	RatioLow  *float64 `json:"mae_ratio_ci95_low,omitempty"`
	RatioHigh *float64 `json:"mae_ratio_ci95_high,omitempty"`
	Saved     *float64 `json:"train_saved_share,omitempty"`
}

// DayDetail is each day.
type DayDetail struct {
	To    string   `json:"ratios_to"` // a method
	Days  []Day    `json:"days"`
	Notes []string `json:"notes,omitempty"`
}

// Day is one day.
type Day struct {
	Day     int                `json:"day"`
	Pattern string             `json:"pattern"`
	Release string             `json:"release,omitempty"`
	Log     map[string]float64 `json:"mae_log"` // by method
	CPU     map[string]float64 `json:"train_cpu_s"`
	Added   []string           `json:"models_added,omitempty"` // labels of assignments that learnt one more
}

func (d *Days) pattern(day int) string {
	for _, s := range d.Special {
		if s.Day == day {
			return s.Pattern
		}
	}
	return d.Week[(day-1)%len(d.Week)]
}

// runs are a day's, in order of time; blueprint is the application as it is then.
func (d *Days) runs(app *foresail.App, bp *foresail.Blueprint, day int) ([]simulated.Run, error) {
	p := d.Patterns[d.pattern(day)]
	mix, err := shares(app, p.Mix)
	if err != nil {
		return nil, cli.Usage(fmt.Errorf("patterns: %s: mix: %w", d.pattern(day), err))
	}
	var out []simulated.Run
	for i := range d.Rows {
		s := seedOf(d.Seed, "day", day*100_000+i)
		r := rand.New(rand.NewPCG(s, 0xda))
		hour := 24 * float64(i) / float64(d.Rows)
		rate := p.Load.From + (p.Load.To-p.Load.From)*(0.5-0.5*math.Cos(2*math.Pi*(hour-3)/24))
		m := slices.Clone(mix)
		for k := range m {
			m[k] *= math.Exp(d.Waver * r.NormFloat64())
		}
		out = append(out, simulated.Run{Rate: rate * math.Exp(0.1*r.NormFloat64()), Mix: m, Seed: s, Blueprint: bp})
	}
	return out, nil
}

// released is an application in which a service's work takes so many times as much CPU.
func released(bp *foresail.Blueprint, r release) (*foresail.Blueprint, error) {
	id, ok := bp.App.ServiceByName(r.Service)
	if !ok {
		return nil, cli.Usage(fmt.Errorf("releases: there is no service %s", r.Service))
	}
	out := *bp
	out.Services = slices.Clone(bp.Services)
	s := &out.Services[id]
	s.Operations = slices.Clone(s.Operations)
	for i := range s.Operations {
		s.Operations[i].Steps = heavier(s.Operations[i].Steps, r.CPU)
	}
	return &out, nil
}

func heavier(steps []foresail.Step, by float64) []foresail.Step {
	steps = slices.Clone(steps)
	for i := range steps {
		steps[i].Work.CPU.Mean *= by
		steps[i].Calls = slices.Clone(steps[i].Calls)
		for k := range steps[i].Calls {
			steps[i].Calls[k].Miss = heavier(steps[i].Calls[k].Miss, by)
		}
	}
	return steps
}

// cpu is the processor time of this process, which a busy machine does not lengthen as it does the clock's.
func cpu() time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// Measure simulates all days, and then has each method live through them.
func (d *Days) Measure(ctx context.Context, dir string, tell progress) ([]DayRow, *DayDetail, error) {
	maker, err := d.maker(dir)
	if err != nil {
		return nil, nil, cli.Usage(err)
	}
	if len(d.Methods) == 0 {
		d.Methods = dayMethods
	}
	detail := &DayDetail{To: "daily", Days: []Day{}}
	bp := maker.Blueprint
	var samples []*simulated.Sample
	for day := 1; day <= d.Days; day++ {
		one := Day{Day: day, Pattern: d.pattern(day), Log: map[string]float64{}, CPU: map[string]float64{}}
		for _, r := range d.Releases {
			if r.Day == day {
				if bp, err = released(bp, r); err != nil {
					return nil, nil, err
				}
				one.Release = r.Service
			}
		}
		runs, err := d.runs(maker.Blueprint.App, bp, day)
		if err != nil {
			return nil, nil, err
		}
		s, err := maker.Make(ctx, runs, func(i int) {
			tell(0.6*(float64(day-1)+float64(i)/float64(d.Rows))/float64(d.Days), fmt.Sprintf("simulating day %d", day))
		})
		if err != nil {
			return nil, nil, err
		}
		samples, detail.Days = append(samples, s), append(detail.Days, one)
	}
	services, notes, err := maker.Services(d.Target, samples...)
	if err != nil {
		return nil, nil, err
	}
	detail.Notes = notes
	tables := make([]*latency.Table, len(samples))
	for i, s := range samples {
		j, err := simulated.Join(s)
		if err != nil {
			return nil, nil, err
		}
		if tables[i], _, _, err = j.Table(labels(services, d.Target)); err != nil {
			return nil, nil, err
		}
		if tables[i].Rows() < 12 {
			return nil, nil, fmt.Errorf("day %d has %d whole rows: lengthen the interval, or raise the load", i+1, tables[i].Rows())
		}
	}
	l := &living{d: d, services: services, tables: tables, detail: detail, abs: map[string][]float64{}, log: map[string][]float64{}}
	rows := []DayRow{}
	for i, name := range d.Methods {
		row, err := l.live(ctx, name, func(day int) {
			tell(0.6+0.4*(float64(i)+float64(day)/float64(d.Days))/float64(len(d.Methods)), fmt.Sprintf("%s, day %d", name, day))
		})
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", name, err)
		}
		rows = append(rows, row)
	}
	l.compare(rows)
	return rows, detail, nil
}

// living is days, lived through by several methods.
type living struct {
	d        *Days
	services []compose.Service
	tables   []*latency.Table
	detail   *DayDetail
	abs, log map[string][]float64 // by method and day, of all days but the first
}

// method predicts, and learns.
type method struct {
	graph *latency.Graph
	// seen is told the rows of every few hours, and whether these end the day.
	seen func(table *latency.Table, day int, end bool) (trained int, added []string, err error)
	// morning is told that a day begins.
	morning func(day int) (trained int, err error)
	models  func() int
}

func (l *living) live(ctx context.Context, name string, tell func(int)) (DayRow, error) {
	row := DayRow{Method: name, Days: len(l.tables) - 1}
	var m *method
	var total time.Duration
	trained := 0
	for day := range l.tables {
		if err := ctx.Err(); err != nil {
			return row, err
		}
		tell(day)
		if day == 0 {
			var err error
			if m, err = l.method(name); err != nil {
				return row, err
			}
			continue
		}
		var spent time.Duration
		timed := func(f func() error) error {
			began := cpu()
			err := f()
			spent += cpu() - began
			return err
		}
		if m.morning != nil {
			if err := timed(func() error { n, err := m.morning(day); trained += n; return err }); err != nil {
				return row, err
			}
		}
		t := l.tables[day]
		step := max(l.d.Rows*l.d.Hours/24, 1)
		var abs, log []float64
		for from := 0; from < t.Rows(); from += step {
			block := slice(t, from, from+step)
			a, b, err := l.d.off(m.graph, block)
			if err != nil {
				return row, err
			}
			abs, log = append(abs, a...), append(log, b...)
			if m.seen == nil {
				continue
			}
			if err := timed(func() error {
				n, added, err := m.seen(slice(t, 0, from+step), day, from+step >= t.Rows())
				trained += n
				l.detail.Days[day].Added = append(l.detail.Days[day].Added, added...)
				return err
			}); err != nil {
				return row, err
			}
		}
		total += spent
		l.abs[name], l.log[name] = append(l.abs[name], mean(abs)), append(l.log[name], mean(log))
		l.detail.Days[day].Log[name], l.detail.Days[day].CPU[name] = cli.Round(mean(log)), cli.Round(spent.Seconds())
	}
	days := float64(row.Days)
	row.MAE, row.Log = cli.Round(1000*mean(l.abs[name])), cli.Round(mean(l.log[name]))
	row.TrainS, row.Trained, row.Models = total.Seconds()/days, cli.Round(float64(trained)/days), m.models()
	return row, nil
}

// mostRows bounds what the methods that learn from all days learn from: evenly spaced rows.
const mostRows = 200

// past is the rows of all days before one, thinned.
func (l *living) past(day int) (*latency.Table, error) {
	names := l.tables[0].Names()
	cols := make([][]float64, len(names))
	for _, t := range l.tables[:day] {
		for i, n := range names {
			c, _ := t.Column(n)
			cols[i] = append(cols[i], c...)
		}
	}
	t, err := latency.NewTable(names, cols)
	if err != nil {
		return nil, err
	}
	n := t.Rows()
	if n <= mostRows {
		return t, nil
	}
	rows := make([]int, mostRows)
	for i := range rows {
		rows[i] = i * n / mostRows
	}
	return t.Pick(rows), nil
}

// method makes a method that has learnt from the first day.
func (l *living) method(name string) (*method, error) {
	m := &method{}
	learn := func(t *latency.Table) (n int, err error) {
		switch {
		case strings.HasPrefix(name, "monolith"):
			kinds := []learner.Kind{learner.Scaled}
			if name == "monolith-all" {
				kinds = []learner.Kind{learner.Trees}
			}
			m.graph, err = l.d.monolith(l.services, t, l.d.Seed, kinds...)
			return 1, err
		}
		var vertices []compose.Vertex
		m.graph, vertices, err = l.d.fit(l.services, t, l.d.Seed)
		return len(vertices), err
	}
	if _, err := learn(l.tables[0]); err != nil {
		return nil, err
	}
	m.models = func() int { return len(m.graph.Labels()) }
	switch name {
	case "daily", "monolith-daily":
		m.morning = func(day int) (int, error) { return learn(l.tables[day-1]) }
	case "daily-all", "monolith-all":
		m.morning = func(day int) (int, error) {
			t, err := l.past(day)
			if err != nil {
				return 0, err
			}
			return learn(t)
		}
	case "reuse":
		return m, l.reuse(m)
	}
	return m, nil
}

// reuse has assignments keep models of earlier days.
func (l *living) reuse(m *method) error {
	cfg := recur.Default()
	cfg.Learn, cfg.Tolerance, cfg.Gain = l.d.learn(l.d.Seed), l.d.Tolerance, l.d.Gain
	cfg.Weight.Seed = l.d.Seed
	own := map[string]float64{}
	for _, label := range m.graph.Labels() { // out-of-fold errors are relative to the middle
		a := m.graph.Assignment(label)
		y, _ := l.tables[0].Column(label)
		sorted := slices.Sorted(slices.Values(y))
		own[label] = a.Trained(0).Error / sorted[len(sorted)/2]
	}
	k, err := recur.New(cfg, m.graph, own)
	if err != nil {
		return err
	}
	m.models = k.Models
	m.seen = func(t *latency.Table, day int, end bool) (trained int, added []string, err error) {
		window := l.d.Rows / 4
		if err := k.Weigh(slice(t, t.Rows()-window, t.Rows())); err != nil {
			return 0, nil, err
		}
		if end {
			var tried []string
			if tried, added, err = k.End(t, fmt.Sprintf("day %d", day+1)); err != nil {
				return 0, nil, err
			}
			trained = len(tried)
		}
		m.graph = k.Graph()
		return trained, added, nil
	}
	return nil
}

// compare sets the methods against retraining each day.
func (l *living) compare(rows []DayRow) {
	to := slices.IndexFunc(rows, func(r DayRow) bool { return r.Method == l.detail.To })
	if to < 0 {
		return
	}
	for i := range rows {
		r := &rows[i]
		saved := cli.Round(1 - r.TrainS/max(rows[to].TrainS, 1e-9))
		ratio, low, high := evaluate.Ratio(l.abs[r.Method], l.abs[l.detail.To], 0)
		ratio, low, high = cli.Round(ratio), cli.Round(low), cli.Round(high)
		if i != to {
			r.Saved, r.Ratio, r.RatioLow, r.RatioHigh = &saved, &ratio, &low, &high
		}
	}
	for i := range rows {
		rows[i].TrainS = cli.Round(rows[i].TrainS)
	}
}
