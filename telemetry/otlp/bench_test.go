package otlp

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/telemetry"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// How fast spans become snapshots. The rate is that of one core. Compare two commits with
//
//	go test -run '^$' -bench IngestOTLP -cpu 1 -count 6 ./telemetry/otlp > old.txt   # and new.txt
//	go run golang.org/x/perf/cmd/benchstat@latest old.txt new.txt

const (
	benchServices = 36
	benchSpans    = 1000 // in a request
	benchRate     = 300_000
)

// workload is a ring of encoded requests of an application of 36 services: traces of 24 spans, a client span and a
// server span for each call, a parent in another request than its children, 7 attributes each. Before a request is sent
// again its ids and times are moved on, in place, so that no span comes twice.
type workload struct {
	app      *foresail.App
	requests [][]byte
	ids      [][]int // offsets of ids: of each the first 8 bytes change
	times    [][]int // offsets of instants
	lap      uint64
	next     int
}

func newWorkload(tb testing.TB) *workload {
	r := rand.New(rand.NewPCG(1, 2))
	w := &workload{app: &foresail.App{Name: "bench"}}
	for i := range benchServices {
		w.app.Services = append(w.app.Services, foresail.Service{Name: fmt.Sprintf("service-%02d", i)})
	}
	w.app.Endpoints = []foresail.Endpoint{{Name: "e", Operation: "GET /api/v1/operation-0", Objective: &foresail.Objective{Percentile: 99, Latency: 50 * time.Millisecond}}}
	byService := make([][]ptrace.Span, benchServices)
	const perTrace = 24
	for range benchServices * benchSpans / perTrace {
		benchTrace(r, byService, perTrace)
	}
	// A request holds spans of one service's replica, as an SDK exports them; three replicas take turns.
	for i, spans := range byService {
		for k := 0; len(spans) > 0; k++ {
			n := min(benchSpans, len(spans))
			w.request(tb, i, k%3, spans[:n])
			spans = spans[n:]
		}
	}
	r.Shuffle(len(w.requests), func(i, j int) {
		w.requests[i], w.requests[j] = w.requests[j], w.requests[i]
		w.ids[i], w.ids[j] = w.ids[j], w.ids[i]
		w.times[i], w.times[j] = w.times[j], w.times[i]
	})
	return w
}

// benchTrace makes one trace: a chain and fan-out of calls. Ids and times are numbers that request finds again.
func benchTrace(r *rand.Rand, byService [][]ptrace.Span, n int) {
	var trace [16]byte
	binary.LittleEndian.PutUint64(trace[:], r.Uint64())
	binary.LittleEndian.PutUint64(trace[8:], r.Uint64())
	parents, services := [][8]byte{{}}, []int{0}
	start := uint64(r.IntN(1e8))
	for i := range n {
		var id [8]byte
		binary.LittleEndian.PutUint64(id[:], r.Uint64())
		p := 0
		if i > 0 {
			p = 1 + r.IntN(len(parents)-1)
		}
		service, kind := services[p], ptrace.SpanKindServer
		if i > 0 {
			if i%2 == 1 {
				kind = ptrace.SpanKindClient
			} else {
				p = len(parents) - 1
				service = (services[p] + 1 + r.IntN(benchServices-1)) % benchServices
			}
		}
		s := ptrace.NewSpan()
		s.SetTraceID(trace)
		s.SetSpanID(id)
		if i > 0 {
			s.SetParentSpanID(parents[p])
		}
		s.SetName(fmt.Sprintf("GET /api/v1/operation-%d", service%8))
		s.SetKind(kind)
		from := start + uint64(i)*100_000
		s.SetStartTimestamp(pcommon.Timestamp(benchEpoch + from))
		s.SetEndTimestamp(pcommon.Timestamp(benchEpoch + from + uint64(r.IntN(2e7))))
		if r.IntN(100) == 0 {
			s.Status().SetCode(ptrace.StatusCodeError)
		}
		a := s.Attributes()
		a.PutStr("http.request.method", "GET")
		a.PutStr("url.path", "/api/v1/operation")
		a.PutStr("server.address", fmt.Sprintf("service-%02d.default.svc", service))
		a.PutInt("server.port", 8080)
		a.PutInt("http.response.status_code", 200)
		a.PutStr("network.protocol.version", "1.1")
		a.PutStr("user_agent.original", "go-http-client/1.1")
		byService[service] = append(byService[service], s)
		parents, services = append(parents, id), append(services, service)
	}
}

const benchEpoch = uint64(1_800_000_000_000_000_000)

func (w *workload) request(tb testing.TB, service, replica int, spans []ptrace.Span) {
	td := ptrace.NewTraces()
	rs := td.ResourceSpans().AppendEmpty()
	rs.Resource().Attributes().PutStr("service.name", w.app.Services[service].Name)
	rs.Resource().Attributes().PutStr("service.instance.id", fmt.Sprintf("service-%02d-%d", service, replica))
	rs.Resource().Attributes().PutStr("telemetry.sdk.name", "opentelemetry")
	dst := rs.ScopeSpans().AppendEmpty().Spans()
	for _, s := range spans {
		s.CopyTo(dst.AppendEmpty())
	}
	b := encoded(tb, ptraceotlp.NewExportRequestFromTraces(td))
	ids, times := offsets(tb, b)
	if len(times) != 2*len(spans) {
		tb.Fatalf("%d instants in %d spans", len(times), len(spans))
	}
	w.requests, w.ids, w.times = append(w.requests, b), append(w.ids, ids), append(w.times, times)
}

// offsets finds where ids and instants stand in a request.
func offsets(tb testing.TB, b []byte) (ids, times []int) {
	fields := func(msg []byte, base int, each func(t uint64, content []byte, at int)) {
		for pos := 0; pos < len(msg); {
			t, next, err := tag(msg, pos)
			if err != nil {
				tb.Fatal(err)
			}
			if t&7 == wireBytes {
				content, end, _ := bytesField(msg, next, t)
				each(t>>3, content, base+end-len(content))
				pos = end
			} else {
				each(t>>3, nil, base+next)
				pos, _ = skip(msg, next, t&7)
			}
		}
	}
	fields(b, 0, func(_ uint64, rs []byte, at int) {
		fields(rs, at, func(n uint64, ss []byte, at int) {
			if n != 2 {
				return
			}
			fields(ss, at, func(n uint64, span []byte, at int) {
				if n != 2 {
					return
				}
				fields(span, at, func(n uint64, v []byte, at int) {
					switch {
					case n == 1:
						ids = append(ids, at)
					case n == 7 || n == 8:
						times = append(times, at)
					}
				})
			})
		})
	})
	return ids, times
}

// lapTime is what one lap over the ring lasts in the spans' time, at benchRate.
func (w *workload) lapTime() time.Duration {
	n := 0
	for _, t := range w.times {
		n += len(t) / 2
	}
	return time.Duration(n) * time.Second / benchRate
}

// take gives the next request and how many spans it has. The request at place i of lap k lies in the spans' time
// where a rate of benchRate puts it.
func (w *workload) take() (b []byte, spans int, at time.Time) {
	if w.next == len(w.requests) {
		w.next, w.lap = 0, w.lap+1
	}
	i := w.next
	w.next++
	b = w.requests[i]
	for _, o := range w.ids[i] {
		binary.LittleEndian.PutUint64(b[o:], binary.LittleEndian.Uint64(b[o:])+0x9e3779b97f4a7c15)
	}
	lap := uint64(w.lapTime())
	if w.lap > 0 {
		for _, o := range w.times[i] {
			binary.LittleEndian.PutUint64(b[o:], binary.LittleEndian.Uint64(b[o:])+lap)
		}
	}
	at = time.Unix(0, int64(benchEpoch+w.lap*lap+lap*uint64(i)/uint64(len(w.requests)))).UTC().Add(200 * time.Millisecond)
	return b, len(w.times[i]) / 2, at
}

// BenchmarkIngestOTLP takes OTLP protobuf requests in and snapshots out. An operation is one request. spans/core-s counts
// by processor time, spans/s by the clock; MiB is the live heap that the run added, system-MiB all that the process holds,
// the ring of requests included.
func BenchmarkIngestOTLP(b *testing.B) {
	b.Run("bytes", func(b *testing.B) {
		w := newWorkload(b)
		a := telemetry.NewAssembler(w.app, telemetry.Options{})
		s := &scanner{}
		ingest(b, w, a, func(req []byte, at time.Time) error {
			batch, err := s.scan(req)
			if err == nil {
				a.AddBatch(at, batch)
			}
			return err
		})
	})
	b.Run("scan", func(b *testing.B) { // the wire alone
		w := newWorkload(b)
		s := &scanner{}
		b.ReportAllocs()
		spans := 0
		for b.Loop() {
			req, n, _ := w.take()
			spans += n
			if _, err := s.scan(req); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(spans)/b.Elapsed().Seconds(), "spans/s")
	})
	b.Run("grpc", func(b *testing.B) { // over loopback, the client on the same core
		w := newWorkload(b)
		a := telemetry.NewAssembler(w.app, telemetry.Options{})
		var now atomic.Int64
		r, err := Listen(Config{GRPC: "127.0.0.1:0", Now: func() time.Time { return time.Unix(0, now.Load()) }}, a)
		if err != nil {
			b.Fatal(err)
		}
		defer r.Shutdown(context.Background())
		conn, err := grpc.NewClient(r.GRPCAddr(), grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			b.Fatal(err)
		}
		defer conn.Close()
		ingest(b, w, a, func(req []byte, at time.Time) error {
			now.Store(at.UnixNano())
			out := new(rawMessage)
			err := conn.Invoke(context.Background(), "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
				&rawMessage{bytes: req}, out, grpc.ForceCodecV2(rawCodec{}))
			if err == nil {
				if out.buf.Len() != 0 {
					return fmt.Errorf("partial success")
				}
				out.buf.Free()
			}
			return err
		})
	})
}

// ingest sends requests and cuts each beat.
func ingest(b *testing.B, w *workload, a *telemetry.Assembler, send func([]byte, time.Time) error) {
	b.ReportAllocs()
	before := heap()
	spans, snapshots, requests, calls := 0, 0, 0.0, 0.0
	var end time.Time
	used := -cpuTime(b)
	for b.Loop() {
		req, n, at := w.take()
		spans += n
		if err := send(req, at); err != nil {
			b.Fatal(err)
		}
		if end.IsZero() {
			end = at
		}
		for at.Sub(end) >= foresail.Beat {
			end = end.Add(foresail.Beat)
			if s := a.Cut(end); s != nil {
				snapshots++
				r, c := counted(s)
				requests, calls = requests+r, calls+c
			}
		}
	}
	elapsed := b.Elapsed()
	used += cpuTime(b)
	after := heap()
	st := a.Stats()
	// Half of the spans are requests, and 11 of 12 requests are calls. What the last cut did not reach is missing.
	if n := float64(spans); st.Assembled != uint64(spans) || n > 2e6 && (requests < 0.4*n || calls < 0.9*requests*11/12) {
		b.Fatalf("%d spans were sent, %g requests, %g calls and %d snapshots came out: %+v", spans, requests, calls, snapshots, st)
	}
	held := float64(after.Sys-after.HeapReleased) / (1 << 20)
	if held > 256 {
		b.Errorf("the process holds %.0f MiB", held)
	}
	b.ReportMetric(float64(spans)/elapsed.Seconds(), "spans/s")
	b.ReportMetric(float64(spans)/used.Seconds(), "spans/core-s")
	b.ReportMetric(float64(after.HeapAlloc-min(before.HeapAlloc, after.HeapAlloc))/(1<<20), "MiB")
	b.ReportMetric(held, "system-MiB")
	b.ReportMetric(float64(snapshots), "snapshots")
}

// counted is how many requests arrived and how many calls were made, late ones included.
func counted(s *foresail.Snapshot) (requests, calls float64) {
	for i := range s.Services {
		requests += s.Services[i].Arrivals
	}
	for i := range s.Edges {
		calls += s.Edges[i].Calls
	}
	for _, l := range s.Late {
		r, c := counted(l)
		requests, calls = requests+r, calls+c
	}
	return requests, calls
}

// cpuTime is what the process has used so far, client and garbage collection included. Unlike the clock it does not count
// the time that others keep the machine busy.
func cpuTime(b *testing.B) time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func heap() (m runtime.MemStats) {
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m
}

// BenchmarkIngestShards takes OTLP protobuf requests in over as many shards as there are processors to use, each fed by a
// goroutine of its own, and snapshots out. Beside BenchmarkIngestOTLP/bytes its spans/core-s says what routing and merging
// cost.
func BenchmarkIngestShards(b *testing.B) {
	n := runtime.GOMAXPROCS(0)
	w := newWorkload(b)
	s := telemetry.NewShards(w.app, telemetry.Options{}, n)
	type work struct {
		req []byte
		at  time.Time
	}
	queue, done := make(chan work), make(chan error, n)
	for range n {
		go func() {
			sc := &scanner{}
			for q := range queue {
				batch, err := sc.scan(q.req)
				if err != nil {
					done <- err
					return
				}
				s.AddBatch(q.at, batch)
			}
			done <- nil
		}()
	}
	b.ReportAllocs()
	spans := 0
	var end time.Time
	used := -cpuTime(b)
	for b.Loop() {
		req, k, at := w.take()
		spans += k
		queue <- work{req, at}
		if end.IsZero() {
			end = at
		}
		for at.Sub(end) >= foresail.Beat {
			end = end.Add(foresail.Beat)
			s.Cut(end)
		}
	}
	close(queue)
	for range n {
		if err := <-done; err != nil {
			b.Fatal(err)
		}
	}
	used += cpuTime(b)
	if st := s.Stats(); st.Assembled != uint64(spans) {
		b.Fatalf("%d spans were sent: %+v", spans, st)
	}
	b.ReportMetric(float64(spans)/b.Elapsed().Seconds(), "spans/s")
	b.ReportMetric(float64(spans)/used.Seconds(), "spans/core-s")
}
