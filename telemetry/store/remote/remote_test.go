package remote_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"foresail.dev"
	"foresail.dev/appfile"
	"foresail.dev/cluster/sim"
	"foresail.dev/internal/peers"
	"foresail.dev/load"
	"foresail.dev/telemetry/prom/write"
	"foresail.dev/telemetry/series"
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
	app, want := simulated(t, 4*time.Second)
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
				if err := seriestest.Same(series.WithoutShapes(want[i]), got); err != nil {
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

// Whatever is written comes back from a real Prometheus: any signal, any name, gaps, intervals of any length, fractional counts.
// (VictoriaMetrics keeps 12 to 15 digits of a counter's total, of which a small gain after a large one shows fewer.)
func TestAnythingComesBack(t *testing.T) {
	url := peers.Prometheus(t, "").URL
	cases := 0
	rapid.Check(t, func(rt *rapid.T) {
		app := seriestest.App(rt)
		want := seriestest.Snapshots(rt, app, 4)
		cases++
		cfg := remote.Config{App: app, Name: fmt.Sprintf("case-%d", cases), URL: url, Write: write.Config{URL: url + "/api/v1/write"},
			Since: 24 * time.Hour, Now: func() time.Time { return seriestest.Start.Add(time.Hour) }}
		if rapid.Bool().Draw(rt, "classic") {
			cfg.Write.Histograms = write.Classic
		}
		h, err := remote.Open(t.Context(), cfg)
		if err != nil {
			rt.Fatal(err)
		}
		for _, s := range want {
			if err := h.Append(app, s); err != nil {
				rt.Fatal(err)
			}
		}
		if h, err = remote.Open(t.Context(), cfg); err != nil {
			rt.Fatal(err)
		}
		i := 0
		for got, err := range h.Snapshots(t.Context(), seriestest.Start, seriestest.Start.Add(time.Hour), 0) {
			if err != nil {
				rt.Fatal(err)
			}
			if i < len(want) {
				if err := seriestest.Same(series.WithoutShapes(want[i]), got); err != nil {
					rt.Fatalf("snapshot %d: %v", i, err)
				}
			}
			i++
		}
		if i != len(want) {
			rt.Fatalf("%d snapshots of %d come back", i, len(want))
		}
	})
}

func init() { // a real server takes its time; more with -rapid.checks
	flag.Set("rapid.checks", "15")
	flag.Set("rapid.shrinktime", "5s")
}

// What does not fit into one answer comes in several; cells of a step are merged, and a gap comes as stale ones.
func TestInPiecesAndInSteps(t *testing.T) {
	app, want := simulated(t, 6*time.Second)
	defer remote.AskLittle(1700, 7)()
	s := server{url: peers.Prometheus(t, "").URL}
	h := open(t, app, s)
	for i, x := range want {
		if i >= 20 && i < 40 {
			continue // nobody watched for two seconds
		}
		if err := h.Append(app, x); err != nil {
			t.Fatal(err)
		}
	}
	n := 0
	for got, err := range h.Snapshots(t.Context(), begin, begin.Add(time.Minute), 0) {
		if err != nil {
			t.Fatal(err)
		}
		if n == 20 {
			n = 40
		}
		if err := seriestest.Same(want[n], got); err != nil {
			t.Fatalf("snapshot %d: %v", n, err)
		}
		n++
	}
	if n != len(want) {
		t.Errorf("%d of %d come back", n, len(want))
	}
	var stale []bool
	for got, err := range h.Snapshots(t.Context(), begin, begin.Add(time.Minute), time.Second) {
		if err != nil {
			t.Fatal(err)
		}
		if got.Duration() != time.Second {
			t.Errorf("a cell of %s", got.Duration())
		}
		stale = append(stale, got.Stale)
	}
	if !slices.Equal(stale, []bool{false, false, true, true, false, false}) {
		t.Errorf("stale seconds: %v", stale)
	}
	// Part of it, and none of it.
	for _, r := range []struct {
		from, to time.Duration
		n        int
	}{{time.Second, 1500 * time.Millisecond, 5}, {2 * time.Second, 4 * time.Second, 0}, {time.Hour, 2 * time.Hour, 0}, {-time.Hour, 100 * time.Millisecond, 1}} {
		n := 0
		for _, err := range h.Snapshots(t.Context(), begin.Add(r.from), begin.Add(r.to), 0) {
			if err != nil {
				t.Fatal(err)
			}
			n++
		}
		if n != r.n {
			t.Errorf("from %s to %s: %d snapshots, not %d", r.from, r.to, n, r.n)
		}
	}
}

// A snapshot that the server refused is lost and says so; what follows is not credited with what it held.
func TestALostSnapshotIsLostAlone(t *testing.T) {
	app, all := simulated(t, time.Second)
	p := peers.Prometheus(t, "")
	fail := false
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if fail {
			http.Error(w, "no", http.StatusForbidden)
			return
		}
		u, _ := url.Parse(p.URL)
		httputil.NewSingleHostReverseProxy(u).ServeHTTP(w, r)
	}))
	defer proxy.Close()
	h := open(t, app, server{url: proxy.URL})
	for i, s := range all {
		fail = i == 4
		if err := h.Append(app, s); (err != nil) != fail {
			t.Fatalf("snapshot %d: %v", i, err)
		}
	}
	i := 0
	for got, err := range h.Snapshots(t.Context(), begin, begin.Add(time.Minute), 0) {
		if i == 4 {
			i++
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := seriestest.Same(all[i], got); err != nil {
			t.Fatalf("snapshot %d: %v", i, err)
		}
		i++
	}
	if i != len(all) {
		t.Errorf("%d of %d", i, len(all))
	}
}

func TestFaultsOfConfig(t *testing.T) {
	app := &foresail.App{Name: "shop"}
	for name, cfg := range map[string]remote.Config{
		"App is missing":     {URL: "http://127.0.0.1:1"},
		"give a URL":         {App: app},
		"write it like":      {App: app, Write: write.Config{URL: "mimir"}},
		"connection refused": {App: app, URL: "http://127.0.0.1:1"},
	} {
		if _, err := remote.Open(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	h, err := remote.Open(t.Context(), remote.Config{App: app, Write: write.Config{URL: "http://127.0.0.1:1"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range h.Snapshots(t.Context(), begin, begin.Add(time.Hour), 0) {
		if err == nil || !strings.Contains(err.Error(), "can't be read") {
			t.Error(err)
		}
	}
	h.Cancel()
	if err := h.Append(app, &foresail.Snapshot{Start: begin, End: begin.Add(time.Second)}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if err := h.Append(&foresail.App{Name: "other"}, &foresail.Snapshot{}); !errors.Is(err, store.ErrApplication) {
		t.Error(err)
	}
}
