package hpa

import (
	"testing"
	"time"

	"foresail.dev/plan/plantest"
)

func seconds(n int) time.Time { return plantest.Epoch.Add(time.Duration(n) * time.Second) }

func TestScaleUpIsLimitedToTheLargerOfFourAndDoubling(t *testing.T) {
	up := DefaultUp().Policies
	for _, c := range []struct{ current, want int }{{1, 5}, {3, 7}, {4, 8}, {5, 10}, {10, 20}} {
		if got := limitUp(up, nil, c.current, seconds(0)); got != c.want {
			t.Errorf("from %d at most %d, want %d", c.current, got, c.want)
		}
	}
}

func TestEventsOfThePeriodCountTowardsItsLimit(t *testing.T) {
	per := []Policy{{Replicas: 4, Period: time.Minute}}
	events := []sample{{seconds(0), 3}, {seconds(50), 2}, {seconds(55), -1}}
	// At 70 s the period began with 6 - 2 + 1 = 5 replicas: the first event is out of it.
	if got := limitUp(per, events, 6, seconds(70)); got != 9 {
		t.Errorf("at most %d, want 9", got)
	}
	if got := limitDown(per, events, 6, seconds(70)); got != 1 {
		t.Errorf("at least %d, want 1", got)
	}
	half := []Policy{{Share: 0.5, Period: time.Minute}}
	if got := limitDown(half, nil, 7, seconds(70)); got != 3 { // upstream cuts off
		t.Errorf("at least %d, want 3", got)
	}
	if got := limitUp(half, nil, 7, seconds(70)); got != 11 { // and rounds up
		t.Errorf("at most %d, want 11", got)
	}
}

// The example of upstream's documentation: 4 replicas or 10 % a minute, whichever is more, from 80 towards 10. The 10 % are
// rounded so that at least as many go; from 40 on it is 4 at a time.
func TestTheDocumentedScaleDown(t *testing.T) {
	m, err := New(plantest.App(1), Config{Down: &Behaviour{Policies: []Policy{{Replicas: 4, Period: time.Minute}, {Share: 0.1, Period: time.Minute}}}})
	if err != nil {
		t.Fatal(err)
	}
	mem, n := &memory{}, 80
	var got []int
	for i := range 16 { // a decision each 15 s: what went within the minute counts
		at := seconds(15 * i)
		mem.settle(n, at)
		b := m.behave(mem, n, 10, 1, 100, at)
		if b.replicas != n {
			mem.Asked, mem.AskedFrom, mem.AskedAt = b.replicas, n, at
			n = b.replicas
			got = append(got, n)
		}
	}
	want := []int{72, 64, 57, 51}
	for i := range want {
		if len(got) != len(want) || got[i] != want[i] {
			t.Fatalf("%v, want %v", got, want)
		}
	}
	if got := limitDown(m.c.Down.Policies, nil, 40, seconds(0)); got != 36 {
		t.Errorf("from 40 to %d, want 36", got)
	}
	if got := limitDown(m.c.Down.Policies, nil, 30, seconds(0)); got != 26 {
		t.Errorf("from 30 to %d, want 26", got)
	}
}

// Upstream's rule for both windows at once: between the lowest of the one and the highest of the other it stays.
func TestBothWindowsStabilise(t *testing.T) {
	m, err := New(plantest.App(1), Config{Up: &Behaviour{Stabilisation: time.Minute}, Down: &Behaviour{Stabilisation: 2 * time.Minute}})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ old, now, want int }{
		{4, 8, 5}, // up to 8 now, 4 before: neither up nor down from 5
		{8, 4, 5}, // down to 4 now, 8 before
		{7, 8, 7}, // both above: the lower
		{3, 2, 3}, // both below: the higher
	} {
		mem := &memory{Recommended: []sample{{seconds(0), c.old}}}
		if got := m.behave(mem, 5, c.now, 1, 20, seconds(30)).replicas; got != c.want {
			t.Errorf("%d before and %d now: from 5 to %d, want %d", c.old, c.now, got, c.want)
		}
	}
}

func TestWithoutPoliciesThereIsNoLimit(t *testing.T) {
	if limitDown(nil, nil, 9, seconds(0)) != 0 || limitUp(nil, nil, 9, seconds(0)) < 1<<30 {
		t.Error("limited")
	}
}

func TestScaleDownWaitsForTheHighestRecommendationOfFiveMinutes(t *testing.T) {
	m, _ := New(plantest.App(1), Config{})
	mem := &memory{Recommended: []sample{{seconds(0), 8}}}
	for at, want := range map[int]int{15: 8, 150: 8, 299: 8} {
		cp := *mem
		cp.Recommended = append([]sample(nil), mem.Recommended...)
		if got := m.behave(&cp, 8, 2, 1, 20, seconds(at)).replicas; got != want {
			t.Errorf("after %d s: %d replicas, want %d", at, got, want)
		}
	}
	if got := m.behave(mem, 8, 2, 1, 20, seconds(300)).replicas; got != 2 {
		t.Errorf("after 300 s: %d replicas, want 2", got)
	}
}

func TestAStabilisedScaleUpWaitsForTheLowestRecommendation(t *testing.T) {
	m, err := New(plantest.App(1), Config{Up: &Behaviour{Stabilisation: time.Minute}})
	if err != nil {
		t.Fatal(err)
	}
	mem := &memory{Recommended: []sample{{seconds(0), 3}}}
	if got := m.behave(mem, 3, 9, 1, 20, seconds(30)).replicas; got != 3 {
		t.Errorf("%d replicas, want 3", got)
	}
	if got := m.behave(mem, 3, 9, 1, 20, seconds(60)).replicas; got != 9 {
		t.Errorf("%d replicas, want 9", got)
	}
}

func TestBoundsLimitLast(t *testing.T) {
	m, _ := New(plantest.App(1), Config{})
	if got := m.behave(&memory{}, 5, 50, 1, 8, seconds(0)); got.replicas != 8 || got.bound != "max replicas" {
		t.Errorf("%+v", got)
	}
	if got := m.behave(&memory{}, 5, 50, 1, 20, seconds(0)); got.replicas != 10 || got.bound != "scale-up policy" {
		t.Errorf("%+v", got)
	}
	if got := m.behave(&memory{}, 5, 0, 2, 20, seconds(0)); got.replicas != 2 || got.bound != "min replicas" {
		t.Errorf("%+v", got)
	}
}

func TestOnlyWhatWasDoneBecomesAnEvent(t *testing.T) {
	mem := &memory{Asked: 5, AskedFrom: 2, AskedAt: seconds(0)}
	mem.settle(2, seconds(15)) // another manager ruled: nothing was done
	if len(mem.Events) != 0 {
		t.Errorf("%v", mem.Events)
	}
	mem.Asked, mem.AskedFrom, mem.AskedAt = 5, 2, seconds(15)
	mem.settle(5, seconds(30))
	if len(mem.Events) != 1 || mem.Events[0].N != 3 {
		t.Errorf("%v", mem.Events)
	}
}
