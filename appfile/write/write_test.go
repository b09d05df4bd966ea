package write

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/appfile"
	"foresail.dev/apps"
	"pgregory.net/rapid"
)

// whole is the file with every field.
func whole(t testing.TB) []byte {
	data, err := os.ReadFile("../testdata/shop.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Replace(data, []byte("web.refresh"), []byte("web2.refresh"), 1)
}

// again writes a blueprint and reads what was written.
func again(bp *foresail.Blueprint) (*foresail.Blueprint, []byte, error) {
	data, err := Marshal(bp, About{Comment: "written again", Sources: []string{"a test: of #1"}, Assumed: true, Note: "a note, which\nhas two lines: one, two"})
	if err != nil {
		return nil, nil, err
	}
	out, err := appfile.ParseApp("again.yaml", data)
	return out, data, err
}

// What is read, written and read again is the same: every built-in application, and the one that has every field.
func TestApplicationsComeBack(t *testing.T) {
	files := map[string][]byte{"shop": whole(t)}
	for _, name := range appfile.BuiltIn() {
		data, err := apps.Files.ReadFile(name + ".yaml")
		if err != nil {
			t.Fatal(err)
		}
		files[name] = data
	}
	for name, data := range files {
		bp, err := appfile.ParseApp(name, data)
		if err != nil {
			t.Fatal(err)
		}
		back, written, err := again(bp)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if !reflect.DeepEqual(bp, back) {
			t.Errorf("%s is another after it was written and read:\n%s", name, written)
		}
		if twice, _, _ := again(back); !reflect.DeepEqual(twice, back) {
			t.Errorf("%s changes each time that it is written", name)
		}
	}
}

// The file is one that a person would write: what services share is in defaults, what is short is on one line.
func TestWrittenFileIsReadable(t *testing.T) {
	bp, err := appfile.ParseApp("f.yaml", []byte(`application: shop
defaults: {initial: {replicas: 1, cpu: 0.5}, bounds: {replicas: 1..8, cpu: 0.1..4}, workers: 8, timeout: 1s, request: 256B, response: 1KiB}
services:
  web:
    operations:
      "7": {steps: [{cpu: 2ms, memory: 64KiB}, stock.find, {cpu: 1m, calls: [{to: stock.find, hit: 90%, miss: [stock.find]}]}]}
  stock: {workers: 3, operations: {find: 1500us, put: {io: {mean: 3ms, cv: 1}, write: 4KiB, request: 4KiB}}}
endpoints: {buy: {entry: web.7, timeout: 2s}}
objectives: {buy: p99 < 100ms}
`))
	if err != nil {
		t.Fatal(err)
	}
	got, err := Marshal(bp, About{Comment: "A shop.", Note: "made up"})
	if err != nil {
		t.Fatal(err)
	}
	if want := `# A shop.
application: shop
note: made up
defaults:
  initial: {replicas: 1, cpu: 0.5}
  bounds: {replicas: 1..8, cpu: 0.1..4}
  workers: 8
  timeout: 1s
  request: 256B
  response: 1KiB
services:
  web:
    operations:
      "7":
        steps:
          - {cpu: 2ms, memory: 64KiB}
          - stock.find
          - {cpu: 1m, calls: [{to: stock.find, hit: 0.9, miss: [stock.find]}]}
  stock: {workers: 3, operations: {find: 1.5ms, put: {io: {mean: 3ms, cv: 1}, write: 4KiB, request: 4KiB}}}
endpoints:
  buy: {entry: web.7, timeout: 2s}
objectives:
  buy: p99 < 100ms
`; string(got) != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// A blueprint that no file may hold is refused with what is wrong, and nothing is written.
func TestBadBlueprintsAreNotWritten(t *testing.T) {
	for _, tt := range []struct {
		breaks func(*foresail.Blueprint)
		want   string
	}{
		{func(bp *foresail.Blueprint) { bp.App.Services[0].Name = "Web_1" }, `"Web_1" is not a service's name`},
		{func(bp *foresail.Blueprint) { bp.Services[0].Operations[0].Steps[2].Calls[0].Probability = 1.5 }, "probability: is 1.5, must lie within 0..1"},
		{func(bp *foresail.Blueprint) { bp.Services[0].Operations[0].Steps[2].Calls[0].Async = true }, "makes no sense for an asynchronous call"},
		{func(bp *foresail.Blueprint) { bp.Services[0].ColdFactor = 1e9 }, "cold_factor: is 1e+09, must be at most 100"},
		{func(bp *foresail.Blueprint) { bp.App.Services[1].Initial.CPU = math.NaN() }, "is not a finite decimal number"},
		{func(bp *foresail.Blueprint) { bp.Cycles = [][]foresail.ServiceID{{0, 1}} }, "is a declared cycle that is not there"},
		{func(bp *foresail.Blueprint) { bp.App.Services[0].Initial.Settings["speed"] = 1 }, "is not among the service's bounds.settings"},
	} {
		bp, err := appfile.ParseApp("shop.yaml", whole(t))
		if err != nil {
			t.Fatal(err)
		}
		tt.breaks(bp)
		var out bytes.Buffer
		if err := App(&out, bp, About{}); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("got %v\nwant %s", err, tt.want)
		}
		if out.Len() > 0 {
			t.Errorf("%s: %d bytes were written", tt.want, out.Len())
		}
	}
}

// Any blueprint whose invariants hold comes back as it was.
func TestAnyBlueprintComesBack(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		bp := drawBlueprint(rt)
		back, data, err := again(bp)
		if err != nil {
			rt.Fatalf("%v\n%s", err, data)
		}
		if !reflect.DeepEqual(bp, back) {
			rt.Fatalf("another after it was written and read:\n%s\nwas  %s\nis   %s", data, dump(bp), dump(back))
		}
	})
}

func dump(bp *foresail.Blueprint) string {
	var out strings.Builder
	fmt.Fprintf(&out, "%+v %+v\n", *bp.App, bp.Services)
	for _, e := range bp.App.Endpoints {
		fmt.Fprintf(&out, "%s %+v\n", e.Name, e.Objective)
	}
	return out.String()
}

// drawBlueprint draws what ParseApp may give: services call only those after them, and rings are declared.
func drawBlueprint(rt *rapid.T) *foresail.Blueprint {
	chance := func(percent int, what string) bool { return rapid.IntRange(0, 99).Draw(rt, what) < percent }
	duration := func(most time.Duration, what string) time.Duration {
		d := rapid.Int64Range(0, int64(most)).Draw(rt, what)
		if unit := rapid.SampledFrom([]int64{1, 1e3, 1e6, 1e9}).Draw(rt, "unit"); d > unit {
			d -= d % unit
		}
		return time.Duration(d)
	}
	bytes := func(least, most int64, what string) int64 {
		n := rapid.Int64Range(least, most).Draw(rt, what)
		if unit := rapid.SampledFrom([]int64{1, 1 << 10, 1 << 20}).Draw(rt, "unit"); n-n%unit >= least {
			n -= n % unit
		}
		return n
	}
	name := rapid.StringMatching(`[\pL0-9#:.{}"'~!?-]([\pL0-9 #:.,-]{0,6}[\pL0-9.-])?`)
	share := func(what string) float64 {
		return float64(rapid.SampledFrom([]float64{0, 1, rapid.Float64Range(0, 1).Draw(rt, what)}).Draw(rt, what))
	}
	dist := func(what string) foresail.Dist {
		d := foresail.Dist{Mean: duration(time.Hour, what).Seconds(), Shape: foresail.DistShape(rapid.IntRange(0, 2).Draw(rt, "shape"))}
		switch {
		case d.Mean == 0:
			return foresail.Dist{}
		case d.Shape == foresail.Exponential:
			d.CV = 1
		case d.Shape == foresail.LogNormal:
			d.CV = rapid.SampledFrom([]float64{appfile.DefaultCV, 1, 1e-7, 20}).Draw(rt, "cv")
		}
		return d
	}
	patience := func() foresail.Patience {
		if chance(60, "usual") {
			return foresail.Patience{Timeout: time.Second, Retries: 1}
		}
		return foresail.Patience{Timeout: duration(time.Hour, "timeout"), Retries: rapid.IntRange(0, 100).Draw(rt, "retries"), Backoff: duration(time.Hour, "backoff")}
	}
	bp := &foresail.Blueprint{App: &foresail.App{Name: name.Draw(rt, "application")}}
	n := rapid.IntRange(1, 5).Draw(rt, "services")
	for i := range n { // operations' names first: calls name them
		bp.Services = append(bp.Services, foresail.ServiceBlueprint{Operations: make([]foresail.Operation, rapid.IntRange(1, 3).Draw(rt, "operations"))})
		for j, op := range rapid.SliceOfNDistinct(name, len(bp.Services[i].Operations), -1, rapid.ID).Draw(rt, "names")[:len(bp.Services[i].Operations)] {
			bp.Services[i].Operations[j].Name = op
		}
	}
	var steps func(from, least, deep int) []foresail.Step
	steps = func(from, least, deep int) (out []foresail.Step) {
		for range rapid.IntRange(least, 2).Draw(rt, "steps") {
			var s foresail.Step
			if chance(70, "works") {
				s.Work = foresail.Demand{CPU: dist("cpu"), IO: dist("io"), Memory: bytes(0, 1<<40, "memory"), Read: bytes(0, 1<<40, "read"), Write: bytes(0, 1<<40, "write")}
			}
			for range rapid.IntRange(0, 2).Draw(rt, "calls") {
				if from == n-1 {
					break
				}
				to := rapid.IntRange(from+1, n-1).Draw(rt, "to")
				c := foresail.Call{Target: foresail.Target{Service: foresail.ServiceID(to), Operation: rapid.IntRange(0, len(bp.Services[to].Operations)-1).Draw(rt, "operation")},
					Probability: share("probability"), Repeat: rapid.IntRange(1, 2).Draw(rt, "repeat"), Async: chance(20, "async"), Patience: patience()}
				if !c.Async && deep > 0 && chance(30, "cached") {
					c.Cached, c.Hit, c.Miss = true, share("hit"), steps(from, 0, deep-1)
				}
				s.Calls = append(s.Calls, c)
			}
			out = append(out, s)
		}
		return out
	}
	for i := range n {
		b := &bp.Services[i]
		b.Workers, b.Queue, b.Pool = rapid.IntRange(0, 3).Draw(rt, "workers"), rapid.IntRange(0, 1e6).Draw(rt, "queue"), rapid.IntRange(0, 3).Draw(rt, "pool")
		b.Start, b.Warmup = duration(time.Hour, "startup"), duration(time.Hour, "warmup")
		b.Pull = duration(time.Hour, "pull")
		if chance(50, "interference") {
			b.Interference = &foresail.Interference{Cache: bytes(0, 1<<40, "cache"), Bandwidth: float64(bytes(0, 1e12, "bandwidth")),
				CacheSensitivity: rapid.Float64Range(0, 100).Draw(rt, "sensitivity"), BandwidthSensitivity: rapid.Float64Range(0, 100).Draw(rt, "sensitivity")}
		}
		b.ColdFactor = rapid.SampledFrom([]float64{1, 1.5, 100}).Draw(rt, "cold")
		var lim foresail.Bounds
		a := foresail.Allocation{Replicas: rapid.IntRange(1, 5).Draw(rt, "replicas"), CPU: rapid.Float64Range(0.01, 1024).Draw(rt, "cpu")}
		lim.MinReplicas, lim.MaxReplicas = rapid.IntRange(1, a.Replicas).Draw(rt, "least"), rapid.IntRange(a.Replicas, 100_000).Draw(rt, "most")
		lim.MinCPU, lim.MaxCPU = rapid.Float64Range(0.01, a.CPU).Draw(rt, "least"), rapid.Float64Range(a.CPU, 1024).Draw(rt, "most")
		if chance(70, "memory is managed") {
			a.Memory = bytes(1<<20, 1<<40, "memory")
			lim.MinMemory, lim.MaxMemory = bytes(1<<20, a.Memory, "least"), bytes(a.Memory, 1<<44, "most")
			b.BaseMemory = bytes(0, lim.MinMemory, "base memory")
		} else {
			b.BaseMemory = bytes(0, 1<<44, "base memory")
		}
		for range rapid.IntRange(0, 2).Draw(rt, "settings") {
			k, v := name.Draw(rt, "setting"), rapid.Float64Range(-1e9, 1e9).Draw(rt, "value")
			if a.Settings == nil {
				a.Settings, lim.Settings = map[string]float64{}, map[string]foresail.Range{}
			}
			a.Settings[k], lim.Settings[k] = v, foresail.Range{Min: v - rapid.Float64Range(0, 10).Draw(rt, "below"), Max: v + rapid.Float64Range(0, 10).Draw(rt, "above")}
		}
		bp.App.Services = append(bp.App.Services, foresail.Service{Name: fmt.Sprintf("s%d", i), Initial: a, Bounds: lim})
		for j := range b.Operations {
			b.Operations[j].Steps = steps(i, 1, 2)
			if chance(80, "sizes known") {
				b.Operations[j].Request, b.Operations[j].Response = bytes(1, 64<<20, "request"), bytes(1, 64<<20, "response")
			}
		}
	}
	if last := &bp.Services[n-1]; chance(30, "a ring") { // a service that calls itself, now and then
		self := foresail.Target{Service: foresail.ServiceID(n - 1), Operation: len(last.Operations) - 1}
		last.Operations[self.Operation].Steps = []foresail.Step{{Calls: []foresail.Call{{Target: self, Probability: 0.5, Repeat: 1, Patience: patience()}}}}
		bp.Cycles = [][]foresail.ServiceID{{self.Service}}
	}
	for i, e := range rapid.SliceOfNDistinct(name, 1, 3, rapid.ID).Draw(rt, "endpoints") {
		to := foresail.Target{Service: foresail.ServiceID(rapid.IntRange(0, n-1).Draw(rt, "entry"))}
		ep := foresail.Endpoint{Name: e, Entry: to.Service, Operation: bp.Services[to.Service].Operations[0].Name}
		if chance(80, "objective") {
			ep.Objective = &foresail.Objective{Percentile: rapid.SampledFrom([]float64{99, 99.9, 50, 1e-7}).Draw(rt, "percentile"), Latency: duration(time.Hour, "latency") + 1}
			if ep.Objective.Latency > time.Hour {
				ep.Objective.Latency = time.Hour
			}
			if chance(30, "window") {
				ep.Objective.Window, ep.Objective.MinRequests = 1500*time.Millisecond, 1+i
			}
		}
		bp.App.Endpoints, bp.Entries, bp.Timeouts = append(bp.App.Endpoints, ep), append(bp.Entries, to), append(bp.Timeouts, patience())
	}
	return bp
}
