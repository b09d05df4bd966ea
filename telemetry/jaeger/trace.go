package jaeger

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"foresail.dev"
	"foresail.dev/telemetry/source"
)

// trace is one element of data; what is not named here is not read.
type trace struct {
	TraceID   string             `json:"traceID"`
	Spans     []span             `json:"spans"`
	Processes map[string]process `json:"processes"`
}

type span struct {
	TraceID       string      `json:"traceID"`
	SpanID        string      `json:"spanID"`
	ParentSpanID  string      `json:"parentSpanID"` // older exports
	OperationName string      `json:"operationName"`
	References    []reference `json:"references"`
	StartTime     *int64      `json:"startTime"` // µs since 1970
	Duration      *int64      `json:"duration"`  // µs
	Tags          []tag       `json:"tags"`
	ProcessID     string      `json:"processID"`
	Process       *process    `json:"process"` // some exports have it here too, or only here
}

type reference struct {
	RefType string `json:"refType"`
	TraceID string `json:"traceID"`
	SpanID  string `json:"spanID"`
}

type process struct {
	ServiceName string `json:"serviceName"`
	Tags        []tag  `json:"tags"`
}

type tag struct {
	Key   string          `json:"key"`
	Value json.RawMessage `json:"value"`
}

// text is the tag's value when it is a string or a truth value.
func (t *tag) text() string {
	var s string
	if json.Unmarshal(t.Value, &s) == nil {
		return s
	}
	return string(t.Value)
}

func find(tags []tag, key string) string {
	for i := range tags {
		if tags[i].Key == key {
			return tags[i].text()
		}
	}
	return ""
}

// fault is an error at a path within a trace.
type fault struct {
	path string
	err  error
}

func (f *fault) Error() string { return f.path + ": " + f.err.Error() }

// spans converts a trace and counts the kinds that were inferred.
func (t *trace) spans() (out []foresail.Span, inferred int, err error) {
	if len(t.Spans) > maxTraceSpans {
		return nil, 0, &fault{".spans", fmt.Errorf("%d spans are more than the %d that one trace may have", len(t.Spans), maxTraceSpans)}
	}
	out = make([]foresail.Span, len(t.Spans))
	for i := range t.Spans {
		if f := t.convert(&t.Spans[i], &out[i]); f != nil {
			f.path = fmt.Sprintf(".spans[%d]%s", i, f.path)
			return nil, 0, f
		}
	}
	return out, source.InferKinds(out), nil
}

// latest bounds start and duration: 2200, in µs, so that nanoseconds fit.
const latest = 7_258_118_400_000_000

func (t *trace) convert(s *span, out *foresail.Span) *fault {
	id := s.TraceID
	if id == "" {
		id = t.TraceID
	}
	if err := source.Hex(out.Trace[:], id); err != nil {
		return &fault{".traceID", err}
	}
	if err := source.Hex(out.ID[:], s.SpanID); err != nil {
		return &fault{".spanID", err}
	}
	if parent := s.parent(id); parent != "" {
		if err := source.Hex(out.Parent[:], parent); err != nil {
			return &fault{".references", err}
		}
	}
	switch {
	case s.StartTime == nil:
		return &fault{".startTime", errors.New("it is missing")}
	case *s.StartTime <= 0 || *s.StartTime > latest:
		return &fault{".startTime", fmt.Errorf("%d is not in microseconds since 1970", *s.StartTime)}
	case s.Duration == nil:
		return &fault{".duration", errors.New("it is missing")}
	case *s.Duration < 0 || *s.Duration > latest-*s.StartTime:
		return &fault{".duration", fmt.Errorf("%d is not a duration in microseconds", *s.Duration)}
	}
	p, ok := t.Processes[s.ProcessID]
	if !ok && s.Process != nil {
		p, ok = *s.Process, true
	}
	if !ok {
		return &fault{".processID", fmt.Errorf("%q is not among the trace's processes", s.ProcessID)}
	}
	if p.ServiceName == "" {
		return &fault{".processID", fmt.Errorf("process %q has no serviceName", s.ProcessID)}
	}
	out.Start = time.UnixMicro(*s.StartTime).UTC()
	out.End = time.UnixMicro(*s.StartTime + *s.Duration).UTC()
	out.Service, out.Replica, out.Operation = p.ServiceName, p.replica(), s.OperationName
	out.Kind = kindOf(find(s.Tags, "span.kind"))
	out.Failed = find(s.Tags, "error") == "true" || find(s.Tags, "otel.status_code") == "ERROR"
	return nil
}

// parent is the span that this one is the child of; or else, in the same trace, follows from.
func (s *span) parent(trace string) string {
	follows := s.ParentSpanID
	for _, r := range s.References {
		switch {
		case r.TraceID != "" && r.TraceID != trace:
		case r.RefType == "CHILD_OF":
			return r.SpanID
		case follows == "":
			follows = r.SpanID
		}
	}
	return follows
}

func (p *process) replica() string {
	for _, key := range []string{"service.instance.id", "k8s.pod.name", "host.name", "hostname"} {
		if v := find(p.Tags, key); v != "" {
			return v
		}
	}
	return ""
}

func kindOf(s string) foresail.SpanKind {
	switch strings.ToLower(s) {
	case "server":
		return foresail.KindServer
	case "client":
		return foresail.KindClient
	case "producer":
		return foresail.KindProducer
	case "consumer":
		return foresail.KindConsumer
	case "internal":
		return foresail.KindInternal
	}
	return foresail.KindUnspecified
}
