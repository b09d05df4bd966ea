package export_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"maps"
	"math"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/tsdb"

	"foresail.dev/telemetry"
	"foresail.dev/telemetry/prom/export"
	"foresail.dev/telemetry/prom/write"
)

// database is a Prometheus of this process: its storage, its parser and its engine.
type database struct {
	t      testing.TB
	db     *tsdb.DB
	engine *promql.Engine
}

var promqlParser = parser.NewParser(parser.Options{})

func engine() *promql.Engine {
	return promql.NewEngine(promql.EngineOpts{MaxSamples: 50_000_000, Timeout: time.Minute, Parser: promqlParser})
}

func newDatabase(t testing.TB) *database {
	db, err := tsdb.Open(t.TempDir(), nil, nil, tsdb.DefaultOptions(), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return &database{t, db, engine()}
}

func (d *database) add(samples []write.Sample) {
	d.t.Helper()
	app := d.db.Appender(context.Background())
	for _, s := range samples {
		var err error
		if s.H != nil {
			_, err = app.AppendHistogram(0, s.Labels, s.T, nil, s.H)
		} else {
			_, err = app.Append(0, s.Labels, s.T, s.V)
		}
		if err != nil {
			d.t.Fatal(s.Labels, err)
		}
	}
	if err := app.Commit(); err != nil {
		d.t.Fatal(err)
	}
}

// values counts the numbers that an expression gives over the run, NaN left out.
func (d *database) values(expr string, from, to time.Time) (n int) {
	d.t.Helper()
	q, err := d.engine.NewRangeQuery(d.t.Context(), d.db, nil, expr, from, to, 15*time.Second)
	if err != nil {
		d.t.Errorf("%s: %v", expr, err)
		return 0
	}
	defer q.Close()
	r := q.Exec(d.t.Context())
	m, err := r.Matrix()
	if err != nil {
		d.t.Errorf("%s: %v", expr, err)
	}
	for _, w := range r.Warnings.AsErrors() {
		d.t.Errorf("%s: %v", expr, w)
	}
	for _, s := range m {
		for _, p := range s.Floats {
			if !math.IsNaN(p.F) {
				n++
			}
		}
	}
	return n
}

const runLength = 5 * time.Minute

// recorded is /metrics of a simulated run, each 15 seconds, as two databases have it: with native histograms, and with classic
// ones alone.
func recorded(t testing.TB) map[string]*database {
	both := map[string]*database{"native": newDatabase(t), "classic": newDatabase(t)}
	c, err := write.New(write.Config{URL: "http://127.0.0.1:1/"})
	if err != nil {
		t.Fatal(err)
	}
	q := write.NewQueue(c, 0, nil)
	t.Cleanup(func() { q.Close(context.Background()) })
	spans := telemetry.Stats{}
	scrape := func(instance string) func(e *export.Exporter, now time.Time) {
		added := false
		return func(e *export.Exporter, now time.Time) {
			if !added { // what a simulation has not
				e.Add(q.Source("http://mimir/push"))
				e.Add(export.Spans(func() telemetry.Stats { spans.Assembled += 100; spans.Dropped.TooLate++; return spans }))
				added = true
			}
			families, err := e.Gatherer().Gather()
			if err != nil {
				t.Fatal(err)
			}
			labels := map[string]string{"job": "foresail", "instance": instance}
			both["native"].add(write.FromFamilies(families, now, labels))
			for _, f := range families {
				for _, m := range f.Metric {
					if m.Histogram != nil {
						m.Histogram = &dto.Histogram{SampleCount: m.Histogram.SampleCount, SampleSum: m.Histogram.SampleSum, Bucket: m.Histogram.Bucket}
					}
				}
			}
			both["classic"].add(write.FromFamilies(families, now, labels))
		}
	}
	run(t, "hotel-reservation", "madu", runLength, 15*time.Second, export.Config{}, scrape("forecasts:7420"))
	run(t, "hotel-reservation", "autoscale-cons", 2*time.Minute, 15*time.Second, export.Config{}, scrape("meets-a-bound:7420"))
	return both
}

// names lists the series that an expression reads.
func names(t testing.TB, expr string) []string {
	t.Helper()
	e, err := promqlParser.ParseExpr(expr)
	if err != nil {
		t.Errorf("%s: %v", expr, err)
		return nil
	}
	found := map[string]bool{}
	parser.Inspect(e, func(n parser.Node, _ []parser.Node) error {
		if v, ok := n.(*parser.VectorSelector); ok {
			name := v.Name
			for _, m := range v.LabelMatchers {
				if m.Name == model.MetricNameLabel && m.Type == labels.MatchEqual {
					name = m.Value
				}
			}
			found[name] = true
		}
		return nil
	})
	return slices.Sorted(maps.Keys(found))
}

// exists reports whether /metrics, or a recording rule, can have a series of that name.
func exists(name string, recorded []string) bool {
	if strings.HasPrefix(name, "go_") || strings.HasPrefix(name, "process_") || slices.Contains(recorded, name) {
		return true
	}
	base := strings.TrimSuffix(name, "_bucket")
	return slices.ContainsFunc(export.Families(), func(f export.Family) bool { return f.Name == base })
}

// panelExprs are the expressions of the dashboard by panel, its variables filled in.
func panelExprs(t testing.TB) map[string][]string {
	b, err := os.ReadFile("../../../deploy/grafana/foresail.json")
	if err != nil {
		t.Fatal(err)
	}
	var d struct {
		Panels []struct {
			Title   string
			Type    string
			Targets []struct{ Expr string }
		}
		Annotations struct{ List []struct{ Name, Expr string } }
		Templating  struct {
			List []struct{ Name, Type, Definition string }
		}
	}
	if err := json.Unmarshal(b, &d); err != nil {
		t.Fatal(err)
	}
	fill := strings.NewReplacer("$__rate_interval", "1m", "$application", ".*", "$service", ".*")
	out := map[string][]string{}
	section := ""
	for _, p := range d.Panels {
		if p.Type == "row" {
			section = p.Title
			continue
		}
		for _, x := range p.Targets {
			out[section+" / "+p.Title] = append(out[section+" / "+p.Title], fill.Replace(x.Expr))
		}
	}
	for _, a := range d.Annotations.List {
		out["annotation "+a.Name] = []string{fill.Replace(a.Expr)}
	}
	of := regexp.MustCompile(`^label_values\((.*), \w+\)$`)
	for _, v := range d.Templating.List {
		if m := of.FindStringSubmatch(v.Definition); m != nil {
			out["variable "+v.Name] = []string{fill.Replace(m[1])}
		}
	}
	return out
}

// Every panel of the dashboard has data of a simulated run, with native histograms and with classic ones, and asks for nothing
// that does not exist.
func TestEveryPanelHasData(t *testing.T) {
	dbs := recorded(t)
	panels := panelExprs(t)
	if len(panels) < 30 {
		t.Errorf("%d panels", len(panels))
	}
	for panel, exprs := range panels {
		for _, x := range exprs {
			for _, n := range names(t, x) {
				if !exists(n, nil) {
					t.Errorf("%s asks for %s, which does not exist", panel, n)
				}
			}
			for form, db := range dbs {
				if db.values(x, begin, begin.Add(runLength)) == 0 {
					t.Errorf("%s has no data (%s histograms): %s", panel, form, x)
				}
			}
		}
	}
	for _, r := range ruleFile(t, "rules.yaml") {
		for form, db := range dbs {
			if db.values(r.Expr, begin, begin.Add(runLength)) == 0 {
				t.Errorf("%s has no data (%s histograms)", r.Record, form)
			}
		}
	}
	for _, r := range ruleFile(t, "alerts.yaml") { // they have no data where all is well, but they must run
		dbs["native"].values(r.Expr, begin, begin.Add(runLength))
	}
}

func ruleFile(t testing.TB, name string) []rulefmt.Rule {
	t.Helper()
	groups, errs := rulefmt.ParseFile("../../../deploy/prometheus/"+name, false, model.UTF8Validation, promqlParser, slog.New(slog.DiscardHandler))
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	var out []rulefmt.Rule
	for _, g := range groups.Groups {
		out = append(out, g.Rules...)
	}
	return out
}

func TestRulesAskForWhatExists(t *testing.T) {
	var recorded []string
	rules := ruleFile(t, "rules.yaml")
	for _, r := range rules {
		recorded = append(recorded, r.Record)
	}
	for _, r := range append(rules, ruleFile(t, "alerts.yaml")...) {
		for _, n := range names(t, r.Expr) {
			if !exists(n, recorded) {
				t.Errorf("%s%s asks for %s, which does not exist", r.Record, r.Alert, n)
			}
		}
	}
}
