// Package guard wraps any manager so that what it says is safe to do.
//
// What the inner manager asks for is moved into what is allowed (see limit.go):
//   - the application's own bounds, always;
//   - a step: how much a service's total CPU may grow or shrink by in one decision and within a period;
//   - a cooldown: a service that was raised is not lowered for a while;
//   - observed usage: a total may not fall below what was really used, over the utilisation cap. A forecast may raise an
//     allocation; it never lowers one by itself. Where CPU was not observed, nothing is lowered.
//
// And while the inner manager can't be trusted, the reactive baseline decides in its place, under the same limits: the
// inner one erred or panicked, has no model, said nonsense, misses a signal that it requires, or telemetry is silent. The
// guard looks at each decision, so a fault takes effect within one decision interval. Silence lowers nothing.
//
// It comes back by itself. During a fallback the inner manager is still asked whenever it is its turn, and its answer
// judged though not used; after Config.Return good answers in a row it rules again. A manager that panicked may be in any
// state, so Config.Rebuild makes a new one. The baseline is asked in its turn as well while the inner one rules, so that
// what it remembers (a stabilisation window) is there when it is needed.
//
// Nothing here reads a clock, so a manager that decides too slowly is the loop's to see.
package guard

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"foresail.dev"
	"foresail.dev/plan"
)

// Manager is the guard around another manager.
type Manager struct {
	c               Config
	inner, baseline foresail.Manager
	name            string
	state           state
}

// state is what the guard remembers, as it is kept over a restart.
type state struct {
	Now      time.Time // of the last decision
	Heard    time.Time // the end of the newest snapshot that was not stale
	Fallen   bool      // the baseline rules
	Since    time.Time // since when
	Why      string    // the newest fault
	Good     int       // good answers of the inner manager in a row, while fallen
	Services []memory  // by ServiceID

	InnerTurn, BaselineTurn plan.Timer
}

// New guards inner; baseline takes its place when inner fails. They must not be the same manager. Every fault of c is
// told at once.
func New(inner, baseline foresail.Manager, c Config) (*Manager, error) {
	c = c.withDefaults()
	errs := []error{c.validate()}
	if inner == nil {
		errs = append(errs, errors.New("guard: no manager to guard"))
	}
	if baseline == nil {
		errs = append(errs, errors.New("guard: no baseline to fall back to"))
	}
	if inner != nil && inner == baseline {
		errs = append(errs, errors.New("guard: the baseline must be another manager than the one that is guarded: build it twice"))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return &Manager{c: c, inner: inner, baseline: baseline, name: "guard(" + inner.Name() + ")"}, nil
}

// Name is the inner manager's within "guard(...)".
func (g *Manager) Name() string { return g.name }

// Inner is the manager that is guarded now: another one after a panic when Config.Rebuild is set.
func (g *Manager) Inner() foresail.Manager { return g.inner }

// Fallen says since when and why the baseline rules; ok is false while the inner manager does.
func (g *Manager) Fallen() (since time.Time, why string, ok bool) {
	return g.state.Since, g.state.Why, g.state.Fallen
}

// Needs is what both managers and the guard need; it decides as often as the more frequent of the two.
func (g *Manager) Needs() foresail.Needs {
	return g.inner.Needs().Join(g.baseline.Needs()).Join(foresail.Needs{
		Optional: foresail.SignalCPU | foresail.SignalAllocation | foresail.SignalMemory,
		Beats:    int(freshness / foresail.Beat),
		Seconds:  int(g.c.Window/time.Second) + 1,
	})
}

// freshness is how recent a required signal must be, in beats or in one longer snapshot.
const freshness = time.Second

// Decide asks the managers whose turn it is, chooses whose answer counts and moves it into what is allowed. It never
// panics and never errs: what went wrong is in Plan.Fallback.
func (g *Manager) Decide(h *foresail.History) (p *foresail.Plan, err error) {
	last := h.Last()
	if last == nil {
		return nil, nil
	}
	defer func() {
		if v := recover(); v != nil { // of the guard's own, or of a Needs
			p = &foresail.Plan{At: h.Now(), Manager: g.name, Fallback: fmt.Sprintf("%s: panic: %v, so everything is kept", g.name, v)}
			err = nil
		}
	}()
	d := g.begin(h)
	silent := last.Stale
	fault := g.telemetry(d)
	asked := g.state.InnerTurn.Due(d.now, g.inner.Needs().Every)
	var ours *foresail.Plan
	if asked {
		var bad error
		if ours, bad = g.ask(g.inner, h); bad != nil {
			g.rebuild(bad)
			if fault == "" {
				fault = bad.Error()
			}
		}
	}
	fell, back := g.judge(d.now, fault, asked)
	if back {
		d.notes = append(d.notes, fmt.Sprintf("%s is back after %d good answers", g.inner.Name(), g.c.Return))
	}
	baseline := g.state.BaselineTurn.Due(d.now, g.baseline.Needs().Every)
	var q *foresail.Plan
	var baseErr error
	if baseline || fell {
		q, baseErr = g.ask(g.baseline, h)
	}
	if !g.state.Fallen {
		out := g.limit(d, ours, g.inner.Name(), false)
		if ours != nil {
			out.Fallback = ours.Fallback // of a wrapper inside
		}
		return d.finish(out), nil
	}
	out := g.limit(d, q, g.baseline.Name(), silent)
	out.Fallback = g.fallback(baseErr)
	if n := g.state.Good; n > 0 {
		d.notes = append(d.notes, fmt.Sprintf("%d of %d good answers before %s is back", n, g.c.Return, g.inner.Name()))
	}
	return d.finish(out), nil
}

// decision is one Decide.
type decision struct {
	h     *foresail.History
	app   *foresail.App
	now   time.Time
	beats []*foresail.Snapshot // of the last second, or the newest snapshot where that is longer
	past  []*foresail.Snapshot // seconds of the window that usage is looked up in; nil until it is
	notes []string
}

func (g *Manager) begin(h *foresail.History) *decision {
	d := &decision{h: h, app: h.App(), now: h.Now()}
	d.beats = plan.Tail(h.Beats(int(freshness/foresail.Beat)), freshness)
	for len(g.state.Services) < len(d.app.Services) {
		g.state.Services = append(g.state.Services, memory{})
	}
	every := g.Needs().Every
	for _, t := range []*plan.Timer{&g.state.InnerTurn, &g.state.BaselineTurn} {
		if t.Last.IsZero() {
			t.Last = d.now.Add(-every) // the loop has waited that long since the first snapshot
		}
	}
	if d.now.Before(g.state.Now) {
		d.notes = append(d.notes, fmt.Sprintf("time has jumped back by %v: steps and cooldowns count anew", g.state.Now.Sub(d.now)))
		for i := range g.state.Services {
			g.state.Services[i].restart(d.now)
		}
		if g.state.Since.After(d.now) {
			g.state.Since = d.now
		}
	}
	g.state.Now = d.now
	if g.state.Heard.After(d.now) {
		g.state.Heard = time.Time{}
	}
	for _, s := range d.beats {
		if !s.Stale {
			g.state.Heard = s.End
		}
	}
	return d
}

// telemetry says what is wrong with what was observed; empty when nothing is.
func (g *Manager) telemetry(d *decision) string {
	if d.h.Last().Stale {
		if g.state.Heard.IsZero() {
			return fmt.Sprintf("%v: nothing was observed yet", foresail.ErrStale)
		}
		return fmt.Sprintf("%v: nothing was observed since %s", foresail.ErrStale, g.state.Heard.Format(time.TimeOnly))
	}
	missing := g.inner.Needs().Required
	for i := len(d.beats) - 1; i >= 0 && missing != 0; i-- {
		missing &^= d.beats[i].Has
		for k := range d.beats[i].Services {
			missing &^= d.beats[i].Services[k].Has
		}
	}
	if missing != 0 {
		return fmt.Sprintf("signals that %s requires are missing: %v", g.inner.Name(), missing)
	}
	return ""
}

// ask asks a manager, and turns a panic and a plan that is nonsense into errors.
func (g *Manager) ask(m foresail.Manager, h *foresail.History) (p *foresail.Plan, err error) {
	defer func() {
		if v := recover(); v != nil {
			p, err = nil, &panicError{v}
		}
	}()
	if p, err = m.Decide(h); err != nil {
		return nil, err
	}
	if err := sensible(h.App(), p); err != nil {
		return nil, err
	}
	return p, nil
}

type panicError struct{ value any }

func (e *panicError) Error() string { return fmt.Sprintf("panic: %v", e.value) }

// rebuild replaces an inner manager that panicked.
func (g *Manager) rebuild(err error) {
	var p *panicError
	if !errors.As(err, &p) || g.c.Rebuild == nil {
		return
	}
	defer func() { recover() }() // then the one there is stays, and is asked again
	if m, err := g.c.Rebuild(); err == nil && m != nil && m != g.baseline {
		g.inner = m
	}
}

// judge notes whether the inner manager can be trusted, and reports whether it fell or came back just now.
func (g *Manager) judge(now time.Time, fault string, asked bool) (fell, back bool) {
	s := &g.state
	switch {
	case fault != "":
		fell = !s.Fallen
		if fell {
			s.Since = now
		}
		s.Fallen, s.Why, s.Good = true, fault, 0
	case s.Fallen && asked:
		if s.Good++; s.Good >= g.c.Return {
			s.Fallen, s.Why, s.Good = false, "", 0
			back = true
		}
	}
	return fell, back
}

// fallback says why the baseline decides: the same words for as long as the reason is the same, so that what is told
// once need not be told with each decision.
func (g *Manager) fallback(baseErr error) string {
	s := &g.state
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s; ", g.inner.Name(), s.Why)
	switch {
	case baseErr != nil:
		fmt.Fprintf(&b, "%s failed too (%v), so everything is kept", g.baseline.Name(), baseErr)
	default:
		fmt.Fprintf(&b, "%s decides since %s", g.baseline.Name(), s.Since.Format(time.TimeOnly))
	}
	return b.String()
}

// finish completes a plan; nil when it says nothing.
func (d *decision) finish(p *foresail.Plan) *foresail.Plan {
	if p.Note != "" {
		d.notes = append(d.notes, p.Note)
	}
	p.Note = strings.Join(d.notes, "; ")
	if len(p.Changes) == 0 && p.Note == "" && p.Fallback == "" && len(p.Forecasts) == 0 && p.Outlook == nil && len(p.Alarms) == 0 {
		return nil
	}
	return p
}
