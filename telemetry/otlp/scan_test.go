package otlp

import (
	"bytes"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"foresail.dev"
	"foresail.dev/telemetry"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	"pgregory.net/rapid"
)

// sender is one sender's spans, copied, for comparison.
type sender struct {
	service, replica string
	spans            []telemetry.Record
}

func copied(b *telemetry.Batch) (out []sender) {
	for _, s := range b.Senders {
		c := sender{strings.Clone(s.Service), strings.Clone(s.Replica), append([]telemetry.Record(nil), s.Spans...)}
		for i := range c.spans {
			c.spans[i].Name = strings.Clone(c.spans[i].Name)
		}
		out = append(out, c)
	}
	return out
}

// oracle reads a request with pdata.
func oracle(b []byte) (out []sender, malformed int, err error) {
	req := ptraceotlp.NewExportRequest()
	if err := req.UnmarshalProto(b); err != nil {
		return nil, 0, err
	}
	for _, rs := range req.Traces().ResourceSpans().All() {
		attribute := func(key string) string {
			if v, ok := rs.Resource().Attributes().Get(key); ok && v.Type() == pcommon.ValueTypeStr {
				return v.Str()
			}
			return ""
		}
		s := sender{service: attribute("service.name"), replica: attribute("service.instance.id")}
		for _, key := range []string{"k8s.pod.name", "host.name"} {
			if s.replica == "" {
				s.replica = attribute(key)
			}
		}
		for _, ss := range rs.ScopeSpans().All() {
			for _, sp := range ss.Spans().All() {
				r := telemetry.Record{
					Trace: foresail.TraceID(sp.TraceID()), ID: foresail.SpanID(sp.SpanID()), Parent: foresail.SpanID(sp.ParentSpanID()),
					Name: sp.Name(), Start: int64(sp.StartTimestamp()), End: int64(sp.EndTimestamp()),
					Weight: weight([]byte(sp.TraceState().AsRaw())), Failed: sp.Status().Code() == ptrace.StatusCodeError,
				}
				if k := sp.Kind(); k >= 0 && k <= ptrace.SpanKindConsumer {
					r.Kind = foresail.SpanKind(k)
				}
				if r.Valid() {
					s.spans = append(s.spans, r)
				} else {
					malformed++
				}
			}
		}
		if len(s.spans) > 0 {
			out = append(out, s)
		}
	}
	return out, malformed, nil
}

// agree fails unless the scanner and pdata accept the same bytes and read the same from them.
func agree(t rapid.TB, s *scanner, b []byte) {
	t.Helper()
	want, malformed, wantErr := oracle(b)
	batch, err := s.scan(b)
	if (err == nil) != (wantErr == nil) {
		t.Fatalf("%x: scanner says %v, pdata says %v", b, err, wantErr)
	}
	if err != nil {
		return
	}
	got := copied(batch)
	if len(got) != len(want) || batch.Malformed != malformed {
		t.Fatalf("%x: %d senders and %d malformed spans, want %d and %d", b, len(got), batch.Malformed, len(want), malformed)
	}
	for i := range want {
		if got[i].service != want[i].service || got[i].replica != want[i].replica || len(got[i].spans) != len(want[i].spans) {
			t.Fatalf("%x: sender %q/%q with %d spans, want %q/%q with %d", b, got[i].service, got[i].replica, len(got[i].spans),
				want[i].service, want[i].replica, len(want[i].spans))
		}
		for j := range want[i].spans {
			if got[i].spans[j] != want[i].spans[j] {
				t.Fatalf("%x: span %+v, want %+v", b, got[i].spans[j], want[i].spans[j])
			}
		}
	}
}

// fullRequest uses every field of every message.
func fullRequest(r *rand.Rand) ptraceotlp.ExportRequest {
	td := ptrace.NewTraces()
	for range 1 + r.IntN(3) {
		rs := td.ResourceSpans().AppendEmpty()
		rs.SetSchemaUrl("https://example.org/schema")
		at := rs.Resource().Attributes()
		for _, key := range []string{"service.name", "service.instance.id", "k8s.pod.name", "host.name", "other"} {
			switch r.IntN(5) {
			case 0:
			case 1:
				at.PutInt(key, r.Int64())
			default:
				at.PutStr(key, key+"-value")
			}
		}
		rs.Resource().SetDroppedAttributesCount(3)
		for range r.IntN(3) {
			ss := rs.ScopeSpans().AppendEmpty()
			ss.SetSchemaUrl("x")
			ss.Scope().SetName("scope")
			ss.Scope().SetVersion("1")
			ss.Scope().Attributes().PutBool("b", true)
			for range r.IntN(4) {
				fullSpan(r, ss.Spans().AppendEmpty())
			}
		}
	}
	return ptraceotlp.NewExportRequestFromTraces(td)
}

func fullSpan(r *rand.Rand, s ptrace.Span) {
	var id [16]byte
	binary.LittleEndian.PutUint64(id[:], r.Uint64())
	if r.IntN(8) > 0 {
		s.SetTraceID(id)
		s.SetSpanID([8]byte(id[:8]))
	}
	if r.IntN(2) == 0 {
		s.SetParentSpanID([8]byte{1, 2})
	}
	s.SetName(strings.Repeat("n", r.IntN(300)))
	s.SetKind(ptrace.SpanKind(r.IntN(8) - 1))
	s.SetStartTimestamp(pcommon.Timestamp(r.Uint64N(1 << 62)))
	s.SetEndTimestamp(pcommon.Timestamp(r.Uint64N(1 << 62)))
	s.SetFlags(r.Uint32())
	s.TraceState().FromRaw([]string{"", "ot=th:8", "ot=p:3", "a=b,ot=p:2;th:c;r:1", "ot=th:zz"}[r.IntN(5)])
	s.Status().SetMessage("m")
	s.Status().SetCode(ptrace.StatusCode(r.IntN(3)))
	s.SetDroppedAttributesCount(1)
	s.SetDroppedEventsCount(2)
	s.SetDroppedLinksCount(300)
	a := s.Attributes()
	a.PutStr("short", "v")
	a.PutStr("long", strings.Repeat("v", r.IntN(400)))
	a.PutInt("port", r.Int64N(70000))
	a.PutInt("big", r.Int64())
	a.PutInt("negative", -1)
	a.PutDouble("d", r.Float64())
	a.PutBool("yes", true)
	a.PutEmpty("nothing")
	a.PutEmptyBytes("bytes").FromRaw([]byte{1, 2, 3})
	m := a.PutEmptyMap("map")
	m.PutStr("k", "v")
	m.PutEmptySlice("list").AppendEmpty().SetEmptyMap().PutInt("deep", 1)
	e := s.Events().AppendEmpty()
	e.SetName("event")
	e.SetTimestamp(5)
	e.Attributes().PutStr("k", "v")
	e.SetDroppedAttributesCount(1)
	l := s.Links().AppendEmpty()
	l.SetTraceID(id)
	l.SetSpanID([8]byte(id[8:]))
	l.TraceState().FromRaw("x=y")
	l.Attributes().PutStr("k", "v")
	l.SetFlags(7)
}

func encoded(t testing.TB, req ptraceotlp.ExportRequest) []byte {
	t.Helper()
	b, err := req.MarshalProto()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Valid requests, and the same with some bytes changed, cut out or put in.
func TestScannerAgreesWithPdata(t *testing.T) {
	s := &scanner{}
	rapid.Check(t, func(rt *rapid.T) {
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 1))
		b := encoded(t, fullRequest(r))
		agree(rt, s, b)
		for range 200 {
			c := bytes.Clone(b)
			for range 1 + r.IntN(3) {
				if len(c) == 0 {
					break
				}
				i := r.IntN(len(c))
				switch r.IntN(5) {
				case 0:
					c[i] ^= 1 << r.IntN(8)
				case 1:
					c[i] = byte(r.Uint32())
				case 2:
					c = append(c[:i], c[i+1:]...)
				case 3:
					c = append(c[:i:i], append([]byte{byte(r.Uint32())}, c[i:]...)...)
				case 4:
					c = c[:i]
				}
			}
			agree(rt, s, c)
		}
	})
}

// A request cut anywhere is refused or read as pdata reads it.
func TestTruncation(t *testing.T) {
	s := &scanner{}
	b := encoded(t, fullRequest(rand.New(rand.NewPCG(4, 2))))
	for i := range b {
		agree(t, s, b[:i])
	}
}

// message and value build protobuf by hand, where pdata would not.
func message(number int, content ...[]byte) []byte {
	b := binary.AppendUvarint(nil, uint64(number)<<3|wireBytes)
	c := bytes.Join(content, nil)
	return append(binary.AppendUvarint(b, uint64(len(c))), c...)
}

func TestHostileBytes(t *testing.T) {
	str := func(s string) []byte { return message(1, []byte(s)) }
	attribute := func(key string, value ...[]byte) []byte {
		return message(1, str(key), message(2, value...))
	}
	span := message(2, message(1, bytes.Repeat([]byte{1}, 16)), message(2, bytes.Repeat([]byte{2}, 8)),
		[]byte{7<<3 | wire64, 1, 0, 0, 0, 0, 0, 0, 0}, []byte{8<<3 | wire64, 2, 0, 0, 0, 0, 0, 0, 0})
	request := func(parts ...[]byte) []byte { return message(1, parts...) }
	nested := func(depth int) []byte {
		v := str("x")
		for range depth {
			v = message(5, message(1, v))
		}
		return request(message(1, attribute("deep", v)))
	}
	ten := bytes.Repeat([]byte{0xff}, 9)
	for name, b := range map[string][]byte{
		"resource after the spans":       request(message(2, span), message(1, attribute("service.name", str("late")))),
		"resource in two parts":          request(message(1, attribute("service.name", str("one"))), message(2, span), message(1, attribute("service.name", str("two")))),
		"attribute twice":                request(message(1, attribute("host.name", str("a")), attribute("host.name", str("b"))), message(2, span)),
		"value of two kinds":             request(message(1, attribute("service.name", str("a"), []byte{2 << 3, 1})), message(2, span)),
		"value of two kinds, turned":     request(message(1, attribute("service.name", []byte{2 << 3, 1}, str("a"))), message(2, span)),
		"two values":                     request(message(1, message(1, str("service.name"), message(2, str("a")), message(2))), message(2, span)),
		"number as name":                 request(message(1, attribute("service.name", []byte{3 << 3, 5})), message(2, span)),
		"only deprecated scope spans":    request(message(1000, span), message(1000, span)),
		"deprecated beside others":       request(message(1000, span), message(2, span)),
		"deprecated, malformed":          request(message(1000, []byte{0x0a, 5}), message(2, span)),
		"no service":                     request(message(2, span)),
		"empty":                          {},
		"empty messages":                 request(message(1), message(2), message(2, message(2))),
		"length of 2^63":                 append([]byte{0x0a}, append(ten, 0x01)...),
		"length near the largest int":    append([]byte{0x0a}, append(bytes.Repeat([]byte{0xff}, 8), 0x7f)...),
		"varint of 11 bytes":             append([]byte{0x0a}, append(ten, 0xff, 0x01)...),
		"field number 0":                 {0x02, 0x00},
		"field number beyond 2^29":       append([]byte{0xf8, 0xff, 0xff, 0xff, 0x7f}, 0x01),
		"field number wraps to 1":        append([]byte{0x8a, 0x80, 0x80, 0x80, 0x80, 0x01}, request(message(2, span))[1:]...),
		"wire type 6":                    {0x7e, 0x00},
		"group":                          {0x1b, 0x1c, 0x20, 0x00},
		"group at the end":               {0x1b, 0x1c},
		"group in group":                 {0x1b, 0x1b, 0x08, 0x01, 0x1c, 0x1c, 0x20, 0x00},
		"open group":                     {0x1b, 0x08, 0x01},
		"end without group":              {0x1c, 0x00},
		"groups without end":             bytes.Repeat([]byte{0x1b}, 1<<16),
		"99 deep":                        nested(48),
		"100 deep":                       nested(49),
		"101 deep":                       nested(50),
		"very deep":                      nested(5000),
		"trace id of 15 bytes":           request(message(2, message(2, message(1, make([]byte, 15))))),
		"parent id of 9 bytes":           request(message(2, message(2, message(4, make([]byte, 9))))),
		"kind beyond 32 bits":            request(message(2, message(2, []byte{6 << 3, 0x83, 0x80, 0x80, 0x80, 0x10}))),
		"known field of wrong type":      request(message(2, message(2, []byte{9 << 3, 1}))),
		"unknown fields":                 request([]byte{0x98, 0x06, 0x01}, message(2, message(2, []byte{0x98, 0x06, 0x01, 0x9d, 0x06, 1, 2, 3, 4, 0x99, 0x06, 1, 2, 3, 4, 5, 6, 7, 8}))),
		"entity refs":                    request(message(1, message(3, message(1), message(3, []byte("k"))))),
		"entity refs, malformed":         request(message(1, message(3, []byte{1 << 3, 1}))),
		"link with a span id of 7 bytes": request(message(2, message(2, message(13, message(2, make([]byte, 7)))))),
	} {
		t.Run(name, func(t *testing.T) { agree(t, &scanner{}, b) })
	}
}

func FuzzScan(f *testing.F) {
	for seed := range uint64(4) {
		f.Add(encoded(f, fullRequest(rand.New(rand.NewPCG(seed, 9)))))
	}
	f.Add([]byte{0x1b, 0x1c, 0x20, 0x00})
	s := &scanner{}
	f.Fuzz(func(t *testing.T, b []byte) { agree(t, s, b) })
}

// Scanning allocates nothing once the scanner has grown.
func TestScanAllocatesNothing(t *testing.T) {
	b := encoded(t, fullRequest(rand.New(rand.NewPCG(1, 1))))
	s := &scanner{}
	if n := testing.AllocsPerRun(100, func() {
		if _, err := s.scan(b); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%g allocations", n)
	}
}

func TestWeight(t *testing.T) {
	for state, want := range map[string]float64{
		"":                      0,
		"vendor=x":              0,
		"ot=th:0":               1,
		"ot=th:8":               2,
		"ot=th:c":               4,
		"ot=th:e6666666666666":  9.99999999999999, // one in ten
		"a=b, ot=rv:1;th:8,c=d": 2,
		"ot=p:0":                1,
		"ot=p:5;r:7":            32,
		"ot=p:63":               -1,
		"ot=p:64":               0,
		"ot=p:-1":               0,
		"ot=p:":                 0,
		"ot=th:":                0,
		"ot=th:g":               0,
		"ot=th:123456789012345": 0,
		"ot=th:ffffffffffffff":  1 << 56,
		"ot=p:3;th:8":           2, // the newer form counts
		"ot=p:99999999999999":   0,
		"xot=th:8":              0,
		"ot=th:8;th:c":          2,
	} {
		if got := weight([]byte(state)); math.Abs(got-want) > 1e-9*math.Abs(want) {
			t.Errorf("%q: %g, want %g", state, got, want)
		}
	}
	for _, w := range []float64{1.5, 2, 10, 1000, 1 / 0.3} {
		if got := weight([]byte(traceState(w))); got < w*(1-1e-9) || got > w*(1+1e-9) {
			t.Errorf("%g is written as %q, read as %g", w, traceState(w), got)
		}
	}
	if s := traceState(1); s != "" {
		t.Errorf("%q", s)
	}
}
