package export

import (
	"errors"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"foresail.dev"
	"foresail.dev/loop"
)

// decisions holds what was decided, why, and how the objectives fare.
type decisions struct {
	app           *foresail.App
	manager, mode string
	hold          time.Duration

	last       *foresail.Snapshot
	objectives []*objective // by EndpointID; nil: none
	plan       map[foresail.ServiceID]foresail.Allocation
	planAt     time.Time
	changes    map[foresail.ServiceID]float64
	refused    map[foresail.ServiceID]float64
	alarms     map[foresail.ServiceID]float64
	forecasts  []foresail.Forecast
	rules      bounded
	bounds     bounded
	outcomes   [len(outcomes)]float64
	failed     float64 // of outcomes, in which the manager failed
	took       prometheus.Histogram
	fallback   bool
	fallbacks  float64
}

// objective is an endpoint's, and how it was judged.
type objective struct {
	foresail.Objective
	judge *foresail.Judge
}

var outcomes = [...]string{"changed", "kept", "failed"}

func newDecisions(cfg Config) *decisions {
	d := &decisions{manager: cfg.Manager, mode: cfg.Mode.String(), hold: cfg.Hold,
		plan: map[foresail.ServiceID]foresail.Allocation{}, changes: map[foresail.ServiceID]float64{}, refused: map[foresail.ServiceID]float64{}, alarms: map[foresail.ServiceID]float64{},
		rules: bounded{}, bounds: bounded{}}
	f := own["foresail_decision_duration_seconds"]
	d.took = prometheus.NewHistogram(prometheus.HistogramOpts{Name: f.Name, Help: f.Help, ConstLabels: prometheus.Labels{"application": cfg.App.Name},
		Buckets: prometheus.ExponentialBuckets(1e-5, 4, 12), NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: 160})
	d.follow(cfg.App)
	return d
}

// follow goes on with another generation of the application.
func (d *decisions) follow(app *foresail.App) {
	d.app = app
	for i := range app.Endpoints {
		for len(d.objectives) <= i {
			d.objectives = append(d.objectives, nil)
		}
		switch o := app.Endpoints[i].Objective; {
		case o == nil:
			d.objectives[i] = nil
		case d.objectives[i] == nil || d.objectives[i].Objective != *o:
			j := foresail.NewJudge(foresail.EndpointID(i), *o)
			j.Hold = d.hold
			d.objectives[i] = &objective{*o, j}
		}
	}
	for i := range app.Services {
		if app.Services[i].Gone {
			delete(d.plan, foresail.ServiceID(i))
		}
	}
}

func (d *decisions) observe(app *foresail.App, s *foresail.Snapshot) {
	if app != d.app {
		d.follow(app)
	}
	d.last = s
	for _, o := range d.objectives {
		if o != nil {
			o.judge.Add(s)
		}
	}
}

func (d *decisions) take(x *loop.Decision) {
	d.mode = x.Mode.String()
	d.took.Observe(x.Took.Seconds())
	changed := x.Changed()
	switch {
	case x.Err != nil:
		d.outcomes[2]++
	case len(changed) > 0:
		d.outcomes[0]++
	default:
		d.outcomes[1]++
	}
	for _, c := range changed {
		d.changes[c.Service]++
	}
	d.errors(x)
	p := x.Plan
	if p == nil {
		return
	}
	if p.Manager != "" {
		d.manager = p.Manager
	}
	if now := p.Fallback != ""; now != d.fallback {
		if d.fallback = now; now {
			d.fallbacks++
		}
	}
	d.planAt = p.At
	if len(p.Forecasts) > 0 {
		d.forecasts = p.Forecasts
	}
	for _, a := range p.Alarms {
		d.alarms[a.Service]++
	}
	for _, c := range p.Changes {
		d.plan[c.Service] = c.To
		if c.Reason.Rule != "" {
			d.rules.add(c.Reason.Rule)
		}
		if c.Reason.Bound != "" {
			d.bounds.add(c.Reason.Bound)
		}
	}
}

// errors counts what failed: the manager, or the cluster for some services or for all.
func (d *decisions) errors(x *loop.Decision) {
	var refused *foresail.ApplyError
	switch {
	case x.Err == nil:
	case !x.Applied:
		d.failed++
	case errors.As(x.Err, &refused):
		for id := range refused.Failed {
			d.refused[id]++
		}
	default:
		for _, c := range x.Plan.Changes {
			d.refused[c.Service]++
		}
	}
}

func (d *decisions) collect(b *board) {
	b.put("foresail_manager_info", 1, d.manager, d.mode)
	if d.last != nil {
		b.put("foresail_application_last_snapshot_timestamp_seconds", unix(d.last.End))
		t := d.last.Totals()
		if t.Held {
			b.put("foresail_application_held_cores", t.Cores)
		}
		if t.Known {
			b.put("foresail_application_used_cores", t.Used)
		}
	}
	d.collectObjectives(b)
	d.collectPlan(b)
	d.collectForecasts(b)
	for i, name := range outcomes {
		b.put("foresail_decisions_total", d.outcomes[i], name)
	}
	b.put("foresail_decision_errors_total", d.failed)
	b.emit(d.took)
	b.put("foresail_fallback_active", oneIf(d.fallback))
	b.put("foresail_fallbacks_total", d.fallbacks)
}

func (d *decisions) collectPlan(b *board) {
	replicas, cpu, memory := map[string]float64{}, map[string]float64{}, map[string]float64{}
	for id, a := range d.plan {
		name := d.service(id)
		replicas[name], cpu[name] = float64(a.Replicas), a.CPU
		if a.Memory > 0 {
			memory[name] = float64(a.Memory)
		}
	}
	b.each("foresail_plan_replicas", replicas)
	b.each("foresail_plan_cpu_cores", cpu)
	b.each("foresail_plan_memory_bytes", memory)
	if !d.planAt.IsZero() {
		b.put("foresail_plan_timestamp_seconds", unix(d.planAt))
	}
	b.each("foresail_plan_changes_total", d.named(d.changes))
	b.each("foresail_alarms_total", d.named(d.alarms))
	b.each("foresail_apply_errors_total", d.named(d.refused))
	b.each("foresail_plan_reasons_total", d.rules)
	b.each("foresail_plan_bounds_total", d.bounds)
}

// named is counts by service name, zero where nothing was counted: a counter that is there from the start has a rate.
func (d *decisions) named(counts map[foresail.ServiceID]float64) map[string]float64 {
	out := map[string]float64{}
	for i := range d.app.Services {
		if !d.app.Services[i].Gone {
			out[d.app.Services[i].Name] = counts[foresail.ServiceID(i)]
		}
	}
	return out
}

func (d *decisions) service(id foresail.ServiceID) string {
	if id < 0 || int(id) >= len(d.app.Services) {
		return Other
	}
	return d.app.Services[id].Name
}

// collectObjectives puts up objectives and judgements. Of endpoints beyond the limit only counts are told, as Other.
func (d *decisions) collectObjectives(b *board) {
	windows, missed, episodes := map[string]float64{}, map[string]float64{}, map[string]float64{}
	shown := 0
	for i, o := range d.objectives {
		if o == nil {
			continue
		}
		name, j := d.app.Endpoints[i].Name, o.judge
		if shown++; shown > b.limit {
			name = Other
		} else {
			b.put("foresail_objective_latency_seconds", o.Latency.Seconds(), name)
			b.put("foresail_objective_percentile", o.Percentile, name)
			b.put("foresail_objective_window_seconds", o.WindowOrDefault().Seconds(), name)
			b.put("foresail_objective_violated", oneIf(j.Last.Violated), name)
			b.put("foresail_objective_budget_left_ratio", j.BudgetLeft(), name)
		}
		windows[name] += float64(j.Windows)
		missed[name] += float64(j.Violated)
		episodes[name] += float64(j.EpisodeCount())
	}
	b.each("foresail_objective_windows_total", windows)
	b.each("foresail_objective_violations_total", missed)
	b.each("foresail_objective_episodes_total", episodes)
}

// collectForecasts puts up the newest forecast of each service, for the interval that comes first.
func (d *decisions) collectForecasts(b *board) {
	means := map[string]float64{}
	for i := range d.forecasts {
		f := &d.forecasts[i]
		name, over := d.service(f.Service), f.To.Sub(f.From).Seconds()
		if _, told := means[name]; told || over <= 0 {
			continue
		}
		means[name] = f.Arrivals / over
		if len(means) > b.limit {
			continue
		}
		b.put("foresail_forecast_timestamp_seconds", unix(f.From), name)
		for _, q := range f.Quantiles {
			b.put("foresail_forecast_arrivals_per_second_quantile", q.Arrivals/over, strconv.FormatFloat(q.Share, 'g', 4, 64), name)
		}
	}
	b.each("foresail_forecast_arrivals_per_second", means)
}

func unix(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }

func oneIf(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
