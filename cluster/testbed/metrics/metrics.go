// Package metrics is what a replica tells Prometheus, as an application that follows OpenTelemetry's semantic conventions
// does: how long its requests and its calls took, as native histograms with classic buckets besides, and how many requests
// it holds.
package metrics

import (
	"errors"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Metrics counts. A nil *Metrics counts nothing, so that what is off costs nothing.
type Metrics struct {
	registry *prometheus.Registry
	served   *prometheus.HistogramVec
	called   *prometheus.HistogramVec
	active   prometheus.Gauge
	server   http.Server
}

// bounds are the classic buckets that the conventions recommend, in seconds.
var bounds = []float64{0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10}

// factor makes native buckets of schema 4, which are the sketch's.
const factor = 1.0443

func durations(name, help string, labels ...string) *prometheus.HistogramVec {
	return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: bounds,
		NativeHistogramBucketFactor: factor, NativeHistogramMaxBucketNumber: 200, NativeHistogramMinResetDuration: time.Hour}, labels)
}

// New makes the metrics of one replica.
func New() *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		served: durations("http_server_request_duration_seconds", "How long requests took.",
			"http_request_method", "http_route", "http_response_status_code", "error_type"),
		called: durations("http_client_request_duration_seconds", "How long calls took.",
			"http_request_method", "server_address", "http_response_status_code", "error_type"),
		active: prometheus.NewGauge(prometheus.GaugeOpts{Name: "http_server_active_requests", Help: "Requests that are being served."}),
	}
	m.registry.MustRegister(m.served, m.called, m.active)
	return m
}

// Listen serves the metrics on loopback, and returns where. failed is told when that ends.
func (m *Metrics) Listen(failed func(error)) (address string, err error) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	m.server.Handler = promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
	m.server.ReadHeaderTimeout = 5 * time.Second
	go func() {
		if err := m.server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			failed(err)
		}
	}()
	return l.Addr().String(), nil
}

// Arrived counts a request that is being served.
func (m *Metrics) Arrived() {
	if m != nil {
		m.active.Inc()
	}
}

// Served counts a request of an operation that was answered with a status. It is not active any more.
func (m *Metrics) Served(operation string, status int, took time.Duration) {
	if m != nil {
		m.active.Dec()
		code := strconv.Itoa(status)
		m.served.WithLabelValues(http.MethodGet, operation, code, errorType(code, status)).Observe(took.Seconds())
	}
}

// Called counts a call of a service that ended with a status, or with an error and none.
func (m *Metrics) Called(service string, status int, err error, took time.Duration) {
	if m == nil {
		return
	}
	code, kind := "", ""
	switch {
	case status > 0:
		code = strconv.Itoa(status)
		kind = errorType(code, status)
	case err != nil:
		kind = err.Error()
	}
	m.called.WithLabelValues(http.MethodGet, service, code, kind).Observe(took.Seconds())
}

func errorType(code string, status int) string {
	if status >= http.StatusInternalServerError {
		return code
	}
	return ""
}
