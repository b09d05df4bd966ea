// Package instrumentgrpc counts the requests of gRPC servers and clients in flight; see package instrument.
//
//	grpc.NewServer(
//		grpc.ChainUnaryInterceptor(instrumentgrpc.UnaryServer(in)),
//		grpc.ChainStreamInterceptor(instrumentgrpc.StreamServer(in)))
//
// The endpoint is the method, such as /cart.Cart/Add. A stream is one request, from its start to its end. A request failed
// when its status is one of those for which the server is at fault: Unknown, DeadlineExceeded, ResourceExhausted,
// Unimplemented, Internal, Unavailable, DataLoss; at a client any but OK and Canceled.
//
// A server counts unknown methods where grpc.UnknownServiceHandler is set; each then takes a place of
// instrument.Config.MaxEndpoints.
package instrumentgrpc

import (
	"context"
	"errors"
	"io"
	"sync"

	"foresail.dev/telemetry/instrument"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// UnaryServer counts the requests of a server.
func UnaryServer(in *instrument.Instrument) grpc.UnaryServerInterceptor {
	return func(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (_ any, err error) {
		request, failed := in.Server(info.FullMethod).Begin(), true // a panic fails
		defer func() { request.End(failed) }()
		resp, err := handler(ctx, req)
		failed = atFault(err)
		return resp, err
	}
}

// StreamServer counts the streams of a server.
func StreamServer(in *instrument.Instrument) grpc.StreamServerInterceptor {
	return func(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
		request, failed := in.Server(info.FullMethod).Begin(), true
		defer func() { request.End(failed) }()
		err := handler(srv, ss)
		failed = atFault(err)
		return err
	}
}

// atFault tells whether an answer is a server's failure.
func atFault(err error) bool {
	if err == nil {
		return false
	}
	switch status.Code(err) {
	case codes.Unknown:
		// A handler that returns a context's error has it turned into a status by gRPC.
		return !errors.Is(err, context.Canceled)
	case codes.DeadlineExceeded, codes.ResourceExhausted, codes.Unimplemented, codes.Internal, codes.Unavailable, codes.DataLoss:
		return true
	}
	return false
}

// UnaryClient counts the requests of a client.
func UnaryClient(in *instrument.Instrument) grpc.UnaryClientInterceptor {
	return func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoker grpc.UnaryInvoker, opts ...grpc.CallOption) error {
		request, failed := in.Client(method).Begin(), true
		defer func() { request.End(failed) }()
		err := invoker(ctx, method, req, reply, cc, opts...)
		failed = unanswered(err)
		return err
	}
}

func unanswered(err error) bool {
	return err != nil && status.Code(err) != codes.Canceled && !errors.Is(err, context.Canceled)
}

// StreamClient counts the streams of a client. A stream ends when receiving from it ends, or with its context.
func StreamClient(in *instrument.Instrument) grpc.StreamClientInterceptor {
	return func(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, streamer grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
		request := in.Client(method).Begin()
		cs, err := streamer(ctx, desc, cc, method, opts...)
		if err != nil {
			request.End(unanswered(err))
			return nil, err
		}
		s := &clientStream{ClientStream: cs, caller: ctx, request: request, one: !desc.ServerStreams}
		// gRPC cancels a stream's context when it is over, however that came about.
		s.unhook = context.AfterFunc(cs.Context(), s.over)
		return s, nil
	}
}

// clientStream sees its stream's end: what receiving returns, or, where nobody receives, the end of its context. That of
// a stream which ends while somebody receives is told by what the receiving returns.
type clientStream struct {
	grpc.ClientStream
	caller context.Context
	one    bool // the server sends one message
	unhook func() bool

	mu        sync.Mutex
	request   instrument.Request
	receiving int
	gone      bool // the context has ended
	ended     bool
}

// end counts the end. mu is held.
func (s *clientStream) end(err error) {
	if !s.ended {
		s.ended = true
		s.request.End(s.failed(err))
	}
}

// failed tells whether a stream that ended so failed: a cancellation is none only where it is the caller's own. A server that
// hears first that the caller's time is up may call it one.
func (s *clientStream) failed(err error) bool {
	if !errors.Is(s.caller.Err(), context.Canceled) {
		return err != nil
	}
	return unanswered(err)
}

func (s *clientStream) over() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gone = true; s.receiving == 0 {
		s.end(s.caller.Err()) // nil where the server ended it: nobody asked how
	}
}

func (s *clientStream) RecvMsg(m any) error {
	s.mu.Lock()
	s.receiving++
	s.mu.Unlock()
	err := s.ClientStream.RecvMsg(m)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.receiving--
	switch {
	case errors.Is(err, io.EOF), err == nil && s.one:
		s.end(nil)
	case err != nil:
		s.end(err)
	case s.gone && s.receiving == 0:
		s.end(s.caller.Err()) // nil where the server ended it: nobody asked how
	}
	if s.ended {
		s.unhook()
	}
	return err
}
