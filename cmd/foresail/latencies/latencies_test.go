package latencies

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

const small = `
repeats: 2
evaluations: 1
monolith_evaluations: 1
folds: 3
methods: [composed, monolith-ridge]
target: front:0.90
unit: 1us
metrics: [rps, "0.90"]
shows: [CPU]
services: [{name: front, calls: [cart]}, {name: cart, knobs: ["store:*"]}]
datasets: [{name: a, file: runs.csv}, {name: b, file: runs.csv, rates: true}]
`

func runs(n int) string {
	r := rand.New(rand.NewPCG(1, 1))
	text := "run,front:0.90,front:CPU,cart:0.90,cart:CPU,cart:rps,store:CACHE,front:wrk\n"
	for i := range n {
		f, c, s := 1+r.Float64(), 1+r.Float64(), 1+r.Float64()
		cart := 1000 / c / s
		text += fmt.Sprintf("%d,%v,%v,%v,%v,%v,%v,%vms\n", i, 500/f+cart, f, cart, c, 10+r.Float64(), s, f)
	}
	return text
}

func TestMeasuring(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "runs.csv", runs(30)+",,,,,,,\n")
	f, all, err := Read(write(t, dir, "f.yaml", small))
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(all[0].Inputs, len(all[1].Inputs), all[0].Train, all[0].Notes); got != "[front:CPU front:wrk cart:CPU store:CACHE] 5 20 [1 runs lack a number and are left out]" {
		t.Error(got)
	}
	r, err := Measure(context.Background(), f, all, func(float64, string) {})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Rows) != 4 || r.Detail.Best["a"] != "monolith-ridge" || len(r.Detail.Splits["b"]["composed"]) != 2 {
		t.Fatalf("%+v", r)
	}
	for _, w := range r.Rows {
		if !(w.MAE > 0) || w.TrainRows != 20 || w.TestRows != 10 || (w.Ratio == nil) != (w.Method == "monolith-ridge") {
			t.Errorf("%+v", w)
		}
	}
	var out strings.Builder
	if err := r.print(&out); err != nil || !strings.Contains(out.String(), "monolith-ridge") || !strings.Contains(out.String(), "left out") {
		t.Error(err, out.String())
	}
	ctx, stop := context.WithCancel(context.Background())
	stop()
	if _, err := Measure(ctx, f, all, func(float64, string) {}); err == nil || !strings.Contains(err.Error(), "stopped after 0 of 8") {
		t.Error(err)
	}
}

// Each wrong field, and each wrong file, is told with its place.
func TestFaultsAreNamed(t *testing.T) {
	for name, c := range map[string]struct{ yaml, csv, want string }{
		"method":        {strings.Replace(small, "monolith-ridge", "oracle", 1), runs(30), `methods`},
		"callee":        {strings.Replace(small, "calls: [cart]", "calls: [card]", 1), runs(30), `"card"`},
		"target":        {strings.Replace(small, "target: front:0.90", "target: front", 1), runs(30), `target`},
		"target column": {strings.Replace(small, "target: front:0.90", "target: front:0.99", 1), runs(30), `front:0.99`},
		"knob":          {strings.Replace(small, "store:*", "redis:*", 1), runs(30), `redis:*`},
		"few":           {small, runs(9), `at least 10`},
		"empty":         {small, "", `empty`},
		"no labels":     {small, "a,b\n1,2\n", `0 columns`},
		"text":          {small, runs(30) + "x,y,1,1,1,1,1,1\n", `line 32, column front:0.90: "y"`},
		"twice":         {small, "a:x,a:x\n1,2\n", `"a:x" is there twice`},
		"no latency":    {small, runs(30) + "1,0,1,1,1,1,1,1\n", `not above 0`},
		"ragged":        {small, runs(30) + "1,2\n", `wrong number of fields`},
		"infinite":      {small, runs(30) + "1,Inf,1,1,1,1,1,1\n", `no number that can be used`},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, dir, "runs.csv", c.csv)
			if _, _, err := Read(write(t, dir, "f.yaml", c.yaml)); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, should say %s", err, c.want)
			}
		})
	}
}

// The example is read as it stands: 51 knobs, and twelve rates besides.
func TestTheExampleIsRead(t *testing.T) {
	_, all, err := Read("../../../examples/boutique-runs.yaml")
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("needs the outside data in ../shared/data: ", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != 2 || len(all[0].Inputs) != 51 || len(all[1].Inputs) != 63 || all[0].Table.Rows() != 126 {
		t.Error(len(all), len(all[0].Inputs), len(all[1].Inputs), all[0].Table.Rows())
	}
}

func FuzzRuns(f *testing.F) {
	f.Add(runs(3))
	f.Add("a:b\n1.86s\n\"x\n")
	f.Fuzz(func(t *testing.T, text string) {
		if table, _, err := parseRuns(strings.NewReader(text)); err == nil && table.Rows() > strings.Count(text, "\n")+1 {
			t.Error(table.Rows())
		}
	})
}
