package explaining

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"image/png"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"pgregory.net/rapid"

	"foresail.dev"
	"foresail.dev/appfile"
	"foresail.dev/cluster/sim"
	"foresail.dev/cmd/foresail/cli"
	"foresail.dev/loop"
	"foresail.dev/model/tail"
	"foresail.dev/model/tail/steps"
	"foresail.dev/telemetry/store"
)

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// made is a folder with a history, a data set and a model of online-boutique, and a model of another application.
var made = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "explaining")
	if err != nil {
		return "", err
	}
	return dir, errors3(record(dir, "online-boutique", 240), other(dir))
})

func TestMain(m *testing.M) {
	code := m.Run()
	if dir, err := made(); err == nil {
		os.RemoveAll(dir)
	}
	os.Exit(code)
}

func errors3(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

// drawn moves cores at random, so that there is something to learn.
type drawn struct{ rng *rand.Rand }

func (*drawn) Name() string { return "drawn" }
func (*drawn) Needs() foresail.Needs {
	return foresail.Needs{Every: time.Second, Seconds: 2}
}
func (d *drawn) Decide(h *foresail.History) (*foresail.Plan, error) {
	app := h.App()
	p := &foresail.Plan{At: h.Now(), Manager: "drawn"}
	id := foresail.ServiceID(d.rng.IntN(len(app.Services)))
	a := app.Services[id].Initial
	a.CPU *= 0.1 + 0.7*d.rng.Float64()
	a, _ = app.Services[id].Bounds.Clamp(a)
	p.Changes = append(p.Changes, foresail.Change{Service: id, To: a})
	return p, nil
}

// record simulates an application under a manager that draws, keeps what was observed, and trains a model on it.
func record(dir, name string, seconds int) error {
	b, err := appfile.ReadApp(name)
	if err != nil {
		return err
	}
	l, err := appfile.ReadLoad("../../../examples/loads/boutique.yaml", b.App)
	if err != nil {
		return err
	}
	c, err := sim.New(sim.Config{Blueprint: b, Load: l, Seed: 1, Start: start, Duration: time.Duration(seconds) * time.Second})
	if err != nil {
		return err
	}
	h, err := store.Open(filepath.Join(dir, "history"), store.Options{App: b.App})
	if err != nil {
		return err
	}
	schema := tail.SchemaOf(b.App)
	if err := os.MkdirAll(filepath.Join(dir, "data"), 0o755); err != nil {
		return err
	}
	w, err := steps.Create(filepath.Join(dir, "data", "one"+steps.Ext), steps.Header{Schema: schema, Objectives: make([]string, len(schema.Endpoints)), Cluster: "sim", Manager: "drawn", Load: "boutique"})
	if err != nil {
		return err
	}
	run := tail.Run{Name: "one"}
	rec := store.NewRecorder(h, store.RecorderOptions{Every: time.Second, Wait: true})
	var failed error
	seen := 0
	err = loop.Run(context.Background(), c, &drawn{rand.New(rand.NewPCG(1, 1))}, loop.Options{Mode: loop.Auto, Events: loop.Events{Observed: func(h *foresail.History, s *foresail.Snapshot) {
		rec.Observe(h.App(), s)
		if seen++; seen%10 != 0 {
			return
		}
		st := tail.Observe(b.App, h.Seconds(1)[0])
		run.Steps = append(run.Steps, st)
		if err := w.Add(&st); err != nil && failed == nil {
			failed = err
		}
	}}})
	rec.Close()
	for _, e := range []error{err, failed, w.Close(), h.Close()} {
		if e != nil {
			return e
		}
	}
	cfg := tail.Default()
	cfg.Epochs, cfg.Batch, cfg.Trees, cfg.HoldOut, cfg.Source = 3, 32, 10, 0, "a test"
	m, _, err := tail.Train(context.Background(), schema, []tail.Run{run}, cfg, nil)
	if err != nil {
		return err
	}
	return write(filepath.Join(dir, "model.fsm"), m)
}

func write(path string, m *tail.Model) error {
	var b bytes.Buffer
	if err := tail.Write(&b, m); err != nil {
		return err
	}
	return os.WriteFile(path, b.Bytes(), 0o644)
}

// other writes a model of another application.
func other(dir string) error {
	app := &foresail.App{Name: "shop", Services: []foresail.Service{{Name: "front", Bounds: foresail.Bounds{MinReplicas: 1, MaxReplicas: 1, MinCPU: 1, MaxCPU: 4}}},
		Endpoints: []foresail.Endpoint{{Name: "all", Objective: &foresail.Objective{Percentile: 99, Latency: 200 * time.Millisecond}}}}
	run := tail.Run{Name: "drawn"}
	r := rand.New(rand.NewPCG(1, 1))
	for i := range 300 {
		s := tail.Step{End: start.Add(time.Duration(i) * time.Second), Rate: 100, Endpoints: []tail.EndpointStep{{Requests: 100, Late: float64(r.IntN(3))}}}
		for k := range s.Latency {
			s.Latency[k] = 20 + 100*r.Float64()
		}
		s.Services = []tail.ServiceStep{{Replicas: 1, Cores: 1 + r.Float64(), Used: r.Float64(), Memory: 10, InFlight: 1, Arrivals: 100}}
		run.Steps = append(run.Steps, s)
	}
	cfg := tail.Default()
	cfg.Epochs, cfg.Batch, cfg.Trees, cfg.HoldOut, cfg.Source = 1, 32, 5, 0, "a test"
	m, _, err := tail.Train(context.Background(), tail.SchemaOf(app), []tail.Run{run}, cfg, nil)
	if err != nil {
		return err
	}
	return write(filepath.Join(dir, "other.fsm"), m)
}

// command runs one in the folder that was made.
func command(t testing.TB, c *cobra.Command, args ...string) (string, error) {
	t.Helper()
	dir, err := made()
	if err != nil {
		t.Fatal(err)
	}
	for i, a := range args {
		args[i] = strings.ReplaceAll(a, "DIR", dir)
	}
	var out bytes.Buffer
	c.SetOut(&out)
	c.SetErr(io.Discard)
	c.SetArgs(args)
	c.SilenceUsage, c.SilenceErrors = true, true
	c.SetContext(context.Background())
	err = c.Execute()
	return out.String(), err
}

func TestExplain(t *testing.T) {
	for name, args := range map[string][]string{
		"a history":  {"--history", "DIR/history"},
		"a data set": {"--data", "DIR/data"},
	} {
		t.Run(name, func(t *testing.T) {
			args = append(args, "--model", "DIR/model.fsm", "--at", "2026-01-01T00:02:00Z")
			out, err := command(t, NewExplain(), args...)
			if err != nil {
				t.Fatal(err)
			}
			for _, part := range []string{"online-boutique at 2026-01-01 00:02:00, model ", "trained on ", "predicted for the next second: p90 ", "observed then: p99 ", "others", "What was changed at this moment"} {
				if !strings.Contains(out, part) {
					t.Errorf("no %q in\n%s", part, out)
				}
			}
			t.Log(out)
		})
	}
}

// Contributions add up to the prediction, and what was changed is what the history says.
func TestExplainAsJSON(t *testing.T) {
	dir, _ := made()
	picture := filepath.Join(t.TempDir(), "why.png")
	out, err := command(t, NewExplain(), "--history", "DIR/history", "--model", "DIR/model.fsm", "--at", "30s", "--json", "--plot", picture)
	if err != nil {
		t.Fatal(err)
	}
	var r struct {
		Schema string
		Rows   []Row
		Detail Detail
	}
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatal(err)
	}
	sum := r.Detail.Base.P99
	for _, row := range r.Rows {
		sum += row.P99
	}
	if d := sum - r.Detail.Predicted.P99; r.Schema != "foresail.dev/explain/v1" || d < -1 || d > 1 || len(r.Rows) < 11*6 {
		t.Errorf("%s: %d contributions lead to %v, predicted is %v", r.Schema, len(r.Rows), sum, r.Detail.Predicted.P99)
	}
	if !r.Detail.At.Equal(start.Add(210*time.Second)) || r.Detail.Observed == nil || r.Detail.Observed.Violated == nil {
		t.Errorf("%+v", r.Detail)
	}
	f, err := os.Open(picture)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if img, err := png.Decode(f); err != nil || img.Bounds().Dx() < 500 {
		t.Error(err)
	}
	_ = dir
}

func TestWhatIf(t *testing.T) {
	out, err := command(t, NewWhatIf(), "--history", "DIR/history", "--model", "DIR/model.fsm", "--set", "cartservice.cpu=1.5", "--set", "productcatalogservice.replicas=2")
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"cartservice: 1 × 1.5 cores instead of", "productcatalogservice: 2 × ", "now ", "changed ", "p99 is off by"} {
		if !strings.Contains(out, part) {
			t.Errorf("no %q in\n%s", part, out)
		}
	}
	out, err = command(t, NewWhatIf(), "--data", "DIR/data", "--model", "DIR/model.fsm", "--at", "2026-01-01T00:01:00Z", "--set", "frontend.cpu=4", "--set", "frontend.replicas=8", "--json")
	if err != nil {
		t.Fatal(err)
	}
	var r struct {
		Schema string
		Rows   []Case
		Detail whatIf
	}
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatal(err)
	}
	if r.Schema != "foresail.dev/whatif/v1" || len(r.Rows) != 2 || r.Rows[1].Cores <= r.Rows[0].Cores || len(r.Detail.Outside) == 0 || !strings.Contains(r.Detail.Outside[0], "frontend") {
		t.Errorf("%s", out)
	}
}

// Whoever asks the wrong thing is told what is wrong and what to do, and it is an error of usage.
func TestMistakes(t *testing.T) {
	history := []string{"--history", "DIR/history", "--model", "DIR/model.fsm"}
	data := []string{"--data", "DIR/data", "--model", "DIR/model.fsm"}
	set := func(what ...string) []string {
		a := append([]string{}, history...)
		for _, w := range what {
			a = append(a, "--set", w)
		}
		return a
	}
	for _, c := range []struct {
		whatif bool
		args   []string
		says   string
	}{
		{false, nil, "needs either --history"},
		{false, []string{"--at", "1s"}, "needs either --history"},
		{false, history, "needs --at"},
		{false, append(history, "--at", "yesterday"), `--at "yesterday": give a time`},
		{false, append(history, "--at", "2027-01-01T00:00:00Z"), "nothing is kept of that time: the history goes from 2026-01-01 00:00:00 to 2026-01-01 00:04:00"},
		{false, append(history, "--at", "2026-01-01T00:00:03Z"), "of the 5 seconds up to 2026-01-01 00:00:03 that are looked at 3 were observed"},
		{false, append(data, "--at", "2027-01-01T00:00:00Z"), "no run in"},
		{false, append(data, "--run", "two", "--at", "10s"), "there is no such run"},
		{false, append(history, "--run", "two", "--at", "10s"), "give --data"},
		{false, []string{"--data", "DIR/nosuch", "--at", "10s"}, "--data: open"},
		{false, []string{"--history", "DIR/nosuch", "--at", "10s"}, "no history store"},
		{false, []string{"--history", "DIR/history", "--at", "10s", "--model", "DIR/nosuch"}, "--model: open"},
		{false, []string{"--history", "DIR/history", "--at", "10s", "--model", "DIR/data/one.steps"}, "--model"},
		{false, []string{"--history", "DIR/history", "--at", "10s", "--model", "DIR/other.fsm"}, `it is of application "shop" and this one is "online-boutique"`},
		{false, []string{"--history", "DIR/history", "--at", "10s"}, "there is no built-in model of online-boutique"},
		{false, append(data, "--at", "10s", "--application", "hotel-reservation"), "does not fit application hotel-reservation"},
		{false, append(history, "--at", "10s", "--application", "hotel-reservation"), "the history is of online-boutique"},
		{true, history, "needs --set"},
		{true, set("caartservice.cpu=1"), `online-boutique has no service "caartservice", did you mean cartservice?`},
		{true, set("cartservice.cpu=1", "cartservice.gpu=1"), `there is no field "gpu"`},
		{true, set("cartservice.cpu=99"), "its bounds are"},
		{true, set("cartservice.replicas=99"), "its bounds are"},
		{true, set("cartservice.replicas=1.5"), "no number of replicas"},
		{true, set("cartservice.cpu=-1"), "no number of cores"},
		{true, set("cart"), "write SERVICE.cpu=CORES"},
		{true, set("cartservice.cpu=1", "cartservice.cpu=2"), "set twice"},
	} {
		cmd := NewExplain()
		if c.whatif {
			cmd = NewWhatIf()
		}
		out, err := command(t, cmd, append([]string{}, c.args...)...)
		if err == nil || !cli.IsUsage(err) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%v: %v (usage: %v), want %q\n%s", c.args, err, cli.IsUsage(err), c.says, out)
		}
	}
}

// What --set accepts lies within bounds; whatever it is given, it does not panic.
func TestSettings(t *testing.T) {
	b, err := appfile.ReadApp("online-boutique")
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.String(), rapid.StringMatching(`(cartservice|adservice|web)\.(cpu|replicas)=[0-9.e-]{0,5}`)).Draw(t, "text")
		all, err := parse(b.App, []string{text})
		if err != nil {
			return
		}
		s, bounds := all[0], b.App.Services[all[0].service].Bounds
		if s.cpu > 0 == (s.replicas > 0) || s.cpu > bounds.MaxCPU || s.replicas > bounds.MaxReplicas {
			t.Fatalf("%q: %+v", text, s)
		}
	})
}

func FuzzSet(f *testing.F) {
	b, err := appfile.ReadApp("online-boutique")
	if err != nil {
		f.Fatal(err)
	}
	f.Add("cartservice.cpu=1.5")
	f.Add("a.b.replicas=3")
	f.Fuzz(func(t *testing.T, text string) { _, _ = parse(b.App, []string{text}) })
}

func Example_distance() {
	fmt.Println(distance("cartt", "cart"), distance("", "cart"), distance("chart", "cart"))
	// Output: 1 4 1
}
