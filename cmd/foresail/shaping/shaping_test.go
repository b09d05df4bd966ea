package shaping_test

import (
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/cmd/foresail/shaping"
	"foresail.dev/telemetry"
)

var (
	app = &foresail.App{Services: []foresail.Service{{Name: "front"}}, Endpoints: []foresail.Endpoint{{Name: "home", Operation: "get"}}}
	at  = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
)

// next takes what comes through, and makes snapshots of a second.
type next struct{ batches, reports int }

func (n *next) AddBatch(time.Time, *telemetry.Batch) telemetry.Result {
	n.batches++
	return telemetry.Result{}
}

func (n *next) AddReports(time.Time, []telemetry.Report) telemetry.Result {
	n.reports++
	return telemetry.Result{}
}

func (n *next) Cut(end time.Time) *foresail.Snapshot {
	return &foresail.Snapshot{Start: end.Add(-time.Second), End: end, Has: foresail.SignalEdges}
}

// Spans on their way to who makes snapshots of them are seen by the tap, whose shapes are then in the snapshots; what else comes goes
// through.
func TestTap(t *testing.T) {
	n := &next{}
	tap := shaping.Default.New(app, foresail.Needs{Optional: foresail.SignalShapes}, "users")
	sink, observer := tap.Sink(n), tap.Observer(n)
	trace := foresail.TraceID{15: 1}
	batch := &telemetry.Batch{Senders: []telemetry.Sender{
		{Service: "users", Spans: []telemetry.Record{{Trace: trace, ID: foresail.SpanID{1}, Name: "home", Kind: foresail.KindClient, Start: at.UnixNano(), End: at.UnixNano() + 3e6}}},
		{Service: "front", Spans: []telemetry.Record{{Trace: trace, ID: foresail.SpanID{2}, Parent: foresail.SpanID{1}, Name: "get", Kind: foresail.KindServer, Start: at.UnixNano() + 1e6, End: at.UnixNano() + 2e6},
			{Trace: trace, Name: "malformed"}}},
	}}
	sink.AddBatch(at, batch)
	sink.AddReports(at, nil)
	if n.batches != 1 || n.reports != 1 {
		t.Errorf("%+v came through", n)
	}
	if s := observer.Cut(at.Add(time.Second)); s.Has != foresail.SignalEdges|foresail.SignalShapes || len(s.Shapes) != 0 {
		t.Errorf("%v, %d shapes before the trace is complete", s.Has, len(s.Shapes))
	}
	s := observer.Cut(at.Add(6 * time.Second))
	if len(s.Shapes) != 1 || s.Shapes[0].Requests != 1 || s.Shapes[0].Form.Visits[0].Operation != "get" {
		t.Errorf("%+v", s.Shapes)
	}
	if got := tap.Stats(); got == nil || got.Complete != 1 || got.Spans != 2 {
		t.Errorf("%+v", got)
	}
}

// Where nobody needs shapes there is no tap, and everything is as without; a file may ask for them in any case.
func TestNoTap(t *testing.T) {
	n := &next{}
	tap := shaping.Default.New(app, foresail.Needs{Required: foresail.SignalCPU}, "")
	if tap != nil || tap.Stats() != nil || tap.Sink(n) != n || tap.Observer(n) != n || tap.Unavailable("why") != "" {
		t.Errorf("a tap that nobody needs: %+v", tap)
	}
	always := shaping.Default
	always.Always = true
	if always.New(app, foresail.Needs{}, "") == nil {
		t.Error("no tap, though the file asks for one")
	}
}
