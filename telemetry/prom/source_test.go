package prom

import (
	"fmt"
	"math"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"foresail.dev"
)

// shop is a front end that calls a cart.
func shop() *foresail.App {
	b := foresail.Bounds{MinReplicas: 1, MaxReplicas: 4, MinCPU: 0.1, MaxCPU: 4}
	return &foresail.App{Name: "shop",
		Services: []foresail.Service{{Name: "front", Bounds: b}, {Name: "cart", Bounds: b}},
		Endpoints: []foresail.Endpoint{
			{Name: "buy", Entry: 0, Operation: "POST /buy", Objective: &foresail.Objective{Percentile: 99, Latency: 100 * time.Millisecond}},
			{Name: "look", Entry: 0, Operation: "/look"},
		}}
}

// all is a minute and a half of everything that a well-kept cluster has, each 5 s. Of front, one of two replicas fails now
// and then; cart's native histogram counts 40 requests of 1 s to 1.04 s each 5 s.
const all = `
load 5s
  http_server_request_duration_seconds_bucket{service_name="front",pod="front-0",http_request_method="POST",http_route="/buy",le="0.05"} 0+50x18
  http_server_request_duration_seconds_bucket{service_name="front",pod="front-0",http_request_method="POST",http_route="/buy",le="0.1"}  0+90x18
  http_server_request_duration_seconds_bucket{service_name="front",pod="front-0",http_request_method="POST",http_route="/buy",le="+Inf"} 0+100x18
  http_server_request_duration_seconds_sum{service_name="front",pod="front-0",http_request_method="POST",http_route="/buy"} 0+6x18
  http_server_request_duration_seconds_bucket{service_name="front",pod="front-1",http_request_method="POST",http_route="/buy",http_response_status_code="500",error_type="500",le="0.05"} 0+1x18
  http_server_request_duration_seconds_bucket{service_name="front",pod="front-1",http_request_method="POST",http_route="/buy",http_response_status_code="500",error_type="500",le="+Inf"} 0+2x18
  http_server_request_duration_seconds_bucket{service_name="front",pod="front-0",http_request_method="GET",http_route="/look",http_response_status_code="404",le="0.05"} 0+7x18
  http_server_request_duration_seconds_bucket{service_name="front",pod="front-0",http_request_method="GET",http_route="/look",http_response_status_code="404",le="+Inf"} 0+7x18
  http_server_request_duration_seconds{service_name="cart",pod="cart-0"} {{schema:4 count:0 sum:0 buckets:[0 0]}}+{{schema:4 count:40 sum:40.8 buckets:[0 40]}}x18
  http_server_active_requests{service_name="cart",pod="cart-0"} 0+1x18
  http_client_request_duration_seconds{service_name="front",pod="front-0",server_address="cart.shop.svc.cluster.local"} {{schema:4 count:0 sum:0 buckets:[0 0]}}+{{schema:4 count:20 sum:20.8 buckets:[0 20]}}x18
  container_cpu_usage_seconds_total{container="front",pod="front-0"} 100+2x18
  container_cpu_usage_seconds_total{container="front",pod="front-1"} 100+1x18
  container_cpu_usage_seconds_total{container="cart",pod="cart-0"} 0 3 6 1 2+1x14
  container_cpu_usage_seconds_total{container="",pod="cart-0"} 0+9x18
  container_cpu_cfs_throttled_seconds_total{container="front",pod="front-0"} 0+0.5x18
  container_memory_working_set_bytes{container="front",pod="front-0"} 1e6x18
  container_network_receive_bytes_total{pod="front-6d4cf56db6-x2x9z",interface="eth0"} 0+1000x18
  container_network_transmit_bytes_total{pod="front-6d4cf56db6-x2x9z",interface="eth0"} 0+500x18
  kube_deployment_status_replicas_ready{deployment="front"} 2x18
  kube_deployment_status_replicas{deployment="front"} 2x18
  kube_deployment_spec_replicas{deployment="front"} 3x18
  kube_pod_container_resource_limits{container="front",pod="front-0",resource="cpu",unit="core"} 0.5x18
  kube_pod_container_resource_limits{container="front",pod="front-1",resource="cpu",unit="core"} 0.5x18
  kube_pod_container_resource_limits{container="front",pod="front-0",resource="memory",unit="byte"} 5e8x18
`

// bubble runs f where time starts at 60 s after the samples do, and stands still but for sleeping.
func bubble(t *testing.T, load string, f func(t *testing.T, s *server, cfg Config)) {
	t.Helper()
	var s *server
	var shift time.Duration
	now := func() time.Time { return time.Now().Add(shift) }
	s = serve(t, load, func() time.Time { return now() })
	synctest.Test(t, func(t *testing.T) {
		shift = time.Until(time.Unix(60, 0))
		f(t, s, Config{Access: Access{URL: "http://prometheus.test", Transport: s}, App: shop(), Now: now, Log: func(m string) { t.Log(m) }})
	})
}

func near(t *testing.T, what string, got, want float64) {
	t.Helper()
	if math.Abs(got-want) > 1e-6*max(1, math.Abs(want)) {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

// One interval of everything: what is counted, where it is told, and what is not there is absent.
func TestSourceReadsEverything(t *testing.T) {
	bubble(t, all, func(t *testing.T, s *server, cfg Config) {
		src, err := Open(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		if src.Every() != 5*time.Second || src.setup.scrape != 5*time.Second {
			t.Fatalf("an interval of %v, scraped each %v", src.Every(), src.setup.scrape)
		}
		s.asked()
		began := cfg.Now()
		got, err := src.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if !got.Start.Equal(time.Unix(55, 0)) || !got.End.Equal(time.Unix(60, 0)) || cfg.Now().Sub(began) > time.Second {
			t.Errorf("from %v to %v, after %v", got.Start.Unix(), got.End.Unix(), cfg.Now().Sub(began))
		}
		front, cart := &got.Services[0], &got.Services[1]
		near(t, "front's requests", front.Completions, 109)
		near(t, "front's errors", front.Errors, 2)
		near(t, "front's latencies", front.Latency.Count(), 107)
		near(t, "front's CPU", front.CPU, 3)
		near(t, "throttled", front.Throttled.Seconds(), 0.5)
		near(t, "front's memory", float64(front.Memory), 1e6)
		near(t, "received", float64(front.NetIn), 1000)
		near(t, "sent", float64(front.NetOut), 500)
		if front.Ready != 2 || front.Allocation.Replicas != 2 || front.Allocation.CPU != 0.5 || front.Allocation.Memory != 5e8 ||
			front.Pending == nil || front.Pending.Replicas != 3 {
			t.Errorf("front: ready %d, %+v, pending %+v", front.Ready, front.Allocation, front.Pending)
		}
		if len(front.Replicas) != 2 || front.Replicas[1].Name != "front-1" || front.Replicas[1].CPU != 1 || front.Replicas[1].Errors != 2 {
			t.Errorf("front's replicas: %+v", front.Replicas)
		}
		near(t, "cart's requests", cart.Completions, 40)
		near(t, "cart's arrivals, one of which is still there", cart.Arrivals, 41)
		near(t, "cart in flight", cart.InFlight.Last, 12)
		near(t, "cart's mean in flight", cart.InFlight.Mean, 11.5)
		near(t, "cart's sum of latencies", cart.Latency.Sum(), 40.8)
		if cart.Latency == nil {
			for _, f := range src.plan.found {
				t.Logf("%+v", *f)
			}
			t.Fatal(src.plan.notes, s.asked())
		}
		for i, n := range cart.Latency.Buckets() {
			if i != 1 || n != 40 { // schema 4: (1, 2^(1/16)]
				t.Errorf("cart has %v latencies in bucket %d", n, i)
			}
		}
		if cart.Has.Has(foresail.SignalThrottled) || cart.Has.Has(foresail.SignalAllocation) || cart.Has.Has(foresail.SignalMemory) || cart.Has.Has(foresail.SignalReady) {
			t.Errorf("cart has %v", cart.Has)
		}
		buy, look := got.Endpoints[0], got.Endpoints[1]
		near(t, "bought", buy.Requests, 102)
		near(t, "failed to buy", buy.Errors, 2)
		near(t, "bought late: over the bucket of 0.1 s, or failed", buy.Late, 12)
		near(t, "looked", look.Requests, 7)
		if len(got.Edges) != 1 || got.Edges[0].From != 0 || got.Edges[0].To != 1 || got.Edges[0].Calls != 20 || got.Edges[0].Latency.Count() != 20 {
			t.Errorf("edges: %+v", got.Edges)
		}
		if got.Stale || got.Dropped != 0 {
			t.Errorf("stale: %v, dropped: %v", got.Stale, got.Dropped)
		}
		first := len(s.asked())
		if _, err := src.Next(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := len(s.asked()); n > 17 || first > 2*n {
			t.Errorf("%d queries for the first interval, %d for the second", first, n)
		}
	})
}

// A counter that falls was reset and counts from zero; one that is new counts where its process was there before, and
// else from its second value on; what is gone is absent.
func TestSourceCounters(t *testing.T) {
	const load = `
load 5s
  container_cpu_usage_seconds_total{container="front",pod="front-0"} 100+1x12 3+1x10
  container_cpu_usage_seconds_total{container="front",pod="front-1"} _x13 500+2x4 stale
  http_server_request_duration_seconds_bucket{service_name="cart",pod="cart-0",le="+Inf"} 0+10x30
  http_server_request_duration_seconds_bucket{service_name="cart",pod="cart-0",http_response_status_code="503",le="+Inf"} _x13 4+4x20
`
	bubble(t, load, func(t *testing.T, s *server, cfg Config) {
		src, err := Open(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		for i, want := range []struct {
			cpu, errors float64
			replicas    int
		}{{1, 0, 1}, {3, 4, 1}, {3, 4, 2}, {3, 4, 2}} {
			got, err := src.Next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if i == 0 && src.Every() != 5*time.Second {
				t.Fatal(src.Every())
			}
			near(t, "CPU", got.Services[0].CPU, want.cpu)
			near(t, "errors", got.Services[1].Errors, want.errors)
			if len(got.Services[0].Replicas) != want.replicas {
				t.Errorf("interval %d: %d replicas, want %d", i, len(got.Services[0].Replicas), want.replicas)
			}
		}
	})
}

// A part of an answer that is missing for a while, its process still there, does not count all that it ever counted when it
// is back; one that was reset meanwhile counts from zero.
func TestSourceLosesAndFinds(t *testing.T) {
	const load = `
load 5s
  http_server_request_duration_seconds_bucket{service_name="cart",pod="cart-0",le="+Inf"} 0+10x30
  http_server_request_duration_seconds_bucket{service_name="cart",pod="cart-0",http_response_status_code="404",le="+Inf"} 500+1x12 _ _ _ 516+1x10
  http_server_request_duration_seconds_bucket{service_name="cart",pod="cart-0",http_response_status_code="503",le="+Inf"} 500+1x12 _ _ _ 3+1x10
`
	bubble(t, load, func(t *testing.T, s *server, cfg Config) {
		src, err := Open(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		src.setup.scrape = time.Second // so that what is lost is seen to be
		for i, want := range []struct{ requests, errors float64 }{{12, 1}, {10, 0}, {10, 0}, {10, 0}, {13, 3}, {12, 1}} {
			got, err := src.Next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			near(t, fmt.Sprintf("requests of interval %d", i), got.Services[1].Completions, want.requests)
			near(t, fmt.Sprintf("errors of interval %d", i), got.Services[1].Errors, want.errors)
		}
	})
}

// However slow the server is, or whatever it answers, a snapshot comes on time; what was missed is not counted twice.
func TestSourceIsOnTime(t *testing.T) {
	bubble(t, all, func(t *testing.T, s *server, cfg Config) {
		src, err := Open(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := src.Next(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.reply = func(_ string, req *http.Request) *http.Response { <-req.Context().Done(); return nil }
		for range 2 {
			due := src.end.Add(src.every + src.cfg.Lag + src.patience())
			got, err := src.Next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if late := cfg.Now().Sub(due); late > 10*time.Millisecond {
				t.Errorf("late by %v", late)
			}
			if !got.Stale || got.Services[0].Has != 0 {
				t.Errorf("%+v", got.Services[0].Usage)
			}
		}
		s.mu.Lock()
		s.reply = nil
		s.mu.Unlock()
		got, err := src.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		near(t, "CPU after an outage", got.Services[0].CPU/got.Duration().Seconds(), 3.0/5)
		near(t, "requests after an outage", got.Services[1].Completions/got.Duration().Seconds(), 8)
	})
}

// The number of queries does not depend on how many services there are.
func TestQueriesDoNotGrow(t *testing.T) {
	count := func(n int) int {
		load := strings.Builder{}
		load.WriteString("load 5s\n")
		app := &foresail.App{Name: "many"}
		for i := range n {
			name := "svc-" + string(rune('a'+i%26)) + strings.Repeat("x", i/26)
			app.Services = append(app.Services, foresail.Service{Name: name})
			load.WriteString(`  http_server_request_duration_seconds_bucket{service_name="` + name + `",pod="p",le="+Inf"} 0+1x20` + "\n")
			load.WriteString(`  container_cpu_usage_seconds_total{container="` + name + `",pod="p"} 0+1x20` + "\n")
		}
		var queries int
		bubble(t, load.String(), func(t *testing.T, s *server, cfg Config) {
			cfg.App = app
			src, err := Open(t.Context(), cfg)
			if err != nil {
				t.Fatal(err)
			}
			s.asked()
			for range 2 {
				got, err := src.Next(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				for i := range got.Services {
					if got.Services[i].Completions != 1 || got.Services[i].CPU != 1 {
						t.Fatalf("service %d: %+v", i, got.Services[i].Usage)
					}
				}
			}
			queries = len(s.asked())
		})
		return queries
	}
	if few, many := count(3), count(300); few != many || few > 9 {
		t.Errorf("%d queries for 3 services, %d for 300", few, many)
	}
}

// What stops a source from opening says so in one line.
func TestOpenFails(t *testing.T) {
	for _, test := range []struct {
		name, want string
		reply      func(string, *http.Request) *http.Response
	}{
		{"a page", "is this the address of a Prometheus API", func(string, *http.Request) *http.Response {
			return answered(200, "text/html; charset=utf-8", "<html>login</html>")
		}},
		{"no API", "invalid character", func(string, *http.Request) *http.Response { return answered(200, "application/json", "hello") }},
		{"not let in", "401", func(string, *http.Request) *http.Response { return answered(401, "text/plain", "no") }},
		{"of another kind", "answered with a vector", func(string, *http.Request) *http.Response {
			return answered(200, "application/json", `{"status":"success","data":{"resultType":"vector","result":[]}}`)
		}},
		{"nothing known", "no series that a recipe knows of shop", func(q string, _ *http.Request) *http.Response {
			if q == "time()" {
				return nil
			}
			return answered(200, "application/json", `{"status":"success","data":{"resultType":"vector","result":[]}}`)
		}},
		{"too long", "too long", func(q string, _ *http.Request) *http.Response {
			r := answered(200, "application/json", "")
			r.Body = endless{}
			return r
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			bubble(t, "", func(t *testing.T, s *server, cfg Config) {
				s.reply = test.reply
				cfg.Bytes = 1 << 20
				_, err := Open(t.Context(), cfg)
				if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "\n") {
					t.Errorf("%v, want %q", err, test.want)
				}
			})
		})
	}
}

// endless is a body without an end.
type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }
func (endless) Close() error               { return nil }
