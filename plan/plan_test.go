package plan_test

import (
	"fmt"
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/plan"
	"foresail.dev/plan/plantest"
	"pgregory.net/rapid"
)

func part(from, d time.Duration, has foresail.Signals, cpu float64) *foresail.Snapshot {
	start := plantest.Epoch.Add(from)
	return &foresail.Snapshot{Start: start, End: start.Add(d),
		Services: []foresail.ServiceStats{{Usage: foresail.Usage{Has: has, CPU: cpu}}}}
}

func TestWantedIsWhatWasLastAskedFor(t *testing.T) {
	svc := &foresail.Service{Initial: foresail.Allocation{Replicas: 1}}
	two, three := foresail.Allocation{Replicas: 2}, foresail.Allocation{Replicas: 3}
	observed := foresail.Usage{Has: foresail.SignalAllocation}
	for _, c := range []struct {
		st    *foresail.ServiceStats
		want  int
		known bool
	}{
		{nil, 1, false},
		{&foresail.ServiceStats{Allocation: two}, 1, false},
		{&foresail.ServiceStats{Usage: observed, Allocation: two}, 2, true},
		{&foresail.ServiceStats{Usage: observed, Allocation: two, Pending: &three}, 3, true},
	} {
		if a, known := plan.Wanted(svc, c.st); a.Replicas != c.want || known != c.known {
			t.Errorf("%+v: %v %v", c.st, a, known)
		}
	}
}

func TestTailEndsWhereTimeJumps(t *testing.T) {
	s := time.Second
	parts := []*foresail.Snapshot{
		part(time.Hour, s, 0, 0), // before the clock was put back
		part(0, s, 0, 0), part(s, s, 0, 0), part(2*s, s, 0, 0), part(3*s, s, 0, 0),
	}
	for d, want := range map[time.Duration]int{0: 1, s: 1, 1500 * time.Millisecond: 1, 2 * s: 2, 4 * s: 4, 5 * time.Hour: 4} {
		if got := len(plan.Tail(parts, d)); got != want {
			t.Errorf("the last %v are %d snapshots, want %d", d, got, want)
		}
	}
	if plan.Tail(nil, s) != nil {
		t.Error("nothing has a tail")
	}
}

func TestCoresAreOverWhatWasObserved(t *testing.T) {
	s := time.Second
	parts := []*foresail.Snapshot{part(0, s, foresail.SignalCPU, 2), part(s, 8*s, 0, 0), part(9*s, s, foresail.SignalCPU, 1)}
	if cores, d := plan.Cores(parts, 0); cores != 1.5 || d != 2*s {
		t.Errorf("%v cores over %v", cores, d)
	}
	if cores, d := plan.Cores(parts, 7); cores != 0 || d != 0 {
		t.Errorf("of a service that is not there: %v over %v", cores, d)
	}
	if st := plan.Latest(parts[:2], 0, foresail.SignalCPU); st == nil || st.CPU != 2 {
		t.Errorf("the latest is %+v", st)
	}
}

func TestADraftKeepsToTheBounds(t *testing.T) {
	app := plantest.App(3)
	h := foresail.NewHistory(app, foresail.Needs{})
	d := plan.NewDraft(h, "m")
	if d.Plan() != nil {
		t.Error("an empty draft is a plan")
	}
	one := foresail.Allocation{Replicas: 1, CPU: 1, Memory: 77}
	d.Set(0, &app.Services[0], one, foresail.Allocation{Replicas: 99, CPU: 1}, foresail.Reason{Bound: "policy"})
	d.Set(1, &app.Services[1], one, foresail.Allocation{Replicas: 1, CPU: 1}, foresail.Reason{})
	d.Note("a")
	d.Note("b")
	p := d.Plan()
	if len(p.Changes) != 1 || p.Changes[0].To.Replicas != 20 || p.Changes[0].To.Memory != 77 ||
		p.Changes[0].Reason.Bound != "policy, max replicas" || p.Note != "a; b" || p.Manager != "m" {
		t.Errorf("%+v", p)
	}
}

func TestATimerKeepsItsBeat(t *testing.T) {
	var timer plan.Timer
	var due []int
	for _, s := range []int{0, 5, 9, 10, 11, 25, 29, 30, 3, 4, 13} { // a late one at 25, and the clock put back after 30
		if timer.Due(plantest.Epoch.Add(time.Duration(s)*time.Second), 10*time.Second) {
			due = append(due, s)
		}
	}
	if fmt.Sprint(due) != "[0 10 25 30 3 13]" {
		t.Errorf("due at %v", due)
	}
}

func TestRoundingToThousandths(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x := rapid.Float64Range(0, 100).Draw(t, "cores")
		lo, hi := plan.Milli(x), plan.MilliUp(x)
		if lo > x+1e-8 || hi < x-1e-8 || hi-lo > 0.001+1e-9 || plan.Milli(lo) != lo || plan.MilliUp(hi) != hi {
			t.Fatalf("%v is between %v and %v", x, lo, hi)
		}
	})
}
