package otlp_test

import (
	"context"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"foresail.dev/access"
	"foresail.dev/access/accesstest"
	. "foresail.dev/telemetry/otlp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"google.golang.org/grpc/credentials"
)

// With TLS, client certificates and tokens, OpenTelemetry's own exporters get in by what they are configured with, and
// not otherwise.
func TestExportersOverMutualTLSWithAToken(t *testing.T) {
	ca := accesstest.New(t, "ca")
	issue := func(name string, serial int64) access.Files {
		cert, key := ca.Issue(t, name, serial, time.Now().Add(time.Hour))
		return access.Files{Cert: cert, Key: key, CA: ca.File}
	}
	server, err := access.Server(issue("server", 1))
	if err != nil {
		t.Fatal(err)
	}
	client, err := access.Client(issue("sender", 2))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "tokens")
	token := func(name string, role access.Role) access.Secret {
		s, e, err := access.NewToken(name, role, time.Time{})
		if err == nil {
			err = access.AddEntry(path, e)
		}
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	writer, reader := token("collector", access.Write), token("ci", access.Read)
	tokens, err := access.OpenTokens(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	sink := &collect{}
	r := listen(t, Config{TLS: server, Tokens: tokens}, sink)
	for _, c := range []struct {
		name  string
		token access.Secret
		takes bool
	}{{"writer", writer, true}, {"reader", reader, false}, {"wrong", access.NewSecret("foresail_guessed"), false}, {"none", access.Secret{}, false}} {
		headers := map[string]string{}
		if !c.token.IsZero() {
			headers["authorization"] = "Bearer " + c.token.Reveal()
		}
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		g, err := otlptracegrpc.New(ctx, otlptracegrpc.WithEndpoint(r.GRPCAddr()), otlptracegrpc.WithTLSCredentials(credentials.NewTLS(client)), otlptracegrpc.WithHeaders(headers),
			otlptracegrpc.WithRetry(otlptracegrpc.RetryConfig{}))
		if err != nil {
			t.Fatal(err)
		}
		h, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpoint(r.HTTPAddr()), otlptracehttp.WithTLSClientConfig(client), otlptracehttp.WithHeaders(headers),
			otlptracehttp.WithRetry(otlptracehttp.RetryConfig{}))
		if err != nil {
			t.Fatal(err)
		}
		for protocol, e := range map[string]sdktrace.SpanExporter{"gRPC": g, "HTTP": h} {
			before := len(sink.got())
			tp := sdktrace.NewTracerProvider()
			_, span := tp.Tracer("t").Start(ctx, "op")
			span.End()
			err := e.ExportSpans(ctx, []sdktrace.ReadOnlySpan{span.(sdktrace.ReadOnlySpan)})
			if took := len(sink.got()) > before; took != c.takes || (err == nil) != c.takes {
				t.Errorf("%s with %s token: taken %t, error %v", protocol, c.name, took, err)
			}
			if err != nil && !c.token.IsZero() && strings.Contains(err.Error(), c.token.Reveal()) {
				t.Errorf("%s with %s token: the error holds it: %v", protocol, c.name, err)
			}
			if err := e.Shutdown(ctx); err != nil {
				t.Error(err)
			}
		}
		cancel()
	}
	if n := r.Stats().Denied; n != 6 {
		t.Errorf("%d requests denied, want 6", n)
	}
	resp, err := http.Post("http://"+r.HTTPAddr()+"/v1/traces", "application/json", strings.NewReader("{}"))
	if err == nil {
		resp.Body.Close()
		if resp.StatusCode == 200 {
			t.Error("a request without TLS was taken")
		}
	}
	http.DefaultClient.CloseIdleConnections()
}
