package rpc

import (
	"context"
	"net"
	"net/http"
	"sync"
	"testing"

	"foresail.dev"
	"foresail.dev/cluster/testbed/wire"
)

func newTraffic(t *testing.T) *wire.Traffic {
	t.Helper()
	traffic, file, err := wire.NewTraffic()
	if err != nil {
		t.Fatal(err)
	}
	_ = file.Close()
	t.Cleanup(traffic.Close)
	return traffic
}

// headers is what HTTP may add to one message: what docs/decisions/testbed.md says.
const headers = 256

// Messages have the bodies that are asked for; what one side counts as sent the other counts as received, to the byte.
func TestMessagesAreCounted(t *testing.T) {
	server, client := newTraffic(t), newTraffic(t)
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var answer, received int64
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		received = r.ContentLength
		if err := Receive(r); err != nil {
			t.Error(err)
		}
		Answer(w, answer)
	})}
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(Listener(l, server)) }()
	table := &Table{}
	table.Set(routes([]string{l.Addr().String()}))
	c := NewClient(table, func() float64 { return 0 }, client)
	// The server counts what it has written, which a caller may have read before that: it has ended when Shutdown has.
	end := sync.OnceFunc(func() {
		c.Close()
		if err := s.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		<-ended
	})
	t.Cleanup(end)

	before := wire.Bytes{}
	for _, size := range []wire.Bytes{{In: 0, Out: 0}, {In: 1, Out: 1}, {In: 300, Out: 5000}, {In: 70_000, Out: 0}, {In: 0, Out: 3 << 20}, {In: 1 << 20, Out: 100_001}} {
		answer = size.Out
		if err := c.Do(t.Context(), foresail.Target{}, size.In); err != nil {
			t.Fatal(err)
		}
		if received != size.In {
			t.Errorf("a request of %d bytes arrived with %d", size.In, received)
		}
		now := client.Bytes()
		got := now.Sub(before)
		before = now
		if got.Out <= size.In || got.Out > size.In+headers || got.In <= size.Out || got.In > size.Out+headers {
			t.Errorf("a request of %d bytes and an answer of %d: the caller sent %d and received %d", size.In, size.Out, got.Out, got.In)
		}
	}
	end()
	if c, s := client.Bytes(), server.Bytes(); c.In != s.Out || c.Out != s.In {
		t.Errorf("the caller counts %+v, the callee %+v", c, s)
	}
}
