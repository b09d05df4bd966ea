package metrics

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// What is off counts nothing, and does not fail.
func TestOff(t *testing.T) {
	var m *Metrics
	m.Arrived()
	m.Served("op", 200, time.Second)
	m.Called("cart", 0, errors.New("gone"), time.Second)
}

// Requests and calls show under the conventions' names, each with its outcome.
func TestServed(t *testing.T) {
	m := New()
	at, err := m.Listen(func(err error) { t.Error(err) })
	if err != nil {
		t.Fatal(err)
	}
	defer m.server.Close()
	m.Arrived()
	m.Arrived()
	m.Served("buy", 503, 20*time.Millisecond)
	m.Called("cart", 200, nil, time.Millisecond)
	m.Called("cart", 0, errors.New("timed out"), time.Millisecond)
	resp, err := http.Get("http://" + at + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(resp.Body)
	for _, want := range []string{
		"http_server_active_requests 1",
		`http_server_request_duration_seconds_bucket{error_type="503",http_request_method="GET",http_response_status_code="503",http_route="buy",le="0.025"} 1`,
		`http_client_request_duration_seconds_count{error_type="",http_request_method="GET",http_response_status_code="200",server_address="cart"} 1`,
		`http_client_request_duration_seconds_count{error_type="timed out",http_request_method="GET",http_response_status_code="",server_address="cart"} 1`,
	} {
		if !strings.Contains(string(b), want) {
			t.Errorf("no %s in\n%s", want, b)
		}
	}
}

// What a request with two calls costs, on and off.
func BenchmarkMetrics(b *testing.B) {
	for _, x := range []struct {
		name string
		m    *Metrics
	}{{"on", New()}, {"off", nil}} {
		b.Run(x.name, func(b *testing.B) {
			b.ReportAllocs()
			for i := range b.N {
				took := time.Duration(i%1000) * time.Microsecond
				x.m.Arrived()
				x.m.Called("cart", 200, nil, took)
				x.m.Called("user", 200, nil, took)
				x.m.Served("buy", 200, took)
			}
		})
	}
}
