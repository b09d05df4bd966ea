package otlp

import (
	"errors"
	"time"

	"foresail.dev/access"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	_ "google.golang.org/grpc/encoding/gzip" // lets clients compress
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"
)

// gRPC hands over a request's bytes as they came: the codec decodes nothing. Export is registered as a stream, although
// each side sends one message, so that a request takes its slot before its bytes are read, and can be cut off while they
// are; until then the connection's window bounds what a client can make the receiver hold.

const (
	window    = 1 << 20 // bytes in flight per connection
	handshake = 5 * time.Second
)

// Connections that nobody uses, or whose other end is gone, give their place to others.
var (
	alive = keepalive.ServerParameters{MaxConnectionIdle: 2 * time.Minute, Time: time.Minute, Timeout: 10 * time.Second}
	pings = keepalive.EnforcementPolicy{MinTime: 10 * time.Second, PermitWithoutStream: true}
)

func (r *Receiver) newGRPC() *grpc.Server {
	s := grpc.NewServer(append((*access.Tokens)(nil).Options(access.Write, r.cfg.TLS), // export asks for the token itself
		grpc.ForceServerCodecV2(rawCodec{}),
		grpc.MaxRecvMsgSize(r.cfg.MaxRequestBytes), // compressed and decompressed
		grpc.MaxConcurrentStreams(uint32(r.cfg.MaxConcurrent)),
		grpc.InitialWindowSize(window),
		grpc.InitialConnWindowSize(window),
		grpc.MaxHeaderListSize(16<<10),
		grpc.ConnectionTimeout(handshake),
		grpc.KeepaliveParams(alive),
		grpc.KeepaliveEnforcementPolicy(pings),
	)...)
	for _, sig := range r.signals() {
		s.RegisterService(&grpc.ServiceDesc{
			ServiceName: sig.service,
			HandlerType: (*any)(nil),
			Streams: []grpc.StreamDesc{{StreamName: "Export", Handler: func(_ any, stream grpc.ServerStream) error {
				return r.export(sig, stream)
			}}},
			Metadata: sig.proto,
		}, r)
	}
	return s
}

func (r *Receiver) export(sig *signal, stream grpc.ServerStream) error {
	// Not by an interceptor: gRPC calls none for a method that streams neither way, as this one says of itself.
	if _, err := r.cfg.Tokens.Call(stream.Context(), access.Write); err != nil {
		r.stats.denied.Add(1)
		return err
	}
	cut := make(chan struct{})
	s, ok := r.enter(func() { close(cut) })
	if !ok {
		return errBusy
	}
	defer s.leave()
	req, err := r.message(stream, cut)
	if err != nil {
		return err
	}
	if !s.arrived() {
		req.buf.Free()
		r.stats.slow.Add(1)
		return errBusy
	}
	res, err := sig.take(req.buf.ReadOnlyData())
	req.buf.Free()
	if err != nil {
		return status.Errorf(codes.InvalidArgument, "malformed OTLP request: %v", err)
	}
	return stream.SendMsg(&rawMessage{bytes: sig.answer(res).proto()})
}

var errBusy = status.Error(codes.Unavailable, "the receiver is busy: send again later")

// message reads a request, until it takes too long or cut is closed. The reading then ends when the handler returns.
func (r *Receiver) message(stream grpc.ServerStream, cut <-chan struct{}) (*rawMessage, error) {
	req := &rawMessage{}
	read := make(chan error, 1)
	go func() { read <- stream.RecvMsg(req) }()
	late := time.NewTimer(r.cfg.ReadTime)
	defer late.Stop()
	select {
	case err := <-read:
		if status.Code(err) == codes.ResourceExhausted {
			r.stats.malformed.Add(1) // larger than allowed
		}
		return req, err // gRPC has told the client
	case <-cut:
		r.stats.slow.Add(1)
		return nil, errBusy
	case <-late.C:
		r.stats.slow.Add(1)
		return nil, status.Errorf(codes.DeadlineExceeded, "the request did not come whole within %s: send smaller batches", r.cfg.ReadTime)
	}
}

// rawMessage is a message as bytes: buf when received, bytes when sent.
type rawMessage struct {
	buf   mem.Buffer
	bytes []byte
}

// rawCodec passes bytes through under the name that OTLP clients ask for.
type rawCodec struct{}

func (rawCodec) Name() string { return "proto" }

func (rawCodec) Marshal(v any) (mem.BufferSlice, error) {
	m, ok := v.(*rawMessage)
	if !ok {
		return nil, errors.New("otlp: only raw messages can be sent")
	}
	return mem.BufferSlice{mem.SliceBuffer(m.bytes)}, nil
}

func (rawCodec) Unmarshal(data mem.BufferSlice, v any) error {
	m, ok := v.(*rawMessage)
	if !ok {
		return errors.New("otlp: only raw messages can be received")
	}
	m.buf = data.MaterializeToBuffer(mem.DefaultBufferPool())
	return nil
}
