package historytable_test

import (
	"bytes"
	"encoding/csv"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"

	"foresail.dev"
	"foresail.dev/cmd/foresail/historytable"
	"foresail.dev/sketch"
	"foresail.dev/telemetry/series"
)

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func shop() (*foresail.App, *foresail.Snapshot) {
	app := &foresail.App{Name: "shop", Services: []foresail.Service{{Name: "front"}, {Name: "cart"}}, Endpoints: []foresail.Endpoint{{Name: "GET /"}}}
	l := sketch.New()
	for range 100 {
		l.Add(0.01)
	}
	s := &foresail.Snapshot{Start: start, End: start.Add(10 * time.Second), Has: foresail.SignalEndpoints | foresail.SignalEdges,
		Services: []foresail.ServiceStats{{Usage: foresail.Usage{Has: foresail.SignalCPU | foresail.SignalLatency, CPU: 5, Latency: l}}, {Usage: foresail.Usage{Has: foresail.SignalReady, Ready: 2},
			Replicas: []foresail.ReplicaStats{{Name: "cart-1", Node: "n", Usage: foresail.Usage{Has: foresail.SignalReady, Ready: 1}}}}},
		Endpoints: []foresail.EndpointStats{{Requests: 100, Latency: l, Slowest: foresail.Exemplar{Trace: foresail.TraceID{0xab}, Latency: time.Second}}},
		Edges:     []foresail.EdgeStats{{From: 0, To: 1, Calls: 7}}}
	return app, s
}

// What was not observed is no column's value, in whatever form.
func TestRows(t *testing.T) {
	app, s := shop()
	rows := historytable.Rows(app, s, series.Service, historytable.Only{})
	if len(rows) != 2 || rows[0]["cpu_seconds"] != 5.0 || rows[0]["latency_count"] != 100.0 || rows[1]["ready"] != 2.0 || rows[1]["cpu_seconds"] != nil || rows[1]["latency_p50_ms"] != nil {
		t.Errorf("%v", rows)
	}
	for _, c := range []struct {
		level string
		only  historytable.Only
		want  int
	}{
		{"service", historytable.Only{Services: []string{"cart"}}, 1}, {"replica", historytable.Only{Services: []string{"cart"}}, 1}, {"replica", historytable.Only{Services: []string{"front"}}, 0},
		{"endpoint", historytable.Only{}, 1}, {"endpoint", historytable.Only{Services: []string{"cart"}}, 0}, {"service", historytable.Only{Endpoints: []string{"GET /"}}, 0},
		{"endpoint", historytable.Only{Endpoints: []string{"GET /"}}, 1}, {"edge", historytable.Only{Services: []string{"cart"}}, 1}, {"node", historytable.Only{}, 0},
	} {
		l, err := historytable.ParseLevel(c.level)
		if err != nil {
			t.Fatal(err)
		}
		if got := historytable.Rows(app, s, l, c.only); len(got) != c.want {
			t.Errorf("%s of %+v: %v", c.level, c.only, got)
		}
	}
}

func write(t *testing.T, w historytable.Writer, rows []historytable.Row) {
	t.Helper()
	for _, r := range rows {
		if err := w.Write(r); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestTable(t *testing.T) {
	app, s := shop()
	var b bytes.Buffer
	write(t, historytable.NewTable(&b, series.Service), historytable.Rows(app, s, series.Service, historytable.Only{}))
	lines := strings.Split(b.String(), "\n")
	if len(lines) != 4 || !strings.HasPrefix(lines[0], "TIME ") || strings.Join(strings.Fields(lines[1]), " ") != "2026-03-01 12:00:00 front - - - 0.50 - - - - 9.91 10.1" {
		t.Errorf("%q", lines)
	}
}

func TestCSV(t *testing.T) {
	app, s := shop()
	var b bytes.Buffer
	write(t, historytable.NewCSV(&b, series.Endpoint), historytable.Rows(app, s, series.Endpoint, historytable.Only{}))
	all, err := csv.NewReader(&b).ReadAll()
	if err != nil || len(all) != 2 {
		t.Fatal(all, err)
	}
	got := map[string]string{}
	for i, name := range all[0] {
		got[name] = all[1][i]
	}
	for name, want := range map[string]string{"start": "2026-03-01T12:00:00Z", "seconds": "10", "endpoint": "GET /", "requests": "100", "first_late_seconds_ago": "", "latency_count": "100",
		"slowest_trace": "ab" + strings.Repeat("0", 30), "slowest_seconds": "1"} {
		if v, ok := got[name]; !ok || v != want {
			t.Errorf("%s is %q, want %q", name, v, want)
		}
	}
	b.Reset()
	write(t, historytable.NewCSV(&b, series.Node), nil)
	if !strings.HasPrefix(b.String(), "start,seconds,node,") {
		t.Errorf("without rows: %q", b.String())
	}
}

// Parquet is read back by the library's own generic reader: every column, nulls where nothing was observed.
func TestParquet(t *testing.T) {
	app, s := shop()
	var b bytes.Buffer
	rows := historytable.Rows(app, s, series.Service, historytable.Only{})
	for range 11 { // more than one batch
		rows = append(rows, rows...)
	}
	write(t, historytable.NewParquet(&b, series.Service), rows)
	f, err := parquet.OpenFile(bytes.NewReader(b.Bytes()), int64(b.Len()))
	if err != nil {
		t.Fatal(err)
	}
	if f.NumRows() != int64(len(rows)) || len(f.Schema().Columns()) != len(historytable.Columns(series.Service)) {
		t.Errorf("%d rows, %d columns", f.NumRows(), len(f.Schema().Columns()))
	}
	names := f.Schema().Columns()
	r := parquet.NewReader(f)
	defer r.Close()
	for n := 0; ; n++ {
		got := make([]parquet.Row, 1)
		k, err := r.ReadRows(got)
		if k == 0 {
			if n != len(rows) || !errors.Is(err, io.EOF) {
				t.Errorf("%d rows of %d: %v", n, len(rows), err)
			}
			return
		}
		for i, v := range got[0] {
			switch want := rows[n][names[i][0]].(type) {
			case nil:
				if !v.IsNull() {
					t.Fatalf("row %d: %s is %v", n, names[i], v)
				}
			case float64:
				if v.Double() != want {
					t.Fatalf("row %d: %s is %v, want %v", n, names[i], v, want)
				}
			case string:
				if string(v.ByteArray()) != want {
					t.Fatalf("row %d: %s is %v, want %v", n, names[i], v, want)
				}
			case time.Time:
				if v.Int64() != want.UnixMilli() {
					t.Fatalf("row %d: %s is %v, want %v", n, names[i], v, want)
				}
			}
		}
	}
}
