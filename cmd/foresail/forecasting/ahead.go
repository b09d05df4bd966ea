package forecasting

import (
	"fmt"
	"strings"
	"time"

	"foresail.dev/model/forecast"
	"foresail.dev/model/forecast/csvfile"
	"foresail.dev/model/forecast/methods"
)

// Ahead is the forecast of one series.
type Ahead struct {
	Series  forecast.Series
	Repairs csvfile.Repairs
	Method  string
	Rows    []StepRow
	f       forecast.Forecast
}

// StepRow is one step ahead.
type StepRow struct {
	Start     time.Time `json:"start"`
	Mean      float64   `json:"mean"`
	Scale     float64   `json:"scale"`
	Predicted float64   `json:"predicted"`
	Low90     float64   `json:"low90"`
	P50       float64   `json:"p50"`
	High90    float64   `json:"high90"`
}

// AheadDetail is what does not fit in the rows.
type AheadDetail struct {
	Method    string          `json:"method"`
	StepS     float64         `json:"step_s"`
	Observed  int             `json:"observed"`
	Levels    []float64       `json:"levels"`
	Quantiles [][]float64     `json:"quantiles"` // by level, by step
	Fallback  string          `json:"fallback,omitempty"`
	Repairs   csvfile.Repairs `json:"repairs"`
}

// Forecast trains a method by its name on a series and forecasts the m steps after it.
func Forecast(s forecast.Series, repairs csvfile.Repairs, name string, n, m int, seed uint64) (*Ahead, error) {
	method, ok := methods.ByName(name)
	if !ok {
		return nil, fmt.Errorf("there is no method %q, but %s", name, strings.Join(methods.Names(), ", "))
	}
	trained, err := method.Train(s, forecast.Options{N: n, M: m, Seed: seed})
	if err != nil {
		return nil, err
	}
	return With(trained, s, repairs, name, m)
}

// With forecasts the m steps after a series with what was trained already.
func With(trained forecast.Forecaster, s forecast.Series, repairs csvfile.Repairs, name string, m int) (*Ahead, error) {
	a := &Ahead{Series: s, Repairs: repairs, Method: name}
	var err error
	if a.f, err = trained.Forecast(s, m); err != nil {
		return nil, err
	}
	for k := range m {
		a.Rows = append(a.Rows, StepRow{s.At(len(s.Values) + k), a.f.Mean[k], a.f.Scale[k], a.f.Predicted()[k], a.f.Quantile(0.05, k), a.f.Quantile(0.5, k), a.f.Quantile(0.95, k)})
	}
	return a, nil
}

// Detail is what there is beside the rows.
func (a *Ahead) Detail() AheadDetail {
	return AheadDetail{a.Method, a.Series.Step.Seconds(), a.Series.Observed(), a.f.Levels, a.f.Quantiles, a.f.Fallback, a.Repairs}
}

// Summary says in lines what was read, and whether the forecast is one.
func (a *Ahead) Summary() string {
	s := a.Series
	text := fmt.Sprintf("%d steps of %v, %d of them observed, to %s\n", len(s.Values), s.Step, s.Observed(), s.End().UTC().Format(time.RFC3339))
	if a.Repairs.Any() {
		text += fmt.Sprintf("mended: %s\n", a.Repairs)
	}
	if a.f.Fallback != "" {
		text += fmt.Sprintf("only the last value: %s\n", a.f.Fallback)
	}
	return text
}

// AheadHead names the cells of a step.
var AheadHead = []string{"step from, UTC", "mean", "scale", "90 % from", "to"}

// Cells are the rows as text.
func (a *Ahead) Cells() (out [][]string) {
	for _, r := range a.Rows {
		out = append(out, []string{clock(r.Start), figures(r.Mean), figures(r.Scale), figures(r.Low90), figures(r.High90)})
	}
	return out
}

// figures are four of a number that count, without an exponent where it can be.
func figures(v float64) string {
	if v >= 1000 && v < 1e12 {
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.4g", v)
}

// Picture is the end of the series and the forecast.
func (a *Ahead) Picture(title string) Picture {
	from := max(0, len(a.Series.Values)-48)
	p := Picture{Title: title, Start: a.Series.At(from), Step: a.Series.Step, Observed: a.Series.Values[from:], From: len(a.Series.Values) - from, Mean: a.f.Mean}
	for _, r := range a.Rows {
		p.Low, p.High = append(p.Low, r.Low90), append(p.High, r.High90)
	}
	return p
}
