package testbed_test

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/cluster/testbed"
	"foresail.dev/load"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	"google.golang.org/grpc"
)

// receiver is a minimal OTLP receiver: a real gRPC server that keeps every span.
type receiver struct {
	ptraceotlp.UnimplementedGRPCServer
	address string
	server  *grpc.Server
	mu      sync.Mutex
	spans   []foresail.Span
}

func newReceiver(t testing.TB) *receiver {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &receiver{address: l.Addr().String()}
	r.server = grpc.NewServer()
	ptraceotlp.RegisterGRPCServer(r.server, r)
	done := make(chan error, 1)
	go func() { done <- r.server.Serve(l) }()
	t.Cleanup(func() { r.server.Stop(); <-done })
	return r
}

func (r *receiver) Export(_ context.Context, req ptraceotlp.ExportRequest) (ptraceotlp.ExportResponse, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, rs := range req.Traces().ResourceSpans().All() {
		service, _ := rs.Resource().Attributes().Get("service.name")
		replica, _ := rs.Resource().Attributes().Get("service.instance.id")
		for _, ss := range rs.ScopeSpans().All() {
			for _, s := range ss.Spans().All() {
				r.spans = append(r.spans, foresail.Span{
					Trace: foresail.TraceID(s.TraceID()), ID: foresail.SpanID(s.SpanID()), Parent: foresail.SpanID(s.ParentSpanID()),
					Service: service.Str(), Replica: replica.Str(), Operation: s.Name(), Kind: foresail.SpanKind(s.Kind()),
					Start: s.StartTimestamp().AsTime(), End: s.EndTimestamp().AsTime(), Failed: s.Status().Code() == ptrace.StatusCodeError,
				})
			}
		}
	}
	return ptraceotlp.NewExportResponse(), nil
}

func (r *receiver) all() []foresail.Span {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]foresail.Span(nil), r.spans...)
}

// count is how many spans are as asked.
func (r *receiver) count(want func(foresail.Span) bool) (n int) {
	for _, s := range r.all() {
		if want(s) {
			n++
		}
	}
	return n
}

// eventually polls until ok holds, and fails the test when it doesn't within limit.
func eventually(t testing.TB, limit time.Duration, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(limit); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("after %v still not: %s", limit, what)
		}
	}
}

// logged sends the cluster's log to the test's.
type logged struct{ t testing.TB }

func (l logged) Write(b []byte) (int, error) { l.t.Logf("%s", b); return len(b), nil }

// noSpans, as the address of the receiver, means that there is none.
const noSpans = "none"

// newCluster starts a cluster that the test's end closes. Without cgroups there is nothing that this package could do,
// so that only where the machine lacks them altogether is the test skipped.
func newCluster(t testing.TB, cfg testbed.Config) *testbed.Cluster {
	t.Helper()
	switch cfg.OTLP {
	case "":
		cfg.OTLP = newReceiver(t).address
	case noSpans:
		cfg.OTLP = ""
	}
	if cfg.Dir == "" {
		cfg.Dir = t.TempDir()
	}
	if cfg.CgroupRoot == "" {
		cfg.CgroupRoot = "foresail-test-" + time.Now().Format("150405.000000000")
	}
	cfg.Log = logged{t}
	cfg.Favour = true // quotas limit what is tested, not what else this machine does
	c, err := testbed.New(t.Context(), cfg)
	if errors.Is(err, testbed.ErrNoCgroup) && os.Getuid() != 0 {
		t.Skipf("CPU quotas need root: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	runDirs.Store(c, cfg.Dir)
	t.Cleanup(func() { shut(t, c) })
	return c
}

// runDirs holds Config.Dir of each cluster.
var runDirs sync.Map

// shut closes a cluster. A child process that wrote to its standard error (a panic, a race, a server's complaint) fails
// the test.
func shut(t testing.TB, c *testbed.Cluster) {
	t.Helper()
	dir, _ := runDirs.Load(c)
	logs, _ := filepath.Glob(filepath.Join(dir.(string), "foresail-*", "*.log"))
	for _, l := range logs {
		if b, err := os.ReadFile(l); err == nil && len(b) > 0 {
			t.Errorf("%s says: %s", filepath.Base(l), b)
		}
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

// watch calls Next until the end, or until done is true of a snapshot.
func watch(t testing.TB, c *testbed.Cluster, limit time.Duration, done func(*foresail.Snapshot) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	for {
		s, err := c.Next(ctx)
		if err == io.EOF {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		if !s.Start.Before(s.End) {
			t.Fatalf("an interval from %v to %v", s.Start, s.End)
		}
		if done(s) {
			return
		}
	}
}

// merged is what was observed over at least d.
func merged(t testing.TB, c *testbed.Cluster, d time.Duration) *foresail.Snapshot {
	t.Helper()
	var parts []*foresail.Snapshot
	covered := time.Duration(0)
	watch(t, c, d+30*time.Second, func(s *foresail.Snapshot) bool {
		parts = append(parts, s)
		covered += s.Duration()
		return covered >= d
	})
	return foresail.Merge(parts...)
}

// rate is a constant open load.
func rate(perSecond float64) *load.Load {
	return &load.Load{Curve: []load.Segment{{Shape: load.Constant, From: perSecond}}}
}

// svc is one service of a blueprint under test, with one operation.
type svc struct {
	name  string
	alloc foresail.Allocation
	print foresail.ServiceBlueprint
}

// blueprint makes an application of services, the first of which has the endpoint "get".
func blueprint(services ...svc) *foresail.Blueprint {
	app := &foresail.App{Name: "test", Endpoints: []foresail.Endpoint{{
		Name: "get", Operation: services[0].print.Operations[0].Name, Objective: &foresail.Objective{Percentile: 99, Latency: 500 * time.Millisecond},
	}}}
	b := &foresail.Blueprint{App: app, Entries: []foresail.Target{{}}, Timeouts: []foresail.Patience{{Timeout: 5 * time.Second}}}
	for _, s := range services {
		app.Services = append(app.Services, foresail.Service{Name: s.name, Initial: s.alloc,
			Bounds: foresail.Bounds{MinReplicas: 1, MaxReplicas: 4, MinCPU: 0.05, MaxCPU: 2}})
		b.Services = append(b.Services, s.print)
	}
	return b
}

// cpu is work of a constant CPU time.
func cpu(d time.Duration) foresail.Demand {
	return foresail.Demand{CPU: foresail.Dist{Mean: d.Seconds()}}
}

func operation(name string, steps ...foresail.Step) []foresail.Operation {
	return []foresail.Operation{{Name: name, Steps: steps}}
}
