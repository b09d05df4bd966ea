package frames

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"
)

// firstFrame is how long a new stream may say nothing.
const firstFrame = 10 * time.Second

// Service is what the daemon does with one kind of stream.
type Service struct {
	Who          string // comes: "agents"
	Name, Stream string // gRPC's
	Window       int32  // bytes in flight per connection
	Largest      int    // bytes of a message
	Silence      time.Duration
	// Session reads one stream until it ends. cancel ends it for a reason, heard says that it is alive.
	Session func(stream grpc.ServerStream, cancel func(error), heard func()) error
	// Replaced is the reason for which a newer stream ends an older one: who is told it should not come back at once.
	Replaced error
}

// Server listens for a Service's streams.
type Server struct {
	grpc *grpc.Server
	addr string
	done chan error
}

// Listen begins to take streams at an address. With nil TLS they come in the clear, which is for loopback. Options are what
// else the server should do, such as ask for tokens.
func Listen(addr string, s Service, t *tls.Config, options ...grpc.ServerOption) (*Server, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.Who, err)
	}
	o := []grpc.ServerOption{
		grpc.ForceServerCodecV2(Codec{}), grpc.MaxRecvMsgSize(s.Largest), grpc.MaxConcurrentStreams(4), grpc.InitialWindowSize(s.Window),
		grpc.InitialConnWindowSize(s.Window), grpc.MaxHeaderListSize(16 << 10), grpc.ConnectionTimeout(5 * time.Second),
		grpc.KeepaliveParams(keepalive.ServerParameters{MaxConnectionIdle: 2 * time.Minute, Time: time.Minute, Timeout: 10 * time.Second}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 10 * time.Second, PermitWithoutStream: true}),
	}
	if t != nil {
		o = append(o, grpc.Creds(credentials.NewTLS(t)))
	}
	out := &Server{grpc: grpc.NewServer(append(o, options...)...), addr: l.Addr().String(), done: make(chan error, 1)}
	out.grpc.RegisterService(&grpc.ServiceDesc{
		ServiceName: s.Name, HandlerType: (*any)(nil),
		Streams: []grpc.StreamDesc{{StreamName: s.Stream, Handler: s.serve, ClientStreams: true, ServerStreams: true}},
	}, s)
	go func() { out.done <- out.grpc.Serve(l) }()
	return out, nil
}

// Addr is where it listens.
func (s *Server) Addr() string { return s.addr }

// Close ends all streams at once: who reports keeps what was not acknowledged, and comes again.
func (s *Server) Close() error {
	s.grpc.Stop()
	err := <-s.done
	s.done <- nil
	return err
}

// serve is one stream.
func (s *Service) serve(_ any, stream grpc.ServerStream) error {
	ctx, cancel := context.WithCancelCause(stream.Context())
	defer cancel(nil)
	quiet := time.AfterFunc(firstFrame, func() { cancel(errors.New("nothing came for too long")) })
	defer quiet.Stop()
	ended := make(chan error, 1)
	go func() { ended <- s.Session(stream, cancel, func() { quiet.Reset(s.Silence) }) }()
	select {
	case err := <-ended:
		return s.answer(err)
	case <-ctx.Done(): // the stream's reader ends when this returns
		return s.answer(context.Cause(ctx))
	}
}

// answer says why a stream ended.
func (s *Service) answer(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, ErrMalformed):
		return status.Error(codes.InvalidArgument, err.Error())
	case errors.Is(err, s.Replaced):
		return status.Error(codes.Aborted, err.Error())
	}
	if _, ok := status.FromError(err); ok {
		return err
	}
	return status.Error(codes.FailedPrecondition, err.Error())
}
