package snapshotfile

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/sketch"
	"foresail.dev/telemetry/series/seriestest"
)

// Call graphs come back with all that was observed of them, in an application that numbers its services otherwise too; and what
// can't be one is told.
func TestShapesComeBack(t *testing.T) {
	shop := &foresail.App{Name: "shop", Services: []foresail.Service{{Name: "web"}, {Name: "stock"}}, Endpoints: []foresail.Endpoint{{Name: "buy"}}}
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	of := func(v ...float64) *sketch.Sketch {
		s := sketch.New()
		for _, v := range v {
			s.Add(v)
		}
		return s
	}
	f, err := foresail.NewForm(0, []foresail.Visit{{Parent: -1, Times: 1}, {Service: 1, Operation: "get", Times: 2}, {Service: 1, Operation: "log", Step: 1, Times: 1, Async: true}})
	if err != nil {
		t.Fatal(err)
	}
	s := &foresail.Snapshot{Start: at, End: at.Add(time.Second), Has: foresail.SignalShapes, Services: make([]foresail.ServiceStats, 2), Endpoints: make([]foresail.EndpointStats, 1),
		Shapes: []foresail.ShapeStats{{Form: f, Requests: 3, Pooled: 1, Latency: of(0.1, 0.2), Own: []*sketch.Sketch{of(0.01, 0), of(0.02), nil}}}}
	line, err := json.Marshal(Of(shop, s))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "snaps.jsonl")
	read := func(app *foresail.App, text string) ([]*foresail.Snapshot, error) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return Read(path, app)
	}
	got, err := read(shop, string(line))
	if err != nil {
		t.Fatal(err)
	}
	if err := seriestest.Same(s, got[0]); err != nil {
		t.Error(err)
	}
	other := &foresail.App{Name: "shop", Services: []foresail.Service{{Name: "stock"}, {Name: "web"}}, Endpoints: []foresail.Endpoint{{Name: "look"}, {Name: "buy"}}}
	got, err = read(other, string(line))
	if err != nil {
		t.Fatal(err)
	}
	if d := got[0].Shapes[0]; d.Form.Path(other, true) != f.Path(shop, true) || d.Own[1].Sum() != 0.02 || d.Form.Visits[1].Times != 2 {
		t.Errorf("%+v", d)
	}
	empty := *s
	empty.Shapes = nil
	if b, _ := json.Marshal(Of(shop, &empty)); !strings.Contains(string(b), `"shapes":[]`) {
		t.Errorf("observed and none: %s", b)
	}
	empty.Has = 0
	if b, _ := json.Marshal(Of(shop, &empty)); strings.Contains(string(b), `"shapes"`) {
		t.Errorf("not observed: %s", b)
	}
	for old, c := range map[string][2]string{
		`"endpoint":"buy"`:   {`"endpoint":"sell"`, `endpoint "sell" is not one`},
		`"service":"stock"`:  {`"service":"stick"`, `service "stick" is not one`},
		`"requests":3`:       {`"requests":-3`, "-3 requests"},
		`"pooled":1`:         {`"pooled":4`, "4 of them pooled"},
		`"sum_seconds":0.02`: {`"sum_seconds":-1`, "visit 1: sum_seconds is -1"},
		`"parent":-1`:        {`"parent":0`, "parent"},
		`"shapes":[`:         {`"shapes":[` + between(string(line), `"shapes":[`, `]}]}`) + `]},`, "is there twice"},
		`"buckets":[[`:       {`"buckets":[[0.5,1],[`, "bucket 0.5 holds 1"},
	} {
		if !strings.Contains(string(line), old) {
			t.Fatalf("%s is not in %s", old, line)
		}
		if _, err := read(shop, strings.Replace(string(line), old, c[0], 1)); err == nil || !strings.Contains(err.Error(), c[1]) {
			t.Errorf("%s: %v, want %q", c[0], err, c[1])
		}
	}
}

func between(s, from, to string) string {
	_, s, _ = strings.Cut(s, from)
	s, _, _ = strings.Cut(s, to)
	return s
}
