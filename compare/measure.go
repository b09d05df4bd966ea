package compare

import (
	"math"
	"slices"
	"time"

	"foresail.dev"
	"foresail.dev/compare/expected"
	"foresail.dev/compare/series"
	"foresail.dev/loop"
	"foresail.dev/sketch"
)

// measure gathers a run from the loop's events.
type measure struct {
	app      *foresail.App
	warm     time.Time // the end of the warm-up
	out      *Outcome
	judged   []judged
	series   *series.Recorder // nil: none is kept
	took     []float64        // milliseconds of each decision
	surges   []series.Stretch
	expected expected.Scores
	now      time.Time

	seconds               float64
	everything            float64 // requests, of all endpoints, warm-up included
	cores, used, replicas mean
}

// judged is an endpoint with an objective.
type judged struct {
	id               foresail.EndpointID
	judge            *foresail.Judge
	latency          *sketch.Sketch
	requests, errors float64
	windows          []foresail.Window // all, where the load has surges
}

// mean is weighted by time.
type mean struct{ sum, weight float64 }

func (m *mean) add(v, w float64) { m.sum += v * w; m.weight += w }

// value is nil where nothing was observed.
func (m *mean) value() *float64 {
	if m.weight <= 0 {
		return nil
	}
	return ptr(round(m.sum / m.weight))
}

func ptr[T any](v T) *T { return &v }

// round keeps three decimals: no figure here is more exact.
func round(v float64) float64 { return math.Round(v*1000) / 1000 }

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// newMeasure measures a run into out; s is nil where nothing over time is kept.
func newMeasure(app *foresail.App, warm time.Time, out *Outcome, s *series.Recorder) *measure {
	m := &measure{app: app, warm: warm, out: out, series: s}
	for i, e := range app.Endpoints {
		if e.Objective != nil {
			id := foresail.EndpointID(i)
			m.judged = append(m.judged, judged{id: id, judge: foresail.NewJudge(id, *e.Objective), latency: sketch.New()})
		}
	}
	return m
}

func (m *measure) observe(app *foresail.App, s *foresail.Snapshot) {
	if m.series != nil {
		m.series.Observe(app, s)
	}
	m.count(s)
	for _, late := range s.Late {
		m.count(late)
	}
	if s.Start.Before(m.warm) {
		return
	}
	m.seconds += s.Duration().Seconds()
	m.now = s.End
	m.expected.Observed(s)
	for i := range m.judged {
		j := &m.judged[i]
		if w, done := j.judge.Add(s); done {
			m.window(j, w)
		}
	}
	w := s.Duration().Seconds()
	t := s.Totals()
	if t.Held {
		m.cores.add(t.Cores, w)
		m.replicas.add(t.Replicas, w)
	}
	if t.Known {
		m.used.add(t.Used, w)
	}
}

// hold lets judgements wait for what becomes known late.
func (m *measure) hold(d time.Duration) {
	for i := range m.judged {
		m.judged[i].judge.Hold = d
	}
}

// count takes in the requests that a snapshot, or a late addition to one, tells of.
func (m *measure) count(s *foresail.Snapshot) {
	if !s.Has.Has(foresail.SignalEndpoints) {
		return
	}
	for i := range s.Endpoints {
		m.everything += s.Endpoints[i].Requests
	}
	if s.Start.Before(m.warm) {
		return
	}
	for i := range m.judged {
		if j := &m.judged[i]; int(j.id) < len(s.Endpoints) {
			e := &s.Endpoints[j.id]
			j.requests += e.Requests
			j.errors += e.Errors
			j.latency.Merge(e.Latency)
		}
	}
}

// window takes a judgement in.
func (m *measure) window(j *judged, w foresail.Window) {
	if w.Violated && m.series != nil {
		m.series.Violated(j.id, w)
	}
	if len(m.surges) > 0 {
		j.windows = append(j.windows, w)
	}
}

func (m *measure) decided(d loop.Decision) {
	o := m.out
	o.Decisions++
	m.took = append(m.took, ms(d.Took))
	if d.Err != nil {
		o.DecisionErrors++
		if !d.Applied {
			o.undecided++
		}
		if o.DecisionError == "" {
			o.DecisionError = d.Err.Error()
		}
	}
	if d.Plan == nil {
		return
	}
	if why := d.Plan.Fallback; why != "" {
		o.Fallbacks++
		if o.Fallback == "" {
			o.Fallback = why
		}
	}
	if d.At.Before(m.warm) {
		return
	}
	o.Alarms += len(d.Plan.Alarms)
	m.expected.Planned(d.Plan)
	for _, c := range d.Changed() {
		o.PlanChanges++
		if int(c.Service) < len(d.Before) && c.To.Replicas != d.Before[c.Service].Replicas {
			o.ScalingActions++
		}
	}
}

// finish writes what was gathered into the outcome.
func (m *measure) finish() {
	o := m.out
	o.Observed = round(m.seconds)
	o.Cores, o.CoresUsed, o.Replicas = m.cores.value(), m.used.value(), m.replicas.value()
	for i := range m.judged {
		j := &m.judged[i]
		if w, done := j.judge.Flush(); done {
			m.window(j, w)
		}
		e := m.app.Endpoints[j.id]
		o.Endpoints = append(o.Endpoints, EndpointOutcome{
			Endpoint: e.Name, Percentile: e.Objective.Percentile, Objective: ms(e.Objective.Latency),
			Requests: j.requests, Errors: j.errors,
			Windows: j.judge.Windows, Violated: j.judge.Violated, Episodes: j.judge.EpisodeCount(),
			P50: quantile(j.latency, 0.5), P95: quantile(j.latency, 0.95), P99: quantile(j.latency, 0.99),
			At: quantile(j.latency, e.Objective.Percentile/100),
		})
	}
	m.recover()
	o.Predictions, o.Columns = m.expected.Columns(m.now, m.app)
	if len(m.took) > 0 {
		slices.Sort(m.took)
		o.DecisionP99 = ptr(round(m.took[int(math.Ceil(0.99*float64(len(m.took))))-1]))
	}
	if m.series != nil {
		o.Series = m.series.Finish()
	}
}

// quantile is in milliseconds; nil where nothing was seen.
func quantile(s *sketch.Sketch, q float64) *float64 {
	v := s.Quantile(q) * 1000
	if math.IsNaN(v) {
		return nil
	}
	return ptr(round(v))
}

// recover notes how a run came out of its surges: the endpoint that took longest counts, and the mean over surges.
func (m *measure) recover() {
	if len(m.surges) == 0 {
		return
	}
	sum := 0.0
	for _, s := range m.surges {
		longest, all := time.Duration(0), true
		for i := range m.judged {
			took, ok := s.Recovery(m.judged[i].windows)
			longest, all = max(longest, took), all && ok
		}
		sum += longest.Seconds()
		if !all {
			m.out.Unrecovered++
		}
	}
	m.out.Surges = len(m.surges)
	m.out.Recovery = ptr(round(sum / float64(len(m.surges))))
}
