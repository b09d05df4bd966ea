package doctor

import (
	"math"
	"strings"
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/telemetry/prom"
)

// A report says what is there, what is not, and what that costs; names from outside can't act on the terminal.
func TestReport(t *testing.T) {
	b := foresail.Bounds{MinReplicas: 1, MaxReplicas: 2, MinCPU: 0.1, MaxCPU: 1}
	app := &foresail.App{Name: "shop", Services: []foresail.Service{{Name: "front", Bounds: b, Initial: foresail.Allocation{Replicas: 1, CPU: 1}}, {Name: "cart\x1b[2J", Bounds: b, Initial: foresail.Allocation{Replicas: 1, CPU: 1}}},
		Endpoints: []foresail.Endpoint{{Name: "buy", Objective: &foresail.Objective{Percentile: 99, Latency: time.Second}}}}
	most := prom.Worth &^ (foresail.SignalDisk | foresail.SignalPressure)
	r := &prom.Report{App: app, Scrape: 15 * time.Second, Interval: 15 * time.Second, Skew: -90 * time.Second, Edges: 1,
		Services: []prom.ServiceReport{
			{Name: "front", Replicas: 2, Has: most, From: map[prom.Kind][]string{prom.CPU: {"cadvisor"}, prom.Requests: {"otel"}, prom.CPULimit: {"kube-state"}}},
			{Name: "cart\x1b[2J", Has: most &^ foresail.SignalCPU, From: map[prom.Kind][]string{prom.Requests: {"otel", "istio"}}},
		},
		Histograms: []prom.HistogramReport{{Recipe: "otel", Metric: "m_bucket", Services: 2, Error: 0.31}, {Recipe: "otel", Metric: "n_bucket", Services: 1, Error: math.Inf(1)}},
		Endpoints:  []prom.EndpointReport{{Name: "buy", Seen: true, Error: math.Inf(1)}},
		Unknown:    []prom.UnknownReport{{Recipe: "cadvisor", Metric: "cpu", Label: "container", Names: []string{"sidecar"}}},
	}
	d := Of(r)
	var out strings.Builder
	if err := d.Print(&out, true); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"samples are 15s apart", "the clocks disagree by -1m30s", "m_bucket (otel, 2 services): classic buckets; the 99th percentile is known to within 31 %",
		"over the last bucket", "endpoint buy: its objective is over the last bucket", "missing disk of all services", "missing cpu of cart",
		"hpa can decide, but not for cart", "otel+istio", "has names that the application does not: sidecar", "calls from service to service: 1 edges",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no word of %q in\n%s", want, out.String())
		}
	}
	if strings.ContainsRune(out.String(), '\x1b') {
		t.Errorf("an escape in %q", out.String())
	}
	rows := d.Rows()
	if rows[0].CPU != "cadvisor" || rows[0].Missing != "disk, pressure" || rows[1].CPU != "" || rows[1].Missing != "cpu, disk, pressure" {
		t.Errorf("%+v", rows)
	}
	if err := d.Usable("http://x"); err != nil {
		t.Error(err)
	}
	r.Services = nil
	if err := Of(r).Usable("http://x"); err == nil || !strings.Contains(err.Error(), "recipe of your own") {
		t.Error(err)
	}
}
