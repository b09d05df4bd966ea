package otlp

import (
	"foresail.dev"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
)

// DecodeJSON reads one OTLP JSON message, as a line of the file format is, in OpenTelemetry's own form. Unlike the
// library's decoder it refuses a message that nests deeper than a value may.
func DecodeJSON(b []byte) (ptrace.Traces, error) {
	if tooDeep(b) {
		return ptrace.Traces{}, errDepth
	}
	req := ptraceotlp.NewExportRequest()
	if err := req.UnmarshalJSON(b); err != nil {
		return ptrace.Traces{}, err
	}
	return req.Traces(), nil
}

// SpansOf are the spans of td, read by the same rules as those that are received. Malformed counts those left out because
// they lack an id or a time.
func SpansOf(td ptrace.Traces) (spans []foresail.Span, malformed int, err error) {
	b, err := ptraceotlp.NewExportRequestFromTraces(td).MarshalProto()
	if err != nil {
		return nil, 0, err
	}
	var s scanner
	batch, err := s.scan(b)
	if err != nil {
		return nil, 0, err
	}
	return batch.Spans(), batch.Malformed, nil
}
