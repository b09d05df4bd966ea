package access

import (
	"context"
	"net"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"foresail.dev/access/accesstest"
)

// healthServer answers with who asks; Watch answers each time it is told to.
type healthServer struct {
	grpc_health_v1.UnimplementedHealthServer
	who chan string
}

func (s healthServer) Check(ctx context.Context, _ *grpc_health_v1.HealthCheckRequest) (*grpc_health_v1.HealthCheckResponse, error) {
	w, _ := From(ctx)
	s.who <- w.Name
	return &grpc_health_v1.HealthCheckResponse{}, nil
}

func (s healthServer) Watch(_ *grpc_health_v1.HealthCheckRequest, stream grpc.ServerStreamingServer[grpc_health_v1.HealthCheckResponse]) error {
	w, _ := From(stream.Context())
	s.who <- w.Name
	return stream.Send(&grpc_health_v1.HealthCheckResponse{})
}

func TestGRPC(t *testing.T) {
	h := newHouse(t)
	const agent = "spiffe://example.org/agent"
	if err := AddEntry(h.path, Entry{Name: "node", Role: Write, Subject: agent}); err != nil {
		t.Fatal(err)
	}
	h.tokens.file.reload()
	ca := accesstest.New(t, "ca")
	caFile := ca.File
	files := issued(t, ca, "server", 1, later())
	byName, stranger := issued(t, ca, agent, 2, later()), issued(t, ca, "somebody", 3, later())
	files.CA = caFile
	sc, err := Server(files)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	who := make(chan string, 10)
	s := grpc.NewServer(h.tokens.Options(Write, sc)...)
	grpc_health_v1.RegisterHealthServer(s, healthServer{who: who})
	go s.Serve(l)
	defer s.Stop()

	call := func(f Files, token Secret) (unary, stream codes.Code) {
		t.Helper()
		f.CA = caFile
		cc, err := Client(f)
		if err != nil {
			t.Fatal(err)
		}
		o := []grpc.DialOption{grpc.WithTransportCredentials(credentials.NewTLS(cc))}
		if !token.IsZero() {
			o = append(o, grpc.WithPerRPCCredentials(Bearer(token, false)))
		}
		conn, err := grpc.NewClient(l.Addr().String(), o...)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		c := grpc_health_v1.NewHealthClient(conn)
		_, err = c.Check(ctx, &grpc_health_v1.HealthCheckRequest{})
		w, err2 := c.Watch(ctx, &grpc_health_v1.HealthCheckRequest{})
		if err2 == nil {
			_, err2 = w.Recv()
		}
		return status.Code(err), status.Code(err2)
	}
	for _, c := range []struct {
		name  string
		files Files
		token Secret
		want  codes.Code
		who   string
	}{
		{"writer", stranger, h.write, codes.OK, "ops"},
		{"reader", stranger, h.read, codes.PermissionDenied, ""},
		{"wrong token", stranger, NewSecret("wrong"), codes.Unauthenticated, ""},
		{"no token, a certificate that no entry names", stranger, Secret{}, codes.Unauthenticated, ""},
		{"no token, a certificate that an entry names", byName, Secret{}, codes.OK, "node"},
		{"a wrong token beside such a certificate", byName, NewSecret("wrong"), codes.Unauthenticated, ""},
		{"no certificate", Files{}, h.write, codes.Unavailable, ""},
	} {
		unary, stream := call(c.files, c.token)
		if unary != c.want || stream != c.want {
			t.Errorf("%s: %v and %v, want %v", c.name, unary, stream, c.want)
		}
		for range 2 {
			if c.want == codes.OK {
				if got := <-who; got != c.who {
					t.Errorf("%s: it was %q, want %q", c.name, got, c.who)
				}
			}
		}
	}
}

// A stream that is open when its token is revoked takes no more messages.
func TestARevokedTokenEndsItsStream(t *testing.T) {
	h := newHouse(t)
	stream := &fakeStream{ctx: incoming(t, "authorization", "Bearer "+h.write.Reveal())}
	err := h.tokens.StreamInterceptor(Write)(nil, stream, nil, func(_ any, s grpc.ServerStream) error {
		if err := s.RecvMsg(nil); err != nil {
			t.Fatal(err)
		}
		if err := RemoveEntry(h.path, "ops"); err != nil {
			t.Fatal(err)
		}
		h.clock.t = h.clock.t.Add(recheck)
		return s.RecvMsg(nil)
	})
	if status.Code(err) != codes.Unauthenticated {
		t.Fatalf("got %v", err)
	}
}

func TestATokenIsNotSentInTheClear(t *testing.T) {
	_, err := grpc.NewClient("127.0.0.1:1", grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithPerRPCCredentials(Bearer(NewSecret("x"), false)))
	if err == nil {
		t.Fatal("a token was to be sent without TLS")
	}
}

type fakeStream struct {
	grpc.ServerStream
	ctx context.Context
}

func (f *fakeStream) Context() context.Context { return f.ctx }
func (f *fakeStream) RecvMsg(any) error        { return nil }

func incoming(t *testing.T, kv ...string) context.Context {
	return metadata.NewIncomingContext(t.Context(), metadata.Pairs(kv...))
}
