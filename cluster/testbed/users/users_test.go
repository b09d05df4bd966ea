package users

import (
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/cluster/testbed/rpc"
)

// A failed request counts as late; an answered one when it took longer than its objective, if there is one.
func TestFigures(t *testing.T) {
	f := newFigures(&foresail.App{Endpoints: []foresail.Endpoint{
		{Name: "with", Objective: &foresail.Objective{Percentile: 99, Latency: 100 * time.Millisecond}}, {Name: "without"},
	}})
	for e := range foresail.EndpointID(2) {
		for range 5 {
			f.sent(e)
		}
		f.ended(e, 100*time.Millisecond, nil)
		f.ended(e, 101*time.Millisecond, nil)
		f.ended(e, time.Millisecond, rpc.ErrRefused)
		f.ended(e, 0, errOutstanding)
	}
	got := f.copy(time.Minute, true)
	f.ended(0, time.Second, nil) // does not change the copy
	for i, late := range []int64{3, 2} {
		e := got.Endpoints[i]
		if e.Sent != 5 || e.Ended != 4 || e.Errors != 2 || e.Refused != 1 || e.Late != late || e.Latency.Count() != 2 {
			t.Errorf("endpoint %d: %+v", i, e)
		}
	}
	if !got.Final || got.At != time.Minute {
		t.Errorf("%v, final: %v", got.At, got.Final)
	}
}
