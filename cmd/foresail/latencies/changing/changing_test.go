package changing

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"foresail.dev/appfile"
	"foresail.dev/cmd/foresail/cli"
)

const shop = `
application: shop
defaults: {workers: 64, queue: 256, initial: {replicas: 1, cpu: 1}, bounds: {replicas: 1, cpu: 0.1..8}}
services:
  front:
    operations:
      look: {cpu: 1ms, calls: [stock.find]}
      buy: {cpu: 1ms, calls: [cart.add]}
  stock: {operations: {find: {cpu: {mean: 2ms, cv: 1}}}}
  cart: {operations: {add: {cpu: {mean: 4ms, cv: 1}}}}
endpoints:
  look: {entry: front.look}
  buy: {entry: front.buy}
`

const mix = `
kind: mix
application: shop.yaml
target: front:0.90
interval: 2s
least: 10
skill: -1
load: {from: 30, to: 80}
before: {look: 80, buy: 20}
after: {look: 20, buy: 80}
train: 25
recent: 20
test: 12
fixes: 3
repeats: 1
`

const days = `
kind: days
application: shop.yaml
target: front:0.90
interval: 2s
least: 8
skill: -1
days: 4
rows: 24
patterns:
  quiet: {load: {from: 40, to: 60}, mix: {look: 80, buy: 20}}
  sale: {load: {from: 40, to: 60}, mix: {look: 20, buy: 80}}
week: [quiet]
special: [{day: 3, pattern: sale}]
releases: [{day: 4, service: stock, cpu: 2}]
methods: [reuse, daily, daily-all, monolith-all]
`

func write(t *testing.T, text string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"shop.yaml": shop, "f.yaml": text} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "f.yaml")
}

func run(t *testing.T, text string) (*Report, error) {
	t.Helper()
	path := write(t, text)
	return Run(t.Context(), path, Kind(path), nil, func(float64, string) {})
}

// What is measured of a changed mix: each way of debugging names each service once, and what it mends is ranked among all that are left.
func TestTheMixChanges(t *testing.T) {
	r, err := run(t, mix)
	if err != nil {
		t.Fatal(err)
	}
	rows, services := r.Rows.([]MixRow), len(r.Detail.(*MixDetail).Services)
	seen := map[string][]string{}
	for _, w := range rows {
		if !(w.MAE > 0) || w.Repeat != 1 || w.BestMAE == nil {
			t.Errorf("%+v", w)
		}
		if w.Step > 0 {
			if slices.Contains(seen[w.Method], w.Service) || w.Rank < 1 || w.Rank > w.Of || w.Of != services+1-w.Step || w.After == nil {
				t.Errorf("%+v", w)
			}
			seen[w.Method] = append(seen[w.Method], w.Service)
		}
	}
	if rows[0].Step != 0 || len(seen["correlation"]) == 0 || len(seen["intervention"]) == 0 {
		t.Errorf("%+v", rows)
	}
	// In all, mending lowers the error, since the front sees more of the slower operation.
	last := rows[len(rows)-1]
	if last.Method != "intervention" || last.MAE > 0.8*rows[0].MAE {
		t.Errorf("%v ms before, %v after %d steps", rows[0].MAE, last.MAE, last.Step)
	}
	var out strings.Builder
	if err := r.Print(&out); err != nil || !strings.Contains(out.String(), "intervention, repeat 1, step 1: front:0.90") {
		t.Error(err, out.String())
	}
	again, err := run(t, mix)
	if err != nil || again.Rows.([]MixRow)[len(rows)-1].MAE != last.MAE {
		t.Error("the same file gave another result", err)
	}
}

func TestDaysComeBack(t *testing.T) {
	r, err := run(t, days)
	if err != nil {
		t.Fatal(err)
	}
	rows, d := r.Rows.([]DayRow), r.Detail.(*DayDetail)
	if len(rows) != 4 || len(d.Days) != 4 || d.Days[2].Pattern != "sale" || d.Days[3].Release != "stock" {
		t.Fatalf("%+v %+v", rows, d)
	}
	for _, w := range rows {
		if !(w.MAE > 0) || w.Days != 3 || w.Models < 1 || (w.Ratio == nil) != (w.Method == "daily") {
			t.Errorf("%+v", w)
		}
	}
	for _, day := range d.Days[1:] {
		if len(day.Log) != 4 {
			t.Errorf("%+v", day)
		}
	}
	var out strings.Builder
	if err := r.Print(&out); err != nil || !strings.Contains(out.String(), "day 4, quiet, release of stock; reuse ") {
		t.Error(err, out.String())
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if _, err := Run(ctx, write(t, days), "days", nil, func(float64, string) {}); err == nil {
		t.Error("it went on after it was stopped")
	}
}

// A release takes the work it is said to, behind cache misses too, and the application it was made of stays as it was.
func TestAReleaseIsHeavier(t *testing.T) {
	bp, err := appfile.ReadApp("hotel-reservation")
	if err != nil {
		t.Fatal(err)
	}
	id, _ := bp.App.ServiceByName("rate")
	was := bp.Services[id].Operations[0].Steps
	got, err := released(bp, release{Service: "rate", CPU: 3})
	if err != nil {
		t.Fatal(err)
	}
	now := got.Services[id].Operations[0].Steps
	if now[0].Work.CPU.Mean != 3*was[0].Work.CPU.Mean || now[0].Calls[0].Miss[0].Work.CPU.Mean != 3*was[0].Calls[0].Miss[0].Work.CPU.Mean || was[0].Work.CPU.Mean > 0.001 {
		t.Errorf("%+v, was %+v", now, was)
	}
	if _, err := released(bp, release{Service: "bank", CPU: 3}); !cli.IsUsage(err) {
		t.Error(err)
	}
}

// Each wrong field is told, with its place.
func TestFaultsAreNamed(t *testing.T) {
	for name, c := range map[string]struct{ text, from, to, want string }{
		"kind":      {mix, "kind: mix", "kind: mixed", "mixed"},
		"target":    {mix, "front:0.90", "front", "target"},
		"endpoint":  {mix, "after: {look: 20, buy: 80}", "after: {look: 20, steal: 80}", "steal"},
		"load":      {mix, "load: {from: 30", "load: {from: -1", "load"},
		"app":       {mix, "shop.yaml", "none.yaml", "none.yaml"},
		"field":     {mix, "fixes: 3", "fixs: 3", "fixs"},
		"week":      {days, "week: [quiet]", "week: [quite]", `"quite"`},
		"special":   {days, "pattern: sale}]", "pattern: sold}]", `"sold"`},
		"rows":      {days, "rows: 24", "rows: 25", "rows"},
		"method":    {days, "[reuse,", "[recycle,", `"recycle"`},
		"service":   {days, "service: stock", "service: stocks", "stocks"},
		"few":       {days, "least: 8", "least: 5000", "nothing was observed of front"},
		"tolerance": {days, "days: 4", "days: 4\ntolerance: 0.5", "tolerance"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := run(t, strings.Replace(c.text, c.from, c.to, 1)); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, should say %s", err, c.want)
			}
		})
	}
	if k := Kind("/none"); k != "" {
		t.Error(k)
	}
	if k := Kind(write(t, "x: [")); k != "" {
		t.Error(k)
	}
}

// The examples are files that can be run.
func TestTheExamplesAreRead(t *testing.T) {
	m, d := defaultMix(), defaultDays()
	for path, into := range map[string]any{"fluxion-mix.yaml": &m, "fluxion-days.yaml": &d} {
		path = "../../../../examples/" + path
		if err := appfile.ReadFile(path, into); err != nil {
			t.Error(err)
		}
		if Kind(path) == "" {
			t.Error(path, "has no kind")
		}
	}
	maker, err := d.maker("")
	if err != nil {
		t.Fatal(err)
	}
	for day := 1; day <= d.Days; day++ {
		if runs, err := d.runs(maker.Blueprint.App, nil, day); err != nil || len(runs) != d.Rows {
			t.Error(err)
		}
	}
}
