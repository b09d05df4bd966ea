package otlp_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/telemetry"
	"foresail.dev/telemetry/instrument"
	. "foresail.dev/telemetry/otlp"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
)

// collectReports is a sink that keeps the reports it gets.
type collectReports struct {
	collect
	reports chan telemetry.Report
}

func (c *collectReports) AddReports(_ time.Time, reports []telemetry.Report) telemetry.Result {
	for _, r := range reports {
		select {
		case c.reports <- r:
		default:
		}
	}
	return c.result
}

// What an instrumented process counts arrives here, by way of the official decoder, and in the next snapshot.
func TestInstrumentReports(t *testing.T) {
	sink := &collectReports{reports: make(chan telemetry.Report, 1000)}
	r, err := Listen(Config{HTTP: "127.0.0.1:0"}, sink)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Shutdown(context.Background())
	in, err := instrument.New(instrument.Config{Service: "cart", Instance: "cart-1", URL: "http://" + r.HTTPAddr()})
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	begun := time.Now()
	a, b := in.Server("GET /a").Begin(), in.Server("GET /b").Begin()
	in.Client("db").Begin() // calls of it are not what it serves
	in.Server("GET /b").Begin().End(true)
	got := next(t, sink, func(r telemetry.Report) bool { return r.InFlight.Last == 2 && r.InFlight.Mean > 1.99 })
	if got.Service != "cart" || got.Replica != "cart-1" || got.InFlight.Max < 2 || got.InFlight.Max > 3 || got.Arrivals != 3 ||
		got.Completions != 1 || got.Errors != 1 || got.End-got.Start > int64(foresail.Beat) || got.Has != reportSignals ||
		got.End%int64(foresail.Beat) != 0 || got.Since > begun.UnixNano() {
		t.Errorf("%+v", got)
	}
	a.End(false)
	b.End(false)
	if got = next(t, sink, func(r telemetry.Report) bool { return r.Completions == 3 }); got.InFlight.Last != 0 || got.Arrivals != 3 {
		t.Errorf("%+v", got)
	}
	if s := r.Stats(); s.Malformed != 0 || s.Requests == 0 {
		t.Errorf("%+v", s)
	}
}

const reportSignals = foresail.SignalInFlight | foresail.SignalArrivals | foresail.SignalCompletions | foresail.SignalErrors

func next(t *testing.T, c *collectReports, want func(telemetry.Report) bool) telemetry.Report {
	t.Helper()
	late := time.After(10 * time.Second)
	for {
		select {
		case r := <-c.reports:
			if want(r) {
				return r
			}
		case <-late:
			t.Fatal("no such report came")
		}
	}
}

// metrics is a request of one process with a gauge and a sum of the given name.
func metrics(name string, gauge bool, v int64) pmetricotlp.ExportRequest {
	md := pmetric.NewMetrics()
	rm := md.ResourceMetrics().AppendEmpty()
	rm.Resource().Attributes().PutStr("service.name", "cart")
	rm.Resource().Attributes().PutStr("k8s.pod.name", "cart-1")
	m := rm.ScopeMetrics().AppendEmpty().Metrics().AppendEmpty()
	m.SetName(name)
	var p pmetric.NumberDataPoint
	if gauge {
		p = m.SetEmptyGauge().DataPoints().AppendEmpty()
	} else {
		s := m.SetEmptySum()
		s.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
		p = s.DataPoints().AppendEmpty()
	}
	p.SetIntValue(v)
	p.SetTimestamp(5e9)
	return pmetricotlp.NewExportRequestFromMetrics(md)
}

// Over gRPC, and as JSON, the same arrives; OpenTelemetry's own metric is taken where there is no better, and what is not
// known is passed over.
func TestMetricsArriveEitherWay(t *testing.T) {
	sink := &collectReports{reports: make(chan telemetry.Report, 10)}
	r, err := Listen(Config{HTTP: "127.0.0.1:0", GRPC: "127.0.0.1:0"}, sink)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Shutdown(context.Background())
	conn, err := grpc.NewClient(r.GRPCAddr(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	send := []func(pmetricotlp.ExportRequest) error{
		func(m pmetricotlp.ExportRequest) error {
			_, err := pmetricotlp.NewGRPCClient(conn).Export(t.Context(), m)
			return err
		},
		func(m pmetricotlp.ExportRequest) error {
			b, err := m.MarshalJSON()
			if err != nil {
				return err
			}
			resp, err := http.Post("http://"+r.HTTPAddr()+"/v1/metrics", "application/json", bytes.NewReader(b))
			if err != nil {
				return err
			}
			defer resp.Body.Close()
			if text, _ := io.ReadAll(resp.Body); resp.StatusCode != 200 || string(text) != "{}" {
				return fmt.Errorf("%s: %s", resp.Status, text)
			}
			return nil
		},
	}
	for i, f := range send {
		for _, m := range []struct {
			name  string
			gauge bool
			known bool
		}{{"foresail.server.in_flight", true, true}, {"http.server.active_requests", false, true}, {"foresail.server.in_flight", false, false}, {"jvm.threads", true, false}} {
			if err := f(metrics(m.name, m.gauge, 7)); err != nil {
				t.Fatalf("%d: %s: %v", i, m.name, err)
			}
			if (len(sink.reports) == 1) != m.known {
				t.Fatalf("%d: %s: %d reports", i, m.name, len(sink.reports))
			}
			if m.known {
				if got := <-sink.reports; got.Service != "cart" || got.Replica != "cart-1" || got.InFlight.Last != 7 || got.End != 5e9 {
					t.Errorf("%+v", got)
				}
			}
		}
	}
	sink.result = telemetry.Result{Rejected: 1, Reason: "strangers"}
	resp, err := pmetricotlp.NewGRPCClient(conn).Export(t.Context(), metrics("foresail.server.in_flight", true, 7))
	if err != nil || resp.PartialSuccess().RejectedDataPoints() != 1 || resp.PartialSuccess().ErrorMessage() == "" {
		t.Errorf("%v %v", resp, err)
	}
}

// A sink that takes spans alone refuses metrics by the protocol's own code.
func TestMetricsWithoutASink(t *testing.T) {
	r, err := Listen(Config{HTTP: "127.0.0.1:0", GRPC: "127.0.0.1:0"}, &collect{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Shutdown(context.Background())
	conn, err := grpc.NewClient(r.GRPCAddr(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := pmetricotlp.NewGRPCClient(conn).Export(t.Context(), metrics("m", true, 1)); status.Code(err) != codes.Unimplemented {
		t.Error(err)
	}
	resp, err := http.Post("http://"+r.HTTPAddr()+"/v1/metrics", "application/x-protobuf", nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != 404 {
		t.Error(resp.Status)
	}
}
