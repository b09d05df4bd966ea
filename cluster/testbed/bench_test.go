package testbed_test

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"foresail.dev/appfile"
	"foresail.dev/cluster/testbed"
	"foresail.dev/cluster/testbed/users"
	"foresail.dev/load"
	"foresail.dev/telemetry"
	"foresail.dev/telemetry/otlp"
)

// hotel starts hotel-reservation with everything around it that a run has.
func hotel(b *testing.B, l *load.Load) *testbed.Cluster {
	b.Helper()
	blueprint, err := appfile.ReadApp("../../apps/hotel-reservation.yaml")
	if err != nil {
		b.Fatal(err)
	}
	assembler := telemetry.NewAssembler(blueprint.App, telemetry.Options{EndpointService: users.Service})
	receiver, err := otlp.Listen(otlp.Config{GRPC: "127.0.0.1:0"}, assembler)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := receiver.Shutdown(context.Background()); err != nil {
			b.Log(err)
		}
	})
	return newCluster(b, testbed.Config{Blueprint: blueprint, Load: l, Seed: 1, Observer: assembler, OTLP: receiver.GRPCAddr()})
}

// spent is the CPU time of this process and all its children that live.
func spent(b *testing.B) (self, rest time.Duration) {
	b.Helper()
	var ru syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &ru); err != nil {
		b.Fatal(err)
	}
	self = time.Duration(ru.Utime.Nano() + ru.Stime.Nano())
	for _, pid := range children(os.Getpid()) {
		tasks, _ := filepath.Glob("/proc/" + strconv.Itoa(pid) + "/task/*/schedstat")
		for _, path := range tasks {
			n, _ := strconv.ParseInt(words(b, path)[0], 10, 64) // nanoseconds on a CPU
			rest += time.Duration(n)
		}
	}
	return self, rest
}

// BenchmarkIdle is what the 19 processes of hotel-reservation, and the parent, use when nobody calls.
func BenchmarkIdle(b *testing.B) { benchmarkHotel(b, nil) }

// BenchmarkHotel is the same with 40 requests per second.
func BenchmarkHotel(b *testing.B) {
	benchmarkHotel(b, &load.Load{Curve: []load.Segment{{From: 40}}, Mix: []load.MixPoint{{Shares: []float64{600, 390, 5, 5}}}})
}

func benchmarkHotel(b *testing.B, l *load.Load) {
	c := hotel(b, l)
	merged(b, c, 2*time.Second)
	self, rest := spent(b)
	start, covered, used := time.Now(), time.Duration(0), 0.0
	b.ReportAllocs()
	for b.Loop() {
		s := merged(b, c, time.Second)
		covered += s.Duration()
		for i := range s.Services {
			used += s.Services[i].CPU
		}
	}
	self2, rest2 := spent(b)
	wall := time.Since(start).Seconds()
	b.ReportMetric(used/covered.Seconds(), "replicas_cores")
	b.ReportMetric((rest2-rest).Seconds()/wall, "children_cores")
	b.ReportMetric((self2-self).Seconds()/wall, "parent_cores")
	if e := c.Summary().Endpoints[0]; e.Ended > 0 {
		b.ReportMetric(1e3*e.Latency.Quantile(0.5), "search_p50_ms")
		b.ReportMetric(1e3*e.Latency.Quantile(0.99), "search_p99_ms")
	}
}
