package instrumentgrpc_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"testing"
	"time"

	"foresail.dev/telemetry/instrument"
	. "foresail.dev/telemetry/instrument/instrumentgrpc"
	"foresail.dev/telemetry/instrument/internal/cpu"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
)

const (
	check = "/grpc.health.v1.Health/Check"
	watch = "/grpc.health.v1.Health/Watch"
)

type refuse struct{}

func (refuse) RoundTrip(*http.Request) (*http.Response, error) {
	return nil, errors.New("nobody listens")
}

// service answers Check as the request's service names the code, and streams health.
type service struct{ *health.Server }

func (s service) Check(ctx context.Context, r *healthpb.HealthCheckRequest) (*healthpb.HealthCheckResponse, error) {
	for c := codes.OK; c <= codes.Unauthenticated; c++ {
		if c.String() == r.Service && c != codes.OK {
			return nil, status.Error(c, "as asked")
		}
	}
	if r.Service == "panic" {
		panic("as asked")
	}
	return &healthpb.HealthCheckResponse{}, nil
}

// connected is a server and a client of it, both counted.
func connected(t testing.TB) (*instrument.Instrument, healthpb.HealthClient, service) {
	t.Helper()
	in, err := instrument.New(instrument.Config{Service: "cart", Transport: refuse{}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(in.Close)
	recovered := func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, h grpc.UnaryHandler) (_ any, err error) {
		defer func() {
			if recover() != nil {
				err = status.Error(codes.Internal, "panic")
			}
		}()
		return h(ctx, req)
	}
	s := grpc.NewServer(grpc.ChainUnaryInterceptor(recovered, UnaryServer(in)), grpc.ChainStreamInterceptor(StreamServer(in)))
	h := service{health.NewServer()}
	healthpb.RegisterHealthServer(s, h)
	l := bufconn.Listen(1 << 16)
	done := make(chan struct{})
	go func() { _ = s.Serve(l); close(done) }()
	conn, err := grpc.NewClient("passthrough:x", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return l.DialContext(ctx) }),
		grpc.WithChainUnaryInterceptor(UnaryClient(in)), grpc.WithChainStreamInterceptor(StreamClient(in)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(); s.Stop(); <-done })
	return in, healthpb.NewHealthClient(conn), h
}

// A request failed where the server is at fault; a client counts every answer but OK and Canceled.
func TestUnary(t *testing.T) {
	in, client, _ := connected(t)
	var want, wantClient instrument.Counts
	for _, c := range []struct {
		service        string
		server, client uint64
	}{{"fine", 0, 0}, {codes.NotFound.String(), 0, 1}, {codes.Unavailable.String(), 1, 1}, {codes.Unknown.String(), 1, 1}, {"panic", 1, 1}, {codes.Canceled.String(), 0, 0}} {
		_, err := client.Check(t.Context(), &healthpb.HealthCheckRequest{Service: c.service})
		if (err != nil) != (c.service != "fine") {
			t.Fatal(err)
		}
		want.Arrivals, want.Completions, want.Errors = want.Arrivals+1, want.Completions+1, want.Errors+c.server
		wantClient.Arrivals, wantClient.Completions, wantClient.Errors = want.Arrivals, want.Completions, wantClient.Errors+c.client
		if got := in.Server(check).Counts(); got != want {
			t.Errorf("%s: the server counts %+v, want %+v", c.service, got, want)
		}
		if got := in.Client(check).Counts(); got != wantClient {
			t.Errorf("%s: the client counts %+v, want %+v", c.service, got, wantClient)
		}
	}
}

// A stream is one request, in flight on both sides until it ends: by its client, or with an error by its server.
func TestStream(t *testing.T) {
	in, client, h := connected(t)
	open := func(ctx context.Context) grpc.ServerStreamingClient[healthpb.HealthCheckResponse] {
		t.Helper()
		s, err := client.Watch(ctx, &healthpb.HealthCheckRequest{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Recv(); err != nil {
			t.Fatal(err)
		}
		return s
	}
	until := func(want instrument.Counts) {
		t.Helper()
		late := time.Now().Add(10 * time.Second)
		for {
			server, client := in.Server(watch).Counts(), in.Client(watch).Counts()
			if server.Errors == client.Errors || server.InFlight == 0 {
				server.Errors = client.Errors // judged by their own sides; see TestUnary
			}
			if server == want && client == want {
				return
			}
			if time.Now().After(late) {
				t.Fatalf("the server counts %+v, the client %+v, want %+v", server, client, want)
			}
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	open(ctx)
	until(instrument.Counts{Arrivals: 1, InFlight: 1})
	cancel() // nobody receives
	until(instrument.Counts{Arrivals: 1, Completions: 1})

	ctx, cancel = context.WithCancel(t.Context())
	s := open(ctx)
	go cancel()
	for {
		if _, err := s.Recv(); err != nil {
			break
		}
	}
	until(instrument.Counts{Arrivals: 2, Completions: 2})

	ctx, cancel = context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if s, err := client.Watch(ctx, &healthpb.HealthCheckRequest{}); err == nil {
		for err == nil {
			_, err = s.Recv()
		}
	}
	// Its time was up, perhaps before the server heard of it.
	if got, want := in.Client(watch).Counts(), (instrument.Counts{Arrivals: 3, Completions: 3, Errors: 1}); got != want {
		t.Errorf("the client counts %+v, want %+v", got, want)
	}
	h.Shutdown()
}

// What an interceptor adds to a request that does nothing: at most 150 ns.
func BenchmarkUnaryServer(b *testing.B) {
	in, err := instrument.New(instrument.Config{Service: "cart", Transport: refuse{}})
	if err != nil {
		b.Fatal(err)
	}
	defer in.Close()
	f, info := UnaryServer(in), &grpc.UnaryServerInfo{FullMethod: check}
	h := func(context.Context, any) (any, error) { return nil, nil }
	b.ReportAllocs()
	defer cpu.Measure(b)()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			_, _ = f(context.Background(), nil, info, h)
		}
	})
}
