package tracing_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/cmd/foresail/tracing"
	"foresail.dev/telemetry/store/exemplar"
)

func span(id, parent byte, service, operation string, from, to time.Duration) foresail.Span {
	at := time.Date(2026, 11, 27, 21, 0, 0, 0, time.UTC)
	return foresail.Span{Trace: foresail.TraceID{15: 10}, ID: foresail.SpanID{7: id}, Parent: foresail.SpanID{7: parent}, Service: service, Operation: operation, Start: at.Add(from), End: at.Add(to)}
}

func ExamplePrintTree() {
	t, _ := exemplar.NewTrace([]foresail.Span{
		span(1, 0, "front", "GET /", 0, 20*time.Millisecond),
		span(2, 1, "cart", "get", 5*time.Millisecond, 10*time.Millisecond),
		span(3, 2, "redis", "\x1b[31mget", 6*time.Millisecond, 7*time.Millisecond),
		span(9, 8, "lost", "its parent is not there", 12*time.Millisecond, 14*time.Millisecond),
	})
	t.Kept = exemplar.Slowest
	tracing.PrintTree(os.Stdout, &exemplar.Stored{Application: "shop", Trace: t})
	// Output:
	// 0000000000000000000000000000000a  shop  2026-11-27T21:00:00Z  20.000 ms, 4 spans, kept as slowest
	//      0.000     20.000  |========================|  front  GET /
	//      5.000      5.000  |      ======            |    cart  get
	//      6.000      1.000  |       =                |      redis  �[31mget
	//     12.000      2.000  |              ==        |  lost  its parent is not there
}

// Spans that are each other's parents are printed too, each once.
func TestCircle(t *testing.T) {
	tr, _ := exemplar.NewTrace([]foresail.Span{span(1, 0, "a", "", 0, 0), span(2, 3, "b", "", 0, 0), span(3, 2, "c", "", 0, 0), span(4, 4, "d", "", 0, 0)})
	var out strings.Builder
	if err := tracing.PrintTree(&out, &exemplar.Stored{Trace: tr}); err != nil || strings.Count(out.String(), "\n") != 5 {
		t.Errorf("%v\n%s", err, out.String())
	}
}

// A simulation's traces are kept by its own time.
func TestSimulatedTime(t *testing.T) {
	c := tracing.Default
	c.Dir = t.TempDir()
	start := time.Date(2026, 11, 27, 21, 0, 0, 0, time.UTC)
	r, err := c.Start("shop", 1, start, os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	r.Spans()([]foresail.Span{span(1, 0, "front", "GET /", 0, 20*time.Millisecond)})
	r.Events().Observed(nil, &foresail.Snapshot{End: start.Add(time.Minute)})
	if err := r.Close(os.Stderr); err != nil {
		t.Fatal(err)
	}
	n := 0
	for range exemplar.Read(c.Dir, exemplar.Query{Application: "shop"}, nil) {
		n++
	}
	if n != 1 {
		t.Errorf("%d traces", n)
	}
	var none *tracing.Recording
	if none.Spans() != nil || none.Close(os.Stderr) != nil || none.Events().Observed != nil {
		t.Error("nothing records nevertheless")
	}
}
