package otlp_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	. "foresail.dev/telemetry/otlp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// tick is a clock that is set by hand.
type tick struct {
	mu  sync.Mutex
	now time.Time
}

func (c *tick) Now() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return c.now }

func (c *tick) add(d time.Duration) { c.mu.Lock(); defer c.mu.Unlock(); c.now = c.now.Add(d) }

// silent opens a call that sends nothing.
func silent(t *testing.T, conn *grpc.ClientConn) grpc.ClientStream {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	s, err := conn.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true}, "/opentelemetry.proto.collector.trace.v1.TraceService/Export", grpc.ForceCodec(raw{}))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// slow sends the head of an HTTP request and a part of its body.
func slow(t *testing.T, r *Receiver) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", r.HTTPAddr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if _, err := fmt.Fprintf(c, "POST /v1/traces HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-protobuf\r\nContent-Length: 100\r\n\r\nabc"); err != nil {
		t.Fatal(err)
	}
	return c
}

// Senders that never send what they announced take all slots. Others are told to come again, and a second later get
// through, since the slow ones are put off.
func TestSilentSendersDoNotKeepOthersOut(t *testing.T) {
	body := Encode(someSpans(5))
	t.Run("grpc", func(t *testing.T) {
		clock := &tick{now: epoch}
		r := listen(t, Config{MaxConcurrent: 4, Now: clock.Now}, &collect{})
		held, conn := dial(t, r), dial(t, r)
		told := make(chan error, 4)
		for range 4 {
			s := silent(t, held)
			go func() { told <- s.RecvMsg(new([]byte)) }()
		}
		for {
			if _, err := export(conn, body); status.Code(err) == codes.Unavailable {
				break // all have entered
			}
		}
		clock.add(2 * time.Second)
		for i := range 4 {
			if _, err := export(conn, body); err != nil {
				t.Errorf("request %d: %v", i, err)
			}
		}
		if code, _, _ := post(t, r, protobuf, body); code != http.StatusOK {
			t.Errorf("HTTP: %d", code)
		}
		if err := <-told; status.Code(err) != codes.Unavailable {
			t.Errorf("the silent sender that made room was told %v", err)
		}
	})
	t.Run("http", func(t *testing.T) {
		clock := &tick{now: epoch}
		r := listen(t, Config{MaxConcurrent: 2, Now: clock.Now}, &collect{})
		told := make(chan string, 2)
		for range 2 {
			c := slow(t, r)
			go func() { b, _ := io.ReadAll(c); told <- string(b) }()
		}
		for {
			if code, _, _ := post(t, r, protobuf, body); code == http.StatusServiceUnavailable {
				break
			}
		}
		clock.add(2 * time.Second)
		if code, _, b := post(t, r, protobuf, body); code != http.StatusOK {
			t.Errorf("HTTP: %d %q", code, b)
		}
		if _, err := export(dial(t, r), body); err != nil {
			t.Errorf("gRPC: %v", err)
		}
		if answer := <-told; !strings.HasPrefix(answer, "HTTP/1.1 503") {
			t.Errorf("the slow sender that made room was told %q", answer)
		}
	})
}

// A request is read for as long as Config says, and no longer.
func TestReadTime(t *testing.T) {
	r := listen(t, Config{ReadTime: 20 * time.Millisecond}, &collect{})
	if err := silent(t, dial(t, r)).RecvMsg(new([]byte)); status.Code(err) != codes.DeadlineExceeded {
		t.Errorf("gRPC: %v", err)
	}
	answer, err := io.ReadAll(slow(t, r))
	if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 408") {
		t.Errorf("HTTP: %q, %v", answer, err)
	}
	if s := r.Stats(); s.Malformed != 0 || s.Slow != 2 {
		t.Errorf("%+v", s)
	}
}
