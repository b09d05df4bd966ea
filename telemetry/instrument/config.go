package instrument

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
)

// Config says who reports, and where to. Fields left out are taken from the environment variables that OpenTelemetry
// defines, so that a process which already sends spans needs none.
type Config struct {
	// Service is the application's name for the service. Default: OTEL_SERVICE_NAME, or service.name in
	// OTEL_RESOURCE_ATTRIBUTES.
	Service string
	// Instance names this process among the service's replicas; spans of it should carry the same. Default:
	// service.instance.id, k8s.pod.name or host.name in OTEL_RESOURCE_ATTRIBUTES, or else the host's name.
	Instance string
	// URL is where reports go, with or without the path /v1/metrics. Default: OTEL_EXPORTER_OTLP_METRICS_ENDPOINT,
	// OTEL_EXPORTER_OTLP_ENDPOINT unless OTEL_EXPORTER_OTLP_PROTOCOL is grpc, or http://127.0.0.1:4318.
	URL string
	// Header is sent with each report, such as an Authorization. Default: OTEL_EXPORTER_OTLP_HEADERS.
	Header http.Header
	// Transport sends them, for TLS of its own. Default: one connection, with the system's certificates.
	Transport http.RoundTripper
	// MaxEndpoints bounds the endpoints that servers, and as many that clients, count; the rest is "other". Default: 128.
	MaxEndpoints int
	// Trouble is told when reports begin to fail, and nil when they get through again. Default: nobody.
	Trouble func(error)
}

// complete fills in defaults and checks, naming every fault at once.
func (c *Config) complete(env func(string) string) error {
	attributes := pairs(env("OTEL_RESOURCE_ATTRIBUTES"))
	host, _ := os.Hostname() // without one there is still the rest
	first := func(dst *string, values ...string) {
		for _, v := range values {
			if *dst == "" {
				*dst = v
			}
		}
	}
	first(&c.Service, env("OTEL_SERVICE_NAME"), attributes["service.name"])
	first(&c.Instance, attributes["service.instance.id"], attributes["k8s.pod.name"], attributes["host.name"], host)
	first(&c.URL, env("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT"))
	if env("OTEL_EXPORTER_OTLP_PROTOCOL") != "grpc" {
		first(&c.URL, env("OTEL_EXPORTER_OTLP_ENDPOINT"))
	}
	first(&c.URL, "http://127.0.0.1:4318")
	if c.Header == nil {
		c.Header = http.Header{}
		for k, v := range pairs(env("OTEL_EXPORTER_OTLP_HEADERS")) {
			c.Header.Set(k, v)
		}
	}
	c.Header = c.Header.Clone()
	c.Header.Set("Content-Type", "application/x-protobuf")
	if c.MaxEndpoints <= 0 {
		c.MaxEndpoints = 128
	}
	var errs []error
	if c.Service == "" {
		errs = append(errs, errors.New("instrument: the service has no name: set Config.Service or OTEL_SERVICE_NAME"))
	}
	u, err := url.Parse(c.URL)
	switch {
	case err != nil:
		errs = append(errs, fmt.Errorf("instrument: %w", err))
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		errs = append(errs, fmt.Errorf("instrument: %q is no http or https URL: use one like http://127.0.0.1:4318", u.Redacted()))
	case !strings.HasSuffix(u.Path, "/v1/metrics"):
		c.URL = u.JoinPath("v1/metrics").String()
	}
	return errors.Join(errs...)
}

// pairs reads a list like "a=1,b=2", with values escaped as in URLs, as OpenTelemetry writes it.
func pairs(s string) map[string]string {
	out := map[string]string{}
	for part := range strings.SplitSeq(s, ",") {
		k, v, ok := strings.Cut(part, "=")
		if !ok {
			continue
		}
		v = strings.TrimSpace(v)
		if u, err := url.PathUnescape(v); err == nil {
			v = u
		}
		out[strings.TrimSpace(k)] = v
	}
	return out
}
