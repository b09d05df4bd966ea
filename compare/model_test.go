package compare

import (
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/appfile"
	"foresail.dev/model/tail"
)

// trainedModel writes a model of an application to a file: one that has learnt from a few minutes of drawn seconds.
func trainedModel(t *testing.T, app *foresail.App, path string, seed uint64) {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 1))
	var runs []tail.Run
	for range 2 {
		var run tail.Run
		for i := range 200 {
			s := tail.Step{End: origin.Add(time.Duration(i) * time.Second), Rate: 50, Endpoints: make([]tail.EndpointStep, len(app.Endpoints))}
			for range app.Services {
				s.Services = append(s.Services, tail.ServiceStep{Replicas: 1, Cores: 4 * r.Float64(), Used: 0.1, Memory: 50, InFlight: 1, Arrivals: 50})
			}
			for k := range s.Latency {
				s.Latency[k] = 50 + 10*r.Float64()
			}
			s.Endpoints[0] = tail.EndpointStep{Requests: 50, Late: float64(r.IntN(2))}
			run.Steps = append(run.Steps, s)
		}
		runs = append(runs, run)
	}
	cfg := tail.Default()
	cfg.Epochs, cfg.Trees, cfg.HoldOut, cfg.Source = 1, 5, 0, "drawn"
	m, _, err := tail.Train(context.Background(), tail.SchemaOf(app), runs, cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := tail.Write(f, m); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

// A manager decides with the model that the experiment names, whose file is among what a run depends on; one that is of another
// application, is no model or is not there is told before anything runs.
func TestModelsOfManagers(t *testing.T) {
	dir := t.TempDir()
	bp, err := appfile.ReadApp("online-boutique")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "online-boutique.fsm")
	trainedModel(t, bp.App, file, 1)
	named := func(path string) (*Experiment, error) {
		e, err := Read("testdata/tiny.yaml")
		if err != nil {
			t.Fatal(err)
		}
		e.Managers = []Choice{{Manager: "sinan", Model: path, Guarded: Both}, {Manager: "autoscale-cons"}}
		e.Seeds, e.Loads = e.Seeds[:1], e.Loads[:1]
		e.Applications[0].Loads = e.Loads
		e.fill()
		_, err = Prepare(e)
		return e, err
	}
	e, err := named(filepath.Join(dir, "{application}.fsm"))
	if err != nil {
		t.Fatal(err)
	}
	keys := func() (out []string) {
		g, err := Prepare(e)
		if err != nil {
			t.Fatal(err)
		}
		r, err := timeless(g).Run(t.Context(), Options{Workers: 1})
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range r.Runs {
			out = append(out, o.Key)
			if o.Failed != "" || o.Cores == nil || (o.Inputs.Model != "") != (o.Inputs.Manager == "sinan") {
				t.Errorf("%+v", o.Run)
			}
		}
		return out
	}
	first := keys()
	trainedModel(t, bp.App, file, 2)
	for i, second := range keys() {
		if same := second == first[i]; same != (i == 2) {
			t.Errorf("run %d with another model: the same key: %v", i, same)
		}
	}

	other, _ := appfile.ReadApp("hotel-reservation")
	trainedModel(t, other.App, filepath.Join(dir, "other.fsm"), 1)
	if err := os.WriteFile(filepath.Join(dir, "text.fsm"), []byte("no model"), 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{"other.fsm": "hotel-reservation", "text.fsm": "not a model file", "lost.fsm": "no such file"} {
		if _, err := named(filepath.Join(dir, path)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", path, err)
		}
	}
	if _, err := named(""); err == nil || !strings.Contains(err.Error(), "there is none of online-boutique: train one with `foresail train sinan`") {
		t.Error(err)
	}
	bad := &Experiment{}
	err = appfile.Decode("x.yaml", []byte("experiment: x\napplications: [online-boutique]\nloads: [l.yaml]\nmanagers: [{manager: hpa, model: x.fsm}, {manager: all, model: y}]\nseeds: [1]\nduration: 1m\n"), bad)
	if err == nil || !strings.Contains(err.Error(), "is no matter of hpa: it decides without one") || !strings.Contains(err.Error(), "as, settings and model belong to a single one") {
		t.Error(err)
	}
}
