package main

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"time"

	"foresail.dev"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
)

const (
	services  = 36
	spansEach = 1000 // in a request
	ringSize  = 3 * services
	perTrace  = 24
)

// workload is a ring of encoded requests, each of one replica's spans: traces of 24 spans of 36 services, a client span and
// a server span for each call, 7 attributes each. Before a request is sent its ids and times are changed in place, so that
// no span comes twice and all have just ended.
type workload struct{ ring chan *request }

type request struct {
	bytes []byte
	ids   []int    // where ids stand
	times []int    // where instants stand: of each span its start and its end
	since []uint64 // by instant: how long before the newest
}

func appOf() *foresail.App {
	app := &foresail.App{Name: "ingest"}
	for i := range services {
		app.Services = append(app.Services, foresail.Service{Name: serviceName(i)})
	}
	app.Endpoints = []foresail.Endpoint{{Name: "e", Operation: "GET /api/v1/operation-0",
		Objective: &foresail.Objective{Percentile: 99, Latency: 50 * time.Millisecond}}}
	return app
}

func serviceName(i int) string { return fmt.Sprintf("service-%02d", i) }

func newWorkload(seed uint64) *workload {
	r := rand.New(rand.NewPCG(seed, 2))
	byService := make([][]ptrace.Span, services)
	for range ringSize * spansEach * 2 / perTrace { // twice what is sent, so that each service has enough
		drawTrace(r, byService)
	}
	w := &workload{ring: make(chan *request, ringSize)}
	for k := range ringSize {
		i := k % services
		if len(byService[i]) < spansEach {
			continue
		}
		w.ring <- newRequest(i, k/services, byService[i][:spansEach])
		byService[i] = byService[i][spansEach:]
	}
	return w
}

func drawTrace(r *rand.Rand, byService [][]ptrace.Span) {
	var trace [16]byte
	binary.LittleEndian.PutUint64(trace[:], r.Uint64())
	binary.LittleEndian.PutUint64(trace[8:], r.Uint64())
	var parents [][8]byte
	var at []int
	for i := range perTrace {
		var id, parent [8]byte
		binary.LittleEndian.PutUint64(id[:], r.Uint64())
		service, kind := 0, ptrace.SpanKindServer
		switch {
		case i == 0:
			service = r.IntN(services)
		case i%2 == 1: // a call, by one that is there
			p := r.IntN((i+1)/2) * 2
			parent, service, kind = parents[p], at[p], ptrace.SpanKindClient
		default: // and who serves it
			parent, service = parents[i-1], (at[i-1]+1+r.IntN(services-1))%services
		}
		s := ptrace.NewSpan()
		s.SetTraceID(trace)
		s.SetSpanID(id)
		s.SetParentSpanID(parent)
		s.SetName(fmt.Sprintf("GET /api/v1/operation-%d", service%8))
		s.SetKind(kind)
		from := 1_000_000_000 + uint64(r.IntN(5e7))
		s.SetStartTimestamp(pcommon.Timestamp(from))
		s.SetEndTimestamp(pcommon.Timestamp(from + uint64(r.IntN(2e7))))
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
		parents, at = append(parents, id), append(at, service)
	}
}

func newRequest(service, replica int, spans []ptrace.Span) *request {
	td := ptrace.NewTraces()
	rs := td.ResourceSpans().AppendEmpty()
	rs.Resource().Attributes().PutStr("service.name", serviceName(service))
	rs.Resource().Attributes().PutStr("service.instance.id", fmt.Sprintf("service-%02d-%d", service, replica))
	rs.Resource().Attributes().PutStr("telemetry.sdk.name", "opentelemetry")
	dst := rs.ScopeSpans().AppendEmpty().Spans()
	for _, s := range spans {
		s.CopyTo(dst.AppendEmpty())
	}
	b, err := ptraceotlp.NewExportRequestFromTraces(td).MarshalProto()
	if err != nil {
		panic(err) // pdata marshals into memory and gives no error
	}
	q := &request{bytes: b}
	q.find(b, 0, 0)
	if len(q.times) != 2*len(spans) {
		panic(fmt.Sprintf("%d instants in %d spans", len(q.times), len(spans)))
	}
	newest := uint64(0)
	for _, o := range q.times {
		newest = max(newest, binary.LittleEndian.Uint64(b[o:]))
	}
	for _, o := range q.times {
		q.since = append(q.since, newest-binary.LittleEndian.Uint64(b[o:]))
	}
	return q
}

// find notes where ids and instants stand in an ExportTraceServiceRequest: spans are messages 1, 2, 2 deep.
func (q *request) find(b []byte, base, depth int) {
	for pos := 0; pos < len(b); {
		tag, n := binary.Uvarint(b[pos:])
		pos += n
		field := tag >> 3
		switch tag & 7 {
		case 0:
			_, n = binary.Uvarint(b[pos:])
			pos += n
		case 1:
			if depth == 3 && (field == 7 || field == 8) {
				q.times = append(q.times, base+pos)
			}
			pos += 8
		case 5:
			pos += 4
		default:
			length, n := binary.Uvarint(b[pos:])
			pos += n
			switch {
			case depth == 0 && field == 1, (depth == 1 || depth == 2) && field == 2:
				q.find(b[pos:pos+int(length)], base+pos, depth+1)
			case depth == 3 && (field == 1 || field == 2 || field == 4) && length > 0:
				q.ids = append(q.ids, base+pos)
			}
			pos += int(length)
		}
	}
}

// take gives the next request, as of now. It is the caller's until give.
func (w *workload) take() *request {
	q := <-w.ring
	for _, o := range q.ids {
		binary.LittleEndian.PutUint64(q.bytes[o:], binary.LittleEndian.Uint64(q.bytes[o:])+0x9e3779b97f4a7c15)
	}
	now := uint64(time.Now().UnixNano())
	for i, o := range q.times {
		binary.LittleEndian.PutUint64(q.bytes[o:], now-q.since[i])
	}
	return q
}

func (w *workload) give(q *request) { w.ring <- q }
