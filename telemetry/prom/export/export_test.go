package export_test

import (
	"io"
	"math"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"

	"foresail.dev"
	"foresail.dev/loop"
	"foresail.dev/sketch"
	"foresail.dev/telemetry/prom/export"
)

func gather(t testing.TB, e *export.Exporter) map[string]*dto.MetricFamily {
	t.Helper()
	all, err := e.Gatherer().Gather()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]*dto.MetricFamily{}
	for _, f := range all {
		out[f.GetName()] = f
	}
	return out
}

func value(m *dto.Metric) float64 {
	switch {
	case m.Counter != nil:
		return m.Counter.GetValue()
	case m.Gauge != nil:
		return m.Gauge.GetValue()
	}
	return math.NaN()
}

func label(m *dto.Metric, name string) string {
	for _, l := range m.Label {
		if l.GetName() == name {
			return l.GetValue()
		}
	}
	return ""
}

// Everything that is on /metrics is in the table, with the type, help and labels that it says.
func TestFamiliesListsWhatThereIs(t *testing.T) {
	e := run(t, "hotel-reservation", "hpa", 30*time.Second, time.Minute, export.Config{Replicas: true}, nil)
	known := map[string]export.Family{}
	for _, f := range export.Families() {
		if _, twice := known[f.Name]; twice {
			t.Errorf("%s is listed twice", f.Name)
		}
		known[f.Name] = f
	}
	seen := 0
	for name, f := range gather(t, e) {
		if strings.HasPrefix(name, "go_") || strings.HasPrefix(name, "process_") {
			continue
		}
		seen++
		k, ok := known[name]
		if !ok {
			t.Errorf("%s is not listed", name)
			continue
		}
		if got := strings.ToLower(f.GetType().String()); got != k.Kind.String() || f.GetHelp() != k.Help {
			t.Errorf("%s: a %s, %q; listed as a %s, %q", name, got, f.GetHelp(), k.Kind, k.Help)
		}
		for _, m := range f.Metric {
			for _, l := range m.Label {
				if !slices.Contains(k.Labels, l.GetName()) {
					t.Errorf("%s has the label %s, which is not listed", name, l.GetName())
				}
			}
		}
	}
	if seen < 50 {
		t.Errorf("%d families of a simulated run", seen)
	}
}

// What the metrics count is what the snapshots held.
func TestCountsWhatSnapshotsHold(t *testing.T) {
	e := run(t, "hotel-reservation", "hpa", 20*time.Second, time.Minute, export.Config{}, nil)
	all := gather(t, e)
	for _, m := range all["foresail_endpoint_latency_seconds"].Metric {
		name := label(m, "endpoint")
		var requests, errors float64
		for _, r := range all["foresail_endpoint_requests_total"].Metric {
			if label(r, "endpoint") == name {
				requests = value(r)
			}
		}
		for _, r := range all["foresail_endpoint_errors_total"].Metric {
			if label(r, "endpoint") == name {
				errors = value(r)
			}
		}
		if n := float64(m.Histogram.GetSampleCount()); n != requests-errors || n == 0 {
			t.Errorf("%s: %g latencies, %g requests, %g errors", name, n, requests, errors)
		}
		if b := m.Histogram.Bucket; len(b) == 0 || b[len(b)-1].GetCumulativeCount() != m.Histogram.GetSampleCount() {
			t.Errorf("%s: classic buckets hold less than the native ones", name)
		}
	}
	if n := len(all["foresail_replica_cpu_seconds_total"].GetMetric()); n != 0 {
		t.Errorf("%d series of replicas, which nobody asked for", n)
	}
	decisions := 0.0
	for _, m := range all["foresail_decisions_total"].Metric {
		decisions += value(m)
	}
	if decisions != 1 || all["foresail_decision_duration_seconds"].Metric[0].Histogram.GetSampleCount() != 1 {
		t.Errorf("%g decisions counted in 20 s of a manager that decides every 15", decisions)
	}
}

// The three formats hold the same families; OpenMetrics is well-formed to its end.
func TestFormats(t *testing.T) {
	e := run(t, "hotel-reservation", "hpa", 5*time.Second, time.Minute, export.Config{}, nil)
	want := len(gather(t, e))
	for _, accept := range []string{"text/plain;version=0.0.4", "application/openmetrics-text;version=1.0.0",
		"application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"} {
		r := httptest.NewRequest("GET", "/metrics", nil)
		r.Header.Set("Accept", accept)
		w := httptest.NewRecorder()
		e.Handler().ServeHTTP(w, r)
		if w.Code != 200 {
			t.Fatalf("%s: %d: %s", accept, w.Code, w.Body)
		}
		if strings.Contains(accept, "openmetrics") {
			if !strings.HasSuffix(w.Body.String(), "# EOF\n") {
				t.Error("OpenMetrics does not end with # EOF")
			}
			continue
		}
		d := expfmt.NewDecoder(w.Body, expfmt.ResponseFormat(w.Header()))
		n := 0
		for {
			var f dto.MetricFamily
			err := d.Decode(&f)
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatalf("%s: %v", accept, err)
			}
			if n++; strings.Contains(accept, "protobuf") && f.GetName() == "foresail_endpoint_latency_seconds" && len(f.Metric[0].Histogram.PositiveSpan) == 0 {
				t.Error("no native histogram in protobuf")
			}
		}
		if n != want {
			t.Errorf("%s: %d families of %d", accept, n, want)
		}
	}
}

// town is an application of n services and n endpoints.
func town(n int) *foresail.App {
	app := &foresail.App{Name: "town"}
	for i := range n {
		name := string(rune('a'+i%26)) + strings.Repeat("x", i/26)
		app.Services = append(app.Services, foresail.Service{Name: name})
		app.Endpoints = append(app.Endpoints, foresail.Endpoint{Name: name, Entry: foresail.ServiceID(i), Objective: &foresail.Objective{Percentile: 99, Latency: time.Second}})
	}
	return app
}

// beat is an interval in which every service answered one request.
func beat(app *foresail.App, start time.Time) *foresail.Snapshot {
	s := &foresail.Snapshot{Start: start, End: start.Add(100 * time.Millisecond), Has: foresail.SignalEndpoints}
	for range app.Services {
		l := sketch.New()
		l.Add(0.1)
		s.Services = append(s.Services, foresail.ServiceStats{Usage: foresail.Usage{Has: foresail.SignalCompletions | foresail.SignalLatency | foresail.SignalInFlight,
			Completions: 1, Latency: l, InFlight: foresail.Gauge{Last: 1, Mean: 1, Max: 3}}})
	}
	for range app.Endpoints {
		s.Endpoints = append(s.Endpoints, foresail.EndpointStats{Arrivals: 1, Requests: 1})
	}
	return s
}

func tell(e *export.Exporter, app *foresail.App, s *foresail.Snapshot) {
	e.Events().Observed(foresail.NewHistory(app, foresail.Needs{}), s)
}

// Of 30 services with room for 8, the other 22 are counted together: nothing is lost but who they are.
func TestBeyondTheLimitIsCountedAsOther(t *testing.T) {
	app := town(30)
	e := export.New(export.Config{App: app, Limit: 8})
	for i := range 3 {
		tell(e, app, beat(app, begin.Add(time.Duration(i)*100*time.Millisecond)))
	}
	all := gather(t, e)
	check := func(name, by string, sum, other float64) {
		t.Helper()
		total, rest := 0.0, math.NaN()
		for _, m := range all[name].Metric {
			v := value(m)
			if m.Histogram != nil {
				v = float64(m.Histogram.GetSampleCount())
			}
			total += v
			if label(m, by) == export.Other {
				rest = v
			}
			if label(m, "application") != "town" {
				t.Errorf("%s: application %q", name, label(m, "application"))
			}
		}
		if n := len(all[name].Metric); n != 9 || total != sum || rest != other {
			t.Errorf("%s: %d series with a sum of %g, of which other %g; want 9, %g and %g", name, n, total, rest, sum, other)
		}
	}
	check("foresail_service_completions_total", "service", 90, 66)
	check("foresail_service_latency_seconds", "service", 90, 66)
	check("foresail_service_in_flight_mean", "service", 30, 22)
	check("foresail_service_in_flight_max", "service", 3*9, 3)
	check("foresail_endpoint_requests_total", "endpoint", 90, 66)
	check("foresail_objective_windows_total", "endpoint", 0, 0)
	folded := map[string]float64{}
	for _, m := range all["foresail_metrics_folded_series"].Metric {
		folded[label(m, "family")] = value(m)
	}
	if folded["foresail_service_completions_total"] != 22 {
		t.Errorf("folded: %v", folded)
	}
}

// Requests that become known late are counted when they do.
func TestLateAdditionsAreCounted(t *testing.T) {
	app := town(1)
	e := export.New(export.Config{App: app})
	s := beat(app, begin)
	tell(e, app, s)
	next := beat(app, s.End)
	late := beat(app, begin)
	late.Edges = []foresail.EdgeStats{{From: 0, To: 0, Calls: 2}}
	next.Late = []*foresail.Snapshot{late}
	before := next.Services[0].Latency.Count()
	tell(e, app, next)
	all := gather(t, e)
	for name, want := range map[string]float64{"foresail_service_completions_total": 3, "foresail_endpoint_requests_total": 3, "foresail_edge_calls_total": 2} {
		if got := value(all[name].Metric[0]); got != want {
			t.Errorf("%s is %g, not %g", name, got, want)
		}
	}
	if n := all["foresail_service_latency_seconds"].Metric[0].Histogram.GetSampleCount(); n != 3 {
		t.Errorf("%d latencies", n)
	}
	if next.Services[0].Latency.Count() != before {
		t.Error("the snapshot was changed")
	}
}

// A service that has not been observed for a minute has no gauge, and one that comes back goes on.
func TestWhatIsNotObservedVanishes(t *testing.T) {
	app := town(2)
	e := export.New(export.Config{App: app})
	at := begin
	tell(e, app, beat(app, at))
	for range 700 {
		at = at.Add(100 * time.Millisecond)
		s := beat(app, at)
		s.Services[1] = foresail.ServiceStats{}
		tell(e, app, s)
	}
	if n := len(gather(t, e)["foresail_service_in_flight_mean"].Metric); n != 1 {
		t.Errorf("%d services have a gauge, one was observed", n)
	}
	tell(e, app, beat(app, at.Add(100*time.Millisecond)))
	for _, m := range gather(t, e)["foresail_service_completions_total"].Metric {
		if label(m, "service") == "b" && value(m) != 2 {
			t.Errorf("b's counter is %g, not 2", value(m))
		}
	}
}

func TestDecisionsForecastsAndErrors(t *testing.T) {
	app := town(2)
	e := export.New(export.Config{App: app, Manager: "madu", Mode: loop.Recommend})
	to := foresail.Allocation{Replicas: 3, CPU: 0.5}
	plan := &foresail.Plan{At: begin, Manager: "guard(madu)", Fallback: "no model",
		Changes: []foresail.Change{{Service: 1, To: to, Reason: foresail.Reason{Rule: "hpa/utilisation", Bound: "max replicas"}}},
		Alarms:  []foresail.Alarm{{Service: 1, Probability: 0.8}},
		Forecasts: []foresail.Forecast{{Service: 1, From: begin, To: begin.Add(time.Minute), Arrivals: 600,
			Quantiles: []foresail.Quantile{{Share: 0.8413447, Arrivals: 720}}}}}
	told := e.Events().Decided
	told(loop.Decision{At: begin, Mode: loop.Auto, Plan: plan, Applied: true, Before: make([]foresail.Allocation, 2), Took: time.Millisecond})
	told(loop.Decision{At: begin, Mode: loop.Auto, Plan: plan, Applied: true, Err: &foresail.ApplyError{Failed: map[foresail.ServiceID]error{1: io.EOF}}})
	told(loop.Decision{At: begin, Mode: loop.Auto, Err: foresail.ErrStale})
	all := gather(t, e)
	for _, want := range []struct {
		name string
		v    float64
		with string // label=value
	}{
		{"foresail_manager_info", 1, "manager=guard(madu)"},
		{"foresail_manager_info", 1, "mode=auto"},
		{"foresail_plan_replicas", 3, "service=b"},
		{"foresail_plan_cpu_cores", 0.5, "service=b"},
		{"foresail_plan_changes_total", 1, "service=b"},
		{"foresail_plan_changes_total", 0, "service=a"},
		{"foresail_alarms_total", 2, "service=b"},
		{"foresail_alarms_total", 0, "service=a"},
		{"foresail_plan_reasons_total", 2, "rule=hpa/utilisation"},
		{"foresail_plan_bounds_total", 2, "bound=max replicas"},
		{"foresail_apply_errors_total", 1, "service=b"},
		{"foresail_decision_errors_total", 1, "application=town"},
		{"foresail_decisions_total", 1, "outcome=changed"},
		{"foresail_decisions_total", 2, "outcome=failed"},
		{"foresail_fallback_active", 1, "application=town"},
		{"foresail_fallbacks_total", 1, "application=town"},
		{"foresail_forecast_arrivals_per_second", 10, "service=b"},
		{"foresail_forecast_arrivals_per_second_quantile", 12, "quantile=0.8413"},
	} {
		name, v, _ := strings.Cut(want.with, "=")
		i := slices.IndexFunc(all[want.name].GetMetric(), func(m *dto.Metric) bool { return label(m, name) == v })
		if i < 0 || value(all[want.name].Metric[i]) != want.v {
			t.Errorf("%s{%s} is not %g: %v", want.name, want.with, want.v, all[want.name])
		}
	}
	if h := all["foresail_decision_duration_seconds"].Metric[0].Histogram; h.GetSampleCount() != 3 {
		t.Errorf("%d durations of 3 decisions", h.GetSampleCount())
	}
}

// A scrape that takes long makes the loop wait for nothing, and misses nothing.
func TestTheLoopDoesNotWaitForAScrape(t *testing.T) {
	app := town(1)
	e := export.New(export.Config{App: app})
	inside, goOn := make(chan struct{}), make(chan struct{})
	e.Add(func(func(string, float64, ...string)) { inside <- struct{}{}; <-goOn })
	done := make(chan struct{})
	tell(e, app, beat(app, begin))
	go func() { e.Gatherer().Gather(); close(done) }()
	<-inside
	for i := 1; i < 10; i++ { // would never end if it waited
		tell(e, app, beat(app, begin.Add(time.Duration(i)*100*time.Millisecond)))
	}
	close(goOn)
	<-done
	go func() { <-inside }()
	if v := value(gather(t, e)["foresail_service_completions_total"].Metric[0]); v != 10 {
		t.Errorf("%g of 10 counted", v)
	}
}

// Hostile names are values of labels and nothing else.
func TestHostileNames(t *testing.T) {
	app := &foresail.App{Name: "x\"} 1\n# EOF\n", Services: []foresail.Service{{Name: "\xff\n\\\""}}}
	e := export.New(export.Config{App: app})
	tell(e, app, beat(app, begin))
	w := httptest.NewRecorder()
	r := httptest.NewRequest("GET", "/metrics", nil)
	e.Handler().ServeHTTP(w, r)
	for line := range strings.Lines(w.Body.String()) {
		if strings.HasPrefix(line, "# EOF") {
			t.Error("a name ended the answer")
		}
	}
	if w.Code != 200 || !strings.Contains(w.Body.String(), "foresail_service_completions_total") {
		t.Errorf("%d: %.300s", w.Code, w.Body)
	}
}

func TestClassicBucketsAreBoundsOfSketches(t *testing.T) {
	app := town(1)
	e := export.New(export.Config{App: app})
	s := beat(app, begin)
	l := sketch.New()
	for _, v := range []float64{0.0001, 0.25, 0.26, 5, 100} {
		l.Add(v)
	}
	s.Services[0].Latency = l
	tell(e, app, s)
	h := gather(t, e)["foresail_service_latency_seconds"].Metric[0].Histogram
	for bound, want := range map[float64]uint64{math.Exp2(-11): 1, 0.25: 2, 0.5: 3, 4: 3, 8: 4, 32: 4} {
		i := slices.IndexFunc(h.Bucket, func(b *dto.Bucket) bool { return b.GetUpperBound() == bound })
		if i < 0 || h.Bucket[i].GetCumulativeCount() != want {
			t.Errorf("below %g: %v, not %d", bound, h.Bucket, want)
		}
	}
}

// The slowest request of an endpoint is an exemplar of its latencies, at the bucket that it is in.
func TestTheSlowestRequestIsAnExemplar(t *testing.T) {
	app := town(1)
	e := export.New(export.Config{App: app})
	s := beat(app, begin)
	l := sketch.New()
	l.Add(0.1)
	l.Add(3)
	s.Endpoints[0].Latency = l
	s.Endpoints[0].Slowest = foresail.Exemplar{Trace: foresail.TraceID{0xab, 15: 0x01}, Latency: 3 * time.Second}
	tell(e, app, s)
	r := httptest.NewRequest("GET", "/metrics", nil)
	r.Header.Set("Accept", "application/openmetrics-text;version=1.0.0")
	w := httptest.NewRecorder()
	e.Handler().ServeHTTP(w, r)
	want := `foresail_endpoint_latency_seconds_bucket{application="town",endpoint="a",le="4.0"} 2 # {trace_id="ab000000000000000000000000000001"} 3.0 `
	if !strings.Contains(w.Body.String(), want) {
		t.Errorf("no %q in\n%s", want, w.Body)
	}
}

func BenchmarkObserve(b *testing.B) {
	app := town(100)
	e := export.New(export.Config{App: app})
	at := begin
	b.ReportAllocs()
	for b.Loop() {
		tell(e, app, beat(app, at))
		at = at.Add(100 * time.Millisecond)
	}
}

func BenchmarkScrape(b *testing.B) {
	app := town(100)
	e := export.New(export.Config{App: app})
	tell(e, app, beat(app, begin))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := e.Gatherer().Gather(); err != nil {
			b.Fatal(err)
		}
	}
}
