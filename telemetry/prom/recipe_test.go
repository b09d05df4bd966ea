package prom

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/appfile"
)

// Each way in which a source writes its series is read as what it means: of a front end of one process that answers 10
// requests in 5 s, 2 of which fail, and calls the cart 10 times.
func TestRecipes(t *testing.T) {
	for _, test := range []struct {
		name, load string
		requests   float64 // of front
		errors     float64
		mean       float64 // seconds; 0: no latency
		calls      float64
		has        foresail.Signals
	}{
		{name: "HTTP, classic", requests: 10, errors: 2, mean: 0.03, load: `
  http_server_request_duration_seconds_bucket{job="shop/front",instance="a",le="0.05"} 0+8x30
  http_server_request_duration_seconds_bucket{job="shop/front",instance="a",le="+Inf"} 0+8x30
  http_server_request_duration_seconds_sum{job="shop/front",instance="a"} 0+0.24x30
  http_server_request_duration_seconds_bucket{job="shop/front",instance="a",http_response_status_code="503",le="+Inf"} 0+2x30`},
		{name: "HTTP before 1.23, in milliseconds", requests: 10, errors: 2, mean: 0.03, load: `
  http_server_duration_milliseconds_bucket{service_name="front",http_status_code="200",le="50"} 0+8x30
  http_server_duration_milliseconds_bucket{service_name="front",http_status_code="200",le="+Inf"} 0+8x30
  http_server_duration_milliseconds_sum{service_name="front",http_status_code="200"} 0+240x30
  http_server_duration_milliseconds_bucket{service_name="front",http_status_code="500",le="+Inf"} 0+2x30`},
		{name: "HTTP, without units", requests: 8, mean: 1.02, load: `
  http_server_request_duration{service_name="front"} {{schema:4 count:0 sum:0 buckets:[0 0]}}+{{schema:4 count:8 sum:8.16 buckets:[0 8]}}x30`},
		{name: "HTTP, untranslated, native", requests: 8, mean: 1.02, load: `
  {"http.server.request.duration","service.name"="front"} {{schema:4 count:0 sum:0 buckets:[0 0]}}+{{schema:4 count:8 sum:8.16 buckets:[0 8]}}x30`},
		{name: "HTTP, untranslated, classic", requests: 10, errors: 2, mean: 0.03, load: `
  {"http.server.request.duration_seconds_bucket","service.name"="front","le"="0.05"} 0+8x30
  {"http.server.request.duration_seconds_bucket","service.name"="front","le"="+Inf"} 0+8x30
  {"http.server.request.duration_seconds_sum","service.name"="front"} 0+0.24x30
  {"http.server.request.duration_seconds_bucket","service.name"="front","http.response.status_code"="500","le"="+Inf"} 0+2x30`},
		{name: "RPC", requests: 10, errors: 2, mean: 0.03, load: `
  rpc_server_call_duration_seconds_bucket{service_name="front",le="0.05"} 0+8x30
  rpc_server_call_duration_seconds_bucket{service_name="front",le="+Inf"} 0+8x30
  rpc_server_call_duration_seconds_sum{service_name="front"} 0+0.24x30
  rpc_server_call_duration_seconds_bucket{service_name="front",rpc_response_status_code="UNAVAILABLE",le="+Inf"} 0+2x30`},
		{name: "RPC before 1.38, in milliseconds", requests: 10, errors: 2, mean: 0.03, load: `
  rpc_server_duration_milliseconds_bucket{service_name="front",rpc_grpc_status_code="5",le="50"} 0+8x30
  rpc_server_duration_milliseconds_bucket{service_name="front",rpc_grpc_status_code="5",le="+Inf"} 0+8x30
  rpc_server_duration_milliseconds_sum{service_name="front",rpc_grpc_status_code="5"} 0+240x30
  rpc_server_duration_milliseconds_bucket{service_name="front",rpc_grpc_status_code="14",le="+Inf"} 0+2x30`},
		{name: "HTTP and RPC add up", requests: 15, mean: 0, load: `
  http_server_request_duration_seconds_bucket{service_name="front",le="+Inf"} 0+10x30
  rpc_server_call_duration_seconds_bucket{service_name="front",le="+Inf"} 0+5x30`},
		{name: "old and new names at once do not", requests: 10, mean: 0, load: `
  http_server_request_duration_seconds_bucket{service_name="front",le="+Inf"} 0+10x30
  http_server_duration_milliseconds_bucket{service_name="front",le="+Inf"} 0+10x30`},
		{name: "calls of a client", calls: 10, load: `
  http_client_request_duration_seconds_bucket{service_name="front",server_address="cart",le="+Inf"} 0+10x30
  http_client_request_duration_seconds_bucket{service_name="front",server_address="elsewhere.example",le="+Inf"} 0+10x30`},
		{name: "Istio", requests: 10, errors: 2, mean: 0.03, calls: 10, load: `
  istio_request_duration_milliseconds_bucket{reporter="destination",destination_canonical_service="front",source_canonical_service="cart",response_code="200",le="50"} 0+8x30
  istio_request_duration_milliseconds_bucket{reporter="destination",destination_canonical_service="front",source_canonical_service="cart",response_code="200",le="+Inf"} 0+8x30
  istio_request_duration_milliseconds_sum{reporter="destination",destination_canonical_service="front",source_canonical_service="cart",response_code="200"} 0+240x30
  istio_request_duration_milliseconds_bucket{reporter="destination",destination_canonical_service="front",source_canonical_service="cart",response_code="503",le="+Inf"} 0+2x30
  istio_request_duration_milliseconds_bucket{reporter="source",destination_canonical_service="front",source_canonical_service="cart",response_code="200",le="+Inf"} 0+8x30
  istio_requests_total{reporter="destination",destination_canonical_service="front",source_canonical_service="cart",response_code="200"} 0+8x30`},
		{name: "Istio, counted alone", requests: 10, errors: 2, calls: 10, load: `
  istio_requests_total{reporter="destination",destination_workload="front",source_workload="cart",response_code="200"} 0+8x30
  istio_requests_total{reporter="destination",destination_workload="front",source_workload="cart",response_code="500"} 0+2x30`},
		{name: "spanmetrics", requests: 10, errors: 2, mean: 0.03, load: `
  traces_span_metrics_duration_milliseconds_bucket{service_name="front",span_name="POST /buy",span_kind="SPAN_KIND_SERVER",status_code="STATUS_CODE_UNSET",le="50"} 0+8x30
  traces_span_metrics_duration_milliseconds_bucket{service_name="front",span_name="POST /buy",span_kind="SPAN_KIND_SERVER",status_code="STATUS_CODE_UNSET",le="+Inf"} 0+8x30
  traces_span_metrics_duration_milliseconds_sum{service_name="front",span_name="POST /buy",span_kind="SPAN_KIND_SERVER",status_code="STATUS_CODE_UNSET"} 0+240x30
  traces_span_metrics_duration_milliseconds_bucket{service_name="front",span_name="POST /buy",span_kind="SPAN_KIND_SERVER",status_code="STATUS_CODE_ERROR",le="+Inf"} 0+2x30
  traces_span_metrics_duration_milliseconds_bucket{service_name="front",span_name="pay",span_kind="SPAN_KIND_CLIENT",status_code="STATUS_CODE_UNSET",le="+Inf"} 0+2x30
  traces_span_metrics_calls_total{service_name="front",span_name="POST /buy",span_kind="SPAN_KIND_SERVER",status_code="STATUS_CODE_UNSET"} 0+8x30`},
		{name: "spanmetrics, counted alone", requests: 10, errors: 2, load: `
  calls_total{service_name="front",span_name="POST /buy",span_kind="SPAN_KIND_SERVER",status_code="STATUS_CODE_UNSET"} 0+8x30
  calls_total{service_name="front",span_name="POST /buy",span_kind="SPAN_KIND_SERVER",status_code="STATUS_CODE_ERROR"} 0+2x30`},
		{name: "service graph", calls: 10, load: `
  traces_service_graph_request_total{client="front",server="cart"} 0+10x30
  traces_service_graph_request_total{client="user",server="front"} 0+10x30`},
		{name: "two sources of the same requests", requests: 10, mean: 0, load: `
  http_server_request_duration_seconds_bucket{service_name="front",le="+Inf"} 0+10x30
  istio_requests_total{reporter="destination",destination_workload="front",response_code="200"} 0+10x30
  calls_total{service_name="front",span_kind="SPAN_KIND_SERVER"} 0+10x30`},
		{name: "Compose", has: foresail.SignalCPU | foresail.SignalMemory | foresail.SignalDisk | foresail.SignalPressure, load: `
  container_cpu_usage_seconds_total{container_label_com_docker_compose_service="front",name="shop-front-1"} 0+1x30
  container_memory_working_set_bytes{container_label_com_docker_compose_service="front",name="shop-front-1"} 5x30
  container_fs_reads_bytes_total{container_label_com_docker_compose_service="front",name="shop-front-1"} 0+1x30
  container_pressure_cpu_waiting_seconds_total{container_label_com_docker_compose_service="front",name="shop-front-1"} 0+1x30`},
		{name: "a stateful set, and limits", has: foresail.SignalReady | foresail.SignalAllocation, load: `
  kube_statefulset_status_replicas_ready{statefulset="front"} 1x30
  kube_statefulset_status_replicas{statefulset="front"} 1x30
  kube_pod_container_resource_limits{container="front",pod="front-0",resource="cpu"} 2x30`},
		{name: "containers that are all called server", has: foresail.SignalCPU | foresail.SignalMemory | foresail.SignalAllocation, load: `
  container_cpu_usage_seconds_total{container="server",pod="front-6d4cf56db6-x2x9z"} 0+1x30
  container_cpu_usage_seconds_total{container="",pod="front-6d4cf56db6-x2x9z"} 0+1x30
  container_memory_working_set_bytes{container="server",pod="front-6d4cf56db6-x2x9z"} 5x30
  kube_deployment_status_replicas{deployment="front"} 1x30
  kube_pod_container_resource_limits{container="server",pod="front-6d4cf56db6-x2x9z",resource="cpu"} 2x30`},
		{name: "targets alone", has: foresail.SignalReady, load: `
  up{job="front",instance="a"} 1x30`},
	} {
		t.Run(test.name, func(t *testing.T) {
			bubble(t, "load 5s"+test.load, func(t *testing.T, s *server, cfg Config) {
				src, err := Open(t.Context(), cfg)
				if err != nil {
					t.Fatal(err)
				}
				got, err := src.Next(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				front := &got.Services[0]
				near(t, "requests", front.Completions, test.requests)
				near(t, "errors", front.Errors, test.errors)
				if test.mean > 0 {
					near(t, "mean latency", front.Latency.Mean(), test.mean)
				}
				calls := 0.0
				for _, e := range got.Edges {
					calls += e.Calls
				}
				near(t, "calls", calls, test.calls)
				if front.Has.Has(foresail.SignalCPU) {
					near(t, "CPU", front.CPU, 1)
				}
				if !front.Has.Has(test.has) {
					t.Errorf("has %v, want %v", front.Has, test.has)
				}
			})
		})
	}
}

// A recipe of one's own comes first, and names that differ are told by a map or by a selector.
func TestOwnRecipe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "own.yaml")
	text := `
recipes:
  - name: ours
    service: [app]
    failed: {outcome: bad}
    series:
      - gives: requests
        metrics: [{name: our_latency_us, unit: us}]
        where: kind="in"
`
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var f File
	if err := appfile.ReadFile(path, &f); err != nil {
		t.Fatal(err)
	}
	const load = `load 5s
  our_latency_us_bucket{app="storefront",kind="in",env="prod",le="2000"} 0+9x30
  our_latency_us_bucket{app="storefront",kind="in",env="prod",le="+Inf"} 0+9x30
  our_latency_us_bucket{app="storefront",kind="in",env="prod",outcome="bad",le="+Inf"} 0+1x30
  our_latency_us_bucket{app="storefront",kind="in",env="test",le="+Inf"} 0+7x30
  our_latency_us_bucket{app="storefront",kind="out",env="prod",le="+Inf"} 0+7x30`
	bubble(t, load, func(t *testing.T, s *server, cfg Config) {
		recipes, err := Select(f.Recipes, []string{"ours", "otel"})
		if err != nil {
			t.Fatal(err)
		}
		cfg.Recipes, cfg.Services, cfg.Selector = recipes, map[string]string{"storefront": "front"}, `env="prod"`
		src, err := Open(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		got, err := src.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		front := &got.Services[0]
		if front.Completions != 10 || front.Errors != 1 || front.Latency.Quantile(0.99) > 2.1*time.Millisecond.Seconds() || front.Latency.Quantile(0.99) < 1e-3 {
			t.Errorf("%+v", front.Usage)
		}
	})
}

// What is wrong with recipes is told all at once, with its place.
func TestRecipeFaults(t *testing.T) {
	const text = `recipes:
  - name: bad
    series:
      - gives: cpus
        metrics: [a]
      - gives: cpu
        metrics: [a]
      - gives: calls
        metrics: [a]
        service: [s]
        failed: {x: "("}
      - gives: cpu
        metrics: []
        service: [s]
        unit: minutes
`
	err := appfile.Decode("bad.yaml", []byte(text), &File{})
	if err == nil {
		t.Fatal("it is taken")
	}
	for _, want := range []string{"unknown kind", "name the labels that may hold the service", "both ends", "failed: x", "must not be empty", "minutes"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("no word of %q in:\n%v", want, err)
		}
	}
	if _, err := Select(nil, []string{"otel", "nope"}); err == nil || !strings.Contains(err.Error(), "cadvisor") {
		t.Errorf("%v", err)
	}
}
