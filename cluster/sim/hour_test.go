package sim_test

import (
	"runtime"
	"runtime/metrics"
	"testing"
	"time"

	"foresail.dev/appfile"
	"foresail.dev/cluster/sim"
)

// memory is what the process holds of the system's, less what it has given back.
func memory() uint64 {
	s := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64() - s[1].Value.Uint64()
}

// BenchmarkSimHour simulates an hour of apps/social-network.yaml at 200 requests/s, 36,000 snapshots included. peak-MiB is
// the most memory that the process held, looked at each simulated second; it fails at 256.
//
// go test -run '^$' -bench SimHour -benchtime 1x ./cluster/sim
func BenchmarkSimHour(b *testing.B) {
	bp, err := appfile.ReadApp("../../apps/social-network.yaml")
	if err != nil {
		b.Fatal(err)
	}
	for i := range bp.App.Services {
		bp.App.Services[i].Initial.CPU *= 4
	}
	var peak uint64
	var events uint64
	for b.Loop() {
		runtime.GC()
		c := newSim(b, sim.Config{Blueprint: bp, Load: constant(200), Seed: 1, Duration: time.Hour})
		for beat := range 36_000 {
			if _, err := c.Next(background); err != nil {
				b.Fatal(err)
			}
			if beat%10 == 0 {
				peak = max(peak, memory())
			}
		}
		events += c.Events()
	}
	mib := float64(peak) / (1 << 20)
	b.ReportMetric(mib, "peak-MiB")
	b.ReportMetric(float64(events)/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric(3600*float64(b.N)/b.Elapsed().Seconds(), "sim-s/s")
	if mib > 256 {
		b.Errorf("an hour took %.0f MiB, at most 256 are wanted", mib)
	}
}
