package compare

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/appfile"
	"foresail.dev/model/foresee"
	labels "foresail.dev/model/foresee/label"
	"foresail.dev/model/foresee/network"
)

// foresight writes a model that foresees an application's violations: one that has learnt from drawn numbers.
func foresight(t *testing.T, app *foresail.App, path string, seed uint64) {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 2))
	var runs []*foresee.Run
	for range 2 {
		r := &foresee.Run{Start: origin, Beat: foresail.Beat, Services: len(app.Services)}
		for range 300 * len(app.Services) * foresee.Numbers {
			r.Values = append(r.Values, rng.Float32())
		}
		for b := 60; b < 300; b += 100 {
			at := r.End(b)
			r.Episodes = append(r.Episodes, labels.Episode{Start: at.Add(-200 * time.Millisecond), Broken: at, End: at.Add(time.Second), Over: at.Add(2 * time.Second), Culprit: 1})
		}
		runs = append(runs, r)
	}
	cfg := foresee.Default()
	cfg.Network, cfg.Epochs, cfg.Window = network.CNN, 1, 3
	m, _, err := foresee.Train(t.Context(), foresee.SchemaOf(app), runs, cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := foresee.Write(f, m); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

// A manager is run with and without foresight under names that tell them apart; the model's file and what is done are among what a run
// depends on; a model that can't be used is told before anything runs.
func TestForeseenManagers(t *testing.T) {
	dir := t.TempDir()
	bp, err := appfile.ReadApp("online-boutique")
	if err != nil {
		t.Fatal(err)
	}
	foresight(t, bp.App, filepath.Join(dir, "online-boutique.fsm"), 1)
	named := func(path string) (*Grid, error) {
		e, err := Read("testdata/tiny.yaml")
		if err != nil {
			t.Fatal(err)
		}
		e.Managers = []Choice{{Manager: "autoscale-cons", Foreseen: Both}, {Manager: "hpa", As: "h", Guarded: Guarded, Foreseen: Guarded}}
		e.Seeds, e.Loads = e.Seeds[:1], e.Loads[:1]
		e.Applications[0].Loads = e.Loads
		e.Foresee.Model = path
		e.fill()
		return Prepare(e)
	}
	keys := func() (names, keys []string) {
		g, err := named(filepath.Join(dir, "{application}.fsm"))
		if err != nil {
			t.Fatal(err)
		}
		r, err := timeless(g).Run(t.Context(), Options{Workers: 1})
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range r.Runs {
			names, keys = append(names, o.Run.String()), append(keys, o.Key)
			if o.Failed != "" || o.Fallbacks > 0 || o.Cores == nil || (o.Inputs.Foresight != "") != (o.Inputs.Acts != nil) {
				t.Errorf("%+v: %s%s", o.Run, o.Failed, o.Fallback)
			}
			// The wrapper is asked each beat.
			if per := float64(o.Decisions) / o.Inputs.simulated(); strings.Contains(o.Manager, "seer(") != (per > 5) {
				t.Errorf("%s decides %.1f times a second", o.Manager, per)
			}
		}
		return names, keys
	}
	names, first := keys()
	if len(names) != 3 || !strings.Contains(names[0], "/autoscale-cons/") || !strings.Contains(names[1], "/seer(autoscale-cons)/") || !strings.Contains(names[2], "/guard(seer(h))/") {
		t.Fatalf("runs are %v", names)
	}
	foresight(t, bp.App, filepath.Join(dir, "online-boutique.fsm"), 2)
	_, second := keys()
	for i := range first {
		if same := first[i] == second[i]; same != (i == 0) {
			t.Errorf("run %d with another model: the same key: %v", i, same)
		}
	}

	other, _ := appfile.ReadApp("hotel-reservation")
	foresight(t, other.App, filepath.Join(dir, "other.fsm"), 1)
	older := *bp.App
	older.Services = slices.Clone(older.Services[:len(older.Services)-1])
	older.Endpoints = slices.Clone(older.Endpoints)
	foresight(t, &older, filepath.Join(dir, "older.fsm"), 1)
	trainedModel(t, bp.App, filepath.Join(dir, "tail.fsm"), 1)
	for path, want := range map[string]string{"other.fsm": `"hotel-reservation"`, "older.fsm": "another version", "tail.fsm": "seer", "lost.fsm": "no such file"} {
		if _, err := named(filepath.Join(dir, path)); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", path, err)
		}
	}
	if _, err := named(""); err == nil || !strings.Contains(err.Error(), "no model that foresees violations of online-boutique: train one with `foresail train seer`") {
		t.Error(err)
	}
}

// Faults of foreseen managers are told with the others: a name that is there twice, settings out of range.
func TestFaultsOfForeseen(t *testing.T) {
	err := appfile.Decode("x.yaml", []byte(`experiment: x
applications: [online-boutique]
loads: [l.yaml]
managers: [{manager: hpa, foreseen: both}, {manager: vpa, as: seer(hpa)}, {manager: static, foreseen: maybe}]
foresee: {acts: {factor: 0.5}, modle: x}
seeds: [1]
duration: 1m
`), &Experiment{})
	if err == nil {
		t.Fatal("taken")
	}
	for _, want := range []string{"managers[1]", "seer(hpa)", "maybe", "foresee.acts", "Factor", "modle"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("nothing of %s in\n%v", want, err)
		}
	}
}
