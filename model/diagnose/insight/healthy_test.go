package insight_test

import (
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/appfile"
	"foresail.dev/load"
	"foresail.dev/model/diagnose/insight"
)

// Nothing is found in Social Network as long as it is well.
func TestHealthySocialNetwork(t *testing.T) {
	bp, err := appfile.ReadApp("social-network")
	if err != nil {
		t.Fatal(err)
	}
	o := simulate(t, bp, &load.Load{Curve: []load.Segment{{From: 100}}}, time.Minute, "")
	r := o.find(insight.Config{})
	if len(r.Insights) > 0 || r.Calm < 30*time.Second {
		t.Errorf("found\n%s", show(r))
	}
}

func lock(t *testing.T) observed {
	return simulate(t, parse(t, "  web: {operations: {buy: {cpu: 500us, calls: [stock.find]}}}\n  stock: {operations: {find: 1ms}}\n", "p99 < 50ms"), calmThenBusy(50, 50), time.Minute,
		"faults: f\nfixed: [{kind: lock, service: stock, at: 30s, for: 20s, length: 30ms}]\n")
}

// Services numbered otherwise are found all the same.
func TestNumbersDoNotMatter(t *testing.T) {
	o := lock(t)
	want := o.find(insight.Config{})
	n := len(o.app.Services)
	to := rand.New(rand.NewPCG(1, 2)).Perm(n)
	to[0], to[1] = 1, 0
	app := *o.app
	app.Services, app.Endpoints = make([]foresail.Service, n), append([]foresail.Endpoint(nil), o.app.Endpoints...)
	for i := range to {
		app.Services[to[i]] = o.app.Services[i]
	}
	for i := range app.Endpoints {
		app.Endpoints[i].Entry = foresail.ServiceID(to[app.Endpoints[i].Entry])
	}
	p := observed{app: &app, traces: o.traces}
	for _, s := range o.snapshots {
		c := *s
		c.Services, c.Edges = make([]foresail.ServiceStats, n), append([]foresail.EdgeStats(nil), s.Edges...)
		for i := range to {
			c.Services[to[i]] = s.Services[i]
		}
		for i := range c.Edges {
			c.Edges[i].From, c.Edges[i].To = foresail.ServiceID(to[c.Edges[i].From]), foresail.ServiceID(to[c.Edges[i].To])
		}
		p.snapshots = append(p.snapshots, &c)
	}
	if got := p.find(insight.Config{}); !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%swant\n%s", show(got), show(want))
	}
}

// Nothing observed, services that are not there, and intervals in which nothing was seen: nothing is found, and it is said why.
func TestLittleObserved(t *testing.T) {
	app := &foresail.App{Services: make([]foresail.Service, 2), Endpoints: []foresail.Endpoint{{Name: "buy", Objective: &foresail.Objective{Percentile: 99, Latency: time.Second}}}}
	start := time.Unix(0, 0).UTC()
	for name, s := range map[string]*foresail.Snapshot{
		"empty":    {Start: start, End: start.Add(time.Second)},
		"stale":    {Start: start, End: start.Add(time.Second), Stale: true},
		"no time":  {Start: start, End: start},
		"strange":  {Start: start, End: start.Add(time.Hour), Services: make([]foresail.ServiceStats, 5), Edges: []foresail.EdgeStats{{From: 0, To: 7, Calls: 3}, {From: 0, To: 1, Calls: 3}}, Has: foresail.SignalEdges},
		"vanished": {Start: start, End: start.Add(time.Second), Has: foresail.SignalEndpoints, Endpoints: []foresail.EndpointStats{{Requests: 1000, Late: 500}}},
	} {
		f := insight.New(app, insight.Config{MinWindows: -1})
		f.AddTrace(nil, true)
		f.Add(s)
		for _, in := range f.Report().Insights {
			if in.Kind != insight.Hotspot || in.Service != "" {
				t.Errorf("%s: found %+v", name, in)
			}
		}
		if len(f.Report().Missing) == 0 {
			t.Errorf("%s: nothing is missing", name)
		}
	}
}

// Snapshots that are merged within a second give what they give apart.
func TestMergingChangesNothing(t *testing.T) {
	bp := parse(t, "  web: {operations: {buy: {cpu: 500us, calls: [stock.find]}}}\n  stock: {initial: {cpu: 0.5}, operations: {find: 5ms}}\n", "p99 < 50ms")
	apart := simulateBeats(t, bp, calmThenBusy(30, 99), time.Minute, "", 100*time.Millisecond)
	merged := observed{app: apart.app, traces: apart.traces}
	for i := 0; i+10 <= len(apart.snapshots); i += 10 {
		merged.snapshots = append(merged.snapshots, foresail.Merge(apart.snapshots[i:i+10]...))
	}
	a, b := apart.find(insight.Config{}), merged.find(insight.Config{})
	if len(a.Insights) == 0 || len(a.Insights) != len(b.Insights) || !reflect.DeepEqual(a.Endpoints, b.Endpoints) || a.Calm != b.Calm {
		t.Fatalf("apart\n%smerged\n%s", show(a), show(b))
	}
	for i := range a.Insights {
		x, y := &a.Insights[i], &b.Insights[i]
		if x.Kind != y.Kind || x.Service != y.Service || x.Callee != y.Callee || x.Windows != y.Windows || x.Episodes != y.Episodes || x.Trace != y.Trace {
			t.Errorf("apart %+v\nmerged %+v", x, y)
		}
	}
}
