package remote_test

import (
	"errors"
	"io"
	"net/http"
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/appfile"
	"foresail.dev/cluster/sim"
	"foresail.dev/internal/peers"
	"foresail.dev/load"
	"foresail.dev/telemetry/prom/write"
	"foresail.dev/telemetry/series/seriestest"
	"foresail.dev/telemetry/store"
	"foresail.dev/telemetry/store/remote"
)

var begin = time.Date(2026, 1, 5, 12, 0, 0, 0, time.UTC)

// simulated is a run of Hotel Reservation, in beats of 100 ms.
func simulated(t *testing.T, length time.Duration) (*foresail.App, []*foresail.Snapshot) {
	t.Helper()
	blueprint, err := appfile.ReadApp("hotel-reservation")
	if err != nil {
		t.Fatal(err)
	}
	c, err := sim.New(sim.Config{Blueprint: blueprint, Seed: 3, Start: begin, Duration: length, Load: &load.Load{Curve: []load.Segment{{Shape: load.Constant, From: 200}}}})
	if err != nil {
		t.Fatal(err)
	}
	var out []*foresail.Snapshot
	for {
		s, err := c.Next(t.Context())
		if errors.Is(err, io.EOF) {
			return blueprint.App, out
		}
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, s)
	}
}

// server is a real one, how it is written to and read from, and what makes what was written visible at once.
type server struct {
	name     string
	url      string
	write    write.Config
	protocol write.Protocol
	start    func(t *testing.T) string
}

func servers() []server {
	prometheus := func(t *testing.T) string { return peers.Prometheus(t, "").URL }
	victoria := func(t *testing.T) string { return peers.VictoriaMetrics(t).URL }
	return []server{
		{name: "Prometheus by 2.0", start: prometheus, write: write.Config{Protocol: write.Auto}, protocol: write.V2},
		{name: "Prometheus by 1.0", start: prometheus, write: write.Config{Protocol: write.V1}, protocol: write.V1},
		{name: "Prometheus with classic histograms", start: prometheus, write: write.Config{Histograms: write.Classic}, protocol: write.V2},
		{name: "VictoriaMetrics", start: victoria, protocol: write.V1},
		{name: "VictoriaMetrics with classic histograms", start: victoria, write: write.Config{Histograms: write.Classic}, protocol: write.V1},
	}
}

func open(t *testing.T, app *foresail.App, s server) *remote.History {
	t.Helper()
	c := s.write
	c.URL = s.url + "/api/v1/write"
	h, err := remote.Open(t.Context(), remote.Config{App: app, URL: s.url, Write: c, Since: 24 * time.Hour,
		Now: func() time.Time { return begin.Add(time.Hour) }})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// What is written to a real server comes back as it was.
func TestComesBackAsWritten(t *testing.T) {
	app, want := simulated(t, 8*time.Second)
	for _, s := range servers() {
		t.Run(s.name, func(t *testing.T) {
			s.url = s.start(t)
			h := open(t, app, s)
			if from, to := h.Range(); !from.IsZero() || !to.IsZero() {
				t.Fatalf("an empty server has history from %s to %s", from, to)
			}
			for _, x := range want {
				if err := h.Append(app, x); err != nil {
					t.Fatal(err)
				}
			}
			if st := h.Stats(); st.Protocol != s.protocol || st.Refused > 0 || st.Retries > 0 {
				t.Errorf("%+v, not by %s", st, s.protocol)
			}
			if err := h.Append(app, want[0]); !errors.Is(err, store.ErrOverlap) {
				t.Errorf("the same again: %v", err)
			}
			http.Get(s.url + "/internal/force_flush") // VictoriaMetrics shows what is new after a second; others have no such page
			h = open(t, app, s)                       // another process reads
			if from, to := h.Range(); !from.Equal(want[0].Start) || !to.Equal(want[len(want)-1].End) {
				t.Errorf("history from %s to %s", from, to)
			}
			i := 0
			for got, err := range h.Snapshots(t.Context(), begin, begin.Add(time.Hour), 0) {
				if err != nil {
					t.Fatal(err)
				}
				if i == len(want) {
					t.Fatal("more comes back than was written")
				}
				if err := seriestest.Same(want[i], got); err != nil {
					t.Fatalf("snapshot %d: %v", i, err)
				}
				i++
			}
			if i != len(want) {
				t.Errorf("%d of %d snapshots come back", i, len(want))
			}
		})
	}
}
