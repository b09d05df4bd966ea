package madu

import (
	"strings"
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/model/forecast"
	"foresail.dev/model/forecast/neural"
	"foresail.dev/plan/plantest"
)

// trainedElsewhere is the payload of a model of a wave with so many seconds a step.
func trainedElsewhere(t testing.TB, step time.Duration) []byte {
	t.Helper()
	s := forecast.Series{Start: time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC), Step: step}
	for i := range 200 {
		s.Values = append(s.Values, 1000*wave(0, time.Duration(i)*time.Minute))
	}
	f, err := neural.Madu.Train(s, forecast.Options{N: 10, M: 3, Steps: 4})
	if err != nil {
		t.Fatal(err)
	}
	b, err := f.(*neural.Model).MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// A service that a model was given for is forecast by it, from the first minutes that fill half of its window; others by what
// stands in. A restart, a jump of time and a new generation of the application change nothing of that.
func TestModelsThatWereGiven(t *testing.T) {
	app := plantest.App(2)
	c := Config{N: 10, M: 3, Models: map[string][]byte{app.Services[0].Name: trainedElsewhere(t, time.Minute), "nobody": nil}}
	cluster := &plantest.Cluster{Application: app, Beat: 5 * time.Second, Demand: wave}
	m := manager(t, app, c)
	h := foresail.NewHistory(app, m.Needs())
	methods := func() (out string) {
		for _, svc := range m.state.Services {
			out += svc.Model.Method + " "
		}
		return out
	}
	play(t, m, cluster, h, 12*time.Minute)
	if got := methods(); got != "madu foresail " {
		t.Error(got)
	}
	if f, err := m.state.Services[0].Model.forecaster.Forecast(m.state.Services[0].Calls.until(0, 100, m.state.Last), 3); err != nil || f.Fallback != "" {
		t.Error(f.Fallback, err)
	}
	kept, err := m.Save()
	if err != nil {
		t.Fatal(err)
	}
	c.Models = map[string][]byte{app.Services[0].Name: c.Models[app.Services[0].Name], app.Services[1].Name: trainedElsewhere(t, time.Minute)}
	m = manager(t, app, c)
	if err := m.Restore(kept); err != nil {
		t.Fatal(err)
	}
	play(t, m, cluster, h, 2*time.Minute)
	if got := methods(); got != "madu madu " {
		t.Error("after a restart with one more: ", got)
	}
	m.state.restart()
	m.app = nil
	play(t, m, cluster, h, 2*time.Minute)
	if got := methods(); got != "madu madu " {
		t.Error("after a jump back in time: ", got)
	}
	if err := m.Learn(); err != nil {
		t.Fatal(err)
	}
	learnt := m.state.Services[0].Model
	m.app = nil
	play(t, m, cluster, h, 2*time.Minute)
	if m.state.Services[0].Model != learnt {
		t.Error("what was learnt since is lost")
	}
}

func TestModelsThatCantBeUsed(t *testing.T) {
	app := plantest.App(1)
	name := app.Services[0].Name
	for want, c := range map[string]Config{
		"the model of " + name + ": forecast model":                         {Models: map[string][]byte{name: []byte("{")}},
		"it was trained on loads that are 1h0m0s apart, and calls a minute": {Models: map[string][]byte{name: trainedElsewhere(t, time.Hour)}},
		"the model of " + name + ": last-value takes no trained model":      {Forecaster: "last-value", Models: map[string][]byte{name: []byte("{}")}},
	} {
		if _, err := New(app, c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
