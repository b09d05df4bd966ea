package receive

import (
	"crypto/tls"
	"errors"
	"fmt"
	"time"

	"foresail.dev/telemetry/agent/wire"
	"foresail.dev/telemetry/frames"

	"google.golang.org/grpc"
)

var errReplaced = errors.New("a newer agent reports this node: is one name given to two?")

// Bounds of the server.
const (
	window   = 256 << 10   // bytes in flight per connection
	ackEvery = 5           // beats
	silence  = time.Minute // after which a stream that says nothing is ended
)

// Server listens for agents.
type Server struct {
	*Receiver
	*frames.Server
}

// Listen begins to take reports at an address. With nil TLS they come in the clear, which is for loopback. Options are
// what else the server should do, such as ask for tokens.
func (r *Receiver) Listen(addr string, t *tls.Config, options ...grpc.ServerOption) (*Server, error) {
	s, err := frames.Listen(addr, frames.Service{Who: "agents", Name: wire.Service, Stream: wire.Stream, Window: window, Largest: wire.MaxFrame,
		Silence: silence, Session: r.session, Replaced: errReplaced}, t, options...)
	if err != nil {
		return nil, err
	}
	return &Server{r, s}, nil
}

// session reads frames until the stream ends.
func (r *Receiver) session(stream grpc.ServerStream, cancel func(error), heard func()) error {
	var into wire.Beat
	f, err := r.frame(stream, &into)
	if err != nil {
		return err
	}
	if f.Hello == nil {
		r.malformed()
		return fmt.Errorf("%w: no hello", frames.ErrMalformed)
	}
	s, err := r.open(f.Hello, func() { cancel(errReplaced) })
	if err != nil {
		return err
	}
	defer s.close()
	if err := stream.SendMsg(&frames.Raw{Bytes: wire.AppendAck(nil, 0)}); err != nil { // so that the agent knows that it is heard
		return err
	}
	for {
		heard()
		f, err := r.frame(stream, &into)
		if err != nil {
			return err
		}
		seq, err := s.take(&f)
		if err != nil {
			if errors.Is(err, frames.ErrMalformed) {
				r.malformed()
			}
			return err
		}
		if seq > 0 && seq%ackEvery == 0 {
			if err := stream.SendMsg(&frames.Raw{Bytes: wire.AppendAck(nil, seq)}); err != nil {
				return err
			}
		}
	}
}

// frame reads one message.
func (r *Receiver) frame(stream grpc.ServerStream, into *wire.Beat) (wire.Frame, error) {
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

func (r *Receiver) malformed() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stats.Malformed++
}
