// Package replica is one replica of a service as a process of its own: it serves the service's operations over HTTP,
// really uses the CPU, memory and disk that they demand, and calls the services that they call.
package replica

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"foresail.dev"
	"foresail.dev/cluster/testbed/metrics"
	"foresail.dev/cluster/testbed/rpc"
	tracing "foresail.dev/cluster/testbed/trace"
	"foresail.dev/cluster/testbed/wire"
	"foresail.dev/telemetry/instrument"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// quiet is how long a drained replica must be without a request before it stops listening: a caller may still hold an old
// table.
const quiet = 300 * time.Millisecond

// DrainLimit is how long a drained replica may go on with what it has, as in the simulator; then it ends whatever is in
// flight.
const DrainLimit = 30 * time.Second

type replica struct {
	boot     *wire.Boot
	service  *foresail.ServiceBlueprint
	clock    wire.Clock
	ready    time.Duration // since the epoch: warm-up begins
	tracer   trace.Tracer
	spans    *tracing.Provider
	table    rpc.Table
	client   *rpc.Client
	gate     *gate
	pools    []chan struct{} // by callee; nil: no limit
	disk     *disk
	costs    costs
	ballast  []byte
	burner   *burner
	dice     *dice
	counter  *instrument.Instrument // nil: requests in flight are not reported
	inFlight atomic.Int64           // requests not answered, and asynchronous calls
	server   http.Server
	out      *wire.Writer
	metrics  *metrics.Metrics // nil: none are kept
	told     sync.Once        // that own work failed
}

// Run is the life of a replica: it takes orders from in and reports to out, until it is drained (0), its parent is gone
// or it fails (1).
func Run(in io.Reader, out io.Writer) int {
	r := &replica{out: wire.NewWriter(out)}
	return wire.Serve(in, r.out, r.take)
}

// take follows one order.
func (r *replica) take(m wire.ToChild, ended chan<- error) error {
	switch {
	case m.Boot != nil:
		return r.start(m.Boot, ended)
	case r.boot == nil:
		return errors.New("an order came before the boot message")
	case m.Routes != nil:
		r.table.Set(m.Routes)
		return r.out.Write(wire.ToParent{Ack: m.Routes.Version})
	case m.Drain:
		go func() { ended <- r.drain() }()
	}
	return nil
}

// start makes everything that a request needs, then listens.
func (r *replica) start(b *wire.Boot, ended chan<- error) (err error) {
	runtime.GOMAXPROCS(max(b.Procs, 1))
	debug.SetGCPercent(cmp.Or(b.GCPercent, 400))
	r.boot, r.service, r.clock = b, &b.Blueprint.Services[b.Service], wire.NewClock(b.Epoch)
	r.dice, r.burner, r.gate = newDice(b.Seed, b.Name), newBurner(), newGate(r.service.Workers, r.service.Queue)
	traffic, err := wire.OpenTraffic(b.Traffic)
	if err != nil {
		return err
	}
	r.client = rpc.NewClient(&r.table, r.dice.uniform, traffic)
	r.pools = make([]chan struct{}, len(b.Blueprint.Services))
	for i := range r.pools {
		if r.service.Pool > 0 {
			r.pools[i] = make(chan struct{}, r.service.Pool)
		}
	}
	if r.disk, err = newDisk(filepath.Join(b.Dir, b.Name+".data"), largest(r.service.Operations), b.Contend); err != nil {
		return err
	}
	if b.Contend && r.service.Interference != nil {
		if err := r.burner.walks(r.service.Interference); err != nil {
			return err
		}
	}
	if r.costs, err = measure(r.disk); err != nil {
		return err
	}
	if r.spans, err = tracing.New(context.Background(), b.OTLP, b.Blueprint.App.Services[b.Service].Name, b.Name); err != nil {
		return err
	}
	r.tracer = r.spans.Tracer()
	if n := r.service.BaseMemory - resident(); n > 0 {
		if r.ballast, err = touched(n); err != nil {
			return err
		}
	}
	if b.Metrics {
		r.metrics = metrics.New()
		at, err := r.metrics.Listen(func(err error) { ended <- fmt.Errorf("serve metrics: %w", err) })
		if err != nil {
			return err
		}
		if err := r.out.Write(wire.ToParent{Metrics: at}); err != nil {
			return err
		}
	}
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return err
	}
	l = rpc.Listener(l, traffic)
	if b.InFlight != "" {
		r.counter, err = instrument.New(instrument.Config{Service: b.Blueprint.App.Services[b.Service].Name, Instance: b.Name, URL: "http://" + b.InFlight})
		if err != nil {
			return err
		}
	}
	r.listens()
	r.server.Handler = r
	if r.counter != nil {
		r.server.Handler = r.counter.HandlerBy(r, r.endpoint)
	}
	go func() {
		if err := r.server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			ended <- fmt.Errorf("serve on %s: %w", l.Addr(), err)
		}
	}()
	go r.report()
	return r.out.Write(wire.ToParent{Ready: l.Addr().String()})
}

// listens notes that the replica is ready: now, or when its start-up delay is over.
func (r *replica) listens() { r.ready = max(r.clock.Elapsed(), r.boot.Admitted) }

// report tells of lost spans, now and then, while there are any.
func (r *replica) report() {
	for told := int64(0); ; time.Sleep(time.Second) {
		if n := r.spans.Dropped(); n != told {
			told = n
			_ = r.out.Write(wire.ToParent{Dropped: n})
		}
	}
}

// statusGone is what metrics say of a request whose caller gave up, as servers do that have a word for it.
const statusGone = 599

// endpoint is the name of the operation that a request asks for.
func (r *replica) endpoint(req *http.Request) string {
	if op := r.operation(req); op != nil {
		return op.Name
	}
	return instrument.Other
}

// operation is what a request asks for; nil: nothing that there is.
func (r *replica) operation(req *http.Request) *foresail.Operation {
	i, err := strconv.Atoi(strings.TrimPrefix(req.URL.Path, rpc.Prefix))
	if err != nil || i < 0 || i >= len(r.service.Operations) {
		return nil
	}
	return &r.service.Operations[i]
}

// ServeHTTP serves one operation: 200 when it is done, 500 when it failed, 503 when it was refused. Once begun it is
// done to its end even when the caller gives up; one that still waits for a worker then is dropped when its turn comes.
func (r *replica) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	r.inFlight.Add(1)
	defer r.inFlight.Add(-1)
	arrived := r.clock.Now()
	op := r.operation(req)
	if op == nil {
		http.NotFound(w, req)
		return
	}
	status := http.StatusOK
	r.metrics.Arrived()
	defer func() { r.metrics.Served(op.Name, status, r.clock.Now().Sub(arrived)) }()
	ctx, deeper := rpc.Nested(context.Background(), req)
	ctx = propagation.TraceContext{}.Extract(ctx, propagation.HeaderCarrier(req.Header))
	ctx, span := r.tracer.Start(ctx, op.Name, trace.WithSpanKind(trace.SpanKindServer), trace.WithTimestamp(arrived))
	// The whole request is here before it is worked on, waits or is refused.
	if rpc.Receive(req) != nil {
		status = statusGone
		end(span, rpc.ErrTimeout, r.clock.Now())
		return
	}
	if !r.gate.enter() {
		end(span, rpc.ErrRefused, r.clock.Now())
		status = http.StatusServiceUnavailable
		w.WriteHeader(status)
		return
	}
	if req.Context().Err() != nil { // its caller gave up while it waited
		r.gate.leave()
		end(span, rpc.ErrTimeout, r.clock.Now())
		status = statusGone
		return
	}
	mem := &held{}
	err := rpc.ErrFailed
	if deeper {
		err = r.steps(ctx, op.Steps, mem)
	}
	mem.release()
	r.gate.leave()
	end(span, err, r.clock.Now())
	if err != nil {
		status = http.StatusInternalServerError
		w.WriteHeader(status)
		return
	}
	rpc.Answer(w, op.Response)
}

// finish waits until no request has come for a while and none is in flight, or the limit is reached.
func (r *replica) finish() {
	deadline := time.Now().Add(DrainLimit)
	const look = 10 * time.Millisecond
	for still := time.Duration(0); still < quiet && time.Now().Before(deadline); time.Sleep(look) {
		if still += look; r.inFlight.Load() > 0 {
			still = 0
		}
	}
}

// drain finishes, then ends.
func (r *replica) drain() error {
	r.finish()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	_ = r.server.Shutdown(ctx)
	r.counter.Close()
	_ = r.spans.Shutdown(ctx)
	return nil
}
