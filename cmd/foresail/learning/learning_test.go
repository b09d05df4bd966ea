package learning

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/cmd/foresail/cli"
	"foresail.dev/model/tail"
	"foresail.dev/model/tail/steps"
)

// collect writes data sets of an application of two services, of which the first is now and then too small.
func collect(t *testing.T, dir, name string, runs, seconds int) {
	t.Helper()
	app := &foresail.App{Name: name, Endpoints: []foresail.Endpoint{{Name: "all", Objective: &foresail.Objective{Percentile: 99, Latency: 100 * time.Millisecond}}}}
	for _, s := range []string{"web", "db"} {
		app.Services = append(app.Services, foresail.Service{Name: s, Bounds: foresail.Bounds{MinReplicas: 1, MaxReplicas: 1, MinCPU: 0.2, MaxCPU: 4}})
	}
	for k := range runs {
		w, err := steps.Create(filepath.Join(dir, fmt.Sprintf("run-%d%s", k, steps.Ext)), steps.Header{Schema: tail.SchemaOf(app), Objectives: []string{"p99 < 100ms"}, Cluster: "sim", Manager: "explore", Load: "test", Seed: uint64(k + 1)})
		if err != nil {
			t.Fatal(err)
		}
		r := rand.New(rand.NewPCG(uint64(k), 1))
		for i := range seconds {
			s := tail.Step{End: time.Unix(1_700_000_000+int64(i), 0).UTC(), Rate: 100, Endpoints: make([]tail.EndpointStep, 1), Services: make([]tail.ServiceStep, 2)}
			slow := 20.0
			for j := range s.Services {
				cores := 0.5 + r.Float64()
				s.Services[j] = tail.ServiceStep{Replicas: 1, Cores: cores, Used: min(cores, 0.7), Memory: 50, InFlight: 1, Arrivals: 100}
				if j == 0 && cores < 0.7 {
					slow = 150
				}
			}
			for q := range s.Latency {
				s.Latency[q] = slow + float64(q) + r.Float64()
			}
			s.Endpoints[0] = tail.EndpointStep{Requests: 100}
			if slow > 100 {
				s.Endpoints[0].Late = 30
			}
			if err := w.Add(&s); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func call(t *testing.T, args ...string) (string, error) {
	t.Helper()
	c := New()
	var out bytes.Buffer
	c.SetOut(&out)
	c.SetErr(&bytes.Buffer{})
	c.SetArgs(args)
	c.SilenceUsage, c.SilenceErrors = true, true
	err := c.ExecuteContext(t.Context())
	return out.String(), err
}

func TestAModelIsTrainedAndFineTuned(t *testing.T) {
	dir := t.TempDir()
	data, model, tuned := filepath.Join(dir, "data"), filepath.Join(dir, "m.fsm"), filepath.Join(dir, "tuned.fsm")
	if err := os.Mkdir(data, 0o755); err != nil {
		t.Fatal(err)
	}
	collect(t, data, "pair", 4, 200)
	text, err := call(t, "--data", data, "--out", model, "--epochs", "3", "--batch", "32", "--trees", "20", "--hold-out", "0.25", "--json")
	if err != nil {
		t.Fatal(err)
	}
	var res struct {
		Schema string
		Rows   []row
		Detail detail
	}
	if err := json.Unmarshal([]byte(text), &res); err != nil {
		t.Fatal(err)
	}
	if res.Schema != "foresail.dev/train-sinan/v1" || len(res.Rows) != 2 || res.Rows[0].On != "validation" || res.Rows[1].On != "held out" || res.Rows[1].Samples < 150 ||
		res.Detail.Application != "pair" || res.Detail.Trained < 500 || res.Detail.Margin <= 0 || res.Detail.Label != "windows" {
		t.Errorf("%s", text)
	}
	info, err := os.Stat(model)
	if err != nil || info.Size() != res.Detail.Bytes || info.Mode().Perm() != 0o644 {
		t.Error(info, err)
	}
	m, err := ReadModel(model)
	if err != nil || m.Schema().Name != "pair" {
		t.Fatal(err)
	}
	text, err = call(t, "--data", data, "--from", model, "--share", "0.9", "--out", tuned, "--epochs", "1", "--batch", "32")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(text, "before") || !strings.Contains(text, "margin") {
		t.Error(text)
	}
}

func TestBadCalls(t *testing.T) {
	dir := t.TempDir()
	data, empty := filepath.Join(dir, "data"), filepath.Join(dir, "empty")
	for _, d := range []string{data, empty} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	collect(t, data, "pair", 2, 30)
	there := filepath.Join(dir, "there.fsm")
	if err := os.WriteFile(there, []byte("something"), 0o644); err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(dir, "m.fsm")
	for _, c := range []struct {
		want  string
		usage bool
		args  []string
	}{
		{"there already", true, []string{"--data", data, "--out", there}},
		{`label "x"`, true, []string{"--data", data, "--out", out, "--label", "x"}},
		{"--share 2", true, []string{"--data", data, "--out", out, "--share", "2", "--label", "x"}},
		{"leave it out", true, []string{"--data", data, "--out", out, "--from", there, "--channels", "rate"}},
		{"--from: ", true, []string{"--data", data, "--out", out, "--from", there}},
		{"not a model file", true, []string{"--data", data, "--out", out, "--from", there}},
		{"holds no data set", true, []string{"--data", empty, "--out", out}},
		{"hotel-reservation-17", true, []string{"--data", data, "--out", out, "--app", "hotel-reservation-17"}},
		{"collect more", false, []string{"--data", data, "--out", out}},
	} {
		_, err := call(t, c.args...)
		if err == nil || !strings.Contains(err.Error(), c.want) || cli.IsUsage(err) != c.usage {
			t.Errorf("%v: want %q, got %v", c.args, c.want, err)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 3 {
		t.Error("something was left behind:", left, err)
	}
}
