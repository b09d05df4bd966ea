package receive

import (
	"crypto/tls"
	"fmt"
	"time"

	"foresail.dev/telemetry/frames"
	"foresail.dev/telemetry/relay/wire"

	"google.golang.org/grpc"
)

// Bounds of the server.
const (
	window  = 1 << 20          // bytes in flight per connection
	silence = 30 * time.Second // after which a stream that says nothing is ended
)

// Server listens for ingesters.
type Server struct {
	*Receiver
	*frames.Server
}

// Listen begins to take parts at an address. With nil TLS they come in the clear, which is for loopback. Options are what
// else the server should do, such as ask for tokens.
func (r *Receiver) Listen(addr string, t *tls.Config, options ...grpc.ServerOption) (*Server, error) {
	s, err := frames.Listen(addr, frames.Service{Who: "ingesters", Name: wire.Service, Stream: wire.Stream, Window: window, Largest: wire.MaxFrame,
		Silence: silence, Session: r.session, Replaced: errReplaced}, t, options...)
	if err != nil {
		return nil, err
	}
	return &Server{r, s}, nil
}

// session reads frames until the stream ends.
func (r *Receiver) session(stream grpc.ServerStream, cancel func(error), heard func()) error {
	var into wire.Part
	f, err := r.frame(stream, &into)
	if err != nil {
		return err
	}
	if f.Hello == nil {
		r.malformed()
		return fmt.Errorf("%w: no hello", frames.ErrMalformed)
	}
	s, a, err := r.open(f.Hello, f.Sent, func() { cancel(errReplaced) })
	if err != nil {
		return err
	}
	defer s.close()
	for {
		if err := stream.SendMsg(&frames.Raw{Bytes: a.Append(nil)}); err != nil {
			return err
		}
		heard()
		if f, err = r.frame(stream, &into); err != nil {
			return err
		}
		if f.Part == nil {
			r.malformed()
			return fmt.Errorf("%w: a second hello", frames.ErrMalformed)
		}
		if a, err = s.take(f.Part, f.Sent); err != nil {
			return err
		}
	}
}

// frame reads one message.
func (r *Receiver) frame(stream grpc.ServerStream, into *wire.Part) (wire.Frame, error) {
	var m frames.Raw
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
