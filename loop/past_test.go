package loop_test

import (
	"slices"
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/loop"
	"foresail.dev/plan/plantest"
)

// What happened before the first interval is in the history of the first decision, and nothing is decided on it.
func TestPastIsHistory(t *testing.T) {
	cluster := &plantest.Cluster{Application: plantest.App(1), Until: 2 * time.Second, Demand: func(foresail.ServiceID, time.Duration) float64 { return 0.5 }}
	first := cluster.App()
	at := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	var past []*foresail.Snapshot
	for i := range 5 {
		past = append(past, &foresail.Snapshot{Start: at.Add(time.Duration(i) * time.Minute), End: at.Add(time.Duration(i+1) * time.Minute), Services: make([]foresail.ServiceStats, len(first.Services))})
	}
	manager := &looksBack{}
	decisions := 0
	err := loop.Run(t.Context(), cluster, manager, loop.Options{Mode: loop.Auto, Past: slices.Values(past), Events: loop.Events{Decided: func(loop.Decision) { decisions++ }}})
	if err != nil || manager.minutes != 5 || decisions > 2 || decisions == 0 {
		t.Errorf("%v; %d minutes of history, %d decisions", err, manager.minutes, decisions)
	}
}

// looksBack notes how many minutes it sees.
type looksBack struct{ minutes int }

func (*looksBack) Name() string          { return "looks-back" }
func (*looksBack) Needs() foresail.Needs { return foresail.Needs{Every: time.Second, Minutes: 60} }
func (m *looksBack) Decide(h *foresail.History) (*foresail.Plan, error) {
	m.minutes = len(h.Minutes(60))
	return nil, nil
}
