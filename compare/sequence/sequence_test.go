package sequence

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"foresail.dev"
	"foresail.dev/compare"
	"foresail.dev/model/latency"
)

const shop = `
application: shop
services:
  web: {initial: {replicas: 1, cpu: 1}, operations: {buy: {steps: [{cpu: 2ms, calls: [{to: cache.get, hit: 50%, miss: [store.find]}]}, store.find]}}}
  cache: {initial: {replicas: 1, cpu: 1}, operations: {get: 1ms}}
  store: {initial: {replicas: 1, cpu: 1}, operations: {find: {cpu: 1ms, io: 1ms, read: 4KiB}}}
endpoints: {buy: {entry: web.buy}}
`

const small = `
points: [10, 20]
seeds: 2
before: 20
kept: 10
test: 10
requests: 200
methods: [composed, monolith-gp, monolith-kept]
monolith_evaluations: 1
skill: -1
spectrum: ["0.50"]
sequences:
  - name: shop
    application: shop.yaml
    kinds: {cache: memcached, store: mongodb}
    steps:
      - {name: deploy, rate: 50}
      - {name: all twice but the store, rate: 100, instances: {"*": 2, mongodb: 1}}
      - {name: Redis and a third cache, instances: {redis: 3}, replace: {memcached: redis}}
`

func file(t *testing.T, text string) *File {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"shop.yaml": shop, "f.yaml": text} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	f, err := Read(filepath.Join(dir, "f.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// The example has the paper's instances in each step, and the last of the hotel's the paper's inputs.
func TestTheExampleHasThePapersSteps(t *testing.T) {
	f, err := Read("../../examples/fluxion.yaml")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string][]int{"boutique": {11, 22, 33}, "hotel": {15, 17, 19, 37, 48, 15, 70, 142}, "train-ticket": {49, 50, 51, 53, 62, 105, 49}}
	for _, c := range f.Sequences {
		var got []int
		for _, d := range c.deployments {
			got = append(got, d.Count())
		}
		if !slices.Equal(got, want[c.Name]) {
			t.Errorf("%s has %v instances, want %v", c.Name, got, want[c.Name])
		}
		if last := c.deployments[len(c.deployments)-1]; c.Name == "hotel" && len(last.Inputs()) != 1034 {
			t.Errorf("%d inputs, want 1034", len(last.Inputs()))
		}
	}
	if _, err := Read("../../examples/fluxion-smoke.yaml"); err != nil {
		t.Error(err)
	}
}

// A service needs what its visits cost: by hand, a visit of the shop is 2 ms in web, one of cache and one and a half of store.
func TestWhatServicesNeed(t *testing.T) {
	d := file(t, small).Sequences[0].deployments[0]
	if got, want := fmt.Sprintf("%.4f", demand(d.bp, []float64{10})), "[0.0200 0.0100 0.0150]"; got != want {
		t.Errorf("%s cores at 10 requests a second, want %s", got, want)
	}
}

// Calls spread evenly over instances, knobs are drawn in their ranges, states and metrics fit together, and a sample is the same
// each time.
func TestASample(t *testing.T) {
	c := file(t, small).Sequences[0]
	for step, d := range c.deployments {
		names := d.columns()
		v, err := d.sample(context.Background(), c.loads[step], 4000, source(1, 7, "a"))
		if err != nil {
			t.Fatal(err)
		}
		again, err := d.sample(context.Background(), c.loads[step], 4000, source(1, 7, "a"))
		if err != nil || !slices.Equal(v, again) || len(v) != len(names) {
			t.Fatal(err, len(v), len(names), "or it is another the second time")
		}
		at := func(label string) float64 { return v[slices.Index(names, label)] }
		rate := map[string]float64{}
		for s, n := range d.Instances {
			for k := range n {
				one := at(latency.Label(d.label(foresail.ServiceID(s), k), "rps"))
				rate[d.name(foresail.ServiceID(s))] += one
				for i := range kinds[d.Kinds[s]].Knobs {
					knob := &kinds[d.Kinds[s]].Knobs[i]
					x, lo, hi := at(latency.Label(d.label(foresail.ServiceID(s), k), knob.Name)), knob.Min, knob.Max
					if knob.Nominal {
						lo, hi = lo*d.nominal[s], hi*d.nominal[s]
					}
					if x < lo-1e-9 || x > hi+1e-9 {
						t.Errorf("step %d: %s is %v, outside %v to %v", step, knob.Name, x, lo, hi)
					}
				}
			}
			for k := range n {
				if one := at(latency.Label(d.label(foresail.ServiceID(s), k), "rps")); math.Abs(one*float64(n)/rate[d.name(foresail.ServiceID(s))]-1) > 0.12 {
					t.Errorf("step %d: instance %d of %s has %v of %v requests a second", step, k, d.name(foresail.ServiceID(s)), one, rate[d.name(foresail.ServiceID(s))])
				}
			}
		}
		if got := rate["cache"] / rate["web"]; math.Abs(got-1) > 0.02 {
			t.Errorf("step %d: %v requests to the cache for each of the front's", step, got)
		}
		if calls := at(latency.Label(d.label(d.front, 0), "calls")); calls < 2 || calls > 3 {
			t.Errorf("step %d: %v calls for each request", step, calls)
		}
		if front, store := at("web:avg"), at("store:avg"); !(front > store && store > 0.001) {
			t.Errorf("step %d: the front takes %v s and the store %v", step, front, store)
		}
	}
}

// What was made is used again, by the same program; more samples are added to those there are.
func TestSamplesAreKept(t *testing.T) {
	c := file(t, small).Sequences[0]
	dir, made := t.TempDir(), 0
	get := func(s store, n int) *latency.Table {
		t.Helper()
		first := -1
		table, err := c.samples(context.Background(), s, 0, n, 200, 2, 1, func(done int) {
			if first < 0 {
				first = done
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		made = (n+chunk-1)/chunk*chunk - first
		return table
	}
	a := get(store{dir: dir, program: "a"}, 20)
	if made != chunk {
		t.Errorf("made %d", made)
	}
	b := get(store{dir: dir, program: "a"}, chunk+10)
	if made != chunk {
		t.Errorf("made %d", made)
	}
	x, _ := a.Column("web:0.90")
	y, _ := b.Column("web:0.90")
	if !slices.Equal(x, y[:20]) {
		t.Error("they are others")
	}
	if get(store{dir: dir, program: "b", any: true}, chunk); made != 0 {
		t.Errorf("made %d", made)
	}
	if get(store{dir: dir, program: "b"}, chunk); made != chunk {
		t.Errorf("made %d", made)
	}
	files, _ := filepath.Glob(filepath.Join(dir, "samples", "*-1.gob.gz"))
	if len(files) != 1 || os.WriteFile(files[0], []byte("damaged"), 0o600) != nil {
		t.Fatal(files)
	}
	if get(store{dir: dir, any: true}, 2*chunk); made != chunk {
		t.Errorf("made %d", made)
	}
}

// A whole file: every method in every step, what a step changed is trained and no more; with what was kept it is the same.
func TestRunning(t *testing.T) {
	f := file(t, small)
	o := Options{Dir: t.TempDir(), Program: "a", Workers: 2}
	out, err := f.Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	rows := out.Rows()
	if len(rows) != 2*(2+3+3) {
		t.Fatalf("%d rows", len(rows))
	}
	for _, w := range rows {
		if !(w.MAE > 0) || !(w.CI > 0) || !(w.Log > 0) || w.Seeds != 2 {
			t.Errorf("%+v", w)
		}
		if w.Method != "composed" {
			continue
		}
		// Four metrics: two of web, one of each other. Step 2: three service-vertices. Step 3: the cache's assignment, its service-vertex and those of web, which hangs on it.
		if want := map[int][2]int{1: {4, 4}, 2: {3, 7}, 3: {4, 7}}[w.Step]; w.New != want[0] || w.Assignments != want[1] {
			t.Errorf("step %d: %d of %d assignments were trained", w.Step, w.New, w.Assignments)
		}
	}
	if y := out.Yardsticks(); len(y) != 2 || len(y[0].Against) != 2 || y[0].Holds != (y[0].Against[0].Lower > 0 && y[0].Against[1].Lower > 0) {
		t.Errorf("%+v", y)
	}
	if svg, err := out.SVG("shop"); err != nil || !strings.Contains(string(svg), "<svg") {
		t.Error(err)
	}
	again, err := f.Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	for i, w := range again.Rows() {
		if w != rows[i] {
			t.Errorf("%+v\nwas %+v", w, rows[i])
		}
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if _, err := f.Run(ctx, Options{Reuse: compare.ReuseNone}); !errors.Is(err, ErrStopped) {
		t.Error(err)
	}
}

// Rows of before a step stand for rows of after it: copies of what an instance's service had, the middle of what is new.
func TestCarryingRowsOver(t *testing.T) {
	c := file(t, small).Sequences[0]
	was, d := c.deployments[1], c.deployments[2]
	table := func(d *Deployment, n int, base float64) *latency.Table {
		names := d.columns()
		cols := make([][]float64, len(names))
		for i := range cols {
			for k := range n {
				cols[i] = append(cols[i], base+float64(k))
			}
		}
		out, err := latency.NewTable(names, cols)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	got, err := carry(table(was, 2, 10), was, table(d, 3, 100), d, "web:0.90")
	if err != nil {
		t.Fatal(err)
	}
	for label, want := range map[string]string{"web#1:cpu": "[10 11 100 101 102]", "cache#3:rps": "[10 11 100 101 102]", "cache#3:maxmemory_mib": "[101 101 100 101 102]", "web:0.90": "[10 11 100 101 102]"} {
		if c, _ := got.Column(label); fmt.Sprint(c) != want {
			t.Errorf("%s is %v, want %s", label, c, want)
		}
	}
}

func TestFaultsAreNamed(t *testing.T) {
	for want, change := range map[string][2]string{
		"methods[0]":                         {"[composed, monolith-gp, monolith-kept]", "[oracle]"},
		"spectrum[0]":                        {`["0.50"]`, `["0.42"]`},
		"points: must grow":                  {"[10, 20]", "[20, 10]"},
		"kinds.cash: is no service":          {"cache: memcached", "cash: memcached"},
		`kinds.cache: is "mem"`:              {"cache: memcached", "cache: mem"},
		"steps[0].rate: is missing":          {"rate: 50", "rate: 0"},
		"steps[1].instances.mongodb: is 0":   {"mongodb: 1", "mongodb: 0"},
		"steps[2].instances.rediss":          {"{redis: 3}", "{rediss: 3}"},
		"steps[2].replace.memcached: is":     {"memcached: redis}", "memcached: none}"},
		"sequences[0].application: can't be": {"shop.yaml", "none.yaml"},
		"not a known field":                  {"rate: 100", "rates: 100"},
	} {
		text := strings.Replace(small, change[0], change[1], 1)
		dir := t.TempDir()
		for name, text := range map[string]string{"shop.yaml": shop, "f.yaml": text} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := Read(filepath.Join(dir, "f.yaml")); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v\nshould say %s", err, want)
		}
	}
}

func FuzzFile(f *testing.F) {
	f.Add(strings.ReplaceAll(small, "shop.yaml", "hotel-reservation"))
	f.Add("sequences: [{name: a, application: online-boutique, databases: {mysql: [adservice]}, steps: [{name: b, rate: 1, mix: {index: 1}}]}]")
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(text, "/") {
			t.Skip("files of this machine are no input")
		}
		file, err := Parse("f.yaml", []byte(text))
		if err != nil {
			return
		}
		for _, c := range file.Sequences {
			for _, d := range c.deployments {
				if len(d.columns()) < len(d.Inputs()) {
					t.Error(d)
				}
			}
		}
	})
}
