package trace

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	sdk "go.opentelemetry.io/otel/sdk/trace"
)

// exporter notes the size of each batch; a context that is over, or err, fails it.
type exporter struct {
	mu      sync.Mutex
	batches []int
	err     error
	ended   int
}

func (e *exporter) ExportSpans(_ context.Context, spans []sdk.ReadOnlySpan) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.batches = append(e.batches, len(spans))
	return e.err
}

func (e *exporter) Shutdown(context.Context) error { e.ended++; return nil }

// sent is the batches so far.
func (e *exporter) sent() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return fmt.Sprint(e.batches)
}

// emit makes n spans.
func emit(p *sdk.TracerProvider, n int) {
	for range n {
		_, s := p.Tracer("test").Start(context.Background(), "op")
		s.End()
	}
}

func TestBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &exporter{}
		b := newBatcher(e)
		p := sdk.NewTracerProvider(sdk.WithSpanProcessor(b))
		emit(p, 3)
		time.Sleep(Interval / 2)
		emit(p, 2)
		synctest.Wait()
		if got := e.sent(); got != "[]" {
			t.Errorf("sent before the interval was over: %v", got)
		}
		time.Sleep(Interval/2 + 1)
		synctest.Wait()
		if got := e.sent(); got != "[5]" {
			t.Errorf("after the interval: %v", got)
		}
		time.Sleep(time.Hour) // nothing to send: nothing is
		emit(p, BatchSize+1)
		time.Sleep(Interval + 1)
		synctest.Wait()
		if want := fmt.Sprint([]int{5, BatchSize, 1}); e.sent() != want {
			t.Errorf("batches %v, not %v", e.sent(), want)
		}
		if n := b.dropped.Load(); n != 0 {
			t.Errorf("%d dropped", n)
		}
	})
}

// What is lost is counted: over the queue's bound, refused by the receiver, and after the end.
func TestLossIsCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &exporter{err: errors.New("receiver is gone")}
		b := newBatcher(e)
		p := sdk.NewTracerProvider(sdk.WithSpanProcessor(b))
		emit(p, QueueSize+7)
		if n := b.dropped.Load(); n != 7 {
			t.Errorf("%d dropped by a full queue, not 7", n)
		}
		time.Sleep(Interval + 1)
		synctest.Wait()
		if n := b.dropped.Load(); n != QueueSize+7 {
			t.Errorf("%d dropped when the receiver refused", n)
		}
		e.mu.Lock()
		e.err = nil
		e.mu.Unlock()
		emit(p, 2)
		for range 2 {
			if err := b.Shutdown(t.Context()); err != nil {
				t.Error(err)
			}
		}
		emit(p, 1)
		if n := b.dropped.Load(); n != QueueSize+8 || e.ended != 1 || e.batches[len(e.batches)-1] != 2 {
			t.Errorf("after the end: %d dropped, exporter ended %d times, batches %v", n, e.ended, e.batches)
		}
		time.Sleep(time.Second) // the timer that was armed finds nothing
	})
}
