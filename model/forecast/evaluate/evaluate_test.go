package evaluate_test

import (
	"errors"
	"fmt"
	"math"
	"testing"
	"time"

	"foresail.dev/model/forecast"
	"foresail.dev/model/forecast/evaluate"
)

// said is a method that expects a fixed load, or what it is told, with an interval of ±10.
type said struct{ load float64 }

func (s said) Name() string { return "said" }
func (s said) Train(forecast.Series, forecast.Options) (forecast.Forecaster, error) {
	return s, nil
}
func (s said) Forecast(h forecast.Series, m int) (forecast.Forecast, error) {
	f := forecast.New(h, m, []float64{0.05, 0.5, 0.95})
	for k := range m {
		f.Mean[k], f.Scale[k] = s.load, 1
		f.Quantiles[0][k], f.Quantiles[1][k], f.Quantiles[2][k] = s.load-10, s.load, s.load+10
	}
	return f, nil
}

func of(values ...float64) forecast.Series {
	return forecast.Series{Start: time.Unix(0, 0), Step: time.Second, Values: values}
}

// Worked out by hand: loads 80, 100, 0, 125 and one not observed, a forecast of 100 each, changes of 2 in the training.
func TestTheMeasures(t *testing.T) {
	r, err := evaluate.Run(said{100}, evaluate.Case{Series: of(10, 12, 10, 12, 80, 100, 0, 125, math.NaN()), Train: 4, M: 1}, nil)
	if err != nil {
		t.Fatal(err)
	}
	pinball := (0.95*10 + 0.5*20 + 0.05*30) + (0.05*10 + 0.05*10) + (0.95*90 + 0.5*100 + 0.05*110) + (0.05*35 + 0.5*25 + 0.95*15)
	for _, c := range []struct {
		what      string
		got, want float64
	}{
		{"steps", float64(r.Steps), 4},
		{"accuracy (eq 15)", r.Accuracy, (0.75 + 1 + 0.8) / 3},
		{"overestimation accuracy (eq 16)", r.Overestimation, 0.8},
		{"within 10 %", r.Within10, 1.0 / 3},
		{"MASE", r.MASE, (20 + 0 + 100 + 25) / 4.0 / 2},
		{"pinball", r.Pinball, pinball / 4 / 3 / 2},
		{"coverage", r.Coverage90, 0.25},
		{"accuracy above the median", r.Groups[1].Accuracy, 0.9},
		{"accuracy below it", r.Groups[0].Accuracy, 0.75},
	} {
		if math.Abs(c.got-c.want) > 1e-12 {
			t.Errorf("%s is %v, want %v", c.what, c.got, c.want)
		}
	}
	if r.Forecasts != 5 {
		t.Errorf("%d forecasts", r.Forecasts)
	}
}

// The three groups are below the median, from there to the 95th percentile, and above.
func TestTheGroups(t *testing.T) {
	values := []float64{1, 2}
	for i := range 100 {
		values = append(values, float64(i+1))
	}
	r, err := evaluate.Run(said{50}, evaluate.Case{Series: of(values...), Train: 2, M: 1}, nil)
	if err != nil {
		t.Fatal(err)
	}
	got := [3]int{r.Groups[0].Steps, r.Groups[1].Steps, r.Groups[2].Steps}
	if got != [3]int{50, 46, 4} {
		t.Error(got)
	}
}

func TestEachStepIsForecastOnce(t *testing.T) {
	var origins []int
	_, err := evaluate.Run(said{20}, evaluate.Case{Series: of(1, 2, 3, 4, 5, 6, 7, 8), Train: 3, M: 2,
		Each: func(origin int, _ *forecast.Forecast, observed []float64) { origins = append(origins, origin) }}, nil)
	if err != nil || fmt.Sprint(origins) != "[3 5]" {
		t.Error(origins, err)
	}
}

func TestNothingLeftToForecast(t *testing.T) {
	if _, err := evaluate.Run(said{1}, evaluate.Case{Series: of(1, 2, 3), Train: 2, M: 2}, nil); !errors.Is(err, evaluate.ErrShort) {
		t.Error(err)
	}
}
