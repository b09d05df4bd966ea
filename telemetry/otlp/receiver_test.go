package otlp_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/telemetry"
	. "foresail.dev/telemetry/otlp"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.uber.org/goleak"
	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// collect is a sink that keeps the spans it gets.
type collect struct {
	mu     sync.Mutex
	spans  []foresail.Span
	result telemetry.Result
}

func (c *collect) AddBatch(_ time.Time, b *telemetry.Batch) telemetry.Result {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.spans = append(c.spans, spansOf(b)...)
	res := c.result
	res.Rejected += b.Malformed
	return res
}

func (c *collect) got() []foresail.Span {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]foresail.Span(nil), c.spans...)
}

// spansOf copies what a batch holds.
func spansOf(b *telemetry.Batch) []foresail.Span {
	var out []foresail.Span
	for _, s := range b.Senders {
		for _, r := range s.Spans {
			out = append(out, foresail.Span{Trace: r.Trace, ID: r.ID, Parent: r.Parent, Service: strings.Clone(s.Service),
				Replica: strings.Clone(s.Replica), Operation: strings.Clone(r.Name), Kind: r.Kind,
				Start: time.Unix(0, r.Start).UTC(), End: time.Unix(0, r.End).UTC(), Failed: r.Failed, Weight: r.Weight})
		}
	}
	return out
}

func listen(t testing.TB, cfg Config, sink Sink) *Receiver {
	t.Helper()
	if cfg.GRPC == "" && cfg.HTTP == "" {
		cfg.GRPC, cfg.HTTP = "127.0.0.1:0", "127.0.0.1:0"
	}
	r, err := Listen(cfg, sink)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := r.Shutdown(ctx); err != nil {
			t.Error(err)
		}
	})
	return r
}

func post(t testing.TB, r *Receiver, header map[string]string, body []byte) (int, http.Header, []byte) {
	t.Helper()
	req, err := http.NewRequest(http.MethodPost, "http://"+r.HTTPAddr()+"/v1/traces", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range header {
		req.Header.Set(k, v)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, res.Header, b
}

var (
	protobuf = map[string]string{"Content-Type": "application/x-protobuf"}
	asJSON   = map[string]string{"Content-Type": "application/json"}
)

func zipped(t testing.TB, b []byte) []byte {
	t.Helper()
	var buf bytes.Buffer
	z := gzip.NewWriter(&buf)
	if _, err := z.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// raw sends bytes over gRPC as they are.
type raw struct{}

func (raw) Name() string                  { return "proto" }
func (raw) Marshal(v any) ([]byte, error) { return *v.(*[]byte), nil }
func (raw) Unmarshal(data []byte, v any) error {
	*v.(*[]byte) = append([]byte(nil), data...)
	return nil
}

func dial(t testing.TB, r *Receiver) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient(r.GRPCAddr(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func export(conn *grpc.ClientConn, b []byte, o ...grpc.CallOption) ([]byte, error) {
	var out []byte
	err := conn.Invoke(context.Background(), "/opentelemetry.proto.collector.trace.v1.TraceService/Export", &b, &out,
		append(o, grpc.ForceCodec(raw{}))...)
	return out, err
}

func someSpans(n int) []foresail.Span {
	r := rand.New(rand.NewPCG(uint64(n), 7))
	spans := make([]foresail.Span, n)
	for i := range spans {
		s := &spans[i]
		for j := range s.Trace {
			s.Trace[j] = byte(r.Uint32())
		}
		for j := range s.ID {
			s.ID[j] = byte(r.Uint32())
		}
		s.Service, s.Replica = fmt.Sprintf("service-%d", i%3), fmt.Sprintf("replica-%d", i%3)
		s.Operation, s.Kind = "GET /x", foresail.SpanKind(i%6)
		s.Start = epoch.Add(time.Duration(i) * time.Millisecond)
		s.End = s.Start.Add(time.Duration(r.IntN(1e8)))
		s.Failed = i%5 == 0
		if i%2 == 0 {
			s.Weight = 4
		}
	}
	return spans
}

func byID(spans []foresail.Span) map[foresail.SpanID]foresail.Span {
	m := map[foresail.SpanID]foresail.Span{}
	for _, s := range spans {
		m[s.ID] = s
	}
	return m
}

func same(t testing.TB, got, want []foresail.Span) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d spans came, %d were sent", len(got), len(want))
	}
	m := byID(got)
	for _, w := range want {
		if m[w.ID] != w {
			t.Fatalf("got %+v\nwant %+v", m[w.ID], w)
		}
	}
}

// Every way in gives the same spans.
func TestWaysIn(t *testing.T) {
	spans := someSpans(100)
	body := Encode(spans)
	js, err := EncodeJSON(spans)
	if err != nil {
		t.Fatal(err)
	}
	with := func(m map[string]string, k, v string) map[string]string {
		out := map[string]string{k: v}
		for k, v := range m {
			out[k] = v
		}
		return out
	}
	ways := map[string]func(t *testing.T, r *Receiver){
		"http protobuf": func(t *testing.T, r *Receiver) { ok(t, r, protobuf, body) },
		"http json":     func(t *testing.T, r *Receiver) { ok(t, r, asJSON, js) },
		"http protobuf gzip": func(t *testing.T, r *Receiver) {
			ok(t, r, with(protobuf, "Content-Encoding", "gzip"), zipped(t, body))
		},
		"http json gzip": func(t *testing.T, r *Receiver) {
			ok(t, r, with(asJSON, "Content-Encoding", "gzip"), zipped(t, js))
		},
		"http json charset": func(t *testing.T, r *Receiver) {
			ok(t, r, map[string]string{"Content-Type": "application/json; charset=utf-8"}, js)
		},
		"grpc": func(t *testing.T, r *Receiver) {
			if out, err := export(dial(t, r), body); err != nil || len(out) != 0 {
				t.Fatalf("%x, %v", out, err)
			}
		},
		"grpc gzip": func(t *testing.T, r *Receiver) {
			if _, err := export(dial(t, r), body, grpc.UseCompressor("gzip")); err != nil {
				t.Fatal(err)
			}
		},
		"grpc of pdata": func(t *testing.T, r *Receiver) {
			req := ptraceotlp.NewExportRequest()
			if err := req.UnmarshalProto(body); err != nil {
				t.Fatal(err)
			}
			if _, err := ptraceotlp.NewGRPCClient(dial(t, r)).Export(context.Background(), req); err != nil {
				t.Fatal(err)
			}
		},
	}
	for name, send := range ways {
		t.Run(name, func(t *testing.T) {
			sink := &collect{}
			send(t, listen(t, Config{}, sink))
			same(t, sink.got(), spans)
		})
	}
}

func ok(t *testing.T, r *Receiver, header map[string]string, body []byte) {
	t.Helper()
	code, h, b := post(t, r, header, body)
	if code != http.StatusOK || !strings.HasPrefix(header["Content-Type"], h.Get("Content-Type")) {
		t.Fatalf("%d %s %q", code, h.Get("Content-Type"), b)
	}
}

// What the OpenTelemetry SDK sends arrives, over both protocols.
func TestOpenTelemetrySDK(t *testing.T) {
	sink := &collect{}
	r := listen(t, Config{}, sink)
	ctx := context.Background()
	g, err := otlptracegrpc.New(ctx, otlptracegrpc.WithEndpoint(r.GRPCAddr()), otlptracegrpc.WithInsecure(), otlptracegrpc.WithCompressor("gzip"))
	if err != nil {
		t.Fatal(err)
	}
	h, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpoint(r.HTTPAddr()), otlptracehttp.WithInsecure())
	if err != nil {
		t.Fatal(err)
	}
	res := resource.NewSchemaless(attribute.String("service.name", "front"), attribute.String("host.name", "box"), attribute.String("k8s.pod.name", "front-1"))
	tp := sdktrace.NewTracerProvider(sdktrace.WithResource(res), sdktrace.WithBatcher(g), sdktrace.WithBatcher(h))
	_, span := tp.Tracer("t").Start(ctx, "op")
	span.SetAttributes(attribute.StringSlice("list", []string{"a", "b"}))
	span.AddEvent("e")
	span.End()
	if err := tp.Shutdown(ctx); err != nil {
		t.Fatal(err)
	}
	got := sink.got()
	if len(got) != 2 || got[0] != got[1] || got[0].Service != "front" || got[0].Replica != "front-1" || got[0].Operation != "op" {
		t.Fatalf("%+v", got)
	}
}

// Bad requests get the protocol's own error, and nothing of them is added.
func TestRefusals(t *testing.T) {
	good := Encode(someSpans(20))
	bad := append(append([]byte(nil), good...), 0x0a, 0x7f)
	large := bytes.Repeat([]byte{0}, 1<<20)
	cfg := Config{GRPC: "127.0.0.1:0", HTTP: "127.0.0.1:0", MaxRequestBytes: 64 << 10}
	cases := map[string]struct {
		header map[string]string
		body   []byte
		code   int
		status codes.Code
	}{
		"malformed protobuf": {protobuf, bad, 400, codes.InvalidArgument},
		"malformed json":     {asJSON, []byte(`{"resourceSpans":[{]}`), 400, codes.InvalidArgument},
		"no content type":    {nil, good, 415, codes.InvalidArgument},
		"other content type": {map[string]string{"Content-Type": "text/plain"}, good, 415, codes.InvalidArgument},
		"other encoding":     {map[string]string{"Content-Type": "application/json", "Content-Encoding": "br"}, good, 415, codes.InvalidArgument},
		"not gzip":           {map[string]string{"Content-Type": "application/json", "Content-Encoding": "gzip"}, good, 400, codes.InvalidArgument},
		"cut gzip":           {map[string]string{"Content-Type": "application/x-protobuf", "Content-Encoding": "gzip"}, zipped(t, good)[:200], 400, codes.InvalidArgument},
		"too large":          {protobuf, large, 413, codes.ResourceExhausted},
		"zip bomb":           {map[string]string{"Content-Type": "application/x-protobuf", "Content-Encoding": "gzip"}, zipped(t, large), 413, codes.ResourceExhausted},
	}
	sink := &collect{}
	r := listen(t, cfg, sink)
	for name, c := range cases {
		code, h, b := post(t, r, c.header, c.body)
		if code != c.code {
			t.Errorf("%s: HTTP %d %q, want %d", name, code, b, c.code)
			continue
		}
		unmarshal := proto.Unmarshal
		if h.Get("Content-Type") == "application/json" {
			unmarshal = protojson.Unmarshal
		}
		var s spb.Status
		if err := unmarshal(b, &s); err != nil || codes.Code(s.Code) != c.status || s.Message == "" {
			t.Errorf("%s: body %q is not a Status of code %s (%v)", name, b, c.status, err)
		}
	}
	conn := dial(t, r)
	if _, err := export(conn, bad); status.Code(err) != codes.InvalidArgument {
		t.Errorf("gRPC, malformed: %v", err)
	}
	if _, err := export(conn, large); status.Code(err) != codes.ResourceExhausted || !strings.Contains(err.Error(), "larger than max") {
		t.Errorf("gRPC, too large: %v", err)
	}
	if _, err := export(conn, large, grpc.UseCompressor("gzip")); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("gRPC, zip bomb: %v", err)
	}
	res, err := http.Get("http://" + r.HTTPAddr() + "/v1/traces")
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusMethodNotAllowed || res.Header.Get("Allow") != "POST" {
		t.Errorf("GET: %d", res.StatusCode)
	}
	if n := len(sink.got()); n != 0 {
		t.Errorf("%d spans of refused requests were added", n)
	}
	want := uint64(len(cases)) + 3
	// gRPC counts what is too large once the client has its answer.
	for end := time.Now().Add(10 * time.Second); r.Stats().Malformed < want && time.Now().Before(end); time.Sleep(time.Millisecond) {
	}
	if s := r.Stats(); s.Requests != 0 || s.Malformed != want {
		t.Errorf("%+v", s)
	}
}

// Spans that are not taken are told as a partial success.
func TestPartialSuccess(t *testing.T) {
	sink := &collect{result: telemetry.Result{Rejected: 3, Reason: "spans that end in the future"}}
	r := listen(t, Config{}, sink)
	_, _, body := post(t, r, protobuf, Encode(someSpans(10)))
	res := ptraceotlp.NewExportResponse()
	if err := res.UnmarshalProto(body); err != nil || res.PartialSuccess().RejectedSpans() != 3 {
		t.Errorf("%q, %v", body, err)
	}
	out, err := export(dial(t, r), Encode(someSpans(10)))
	if err != nil || !bytes.Equal(out, body) {
		t.Errorf("gRPC says %q, HTTP %q, %v", out, body, err)
	}
}

// blocked is a sink that waits, so that requests pile up.
type blocked struct{ enter, leave chan struct{} }

func (b *blocked) AddBatch(time.Time, *telemetry.Batch) telemetry.Result {
	b.enter <- struct{}{}
	<-b.leave
	return telemetry.Result{}
}

// With all slots in use a sender is told to come again, and Shutdown lets the one at work finish.
func TestBusyAndGraceful(t *testing.T) {
	sink := &blocked{make(chan struct{}), make(chan struct{})}
	r := listen(t, Config{GRPC: "127.0.0.1:0", HTTP: "127.0.0.1:0", MaxConcurrent: 1}, sink)
	body := Encode(someSpans(1))
	first := make(chan int)
	go func() {
		code, _, _ := post(t, r, protobuf, body)
		first <- code
	}()
	<-sink.enter
	if code, h, _ := post(t, r, protobuf, body); code != 503 || h.Get("Retry-After") == "" {
		t.Errorf("HTTP %d", code)
	}
	if _, err := export(dial(t, r), body); status.Code(err) != codes.Unavailable {
		t.Errorf("gRPC %v", err)
	}
	down := make(chan error)
	go func() { down <- r.Shutdown(context.Background()) }()
	sink.leave <- struct{}{}
	if code := <-first; code != 200 {
		t.Errorf("the request at work ended with %d", code)
	}
	if err := <-down; err != nil {
		t.Error(err)
	}
}

// A request that does not end is cut off when the time for it is over.
func TestShutdownDeadline(t *testing.T) {
	sink := &blocked{make(chan struct{}), make(chan struct{})}
	r := listen(t, Config{}, sink)
	conn := dial(t, r)
	over := make(chan error, 2)
	go func() {
		_, err := export(conn, Encode(someSpans(1)))
		over <- err
	}()
	go func() {
		res, err := http.Post("http://"+r.HTTPAddr()+"/v1/traces", "application/x-protobuf", bytes.NewReader(Encode(someSpans(1))))
		if err == nil {
			res.Body.Close()
		}
		over <- err
	}()
	<-sink.enter
	<-sink.enter
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := r.Shutdown(ctx); err == nil || !strings.Contains(err.Error(), "gRPC requests were cut off") || !strings.Contains(err.Error(), "HTTP requests were cut off") {
		t.Errorf("%v", err)
	}
	for range 2 {
		if err := <-over; err == nil {
			t.Error("a request that was cut off succeeded")
		}
	}
	sink.leave <- struct{}{}
	sink.leave <- struct{}{}
}

func TestShutdown(t *testing.T) {
	var none *Receiver
	if err := none.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
	r := listen(t, Config{}, &collect{})
	for range 2 {
		if err := r.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	}
	if c, err := net.Dial("tcp", r.HTTPAddr()); err == nil {
		c.Close()
		t.Error("the port is still open")
	}
}

func TestConfig(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	taken := l.Addr().String()
	for name, c := range map[string]struct {
		cfg  Config
		want string
	}{
		"nothing":  {Config{}, "neither a gRPC nor an HTTP address is set"},
		"open":     {Config{GRPC: "0.0.0.0:0", HTTP: ":0"}, "can be reached from other machines"},
		"any host": {Config{HTTP: ":0"}, "can be reached from other machines"},
		"bad":      {Config{GRPC: "nonsense"}, "write it as host:port"},
		"taken":    {Config{GRPC: "127.0.0.1:0", HTTP: taken}, "listen for HTTP on " + taken},
	} {
		if _, err := Listen(c.cfg, &collect{}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	listen(t, Config{GRPC: "0.0.0.0:0", AllowRemote: true}, &collect{})
}
