package forecast_test

import (
	"fmt"
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"foresail.dev/model/forecast"
)

func ExampleForecaster() {
	history := forecast.Series{Start: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), Step: time.Minute}
	for i := range 30 {
		history.Values = append(history.Values, float64(100+i%2))
	}
	f, _ := forecast.LastValue{}.Train(history, forecast.Options{M: 2})
	ahead, _ := f.Forecast(history, 2)
	fmt.Println(ahead.Start.Format(time.TimeOnly), ahead.Mean)
	fmt.Printf("90 %%: %.1f to %.1f, then %.1f\n", ahead.Quantile(0.05, 0), ahead.Quantile(0.95, 0), ahead.Quantile(0.95, 1))
	// Output:
	// 00:30:00 [101 101]
	// 90 %: 99.4 to 102.6, then 102.6
}

func TestAQuantileBetweenLevelsLiesOnTheStraightLine(t *testing.T) {
	f := forecast.Forecast{Levels: []float64{0.1, 0.5, 0.9}, Quantiles: [][]float64{{10}, {20}, {40}}}
	for p, want := range map[float64]float64{0: 10, 0.1: 10, 0.3: 15, 0.5: 20, 0.7: 30, 0.9: 40, 1: 40} {
		if got := f.Quantile(p, 0); math.Abs(got-want) > 1e-9 {
			t.Errorf("quantile %v is %v, want %v", p, got, want)
		}
	}
}

func TestGapsCarryWhatWasBeforeThem(t *testing.T) {
	nan := math.NaN()
	s := forecast.Series{Step: time.Second, Values: []float64{nan, 1, nan, nan, 4, nan}}
	if got := fmt.Sprint(s.Filled()); got != "[1 1 1 1 4 4]" {
		t.Error(got)
	}
	if v, ago := s.Last(); v != 4 || ago != 2 {
		t.Error(v, ago)
	}
}

// Whatever the load, last-value's forecast keeps the promises of its type.
func TestLastValueKeepsThePromisesOfAForecast(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(rapid.OneOf(rapid.Float64Range(0, 1e9), rapid.Just(math.NaN())), 1, 60).Draw(t, "values")
		s := forecast.Series{Start: time.Unix(0, 0), Step: time.Second, Values: values}
		m := rapid.IntRange(1, 70).Draw(t, "m")
		f, err := forecast.LastValue{}.Train(s, forecast.Options{})
		if s.Observed() == 0 {
			if err != forecast.ErrEmpty {
				t.Fatal(err)
			}
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		got, err := f.Forecast(s, m)
		if err != nil {
			t.Fatal(err)
		}
		if err := got.Check(s, m); err != nil {
			t.Fatal(err)
		}
		if last, _ := s.Last(); got.Mean[0] != last {
			t.Fatal(got.Mean[0], last)
		}
	})
}

func TestOptionsAreChecked(t *testing.T) {
	s := forecast.Series{Step: time.Second, Values: []float64{1, 2, 3}}
	for _, levels := range [][]float64{{0.5, 0.1}, {0, 0.5}, {0.5, 1}, {0.5, 0.5}, {math.NaN()}} {
		if _, err := forecast.Ready(s, forecast.Options{Levels: levels}); err == nil {
			t.Error(levels)
		}
	}
	o, err := forecast.Ready(s, forecast.Options{})
	if err != nil || o.N != 60 || o.M != 5 || len(o.Levels) != 7 {
		t.Error(o, err)
	}
}
