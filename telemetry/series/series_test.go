package series_test

import (
	"errors"
	"fmt"
	"math"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"pgregory.net/rapid"

	"foresail.dev"
	"foresail.dev/sketch"
	"foresail.dev/telemetry/series"
	"foresail.dev/telemetry/series/seriestest"
)

// shelf keeps samples as a database does: by series, ascending in time, each moment once.
type shelf struct {
	t    *rapid.T
	rows map[string][]series.Sample
}

func (h *shelf) put(samples []series.Sample) {
	for i, s := range samples {
		key := s.Labels.String()
		if rows := h.rows[key]; len(rows) > 0 && rows[len(rows)-1].T >= s.T {
			h.t.Fatalf("%s: a sample at %d after one at %d", key, s.T, rows[len(rows)-1].T)
		}
		if s.H != nil {
			if err := s.H.Validate(); err != nil {
				h.t.Fatalf("%s: %v", key, err)
			}
			s.H = s.H.Copy()
		}
		if s.Completes != (i == len(samples)-1) || s.Completes != (s.Name == series.SnapshotSeries) {
			h.t.Fatalf("sample %d of %d, %s, completes: %v", i, len(samples), key, s.Completes)
		}
		h.rows[key] = append(h.rows[key], s)
	}
}

// read decodes everything that is complete.
func (h *shelf) read(app *foresail.App) []*foresail.Snapshot {
	var times []series.Interval
	for key, rows := range h.rows {
		if strings.Contains(key, `"`+series.SnapshotSeries+`"`) {
			for _, s := range rows {
				times = append(times, series.IntervalOf(s.T, s.V))
			}
		}
	}
	w := series.NewWindow(app, times)
	for _, rows := range h.rows {
		c := w.Column(rows[0].Labels)
		for _, s := range rows {
			if c == nil {
				break
			}
			if s.H != nil {
				c.FloatHistogram(s.T, s.H)
			} else {
				c.Float(s.T, s.V)
			}
		}
	}
	out, torn := w.Snapshots()
	if torn > 0 {
		h.t.Fatalf("%d snapshots are torn", torn)
	}
	return out
}

// What is written comes back, over restarts of the writer too; and longer intervals come from merging what comes back.
func TestSnapshotsComeBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		app := seriestest.App(t)
		in := seriestest.Snapshots(t, app, 6)
		h, e := &shelf{t, map[string][]series.Sample{}}, series.NewEncoder()
		for i, s := range in {
			samples, err := e.Encode(app, s)
			if err != nil {
				t.Fatal(err)
			}
			if rapid.IntRange(0, 5).Draw(t, "lost") == 0 && i > 0 { // a full disk: nothing of it is there
				e.Reset()
				in[i] = nil
				continue
			}
			h.put(samples)
			if rapid.IntRange(0, 5).Draw(t, "restart") == 0 {
				e = series.NewEncoder()
			}
		}
		in = slices.DeleteFunc(in, func(s *foresail.Snapshot) bool { return s == nil })
		out := h.read(app)
		if len(out) != len(in) {
			t.Fatalf("%d snapshots come back of %d", len(out), len(in))
		}
		for i := range in {
			if err := seriestest.Same(in[i], out[i]); err != nil {
				t.Fatalf("snapshot %d: %v", i, err)
			}
		}
		if err := seriestest.Same(foresail.Merge(in...), foresail.Merge(out...)); err != nil {
			t.Fatalf("merged: %v", err)
		}
	})
}

// A reader that knows only Prometheus' rules sees over a longer interval what merging says.
func TestCountersOverLongerIntervalsAreWhatMergingSays(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		app := seriestest.App(t)
		in := seriestest.Snapshots(t, app, 6)
		h, e := &shelf{t, map[string][]series.Sample{}}, series.NewEncoder()
		for _, s := range in {
			samples, err := e.Encode(app, s)
			if err != nil {
				t.Fatal(err)
			}
			h.put(samples)
		}
		merged := foresail.Merge(in...)
		for i := range app.Services {
			for _, rows := range h.rows {
				l := rows[0].Labels
				if l.Get(model.MetricNameLabel) != "foresail_service_arrivals_total" || l.Get("service") != app.Services[i].Name {
					continue
				}
				if got, want := rows[len(rows)-1].V-rows[0].V, merged.Services[i].Arrivals; math.Abs(got-want) > 1e-9*(1+want) {
					t.Fatalf("%s gained %v, merged %v", l, got, want)
				}
			}
		}
	})
}

func TestWhatIsTornIsLeftOut(t *testing.T) {
	app := &foresail.App{Name: "shop", Services: []foresail.Service{{Name: "cart"}}}
	e := series.NewEncoder()
	at := seriestest.Start
	var all []series.Sample
	for range 2 {
		s := &foresail.Snapshot{Start: at, End: at.Add(time.Second), Services: []foresail.ServiceStats{{Usage: foresail.Usage{Has: foresail.SignalCPU, CPU: 1}}}}
		samples, err := e.Encode(app, s)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, samples...)
		at = s.End
	}
	for name, drop := range map[string]func(series.Sample) bool{
		"the first base": func(s series.Sample) bool { return s.Name == "foresail_service_cpu_seconds_total" && s.Base },
		"everything before the second's start": func(s series.Sample) bool {
			return s.T <= seriestest.Start.Add(time.Second/2).UnixMilli()
		},
	} {
		w := series.NewWindow(app, []series.Interval{{Start: seriestest.Start.UnixMilli(), End: seriestest.Start.UnixMilli() + 1000}, {Start: seriestest.Start.UnixMilli() + 1000, End: at.UnixMilli()}})
		columns := map[string]*series.Column{}
		for _, s := range all {
			if drop(s) {
				continue
			}
			c := columns[s.Name]
			if c == nil {
				c = w.Column(s.Labels)
				columns[s.Name] = c
			}
			if c != nil {
				c.Float(s.T, s.V)
			}
		}
		out, torn := w.Snapshots()
		if torn != 1 || len(out) != 1 || out[0].Services[0].CPU != 1 {
			t.Errorf("without %s: %d torn, %d snapshots", name, torn, len(out))
		}
	}
}

func TestEncodeRefuses(t *testing.T) {
	app := &foresail.App{Name: "shop", Services: []foresail.Service{{Name: "cart"}}}
	ok := func() *foresail.Snapshot {
		return &foresail.Snapshot{Start: seriestest.Start, End: seriestest.Start.Add(time.Second), Services: make([]foresail.ServiceStats, 1)}
	}
	for name, c := range map[string]struct {
		spoil func(*foresail.Snapshot)
		want  string
	}{
		"late additions":   {func(s *foresail.Snapshot) { s.Late = []*foresail.Snapshot{ok()} }, "late"},
		"no length":        {func(s *foresail.Snapshot) { s.End = s.Start }, "2 ms"},
		"too many":         {func(s *foresail.Snapshot) { s.Services = make([]foresail.ServiceStats, 2) }, "2 services"},
		"unknown endpoint": {func(s *foresail.Snapshot) { s.Endpoints = make([]foresail.EndpointStats, 1) }, "1 endpoints"},
		"unknown callee":   {func(s *foresail.Snapshot) { s.Edges = []foresail.EdgeStats{{To: 1}} }, "to 1"},
		"not a number": {func(s *foresail.Snapshot) {
			s.Services[0].Usage = foresail.Usage{Has: foresail.SignalCPU, CPU: math.NaN()}
		}, "cpu_seconds"},
		"falling counter": {func(s *foresail.Snapshot) { s.Dropped = -1 }, "dropped"},
		"endless setting": {func(s *foresail.Snapshot) {
			s.Services[0].Has = foresail.SignalAllocation
			s.Services[0].Allocation.Settings = map[string]float64{"ways": math.Inf(1)}
		}, "ways"},
	} {
		s := ok()
		c.spoil(s)
		e := series.NewEncoder()
		if _, err := e.Encode(app, s); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := e.Encode(app, ok()); err != nil {
			t.Errorf("after %s: %v", name, err)
		}
	}
	s := ok()
	s.Late = []*foresail.Snapshot{ok()}
	if _, err := series.NewEncoder().Encode(app, s); !errors.Is(err, series.ErrLate) {
		t.Error(err)
	}
}

// Names follow Prometheus' conventions: a unit and _total at the end, labels that are known.
func TestTable(t *testing.T) {
	all := series.Table()
	ok := regexp.MustCompile(`^foresail(_[a-z]+)+$`)
	known := []string{"application", "endpoint", "form", "from", "node", "replica", "service", "setting", "shape", "to", "visit"}
	for i, d := range all {
		if i > 0 && all[i-1].Level == d.Level && all[i-1].Name >= d.Name {
			t.Errorf("%s after %s", d.Name, all[i-1].Name)
		}
		if !ok.MatchString(d.Name) || d.Help == "" || !strings.HasSuffix(d.Help, ".") {
			t.Errorf("%q: %q", d.Name, d.Help)
		}
		if (d.Kind == series.Counter) != strings.HasSuffix(d.Name, "_total") {
			t.Errorf("%s is a %s", d.Name, d.Kind)
		}
		if (d.Unit == "seconds" || d.Unit == "bytes" || d.Unit == "cores") && !strings.Contains(d.Name, d.Unit) {
			t.Errorf("%s is in %s", d.Name, d.Unit)
		}
		for _, l := range d.Labels() {
			if !slices.Contains(known, l) {
				t.Errorf("%s has a label %s", d.Name, l)
			}
		}
		if got, found := series.Lookup(d.Name); !found || got != d {
			t.Errorf("%s is not found", d.Name)
		}
	}
	if _, found := series.Lookup("up"); found {
		t.Error("up is none of ours")
	}
}

func TestGained(t *testing.T) {
	of := func(vs ...float64) *histogram.FloatHistogram {
		s := sketch.New()
		for _, v := range vs {
			s.Add(v)
		}
		return series.Histogram(s)
	}
	for _, c := range []struct {
		name    string
		base, h *histogram.FloatHistogram
		want    float64
	}{
		{"nothing", of(1), of(1), 0},
		{"from nothing", nil, of(1, 2, 0), 3},
		{"a new bucket between", of(1, 100), of(1, 10, 100), 1},
		{"below the first", of(1), of(0.001, 1, 0), 2},
		{"began anew with fewer", of(1, 2, 3), of(1), 1},
		{"began anew with more elsewhere", of(1), of(2, 3), 2},
		{"began anew below what was there", of(5), of(0.1, 0.2), 2},
	} {
		if got := series.Gained(c.base, c.h).Count(); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

// The format's description lists every series.
func TestTheDocumentIsComplete(t *testing.T) {
	doc, err := os.ReadFile("../../docs/formats/history.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range series.Table() {
		if row := fmt.Sprintf("| %s | `%s` | %s | %s |\n", d.Level, d.Name, d.Kind, d.Help); !strings.Contains(string(doc), row) {
			t.Errorf("docs/formats/history.md lacks the row\n%s", row)
		}
	}
}

// FuzzWindow reads samples that no encoder wrote, as a store or a server from outside may hold: nothing may panic.
func FuzzWindow(f *testing.F) {
	f.Add([]byte{1, 0, 10, 3, 20, 5, 200, 7, 30, 9, 12, 255}, "cart", "pod-1")
	f.Add([]byte{}, "", "\xff")
	f.Add([]byte{200, 10, 0, 201, 10, 0, 202, 10, 0, 203, 20, 1, 204, 20, 1, 205, 30, 7}, `[{"service":"cart","parent":-1},{"service":"","parent":0,"times":2}]`, "pod-1")
	f.Add([]byte{200, 10, 0, 201, 10, 0, 202, 10, 0}, `[{"service":"cart","parent":5}]`, "1")
	table := series.Table()
	app := &foresail.App{Name: "shop", Services: []foresail.Service{{Name: "cart"}, {Name: ""}}, Endpoints: []foresail.Endpoint{{Name: "pod-1"}}}
	f.Fuzz(func(t *testing.T, data []byte, a, b string) {
		w := series.NewWindow(app, []series.Interval{{Start: 0, End: 10}, {Start: 10, End: 20}, {Start: 15, End: 30}})
		columns := map[string]*series.Column{}
		for ; len(data) >= 3; data = data[3:] {
			d := table[int(data[0])%len(table)]
			l := labels.FromStrings("__name__", d.Name, "service", a, "replica", b, "node", a, "endpoint", b, "from", a, "to", a, "setting", b,
				"shape", a, "visit", b, "form", a)
			c := columns[d.Name]
			if c == nil {
				if c = w.Column(l); c == nil {
					continue
				}
				columns[d.Name] = c
			}
			v := []float64{0, 1, -1, 1e300, math.NaN(), math.Inf(1), math.Inf(-1), 7.5}[data[2]%8]
			if c.Histogram() {
				c.FloatHistogram(int64(data[1]%40), &histogram.FloatHistogram{Schema: 4, Count: v, Sum: v, ZeroCount: v,
					PositiveSpans: []histogram.Span{{Offset: int32(data[2]) - 100, Length: uint32(data[1] % 5)}, {Offset: -3, Length: 1}}, PositiveBuckets: []float64{v, 1, 2}})
			} else {
				c.Float(int64(data[1]%40), v)
			}
		}
		out, torn := w.Snapshots()
		if len(out)+torn != 3 {
			t.Fatalf("%d snapshots and %d torn of 3", len(out), torn)
		}
		for _, s := range out {
			foresail.Merge(s)
		}
	})
}
