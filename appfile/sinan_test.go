package appfile

import (
	"testing"
	"time"

	"foresail.dev/load"
)

// Bursts, noise and a mix that comes round reach the load as the file says.
func TestRandomLoadsAsWritten(t *testing.T) {
	l, err := parseLoad(t, `load: x
curve: [bursts: {base: 10, peak: 90, every: 1m, width: 5s, seed: 9, for: 1h}]
noise: {cv: 0.2, step: 5s, seed: 3}
mix:
  - {at: 0s, shares: {search: 1}}
  - {at: 10m, shares: {user: 1}}
drift: true
cycle: 20m
`, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := load.Segment{Shape: load.Bursts, From: 10, To: 90, Every: time.Minute, Width: 5 * time.Second, Seed: 9, For: time.Hour}
	if got := l.Curve[0]; got.Shape != want.Shape || got.From != want.From || got.To != want.To || got.Every != want.Every ||
		got.Width != want.Width || got.Seed != want.Seed || got.For != want.For {
		t.Errorf("got %+v", got)
	}
	if l.Noise != (load.Noise{CV: 0.2, Step: 5 * time.Second, Seed: 3}) || l.Cycle != 20*time.Minute {
		t.Errorf("got %+v and a cycle of %s", l.Noise, l.Cycle)
	}
}

// Sinan's data collection: 4, 6, ... 48 users, each for twenty minutes.
func TestSinansUsers(t *testing.T) {
	l, err := parseLoad(t, `load: sinan-w0
mode: closed
think: 100ms
curve: [steps: {from: 4, to: 48, by: 2, each: 20m}]
`, nil)
	if err != nil {
		t.Fatal(err)
	}
	if d, ok := l.Length(); d != 23*20*time.Minute || !ok {
		t.Errorf("lasts %s", d)
	}
	sum := 0.0
	for i := range 23 {
		users := l.Level(time.Duration(i)*20*time.Minute + 10*time.Minute)
		if users != float64(4+2*i) {
			t.Errorf("%g users in run %d", users, i)
		}
		sum += users
	}
	if sum/23 != 26 {
		t.Errorf("%g users on average", sum/23)
	}
}
