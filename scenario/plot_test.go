package scenario_test

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"foresail.dev/scenario"
	"pgregory.net/rapid"
)

func ExamplePlot() {
	var load []float64
	for i := range 60 {
		load = append(load, 50*(1-math.Cos(float64(i)/60*2*math.Pi)))
	}
	a := scenario.Axis{To: time.Minute, Width: 30, Height: 5, Show: func(v float64) string { return fmt.Sprintf("%.0f/s", v) }}
	for _, line := range scenario.Plot("rate", load, a) {
		fmt.Println(line)
	}
	// Output:
	// rate, up to 100/s
	// 100/s |            *******
	//       |         ***       ***
	//       |      ***             **
	//       |   ***                  ***
	//   0/s |***                        ***
	//       +------------------------------
	//        0s                          1m
}

// Whatever the values, a plot has its size, a mark at most in each column, and one on top where anything is above 0.
func TestPlotHoldsItsSize(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOf(rapid.OneOf(rapid.Float64Range(-10, 1e6), rapid.Just(math.NaN()), rapid.Just(0.))).Draw(t, "values")
		a := scenario.Axis{To: time.Second, Width: rapid.IntRange(1, 50).Draw(t, "width"), Height: rapid.IntRange(2, 20).Draw(t, "height"),
			Show: func(v float64) string { return fmt.Sprint(v) }}
		lines := scenario.Plot("x", values, a)
		if len(lines) != a.Height+3 {
			t.Fatalf("%d lines", len(lines))
		}
		marks, top := 0, 0.0
		margin := strings.IndexByte(lines[1], '|')
		for _, l := range lines[1 : a.Height+1] {
			if strings.IndexByte(l, '|') != margin || utf8.RuneCountInString(l) > margin+1+a.Width {
				t.Fatalf("%q", l)
			}
			marks += strings.Count(l, "*")
		}
		for _, v := range values {
			if v > top {
				top = v
			}
		}
		if marks > a.Width || top > 0 && !strings.Contains(lines[1], "*") {
			t.Fatalf("%d marks, top %v, in\n%s", marks, top, strings.Join(lines, "\n"))
		}
	})
}
