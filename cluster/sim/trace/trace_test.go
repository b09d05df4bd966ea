package trace_test

import (
	"testing"

	"foresail.dev"
	"foresail.dev/cluster/sim/trace"
)

// The spans of a trace come together when the last reference has gone, in the order in which they were added, each with the
// trace's number, its own, its parent's, and the weight of the share.
func TestATraceComesWhenAllIsOver(t *testing.T) {
	var got [][]foresail.Span
	traces := trace.New(1, 0.25, func(s []foresail.Span) { got = append(got, s) })
	a, b, empty := traces.Begin(), traces.Begin(), traces.Begin()
	root, child := traces.NextSpan(), traces.NextSpan()
	traces.Ref(a)
	traces.Add(a, child, root, foresail.Span{Service: "child"})
	traces.Unref(a)
	traces.Add(b, traces.NextSpan(), 0, foresail.Span{Service: "other"})
	if len(got) != 0 || traces.Open() != 3 {
		t.Fatalf("%d traces came early, %d are open", len(got), traces.Open())
	}
	traces.Add(a, root, 0, foresail.Span{Service: "root"})
	traces.Unref(a)
	traces.Unref(b)
	traces.Unref(empty) // of which there is nothing to tell
	if len(got) != 2 || len(got[0]) != 2 || len(got[1]) != 1 || traces.Open() != 0 {
		t.Fatalf("%v; %d are open", got, traces.Open())
	}
	first, last := got[0][0], got[0][1]
	if first.Service != "child" || last.Service != "root" || first.Parent != last.ID || last.Parent != (foresail.SpanID{}) {
		t.Errorf("%+v", got[0])
	}
	if first.Trace != last.Trace || first.Trace == got[1][0].Trace || first.Weight != 4 {
		t.Errorf("%+v and %+v", got[0], got[1])
	}
}
