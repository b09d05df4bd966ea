package twin_test

import (
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/cluster/sim/twin"
)

// What a simulated platform was given comes out of a calibration run on it, but for what can't be told apart there: the
// simulator's callee is at work within its server span, so its CPU is found and its time is not taken off the way.
func TestCalibrationFindsOverheads(t *testing.T) {
	bp := application(
		one(work(foresail.Constant, 0.5*ms, 0), calls(call(1)), calls(call(2)), calls(call(3)), calls(call(1))),
		one(work(foresail.Constant, 0.01*ms, 0)),
		one(work(foresail.Constant, 6*ms, 0)),
		one(work(foresail.Constant, 1*ms, 0), calls(call(1))),
	)
	want := foresail.Overhead{Caller: 90 * time.Microsecond, Callee: 80 * time.Microsecond, Network: 150 * time.Microsecond,
		Stretch: 1.1, Late: 0.03, LateBy: 2 * time.Millisecond, Report: 700 * time.Microsecond, ReportEvery: 100 * time.Millisecond}
	bp.Overhead = want
	slow, fast := observe(t, bp, 5, time.Minute, 1), observe(t, bp, 60, time.Minute, 2)
	shift := slow.Snapshots[len(slow.Snapshots)-1].End.Sub(fast.Snapshots[0].Start)
	for _, s := range fast.Snapshots {
		s.Start, s.End = s.Start.Add(shift), s.End.Add(shift)
	}
	for i := range fast.Spans {
		s := &fast.Spans[i]
		s.Start, s.End, s.Trace[0] = s.Start.Add(shift), s.End.Add(shift), s.Trace[0]^0xff
	}
	slow.Snapshots, slow.Spans = append(slow.Snapshots, fast.Snapshots...), append(slow.Spans, fast.Spans...)
	got, err := twin.Calibrate(slow, bp)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "caller", got.Caller.Seconds(), want.Caller.Seconds(), 0.1)
	near(t, "callee", got.Callee.Seconds(), want.Callee.Seconds(), 0.1)
	near(t, "stretch", got.Stretch, want.Stretch, 0.01)
	near(t, "report", got.Report.Seconds(), want.Report.Seconds(), 0.1)
	near(t, "late messages", got.Late, want.Late, 0.15)
	near(t, "by how much", got.LateBy.Seconds(), want.LateBy.Seconds(), 0.15)
	near(t, "network", got.Network.Seconds(), want.Network.Seconds()-want.Callee.Seconds()/2, 0.1)
}
