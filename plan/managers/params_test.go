package managers_test

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/plan/managers"
	"foresail.dev/plan/plantest"
)

// decisions is what a manager says over some minutes of a load that comes and goes.
func decisions(t *testing.T, m foresail.Manager, app *foresail.App) string {
	t.Helper()
	c := &plantest.Cluster{Application: app, Demand: func(id foresail.ServiceID, at time.Duration) float64 {
		return 0.3 + float64(int(at/time.Second)*(7+int(id))%23)/10
	}}
	h := foresail.NewHistory(app, m.Needs())
	var out strings.Builder
	for i := range 1800 {
		h.Add(c.Step())
		if i%10 != 9 {
			continue
		}
		p, err := m.Decide(h)
		fmt.Fprintf(&out, "%+v %v\n", p, err)
		if p != nil {
			_ = c.Apply(t.Context(), p)
		}
	}
	return out.String()
}

func TestSettingsThatAreNotGivenAreTheManagersOwn(t *testing.T) {
	for _, name := range managers.Names() {
		all := map[string]float64{}
		for _, p := range managers.Params(name) {
			all[p.Name] = p.Default
			if !(p.Min < p.Max) || p.Default < p.Min || p.Default > p.Max || p.Log && p.Min <= 0 || p.Doc == "" || p.Name == "" {
				t.Errorf("%s: %+v", name, p)
			}
			if p.Integer && (p.Min != math.Trunc(p.Min) || p.Max != math.Trunc(p.Max) || p.Default != math.Trunc(p.Default)) {
				t.Errorf("%s: %+v is not whole", name, p)
			}
		}
		app := plantest.App(2)
		one, err := managers.New(name, app)
		two, err2 := managers.NewWith(name, app, all, 0)
		if err != nil || err2 != nil {
			t.Fatalf("%s: %v, %v", name, err, err2)
		}
		if decisions(t, one, app) != decisions(t, two, app) {
			t.Errorf("%s decides differently with its defaults spelt out", name)
		}
	}
}

// Both ends of every range belong to it, and whatever lies between builds.
func TestEveryRangeBuildsFromEndToEnd(t *testing.T) {
	for _, name := range managers.Names() {
		for _, p := range managers.Params(name) {
			for _, x := range []float64{p.Min, p.Max} {
				if _, err := managers.NewWith(name, plantest.App(1), map[string]float64{p.Name: x}, 1); err != nil {
					t.Errorf("%s: %s %v: %v", name, p.Name, x, err)
				}
			}
		}
	}
}

func TestASettingChangesWhatIsDecided(t *testing.T) {
	app := plantest.App(2)
	plain, _ := managers.New("hpa", app)
	tuned, err := managers.NewWith("hpa", app, map[string]float64{"target": 0.8}, 0)
	if err != nil || decisions(t, plain, app) == decisions(t, tuned, app) {
		t.Errorf("a target of 80 %% decides as one of 50 %% (%v)", err)
	}
}

func TestASettingThatCannotBeIsAnsweredWithWhatCan(t *testing.T) {
	for _, c := range []struct {
		manager  string
		settings map[string]float64
		want     []string
	}{
		{"static", map[string]float64{"target": 1}, []string{`static: unknown setting "target": it has none`}},
		{"hpa", map[string]float64{"targt": 1, "tolerance": math.NaN(), "target": 2}, []string{
			`hpa: unknown setting "targt": use target 0.1..0.95, tolerance 0.01..0.3, stabilisation_s 0..900`,
			"hpa: tolerance NaN is out of range: use 0.01 to 0.3",
			"hpa: target 2 is out of range: use 0.1 to 0.95"}},
		{"nobody", nil, []string{`unknown manager "nobody"`}},
	} {
		_, err := managers.NewWith(c.manager, plantest.App(1), c.settings, 0)
		for _, w := range c.want {
			if err == nil || !strings.Contains(err.Error(), w) {
				t.Errorf("%s %v: %q is missing in: %v", c.manager, c.settings, w, err)
			}
		}
	}
	if _, err := managers.GuardedWith("hpa", "hpa", plantest.App(1), map[string]float64{"x": 1}, 0); err == nil {
		t.Error("the guard took an unknown setting")
	}
}
