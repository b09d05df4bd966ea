package training_test

import (
	"errors"
	"fmt"
	"math"
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/cmd/foresail/training"
	"foresail.dev/telemetry/store"
)

// recordedFor is a store of so many minutes of an application of four services, of which the last was not observed each tenth minute.
func recordedFor(t testing.TB, minutes int) *store.Store {
	t.Helper()
	app := &foresail.App{Name: "shop"}
	for _, name := range []string{"cart", "ads", "web", "rare"} {
		app.Services = append(app.Services, foresail.Service{Name: name})
	}
	h, err := store.Open(t.TempDir(), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	start := time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC)
	for i := range minutes {
		s := &foresail.Snapshot{Start: start.Add(time.Duration(i) * time.Minute), Services: make([]foresail.ServiceStats, 4)}
		s.End = s.Start.Add(time.Minute)
		for k := range s.Services {
			if k < 3 || i%10 != 1 {
				s.Services[k].Has, s.Services[k].Arrivals = foresail.SignalArrivals, wave(float64(50+20*k), i+1).Values[i]
			}
		}
		if err := h.Append(app, s); err != nil {
			t.Fatal(err)
		}
	}
	return h
}

// A history trains the models that the same calls in files do.
func TestAHistoryIsTrainedOn(t *testing.T) {
	h := recordedFor(t, 200)
	source, err := training.History(t.Context(), h, "a test", training.Span{})
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(source.Services()); got != "[ads cart rare web]" {
		t.Fatal(got)
	}
	s, repairs, err := source.Series(t.Context(), "rare")
	if err != nil || len(s.Values) != 200 || repairs.Gaps != 20 || !math.IsNaN(s.Values[1]) || s.Values[2] != wave(110, 3).Values[2] {
		t.Fatal(s, repairs, err)
	}
	fromHistory, fromSeries := memory(), memory()
	if _, err := run(t, fromHistory, source, nil); err != nil {
		t.Fatal(err)
	}
	r, err := run(t, fromSeries, said{"cart": wave(50, 200), "ads": wave(70, 200), "web": wave(90, 200), "rare": s}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if a, b := files(t, fromHistory), files(t, fromSeries); len(a) != 5 || fmt.Sprint(a) != fmt.Sprint(b) {
		t.Errorf("%d models of a history, %d of the same calls in files, or others: %+v", len(a), len(b), r.Rows)
	}
}

func TestASpanOfAHistory(t *testing.T) {
	h := recordedFor(t, 30)
	until := time.Date(2026, 1, 5, 0, 20, 30, 0, time.UTC)
	source, err := training.History(t.Context(), h, "a test", training.Span{Until: until, Last: 10 * time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	s, _, err := source.Series(t.Context(), "cart")
	if err != nil || s.Start.Minute() != 10 || len(s.Values) != 10 || s.Values[0] != wave(50, 11).Values[10] {
		t.Error(s, err)
	}
	if _, err := training.History(t.Context(), h, "a test", training.Span{Until: until.Add(-time.Hour)}); err == nil {
		t.Error("a span before everything")
	}
	empty, err := store.Open(t.TempDir(), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer empty.Close()
	if _, err := training.History(t.Context(), empty, "a test", training.Span{}); err == nil || errors.Is(err, store.ErrNoStore) {
		t.Error(err)
	}
}
