package compare

import (
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/appfile"
	"foresail.dev/cluster/sim"
	"foresail.dev/compare/series"
)

// BenchmarkObserve is what measuring costs for each snapshot, next to nothing of what simulating one does.
func BenchmarkObserve(b *testing.B) {
	bp, err := appfile.ReadApp("social-network")
	if err != nil {
		b.Fatal(err)
	}
	l, err := appfile.ReadLoad("../examples/loads/social-network/constant.yaml", bp.App)
	if err != nil {
		b.Fatal(err)
	}
	c, err := sim.New(sim.Config{Blueprint: bp, Load: l, Start: origin, Duration: time.Minute})
	if err != nil {
		b.Fatal(err)
	}
	var all []*foresail.Snapshot
	for s, err := c.Next(b.Context()); err == nil; s, err = c.Next(b.Context()) {
		all = append(all, s)
	}
	b.ReportAllocs()
	for b.Loop() {
		m := newMeasure(bp.App, origin.Add(10*time.Second), &Outcome{}, series.NewRecorder(bp.App, origin, 10*time.Second, time.Minute))
		for _, s := range all {
			m.observe(bp.App, s)
		}
		m.finish()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(all)), "ns/snapshot")
}
