package otlp

import (
	"bytes"
	"compress/gzip"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"foresail.dev/telemetry"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// counter is a sink that counts.
type counter struct{ batches, spans int }

func (c *counter) AddBatch(_ time.Time, b *telemetry.Batch) telemetry.Result {
	c.batches++
	for _, s := range b.Senders {
		c.spans += len(s.Spans)
	}
	return telemetry.Result{Rejected: b.Malformed, Reason: "spans without ids"}
}

// Whatever bytes come with whatever headers, the answer is one that OTLP knows, its body reads as what the code
// promises, and what is refused adds nothing.
func FuzzHTTP(f *testing.F) {
	req := fullRequest(rand.New(rand.NewPCG(3, 3)))
	js, err := req.MarshalJSON()
	if err != nil {
		f.Fatal(err)
	}
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	_, _ = w.Write(js)
	if err := w.Close(); err != nil {
		f.Fatal(err)
	}
	f.Add(uint8(0), encoded(f, req))
	f.Add(uint8(1), js)
	f.Add(uint8(3), z.Bytes())
	f.Add(uint8(1), []byte(`{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"zz"}]}]}]}`))
	f.Add(uint8(1), []byte("\xff"))
	f.Fuzz(func(t *testing.T, how uint8, body []byte) {
		sink := &counter{}
		r := &Receiver{cfg: Config{MaxRequestBytes: 64 << 10}.withDefaults(), sink: sink, slots: slots{free: 1}}
		r.scanners.New = func() any { return &scanner{} }
		in := httptest.NewRequest(http.MethodPost, path, bytes.NewReader(body))
		in.Host = "localhost"
		kind := typeProto
		if how&1 != 0 {
			kind = typeJSON
		}
		in.Header.Set("Content-Type", kind)
		if how&2 != 0 {
			in.Header.Set("Content-Encoding", "gzip")
		}
		out := httptest.NewRecorder()
		r.newHTTP().Handler.ServeHTTP(out, in)
		if r.slots.free != 1 {
			t.Fatal("a slot was not given back")
		}
		if out.Header().Get("Content-Type") != kind {
			t.Fatalf("%q was answered with %q", kind, out.Header().Get("Content-Type"))
		}
		switch out.Code {
		case http.StatusOK:
			res := ptraceotlp.NewExportResponse()
			read := res.UnmarshalProto
			if kind == typeJSON {
				read = res.UnmarshalJSON
			}
			if err := read(out.Body.Bytes()); err != nil || sink.batches != 1 {
				t.Fatalf("%q: %v, %d batches", out.Body, err, sink.batches)
			}
		case http.StatusBadRequest, http.StatusRequestEntityTooLarge:
			var s spb.Status
			var err error
			if kind == typeJSON {
				err = protojson.Unmarshal(out.Body.Bytes(), &s)
			} else {
				err = proto.Unmarshal(out.Body.Bytes(), &s)
			}
			if err != nil || s.Message == "" || sink.batches != 0 {
				t.Fatalf("%d %q: %v, %d batches", out.Code, out.Body, err, sink.batches)
			}
		default:
			t.Fatalf("answered with %d", out.Code)
		}
	})
}

// A request of nothing but empty spans must not be blown up in memory: 2 MiB of them are scanned into no record.
func TestNoAmplification(t *testing.T) {
	spans := bytes.Repeat([]byte{2<<3 | wireBytes, 0}, 1<<20)
	s := &scanner{}
	b, err := s.scan(message(1, message(2, spans)))
	if err != nil || b.Malformed != 1<<20 || len(b.Senders) != 0 || cap(s.records) > 16 {
		t.Errorf("%v, %d malformed, %d records", err, b.Malformed, cap(s.records))
	}
}

// JSON values may nest as deeply as protobuf ones. Deeper ones are refused without a deep stack.
func TestDeepJSON(t *testing.T) {
	nested := func(depth int, value string) string {
		return `{"resourceSpans":[{"resource":{"attributes":[{"key":"k","value":` + strings.Repeat(`{"arrayValue":{"values":[`, depth) +
			value + strings.Repeat(`]}}`, depth) + `}]}}]}`
	}
	s := &scanner{}
	for depth, good := range map[int]bool{1: true, 49: true, 50: false, 80: false} {
		b, err := protoOf([]byte(nested(depth, `{"stringValue":"`+strings.Repeat(`[{\"\\`, 500)+`"}`)))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.scan(b); (err == nil) != good {
			t.Errorf("%d deep: %v", depth, err)
		}
	}
	body := nested(150_000, "{}")
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := protoOf([]byte(body))
	runtime.ReadMemStats(&after)
	if err == nil {
		t.Error("it was accepted")
	}
	if grown := int64(after.StackSys) - int64(before.StackSys); grown > 16<<20 {
		t.Errorf("the stack grew by %d MiB", grown>>20)
	}
}
