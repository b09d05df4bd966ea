package forecast_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"foresail.dev/model/forecast"
)

func TestPeriods(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 8))
	walk := 1000.0
	for _, c := range []struct {
		name string
		n    int
		step time.Duration
		at   func(i int) float64
		want []int
	}{
		{"a sine", 600, time.Second, func(i int) float64 { return 100 + 50*math.Sin(2*math.Pi*float64(i)/37) + 10*r.NormFloat64() }, []int{37}},
		{"a day of minutes", 7 * 1440, time.Minute, func(i int) float64 { return 300 + 200*math.Sin(2*math.Pi*float64(i)/1440) + 60*r.NormFloat64() }, []int{1440}},
		{"working days and weekends", 28 * 48, 30 * time.Minute, func(i int) float64 {
			day := 300 + 200*math.Sin(2*math.Pi*float64(i)/48)
			if i/48%7 >= 5 {
				day *= 0.3
			}
			return day + 20*r.NormFloat64()
		}, []int{336, 48}},
		{"noise", 2000, time.Second, func(i int) float64 { return 100 + 10*r.NormFloat64() }, nil},
		{"a random walk", 2000, time.Second, func(i int) float64 { walk += r.NormFloat64(); return walk }, nil},
		{"a ramp", 2000, time.Second, func(i int) float64 { return float64(i) }, nil},
		{"a constant", 200, time.Second, func(i int) float64 { return 3 }, nil},
		{"two values", 2, time.Second, func(i int) float64 { return 3 }, nil},
	} {
		s := forecast.Series{Step: c.step}
		for i := range c.n {
			s.Values = append(s.Values, c.at(i))
		}
		got := forecast.Periods(s, 3)
		slices.Sort(got)
		slices.Sort(c.want)
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}
