package otlp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"foresail.dev/access"
	"foresail.dev/telemetry"
	"google.golang.org/grpc"
)

// Sink takes what was received. AddBatch is called by many goroutines and keeps nothing of the batch.
type Sink interface {
	AddBatch(received time.Time, b *telemetry.Batch) telemetry.Result
}

// MetricSink is a Sink that takes metrics as well: of those that arrive, the requests in flight that processes report (see
// docs/formats/instrument.md). Without it metrics are refused. AddReports is called by many goroutines.
type MetricSink interface {
	Sink
	AddReports(received time.Time, reports []telemetry.Report) telemetry.Result
}

// Default addresses: the ports that OpenTelemetry names for OTLP, on this machine alone.
const (
	DefaultGRPC = "127.0.0.1:4317"
	DefaultHTTP = "127.0.0.1:4318"
)

// Config says where to listen and how much to take in.
type Config struct {
	GRPC   string           // address for gRPC, for example DefaultGRPC; port 0 takes any; empty: off
	HTTP   string           // address for HTTP
	TLS    *tls.Config      // nil: no TLS
	Tokens *access.Tokens   // senders need one with role write; nil: whoever reaches a port can send spans
	Log    func(msg string) // told, a few times a minute at most, of connections that failed; nil: nobody is
	// AllowRemote lets the addresses be others than this machine's own, and senders call it by any host name, even
	// without TLS and Tokens.
	AllowRemote bool

	MaxRequestBytes int           // of one request, also once decompressed; more is refused; 0 means 4 MiB
	MaxConcurrent   int           // requests read or worked on at once; more are told to come again; 0 means 16
	MaxConnections  int           // open at once on each port; more wait to be accepted; 0 means 256
	ReadTime        time.Duration // for a request to come whole; a slower one is cut off; 0 means 10 s

	Now func() time.Time // the clock that says when a request was received; nil means time.Now
}

func (c Config) withDefaults() Config {
	or := func(v *int, d int) {
		if *v <= 0 {
			*v = d
		}
	}
	or(&c.MaxRequestBytes, 4<<20)
	or(&c.MaxConcurrent, 16)
	or(&c.MaxConnections, 256)
	if c.ReadTime <= 0 {
		c.ReadTime = 10 * time.Second
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}

// Validate reports every fault of the configuration at once.
func (c Config) Validate() error {
	var errs []error
	if c.GRPC == "" && c.HTTP == "" {
		errs = append(errs, errors.New("otlp: neither a gRPC nor an HTTP address is set: set one, for example "+DefaultGRPC))
	}
	for _, a := range []struct{ field, addr string }{{"gRPC", c.GRPC}, {"HTTP", c.HTTP}} {
		if a.addr == "" {
			continue
		}
		if err := access.CheckListen(a.addr, c.TLS != nil, c.Tokens != nil, c.AllowRemote); err != nil {
			errs = append(errs, fmt.Errorf("otlp: %s %w", a.field, err))
		}
	}
	return errors.Join(errs...)
}

// Receiver listens for OTLP and hands what it receives to a sink. Listen starts it and Shutdown ends it.
type Receiver struct {
	cfg        Config
	sink       Sink
	grpcL      net.Listener
	httpL      net.Listener
	grpcServer *grpc.Server
	httpServer *http.Server
	slots      slots
	scanners   sync.Pool
	decoding   sync.Mutex // of metrics: one request at a time, since it takes many times the request's memory
	serving    sync.WaitGroup
	once       sync.Once
	stats      counters
}

// Stats count requests since Listen.
type Stats struct {
	Requests  uint64 `json:"requests"`  // taken, by either protocol
	Malformed uint64 `json:"malformed"` // refused because of their bytes, their type or their size
	Busy      uint64 `json:"busy"`      // told to come again
	Slow      uint64 `json:"slow"`      // cut off because they took too long to come, or made room for another
	Foreign   uint64 `json:"foreign"`   // refused because they came from a web page of another site, or for another host
	Denied    uint64 `json:"denied"`    // refused because their sender showed no right token
	Bytes     uint64 `json:"bytes"`     // of requests taken, decompressed
}

// Plus is the sum of two receivers' counts.
func (s Stats) Plus(t Stats) Stats {
	return Stats{s.Requests + t.Requests, s.Malformed + t.Malformed, s.Busy + t.Busy, s.Slow + t.Slow, s.Foreign + t.Foreign, s.Denied + t.Denied, s.Bytes + t.Bytes}
}

type counters struct{ requests, malformed, busy, slow, foreign, denied, bytes atomic.Uint64 }

// Stats are the counts so far.
func (r *Receiver) Stats() Stats {
	c := &r.stats
	return Stats{c.requests.Load(), c.malformed.Load(), c.busy.Load(), c.slow.Load(), c.foreign.Load(), c.denied.Load(), c.bytes.Load()}
}

// Listen opens the ports and serves until Shutdown. When one port can't be opened the other is closed again.
func Listen(cfg Config, sink Sink) (*Receiver, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	r := &Receiver{cfg: cfg.withDefaults(), sink: sink}
	r.slots.free = r.cfg.MaxConcurrent
	r.scanners.New = func() any { return &scanner{} }
	var err error
	if r.grpcL, err = r.open("gRPC", cfg.GRPC); err != nil {
		return nil, err
	}
	if r.httpL, err = r.open("HTTP", cfg.HTTP); err != nil {
		if r.grpcL != nil {
			err = errors.Join(err, r.grpcL.Close())
		}
		return nil, err
	}
	if r.grpcL != nil {
		r.grpcServer = r.newGRPC()
		r.serving.Go(func() { _ = r.grpcServer.Serve(r.grpcL) }) // ends with Shutdown
	}
	if r.httpL != nil {
		r.httpServer = r.newHTTP()
		serve := r.httpServer.Serve
		if cfg.TLS != nil {
			serve = func(l net.Listener) error { return r.httpServer.ServeTLS(l, "", "") }
		}
		r.serving.Go(func() { _ = serve(r.httpL) })
	}
	return r, nil
}

func (r *Receiver) open(protocol, addr string) (net.Listener, error) {
	if addr == "" {
		return nil, nil
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("otlp: listen for %s on %s: %w: stop what uses the port, or choose another address", protocol, addr, err)
	}
	return newLimited(l, r.cfg.MaxConnections), nil
}

// GRPCAddr is the address that gRPC is served on, with the port that was taken; empty when off.
func (r *Receiver) GRPCAddr() string { return addrOf(r.grpcL) }

// HTTPAddr is the address that HTTP is served on; empty when off.
func (r *Receiver) HTTPAddr() string { return addrOf(r.httpL) }

func addrOf(l net.Listener) string {
	if l == nil {
		return ""
	}
	return l.Addr().String()
}

// Shutdown stops listening, lets requests that are being worked on finish until ctx ends, and then cuts them off. It is
// safe on a nil Receiver, and a second time.
func (r *Receiver) Shutdown(ctx context.Context) error {
	if r == nil {
		return nil
	}
	var err error
	r.once.Do(func() {
		if r.httpServer != nil {
			if err = r.httpServer.Shutdown(ctx); err != nil {
				err = errors.Join(fmt.Errorf("otlp: HTTP requests were cut off: %w", err), r.httpServer.Close())
			}
		}
		if r.grpcServer != nil {
			done := make(chan struct{})
			go func() { r.grpcServer.GracefulStop(); close(done) }()
			select {
			case <-done:
			case <-ctx.Done():
				r.grpcServer.Stop() // the handlers' answers go nowhere; they end when the sink lets them
				err = errors.Join(err, fmt.Errorf("otlp: gRPC requests were cut off: %w", ctx.Err()))
			}
		}
		r.serving.Wait()
	})
	return err
}

// take scans a request and hands it to the sink. The bytes are not used after it returns.
func (r *Receiver) take(b []byte) (telemetry.Result, error) {
	s := r.scanners.Get().(*scanner)
	defer r.scanners.Put(s)
	batch, err := s.scan(b)
	if err != nil {
		r.stats.malformed.Add(1)
		return telemetry.Result{}, err
	}
	r.stats.requests.Add(1)
	r.stats.bytes.Add(uint64(len(b)))
	return r.sink.AddBatch(r.cfg.Now(), batch), nil
}

// enter takes a slot for a request whose reading cut ends; false when all are in use.
func (r *Receiver) enter(cut func()) (*slot, bool) {
	s, ok := r.slots.enter(r.cfg.Now(), cut)
	if !ok {
		r.stats.busy.Add(1)
	}
	return s, ok
}
