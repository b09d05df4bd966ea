package demos

import (
	"fmt"
	"io"
	"slices"
	"time"

	"foresail.dev"
	"foresail.dev/fault"
	"foresail.dev/loop"
	"foresail.dev/model/diagnose/resource"
	"foresail.dev/sketch"
)

// Outcome is what became of one fault, in the run that is shown and in the one beside.
type Outcome struct {
	Fault         string   `json:"fault"`
	At            float64  `json:"at_s"`                 // since the start
	Foreseen      *float64 `json:"foreseen_s,omitempty"` // since the fault began; absent: it was not
	Service       string   `json:"service,omitempty"`    // that was expected to start a violation
	Resource      string   `json:"resource,omitempty"`   // that was found at fault there
	Missed        int      `json:"missed_windows"`
	MissedBeside  int      `json:"missed_windows_beside"`
	Endpoint      string   `json:"endpoint,omitempty"` // the worst of the run beside
	Latency       *float64 `json:"latency_ms,omitempty"`
	LatencyBeside *float64 `json:"latency_beside_ms,omitempty"`
	Objective     float64  `json:"objective_ms,omitempty"`
	CoresAdded    float64  `json:"core_s_added"` // of all services, over the run beside
}

// Story watches both runs, and tells what becomes of each fault. It knows what is injected; no manager does.
type Story struct {
	Outcomes []Outcome

	app    *foresail.App
	faults []fault.Fault
	name   string // of the run beside
	w      io.Writer
	start  time.Time
	beats  []*foresail.Snapshot // the newest of the run that is shown
	sides  [2]side
	next   int      // fault that is to begin
	now    *Outcome // the fault at hand; nil: none
	until  time.Time
	look   time.Time // when the resource is looked for; zero: not
	culp   foresail.ServiceID
	raised bool
}

// side is one of the two runs.
type side struct {
	judges  []*foresail.Judge
	before  int // missed windows when the fault at hand began
	latency []*sketch.Sketch
	cores   float64 // core-seconds since then
}

const (
	shown = iota
	other
)

// The stretches that are compared to find the resource at fault.
const (
	looked  = 2 * time.Second
	wasWell = 15 * time.Second
)

// NewStory tells a person what becomes of faults; name is what the run beside is called.
func NewStory(app *foresail.App, faults []fault.Fault, name string, w io.Writer) *Story {
	s := &Story{app: app, faults: faults, name: name, w: w}
	for k := range s.sides {
		for i := range app.Endpoints {
			var j *foresail.Judge
			if o := app.Endpoints[i].Objective; o != nil {
				j = foresail.NewJudge(foresail.EndpointID(i), *o)
			}
			s.sides[k].judges = append(s.sides[k].judges, j)
			s.sides[k].latency = append(s.sides[k].latency, sketch.New())
		}
	}
	return s
}

// Beside are the events of the run beside.
func (s *Story) Beside() loop.Events {
	return loop.Events{Observed: func(_ *foresail.History, b *foresail.Snapshot) { s.sides[other].observe(b) }}
}

// Events are those of the run that is shown.
func (s *Story) Events() loop.Events { return loop.Events{Observed: s.observed, Decided: s.decided} }

func (x *side) observe(b *foresail.Snapshot) {
	for i, j := range x.judges {
		if j == nil {
			continue
		}
		j.Add(b)
		if i < len(b.Endpoints) && b.Has.Has(foresail.SignalEndpoints) {
			x.latency[i].Merge(b.Endpoints[i].Latency)
		}
	}
	if t := b.Totals(); t.Held {
		x.cores += t.Cores * b.Duration().Seconds()
	}
}

func (x *side) missed() (n int) {
	for _, j := range x.judges {
		if j != nil {
			n += j.Violated
		}
	}
	return n
}

func (x *side) begin() {
	x.before, x.cores = x.missed(), 0
	for i := range x.latency {
		x.latency[i] = sketch.New()
	}
}

func (s *Story) observed(_ *foresail.History, b *foresail.Snapshot) {
	if s.start.IsZero() {
		s.start = b.Start
	}
	s.sides[shown].observe(b)
	s.beats = append(s.beats, b)
	if most := int((wasWell + 2*looked) / foresail.Beat); len(s.beats) > most {
		s.beats = slices.Delete(s.beats, 0, len(s.beats)-most)
	}
	if s.now != nil && !s.look.IsZero() && !b.End.Before(s.look) {
		s.diagnose()
	}
	if s.now != nil && !b.End.Before(s.until) {
		s.end(b.End)
	}
	if s.next < len(s.faults) && s.now == nil && !b.End.Before(s.start.Add(s.faults[s.next].At)) {
		f := &s.faults[s.next]
		s.next++
		s.Outcomes = append(s.Outcomes, Outcome{Fault: f.String(), At: f.At.Seconds()})
		s.now, s.look, s.raised = &s.Outcomes[len(s.Outcomes)-1], time.Time{}, false
		s.until = s.start.Add(f.At + f.For + faultOver)
		s.sides[shown].begin()
		s.sides[other].begin()
		s.say(b.End, "injected: %s on %s, for %s", f.Kind, f.Target, f.For)
	}
}

func (s *Story) say(at time.Time, format string, a ...any) {
	fmt.Fprintf(s.w, "%s  %s\n", at.Format("15:04:05.0"), fmt.Sprintf(format, a...))
}

func (s *Story) decided(d loop.Decision) {
	if d.Plan == nil {
		return
	}
	for _, a := range d.Plan.Alarms {
		s.say(d.At, "foreseen: %s", a.Text)
		if s.now != nil && s.now.Foreseen == nil {
			after := d.At.Sub(s.start).Seconds() - s.now.At
			s.now.Foreseen, s.now.Service = &after, s.app.Services[a.Service].Name
			s.look, s.culp = d.At.Add(looked), a.Service
		}
	}
	for _, c := range d.Changed() {
		if c.Reason.Rule == "seer/danger" && s.now != nil && !s.raised && c.Service == s.culp {
			s.raised = true
			before := "?"
			if int(c.Service) < len(d.Before) {
				before = d.Before[c.Service].String()
			}
			s.say(d.At, "acted: %s gets %s in place of %s", s.app.Services[c.Service].Name, c.To, before)
		}
	}
}

// diagnose looks for the resource at fault at the service that was named.
func (s *Story) diagnose() {
	s.look = time.Time{}
	k := int(looked / foresail.Beat)
	if len(s.beats) <= 2*k {
		return
	}
	at := s.beats[len(s.beats)-1].End
	d, err := resource.Diagnose(s.app, s.culp, s.beats[:len(s.beats)-2*k], s.beats[len(s.beats)-k:], resource.Config{})
	switch {
	case err != nil:
		s.say(at, "the resource at fault can't be told: %v", err)
	case len(d.Findings) == 0:
		s.say(at, "no resource holds %s up any more", s.app.Services[s.culp].Name)
	default:
		s.now.Resource = d.Findings[0].Resource.String()
		s.say(at, "explained: %s at %s: %s", s.now.Resource, s.app.Services[s.culp].Name, d.Findings[0].Evidence)
	}
}

// end tells what became of the fault at hand.
func (s *Story) end(at time.Time) {
	o := s.now
	s.now = nil
	o.Missed, o.MissedBeside = s.sides[shown].missed()-s.sides[shown].before, s.sides[other].missed()-s.sides[other].before
	o.CoresAdded = s.sides[shown].cores - s.sides[other].cores
	worst := 0.0
	for i := range s.app.Endpoints {
		e := &s.app.Endpoints[i]
		if e.Objective == nil {
			continue
		}
		q := e.Objective.Percentile / 100
		a, b := s.sides[shown].latency[i].Quantile(q), s.sides[other].latency[i].Quantile(q)
		if v := b / e.Objective.Latency.Seconds(); v > worst && a == a {
			worst = v
			a, b = a*1e3, b*1e3
			o.Endpoint, o.Objective, o.Latency, o.LatencyBeside = e.Name, e.Objective.Latency.Seconds()*1e3, &a, &b
		}
	}
	what := "nothing was missed either way"
	switch {
	case o.Missed == 0 && o.MissedBeside > 0:
		what = "avoided"
	case o.Missed > 0 && o.Missed < o.MissedBeside:
		what = "made shorter"
	case o.Missed > 0:
		what = "not avoided"
	}
	s.say(at, "%s: windows missed %d, %s %d%s; %+.1f core-seconds", what, o.Missed, s.name, o.MissedBeside, o.latencies(), o.CoresAdded)
}

func (o *Outcome) latencies() string {
	if o.Latency == nil {
		return ""
	}
	return fmt.Sprintf("; %s in %.0f ms, there %.0f ms, of %.0f", o.Endpoint, *o.Latency, *o.LatencyBeside, o.Objective)
}
