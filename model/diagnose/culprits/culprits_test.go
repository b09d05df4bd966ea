package culprits_test

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"foresail.dev/model/diagnose/culprits"
	"foresail.dev/model/diagnose/rank"
)

func ExampleScore() {
	s := culprits.Score{Places: []int{1, 2, 4, 0}} // the last is nowhere
	fmt.Println(s.Top(1), s.Top(3), s.Average(5))
	// Output: 0.25 0.5 0.55
}

func TestEvaluate(t *testing.T) {
	series := func(now float64) rank.Series {
		return rank.Series{Normal: []float64{1, 1, 1}, Issue: []float64{now}}
	}
	in := rank.Input{Front: -1, Services: []rank.Service{{Name: "a", Latency: series(2)}, {Name: "b", Latency: series(3)}, {Name: "c", Latency: series(1)}}}
	m, _ := rank.ByName("latency")
	now := time.Duration(0)
	clock := func() time.Duration { now += time.Millisecond; return now }
	s, err := culprits.Evaluate(m, []culprits.Case{{Name: "1", Input: in, Culprit: "b"}, {Name: "2", Input: in, Culprit: "c"}, {Name: "3", Input: in, Culprit: "who"}}, clock)
	if err != nil || fmt.Sprint(s.Places) != "[1 3 0]" || s.Took != 3*time.Millisecond || len(s.Lists) != 3 || s.Lists[0][0].Name != "b" {
		t.Errorf("%v, %+v", err, s)
	}
	if got, want := s.Average(5), (1.0/3+1.0/3+2.0/3+2.0/3+2.0/3)/5; math.Abs(got-want) > 1e-12 {
		t.Errorf("average at 5: %g, want %g", got, want)
	}
	in.Services[1].Name = "a"
	if _, err := culprits.Evaluate(m, []culprits.Case{{Name: "twice", Input: in}}, clock); err == nil || !strings.Contains(err.Error(), "case twice: ") {
		t.Errorf("%v", err)
	}
}
