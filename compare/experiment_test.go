package compare

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"foresail.dev/appfile"
	"foresail.dev/apps"
)

// experiment writes an experiment file beside the loads of testdata.
func experiment(t testing.TB, content string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"steady.yaml", "ramp.yaml"} {
		b, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, name), string(b))
	}
	path := filepath.Join(dir, "e.yaml")
	write(t, path, content)
	return path
}

func write(t testing.TB, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestReadFillsIn(t *testing.T) {
	e, err := Read(experiment(t, `experiment: a
applications: [hotel-reservation, {application: online-boutique, loads: [ramp.yaml]}]
loads: [steady.yaml]
managers: [all, {manager: hpa, as: hpa-70, settings: {target: 0.7}, guarded: both}]
guarded: true
seeds: [3]
duration: 1m
tuning: {trials: 4, seeds: [9]}
`))
	if err != nil {
		t.Fatal(err)
	}
	if n := len(every()) + 1; len(e.Managers) != n || e.Managers[n-1].Label() != "hpa-70" {
		t.Errorf("%d managers, want every one that needs no model, and hpa-70: %+v", len(e.Managers), e.Managers)
	}
	if e.Managers[0].Guarded != Guarded || e.Managers[len(e.Managers)-1].Guarded != Both {
		t.Errorf("guarded: %v", e.Managers)
	}
	if e.Reference != "autoscale-cons" || e.Baseline != "hpa" || e.Violations != 0.01 || e.DecisionLimit != 10*time.Second || e.Tuning.Duration != time.Minute {
		t.Errorf("defaults: %+v", e)
	}
	if len(e.Applications[0].Loads) != 1 || e.Applications[0].Loads[0].Load != "steady.yaml" || e.Applications[1].Loads[0].Load != "ramp.yaml" {
		t.Errorf("loads: %+v", e.Applications)
	}
	if _, err := Prepare(e); err != nil {
		t.Error(err)
	}
}

// One load file stands for several loads: each has its own name, its own hash and its own level, and the file alone is
// another load still.
func TestTimes(t *testing.T) {
	e, err := Read(experiment(t, `experiment: a
applications: [online-boutique]
loads: [{load: steady.yaml, times: [0.5, 1, 3]}, {load: steady.yaml, as: twice, times: [2]}, steady.yaml]
managers: [hpa]
seeds: [1]
duration: 1m
`))
	if err != nil {
		t.Fatal(err)
	}
	g, err := Prepare(e)
	if err != nil {
		t.Fatal(err)
	}
	hashes := map[string]bool{}
	got := map[string]float64{}
	for _, c := range g.conditions {
		hashes[c.loadHash] = true
		got[c.load] = c.curve.Level(0)
	}
	want := map[string]float64{"steady-0.5": 30, "steady-1": 60, "steady-3": 180, "twice-2": 120, "steady": 60}
	if !maps.Equal(got, want) || len(hashes) != len(want) {
		t.Errorf("%v with %d hashes, want %v", got, len(hashes), want)
	}
	_, err = Read(experiment(t, `experiment: a
applications: [online-boutique]
loads: [{load: steady.yaml, times: [1, 0]}]
managers: [hpa]
seeds: [1]
duration: 1m
`))
	if err == nil || !strings.Contains(err.Error(), "loads[0].times[1]: is 0, must be above 0") {
		t.Error(err)
	}
	e.Applications[0].Loads[0].Times = []float64{3, 3}
	if _, err = Prepare(e); err == nil || !strings.Contains(err.Error(), "two loads called steady-3") {
		t.Error(err)
	}
}

// Every fault of an experiment file is told at once, each where it is.
func TestBadExperiments(t *testing.T) {
	_, err := Read(experiment(t, `experiment: a
applications:
  - online-boutique
  - online-boutique
  - {application: hotel-reservation, loads: [ramp.yaml]}
  - {random: {services: 40, seed: 7}, application: media, loads: [ramp.yaml]}
managers:
  - hpa
  - {manager: hpa, settings: {target: 3, speed: 1}}
  - nosuch
  - {manager: static, tune: true}
  - {manager: autoscale-cons, train: 1h}
  - {manager: all, settings: {target: 1}}
guarded: perhaps
baseline: hpaa
reference: vpaa
seeds: [1, 2, 1]
duration: 1500ms
warmup: 1h
tuning: {trials: 1, seeds: [2, 9]}
`))
	if err == nil {
		t.Fatal("it was read")
	}
	for _, w := range []string{
		"e.yaml:3:5: applications[0]: has no load",
		"e.yaml:4:5: applications[1]: is the same application as applications[0]",
		"e.yaml:6:5: applications[3]: must have exactly one of application and random",
		"managers[1]: is hpa, as managers[0] is: give one of them another name with as",
		"managers[1].settings.target: is 3, out of its range: target 0.1..0.95",
		"managers[1].settings.speed: is not a setting of hpa: use target",
		`managers[2]: names the manager "nosuch", which is not there: use static,`,
		"managers[3].tune: leaves nothing to tune",
		"managers[4].train: needs training.seeds",
		"managers[5]: stands for every manager",
		"managers[5]: is hpa, as managers[1] is",
		`guarded: is "perhaps", must be true, false or both`,
		`baseline: is "hpaa", which is no manager`,
		`reference: is "vpaa", which is not among the managers`,
		"e.yaml:17:15: seeds[2]: is 1, which is in the list already",
		"duration: is 1.5s, must be a whole number of seconds",
		"tuning.trials: is 1, must be at least 2",
		"tuning.seeds[0]: is 2, which is among seeds: what is tuned or trained on must not be reported",
	} {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("missing: %s", w)
		}
	}
	if t.Failed() {
		t.Log(err)
	}
}

// What an experiment names is read whole before anything runs, and all its faults are told.
func TestBadInputs(t *testing.T) {
	for name, c := range map[string]struct {
		content string
		want    []string
	}{
		"files": {`experiment: a
applications: [nosuch, {application: online-boutique, loads: [gone.yaml, steady.yaml, {load: ramp.yaml, as: steady}]}]
loads: [steady.yaml]
managers: [hpa]
seeds: [1]
duration: 1m
`, []string{"application file", "gone.yaml", "online-boutique has two loads called steady: give one of them another name with as"}},
		"training": {`experiment: a
applications: [online-boutique]
loads: [steady.yaml]
managers: [{manager: static, train: 1h}]
training: {seeds: [5]}
seeds: [1]
duration: 1m
`, []string{"static: it has no state, so there is nothing to train"}},
		"baseline": {`experiment: a
applications: [online-boutique]
loads: [steady.yaml]
managers: [hpa]
guarded: true
baseline: static
seeds: [1]
duration: 1m
`, []string{"static is not reactive"}},
	} {
		e, err := Read(experiment(t, c.content))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		_, err = Prepare(e)
		for _, w := range c.want {
			if err == nil || !strings.Contains(err.Error(), w) {
				t.Errorf("%s: missing %q in: %v", name, w, err)
			}
		}
	}
}

// Runs of an application, a load or settings that have changed since are made anew; those left out are counted by
// what has changed.
func TestAnApplicationThatChangedSince(t *testing.T) {
	const content = `experiment: a
applications: [./shop.yaml]
loads: [steady.yaml, ramp.yaml]
managers: [hpa, {manager: autoscale-cons}]
seeds: [1, 2]
duration: 5s
`
	path, out := experiment(t, content), t.TempDir()
	app, err := apps.Files.ReadFile("online-boutique.yaml")
	if err != nil {
		t.Fatal(err)
	}
	shop := filepath.Join(filepath.Dir(path), "shop.yaml")
	run := func() (made int, notes string) {
		t.Helper()
		e, err := Read(path)
		if err != nil {
			t.Fatal(err)
		}
		g, err := Prepare(e)
		if err != nil {
			t.Fatal(err)
		}
		var told []string
		r, err := g.Run(t.Context(), Options{Dir: out, Told: func(s string) { told = append(told, s) }, Progress: func(p Progress) {
			if p.Finished != nil {
				made++
			}
		}})
		if err != nil {
			t.Fatal(err)
		}
		if strings.Join(told, "; ") != strings.Join(r.Notes, "; ") {
			t.Errorf("told %q, noted %q", told, r.Notes)
		}
		return made, strings.Join(r.Notes, "; ")
	}
	steps := []struct {
		name   string
		change func()
		made   int
		notes  string
	}{
		{"first", func() { write(t, shop, string(app)) }, 8, ""},
		{"a comment", func() { write(t, shop, "# Open all day.\n"+string(app)) }, 0, ""},
		{"the application", func() { write(t, shop, strings.Replace(string(app), "workers: 64", "workers: 32", 1)) }, 8,
			"8 kept runs of older inputs left out: application online-boutique changed since"},
		{"a load", func() {
			write(t, filepath.Join(filepath.Dir(path), "ramp.yaml"), "load: ramp\ncurve: [{constant: 10}]\n")
		}, 4,
			"8 kept runs of older inputs left out: application online-boutique changed since; " +
				"4 kept runs of older inputs left out: load ramp of online-boutique changed since"},
		{"a setting", func() {
			write(t, path, strings.Replace(content, "[hpa,", "[{manager: hpa, settings: {target: 0.6}},", 1))
		}, 4, ""},
	}
	for _, s := range steps {
		s.change()
		made, notes := run()
		if made != s.made || s.notes != "" && notes != s.notes {
			t.Errorf("after %s: %d runs made, want %d; notes %q", s.name, made, s.made, notes)
		}
	}
	if _, notes := run(); !strings.Contains(notes, "4 kept runs of older inputs left out: the settings of hpa changed since") {
		t.Errorf("settings: %q", notes)
	}
}

func FuzzRead(f *testing.F) {
	b, err := os.ReadFile("testdata/tiny.yaml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(b))
	f.Add("experiment: a\napplications: [a, {application: b}]\nmanagers: [all, {manager: hpa, guarded: both, tune: true}]\nseeds: [1]\nduration: 1h\n")
	f.Add("tuning: {trials: 2, seeds: [1, 1]}\ntraining: {seeds: []}\nmanagers: [{}]\n")
	f.Fuzz(func(t *testing.T, s string) {
		e := defaults()
		if appfile.Decode("e.yaml", []byte(s), e) != nil {
			return
		}
		e.fill()
		if len(e.Managers) == 0 || len(e.contenders()) == 0 || e.Reference == "" || e.Duration <= 0 {
			t.Errorf("read as %+v", e)
		}
	})
}
