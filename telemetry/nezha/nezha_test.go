package nezha_test

import (
	"compress/gzip"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"foresail.dev"
	"foresail.dev/telemetry/nezha"
	"foresail.dev/telemetry/source"
)

// shared is the data set, kept outside of the project.
const shared = "../../../shared/data/nezha-ob"

const (
	spansHead = "TraceID,SpanID,ParentID,PodName,OperationName,StartTimeUnixNano,EndTimeUnixNano,Duration\n"
	podHead   = "Time,TimeStamp,PodName,CpuUsage(m),MemoryUsage(Mi),NetworkReceiveBytes,NetworkTransmitBytes,PodServerLatencyP90(s),PodServerLatencyP95(s),PodServerLatencyP99(s),PodWorkload(Ops)\n"
	frontHead = "Time,TimeStamp,ServiceName,SuccessRate(%),LatencyP50(s),LatencyP90(s),LatencyP95(s),LatencyP99(s)\n"
)

func read(t testing.TB, o source.Options, files ...string) *source.Summary {
	t.Helper()
	c := source.NewCollector(o)
	r := nezha.NewReader(c)
	for _, f := range files {
		if err := r.File(strings.NewReader(f)); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Finish(); err != nil {
		t.Fatal(err)
	}
	sum, err := c.Finish()
	if err != nil {
		t.Fatal(err)
	}
	return sum
}

func ExampleReader() {
	c := source.NewCollector(source.Options{})
	r := nezha.NewReader(c)
	err := r.File(strings.NewReader(podHead +
		"2022-08-22 03:51:19.6 +0000 UTC m=+0.1,1661140279,frontend-579b9bff58-t2dbm,50,16,1000,2000,0.1,0.2,0.3,10\n"))
	err2 := r.Finish()
	sum, err3 := c.Finish()
	for _, row := range sum.Rows() {
		fmt.Printf("%s: %.0f requests, %.2f cores, %.0f ms at the 99th percentile\n", row.Service, *row.Calls, *row.Cores, *row.P99)
	}
	fmt.Println(err, err2, err3)
	// Output:
	// frontend: 600 requests, 0.05 cores, 308 ms at the 99th percentile
	// <nil> <nil> <nil>
}

// rows reads a file of the data set by itself.
func rows(t *testing.T, name string) [][]string {
	t.Helper()
	f, err := os.Open(filepath.Join(shared, name))
	if errors.Is(err, os.ErrNotExist) {
		t.Skipf("the shared data is not here: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	out, err := csv.NewReader(z).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func service(pod string) string { return strings.SplitN(pod, "-", 2)[0] }

// The spans: what is read is what an independent count finds in the file.
func TestTheSpans(t *testing.T) {
	spans, edges, of := map[string]int{}, map[string]int{}, map[string]string{}
	all := rows(t, "03_53_trace.csv.gz")[1:]
	for _, r := range all {
		of[r[1]] = service(r[3])
		spans[service(r[3])]++
	}
	for _, r := range all {
		if from := of[r[2]]; r[2] != "root" && from != service(r[3]) {
			edges[from+">"+service(r[3])]++
		}
	}
	f, err := os.Open(filepath.Join(shared, "03_53_trace.csv.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	c := source.NewCollector(source.Options{})
	r := nezha.NewReader(c)
	err = errors.Join(r.File(f), r.Finish())
	sum, err2 := c.Finish()
	if err := errors.Join(err, err2); err != nil || sum.Faults.Count != 0 {
		t.Fatal(err, sum.Faults.String())
	}
	if sum.Spans != 23_019 || sum.Traces != 497 || sum.Inferred != 23_019 || sum.Assembler.Dropped.Total()+sum.Assembler.CallsLost != 0 {
		t.Errorf("%d spans in %d traces; %+v", sum.Spans, sum.Traces, sum.Assembler)
	}
	for _, row := range sum.Rows() {
		switch row.Kind {
		case "service":
			if *row.Spans != spans[row.Service] {
				t.Errorf("%s: %d spans, want %d", row.Service, *row.Spans, spans[row.Service])
			}
			delete(spans, row.Service)
		case "edge":
			if key := row.From + ">" + row.To; int(*row.Calls) != edges[key] {
				t.Errorf("%s: %g calls, want %d", key, *row.Calls, edges[key])
			}
			delete(edges, row.From+">"+row.To)
		case "endpoint":
			if *row.Requests != 497 || row.Service != "frontend" {
				t.Errorf("endpoint %s: %g requests", row.Endpoint, *row.Requests)
			}
		}
	}
	if len(spans)+len(edges) != 0 {
		t.Errorf("not found: %v %v", spans, edges)
	}
}

// The metrics: sums over twenty hours are those of an independent reading, and who calls whom is what dependency.csv says.
func TestTheMetrics(t *testing.T) {
	files, _ := filepath.Glob(filepath.Join(shared, "metric", "*_metric.csv.gz"))
	type want struct{ cpu, ops, rows float64 }
	wants := map[string]*want{}
	for _, f := range files {
		all := rows(t, filepath.Join("metric", filepath.Base(f)))
		w := &want{}
		wants[service(all[1][2])] = w
		for _, r := range all[1:] {
			cpu, _ := strconv.ParseFloat(r[3], 64)
			ops, _ := strconv.ParseFloat(r[17], 64)
			w.cpu += cpu / 1000
			w.ops += ops * 60
			w.rows++
		}
	}
	if len(wants) == 0 {
		t.Skip("the shared data is not here")
	}
	front := wants["frontend"].ops
	edges := 0
	for _, r := range rows(t, "metric/dependency.csv.gz")[1:] {
		if !strings.HasPrefix(r[1], "33.") {
			edges++
		}
	}
	minutes := 0
	c := source.NewCollector(source.Options{Snapshots: func(_ *foresail.App, s *foresail.Snapshot) error {
		minutes++
		if s.Start.Year() != 2022 || s.Duration().Minutes() != 1 || s.Start.Second() != 0 {
			t.Errorf("from %v to %v", s.Start, s.End)
		}
		return nil
	}})
	r := nezha.NewReader(c)
	err := source.Walk([]string{filepath.Join(shared, "metric")}, nil, func(string) bool { return true }, func(_ string, in io.Reader) error { return r.File(in) })
	err = errors.Join(err, r.Finish())
	sum, err2 := c.Finish()
	if err := errors.Join(err, err2); err != nil || sum.Faults.Count != 0 {
		t.Fatal(err, sum.Faults.String())
	}
	found, endpoints := 0, 0
	for _, row := range sum.Rows() {
		switch row.Kind {
		case "edge":
			found++
		case "endpoint":
			endpoints++
			if math.Abs(*row.Requests-front) > 1e-6*front || *row.P50 <= 0 {
				t.Errorf("%+v", row)
			}
		case "service":
			w := wants[row.Service]
			if w == nil || math.Abs(*row.Calls-w.ops) > 1e-6*w.ops || math.Abs(*row.Cores-w.cpu/w.rows) > 1e-9 || *row.Replicas != 1 || row.Errors != nil {
				t.Errorf("%s: %g calls, %g cores; want %+v", row.Service, *row.Calls, *row.Cores, w)
			}
			delete(wants, row.Service)
		}
	}
	if minutes != 1209 || found != edges || edges != 14 || endpoints != 1 || len(wants) != 0 || len(sum.Notes) != 1 {
		t.Errorf("%d minutes, %d of %d edges, %d endpoints, not found %v, notes %q", minutes, found, edges, endpoints, wants, sum.Notes)
	}
}

func TestFaults(t *testing.T) {
	span := "0a,0b,root,front-579b9bff58-t2dbm,get,1661140374351773094,1661140374362982609,11209\n"
	pod := "2022-08-22 03:51:19.6 +0000 UTC m=+0.1,1661140279,front-579b9bff58-t2dbm,50,16,1000,2000,0.1,0.2,0.3,10\n"
	for name, c := range map[string]struct{ head, good, old, new, want string }{
		"trace":      {spansHead, span, "0a,", "zz,", "TraceID"},
		"parent":     {spansHead, span, "root", "x", "ParentID"},
		"no pod":     {spansHead, span, "front-579b9bff58-t2dbm", "", "PodName"},
		"backwards":  {spansHead, span, "1661140374362982609", "1661140374351773093", "ends before"},
		"no time":    {spansHead, span, "1661140374351773094", "0", "not nanoseconds"},
		"fields":     {spansHead, span, "get,", "", "7 fields"},
		"a clock":    {podHead, pod, "2022-08-22", "yesterday", "is not a time"},
		"a word":     {podHead, pod, "front-579b9bff58-t2dbm,50,", "back,much,", "is not a number"},
		"below zero": {podHead, pod, "front-579b9bff58-t2dbm,50,", "back,-50,", "below zero"},
		"twice":      {podHead, pod, "x", "x", "told twice"},
	} {
		sum := read(t, source.Options{}, c.head+c.good+strings.Replace(c.good, c.old, c.new, 1))
		if sum.Faults.Count != 1 || sum.Faults.First[0].Line != 3 || !strings.Contains(sum.Faults.String(), c.want) || len(sum.Rows()) == 0 {
			t.Errorf("%s: %v", name, sum.Faults.String())
		}
	}
	for _, in := range []string{"", "a,b,c\n", "SpanID\n", "\"", "PodName,Time\n"} {
		if err := nezha.NewReader(source.NewCollector(source.Options{})).File(strings.NewReader(in)); err == nil {
			t.Errorf("%q is taken", in)
		}
	}
}

// Requests of an endpoint are those its service counted; without them there is no endpoint.
func TestWhatUsersSaw(t *testing.T) {
	pod := "2022-08-22 03:51:19.6 +0000 UTC m=+0.1,1661140279,frontend-579b9bff58-t2dbm,50,16,1000,2000,0.1,0.2,0.3,10\n"
	front := "2022-08-22 03:51:19.5 +0000 UTC m=+0.1,1661140279,Frontend,90,0.05,0.1,0.2,0.3\n"
	n := 0
	sum := read(t, source.Options{Snapshots: func(app *foresail.App, s *foresail.Snapshot) error {
		n++
		e := &s.Endpoints[0]
		if e.Requests != 600 || math.Abs(e.Errors-60) > 1e-9 || math.Abs(e.Latency.Quantile(0.5)-0.05) > 0.0025 {
			t.Errorf("%+v", e)
		}
		return nil
	}}, frontHead+front, podHead+pod)
	if n != 1 || sum.Faults.Count != 0 {
		t.Errorf("%d snapshots, %v", n, sum.Faults.String())
	}
	if sum := read(t, source.Options{}, frontHead+front); len(sum.Rows()) != 0 {
		t.Errorf("%+v", sum.Rows())
	}
}

func FuzzFile(f *testing.F) {
	f.Add([]byte(spansHead + "0a,0b,root,front-579b9bff58-t2dbm,get,1661140374351773094,1661140374362982609,11209\n"))
	f.Add([]byte(podHead + "2022-08-22 03:51:19.6 +0000 UTC m=+0.1,1661140279,f,50,16,1000,2000,0.1,0.2,0.3,10\n"))
	f.Add([]byte(frontHead + "2022-08-22 03:51:19.5 +0000 UTC,1661140279,F,90,0.05,0.1,0.2,0.3\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		c := source.NewCollector(source.Options{})
		r := nezha.NewReader(c)
		_ = r.File(strings.NewReader(string(b)))
		if err := r.Finish(); err != nil {
			t.Fatal(err)
		}
		sum, err := c.Finish()
		if err != nil {
			t.Fatal(err)
		}
		sum.Rows()
	})
}
