package exemplar

import (
	"bytes"
	"cmp"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/collector/pdata/ptrace"

	"foresail.dev"
	"foresail.dev/telemetry/otlp"
)

// Kept says why a trace was kept; both may be true.
type Kept uint8

// The reasons.
const (
	Slowest Kept = 1 << iota
	Random
)

// String reads like "slowest,random"; empty for none.
func (k Kept) String() string {
	var names []string
	if k&Slowest != 0 {
		names = append(names, "slowest")
	}
	if k&Random != 0 {
		names = append(names, "random")
	}
	return strings.Join(names, ",")
}

func keptOf(s string) (k Kept) {
	for name := range strings.SplitSeq(s, ",") {
		switch name {
		case "slowest":
			k |= Slowest
		case "random":
			k |= Random
		}
	}
	return k
}

// Trace is one request with all its spans.
//
// Invariants: there is at least one span; all are of the same trace; Spans[0] is the root, and the others follow by start.
type Trace struct {
	Kept  Kept
	Spans []foresail.Span
}

// NewTrace makes a trace of spans, which it reorders and owns. The root is the earliest span without a parent, or else the
// earliest whose parent is not there. It is false for no spans.
func NewTrace(spans []foresail.Span) (Trace, bool) {
	if len(spans) == 0 {
		return Trace{}, false
	}
	slices.SortStableFunc(spans, func(a, b foresail.Span) int {
		return cmp.Or(a.Start.Compare(b.Start), b.End.Compare(a.End), bytes.Compare(a.ID[:], b.ID[:]))
	})
	known := make(map[foresail.SpanID]bool, len(spans))
	for i := range spans {
		known[spans[i].ID] = true
	}
	root := slices.IndexFunc(spans, func(s foresail.Span) bool { return s.Parent == foresail.SpanID{} })
	if root < 0 {
		root = max(slices.IndexFunc(spans, func(s foresail.Span) bool { return !known[s.Parent] }), 0)
	}
	first := spans[root]
	copy(spans[1:root+1], spans[:root])
	spans[0] = first
	return Trace{Spans: spans}, true
}

// ID is the trace's id.
func (t *Trace) ID() foresail.TraceID { return t.Spans[0].Trace }

// Root is the span of the whole request.
func (t *Trace) Root() *foresail.Span { return &t.Spans[0] }

// Duration is the whole request's.
func (t *Trace) Duration() time.Duration { return t.Root().End.Sub(t.Root().Start) }

// Minute is the minute the trace belongs to: the one in which its root ended.
func (t *Trace) Minute() time.Time { return t.Root().End.UTC().Truncate(time.Minute) }

// Failed tells whether the request failed.
func (t *Trace) Failed() bool { return t.Root().Failed }

// ParseID reads a trace id: hexadecimal, zeros in front left out.
func ParseID(s string) (id foresail.TraceID, err error) {
	if s == "" || len(s) > 2*len(id) {
		return id, fmt.Errorf("%.40q is not a trace id: give up to %d hexadecimal digits", s, 2*len(id))
	}
	if _, err := hex.Decode(id[:], []byte(strings.Repeat("0", 2*len(id)-len(s))+s)); err != nil {
		return id, fmt.Errorf("%q is not a trace id: it is not hexadecimal", s)
	}
	return id, nil
}

// Names in the files.
const (
	scopeName = "foresail.dev/exemplar"
	keptKey   = "foresail.kept"
	appKey    = "foresail.application"
)

// encode writes a trace as one line, with its end.
func encode(app string, t *Trace) ([]byte, error) {
	td := otlp.Traces(t.Spans)
	for _, rs := range td.ResourceSpans().All() {
		for _, ss := range rs.ScopeSpans().All() {
			ss.Scope().SetName(scopeName)
			ss.Scope().Attributes().PutStr(keptKey, t.Kept.String())
			ss.Scope().Attributes().PutStr(appKey, app)
		}
	}
	var m ptrace.JSONMarshaler
	b, err := m.MarshalTraces(td)
	return append(b, '\n'), err
}

var errNoSpans = errors.New("no spans")

// decode reads one line.
func decode(line []byte) (Stored, error) {
	td, err := otlp.DecodeJSON(line)
	if err != nil {
		return Stored{}, err
	}
	spans, _, err := otlp.SpansOf(td)
	if err != nil {
		return Stored{}, err
	}
	t, ok := NewTrace(spans)
	if !ok {
		return Stored{}, errNoSpans
	}
	out := Stored{Trace: t}
	for _, rs := range td.ResourceSpans().All() {
		for _, ss := range rs.ScopeSpans().All() {
			if v, ok := ss.Scope().Attributes().Get(keptKey); ok && out.Kept == 0 {
				out.Kept = keptOf(v.AsString())
			}
			if v, ok := ss.Scope().Attributes().Get(appKey); ok && out.Application == "" {
				out.Application = v.AsString()
			}
		}
	}
	return out, nil
}
