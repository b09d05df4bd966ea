package testbed_test

import (
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/cluster/testbed"
)

// twoTier is a front end that calls a cache, and on a miss a store.
func twoTier() *foresail.Blueprint {
	call := foresail.Call{Target: foresail.Target{Service: 1}, Probability: 1, Repeat: 1, Cached: true, Hit: 0.5}
	call.Miss = []foresail.Step{{Calls: []foresail.Call{{Target: foresail.Target{Service: 2}, Probability: 1, Repeat: 1}}}}
	return blueprint(
		svc{"front", foresail.Allocation{Replicas: 1, CPU: 0.5}, foresail.ServiceBlueprint{Workers: 32, Queue: 64, Operations: operation("get page", foresail.Step{Work: cpu(time.Millisecond), Calls: []foresail.Call{call}})}},
		svc{"cache", foresail.Allocation{Replicas: 2, CPU: 0.3}, foresail.ServiceBlueprint{Operations: operation("lookup", foresail.Step{Work: cpu(200 * time.Microsecond)})}},
		svc{"store", foresail.Allocation{Replicas: 1, CPU: 0.3}, foresail.ServiceBlueprint{Workers: 4, Queue: 100, BaseMemory: 40 << 20, Operations: operation("find", foresail.Step{Work: foresail.Demand{
			CPU: foresail.Dist{Shape: foresail.Exponential, Mean: 0.0005}, IO: foresail.Dist{Mean: 0.002}, Memory: 64 << 10, Read: 16 << 10, Write: 4 << 10}})}},
	)
}

// A request leaves a trace that runs through real processes: the users' span, a server span for each visit, and a client
// span for each call, all sent over OTLP.
func TestSpansLeaveTheProcesses(t *testing.T) {
	r := newReceiver(t)
	c := newCluster(t, testbed.Config{Blueprint: twoTier(), Load: rate(50), Seed: 1, OTLP: r.address})
	s := merged(t, c, 2*time.Second)
	server := func(service string) func(foresail.Span) bool {
		return func(s foresail.Span) bool { return s.Service == service && s.Kind == foresail.KindServer && !s.Failed }
	}
	for _, name := range []string{"front", "cache", "store"} {
		eventually(t, 5*time.Second, "20 server spans of "+name, func() bool { return r.count(server(name)) >= 20 })
	}
	t.Logf("store: %.1f MiB, %.4f cores", float64(s.Services[2].Memory)/(1<<20), s.Services[2].CPU/s.Duration().Seconds())
	for i := range s.Services {
		if used := s.Services[i].CPU; used <= 0 {
			t.Errorf("service %d used %v core-seconds", i, used)
		}
	}
	shut(t, c)
	got := c.Summary()
	if e := got.Endpoints[0]; !got.Final || e.Sent < 60 || e.Errors > 0 || e.Latency.Count() < 60 {
		t.Errorf("the users' own figures: %+v", e)
	}
	t.Logf("p50 %.2f ms, p99 %.2f ms", 1e3*got.Endpoints[0].Latency.Quantile(0.5), 1e3*got.Endpoints[0].Latency.Quantile(0.99))
}
