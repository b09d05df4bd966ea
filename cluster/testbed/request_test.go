package testbed_test

import (
	"math"
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/cluster/testbed"
	"foresail.dev/load"
)

// Every way in which a step may call does so, and the trace tells: this one is compared call by call.
func TestTraceFollowsBlueprint(t *testing.T) {
	t.Parallel()
	to := func(s foresail.ServiceID) foresail.Call {
		return foresail.Call{Target: foresail.Target{Service: s}, Probability: 1, Repeat: 1}
	}
	often, never, async, hit, miss := to(1), to(1), to(2), to(3), to(3)
	often.Repeat = 3
	never.Probability = 0
	async.Async = true
	hit.Cached, hit.Hit = true, 1
	hit.Miss = []foresail.Step{{Calls: []foresail.Call{to(1)}}}
	miss.Cached, miss.Hit = true, 0
	miss.Miss = []foresail.Step{{Calls: []foresail.Call{to(4)}}}
	small := foresail.Allocation{Replicas: 1, CPU: 0.5}
	leaf := func(work foresail.Demand) foresail.ServiceBlueprint {
		return foresail.ServiceBlueprint{Pool: 4, Operations: operation("do", foresail.Step{Work: work})}
	}
	b := blueprint(
		svc{"front", small, foresail.ServiceBlueprint{Pool: 1, Operations: operation("page",
			foresail.Step{Work: cpu(time.Millisecond), Calls: []foresail.Call{often, never, async, hit}},
			foresail.Step{Calls: []foresail.Call{miss}})}},
		svc{"repeated", small, leaf(cpu(100 * time.Microsecond))},
		svc{"async", small, leaf(foresail.Demand{IO: foresail.Dist{Mean: 0.2}})},
		svc{"cache", small, leaf(foresail.Demand{})},
		svc{"store", small, leaf(cpu(100 * time.Microsecond))},
	)
	r := newReceiver(t)
	c := newCluster(t, testbed.Config{Blueprint: b, Load: rate(3), Seed: 5, OTLP: r.address})
	c.SetLoad(rate(3))
	// users 1, front 1 + 7 calls, repeated 3, async 1, cache 2, store 1.
	const spans = 1 + 8 + 3 + 1 + 2 + 1
	traces := map[foresail.TraceID][]foresail.Span{}
	eventually(t, 20*time.Second, "three whole traces", func() bool {
		clear(traces)
		for _, s := range r.all() {
			traces[s.Trace] = append(traces[s.Trace], s)
		}
		whole := 0
		for _, tr := range traces {
			if len(tr) >= spans {
				whole++
			}
		}
		return whole >= 3
	})
	shut(t, c)
	for _, tr := range traces {
		if len(tr) < spans {
			continue // its last spans were not sent yet
		}
		checkTrace(t, tr)
	}
}

// checkTrace compares one trace of TestTraceFollowsBlueprint with what it must be.
func checkTrace(t *testing.T, tr []foresail.Span) {
	t.Helper()
	byID := map[foresail.SpanID]foresail.Span{}
	edges := map[string]int{}
	for _, s := range tr {
		byID[s.ID] = s
	}
	var page, async foresail.Span
	for _, s := range tr {
		p, ok := byID[s.Parent]
		switch {
		case !ok && s.Parent != (foresail.SpanID{}):
			t.Errorf("span %s of %s has a parent outside of its trace", s.Operation, s.Service)
		case !ok:
			edges["root "+s.Service+" "+s.Operation]++
		case s.Kind == foresail.KindServer:
			edges[p.Service+" → "+s.Service]++
			if p.Kind != foresail.KindClient || s.Start.Before(p.Start) || s.Service != "async" && s.End.After(p.End) {
				t.Errorf("%s's server span %v–%v is not within its caller's %v–%v", s.Service, s.Start, s.End, p.Start, p.End)
			}
			if s.Replica != s.Service+"-0" {
				t.Errorf("service.instance.id %q of service %q", s.Replica, s.Service)
			}
		}
		if s.Failed {
			t.Errorf("%s of %s failed", s.Operation, s.Service)
		}
		if s.Kind == foresail.KindServer && s.Service == "front" {
			page = s
		}
		if s.Kind == foresail.KindServer && s.Service == "async" {
			async = s
		}
	}
	want := map[string]int{"root users get": 1, "users → front": 1, "front → repeated": 3, "front → async": 1, "front → cache": 2, "front → store": 1}
	if len(edges) != len(want) {
		t.Errorf("calls: %v", edges)
	}
	for e, n := range want {
		if edges[e] != n {
			t.Errorf("%s: %d calls, not %d", e, edges[e], n)
		}
	}
	if !async.End.After(page.End) || async.End.Sub(async.Start) < 200*time.Millisecond {
		t.Errorf("the request waited for its asynchronous call: page ended %v, call %v", page.End, async.End)
	}
}

// A replica works on so many requests at once, keeps so many waiting, and refuses the others at once; its callers fail.
func TestFullQueueRefuses(t *testing.T) {
	t.Parallel()
	b := blueprint(svc{"slow", foresail.Allocation{Replicas: 1, CPU: 0.5}, foresail.ServiceBlueprint{Workers: 1, Queue: 2,
		Operations: operation("wait", foresail.Step{Work: foresail.Demand{IO: foresail.Dist{Mean: 0.1}}})}})
	r := newReceiver(t)
	c := newCluster(t, testbed.Config{Blueprint: b, Load: rate(60), Seed: 6, OTLP: r.address})
	merged(t, c, 3*time.Second)
	shut(t, c)
	e := c.Summary().Endpoints[0]
	if ok := e.Ended - e.Errors; ok < 20 || ok > 40 { // ten each second
		t.Errorf("%d requests of 0.1 s answered in 3 s by one worker", ok)
	}
	if e.Errors < 80 || e.Late != e.Errors || e.Refused != 0 {
		t.Errorf("the others were not refused: %+v", e)
	}
	// A worker and a queue of two: nobody waits longer than three requests take.
	if p := e.Latency.Quantile(1); p < 0.2 || p > 0.6 {
		t.Errorf("the longest answered request took %.3f s", p)
	}
	quick := r.count(func(s foresail.Span) bool {
		return s.Service == "slow" && s.Failed && s.End.Sub(s.Start) < 50*time.Millisecond
	})
	if quick < 60 {
		t.Errorf("%d refused requests have a failed server span", quick)
	}
}

// Users give up when their patience is over and try again; more requests than may be outstanding fail, and are counted
// as sent. Latency counts from the intended time, retries included.
func TestPatienceAndOutstanding(t *testing.T) {
	t.Parallel()
	b := blueprint(svc{"stuck", foresail.Allocation{Replicas: 1, CPU: 0.5}, foresail.ServiceBlueprint{
		Operations: operation("hang", foresail.Step{Work: foresail.Demand{IO: foresail.Dist{Mean: 30}}})}})
	b.Timeouts[0] = foresail.Patience{Timeout: 200 * time.Millisecond, Retries: 2, Backoff: 10 * time.Millisecond}
	r := newReceiver(t)
	c := newCluster(t, testbed.Config{Blueprint: b, Load: rate(50), Seed: 7, OTLP: r.address, Outstanding: 8})
	merged(t, c, 2500*time.Millisecond)
	shut(t, c)
	e := c.Summary().Endpoints[0]
	if e.Sent < 60 || e.Errors != e.Ended || e.Refused < 20 || e.Refused >= e.Ended {
		t.Errorf("the users' figures: %+v", e)
	}
	tried, quick := int64(0), int64(0)
	for _, s := range r.all() {
		switch {
		case s.Service != "users":
		case !s.Failed:
			t.Errorf("a user's span of %v did not fail", s.End.Sub(s.Start))
		case s.End.Sub(s.Start) >= 600*time.Millisecond: // three times 0.2 s, and the waits in between
			tried++
		default:
			quick++
		}
	}
	if tried < 8 || quick < e.Refused/2 {
		t.Errorf("%d users gave up after three tries, %d of %d were not sent", tried, quick, e.Refused)
	}
}

// Closed-loop users each wait for their answer and think: so many users make so many requests.
func TestClosedLoop(t *testing.T) {
	t.Parallel()
	crowd := func(users float64) *load.Load {
		return &load.Load{Mode: load.Closed, Think: 100 * time.Millisecond, Curve: []load.Segment{{From: users}}}
	}
	c := newCluster(t, testbed.Config{Blueprint: pair(1), Load: crowd(10), Seed: 8})
	per := func(l *load.Load) float64 {
		c.SetLoad(l)
		merged(t, c, 1200*time.Millisecond) // until the crowd is there and the figures are new
		before := c.Summary()
		merged(t, c, 2500*time.Millisecond)
		after := c.Summary()
		return float64(after.Endpoints[0].Ended-before.Endpoints[0].Ended) / after.At.Sub(before.At).Seconds()
	}
	few, many := per(crowd(10)), per(crowd(30))
	if math.Abs(few-90) > 30 || many < 2*few {
		t.Errorf("10 users made %.0f requests per second, 30 users %.0f", few, many)
	}
}
