package otlp

import (
	"errors"
	"fmt"

	"foresail.dev/telemetry"
	"go.opentelemetry.io/collector/pdata/ptrace/ptraceotlp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	_ "google.golang.org/grpc/encoding/gzip" // lets clients compress
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"
)

// gRPC hands over a request's bytes as they came: the codec decodes nothing. Export is registered as a stream, although
// each side sends one message, so that a request takes its slot before its bytes are read; until then the
// connection's window bounds what a client can make the receiver hold.

const window = 1 << 20 // bytes in flight per connection

func (r *Receiver) newGRPC() *grpc.Server {
	s := grpc.NewServer(
		grpc.ForceServerCodecV2(rawCodec{}),
		grpc.MaxRecvMsgSize(r.cfg.MaxRequestBytes), // compressed and decompressed
		grpc.MaxConcurrentStreams(uint32(r.cfg.MaxConcurrent)),
		grpc.InitialWindowSize(window),
		grpc.InitialConnWindowSize(window),
		grpc.MaxHeaderListSize(16<<10),
	)
	s.RegisterService(&grpc.ServiceDesc{
		ServiceName: "opentelemetry.proto.collector.trace.v1.TraceService",
		HandlerType: (*any)(nil),
		Streams:     []grpc.StreamDesc{{StreamName: "Export", Handler: r.export}},
		Metadata:    "opentelemetry/proto/collector/trace/v1/trace_service.proto",
	}, r)
	return s
}

func (r *Receiver) export(_ any, stream grpc.ServerStream) error {
	if !r.enter() {
		return status.Error(codes.Unavailable, "the receiver is busy: send again later")
	}
	defer r.leave()
	var req rawMessage
	if err := stream.RecvMsg(&req); err != nil {
		if status.Code(err) == codes.ResourceExhausted {
			r.stats.malformed.Add(1) // larger than allowed
		}
		return err // gRPC has told the client
	}
	res, err := r.take(req.buf.ReadOnlyData())
	req.buf.Free()
	if err != nil {
		return status.Errorf(codes.InvalidArgument, "malformed OTLP request: %v", err)
	}
	return stream.SendMsg(&rawMessage{bytes: response(res)})
}

// response encodes an ExportTraceServiceResponse: empty when everything was taken.
func response(res telemetry.Result) []byte {
	if res.Rejected == 0 {
		return nil
	}
	b, err := responseOf(res).MarshalProto()
	if err != nil {
		panic(err) // pdata marshals into memory and gives no error
	}
	return b
}

func responseOf(res telemetry.Result) ptraceotlp.ExportResponse {
	out := ptraceotlp.NewExportResponse()
	out.PartialSuccess().SetRejectedSpans(int64(res.Rejected))
	out.PartialSuccess().SetErrorMessage(fmt.Sprintf("%d spans were not taken, most of them %s", res.Rejected, res.Reason))
	return out
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
