package tuning

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"foresail.dev/cmd/foresail/tuning/bench"
	"foresail.dev/model/tune"
)

const small = `
application: hotel-reservation
rate: 100
objective: {endpoint: search}
cost: {of_default: 1}
trials: 9
initial: 7
confirm: 2
candidates: 50
evaluations: 1
methods: [monolith-gp, random]
optimisers: [random]
knobs:
  - {services: [frontend, search, geo], knob: cpu, range: 0.2..2, default: 0.5}
`

func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// fake is a bench whose latency hangs on geo's CPU alone. It refuses, and breaks, where it is told to.
type fake struct {
	now      map[string]string
	sets     []map[string]string
	refuse   func(map[string]string) bool
	breaks   func(map[string]string) bool
	measured int
	stopAt   int // measurement in which it is told to stop
	stop     context.CancelFunc
}

func (f *fake) Set(_ context.Context, values map[string]string, _ uint64) error {
	f.now = maps.Clone(values)
	f.sets = append(f.sets, f.now)
	if f.refuse != nil && f.refuse(values) {
		return &bench.Refusal{Why: "not so"}
	}
	return nil
}

func (f *fake) Measure(ctx context.Context) (bench.Outcome, error) {
	if f.measured++; f.measured == f.stopAt {
		f.stop()
		return bench.Outcome{}, ctx.Err()
	}
	if f.breaks != nil && f.breaks(f.now) {
		return bench.Outcome{Broken: "it broke"}, nil
	}
	var geo float64
	_, err := fmt.Sscan(f.now["geo:cpu"], &geo)
	return bench.Outcome{Latency: 0.01 / geo, Slack: 0.1, Requests: 1000, Metrics: map[string]float64{"geo:p90": 0.01 / geo}}, err
}

func (f *fake) Close() error { return nil }

func begin(t *testing.T, dir, name string, f *fake) *session {
	t.Helper()
	j, err := Read(write(t, dir, "tune.yaml", small))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, name)
	jr, err := create(path, j.Hash)
	if errors.Is(err, os.ErrExist) {
		jr, err = resume(path, j.Hash)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = jr.close() })
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	return &session{job: j, bench: f, journal: jr, progress: func(float64, string) {}, now: func() time.Time { return at }, began: at}
}

// Both methods share the initial design; what they find is measured again, with the default; the best is faster.
func TestASession(t *testing.T) {
	s := begin(t, t.TempDir(), "t.jsonl", &fake{})
	if err := s.run(context.Background()); err != nil {
		t.Fatal(err)
	}
	rows, d := s.result("t.jsonl")
	if len(rows) != 7+2*2+3*2 || s.done != s.all || len(d.Found) != 2 || len(d.Compared) != 1 {
		t.Fatalf("%d rows, %d of %d, %+v", len(rows), s.done, s.all, d)
	}
	for _, f := range d.Found {
		if f.Trials != 9 || f.Speedup == nil || *f.Speedup < 1.3 || !f.BestMet || *f.Cost > f.Cost0+1e-9 {
			t.Errorf("%+v", f)
		}
	}
	if m := d.Found[0].Matter; len(m) != 3 || m[0].Knob != "geo:cpu" {
		t.Errorf("%+v matters", m)
	}
	var out strings.Builder
	if err := d.print(&out); err != nil || !strings.Contains(out.String(), "monolith-gp") {
		t.Error(err, out.String())
	}
}

// A search that is stopped at any trial, or killed while it writes one, goes on as if it had not been. Told to stop, it first goes
// back to a setting that works.
func TestResuming(t *testing.T) {
	dir := t.TempDir()
	whole := begin(t, dir, "whole.jsonl", &fake{})
	if err := whole.run(context.Background()); err != nil {
		t.Fatal(err)
	}
	want, _ := os.ReadFile(filepath.Join(dir, "whole.jsonl"))
	for _, at := range []int{1, 4, 8, 13} {
		name := fmt.Sprintf("part%d.jsonl", at)
		ctx, cancel := context.WithCancel(context.Background())
		f := &fake{stopAt: at, stop: cancel}
		part := begin(t, dir, name, f)
		if err := part.run(ctx); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("stopped after %d of", at-1)) {
			t.Fatal(err)
		}
		if !maps.Equal(f.now, part.inEffect) || len(part.inEffect) == 0 {
			t.Errorf("stopped at %d, what is in effect is %v and should be %v", at, f.now, part.inEffect)
		}
		file, err := os.OpenFile(filepath.Join(dir, name), os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = file.WriteString(`{"seed":1,"phase":"des`)
		_ = file.Close()
		if err := begin(t, dir, name, &fake{}).run(context.Background()); err != nil {
			t.Fatal(err)
		}
		if got, _ := os.ReadFile(filepath.Join(dir, name)); string(got) != string(want) {
			t.Errorf("stopped at %d and resumed, the trials are others:\n%s\nshould be\n%s", at, got, want)
		}
	}
}

// After a trial that was refused, or broke the application, what is in effect is the last setting that worked.
func TestRollingBack(t *testing.T) {
	bad := func(v map[string]string) bool { return v["frontend:cpu"] > "0.6" }
	for verdict, f := range map[tune.Verdict]*fake{tune.Refused: {refuse: bad}, tune.Broken: {breaks: bad}} {
		s := begin(t, t.TempDir(), "t.jsonl", f)
		if err := s.run(context.Background()); err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, r := range s.rows {
			if r.Verdict == verdict {
				n++
			}
		}
		if n == 0 {
			t.Fatal("nothing went wrong")
		}
		for i, v := range f.sets {
			if bad(v) && (i+1 == len(f.sets) || bad(f.sets[i+1])) {
				t.Errorf("%s: after setting %d, %v, nothing was rolled back", verdict, i, v)
			}
		}
		if err := s.leave(context.Background(), true); err != nil || bad(f.now) {
			t.Error(err, f.now)
		}
	}
}

// A time budget ends the search; what was found so far is measured all the same.
func TestTheTimeBudget(t *testing.T) {
	s := begin(t, t.TempDir(), "t.jsonl", &fake{})
	s.job.File.Budget = time.Minute
	calls := 0
	s.now = func() time.Time { calls++; return s.began.Add(time.Duration(calls) * 4 * time.Second) }
	if err := s.run(context.Background()); err != nil {
		t.Fatal(err)
	}
	if _, d := s.result(""); len(d.Notes) != 1 || !strings.Contains(d.Notes[0], "time budget") || d.Found[0].Speedup == nil {
		t.Errorf("%+v", d)
	}
}

// Each wrong field is told with its place.
func TestFaultsAreNamed(t *testing.T) {
	for want, change := range map[string][2]string{
		"methods[0]":           {"methods: [monolith-gp", "methods: [oracle"},
		"optimisers[0]":        {"optimisers: [random]", "optimisers: [luck]"},
		"no endpoint":          {"endpoint: search", "endpoint: find"},
		"load":                 {"rate: 100", "rate: 0"},
		"initial":              {"initial: 7", "initial: 70"},
		"knobs[0].range":       {"range: 0.2..2", "range: 2..0.2"},
		"nothing sets it":      {"knob: cpu", "knob: gear"},
		"is called nobody":     {"[frontend, search, geo]", "[nobody]"},
		"use cluster: testbed": {"knob: cpu", "knob: procs"},
		"no cache":             {"knob: cpu, range: 0.2..2, default: 0.5", "knob: cache, range: 1MiB..1GiB"},
		"knobs[0].choices":     {"range: 0.2..2", "range: 0.2..2, choices: [1]"},
		"the cheapest costs":   {"of_default: 1", "at_most: 0.1"},
		"which Foresail sets":  {"default: 0.5}", "default: 0.5, command: [\"true\"]}"},
		"template":             {"trials: 9", "trials: 9\nfiles: [{template: none.tmpl, to: x}]"},
		"of_default":           {"default: 0.5}", "default: 0.5, of_default: true}\n  - {services: [geo], knob: workers, of_default: true, choices: [1, 2]}"},
	} {
		text := strings.Replace(small, change[0], change[1], 1)
		if text == small {
			t.Fatal("nothing was changed for ", want)
		}
		if _, err := Read(write(t, t.TempDir(), "tune.yaml", text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, should say %s", err, want)
		}
	}
}

// A template may use any knob, and a choice of texts; a set for a service by name takes the place of one by a pattern.
func TestKindsOfKnobs(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "x.tmpl", `gear = {{knob "geo:gear"}}`)
	text := small + "  - {services: [geo], knob: gear, choices: [low, high], default: low}\n  - {services: [\"g*\"], knob: cpu, choices: [0.5, 1.5], default: 0.5}\nfiles: [{template: x.tmpl, to: x.conf}]\n"
	j, err := Read(write(t, dir, "tune.yaml", text))
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(j.Space.Inputs()); got != "[frontend:cpu search:cpu geo:cpu geo:gear=low geo:gear=high]" {
		t.Error(got)
	}
	v, err := j.setting(map[string]string{"frontend:cpu": "1", "search:cpu": "1", "geo:cpu": "1.5", "geo:gear": "high"})
	if err != nil || v[2] != 1 || v[3] != 1 {
		t.Error(v, err)
	}
	if less, more := j.Space.Cost(tune.Setting{1, 1, 0, 0}), j.Space.Cost(v); more-less < 0.999 || more-less > 1.001 {
		t.Errorf("a core more costs %v", more-less)
	}
	if _, err := j.setting(map[string]string{"frontend:cpu": "1", "geo:gear": "fast"}); err == nil || !strings.Contains(err.Error(), "low, high") {
		t.Error(err)
	}
}

// The examples are read as they stand.
func TestTheExamplesAreRead(t *testing.T) {
	for _, name := range []string{"tune", "tune-compared", "tune-testbed"} {
		if _, err := Read("../../../examples/" + name + ".yaml"); err != nil {
			t.Error(err)
		}
	}
}

func FuzzTrials(f *testing.F) {
	f.Add([]byte("{\"schema\":\"" + recordSchema + "\",\"file\":\"x\"}\n{\"seed\":1,\"phase\":\"design\",\"trial\":0}\n{\"se"))
	f.Add([]byte("{}\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		all, whole, err := parse(data, "x")
		if err == nil && (whole > len(data) || len(all) >= max(strings.Count(string(data[:whole]), "\n"), 1)) {
			t.Errorf("%d trials in %d bytes of %q", len(all), whole, data)
		}
	})
}
