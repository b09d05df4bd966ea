package appfile

import (
	_ "embed"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"foresail.dev"
)

// shop uses every field of the format; the tests below break it field by field.
//
//go:embed testdata/shop.yaml
var shop string

// whole is shop with the one fault taken out that makes the table's cases start from a cycle.
var whole = strings.Replace(shop, "web.refresh", "web2.refresh", 1)

func TestEveryFieldReachesTheBlueprint(t *testing.T) {
	bp, err := ParseApp("shop.yaml", []byte(whole))
	if err != nil {
		t.Fatal(err)
	}
	if err := invariants(bp); err != nil {
		t.Error(err)
	}
	equal := func(what string, got, want any) {
		t.Helper()
		if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", want) {
			t.Errorf("%s:\n got %+v\nwant %+v", what, got, want)
		}
	}
	lognormal := func(mean, cv float64) foresail.Dist {
		return foresail.Dist{Shape: foresail.LogNormal, Mean: mean, CV: cv}
	}
	web, stock, cache := bp.App.Services[0], bp.Services[1], bp.Services[2]
	equal("web's allocation", web.Initial, foresail.Allocation{Replicas: 2, CPU: .5, Memory: 64 << 20, Settings: map[string]float64{"threads": 4, "cache_ways": 2}})
	equal("web's bounds", web.Bounds, foresail.Bounds{MinReplicas: 1, MaxReplicas: 4, MinCPU: .1, MaxCPU: 2, MinMemory: 32 << 20, MaxMemory: 1 << 30,
		Settings: map[string]foresail.Range{"threads": {Min: 1, Max: 16}, "cache_ways": {Min: 2, Max: 11}}})
	equal("stock's own workers", stock.Workers, 3)
	equal("the kind's workers", cache.Workers, 1)
	s := bp.Services[0]
	equal("defaults", []any{s.Workers, s.Queue, s.Pool, s.Start, s.Warmup, s.ColdFactor, s.BaseMemory},
		[]any{8, 16, 4, 2 * time.Second, 4 * time.Second, 1.5, 16 << 20})
	steps, usual := s.Operations[0].Steps, foresail.Patience{Timeout: time.Second, Retries: 1, Backoff: 10 * time.Millisecond}
	to := func(s, o int) foresail.Target { return foresail.Target{Service: foresail.ServiceID(s), Operation: o} }
	equal("work", steps[0], foresail.Step{Work: foresail.Demand{CPU: lognormal(.001, DefaultCV), Memory: 1 << 20}})
	equal("a call by its name", steps[1], foresail.Step{Calls: []foresail.Call{{Target: to(1, 0), Probability: 1, Repeat: 1, Patience: usual}}})
	equal("a cached call", steps[2].Calls[0], foresail.Call{Target: to(2, 0), Probability: .5, Repeat: 1, Patience: usual, Cached: true, Hit: .9, Miss: []foresail.Step{
		{Calls: []foresail.Call{{Target: to(1, 0), Probability: 1, Repeat: 1, Patience: usual}}},
		{Calls: []foresail.Call{{Target: to(2, 1), Probability: 1, Repeat: 1, Patience: usual}}}}})
	equal("a repeated call", steps[2].Calls[1], foresail.Call{Target: to(1, 1), Probability: 1, Repeat: 3, Patience: foresail.Patience{Timeout: 100 * time.Millisecond}})
	equal("an asynchronous call", steps[3].Calls[0], foresail.Call{Target: to(1, 2), Probability: 1, Repeat: 1, Async: true, Patience: usual})
	equal("disk", stock.Operations[0].Steps[0].Work, foresail.Demand{IO: foresail.Dist{Shape: foresail.Exponential, Mean: .005, CV: 1}, Read: 4096, Write: 1000})
	equal("a constant", stock.Operations[1].Steps[0].Work.CPU, foresail.Dist{Shape: foresail.Constant, Mean: .001})
	equal("an operation of the kind, and one of the service", cache.Operations, []foresail.Operation{
		{Name: "get", Steps: []foresail.Step{{Work: foresail.Demand{CPU: lognormal(50e-6, DefaultCV)}}}, Request: 64, Response: 1024},
		{Name: "set", Steps: []foresail.Step{{Work: foresail.Demand{CPU: lognormal(70e-6, DefaultCV)}}}, Request: 64, Response: 8},
		{Name: "drop", Steps: []foresail.Step{{Work: foresail.Demand{CPU: lognormal(10e-6, DefaultCV)}}}, Request: 64, Response: 4}})
	sizes := func(service, op int) [2]int64 {
		o := bp.Services[service].Operations[op]
		return [2]int64{o.Request, o.Response}
	}
	equal("an operation's own messages", sizes(0, 0), [2]int64{2 << 10, 64 << 20})
	equal("the default's request, and no answer", sizes(1, 0), [2]int64{256, 0})
	equal("the endpoint", bp.App.Endpoints[0].Operation, "home")
	equal("its objective", *bp.App.Endpoints[0].Objective, foresail.Objective{Percentile: 99, Latency: 200 * time.Millisecond, Window: 2 * time.Second, MinRequests: 50})
	equal("overheads", bp.Overhead, foresail.Overhead{Caller: 90 * time.Microsecond, Callee: 80 * time.Microsecond, Network: 50 * time.Microsecond,
		Users: 70 * time.Microsecond, Stretch: 1.04, Report: 500 * time.Microsecond, ReportEvery: 100 * time.Millisecond})
	equal("its users", bp.Timeouts[0], foresail.Patience{Timeout: 3 * time.Second, Retries: 2, Backoff: 5 * time.Millisecond})
}

// Every field of an application file, broken: the old text is replaced by the new one, which is told as wanted, at the
// line and column where the text at begins.
func TestBadApps(t *testing.T) {
	for _, tt := range []struct{ old, new, at, want string }{
		// The file as a whole.
		{whole, "", "", `is empty`},
		{whole, "# nothing\n", "# nothing", `is empty`},
		{whole, "~", "~", `is empty`},
		{whole, "- a\n", "- a", `is a list, must be a mapping`},
		{whole, "a: [", "a: [", `is not YAML: did not find expected node content`},
		{"note: for tests", "note: \xff", "", `is not UTF-8 text here`},
		{"note: for tests", "note: \x01", "", `holds the control character 0x01 here`},
		{"report_every: 100ms}\n", "report_every: 100ms}\n---\napplication: more\n", "---", `a second document starts here; a file holds one`},
		{"note: for tests", "note: &a for tests", "&a for tests", `note: anchors (&a) are not read; use kinds or defaults, or write it out`},
		{"note: for tests", "note: *a", "application: shop", `is not YAML: unknown anchor 'a' referenced`},
		{"note: for tests", "note: !!binary aGk=", "!!binary aGk=", `note: tags (!!binary) are not read`},
		{"note: for tests", "<<: {note: a}", "<<: {note: a", `<<: merge keys (<<) are not read; use kinds or defaults, or write it out`},
		{"note: for tests", "note: a\nnote: b", "note: b", `note: is given twice, first on line 4`},
		{"note: for tests", "? [a]\n: b", "[a", `a key must be plain text`},
		{"note: for tests", "'': b", "'': b", `a key must not be empty`},
		{"note: for tests", "note:", "", `note: is empty; give it a value or leave it out`},
		{"note: for tests", "note: 7", "7", `note: is the number 7, must be text; put it in quotes`},
		{"note: for tests", "note: " + strings.Repeat("[", 80) + strings.Repeat("]", 80), "[[", `note` + strings.Repeat("[0]", 64) + `: is nested more than 64 deep`},
		{"note: for tests", "not: for tests", "not: for tests", `not: is not a known field; did you mean "note"?`},
		{"application: shop", "note2: x", "note2: x", `application: is missing`},
		{"application: shop", "application: ' '", "' '", `application: " " is not an application's name: up to 128 printable characters, no space at the ends`},
		{`["made up"]`, `made up`, "made up", `sources: is the text "made up", must be a list`},
		{"assumed: [defaults]", "assumed: [default]", "default", `assumed[0]: "default" is not a field here; did you mean "defaults"?`},
		{"assumed: [defaults]", "assumed: perhaps", "perhaps", `assumed: is the text "perhaps", must be true or a list of field names`},

		// What services have.
		{"workers: 8", "worker: 8", "worker: 8", `defaults.worker: is not a known field; did you mean "workers"?`},
		{"workers: 8", "workers: -1", "-1", `defaults.workers: is -1, must be at least 0`},
		{"workers: 8", "workers: 2.5", "2.5", `defaults.workers: "2.5" is not a whole number`},
		{"workers: 8", "workers: 0x10", "0x10", `defaults.workers: "0x10" is not a whole number`},
		{"workers: 8", "workers: [8]", "workers: [8", `defaults.workers: is a list, must be a whole number`},
		{"workers: 8", "workers: 99999999999999999999", "99999999999999999999", `defaults.workers: "99999999999999999999" is not a whole number`},
		{"queue: 16", "queue: 1000001", "1000001", `defaults.queue: is 1000001, must be at most 1000000`},
		{"pool: 4", "pool: four", "four", `defaults.pool: "four" is not a whole number`},
		{"startup: 2s", "startup: 2", "2", `defaults.startup: "2" has no unit; write it like 2ms or 2s`},
		{"startup: 2s", "startup: -2s", "-2s", `defaults.startup: is -2s, a duration must not be negative`},
		{"warmup: 4s", "warmup: soon", "soon", `defaults.warmup: "soon" is not a duration; write it like 250us, 20ms, 1m30s or 7d`},
		{"warmup: 4s", "warmup: 2h", "2h", `defaults.warmup: is 2h, must be at most 1h`},
		{"cold_factor: 1.5", "cold_factor: 0.5", "0.5", `defaults.cold_factor: is 0.5, must be at least 1`},
		{"cold_factor: 1.5", "cold_factor: .nan", ".nan", `defaults.cold_factor: ".nan" is not a finite decimal number`},
		{"cold_factor: 1.5", "cold_factor: .inf", ".inf", `defaults.cold_factor: ".inf" is not a finite decimal number`},
		{"base_memory: 16MiB", "base_memory: 16 MIB", "16 MIB", `defaults.base_memory: "16 MIB" is not a size; write it like 256MiB`},
		{"base_memory: 16MiB", "base_memory: -1", "-1", `defaults.base_memory: is -1, a size must not be negative`},
		{"base_memory: 16MiB", "base_memory: 33MiB", "web:", `services.web.base_memory: a replica needs 34603008 bytes when idle, but may be given as few as 33554432`},
		{"retries: 1", "retries: 101", "101", `defaults.retries: is 101, must be at most 100`},
		{"backoff: 10ms", "backoff: {}", "backoff: {", `defaults.backoff: is a mapping, must be a duration like 20ms`},
		{"request: 256B", "request: 0", "0", `defaults.request: is 0, must be at least 1B`},
		{"request: 256B", "request: lots", "lots", `defaults.request: "lots" is not a size; write it like 256MiB`},
		{"response: 1KiB", "response: 65MiB", "65MiB", `kinds.cache.response: is 65MiB, must be at most 64MiB`},
		{"request: 64B", "request: 1.5B", "1.5B", `services.cache.request: "1.5B" is not a whole number of bytes`},
		{"replicas: 2,", "replicas: 0,", "0", `defaults.initial.replicas: is 0, must be at least 1`},
		{"replicas: 2,", "replicas: 5,", "initial: {settings: {threads: 4", `services.web.initial.replicas: is 5, outside its bounds 1..4`},
		{"cpu: 0.5,", "cpu: 2.5,", "initial: {settings: {threads: 4", `services.web.initial.cpu: is 2.5, outside its bounds 0.1..2`},
		{"memory: 64MiB}", "memory: 16MiB}", "initial: {settings: {threads: 4", `services.web.initial.memory: is 16MiB, outside its bounds 32MiB..1GiB`},
		{"cpu: 0.5,", "cpu: -0.5,", "-0.5", `defaults.initial.cpu: is -0.5, must be at least 0.01`},
		{"cpu: 0.5,", "cpu: 1e9,", "1e9", `defaults.initial.cpu: is 1e9, must be at most 1024`},
		{"replicas: 1..4", "replicas: 4..1", "4..1", `defaults.bounds.replicas: is 4..1, but the least must not exceed the most`},
		{"replicas: 1..4", "replicas: 0..4", "0..4", `defaults.bounds.replicas: is 0..4, must lie within 1..100000`},
		{"replicas: 1..4", "replicas: 1-4", "1-4", `defaults.bounds.replicas: "1-4" is not a range like 1..8, nor one value`},
		{"cpu: 0.1..2", "cpu: 0..2", "0..2", `defaults.bounds.cpu: is 0..2, must lie within 0.01..1024 cores`},
		{"memory: 32MiB..1GiB", "memory: 1..1GiB", "1..1GiB", `defaults.bounds.memory: is 1..1073741824 bytes, must lie within 1MiB..16TiB`},
		{"threads: 4", "threads: 17", "17", `services.web.initial.settings.threads: is 17, outside its bounds 1..16`},
		{"threads: 4", "thread: 4", "thread: 4", `services.web.initial.settings.thread: is not among the service's bounds.settings; did you mean "threads"?`},
		{"threads: 4", "threads: many", "many", `services.web.initial.settings.threads: "many" is not a finite decimal number`},
		{"  initial: {replicas: 2, cpu: 0.5, memory: 64MiB}\n  bounds: {replicas: 1..4, cpu: 0.1..2, memory: 32MiB..1GiB}\n", "",
			"web:", `services.web: needs initial.replicas or bounds.replicas, here, in its kind or in defaults`},
		{"cache: {kind: cache,", "cache: {kind: cahce,", "cahce", `services.cache.kind: "cahce" is not a kind in this file; did you mean "cache"?`},
		{"  web2:", "  Web_2:", "Web_2:", `services.Web_2: "Web_2" is not a service's name: up to 63 of a-z, 0-9 and -, not at the ends`},
		{"    operations: {refresh: 1ms}\n", "", "web2:", `services.web2: has no operations, so nothing can call it`},

		// What services do.
		{"{cpu: 1ms, memory: 1MiB}", "{}", "{", `services.web.operations.home.steps[0]: does nothing; give it cpu, io, memory or calls`},
		{"{cpu: 1ms, memory: 1MiB}", "7", "7", `services.web.operations.home.steps[0]: "7" names no operation; write service.operation`},
		{"{cpu: 1ms, memory: 1MiB}", "{cpu: 2h}", "2h", `services.web.operations.home.steps[0].cpu: is 2h, must be at most 1h`},
		{"{cpu: 1ms, memory: 1MiB}", "{memory: 2TiB}", "2TiB", `services.web.operations.home.steps[0].memory: is 2TiB, must be at most 1TiB`},
		{"{cpu: 1ms, memory: 1MiB}", "{read: 1MiB}", "1MiB", `services.web.operations.home.steps[0].read: needs io, the time that the disk takes for it`},
		{"- stock.list", "- stok.list", "stok.list", `services.web.operations.home.steps[1]: "stok" is not a service in this file; did you mean "stock"?`},
		{"- stock.list", "- stock.lst", "stock.lst", `services.web.operations.home.steps[1]: service stock has no operation "lst"; did you mean "list"?`},
		{"- stock.list", "- stock", "stock", `services.web.operations.home.steps[1]: "stock" names no operation; write service.operation`},
		{"mean: 2ms, cv: 1,", "cv: 1,", "cpu: {cv: 1", `services.web.operations.home.steps[2].cpu.mean: is missing`},
		{"cv: 1, shape", "cv: -1, shape", "-1", `services.web.operations.home.steps[2].cpu.cv: is -1, must be at least 0`},
		{"shape: lognormal", "shape: normal", "normal", `services.web.operations.home.steps[2].cpu.shape: is "normal", must be one of lognormal, exponential, constant`},
		{"cv: 1, shape: lognormal", "cv: 1, shape: constant", "1", `services.web.operations.home.steps[2].cpu.cv: is 1, but a constant does not vary`},
		{"cv: 1, shape: lognormal", "cv: 2, shape: exponential", "2", `services.web.operations.home.steps[2].cpu.cv: is 2, but an exponential's is 1`},
		{"- to: cache.get", "- to: cache.gte", "cache.gte", `services.web.operations.home.steps[2].calls[0].to: service cache has no operation "gte"; did you mean "get"?`},
		{"- to: cache.get", "- top: cache.get", "top: cache.get", `services.web.operations.home.steps[2].calls[0].to: is missing`},
		{"probability: 50%", "probability: 1.5", "1.5", `services.web.operations.home.steps[2].calls[0].probability: is 1.5, must lie within 0..1`},
		{"probability: 50%", "probability: -1%", "-1%", `services.web.operations.home.steps[2].calls[0].probability: is -1%, must lie within 0..1`},
		{"probability: 50%", "probability: .nan", ".nan", `services.web.operations.home.steps[2].calls[0].probability: ".nan" is not a share; write 0.9 or 90%`},
		{"hit: 0.9", "hit: 2", "2", `services.web.operations.home.steps[2].calls[0].hit: is 2, must lie within 0..1`},
		{"                hit: 0.9\n", "", "miss: [stock.list", `services.web.operations.home.steps[2].calls[0].miss: needs hit, the probability that the answer is there`},
		{"                miss: [stock.list, cache.set]\n", "", "0.9", `services.web.operations.home.steps[2].calls[0].hit: needs miss, the steps that follow when the answer is not there`},
		{"miss: [stock.list,", "miss: [stock.lost,", "stock.lost", `services.web.operations.home.steps[2].calls[0].miss[0]: service stock has no operation "lost"; did you mean "list"?`},
		{"hit: 0.9", "async: true\n                hit: 0.9", "0.9", `services.web.operations.home.steps[2].calls[0].hit: makes no sense for an asynchronous call, which nobody waits for`},
		{"repeat: 3", "repeat: 0", "0", `services.web.operations.home.steps[2].calls[1].repeat: is 0, must be at least 1`},
		{"timeout: 100ms", "timeout: 100", "100", `services.web.operations.home.steps[2].calls[1].timeout: "100" has no unit; write it like 100ms or 100s`},
		{"async: true", "async: yes", "yes", `services.web.operations.home.steps[3].calls[0].async: is "yes", must be true or false`},
		{"assumed: [steps]", "assumed: [stepps]", "stepps", `services.web.operations.home.assumed[0]: "stepps" is not a field here; did you mean "steps"?`},
		{"request: 2KiB", "request: -1", "-1", `services.web.operations.home.request: is -1, a size must not be negative`},
		{"response: 64MiB", "response: {}", "response: {", `services.web.operations.home.response: is a mapping, must be a single value`},
		{"response: 64MiB", "answer: 1B", "answer: 1B", `services.web.operations.home.answer: is not a known field; known: assumed, note, request, response, steps`},
		{"{cpu: 70us, response: 8B}", "{request: 1KiB, response: 8B}", "set: {request", `services.cache.operations.set: does nothing; give it cpu, io, memory or calls`},
		{"response: 4B", "response: 64MiB1", "64MiB1", `kinds.cache.operations.drop.response: "64MiB1" is not a size; write it like 256MiB`},
		{"write: 1kB", "write: 1.5B", "1.5B", `services.stock.operations.list.write: "1.5B" is not a whole number of bytes`},
		{"refresh: 1ms", "' refresh': 1ms", "' refresh': 1ms", `services.web2.operations." refresh": " refresh" is not an operation's name: up to 128 printable characters, no space at the ends`},

		// What users call, and what they may expect.
		{"entry: web.home", "entry: web.away", "web.away", `endpoints.home.entry: service web has no operation "away"; known: home`},
		{"entry: web.home, ", "", "home: {timeout: 3s", `endpoints.home.entry: is missing`},
		{"timeout: 3s", "timeout: 3h", "3h", `endpoints.home.timeout: is 3h, must be at most 1h`},
		{"retries: 2", "retries: -2", "-2", `endpoints.home.retries: is -2, must be at least 0`},
		{"objectives:\n  home:", "objectives:\n  hone:", "hone: {percentile: 99", `objectives.hone: is an objective on an endpoint that is not there; did you mean "home"?`},
		{"percentile: 99", "percentile: 100", "100", `objectives.home.percentile: is 100, must be at most 99.999`},
		{"percentile: 99", "percentile: 0", "0", `objectives.home.percentile: is 0, must be above 0`},
		{"latency: 200ms", "latency: 0s", "0s", `objectives.home.latency: is 0s, must be above 0s`},
		{"window: 2s", "window: 250ms", "250ms", `objectives.home.window: is 250ms, must be a whole number of 100ms beats`},
		{"min_requests: 50", "min_requests: 0", "0", `objectives.home.min_requests: is 0, must be at least 1`},
		{"{percentile: 99, latency: 200ms, window: 2s, min_requests: 50}", "p99 200ms", "p99 200ms", `objectives.home: is the text "p99 200ms", must read like "p99 < 200ms" or be a mapping`},
		{"{percentile: 99, latency: 200ms, window: 2s, min_requests: 50}", "p99 < 200", "p99 < 200", `objectives.home.latency: "200" has no unit; write it like 200ms or 200s`},

		// Cycles.
		{"{refresh: 1ms}", "{refresh: stock.note}", "stock.note", `services.web2.operations.refresh: "stock.note" is not a duration; write it like 250us, 20ms, 1m30s or 7d`},
		{"{refresh: 1ms}", "{refresh: {calls: [stock.count]}}", "stock:", `services.stock: calls itself synchronously, in a cycle that is not declared: stock → web2 → stock; take it out, make a call async, or declare it: cycles: [[stock, web2]]`},
		{"cycles: []", "cycles: [[stock, web2]]", "web2", `cycles[0][1]: is a declared cycle that is not there: web2 makes no synchronous call to stock`},
		{"cycles: []", "cycles: [[stock, web3]]", "web3", `cycles[0][1]: "web3" is not a service in this file; did you mean "web"?`},
		{"caller: 90us", "caller: 2s", "2s", `overheads.caller: is 2s, must be at most 1s`},
		{"stretch: 1.04", "stretch: 0.5", "0.5", `overheads.stretch: is 0.5, must be at least 1`},
		{", report_every: 100ms", "", "overheads:", `overheads: report and report_every come together, or not at all`},
		{"cycles: []", "cycles: [[]]", "[", `cycles[0]: is empty; name the services in calling order`},
		{"cycles: []", "cycles: [[stock, stock]]", "stock", `cycles[0][1]: "stock" is named twice`},
	} {
		text := strings.Replace(whole, tt.old, tt.new, 1)
		if text == whole {
			t.Errorf("%q is not in the file", tt.old)
			continue
		}
		_, err := ParseApp("s.yaml", []byte(text))
		var faults Faults
		errors.As(err, &faults)
		found := false
		for _, f := range faults {
			line := strings.Split(text, "\n")[f.Line-1]
			if f.Error() == fmt.Sprintf("s.yaml:%d:%d: %s", f.Line, f.Column, tt.want) {
				found = true
				if at := line[f.Column-1:]; !strings.HasPrefix(at, tt.at) {
					t.Errorf("%s\n points at %q, not at %q", tt.want, at, tt.at)
				}
			}
		}
		if !found {
			t.Errorf("%q for %q:\n got %v\nwant %s", tt.new, tt.old, err, tt.want)
		}
	}
}

// All faults of a file come at once, in the order of its lines.
func TestAllFaultsAtOnce(t *testing.T) {
	_, err := ParseApp("s.yaml", []byte(strings.NewReplacer("workers: 8", "worker: 8", "cpu: 0.1..2", "cpu: 2..0.1",
		"50%", "150%", "stock.count", "stock.cuont", "entry: web.home", "entry: wob.home", "latency: 200ms", "latency: fast").Replace(whole)))
	want := []string{
		`s.yaml:6:3: defaults.worker: is not a known field; did you mean "workers"?`,
		`s.yaml:20:33: defaults.bounds.cpu: is 2..0.1, but the least must not exceed the most`,
		`s.yaml:39:30: services.web.operations.home.steps[2].calls[0].probability: is 150%, must lie within 0..1`,
		`s.yaml:42:22: services.web.operations.home.steps[2].calls[1].to: service stock has no operation "cuont"; did you mean "count"?`,
		`s.yaml:59:17: endpoints.home.entry: "wob" is not a service in this file; did you mean "web"?`,
		`s.yaml:61:35: objectives.home.latency: "fast" is not a duration; write it like 250us, 20ms, 1m30s or 7d`,
	}
	if got := strings.Split(err.Error(), "\n"); !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", err, strings.Join(want, "\n"))
	}
}

// A ring of services is one cycle however it is entered, an asynchronous call breaks it, and a declaration allows it.
// No declaration allows a request that never ends.
func TestCycles(t *testing.T) {
	app := func(calls, rest string) string {
		return `application: ring
defaults: {initial: {replicas: 1, cpu: 1}}
services:
  a: {operations: {x: {calls: [b.x]}}}
  b: {operations: {x: {calls: [c.x]}}}
  c: {operations: {x: {calls: [` + calls + `]}, y: 1ms}}
endpoints: {e: {entry: a.x}}
` + rest
	}
	const undeclared = "s.yaml:4:3: services.a: calls itself synchronously, in a cycle that is not declared: a → b → c → a; take it out, make a call async, or declare it: cycles: [[a, b, c]]"
	const endless = "s.yaml:4:20: services.a.operations.x: calls itself without end: each run leads to one more, or to more, on average; lower a probability"
	for _, tt := range []struct{ name, text, want string }{
		{"none", app("c.y", ""), "s.yaml:6:3: services.c: calls itself synchronously, in a cycle that is not declared: c → c; take it out, make a call async, or declare it: cycles: [[c]]"},
		{"a call to oneself, declared", app("c.y", "cycles: [[c]]"), ""},
		{"undeclared", app("{to: a.x, probability: 0.5}", ""), undeclared},
		{"declared", app("{to: a.x, probability: 0.5}", "cycles: [[a, b, c]]"), ""},
		{"declared from elsewhere", app("{to: a.x, probability: 0.5}", "cycles: [[c, a, b]]"), ""},
		{"asynchronous", app("{to: a.x, probability: 0.5, async: true}", ""), ""},
		{"never made", app("{to: a.x, probability: 0}", ""), ""},
		{"declared, and endless", app("a.x", "cycles: [[a, b, c]]"), endless},
		{"endless, though nobody waits", app("{to: a.x, async: true}", ""), endless},
		{"endless by repeats", app("{to: a.x, probability: 0.5, repeat: 2}", "cycles: [[a, b, c]]"), endless},
		{"endless by what follows misses", app("{to: c.y, hit: 0, miss: [a.x]}", "cycles: [[a, b, c], [c]]"), endless},
		{"repeats within repeats", app("{to: c.y, repeat: 10000, hit: 0, miss: [{calls: [{to: c.y, repeat: 11}]}]}", "cycles: [[c]]"),
			"s.yaml:7:13: endpoints.e: leads to 1.2e+05 calls per request on average, at most 100000 are run; look for repeats within repeats"},
	} {
		got := ""
		if _, err := ParseApp("s.yaml", []byte(tt.text)); err != nil {
			got = err.Error()
		}
		if got != tt.want {
			t.Errorf("%s:\n got %s\nwant %s", tt.name, got, tt.want)
		}
	}
}

func TestReadApp(t *testing.T) {
	if _, err := ReadApp("nowhere.yaml"); err == nil || !strings.Contains(err.Error(), strings.Join(BuiltIn(), ", ")) {
		t.Errorf("got %v", err)
	}
	if bp, err := ReadApp("../apps/hotel-reservation.yaml"); err != nil || bp.App.Name != "hotel-reservation" {
		t.Errorf("got %v", err)
	}
}

// invariants are those that foresail.App and foresail.Blueprint state, checked the plain way.
func invariants(bp *foresail.Blueprint) error {
	app := bp.App
	if len(bp.Services) != len(app.Services) || len(bp.Entries) != len(app.Endpoints) || len(bp.Timeouts) != len(app.Endpoints) {
		return errors.New("lengths differ")
	}
	names := map[string]bool{}
	for i, s := range app.Services {
		if s.Name == "" || names[s.Name] {
			return fmt.Errorf("service %d: bad name %q", i, s.Name)
		}
		names[s.Name] = true
		if a, bound := s.Bounds.Clamp(s.Initial); bound != "" || !a.Equal(s.Initial) {
			return fmt.Errorf("%s starts outside its bounds: %s", s.Name, bound)
		}
		b := s.Bounds
		if b.MinReplicas < 1 || b.MinReplicas > b.MaxReplicas || b.MinCPU <= 0 || b.MinCPU > b.MaxCPU || b.MinMemory > b.MaxMemory {
			return fmt.Errorf("%s: bounds %+v", s.Name, b)
		}
	}
	there := func(t foresail.Target) bool {
		return int(t.Service) < len(bp.Services) && t.Operation < len(bp.Services[t.Service].Operations) && t.Service >= 0 && t.Operation >= 0
	}
	for i, t := range bp.Entries {
		if !there(t) || app.Endpoints[i].Entry != t.Service || app.Endpoints[i].Operation != bp.Services[t.Service].Operations[t.Operation].Name {
			return fmt.Errorf("endpoint %d: no target %+v", i, t)
		}
	}
	var bad error
	var steps func([]foresail.Step)
	steps = func(list []foresail.Step) {
		for _, s := range list {
			for _, d := range []foresail.Dist{s.Work.CPU, s.Work.IO} {
				if !(d.Mean >= 0 && d.Mean <= 3600 && d.CV >= 0 && d.CV <= 20) {
					bad = fmt.Errorf("demand %+v", d)
				}
			}
			for _, c := range s.Calls {
				if !there(c.Target) || !(c.Probability >= 0 && c.Probability <= 1) || !(c.Hit >= 0 && c.Hit <= 1) || c.Repeat < 1 || c.Timeout < 0 || c.Retries < 0 {
					bad = fmt.Errorf("call %+v", c)
				}
				steps(c.Miss)
			}
		}
	}
	for _, s := range bp.Services {
		if len(s.Operations) == 0 || s.Workers < 0 || s.Queue < 0 || s.Pool < 0 || s.ColdFactor < 1 || s.Start < 0 || s.Warmup < 0 {
			return fmt.Errorf("%+v", s)
		}
		for _, op := range s.Operations {
			if op.Name == "" || op.Request < 0 || op.Request > 64<<20 || op.Response < 0 || op.Response > 64<<20 {
				return fmt.Errorf("operation %q, messages of %d and %d bytes", op.Name, op.Request, op.Response)
			}
			steps(op.Steps)
		}
	}
	return bad
}
