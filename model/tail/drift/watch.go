package drift

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"foresail.dev"
	"foresail.dev/model/tail"
)

// Kind is what has drifted.
type Kind string

const (
	Residual    Kind = "residual"    // predictions of p99 are further off than on validation data
	Calibration Kind = "calibration" // violations are more or less frequent than predicted
	Input       Kind = "input"       // an input lies outside of what the model was trained on
	Release     Kind = "release"     // calls of one service have another cost than some minutes ago
	Machine     Kind = "machine"     // calls of nearly all services have
	Services    Kind = "services"    // services came or went: the model can't be adapted, it is to be trained anew
)

// Finding is one way in which a model no longer fits.
type Finding struct {
	Kind     Kind      `json:"kind"`
	What     string    `json:"what"` // the application's or the service's name
	Quantity Quantity  `json:"quantity,omitempty"`
	Value    float64   `json:"value"`    // as it is now
	Expected float64   `json:"expected"` // as it should be: of an input the nearest that was trained on
	Score    float64   `json:"score"`    // how much it is off, in the unit of its test; a finding is at 1 or more
	Since    time.Time `json:"since"`
	Text     string    `json:"text"` // for a person, with figures
}

// String is the text with the time since when.
func (f Finding) String() string {
	return fmt.Sprintf("%s since %s", f.Text, f.Since.UTC().Format(time.DateTime))
}

// Texts puts findings into one line.
func Texts(all []Finding) string {
	s := make([]string, len(all))
	for i, f := range all {
		s[i] = f.String()
	}
	return strings.Join(s, "; ")
}

// Watch follows one model. It is used by one goroutine.
type Watch struct {
	app         *foresail.App
	fit         fit
	calibration calibration
	minutes     *minutes
	inputs      inputs
	outside     outside
	release     release
	grown       *Finding
	last        time.Time
}

// New watches a model that was trained on what ref says. Channels of ref that the application does not have are left out.
// missed tells whether what the model gives the probability of happened in seconds that follow each other, as
// tail.Model.Missed does; nil: whether an endpoint's objective was missed in one of them.
func New(app *foresail.App, ref Reference, missed func([]tail.Step) bool) *Watch {
	w := &Watch{app: app, minutes: newMinutes(app), release: newRelease(app)}
	w.Replace(ref, missed)
	return w
}

// Replace goes on with another model: what is known of the application stays, what was found of the model before is forgotten.
func (w *Watch) Replace(ref Reference, missed func([]tail.Step) bool) {
	if missed == nil {
		missed = func(steps []tail.Step) bool {
			return slices.ContainsFunc(steps, func(s tail.Step) bool { return s.Violated(w.app) })
		}
	}
	w.fit, w.calibration = fit{error: ref.Error, ceiling: ref.Ceiling}, calibration{missed: missed}
	w.inputs, w.outside = newInputs(w.app, ref.Channels), outside{}
	w.release.found = nil
}

// Add takes in the next second. p is what the model says for it, given the seconds before it and the cores that were in
// effect in it: Latency of this second, Violation of the four after it; nil where it says nothing. A second that does not
// follow the one before is a gap, which only tears apart what belongs together.
func (w *Watch) Add(s *tail.Step, p *tail.Prediction) {
	if !w.last.IsZero() && !s.End.Equal(w.last.Add(tail.Interval)) {
		w.calibration.tear()
	}
	w.last = s.End
	if p != nil {
		w.fit.add(s, p.Latency[tail.P99])
	}
	w.calibration.add(s, p)
	cell := w.minutes.cell
	if done := w.minutes.add(s); done != nil {
		w.inputs.add(cell, done)
		w.release.add(cell, done)
	}
	w.release.forget(s.End)
}

// Grown tells that the application has become another one.
func (w *Watch) Grown(app *foresail.App, at time.Time) {
	var came, went []string
	for i := range app.Services {
		switch is := &app.Services[i]; {
		case i >= len(w.app.Services) || w.app.Services[i].Gone && !is.Gone:
			came = append(came, is.Name)
		case is.Gone && !w.app.Services[i].Gone:
			went = append(went, is.Name)
		}
	}
	if len(came)+len(went) == 0 {
		return
	}
	var what []string
	if len(came) > 0 {
		what = append(what, strings.Join(came, ", ")+" came")
	}
	if len(went) > 0 {
		what = append(what, strings.Join(went, ", ")+" went")
	}
	w.grown = &Finding{Kind: Services, What: app.Name, Value: float64(len(came) + len(went)), Score: 1, Since: at,
		Text: "the services are not those that the model was trained for: " + strings.Join(what, " and ")}
}

// Outside tells in what way a second lies outside of what the model was trained on, as tail.Model.Outside says; none: it does
// not. To be told once a minute.
func (w *Watch) Outside(at time.Time, how []string) { w.outside.add(at, how) }

// Findings are what has drifted now: first what is surest.
func (w *Watch) Findings() []Finding {
	var out []Finding
	if w.grown != nil {
		out = append(out, *w.grown)
	}
	out = append(out, w.release.found...)
	if f := w.fit.finding(w.app); f != nil {
		out = append(out, *f)
	}
	if f := w.calibration.finding(w.app); f != nil {
		out = append(out, *f)
	}
	in := w.inputs.findings()
	if f := w.outside.finding(w.app); f != nil {
		in = append(in, *f)
	}
	slices.SortStableFunc(in, func(a, b Finding) int {
		switch {
		case a.Score > b.Score:
			return -1
		case a.Score < b.Score:
			return 1
		}
		return 0
	})
	return append(out, in...)
}
