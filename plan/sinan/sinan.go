package sinan

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"foresail.dev"
	"foresail.dev/model/tail"
	"foresail.dev/plan"
)

// Manager is "sinan".
type Manager struct {
	c     Config
	model Model // nil: there is none
	state state

	app        *foresail.App // that fit was asked for
	unfit      error
	reference  float64 // ms
	percentile int     // which of tail.Percentiles the objectives are of
	margin     float64 // ms, while trusted

	seen       observation // scratch
	candidates candidates
	predicted  []tail.Prediction
	totals     [][]float64
	held       []float64
}

// New builds a manager for an application, or tells every fault of c. A model that is nil or does not fit the application
// is no error here: then Decide fails with ErrNoModel, and the guard falls back. The scheduler draws nothing, so seed is
// without effect.
func New(app *foresail.App, model *tail.Model, c Config, seed uint64) (*Manager, error) {
	if model == nil {
		return With(app, nil, c)
	}
	return With(app, trained{model, model.Predictor()}, c)
}

// With is New for any Model; nil: there is none.
func With(app *foresail.App, model Model, c Config) (*Manager, error) {
	if app == nil {
		return nil, errors.New("sinan: no application")
	}
	c, err := c.withDefaults()
	if err != nil {
		return nil, err
	}
	m := &Manager{c: c, model: model}
	m.state.grow(len(app.Services))
	return m, nil
}

// Name is "sinan".
func (m *Manager) Name() string { return "sinan" }

// Needs asks for a decision each second, on what users saw and what services used and have.
func (m *Manager) Needs() foresail.Needs {
	return foresail.Needs{Every: tail.Interval, Required: foresail.SignalEndpoints | foresail.SignalCPU | foresail.SignalAllocation,
		Optional: foresail.SignalReady | foresail.SignalMemory | foresail.SignalInFlight | foresail.SignalArrivals | foresail.SignalThrottled,
		Beats:    int(tail.Interval / foresail.Beat), Seconds: lookback}
}

// first is how many decisions are for the maximum before the model is asked, as in the artefact.
const first = 5

// Decide takes the cheapest candidate that the model predicts to be safe. It fails with ErrNoModel where there is no model of
// the application as it is now, with ErrStale where the last second was not observed, and with the model's own errors.
func (m *Manager) Decide(h *foresail.History) (*foresail.Plan, error) {
	if err := m.fit(h.App()); err != nil {
		return nil, err
	}
	o, err := m.observe(h)
	if err != nil {
		return nil, err
	}
	s := &m.state
	s.grow(len(o.app.Services))
	if o.at.Before(s.Now) {
		s.restart()
	}
	if o.at.Equal(s.Now) {
		return nil, nil // nothing is new
	}
	d := &decision{m: m, o: o, draft: plan.NewDraft(h, m.Name())}
	m.came(d)
	m.score(d)
	o.now.lowered, o.now.before = s.Lowered, s.Before
	d.foresee(nil)
	if err := m.decide(d); err != nil {
		return nil, err
	}
	s.Now = o.at
	s.Age++
	return d.draft.Plan(), nil
}

// fit asks once for each version of an application whether the model is of it.
func (m *Manager) fit(app *foresail.App) error {
	if app == m.app {
		return m.unfit
	}
	m.app, m.unfit = app, nil
	if m.model == nil {
		m.unfit = fmt.Errorf("sinan: %w of %s: train one with `foresail train sinan` and name its file with model (--model)", foresail.ErrNoModel, app.Name)
		return m.unfit
	}
	if err := m.model.Fits(app); err != nil {
		m.unfit = fmt.Errorf("sinan: %w: %w: give the model of this application, or train one with `foresail train sinan`", foresail.ErrNoModel, err)
		return m.unfit
	}
	m.reference, m.percentile = tail.Reference(app), strictest(app)
	m.margin = m.c.Margin * m.model.Margin()
	return nil
}

// strictest is the first of tail.Percentiles that is at least as high as that of any objective.
func strictest(app *foresail.App) int {
	highest := 0.0
	for i := range app.Endpoints {
		if o := app.Endpoints[i].Objective; o != nil {
			highest = max(highest, o.Percentile/100)
		}
	}
	for i, p := range tail.Percentiles {
		if p >= highest-1e-9 {
			return i
		}
	}
	return len(tail.Percentiles) - 1
}

// decide chooses the rule and fills in the plan.
func (m *Manager) decide(d *decision) error {
	o, s := d.o, &m.state
	enough := len(o.steps) >= m.model.Steps()
	if enough {
		m.careful(d)
	}
	list := m.candidates.make(&o.now)
	d.list = list
	if s.Trust.lost() {
		d.draft.Note(m.mistrust())
	}
	switch {
	case s.Age < first:
		d.take(1, "sinan/start", fmt.Sprintf("it begins with every service at its maximum, for %d decisions", first))
		return nil
	case o.at.Before(s.Boost):
		why := fmt.Sprintf("a violation of %s had been predicted safe: everything is at its maximum until %s", d.boosted(), s.Boost.UTC().Format(time.TimeOnly))
		d.draft.Note(why)
		d.take(1, "sinan/boost", why)
		return nil
	case !enough:
		d.draft.Note(fmt.Sprintf("kept: %d of the %d seconds that the model looks at were observed without a gap", len(o.steps), m.model.Steps()))
		m.forget()
		return nil
	}
	if err := m.model.Look(o.steps); err != nil {
		m.forget()
		return fmt.Errorf("sinan: %w", err)
	}
	m.totals = m.totals[:0]
	for i := range list {
		m.totals = append(m.totals, list[i].cores)
	}
	m.predicted = sized(m.predicted, len(list))
	m.model.Try(m.totals, m.predicted)
	d.p = m.predicted
	d.limits = m.limits(d)
	i := choose(list, d.p, &d.limits, d.inside)
	d.decided(i)
	return nil
}

// careful is how it lowers where the model was trained on nothing like what is: nothing beyond Outside's utilisation.
func (m *Manager) careful(d *decision) {
	w := &d.o.now
	held := m.held[:0]
	for i := range w.cores {
		held = append(held, max(w.cores[i], w.floor[i]))
	}
	m.held = held
	out := m.model.Outside(d.o.steps, held)
	if len(out) == 0 {
		return
	}
	d.outside = true
	for i := range w.low {
		if g := w.grids[i]; g.unit > 0 {
			w.low[i] = max(w.low[i], g.up(w.busy[i]/m.c.Outside))
		}
	}
	d.draft.Note(fmt.Sprintf("outside what the model was trained on, so nothing is lowered to where it would use more than %.0f %% of its cores: %s", m.c.Outside*100, join(out)))
}

// limits are those of a decision; notes say what narrows them.
func (m *Manager) limits(d *decision) limits {
	margin := m.margin
	l := limits{percentile: m.percentile, down: m.c.Down, up: m.c.Up, lower: true, hold: true}
	if m.state.Trust.lost() {
		margin *= m.c.Widen
		d.refuse(&l, m.mistrust(), false)
	}
	l.latency = m.reference - min(margin, m.reference/2) // with more than that nothing were ever safe
	if ok, why := m.steady(d.o); !ok {
		d.refuse(&l, "nothing is lowered: "+why, false)
	}
	if v := d.o.violated; v != "" {
		l.hold = false
		d.refuse(&l, "nothing is lowered or held: "+v+" misses its objective now", false)
	}
	return l
}

// mistrust says what is lost and what brings it back.
func (m *Manager) mistrust() string {
	t := &m.state.Trust
	return fmt.Sprintf("%d of the last %d predictions missed a violation: nothing is lowered and the margin is %.0f ms until %d in a row are right (%d are)",
		t.missed(), len(t.Ring), m.margin*m.c.Widen, m.c.Earn, t.Right)
}

// came looks at what became of the last decision: a service that the cluster left as it was, three times in a row, is left
// alone for a while.
func (m *Manager) came(d *decision) {
	var names []string
	for i := range d.o.app.Services {
		svc := &m.state.Services[i]
		have := d.o.have[i]
		if svc.Asked > 0 && !math.IsNaN(have) && !d.o.pending[i] {
			if !near(have, svc.Asked) && near(have, svc.Before) {
				svc.Refused++
			} else {
				svc.Refused = 0
			}
			if svc.Refused >= refusals {
				svc.Refused, svc.Until = 0, d.o.at.Add(alone)
			}
		}
		if d.o.at.Before(svc.Until) {
			d.o.now.fixed[i] = true
			names = append(names, d.o.app.Services[i].Name)
		}
	}
	if len(names) > 0 {
		d.draft.Note("what was asked for did not come about, so for a while only an emergency asks again: " + join(names))
	}
}

const (
	refusals = 3
	alone    = 30 * time.Second
)

// near reports whether two totals are the same but for what replicas round.
func near(a, b float64) bool { return math.Abs(a-b) <= 0.01+0.01*min(a, b) }

// score holds what was expected of the newest second against what happened in it. Where something has less than it was
// predicted for, nothing can be said; where it has more, as the guard may have it, what was safe is so all the more.
func (m *Manager) score(d *decision) {
	s := &m.state
	e := s.Expected
	if e == nil || !d.o.at.Equal(s.Now.Add(tail.Interval)) || len(e.Cores) > len(d.o.have) {
		return
	}
	exact := true
	for i, c := range e.Cores {
		switch have := d.o.have[i]; {
		case math.IsNaN(have) || near(have, c):
		case have < c:
			return
		default:
			exact = false
		}
	}
	was := d.o.steps[len(d.o.steps)-1].Latency[m.percentile]
	var k mark
	if exact && !math.IsNaN(was) {
		most := 2 * m.reference // far beyond the objective nobody needs to be right
		err := min(was, most) - min(e.Latency, most)
		k.Seen, k.Squared = true, err*err
	}
	miss, changed := s.Trust.score(d.o.at, e.Safe, d.o.violated != "", k, m.c.Misses, m.c.Earn)
	if miss {
		s.Boost = d.o.at.Add(m.c.Boost)
		s.Before = append([]float64(nil), d.o.now.cores...)
		m.learn(d)
	}
	if changed && !s.Trust.lost() {
		d.draft.Note(fmt.Sprintf("%d predictions in a row were right: the model is trusted again", m.c.Earn))
	}
}

// Of what a miss teaches.
const (
	usedUp  = 0.75            // of its cores in one of the seconds that the model looks at: then a service may have been short
	more    = 1.25            // of what it had is what it keeps then
	lessons = 5 * time.Minute // for so long, whatever the model says
)

// learn notes after a miss which services may have been short, and that they are not to be as short again for a while. The
// model would say the same of the same allocation again, and be wrong again.
func (m *Manager) learn(d *decision) {
	for i := range d.o.now.cores {
		peak := 0.0
		for _, s := range d.o.steps {
			if st := &s.Services[i]; st.Cores > 0 {
				peak = max(peak, st.Used*st.Replicas/st.Cores)
			}
		}
		g := d.o.now.grids[i]
		if least := g.up(d.o.now.cores[i] * more); g.unit > 0 && peak > usedUp && least < g.most { // what had nearly all was not short by a mistake
			m.state.Services[i].Least, m.state.Services[i].Taught = least, d.o.at.Add(lessons)
		}
	}
}

// forget drops what was expected and asked for, where the next second says nothing about it.
func (m *Manager) forget() {
	m.state.Expected = nil
	for i := range m.state.Services {
		m.state.Services[i].Asked = 0
	}
}

// acted remembers an action for the victims.
func (s *state) acted(lowered []foresail.ServiceID) {
	if len(s.Lowered) >= remembered {
		s.Lowered = append(s.Lowered[:0], s.Lowered[len(s.Lowered)-remembered+1:]...)
	}
	s.Lowered = append(s.Lowered, slices.Clip(lowered))
}
