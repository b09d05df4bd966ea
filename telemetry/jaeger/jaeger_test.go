package jaeger_test

import (
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"foresail.dev"
	. "foresail.dev/telemetry/jaeger"
	"foresail.dev/telemetry/source"
)

// shared is a file of 20 traces of DeathStarBench's Social Network, kept outside of the project.
const shared = "../../../shared/data/dsb-traces/social-network-jaeger.json.gz"

func summarize(r io.Reader) (*source.Summary, error) {
	c := source.NewCollector(source.Options{})
	if _, err := Read(r, c.AddSpans); err != nil {
		return nil, err
	}
	return c.Finish()
}

func TestSummaryMatchesIndependentCount(t *testing.T) {
	for _, path := range []string{"testdata/shop.json", shared} {
		t.Run(filepath.Base(path), func(t *testing.T) {
			f, err := os.Open(path)
			if errors.Is(err, os.ErrNotExist) {
				t.Skipf("the shared data is not here: %v", err)
			}
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			s, err := summarize(f)
			if err != nil {
				t.Fatal(err)
			}
			want := count(t, path)
			rows := s.Rows()
			if len(rows) != len(want) {
				t.Errorf("%d rows, want %d", len(rows), len(want))
			}
			for _, r := range rows {
				key := r.Kind + " " + r.Service + r.From + ">" + r.To + " " + r.Operation
				w, ok := want[key]
				if !ok {
					t.Errorf("row %q should not be there", key)
					continue
				}
				w.check(t, key, r)
			}
			if d := s.Assembler.Dropped.Total(); d != 0 || s.Assembler.CallsLost != 0 {
				t.Errorf("%d spans were dropped, %d calls lost", d, s.Assembler.CallsLost)
			}
		})
	}
}

// tally is what the independent count knows of one row.
type tally struct {
	spans, calls, errors int
	ms                   []float64 // of the calls that did not fail
}

func (w *tally) check(t *testing.T, key string, r source.Row) {
	t.Helper()
	calls := r.Calls
	if r.Kind == "endpoint" {
		calls = r.Requests
	}
	if *calls != float64(w.calls) || *r.Errors != float64(w.errors) {
		t.Errorf("%s: %g calls, %g errors; want %d, %d", key, *calls, *r.Errors, w.calls, w.errors)
	}
	if r.Kind == "service" && *r.Spans != w.spans {
		t.Errorf("%s: %d spans, want %d", key, *r.Spans, w.spans)
	}
	ms := slices.Sorted(slices.Values(w.ms))
	if len(ms) == 0 {
		if r.Mean != nil || r.P50 != nil || r.P99 != nil {
			t.Errorf("%s: a latency, though no call succeeded", key)
		}
		return
	}
	if r.Mean == nil || r.P50 == nil || r.P99 == nil {
		t.Errorf("%s: no latency of %d calls that succeeded", key, len(ms))
		return
	}
	sum := 0.0
	for _, v := range ms {
		sum += v
	}
	if want := sum / float64(len(ms)); math.Abs(*r.Mean-want) > want*1e-9 {
		t.Errorf("%s: the mean is %g ms, want %g", key, *r.Mean, want)
	}
	for q, got := range map[float64]*float64{0.5: r.P50, 0.99: r.P99} {
		rank := int(math.Ceil(q*float64(len(ms)))) - 1
		if want := ms[rank]; math.Abs(*got-want) > want*0.045 { // a bucket is 4.4 % wide
			t.Errorf("%s: p%g is %g ms, want %g", key, 100*q, *got, want)
		}
	}
}

// count reads a file with maps alone, whole, and counts by the rule that a span is received by its service when its
// parent is in another one or it has none.
func count(t *testing.T, path string) map[string]*tally {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var in io.Reader = f
	if strings.HasSuffix(path, ".gz") {
		if in, err = gzip.NewReader(f); err != nil {
			t.Fatal(err)
		}
	}
	var file map[string]any
	if err := json.NewDecoder(in).Decode(&file); err != nil {
		t.Fatal(err)
	}
	out := map[string]*tally{}
	at := func(key string) *tally {
		if out[key] == nil {
			out[key] = &tally{}
		}
		return out[key]
	}
	call := func(key string, ms float64, failed bool) {
		w := at(key)
		w.calls++
		if failed {
			w.errors++
		} else {
			w.ms = append(w.ms, ms)
		}
	}
	endpoints := map[string]bool{}
	type received struct {
		service, op string
		ms          float64
		failed      bool
	}
	var all []received
	for _, tr := range file["data"].([]any) {
		tr := tr.(map[string]any)
		service := func(s map[string]any) string {
			return tr["processes"].(map[string]any)[s["processID"].(string)].(map[string]any)["serviceName"].(string)
		}
		spans := map[string]map[string]any{}
		for _, s := range tr["spans"].([]any) {
			spans[s.(map[string]any)["spanID"].(string)] = s.(map[string]any)
		}
		for _, s := range spans {
			at("service "+service(s)+"> ").spans++
			parent := ""
			if refs, _ := s["references"].([]any); len(refs) > 0 {
				parent = refs[0].(map[string]any)["spanID"].(string)
			}
			if parent != "" && service(spans[parent]) == service(s) {
				continue
			}
			failed := false
			tags, _ := s["tags"].([]any)
			for _, tag := range tags {
				tag := tag.(map[string]any)
				failed = failed || tag["key"] == "error" && tag["value"] == true
			}
			r := received{service(s), s["operationName"].(string), s["duration"].(float64) / 1000, failed}
			all = append(all, r)
			keys := []string{"service " + r.service + "> "}
			if parent == "" {
				endpoints[r.service+"> "+r.op] = true
			} else {
				keys = append(keys, "edge "+service(spans[parent])+">"+r.service+" ")
			}
			for _, k := range keys {
				call(k, r.ms, failed)
			}
		}
	}
	for _, r := range all {
		if k := r.service + "> " + r.op; endpoints[k] {
			call("endpoint "+k, r.ms, r.failed)
		}
	}
	return out
}

// The inferred kinds of one trace, span by span.
func TestInferredKinds(t *testing.T) {
	f, err := os.Open("testdata/shop.json")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var first []foresail.Span
	stats, err := Read(f, func(spans []foresail.Span) error {
		if first == nil {
			first = spans
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if stats != (Stats{Traces: 3, Spans: 12, Inferred: 11}) {
		t.Errorf("%+v", stats)
	}
	want := map[string]foresail.SpanKind{"GET /buy": foresail.KindServer, "cart_client": foresail.KindClient,
		"cart_server": foresail.KindServer, "redis_get": foresail.KindInternal, "pay_client": foresail.KindClient, "pay_server": foresail.KindServer}
	for _, s := range first {
		if s.Kind != want[s.Operation] {
			t.Errorf("%s is of kind %d, want %d", s.Operation, s.Kind, want[s.Operation])
		}
	}
}

// Each fault is named with its place.
func TestFaults(t *testing.T) {
	good := `{"traceID":"a","spanID":"b","operationName":"x","references":[],"startTime":1700000000000000,"duration":5,"processID":"p1"}`
	in := func(span string) string {
		return `{"data":[{"traceID":"a","spans":[` + good + `,` + span + `],"processes":{"p1":{"serviceName":"s"}}}]}`
	}
	for name, c := range map[string]struct{ in, want string }{
		"empty":           {"", "jaeger JSON (near byte 0): unexpected EOF"},
		"not an object":   {"[]", "[ stands where { should"},
		"no data":         {"{}", `no "data"`},
		"twice":           {`{"data":[],"data":[]}`, "data (near byte"},
		"data no list":    {`{"data":{}}`, "{ stands where [ should"},
		"trailing":        {`{"data":[]} {}`, "something follows"},
		"cut":             {in(good)[:150], "data[0] (near byte"},
		"trace id":        {in(strings.Replace(good, `"a"`, `"xyz"`, 1)), `data[0].spans[1].traceID (near byte`},
		"span id long":    {in(strings.Replace(good, `"b"`, `"0123456789abcdef0"`, 1)), "longer than 16 hexadecimal digits"},
		"no span id":      {in(strings.Replace(good, `"b"`, `""`, 1)), ".spanID"},
		"no start":        {in(strings.Replace(good, `"startTime"`, `"other"`, 1)), ".startTime"},
		"start in text":   {in(strings.Replace(good, "1700000000000000", `"now"`, 1)), "startTime (near byte"},
		"negative":        {in(strings.Replace(good, `"duration":5`, `"duration":-5`, 1)), "-5 is not a duration"},
		"huge":            {in(strings.Replace(good, `"duration":5`, `"duration":9223372036854775807`, 1)), "is not a duration"},
		"no process":      {in(strings.Replace(good, `"p1"`, `"p2"`, 1)), `"p2" is not among the trace's processes`},
		"no service name": {strings.Replace(in(good), `"serviceName":"s"`, `"tags":[]`, 1), "has no serviceName"},
	} {
		_, err := Read(strings.NewReader(c.in), func([]foresail.Span) error { return nil })
		var syntax *SyntaxError
		if !errors.As(err, &syntax) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	stop := errors.New("stop")
	if _, err := Read(strings.NewReader(in(strings.Replace(good, `"b"`, `"c"`, 1))), func([]foresail.Span) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("an error of the callback: %v", err)
	}
}

// A trace that goes on and on is refused before it fills the memory.
func TestEndlessTrace(t *testing.T) {
	endless := io.MultiReader(strings.NewReader(`{"data":[{"traceID":"`), zeros{})
	_, err := Read(endless, func([]foresail.Span) error { return nil })
	if err == nil || !strings.Contains(err.Error(), "longer than 64 MiB") {
		t.Error(err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = '0'
	}
	return len(p), nil
}

func FuzzRead(f *testing.F) {
	if b, err := os.ReadFile("testdata/shop.json"); err == nil {
		f.Add(b)
	}
	f.Add([]byte(`{"data":[{"spans":[{}],"processes":null}]}`))
	f.Add([]byte{0x1f, 0x8b, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		n := 0
		stats, err := Read(strings.NewReader(string(b)), func(spans []foresail.Span) error {
			n += len(spans)
			for i := range spans {
				if s := &spans[i]; s.Service == "" || s.End.Before(s.Start) || s.Kind == foresail.KindUnspecified {
					t.Fatalf("%+v", s)
				}
			}
			return nil
		})
		if n != stats.Spans {
			t.Fatalf("%d spans were handed over, %d counted", n, stats.Spans)
		}
		if err == nil {
			if _, err := summarize(strings.NewReader(string(b))); err != nil {
				t.Fatal(err)
			}
		}
	})
}
