package alibaba_test

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"foresail.dev"
	"foresail.dev/telemetry/alibaba"
	"foresail.dev/telemetry/source"
)

// The headers as the data has them: v2021's files have a column of row numbers in front.
const (
	graph21 = ",traceid,timestamp,rpcid,um,rpctype,dm,interface,rt\n"
	graph22 = "timestamp,traceid,service,rpc_id,um,uminstanceid,rpctype,interface,dm,dminstanceid,rt\n"
	long21  = "timestamp,msname,msinstanceid,metrics,value\n"
	wide22  = "timestamp,msname,msinstanceid,nodeid,providerrpc_rt,providerrpc_mcr,consumerrpc_rt,consumerrpc_mcr,writemc_rt,writemc_mcr,readmc_rt,readmc_mcr," +
		"writedb_rt,writedb_mcr,readdb_rt,readdb_mcr,consumermq_rt,consumermq_mcr,providermq_rt,providermq_mcr,http_mcr,http_rt\n"
	used = "timestamp,msname,msinstanceid,nodeid,cpu_utilization,memory_utilization\n"
	node = "timestamp,nodeid,cpu_utilization,memory_utilization\n"
)

// read reads files and gives the summary, what was amiss, and all spans.
func read(t interface {
	Helper()
	Fatal(...any)
}, o alibaba.Options, s source.Options, files ...string) (*source.Summary, alibaba.Counts, []foresail.Span) {
	t.Helper()
	var spans []foresail.Span
	s.Spans = func(more []foresail.Span) error { spans = append(spans, more...); return nil }
	c := source.NewCollector(s)
	r := alibaba.NewReader(c, o)
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
	return sum, r.Counts(), spans
}

func ExampleReader() {
	c := source.NewCollector(source.Options{})
	r := alibaba.NewReader(c, alibaba.Options{})
	err := r.File(strings.NewReader(graph22 +
		"1000,T_1,S_1,0,USER,UNKNOWN,http,buy,MS_1,MS_1_POD_0,-40\n" +
		"1010,T_1,S_1,0.1,MS_1,MS_1_POD_0,rpc,pay,MS_2,MS_2_POD_7,21\n" +
		"1011,T_1,S_1,0.1,MS_1,MS_1_POD_0,rpc,pay,MS_2,MS_2_POD_7,-19\n" +
		"1012,T_1,S_1,0.1.1,(?),,db,,MS_3,,4\n"))
	err2 := r.Finish()
	sum, err3 := c.Finish()
	for _, row := range sum.Rows() {
		name, n := row.Service, row.Calls
		switch row.Kind {
		case "edge":
			name = row.From + " → " + row.To
		case "endpoint":
			name, n = row.Endpoint, row.Requests
		}
		fmt.Printf("%s %s: %.0f in %.0f ms\n", row.Kind, name, *n, *row.Mean)
	}
	fmt.Println(sum.Notes, err, err2, err3)
	// Output:
	// service MS_1: 1 in 40 ms
	// service MS_2: 1 in 19 ms
	// service MS_3: 1 in 4 ms
	// edge MS_1 → MS_2: 1 in 19 ms
	// edge MS_2 → MS_3: 1 in 4 ms
	// endpoint S_1: 1 in 40 ms
	// [1 calls are told by one side: the other's time is taken to be the same 1 missing names were found in other rows] <nil> <nil> <nil>
}

// tree draws the calls of one trace and writes their rows: those of both sides where there are two, with what the data is
// known to lack.
type tree struct {
	rows  []string
	edges map[string]int
	dms   map[string]int
	n     int
}

func (tr *tree) draw(t *rapid.T, id, um string, depth int) {
	dm := rapid.SampledFrom([]string{"A", "B", "C", "D"}).Filter(func(s string) bool { return s != um }).Draw(t, "dm")
	how := rapid.SampledFrom([]string{"rpc", "http", "db", "mc"}).Draw(t, "how")
	if depth == 0 {
		how = "http"
	}
	tr.n++
	tr.dms[dm]++
	if um != "USER" {
		tr.edges[um+">"+dm]++
	}
	rt := rapid.IntRange(0, 50).Draw(t, "rt")
	iface := "f" + dm
	row := func(um, dm string, rt int) {
		tr.rows = append(tr.rows, fmt.Sprintf("%d,T_7,S_1,%s,%s,,%s,%s,%s,,%d.0", 1000+tr.n, id, um, how, iface, dm, rt))
	}
	two := how == "rpc" || how == "http"
	hide := func(s string) string { // a name may be missing on one of two sides
		if two && depth > 0 && rapid.Bool().Draw(t, "hide") {
			return rapid.SampledFrom([]string{"", "(?)", "NAN", "UNKNOWN"}).Draw(t, "missing")
		}
		return s
	}
	if two && depth > 0 {
		side := rapid.IntRange(0, 3).Draw(t, "sides")
		if side == 3 { // both are negative
			row(hide(um), dm, -rt-2)
			row(um, hide(dm), -rt-1)
		}
		if side == 0 || side == 1 {
			row(um, dm, rt)
		}
		if side == 0 || side == 2 {
			row(hide(um), hide(dm), -rt)
			if side == 2 {
				tr.rows[len(tr.rows)-1] = fmt.Sprintf("%d,T_7,S_1,%s,%s,,%s,%s,%s,,%d", 1000+tr.n, id, um, how, iface, dm, -rt-1)
			}
		}
	} else {
		row(um, dm, rt)
	}
	if !two || depth > 3 {
		return
	}
	for k := range rapid.IntRange(0, 3).Draw(t, "children") {
		tr.draw(t, fmt.Sprintf("%s.%d", id, k+1), dm, depth+1)
	}
}

// Whatever is amiss, in whatever order rows come, calls are counted as they were made.
func TestCallsAreCounted(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tr := &tree{edges: map[string]int{}, dms: map[string]int{}}
		tr.draw(t, "0", "USER", 0)
		rows := rapid.Permutation(tr.rows).Draw(t, "rows")
		sum, counts, spans := read(t, alibaba.Options{}, source.Options{}, graph22+strings.Join(rows, "\n")+"\n")
		if sum.Faults.Count != 0 || counts.Rows != len(rows) || counts.Unknown+counts.Repeated != 0 {
			t.Fatalf("%v, %+v", sum.Faults.String(), counts)
		}
		seen := map[foresail.SpanID]bool{}
		for _, s := range spans {
			if seen[s.ID] || s.End.Before(s.Start) || s.Service == "" {
				t.Fatalf("%+v", s)
			}
			seen[s.ID] = true
		}
		for _, row := range sum.Rows() {
			switch row.Kind {
			case "service":
				if int(*row.Calls) != tr.dms[row.Service] {
					t.Fatalf("%s received %g, want %d", row.Service, *row.Calls, tr.dms[row.Service])
				}
				delete(tr.dms, row.Service)
			case "edge":
				if int(*row.Calls) != tr.edges[row.From+">"+row.To] {
					t.Fatalf("%s to %s: %g, want %d", row.From, row.To, *row.Calls, tr.edges[row.From+">"+row.To])
				}
				delete(tr.edges, row.From+">"+row.To)
			case "endpoint":
				if *row.Requests != 1 || row.Endpoint != "S_1" {
					t.Fatalf("%+v", row)
				}
			}
		}
		if len(tr.dms)+len(tr.edges) > 0 {
			t.Fatalf("not found: %v %v", tr.dms, tr.edges)
		}
	})
}

// What is amiss in the data, case by case, as v2021 writes it.
func TestWhatIsAmiss(t *testing.T) {
	for name, c := range map[string]struct {
		rows []string // traceid,timestamp,rpcid,um,rpctype,dm,interface,rt
		want alibaba.Counts
		out  []string // spans: kind, service, duration in ms
	}{
		"one rpcid, two calls":        {[]string{"a,5,0.1,A,rpc,B,f,7", "a,5,0.1,A,rpc,C,f,9"}, alibaba.Counts{Rows: 2, Repeated: 1, OneSided: 2}, []string{"3 A 7", "2 B 7", "3 A 9", "2 C 9"}},
		"one rpcid, the same call":    {[]string{"a,5,0.1,A,rpc,B,f,7", "a,6,0.1,A,rpc,B,f,9", "a,6,0.1,A,rpc,B,f,-8"}, alibaba.Counts{Rows: 3, Repeated: 1, OneSided: 1}, []string{"3 A 7", "2 B 8", "3 A 9", "2 B 9"}},
		"both sides are negative":     {[]string{"a,5,0.1,A,rpc,B,f,-7", "a,5,0.1,A,rpc,B,f,-9"}, alibaba.Counts{Rows: 2, Negative: 1}, []string{"3 A 9", "2 B 7"}},
		"below a millisecond":         {[]string{"a,5,0.1,A,rpc,B,f,0", "a,5,0.1,A,rpc,B,f,0"}, alibaba.Counts{Rows: 2}, []string{"3 A 0", "2 B 0"}},
		"the caller is not named":     {[]string{"a,5,0.1,(?),rpc,B,f,7", "a,5,0.1,A,rpc,B,f,-6"}, alibaba.Counts{Rows: 2}, []string{"3 A 7", "2 B 6"}},
		"found above":                 {[]string{"a,5,0,,http,A,f,-9", "a,5,0.1,NAN,mc,M,,1"}, alibaba.Counts{Rows: 2, OneSided: 1, Recovered: 1}, []string{"2 A 9", "3 A 1", "2 M 1"}},
		"found below":                 {[]string{"a,5,0.1,A,rpc,(?),f,9", "a,5,0.1.1,B,db,D,,1"}, alibaba.Counts{Rows: 2, OneSided: 1, Recovered: 1}, []string{"3 A 9", "2 B 9", "3 B 1", "2 D 1"}},
		"found nowhere":               {[]string{"a,5,0.1,A,rpc,(?),f,9"}, alibaba.Counts{Rows: 1, Unknown: 1}, nil},
		"time starts at zero":         {[]string{"a,0,0,(?),http,A,f,3"}, alibaba.Counts{Rows: 1, OneSided: 1}, []string{"2 A 3"}},
		"a message":                   {[]string{"a,5,0.1,A,mq,B,f,7"}, alibaba.Counts{Rows: 1}, []string{"4 A 0", "5 B 7"}},
		"nothing above, and no names": {[]string{"a,5,0.1.1,,rpc,B,f,7"}, alibaba.Counts{Rows: 1, OneSided: 1}, []string{"2 B 7"}},
	} {
		in := graph21
		for i, r := range c.rows {
			in += fmt.Sprintf("%d,%s\n", i, r)
		}
		sum, counts, spans := read(t, alibaba.Options{}, source.Options{}, in)
		var out []string
		for _, s := range spans {
			out = append(out, fmt.Sprintf("%d %s %d", s.Kind, s.Service, s.End.Sub(s.Start).Milliseconds()))
		}
		if sum.Faults.Count != 0 || counts != c.want || strings.Join(out, ", ") != strings.Join(c.out, ", ") {
			t.Errorf("%s: %v\n got %+v %q\nwant %+v %q", name, sum.Faults.String(), counts, out, c.want, c.out)
		}
	}
}

func TestFaults(t *testing.T) {
	for name, c := range map[string]struct{ in, want string }{
		"time":     {graph21 + "0,a,-5,0.1,A,rpc,B,f,7\n", "line 2: timestamp"},
		"far off":  {graph21 + "0,a,1700000000000,0.1,A,rpc,B,f,7\n", "not in milliseconds since the start"},
		"path":     {graph21 + "0,a,5,0..1,A,rpc,B,f,7\n", "not a path"},
		"rt":       {graph21 + "0,a,5,0.1,A,rpc,B,f,fast\n", `rt "fast"`},
		"trace":    {graph21 + "0,,5,0.1,A,rpc,B,f,7\n", "traceid: it is missing"},
		"fields":   {graph21 + "0,a,5,0.1,A,rpc,B,f\n", "8 fields, where the header names 9"},
		"share":    {used + "0,A,A1,n,-0.5,0.5\n", "not a share"},
		"service":  {used + "0,(?),A1,n,0.5,0.5\n", "msname: it is missing"},
		"rate":     {long21 + "0,A,A1,providerRPC_MCR,-1\n", "below zero"},
		"metric":   {long21 + "0,A,A1,HTTP_X,1\n", "neither a rate"},
		"no digit": {node + "0,n,much,0.5\n", "is not a number"},
	} {
		sum, _, _ := read(t, alibaba.Options{}, source.Options{}, c.in)
		if sum.Faults.Count != 1 || !strings.Contains(sum.Faults.String(), c.want) {
			t.Errorf("%s: %v", name, sum.Faults.String())
		}
	}
	for _, in := range []string{"", "a,b\n", "rpcid,um\n", "\"\n"} {
		if err := alibaba.NewReader(source.NewCollector(source.Options{}), alibaba.Options{}).File(strings.NewReader(in)); err == nil {
			t.Errorf("%q is taken", in)
		}
	}
}

// Tables of both years as snapshots: with what shares are shares of, and without.
func TestTables(t *testing.T) {
	files := []string{
		used + "0,A,A1,n1,0.25,0.5\n0,A,A2,n1,0.75,0.25\n60000,A,A1,n1,0.5,0.5\n",
		long21 + "0,A,A1,providerRPC_MCR,10\n0,A,A1,providerRPC_RT,20\n0,A,A2,HTTP_RT,40\n0,A,A2,HTTP_MCR,30\n0,A,A2,consumerRPC_MCR,99\n",
		wide22 + "0,B,B1,n2,10,0.5,0,0,0,0,0,0,0,0,0,0,30,0.5,0,0,0,0\n",
		node + "0,n1,0.5,0.5\n30000,n1,0.7,0.5\n",
	}
	var got []*foresail.Snapshot
	epoch := time.Date(2022, 6, 1, 0, 0, 0, 0, time.UTC)
	o := alibaba.Options{Epoch: epoch, ContainerCores: 4, ContainerMemory: 1000, NodeCores: 64, NodeMemory: 1e6, CallRate: 100}
	sum, _, _ := read(t, o, source.Options{Snapshots: func(_ *foresail.App, s *foresail.Snapshot) error { got = append(got, s); return nil }}, files...)
	if len(got) != 2 || sum.Faults.Count != 0 || len(sum.Notes) != 0 || !got[1].Start.Equal(epoch.Add(time.Minute)) {
		t.Fatalf("%d snapshots, %v, %v", len(got), sum.Faults.String(), sum.Notes)
	}
	a, b := &got[0].Services[0], &got[0].Services[1]
	near := func(x, y float64) bool { return math.Abs(x-y) < 1e-9*math.Abs(y) }
	if !near(a.CPU, 4*60) || a.Memory != 750 || a.Ready != 2 || a.Allocation.CPU != 4 || a.Allocation.Replicas != 2 || a.Completions != 40*60 || a.Latency != nil || a.Has.Has(foresail.SignalLatency) {
		t.Errorf("A: %+v", a)
	}
	if b.Has != foresail.SignalArrivals|foresail.SignalCompletions || b.Completions != 100*60 {
		t.Errorf("B: %+v", b)
	}
	if n := got[0].Nodes; len(n) != 1 || n[0].Name != "n1" || !near(n[0].CPU, 0.6*64*60) || n[0].Memory != 5e5 {
		t.Errorf("nodes: %+v", n)
	}
	for _, row := range sum.Rows() {
		if want := map[string]float64{"A": 35, "B": 20}[row.Service]; !near(*row.Mean, want) || row.P50 != nil {
			t.Errorf("%s: mean %g ms, want %g", row.Service, *row.Mean, want)
		}
	}
	got = nil
	sum, _, _ = read(t, alibaba.Options{}, source.Options{Snapshots: func(_ *foresail.App, s *foresail.Snapshot) error { got = append(got, s); return nil }}, files...)
	if a := &got[0].Services[0]; a.Has != foresail.SignalReady|foresail.SignalArrivals|foresail.SignalCompletions || a.CPU != 0 || len(sum.Notes) != 2 || got[0].Nodes != nil {
		t.Errorf("without sizes: %+v, %q", a, sum.Notes)
	}
}

func FuzzFile(f *testing.F) {
	f.Add([]byte(graph21 + "0,a,5,0.1,A,rpc,B,f,7\n1,a,5,0.1,A,rpc,B,f,-7\n"))
	f.Add([]byte(graph22 + "1000,T_1,S_1,0,USER,UNKNOWN,http,buy,MS_1,MS_1_POD_0,-40\n"))
	f.Add([]byte(used + "0,A,A1,n1,0.25,0.5\n"))
	f.Add([]byte(long21 + "0,A,A1,providerRPC_MCR,10\n0,A,A1,providerRPC_RT,20\n"))
	f.Add([]byte(wide22 + "0,B,B1,n2,10,0.5,0,0,0,0,0,0,0,0,0,0,30,0.5,0,0,0,0\n"))
	f.Add([]byte(node + "0,n1,0.5,0.5\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		c := source.NewCollector(source.Options{Spans: func(spans []foresail.Span) error {
			for i := range spans {
				if s := &spans[i]; s.Service == "" || s.End.Before(s.Start) || s.ID == s.Parent || s.Trace == (foresail.TraceID{}) {
					t.Fatalf("%+v", s)
				}
			}
			return nil
		}})
		r := alibaba.NewReader(c, alibaba.Options{CallRate: 1, ContainerCores: 1, NodeCores: 1})
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

// An error of who is told ends reading.
func TestStop(t *testing.T) {
	stop := errors.New("stop")
	c := source.NewCollector(source.Options{Snapshots: func(*foresail.App, *foresail.Snapshot) error { return stop }})
	r := alibaba.NewReader(c, alibaba.Options{})
	if err := errors.Join(r.File(strings.NewReader(used+"0,A,A1,n1,0.25,0.5\n")), r.Finish()); !errors.Is(err, stop) {
		t.Error(err)
	}
}

// callRows are rows of whole traces of twenty calls, each told by both sides.
func callRows(traces int) string {
	var b strings.Builder
	b.WriteString(graph22)
	for i := range traces {
		for k := range 20 {
			id := "0"
			if k > 0 {
				id = fmt.Sprintf("0.%d", k)
			}
			for side, rt := range []int{12 + k, -11 - k} {
				fmt.Fprintf(&b, "%d,T_%d,S_%d,%s,MS_%d,MS_%d_POD_%d,rpc,xOuy6-80Vt,MS_%d,MS_%d_POD_%d,%d.0\n", 1000*i+k+side, 11560863075+i, i%50, id, i%500, i%500, k, (i+k+1)%500, (i+k+1)%500, k, rt)
			}
		}
	}
	return b.String()
}

func BenchmarkCallGraph(b *testing.B) {
	in := callRows(5000)
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	for b.Loop() {
		c := source.NewCollector(source.Options{})
		r := alibaba.NewReader(c, alibaba.Options{})
		if err := errors.Join(r.File(strings.NewReader(in)), r.Finish()); err != nil || c.Faults().Count > 0 {
			b.Fatal(err, c.Faults().String())
		}
	}
	b.ReportMetric(float64(b.N)*200_000/b.Elapsed().Seconds(), "rows/s")
}

func BenchmarkResources(b *testing.B) {
	var s strings.Builder
	s.WriteString(used)
	for i := range 200_000 {
		fmt.Fprintf(&s, "%d,MS_%d,MS_%d_POD_%d,NODE_%d,0.21995999999530616,0.833001454671224\n", i/10_000*60_000, i%1000, i%1000, i%10, i%4000)
	}
	in := s.String()
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	for b.Loop() {
		r := alibaba.NewReader(source.NewCollector(source.Options{}), alibaba.Options{ContainerCores: 4})
		if err := errors.Join(r.File(strings.NewReader(in)), r.Finish()); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)*200_000/b.Elapsed().Seconds(), "rows/s")
}
