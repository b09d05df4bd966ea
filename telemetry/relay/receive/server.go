package receive

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

	agent "foresail.dev/telemetry/agent/wire"
	"foresail.dev/telemetry/relay/wire"
)

// Bounds of the server.
const (
	window     = 1 << 20 // bytes in flight per connection
	firstFrame = 10 * time.Second
	silence    = 30 * time.Second // after which a stream that says nothing is ended
)

// Server listens for ingesters.
type Server struct {
	*Receiver
	grpc *grpc.Server
	addr string
	done chan error
}

// Listen begins to take parts at an address. With nil TLS they come in the clear, which is for loopback. Options are what
// else the server should do, such as ask for tokens.
func (r *Receiver) Listen(addr string, t *tls.Config, options ...grpc.ServerOption) (*Server, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("ingesters: %w", err)
	}
	o := []grpc.ServerOption{
		grpc.ForceServerCodecV2(agent.Codec{}), grpc.MaxRecvMsgSize(wire.MaxFrame), grpc.MaxConcurrentStreams(4), grpc.InitialWindowSize(window),
		grpc.InitialConnWindowSize(window), grpc.MaxHeaderListSize(16 << 10), grpc.ConnectionTimeout(5 * time.Second),
		grpc.KeepaliveParams(keepalive.ServerParameters{MaxConnectionIdle: 2 * time.Minute, Time: time.Minute, Timeout: 10 * time.Second}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 10 * time.Second, PermitWithoutStream: true}),
	}
	if t != nil {
		o = append(o, grpc.Creds(credentials.NewTLS(t)))
	}
	s := &Server{Receiver: r, grpc: grpc.NewServer(append(o, options...)...), addr: l.Addr().String(), done: make(chan error, 1)}
	s.grpc.RegisterService(&grpc.ServiceDesc{
		ServiceName: wire.Service, HandlerType: (*any)(nil),
		Streams: []grpc.StreamDesc{{StreamName: wire.Stream, Handler: r.serve, ClientStreams: true, ServerStreams: true}},
	}, r)
	go func() { s.done <- s.grpc.Serve(l) }()
	return s, nil
}

// Addr is where it listens.
func (s *Server) Addr() string { return s.addr }

// Close ends all streams at once: ingesters keep what was not acknowledged, and come again.
func (s *Server) Close() error {
	s.grpc.Stop()
	err := <-s.done
	s.done <- nil
	return err
}

// serve is one stream.
func (r *Receiver) serve(_ any, stream grpc.ServerStream) error {
	ctx, cancel := context.WithCancelCause(stream.Context())
	defer cancel(nil)
	quiet := time.AfterFunc(firstFrame, func() { cancel(errors.New("nothing came for too long")) })
	defer quiet.Stop()
	ended := make(chan error, 1)
	go func() { ended <- r.session(stream, cancel, quiet) }()
	select {
	case err := <-ended:
		return answer(err)
	case <-ctx.Done(): // the stream's reader ends when this returns
		return answer(context.Cause(ctx))
	}
}

// answer says why a stream ended.
func answer(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, wire.ErrMalformed):
		return status.Error(codes.InvalidArgument, err.Error())
	case errors.Is(err, errReplaced):
		return status.Error(codes.Aborted, err.Error())
	}
	if _, ok := status.FromError(err); ok {
		return err
	}
	return status.Error(codes.FailedPrecondition, err.Error())
}

// session reads frames until the stream ends.
func (r *Receiver) session(stream grpc.ServerStream, cancel func(error), quiet *time.Timer) error {
	var into wire.Part
	f, err := r.frame(stream, &into)
	if err != nil {
		return err
	}
	if f.Hello == nil {
		r.malformed()
		return fmt.Errorf("%w: no hello", wire.ErrMalformed)
	}
	s, a, err := r.open(f.Hello, f.Sent, func() { cancel(errReplaced) })
	if err != nil {
		return err
	}
	defer s.close()
	for {
		if err := stream.SendMsg(&agent.Raw{Bytes: a.Append(nil)}); err != nil {
			return err
		}
		quiet.Reset(silence)
		if f, err = r.frame(stream, &into); err != nil {
			return err
		}
		if f.Part == nil {
			r.malformed()
			return fmt.Errorf("%w: a second hello", wire.ErrMalformed)
		}
		if a, err = s.take(f.Part, f.Sent); err != nil {
			return err
		}
	}
}

// frame reads one message.
func (r *Receiver) frame(stream grpc.ServerStream, into *wire.Part) (wire.Frame, error) {
	var m agent.Raw
	if err := stream.RecvMsg(&m); err != nil {
		return wire.Frame{}, err
	}
	defer m.Free()
	f, err := wire.ReadFrame(m.Bytes, into)
	if err != nil {
		r.malformed()
	}
	return f, err
}
