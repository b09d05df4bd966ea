package load_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"foresail.dev/load"
)

func ExampleLoad_Surges() {
	l := load.Load{Curve: []load.Segment{
		{Shape: load.Spike, From: 10, To: 90, At: 20 * time.Second, Width: 5 * time.Second, For: time.Minute},
		{Shape: load.Flash, From: 10, To: 90, At: time.Second, Rise: time.Second, Hold: 2 * time.Second, Decay: 3 * time.Second},
	}}
	for _, s := range l.Surges() {
		fmt.Println(s.Start, s.End)
	}
	// Output:
	// 20s 25s
	// 1m1s 1m7s
}

// What does not rise is no surge, nor what the curve never comes to; one that is cut short ends with its segment.
func TestSurges(t *testing.T) {
	sec := time.Second
	spike := load.Segment{Shape: load.Spike, From: 1, To: 2, At: 10 * sec, Width: 5 * sec, For: 20 * sec}
	with := func(change func(*load.Segment)) load.Segment { s := spike; change(&s); return s }
	for name, c := range map[string]struct {
		curve []load.Segment
		want  []load.Surge
	}{
		"none":                  {[]load.Segment{{From: 3}}, nil},
		"a dip":                 {[]load.Segment{with(func(s *load.Segment) { s.To = 0 })}, nil},
		"after its segment":     {[]load.Segment{with(func(s *load.Segment) { s.At = 20 * sec })}, nil},
		"cut short":             {[]load.Segment{with(func(s *load.Segment) { s.Width = time.Hour })}, []load.Surge{{10 * sec, 20 * sec}}},
		"after what has no end": {[]load.Segment{{From: 3}, spike}, nil},
		"twice":                 {[]load.Segment{spike, spike}, []load.Surge{{10 * sec, 15 * sec}, {30 * sec, 35 * sec}}},
	} {
		l := &load.Load{Curve: c.curve}
		if got := l.Surges(); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}
