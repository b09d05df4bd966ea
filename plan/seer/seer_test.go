package seer_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/plan/hpa"
	"foresail.dev/plan/plantest"
	"foresail.dev/plan/seer"
	"pgregory.net/rapid"
)

// oracle says what a test wants it to.
type oracle struct {
	fits    error
	fails   error
	foresee func(at time.Duration) (violation float64, culprit int)
}

func (o *oracle) Fits(*foresail.App) error { return o.fits }
func (o *oracle) Beats() int               { return 3 }
func (o *oracle) Within() time.Duration    { return 500 * time.Millisecond }
func (o *oracle) Needs() foresail.Signals  { return foresail.SignalInFlight }
func (o *oracle) Foresee(beats []*foresail.Snapshot, culprit []float64) (seer.Verdict, error) {
	if len(beats) != 3 {
		return seer.Verdict{}, errors.New("not three beats")
	}
	v, c := o.foresee(beats[2].End.Sub(plantest.Epoch))
	culprit[c] = 0.9
	return seer.Verdict{Violation: v, Alarm: v >= 0.5}, o.fails
}

// between foresees a violation that starts at a service, for a while.
func between(from, to time.Duration, culprit int) *oracle {
	return &oracle{foresee: func(at time.Duration) (float64, int) {
		if at >= from && at < to {
			return 0.8, culprit
		}
		return 0.01, culprit
	}}
}

// inner asks for what a test wants, each second.
type inner struct {
	decide func(h *foresail.History) (*foresail.Plan, error)
}

func (i *inner) Name() string          { return "inner" }
func (i *inner) Needs() foresail.Needs { return foresail.Needs{Every: time.Second, Beats: 1} }
func (i *inner) Decide(h *foresail.History) (*foresail.Plan, error) {
	if i.decide == nil {
		return nil, nil
	}
	return i.decide(h)
}

// gentle makes steps that can be told apart.
var gentle = seer.Config{Factor: 1.5, Again: time.Second, Most: 4}

// world plays a cluster and the wrapper to each other.
type world struct {
	*plantest.Cluster
	t testing.TB
	m *seer.Manager
	h *foresail.History
}

func newWorld(t testing.TB, in foresail.Manager, model seer.Model) *world {
	t.Helper()
	m, err := seer.New(in, model, gentle)
	if err != nil {
		t.Fatal(err)
	}
	app := plantest.App(3)
	flat := func(foresail.ServiceID, time.Duration) float64 { return 0.5 }
	return &world{&plantest.Cluster{Application: app, Demand: flat}, t, m, foresail.NewHistory(app, m.Needs())}
}

// until lets time pass; the plans there were.
func (w *world) until(end time.Duration) (plans []*foresail.Plan) {
	w.t.Helper()
	for w.Now() < end {
		w.h.SetApp(w.Application)
		w.h.Add(w.Step())
		p, err := w.m.Decide(w.h)
		if err != nil {
			w.t.Fatal(err)
		}
		if p != nil {
			plans = append(plans, p)
			_ = w.Apply(w.t.Context(), p)
		}
	}
	return plans
}

func alarms(plans []*foresail.Plan) (all []foresail.Alarm) {
	for _, p := range plans {
		all = append(all, p.Alarms...)
	}
	return all
}

func TestTheCulpritIsRaisedWhileTheDangerLasts(t *testing.T) {
	w := newWorld(t, &inner{}, between(2*time.Second, 4500*time.Millisecond, 1))
	if p := w.until(1900 * time.Millisecond); len(p) > 0 {
		t.Fatalf("nothing is foreseen, and yet: %+v", p[0])
	}
	first := w.until(2 * time.Second)
	if len(first) != 1 || len(first[0].Changes) != 1 || len(first[0].Alarms) != 1 {
		t.Fatalf("the beat in which it is foreseen: %+v", first)
	}
	a := first[0].Alarms[0]
	if a.Service != 1 || a.Probability != 0.8 || a.Share != 0.9 || a.Within != 500*time.Millisecond || !strings.Contains(a.Text, "s1") {
		t.Errorf("the alarm is %+v", a)
	}
	if c := w.Have(1).Cores(); c != 1.5 {
		t.Errorf("the culprit has %v cores, half as much again was due", c)
	}
	rest := w.until(4500 * time.Millisecond)
	if n := len(alarms(rest)); n != 0 {
		t.Errorf("one danger, %d more alarms", n)
	}
	if c := w.Have(1).Cores(); c != 3.375 { // raised thrice: at 2, 3 and 4 s
		t.Errorf("after 2.5 s of danger the culprit has %v cores", c)
	}
	w.until(9300 * time.Millisecond)
	if c := w.Have(1).Cores(); c != 3.375 {
		t.Errorf("before the danger is over the culprit has %v cores", c)
	}
	w.until(9500 * time.Millisecond)
	if c := w.Have(1).Cores(); c != 1 {
		t.Errorf("5 s after the danger the culprit has %v cores, and had 1 before", c)
	}
	if w.Have(0).Cores() != 1 || w.Have(2).Cores() != 1 {
		t.Error("others were changed")
	}
}

// What is raised is no more than Most times what there was, nor than the bounds allow; where a replica can't have more there are
// more replicas.
func TestHowFarItIsRaised(t *testing.T) {
	w := newWorld(t, &inner{}, between(time.Second, time.Minute, 0))
	w.Put(0, foresail.Allocation{Replicas: 2, CPU: 3})
	w.until(time.Minute)
	if a := w.Have(0); a.Cores() != 24 || a.CPU != 4 {
		t.Errorf("it has %v, 24 cores in replicas of 4 were due", a)
	}
	w = newWorld(t, &inner{}, between(time.Second, time.Minute, 0))
	w.Put(0, foresail.Allocation{Replicas: 19, CPU: 4})
	w.until(time.Minute)
	if a := w.Have(0); a.Replicas != 20 || a.CPU != 4 {
		t.Errorf("it has %v, 20 × 4 cores are the most", a)
	}
}

func TestWhatTheInnerManagerAsksForMeanwhile(t *testing.T) {
	for _, c := range []struct{ asks, during, after float64 }{{0.6, 1.5, 1}, {1.2, 1.5, 1.2}, {2.5, 2.5, 2.5}} {
		in := &inner{decide: func(h *foresail.History) (*foresail.Plan, error) {
			if at := h.Now().Sub(plantest.Epoch); at < 2500*time.Millisecond {
				return nil, nil
			}
			p := &foresail.Plan{At: h.Now(), Manager: "inner"}
			for id := range foresail.ServiceID(2) {
				p.Changes = append(p.Changes, foresail.Change{Service: id, To: foresail.Allocation{Replicas: 1, CPU: c.asks}, Reason: foresail.Reason{Rule: "inner"}})
			}
			return p, nil
		}}
		w := newWorld(t, in, between(2200*time.Millisecond, 2400*time.Millisecond, 1))
		w.until(4 * time.Second)
		if d := w.Have(1).Cores(); d != c.during {
			t.Errorf("the inner manager asks for %v: the culprit has %v in danger, not %v", c.asks, d, c.during)
		}
		if d := w.Have(0).Cores(); d != c.asks {
			t.Errorf("the inner manager asks for %v: another service has %v", c.asks, d)
		}
		w.until(7300 * time.Millisecond) // the inner manager is asked each full second
		if d := w.Have(1).Cores(); d != c.after {
			t.Errorf("the inner manager asks for %v: the culprit has %v after the danger, not %v", c.asks, d, c.after)
		}
	}
}

// A model that foresees nothing changes nothing: what the inner manager decides alone is what is decided.
func TestCalmIsTheInnerManagerAlone(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		demand := rapid.SliceOfN(rapid.Float64Range(0, 5), 8, 8).Draw(r, "demand")
		calm := rapid.Float64Range(0, 0.2).Draw(r, "violation")
		run := func(wrap bool) string {
			app := plantest.App(3)
			c := &plantest.Cluster{Application: app, Demand: func(id foresail.ServiceID, at time.Duration) float64 {
				return demand[(int(id)+int(at/(20*time.Second)))%len(demand)]
			}}
			var m foresail.Manager
			m, err := hpa.New(app, hpa.Config{})
			if err != nil {
				r.Fatal(err)
			}
			if wrap {
				if m, err = seer.New(m, &oracle{foresee: func(time.Duration) (float64, int) { return calm, 0 }}, seer.Config{}); err != nil {
					r.Fatal(err)
				}
			}
			h := foresail.NewHistory(app, m.Needs().Join(foresail.Needs{Every: time.Second, Beats: 20}))
			out := ""
			for range 600 {
				h.Add(c.Step())
				if !wrap && c.Now()%m.Needs().Every != 0 {
					continue
				}
				p, err := m.Decide(h)
				if err != nil {
					r.Fatal(err)
				}
				if p != nil {
					p.Manager = ""
					b, _ := json.Marshal(p)
					out += string(b) + "\n"
					_ = c.Apply(t.Context(), p)
				}
			}
			return out
		}
		if with, without := run(true), run(false); with != without {
			r.Fatalf("wrapped:\n%s\nalone:\n%s", with, without)
		}
	})
}

func TestWithoutAModelTheInnerManagerDecidesAlone(t *testing.T) {
	unfit := errors.New("the model is of another application")
	for _, c := range []struct {
		what  string
		model seer.Model
		want  string
	}{
		{"no model", nil, "foresail train seer"},
		{"of another application", &oracle{fits: unfit}, unfit.Error()},
		{"that fails", &oracle{fails: errors.New("broken"), foresee: func(time.Duration) (float64, int) { return 1, 0 }}, "broken"},
		{"whose probability is none", &oracle{foresee: func(time.Duration) (float64, int) { return 7, 0 }}, "is 7"},
	} {
		asks := &inner{decide: func(h *foresail.History) (*foresail.Plan, error) {
			if h.Now().Sub(plantest.Epoch) < 5*time.Second {
				return nil, nil
			}
			return &foresail.Plan{At: h.Now(), Changes: []foresail.Change{{Service: 2, To: foresail.Allocation{Replicas: 3, CPU: 1}}}}, nil
		}}
		w := newWorld(t, asks, c.model)
		early := w.until(4 * time.Second)
		if len(early) != 1 || !strings.Contains(early[0].Fallback, c.want) || !strings.Contains(early[0].Fallback, "inner decides alone") || len(early[0].Changes) > 0 {
			t.Errorf("a model %s: it is told once, and nothing is done: %+v", c.what, early)
		}
		w.until(7 * time.Second)
		if a := w.Have(2); a.Replicas != 3 {
			t.Errorf("a model %s: the inner manager's plan came to %v", c.what, a)
		}
	}
}

func TestTheInnerManagerFails(t *testing.T) {
	broken := errors.New("broken")
	in := &inner{decide: func(h *foresail.History) (*foresail.Plan, error) { return nil, broken }}
	w := newWorld(t, in, between(1500*time.Millisecond, 3*time.Second, 1))
	for w.Now() < 1400*time.Millisecond {
		w.h.Add(w.Step())
		if _, err := w.m.Decide(w.h); (err != nil) != (w.Now()%time.Second == 0) {
			t.Fatalf("at %v: %v", w.Now(), err)
		}
	}
	plans := w.until(3 * time.Second)
	if w.Have(1).Cores() <= 1 {
		t.Error("the culprit was not raised")
	}
	said := false
	for _, p := range plans {
		said = said || strings.Contains(p.Fallback, "broken")
	}
	if !said {
		t.Error("that the inner manager failed was not said")
	}
}

// A service that vanishes while it is in danger; silence; an allocation that nobody observed.
func TestBadNews(t *testing.T) {
	w := newWorld(t, &inner{}, between(time.Second, time.Minute, 1))
	w.until(2 * time.Second)
	gone := *w.Application
	gone.Services = append([]foresail.Service(nil), gone.Services...)
	gone.Services[1].Gone = true
	gone.Generation++
	w.Application = &gone
	if p := alarms(w.until(4 * time.Second)); len(p) > 0 {
		t.Errorf("alarms of a service that has gone: %+v", p)
	}
	w = newWorld(t, &inner{}, between(time.Second, time.Minute, 1))
	w.Silent = func(at time.Duration) bool { return at > 2*time.Second && at < 20*time.Second }
	plans := w.until(20 * time.Second)
	if c := w.Have(1).Cores(); c != 2.25 || len(alarms(plans)) != 1 {
		t.Errorf("after 18 s of silence the culprit has %v cores, and nothing is lowered in silence", c)
	}
	w = newWorld(t, &inner{}, between(time.Second, time.Minute, 1))
	w.Hidden = func(time.Duration) foresail.Signals { return foresail.SignalAllocation }
	if p := w.until(3 * time.Second); len(p) == 0 || !strings.Contains(p[0].Note, "not observed") || len(p[0].Changes) > 0 {
		t.Errorf("the allocation is not observed: %+v", p)
	}
}

// Saved and restored at any beat, it decides as if nothing had been.
func TestSavedAndRestored(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		model := between(2*time.Second, 4*time.Second, 1)
		at := time.Duration(rapid.IntRange(1, 119).Draw(r, "beat")) * foresail.Beat
		run := func(restart bool) string {
			w := newWorld(t, &inner{}, model)
			plans := w.until(at)
			if restart {
				b, err := w.m.Save()
				if err != nil {
					r.Fatal(err)
				}
				if w.m, err = seer.New(&inner{}, model, seer.Config{}); err != nil {
					r.Fatal(err)
				}
				if err := w.m.Restore(b); err != nil {
					r.Fatal(err)
				}
			}
			b, _ := json.Marshal(append(plans, w.until(12*time.Second)...))
			return string(b)
		}
		if a, b := run(false), run(true); a != b {
			r.Fatalf("without a restart:\n%s\nwith one:\n%s", a, b)
		}
	})
	w := newWorld(t, &inner{}, nil)
	if err := w.m.Restore([]byte("{")); err == nil {
		t.Error("half a state was taken")
	}
}

func TestFaultsOfAConfig(t *testing.T) {
	_, err := seer.New(nil, nil, seer.Config{Alarm: 2, Calm: -3, Factor: 0.5, Most: 0.1, Again: -1, Hold: -1, Few: -1})
	if err == nil {
		t.Fatal("taken")
	}
	for _, name := range []string{"no manager", "Alarm", "Calm", "Factor", "Most", "Again", "Hold", "Few"} {
		if !strings.Contains(err.Error(), name) {
			t.Errorf("nothing of %s in %v", name, err)
		}
	}
}
