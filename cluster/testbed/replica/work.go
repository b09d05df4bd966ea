package replica

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"foresail.dev"
	"foresail.dev/cluster/testbed/rpc"
	"foresail.dev/cluster/testbed/wire"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// steps does one step after the other and stops after the first that fails. ctx carries the server span.
func (r *replica) steps(ctx context.Context, steps []foresail.Step, mem *held) error {
	for i := range steps {
		if err := r.work(&steps[i].Work, mem); err != nil {
			r.told.Do(func() { _ = r.out.Write(wire.ToParent{Fault: err.Error()}) }) // once, since it may go on for long
			return err
		}
		if err := r.calls(ctx, steps[i].Calls, mem); err != nil {
			return err
		}
	}
	return nil
}

// work does a step's own work: memory, then CPU, then disk. What memory and disk cost of the CPU is part of the demand.
func (r *replica) work(w *foresail.Demand, mem *held) error {
	if err := mem.add(w.Memory); err != nil {
		return err
	}
	if d := r.dice.draw(w.CPU); d > 0 {
		r.burner.burn(time.Duration(float64(d)*r.coldness()) - r.costs.of(w))
	}
	if d := r.dice.draw(w.IO); d > 0 || w.Read > 0 || w.Write > 0 {
		return r.disk.use(d, w)
	}
	return nil
}

// coldness is how many times its normal CPU a visit takes now: it falls linearly during warm-up.
func (r *replica) coldness() float64 {
	if !r.boot.Cold || r.service.Warmup <= 0 || r.service.ColdFactor <= 1 {
		return 1
	}
	left := 1 - (r.clock.Elapsed()-r.ready).Seconds()/r.service.Warmup.Seconds()
	return 1 + (r.service.ColdFactor-1)*max(left, 0)
}

// calls makes a step's calls in parallel, waits for all but the asynchronous ones and returns the first error.
func (r *replica) calls(ctx context.Context, calls []foresail.Call, mem *held) error {
	var wait sync.WaitGroup
	var first error
	var once sync.Once
	last := -1 // the last synchronous call needs no goroutine of its own
	for i := range calls {
		c := &calls[i]
		switch {
		case c.Probability < 1 && r.dice.uniform() >= c.Probability:
		case c.Async:
			r.inFlight.Add(1)
			go func() {
				defer r.inFlight.Add(-1)
				own := &held{}
				defer own.release()
				_ = r.call(context.WithoutCancel(ctx), c, own) // nobody waits; the spans tell
			}()
		case last < 0:
			last = i
		default:
			wait.Go(func() {
				if err := r.call(ctx, c, mem); err != nil {
					once.Do(func() { first = err })
				}
			})
		}
	}
	if last >= 0 {
		if err := r.call(ctx, &calls[last], mem); err != nil {
			once.Do(func() { first = err })
		}
	}
	wait.Wait()
	return first
}

// call makes one call as often as it is repeated, each with what follows a cache miss.
func (r *replica) call(ctx context.Context, c *foresail.Call, mem *held) error {
	for range max(c.Repeat, 1) {
		err := r.client.Attempts(ctx, c.Patience, func(ctx context.Context) error { return r.attempt(ctx, c.Target) })
		if err == nil && c.Cached && r.dice.uniform() >= c.Hit {
			err = r.steps(ctx, c.Miss, mem)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// attempt sends one request once a connection is free, under a client span of its own that covers the wait.
func (r *replica) attempt(ctx context.Context, to foresail.Target) (err error) {
	callee := &r.boot.Blueprint.Services[to.Service].Operations[to.Operation]
	ctx, span := r.tracer.Start(ctx, callee.Name, trace.WithSpanKind(trace.SpanKindClient), trace.WithTimestamp(r.clock.Now()),
		trace.WithAttributes(attribute.String("peer.service", r.boot.Blueprint.App.Services[to.Service].Name)))
	began := r.clock.Now()
	defer func() {
		now := r.clock.Now()
		end(span, err, now)
		r.metrics.Called(r.boot.Blueprint.App.Services[to.Service].Name, statusOf(err), reason(err), now.Sub(began))
	}()
	if pool := r.pools[to.Service]; pool != nil {
		select {
		case pool <- struct{}{}:
			defer func() { <-pool }()
		case <-ctx.Done():
			return rpc.ErrTimeout
		}
	}
	return r.client.Do(ctx, to, callee.Request)
}

// statusOf is the status that a call was answered with; 0: it was not.
func statusOf(err error) int {
	switch {
	case err == nil:
		return http.StatusOK
	case errors.Is(err, rpc.ErrFailed):
		return http.StatusInternalServerError
	case errors.Is(err, rpc.ErrRefused):
		return http.StatusServiceUnavailable
	}
	return 0
}

// reason is one of few errors, so that metrics stay few.
func reason(err error) error {
	for _, known := range []error{rpc.ErrTimeout, rpc.ErrNobody, context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, known) {
			return known
		}
	}
	if err != nil {
		return errOther
	}
	return nil
}

var errOther = errors.New("_OTHER")

// end ends a span, failed when err is not nil.
func end(span trace.Span, err error, at time.Time) {
	if err != nil {
		span.SetStatus(codes.Error, err.Error())
	}
	span.End(trace.WithTimestamp(at))
}
