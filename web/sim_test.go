package web_test

import (
	"context"
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/appfile"
	"foresail.dev/cluster/sim"
	"foresail.dev/load"
	"foresail.dev/web"
)

// The built-in Social Network, simulated for a minute, as the page shows it: all 36 services, each objective, and calls
// from nearly every service that has any.
func TestSimulatedSocialNetworkIsShown(t *testing.T) {
	blueprint, err := appfile.ReadApp("social-network")
	if err != nil {
		t.Fatal(err)
	}
	cluster, err := sim.New(sim.Config{Blueprint: blueprint, Seed: 1, Duration: time.Minute,
		Load: &load.Load{Curve: []load.Segment{{Shape: load.Constant, From: 150}}}})
	if err != nil {
		t.Fatal(err)
	}
	b := browser(t)
	s, url := serve(t, web.Config{App: blueprint.App, Mode: "observe"})
	h := foresail.NewHistory(blueprint.App, foresail.Needs{})
	for {
		snap, err := cluster.Next(context.Background())
		if err != nil {
			break // io.EOF: the minute is over
		}
		h.Add(snap)
		s.Events().Observed(h, snap)
	}
	if got := h.Now().Sub(time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)); got != time.Minute {
		t.Fatalf("simulated %s", got)
	}
	b.size(1440, 900, false)
	b.open(url)
	b.wait(`document.querySelectorAll("#graph .node").length === 36`)
	if n := eval[int](b, `document.querySelectorAll("#graph .edge").length`); n < 40 {
		t.Errorf("%d edges", n)
	}
	if n := eval[int](b, `document.querySelectorAll("#objectives li").length`); n != len(blueprint.App.Endpoints) {
		t.Errorf("%d objectives, the application has %d endpoints", n, len(blueprint.App.Endpoints))
	}
	if n := eval[int](b, `[...document.querySelectorAll("#graph .nums")].filter((e) => e.textContent.includes("—/s")).length`); n != 0 {
		t.Errorf("%d services have no rate", n)
	}
	if n := eval[int](b, overlaps); n != 0 {
		t.Errorf("%d pairs of cards overlap or leave the graph", n)
	}
	// The first screen answers: is it all right, what does it cost, what was done.
	if h := eval[float64](b, `document.querySelector(".verdict").getBoundingClientRect().bottom`); h > 300 {
		t.Errorf("the summary ends at %g px", h)
	}
	b.clean()
}
