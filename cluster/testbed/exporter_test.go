package testbed_test

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/cluster/testbed"
)

// scrape reads a target's metrics as text.
func scrape(t *testing.T, address string) string {
	t.Helper()
	resp, err := http.Get("http://" + address + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatal(resp.Status, err)
	}
	return string(b)
}

// value is that of the series that begins so; ok is false where there is none.
func value(text, series string) (v float64, ok bool) {
	m := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(series) + ` (\S+)$`).FindStringSubmatch(text)
	if m == nil {
		return 0, false
	}
	v, err := strconv.ParseFloat(m[1], 64)
	return v, err == nil
}

type targets []struct {
	Targets []string
	Labels  map[string]string
}

func discovered(t *testing.T, path string) (out targets) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// Every replica tells of its requests and its calls, and the testbed of containers and deployments; the file of targets
// follows the replicas as they come and go. No span is needed for any of it.
func TestMetricsAreServed(t *testing.T) {
	file := filepath.Join(t.TempDir(), "targets.json")
	c := newCluster(t, testbed.Config{Blueprint: twoTier(), Load: rate(50), Seed: 1, OTLP: noSpans, Metrics: "127.0.0.1:0", Targets: file})
	merged(t, c, 2*time.Second)
	find := func(service string) (addresses []string) {
		for _, x := range discovered(t, file) {
			if x.Labels["service_name"] == service && x.Labels["namespace"] == "test" && x.Labels["pod"] != "" {
				addresses = append(addresses, x.Targets...)
			}
		}
		return addresses
	}
	if n := len(find("cache")); n != 2 {
		t.Fatalf("%d targets of the cache, which has 2 replicas", n)
	}
	front := scrape(t, find("front")[0])
	served, _ := value(front, `http_server_request_duration_seconds_count{error_type="",http_request_method="GET",http_response_status_code="200",http_route="get page"}`)
	called, _ := value(front, `http_client_request_duration_seconds_count{error_type="",http_request_method="GET",http_response_status_code="200",server_address="cache"}`)
	if served < 60 || called < served {
		t.Errorf("front served %v and called %v", served, called)
	}
	if _, ok := value(front, "http_server_active_requests"); !ok {
		t.Error("front does not tell what it is serving")
	}
	bed := scrape(t, c.Metrics())
	for series, least := range map[string]float64{
		`container_cpu_usage_seconds_total{container="front",namespace="test",pod="front-0"}`:                             0.01,
		`container_cpu_cfs_throttled_seconds_total{container="front",namespace="test",pod="front-0"}`:                     0,
		`container_network_receive_bytes_total{interface="eth0",namespace="test",pod="front-0"}`:                          1000,
		`kube_deployment_status_replicas_ready{deployment="cache",namespace="test"}`:                                      2,
		`kube_deployment_status_replicas{deployment="cache",namespace="test"}`:                                            2,
		`kube_deployment_spec_replicas{deployment="cache",namespace="test"}`:                                              2,
		`kube_pod_container_resource_limits{container="front",namespace="test",pod="front-0",resource="cpu",unit="core"}`: 0.5,
	} {
		if v, ok := value(bed, series); !ok || v < least {
			t.Errorf("%s is %v, %v; want at least %v", series, v, ok, least)
		}
	}
	plan := &foresail.Plan{Changes: []foresail.Change{{Service: 0, To: foresail.Allocation{Replicas: 2, CPU: 0.5}}, {Service: 1, To: foresail.Allocation{Replicas: 1, CPU: 0.3}}}}
	if err := c.Apply(t.Context(), plan); err != nil {
		t.Fatal(err)
	}
	eventually(t, 10*time.Second, "targets of the replicas that there are", func() bool { return len(find("front")) == 2 && len(find("cache")) == 1 })
	shut(t, c)
	if _, err := os.Stat(file); !os.IsNotExist(err) {
		t.Errorf("the file of targets is left behind: %v", err)
	}
}
