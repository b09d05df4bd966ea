package send

import (
	"context"
	"errors"
	"fmt"
	"time"

	"foresail.dev/telemetry/frames"
	"foresail.dev/telemetry/relay/wire"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// window bounds what one connection holds that the daemon has not read.
const window = 1 << 20

// report keeps a stream to the daemon until ctx ends.
func (g *Ingester) report(ctx context.Context, conn *grpc.ClientConn) {
	said := ""
	say := func(line string) {
		if line != said {
			g.cfg.Log(line)
			said = line
		}
	}
	for failures := 0; ; failures++ {
		s := &stream{g: g, conn: conn, reached: func() { say("reports to " + g.cfg.Address); failures = 0 }}
		began := time.Now()
		err := s.run(ctx)
		if ctx.Err() != nil {
			return
		}
		if !errors.Is(err, errGrown) {
			say(fmt.Sprintf("can't report to %s: %s; what was counted in the last %v is kept", g.cfg.Address, g.cfg.Reason(err, "nobody there takes ingesters' reports: is it the address of ingesters in foresail.yaml?"), maxAge))
		}
		wait := g.cfg.Pause(failures)
		if time.Since(began) > g.cfg.Longest || errors.Is(err, errGrown) {
			wait = 0
		}
		if status.Code(err) == codes.Aborted { // another one has its name: the two would end each other's streams all the time
			wait = g.cfg.Longest
		}
		if !frames.Sleep(ctx, wait) {
			return
		}
	}
}

var (
	errEnded = errors.New("the daemon ended the stream")
	errGrown = errors.New("the application has changed")
)

// stream is one connection's life.
type stream struct {
	g       *Ingester
	conn    *grpc.ClientConn
	reached func()
	to      uint64 // the daemon's instance
	grown   uint64 // generation of the application that it said
}

// run sends pieces until something fails.
func (s *stream) run(ctx context.Context) (err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	// Neither a daemon that reads nothing nor one that acknowledges nothing may hold the stream for ever.
	patience := s.g.cfg.Patience
	watch := time.AfterFunc(patience, func() { cancel(fmt.Errorf("no answer within %v", patience)) })
	defer watch.Stop()
	defer func() {
		if c := context.Cause(ctx); c != nil && !errors.Is(c, context.Canceled) {
			err = c
		}
	}()
	out, err := s.conn.NewStream(ctx, &grpc.StreamDesc{StreamName: wire.Stream, ClientStreams: true, ServerStreams: true}, wire.Method)
	if err != nil {
		return err
	}
	hello := wire.Hello{Version: wire.Version, Name: s.g.cfg.Name, Instance: s.g.instance}
	first := out.SendMsg(&frames.Raw{Bytes: wire.AppendHello(nil, s.g.clock.local(), &hello)})
	a, err := s.answer(out) // which says why sending failed, if it did
	if err != nil {
		return err
	}
	if first != nil || a.Welcome == nil {
		return errors.New("it did not say welcome: is it a Foresail of this release?")
	}
	s.to, s.grown = a.Welcome.Instance, a.Welcome.App.Generation
	s.g.welcome(a)
	watch.Reset(patience)
	s.reached()
	ended := make(chan error, 1)
	go func() { ended <- s.acks(out, watch) }()
	err = s.send(ctx, out, ended)
	if errors.Is(err, errEnded) {
		return <-ended
	}
	cancel(nil)
	<-ended
	return err
}

func (s *stream) answer(out grpc.ClientStream) (wire.Answer, error) {
	var m frames.Raw
	if err := out.RecvMsg(&m); err != nil {
		return wire.Answer{}, err
	}
	defer m.Free()
	return wire.ReadAnswer(m.Bytes)
}

// acks reads acknowledgements until the stream ends.
func (s *stream) acks(out grpc.ClientStream, watch *time.Timer) error {
	for {
		a, err := s.answer(out)
		if err != nil {
			return err
		}
		s.g.clock.observe(a.Clock.Sent, a.Clock.At)
		s.g.out.ack(a.Seq)
		watch.Reset(s.g.cfg.Patience)
		if a.Generation != s.grown {
			return errGrown // the next welcome says how
		}
		select {
		case s.g.acked <- struct{}{}:
		default:
		}
	}
}

func (s *stream) send(ctx context.Context, out grpc.ClientStream, ended chan error) error {
	for {
		piece, ok := s.g.out.take(s.to)
		if ok {
			// gRPC may hold on to the bytes until they are sent, so each message has its own.
			b := wire.AppendPart(make([]byte, 0, len(piece.Bytes)+24), s.g.clock.local(), piece.Bytes)
			if out.SendMsg(&frames.Raw{Bytes: b}) != nil {
				return errEnded // why is what receiving says
			}
		}
		select {
		case err := <-ended:
			ended <- err
			return errEnded
		case <-ctx.Done():
			return context.Cause(ctx)
		default:
		}
		if ok {
			continue
		}
		select {
		case <-s.g.out.wake:
		case err := <-ended:
			ended <- err
			return errEnded
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
