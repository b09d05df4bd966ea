package prom

import (
	"math"
	"strings"
	"testing"
	"time"

	"foresail.dev"
)

// A report names what there is, by which recipe, how precise it is, and what is in labels that the application does not know.
func TestExamine(t *testing.T) {
	bubble(t, all+`  container_cpu_usage_seconds_total{container="sidecar",pod="front-0"} 0+1x18`, func(t *testing.T, s *server, cfg Config) {
		r, err := Examine(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		front, cart := &r.Services[0], &r.Services[1]
		for signal, want := range map[foresail.Signals]string{foresail.SignalCPU: "cadvisor", foresail.SignalLatency: "otel", foresail.SignalAllocation: "kube-state", foresail.SignalDisk: ""} {
			if got := front.Giver(signal); got != want {
				t.Errorf("%v of front comes from %q, want %q", signal, got, want)
			}
		}
		if front.Replicas != 2 || front.Missing != foresail.SignalInFlight|foresail.SignalDisk|foresail.SignalPressure {
			t.Errorf("front has %d replicas and lacks %v", front.Replicas, front.Missing)
		}
		if !cart.Missing.Has(foresail.SignalAllocation|foresail.SignalThrottled) || cart.Missing.Has(foresail.SignalInFlight) {
			t.Errorf("cart lacks %v", cart.Missing)
		}
		if r.Scrape != 5*time.Second || r.Interval != 5*time.Second || r.Edges != 1 || max(r.Skew, -r.Skew) > time.Second {
			t.Errorf("%+v", r)
		}
		if len(r.Histograms) != 2 || !r.Histograms[0].Native || r.Histograms[0].Error > 0.03 || r.Histograms[1].Native || r.Histograms[1].Error < 0.2 {
			t.Errorf("histograms: %+v", r.Histograms)
		}
		if buy := r.Endpoints[0]; !buy.Seen || buy.Error != 0 || !math.IsNaN(r.Endpoints[1].Error) {
			t.Errorf("endpoints: %+v", r.Endpoints)
		}
		found := false
		for _, u := range r.Unknown {
			found = found || u.Label == "container" && strings.Join(u.Names, " ") == "sidecar"
		}
		if !found {
			t.Errorf("unknown: %+v", r.Unknown)
		}
	})
}

// An objective within a bucket, or over the last one, is told to be so.
func TestExamineObjectives(t *testing.T) {
	for objective, want := range map[time.Duration][2]float64{100 * time.Millisecond: {0, 0}, 80 * time.Millisecond: {0.2, 0.4}, time.Second: {math.Inf(1), math.Inf(1)}} {
		bubble(t, all, func(t *testing.T, s *server, cfg Config) {
			cfg.App.Endpoints[0].Objective.Latency = objective
			r, err := Examine(t.Context(), cfg)
			if err != nil {
				t.Fatal(err)
			}
			if got := r.Endpoints[0].Error; got < want[0] || got > want[1] {
				t.Errorf("%v is judged to within %v", objective, got)
			}
		})
	}
}

// Without an application, services are those that answer requests; containers beside them make none.
func TestExamineFinds(t *testing.T) {
	bubble(t, all+`  container_cpu_usage_seconds_total{container="sidecar",pod="front-0"} 0+1x18`, func(t *testing.T, s *server, cfg Config) {
		cfg.App = nil
		r, err := Examine(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, svc := range r.Services {
			names = append(names, svc.Name)
		}
		if strings.Join(names, " ") != "cart front" {
			t.Errorf("%v", names)
		}
		for _, svc := range r.Services {
			if svc.Missing.Has(foresail.SignalCPU) || svc.Missing.Has(foresail.SignalLatency) {
				t.Errorf("%s lacks %v", svc.Name, svc.Missing)
			}
		}
	})
}

// A server whose clock is ahead is asked for its own time, and the skew is told.
func TestClockSkew(t *testing.T) {
	bubble(t, all, func(t *testing.T, s *server, cfg Config) {
		behind := cfg.Now
		cfg.Now = func() time.Time { return behind().Add(-40 * time.Second) } // this machine's
		src, err := Open(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		if off := src.setup.skew - 40*time.Second; off < -time.Second || off > time.Second {
			t.Errorf("a skew of %v", src.setup.skew)
		}
		got, err := src.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		near(t, "requests", got.Services[1].Completions, 40)
		if !got.End.Equal(time.Unix(20, 0)) {
			t.Errorf("it ends at %v of this machine's clock", got.End.Unix())
		}
	})
}
