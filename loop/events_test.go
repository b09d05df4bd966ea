package loop_test

import (
	"testing"

	"foresail.dev"
	"foresail.dev/loop"
)

func TestChangedIsWhatWasAppliedAndDiffers(t *testing.T) {
	one, two := foresail.Allocation{Replicas: 1, CPU: 1}, foresail.Allocation{Replicas: 2, CPU: 1}
	p := &foresail.Plan{Changes: []foresail.Change{{Service: 0, To: one}, {Service: 1, To: two}, {Service: 2, To: two}, {Service: 3, To: two}}}
	d := loop.Decision{Plan: p, Applied: true, Before: []foresail.Allocation{one, one, one},
		Err: &foresail.ApplyError{Failed: map[foresail.ServiceID]error{2: foresail.ErrStale}}}
	got := d.Changed() // 0 has it already, 2 was refused, and of 3 nothing is known
	if len(got) != 2 || got[0].Service != 1 || got[1].Service != 3 {
		t.Errorf("%+v", got)
	}
	for _, d := range []loop.Decision{{Plan: p}, {Applied: true}} {
		if got := d.Changed(); got != nil {
			t.Errorf("%+v of %+v", got, d)
		}
	}
}
