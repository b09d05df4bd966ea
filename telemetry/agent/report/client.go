package report

import (
	"context"
	"errors"
	"fmt"
	"time"

	"foresail.dev/telemetry/agent/wire"
	"foresail.dev/telemetry/frames"

	"google.golang.org/grpc"
)

// Config says where to, and how.
type Config struct {
	frames.Daemon // waits 200 ms to 10 s by default
	Hello         wire.Hello
	// Patience is how long the daemon may acknowledge nothing before the stream is given up. Default: 10 s.
	Patience time.Duration
	// Now is the node's clock. Default: time.Now.
	Now func() time.Time
	// Log is told, a line each, when the daemon is reached, and when it is not any more and why. Default: nobody.
	Log func(line string)
}

// Run sends what comes into the ring until ctx ends. It never gives up; errors are of the configuration.
func Run(ctx context.Context, cfg Config, ring *Ring) error {
	or := func(v *time.Duration, d time.Duration) {
		if *v <= 0 {
			*v = d
		}
	}
	or(&cfg.Backoff, 200*time.Millisecond)
	or(&cfg.Longest, 10*time.Second)
	or(&cfg.Patience, 10*time.Second)
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = func(string) {}
	}
	conn, err := cfg.Dial(window, 4<<10)
	if err != nil {
		return err
	}
	defer conn.Close()
	said := ""
	say := func(line string) {
		if line != said {
			cfg.Log(line)
			said = line
		}
	}
	for failures := 0; ; failures++ {
		began := cfg.Now()
		s := &stream{cfg: &cfg, ring: ring, conn: conn, reached: func() { say("reports to " + cfg.Address); failures = 0 }}
		err := s.run(ctx)
		if ctx.Err() != nil {
			return nil
		}
		say(fmt.Sprintf("can't report to %s: %s; beats of the last %v are kept", cfg.Address, cfg.Reason(err, "nobody there takes agents' reports: is it the address of agents in foresail.yaml?"), Kept*100*time.Millisecond))
		wait := cfg.Pause(failures)
		if lasted := cfg.Now().Sub(began); lasted > cfg.Longest {
			wait = 0
		}
		if !frames.Sleep(ctx, wait) {
			return nil
		}
	}
}

// window bounds what one connection holds that the daemon has not read.
const window = 64 << 10

// stream is one connection's life.
type stream struct {
	cfg     *Config
	ring    *Ring
	conn    *grpc.ClientConn
	reached func()
}

// run sends beats until something fails.
func (s *stream) run(ctx context.Context) (err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	// Neither a daemon that reads nothing nor one that acknowledges nothing may hold the stream for ever.
	watch := time.AfterFunc(s.cfg.Patience, func() { cancel(fmt.Errorf("no answer within %v", s.cfg.Patience)) })
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
	s.ring.rewind()
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

var errEnded = errors.New("the daemon ended the stream")

// acks reads acknowledgements until the stream ends.
func (s *stream) acks(out grpc.ClientStream, watch *time.Timer) error {
	for first := true; ; first = false {
		var m frames.Raw
		if err := out.RecvMsg(&m); err != nil {
			return err
		}
		seq, err := wire.ReadAck(m.Bytes)
		m.Free()
		if err != nil {
			return err
		}
		s.ring.ack(seq)
		watch.Reset(s.cfg.Patience)
		if first {
			s.reached()
		}
	}
}

func (s *stream) send(ctx context.Context, out grpc.ClientStream, ended chan error) error {
	var beat []byte
	table := (*Table)(nil)
	frame := func(write func(b []byte, sent int64) []byte) error {
		// gRPC may hold on to the bytes until they are sent, so each message has its own.
		if out.SendMsg(&frames.Raw{Bytes: write(nil, s.cfg.Now().UnixNano())}) != nil {
			return errEnded // why is what receiving says
		}
		return nil
	}
	hello := s.cfg.Hello
	hello.Version = wire.Version
	if err := frame(func(b []byte, sent int64) []byte { return wire.AppendHello(b, sent, &hello) }); err != nil {
		return err
	}
	for {
		var t *Table
		var ok bool
		if beat, t, ok = s.ring.take(beat); !ok {
			select {
			case <-s.ring.wake:
				continue
			case <-ctx.Done():
				return context.Cause(ctx)
			case err := <-ended:
				ended <- err
				return errEnded
			}
		}
		if t != table {
			table = t
			if err := frame(func(b []byte, sent int64) []byte { return wire.AppendTable(b, sent, t.bytes) }); err != nil {
				return err
			}
		}
		if err := frame(func(b []byte, sent int64) []byte { return wire.AppendBeat(make([]byte, 0, len(beat)+16), sent, beat) }); err != nil {
			return err
		}
	}
}
