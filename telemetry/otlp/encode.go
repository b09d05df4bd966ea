package otlp

import (
	"fmt"
	"io"
	"math"

	"foresail.dev"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
)

// Encode writes spans as an OTLP protobuf request, as a client would send it: one resource for each sender.
func Encode(spans []foresail.Span) []byte {
	b, err := ptraceotlp.NewExportRequestFromTraces(Traces(spans)).MarshalProto()
	if err != nil {
		panic(err) // pdata marshals into memory and gives no error
	}
	return b
}

// EncodeJSON writes spans as an OTLP JSON request.
func EncodeJSON(spans []foresail.Span) ([]byte, error) {
	return ptraceotlp.NewExportRequestFromTraces(Traces(spans)).MarshalJSON()
}

// WriteJSONLines writes spans as one line of the OTLP JSON file format: what the OpenTelemetry Collector's file
// exporter writes and its receivers read. Call it once for each group of spans that belong together.
func WriteJSONLines(w io.Writer, spans []foresail.Span) error {
	if len(spans) == 0 {
		return nil
	}
	b, err := EncodeJSON(spans)
	if err == nil {
		_, err = w.Write(append(b, '\n'))
	}
	if err != nil {
		return fmt.Errorf("write spans: %w", err)
	}
	return nil
}

// Traces are spans in OpenTelemetry's own form: one resource, with one scope, for each sender.
func Traces(spans []foresail.Span) ptrace.Traces {
	type sender struct{ service, replica string }
	td := ptrace.NewTraces()
	scopes := map[sender]ptrace.ScopeSpans{}
	for i := range spans {
		s := &spans[i]
		from := sender{s.Service, s.Replica}
		scope, ok := scopes[from]
		if !ok {
			rs := td.ResourceSpans().AppendEmpty()
			rs.Resource().Attributes().PutStr("service.name", s.Service)
			if s.Replica != "" {
				rs.Resource().Attributes().PutStr("service.instance.id", s.Replica)
			}
			scope = rs.ScopeSpans().AppendEmpty()
			scopes[from] = scope
		}
		encodeSpan(scope.Spans().AppendEmpty(), s)
	}
	return td
}

func encodeSpan(dst ptrace.Span, s *foresail.Span) {
	dst.SetTraceID(pcommon.TraceID(s.Trace))
	dst.SetSpanID(pcommon.SpanID(s.ID))
	dst.SetParentSpanID(pcommon.SpanID(s.Parent))
	dst.SetName(s.Operation)
	dst.SetKind(ptrace.SpanKind(s.Kind))
	if !s.Start.IsZero() {
		dst.SetStartTimestamp(pcommon.NewTimestampFromTime(s.Start))
	}
	if !s.End.IsZero() {
		dst.SetEndTimestamp(pcommon.NewTimestampFromTime(s.End))
	}
	if s.Failed {
		dst.Status().SetCode(ptrace.StatusCodeError)
	}
	dst.TraceState().FromRaw(traceState(s.Weight))
}

// traceState writes a weight as consistent probability sampling does; see weight. It is exact to 2⁻⁵⁶ of probability.
func traceState(weight float64) string {
	if !(weight > 1) {
		return ""
	}
	threshold := min(uint64(math.Round((1-1/weight)*(1<<56))), 1<<56-1)
	digits := fmt.Sprintf("%014x", threshold)
	for len(digits) > 1 && digits[len(digits)-1] == '0' {
		digits = digits[:len(digits)-1]
	}
	return "ot=th:" + digits
}
