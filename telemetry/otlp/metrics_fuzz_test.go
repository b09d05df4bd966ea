package otlp

import (
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/telemetry"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
)

// instrumented is what one process with so many endpoints reports of a beat.
func instrumented(endpoints int) []byte {
	md := pmetric.NewMetrics()
	rm := md.ResourceMetrics().AppendEmpty()
	rm.Resource().Attributes().PutStr("service.name", "cart")
	rm.Resource().Attributes().PutStr("service.instance.id", "cart-1")
	metrics := rm.ScopeMetrics().AppendEmpty().Metrics()
	points := func(s pmetric.NumberDataPointSlice, n int) {
		for i := range n {
			p := s.AppendEmpty()
			p.SetStartTimestamp(pcommon.Timestamp(benchEpoch))
			p.SetTimestamp(pcommon.Timestamp(benchEpoch + uint64(foresail.Beat)))
			p.SetIntValue(int64(i))
			p.Attributes().PutStr("endpoint", "GET /api/v1/operation")
		}
	}
	for name := range gauges {
		m := metrics.AppendEmpty()
		m.SetName(name)
		points(m.SetEmptyGauge().DataPoints(), endpoints)
	}
	for _, name := range []string{"arrivals", "completions", "errors"} {
		m := metrics.AppendEmpty()
		m.SetName(prefix + name)
		m.SetEmptySum().SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
		points(m.Sum().DataPoints(), endpoints)
	}
	b, err := pmetricotlp.NewExportRequestFromMetrics(md).MarshalProto()
	if err != nil {
		panic(err) // pdata marshals into memory and gives no error
	}
	return b
}

// Whatever bytes come as metrics, what is taken of them are numbers of requests that a snapshot can hold.
func FuzzMetrics(f *testing.F) {
	f.Add(instrumented(2))
	f.Add([]byte{})
	f.Add([]byte("\x0a\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		reports, err := (&Receiver{}).reports(b)
		if err != nil && reports != nil {
			t.Fatal("reports of bytes that are malformed")
		}
		start := time.Unix(0, int64(benchEpoch)).UTC()
		a := telemetry.NewAssembler(&foresail.App{Services: []foresail.Service{{Name: "cart"}}}, telemetry.Options{Start: start})
		for i := range reports {
			reports[i].Service = "cart"
		}
		a.AddReports(start, reports)
		for i := range 3 {
			s := a.Cut(start.Add(time.Duration(i+1) * foresail.Beat))
			u := &s.Services[0].Usage
			for _, v := range []float64{u.InFlight.Last, u.InFlight.Mean, u.InFlight.Max, u.Arrivals, u.Completions, u.Errors} {
				if !(v >= 0 && v < 1e300) {
					t.Fatalf("%+v", u)
				}
			}
		}
	})
}

// BenchmarkReports takes what a process with ten endpoints reports, from bytes to the assembler: ten times a second for each.
func BenchmarkReports(b *testing.B) {
	req := instrumented(10)
	a := telemetry.NewAssembler(&foresail.App{Services: []foresail.Service{{Name: "cart"}}}, telemetry.Options{})
	r := &Receiver{}
	b.ReportAllocs()
	b.SetBytes(int64(len(req)))
	for b.Loop() {
		reports, err := r.reports(req)
		if err != nil {
			b.Fatal(err)
		}
		a.AddReports(time.Time{}, reports)
	}
}
