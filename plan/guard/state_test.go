package guard_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/plan/guard"
	"foresail.dev/plan/hpa"
	"foresail.dev/plan/plantest"
)

// remembering is a manager with a state of one word.
type remembering struct {
	*fake
	word string
	bad  error // of Restore
}

func (m *remembering) Save() ([]byte, error) { return []byte(m.word), nil }
func (m *remembering) Restore(b []byte) error {
	if m.bad != nil {
		return m.bad
	}
	m.word = string(b)
	return nil
}

func words(inner, baseline string) (*remembering, *remembering) {
	return &remembering{each("m", time.Second, quiet), inner, nil}, &remembering{each("base", time.Second, quiet), baseline, nil}
}

func TestTheStateOfBothManagersIsKept(t *testing.T) {
	m, base := words("tide", "ebb")
	b, err := wrap(t, m, base, guard.Config{}).Save()
	if err != nil {
		t.Fatal(err)
	}
	m2, base2 := words("", "")
	if err := wrap(t, m2, base2, guard.Config{}).Restore(b); err != nil || m2.word != "tide" || base2.word != "ebb" {
		t.Errorf("restored %q and %q, %v", m2.word, base2.word, err)
	}

	m3, base3 := words("own", "own")
	base3.bad = errors.New("not mine")
	if err := wrap(t, m3, base3, guard.Config{}).Restore(b); err == nil || m3.word != "own" {
		t.Errorf("after an error the inner manager holds %q (%v)", m3.word, err)
	}
	if err := wrap(t, m3, base3, guard.Config{}).Restore([]byte("{")); err == nil || m3.word != "own" {
		t.Errorf("nonsense was restored: %q (%v)", m3.word, err)
	}
	if b, err := wrap(t, each("m", time.Second, quiet), each("base", time.Second, quiet), guard.Config{}).Save(); err != nil || len(b) == 0 {
		t.Errorf("managers without a state: %s, %v", b, err)
	}
}

// Cut in the middle of a fallback, a cooldown and a stabilisation window, a run goes on as if it had not been.
func TestARestartChangesNoDecision(t *testing.T) {
	run := func(restart bool) string {
		app := plantest.App(2)
		c := &plantest.Cluster{Application: app, Demand: func(id foresail.ServiceID, at time.Duration) float64 {
			if between(at, 20*time.Second, 50*time.Second) {
				return 3
			}
			return 0.4
		}}
		inner := each("m", time.Second, func(at time.Duration, _ *foresail.History) (*foresail.Plan, error) {
			if between(at, 40*time.Second, 62*time.Second) {
				return nil, errors.New("lost")
			}
			if between(at, 20*time.Second, 40*time.Second) {
				return ask(4, 1), nil
			}
			return ask(1, 0.5), nil
		})
		build := func() *guard.Manager {
			base, err := hpa.New(app, hpa.Config{})
			if err != nil {
				t.Fatal(err)
			}
			return wrap(t, inner, base, guard.Config{})
		}
		g := build()
		h := foresail.NewHistory(app, g.Needs())
		var lines strings.Builder
		for i := range 3000 {
			h.Add(c.Step())
			if i%10 != 9 {
				continue
			}
			if restart && (i == 519 || i == 629) { // at 52 s and 63 s
				b, err := g.Save()
				if err != nil {
					t.Fatal(err)
				}
				g = build()
				if err := g.Restore(b); err != nil {
					t.Fatal(err)
				}
			}
			p, err := g.Decide(h)
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(&lines, "%v %s\n", c.Now(), describe(p))
			if p != nil {
				_ = c.Apply(t.Context(), p)
			}
		}
		return lines.String()
	}
	whole, cut := run(false), run(true)
	a, b := strings.Split(whole, "\n"), strings.Split(cut, "\n")
	for i := range a {
		if a[i] != b[i] {
			t.Fatalf("without a restart: %s\nwith:              %s", a[i], b[i])
		}
	}
	if !strings.Contains(whole, "fallback: m: lost") || !strings.Contains(whole, "m is back") {
		t.Error("the run has no fallback")
	}
}

// needy panics when it is asked what it needs, once it was built.
type needy struct {
	*fake
	built bool
}

func (m *needy) Needs() foresail.Needs {
	if m.built {
		panic("needs")
	}
	return m.fake.Needs()
}

func TestAPanicOutsideDecideKeepsEverything(t *testing.T) {
	m := &needy{fake: each("m", time.Second, quiet)}
	g := wrap(t, m, each("base", time.Second, quiet), guard.Config{})
	h := (&plantest.Cluster{Application: plantest.App(1)}).Filled(g.Needs(), time.Second)
	m.built = true
	if p, err := g.Decide(h); err != nil || p.Fallback != "guard(m): panic: needs, so everything is kept" || len(p.Changes) != 0 {
		t.Errorf("%+v, %v", p, err)
	}
}

// FuzzRestore gives the guard any state: it is refused or harmless.
func FuzzRestore(f *testing.F) {
	app := plantest.App(2)
	build := func() *guard.Manager {
		base, err := hpa.New(app, hpa.Config{})
		if err != nil {
			f.Fatal(err)
		}
		inner, err := hpa.New(app, hpa.Config{})
		if err != nil {
			f.Fatal(err)
		}
		g, err := guard.New(inner, base, guard.Config{})
		if err != nil {
			f.Fatal(err)
		}
		return g
	}
	c := &plantest.Cluster{Application: app, Demand: func(foresail.ServiceID, time.Duration) float64 { return 0.9 }}
	g := build()
	h := c.Filled(g.Needs(), 40*time.Second)
	if _, err := g.Decide(h); err != nil {
		f.Fatal(err)
	}
	b, err := g.Save()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte("{}"))
	f.Add([]byte(`{"Guard":{"Fallen":true,"Good":-1,"Services":[{"Totals":[{"Cores":-5}]},{},{}]},"Inner":"W10=","Baseline":"bnVsbA=="}`))
	f.Fuzz(func(t *testing.T, state []byte) {
		g := build()
		if err := g.Restore(state); err != nil {
			return
		}
		p, err := g.Decide(h)
		if err != nil {
			t.Fatal(err)
		}
		if p == nil {
			return
		}
		if strings.HasPrefix(p.Fallback, g.Name()) {
			t.Fatalf("the guard panicked: %s", p.Fallback)
		}
		for _, ch := range p.Changes {
			if in, bound := app.Services[ch.Service].Bounds.Clamp(ch.To); bound != "" {
				t.Fatalf("%v leaves the bounds %v", ch.To, in)
			}
		}
	})
}
