package instrument_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	. "foresail.dev/telemetry/instrument"
	"foresail.dev/telemetry/instrument/internal/cpu"
)

// newInstrument counts for nobody: reports go nowhere.
func newInstrument(t testing.TB) *Instrument {
	t.Helper()
	in, err := New(Config{Service: "cart", Transport: refuse{}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(in.Close)
	return in
}

type refuse struct{}

func (refuse) RoundTrip(*http.Request) (*http.Response, error) {
	return nil, errors.New("nobody listens")
}

// served runs a server with the handler and makes one request of it.
func served(t *testing.T, h http.Handler, method, path string) {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.Start()
	defer s.Close()
	req, _ := http.NewRequest(method, s.URL+path, strings.NewReader("body"))
	if resp, err := s.Client().Do(req); err == nil {
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
	}
}

// Each way that a handler can end a request counts it once, as answered or as failed.
func TestHandlerCounts(t *testing.T) {
	tests := []struct {
		name    string
		handler http.HandlerFunc
		want    Counts
	}{
		{"nothing written", func(http.ResponseWriter, *http.Request) {}, Counts{1, 1, 0, 0}},
		{"written", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "ok") }, Counts{1, 1, 0, 0}},
		{"not found", http.NotFound, Counts{1, 1, 0, 0}},
		{"failed", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) }, Counts{1, 1, 1, 0}},
		{"failed after an early hint", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(103); w.WriteHeader(500) }, Counts{1, 1, 1, 0}},
		{"a status too late", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "ok"); w.WriteHeader(500) }, Counts{1, 1, 0, 0}},
		{"panic", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, Counts{1, 1, 1, 0}},
		{"panic after an answer", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "ok"); panic(http.ErrAbortHandler) }, Counts{1, 1, 1, 0}},
		{"flushed", func(w http.ResponseWriter, _ *http.Request) { w.(http.Flusher).Flush(); fmt.Fprint(w, "ok") }, Counts{1, 1, 0, 0}},
		{"copied", func(w http.ResponseWriter, r *http.Request) { _, _ = w.(io.ReaderFrom).ReadFrom(r.Body) }, Counts{1, 1, 0, 0}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			in := newInstrument(t)
			served(t, in.Handle("e", test.handler), "GET", "/")
			if got := in.Server("e").Counts(); got != test.want {
				t.Errorf("%+v, want %+v", got, test.want)
			}
		})
	}
}

// A handler that takes over the connection has answered: what goes on in it is no request in flight.
func TestHijackEndsTheRequest(t *testing.T) {
	in := newInstrument(t)
	open := make(chan Counts)
	s := httptest.NewServer(in.Handle("e", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		conn, rw, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		_, _ = rw.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n")
		_ = rw.Flush()
		line, _ := rw.ReadString('\n')
		_, _ = io.WriteString(conn, line)
		open <- in.Server("e").Counts()
	})))
	defer s.Close()
	conn, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\nhello\n")
	in1 := bufio.NewReader(conn)
	for line := ""; line != "hello\n"; {
		if line, err = in1.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := <-open, (Counts{1, 1, 0, 0}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

// The endpoint is the pattern, whether the mux is inside or outside; without one it is the method.
func TestEndpointNames(t *testing.T) {
	ok := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	in := newInstrument(t)
	inside, outside := http.NewServeMux(), http.NewServeMux()
	inside.Handle("GET /cart/{id}", ok)
	outside.Handle("GET /user/{id}", in.Handler(ok))
	served(t, in.Handler(inside), "GET", "/cart/17")
	served(t, outside, "GET", "/user/4")
	served(t, in.Handler(inside), "GET", "/elsewhere")
	served(t, in.Handler(ok), "GET", "/cart/17")
	served(t, in.Handler(ok), "BREW", "/pot")
	for name, n := range map[string]uint64{"GET /cart/{id}": 1, "GET /user/{id}": 1, "GET": 2, Other: 1} {
		if got := in.Server(name).Counts().Completions; got != n {
			t.Errorf("%s: %d, want %d", name, got, n)
		}
	}
}

// A client's request is in flight until its answer has been read or closed.
func TestRoundTripperCounts(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/fail":
			w.WriteHeader(http.StatusInternalServerError)
		case "/abort":
			panic(http.ErrAbortHandler)
		}
		_, _ = io.WriteString(w, "answer")
	}))
	defer s.Close()
	in := newInstrument(t)
	c := &http.Client{Transport: in.RoundTripper(nil)}
	defer c.CloseIdleConnections()
	counts := func() Counts { return in.Client(s.Listener.Addr().String()).Counts() }
	get := func(path string) *http.Response {
		resp, err := c.Get(s.URL + path)
		if err != nil {
			return nil
		}
		return resp
	}
	ok := get("/")
	if got, want := counts(), (Counts{1, 0, 0, 1}); got != want {
		t.Errorf("before the body is read: %+v, want %+v", got, want)
	}
	_, _ = io.Copy(io.Discard, ok.Body)
	_ = ok.Body.Close()
	_ = ok.Body.Close()
	if got, want := counts(), (Counts{1, 1, 0, 0}); got != want {
		t.Errorf("after: %+v, want %+v", got, want)
	}
	_ = get("/fail").Body.Close()
	get("/abort")
	if got, want := counts(), (Counts{3, 3, 2, 0}); got != want {
		t.Errorf("after failures: %+v, want %+v", got, want)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	req, _ := http.NewRequestWithContext(ctx, "GET", s.URL, nil)
	if _, err := c.Do(req); err == nil {
		t.Error("a request whose context is over got through")
	}
	if got := counts(); got.InFlight != 0 || got.Completions != 4 {
		t.Errorf("after a cancelled request: %+v", got)
	}
}

// What Handler adds to a request that does nothing.
func BenchmarkHandler(b *testing.B) {
	ok := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
	mux := http.NewServeMux()
	mux.Handle("GET /cart/{id}", ok)
	in := newInstrument(b)
	for _, c := range []struct {
		name string
		h    http.Handler
	}{{"none", ok}, {"handle", in.Handle("e", ok)}, {"handler", in.Handler(ok)}, {"mux", mux}, {"handler+mux", in.Handler(mux)}} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			defer cpu.Measure(b)()
			b.RunParallel(func(pb *testing.PB) {
				r := httptest.NewRequest("GET", "/cart/17", nil)
				w := &sink{h: http.Header{}}
				for pb.Next() {
					c.h.ServeHTTP(w, r)
				}
			})
		})
	}
}

type sink struct{ h http.Header }

func (s *sink) Header() http.Header         { return s.h }
func (s *sink) Write(b []byte) (int, error) { return len(b), nil }
func (s *sink) WriteHeader(int)             {}
