package instrument

import (
	"io"
	"net/http"
	"sync"
)

// router is what http.ServeMux tells of a request's pattern.
type router interface {
	Handler(*http.Request) (http.Handler, string)
}

// Handler counts the requests that next serves. The endpoint is the pattern by which next, if it is an http.ServeMux,
// or the mux that Handler itself is registered at, matched the request; otherwise its method. Use Handle to name one.
//
// A request is answered when next returns, or when it takes over the connection (http.Hijacker). It failed when its status
// is 500 or above or next panics.
func (in *Instrument) Handler(next http.Handler) http.Handler {
	mux, routes := next.(router)
	return in.HandlerBy(next, func(r *http.Request) string {
		if r.Pattern != "" {
			return r.Pattern
		}
		if routes {
			if _, pattern := mux.Handler(r); pattern != "" {
				return pattern
			}
		}
		return method(r.Method)
	})
}

// HandlerBy is Handler where endpoint names the requests. It is called before they are served, and should give few names:
// those beyond Config.MaxEndpoints are counted as "other".
func (in *Instrument) HandlerBy(next http.Handler, endpoint func(*http.Request) string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		serve(in.Server(endpoint(r)), next, w, r)
	})
}

// Handle is Handler where all requests are of one endpoint.
func (in *Instrument) Handle(endpoint string, next http.Handler) http.Handler {
	e := in.Server(endpoint)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { serve(e, next, w, r) })
}

// method bounds what a client may name a method.
func method(m string) string {
	switch m {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
		http.MethodConnect, http.MethodOptions, http.MethodTrace:
		return m
	}
	return Other
}

func serve(e *Endpoint, next http.Handler, w http.ResponseWriter, r *http.Request) {
	aw := &answer{ResponseWriter: w, request: e.Begin(), failed: true} // until it returns: a panic fails
	defer aw.end()
	next.ServeHTTP(aw, r)
	aw.failed = aw.status >= http.StatusInternalServerError
}

// RoundTripper counts the requests that next sends; nil is http.DefaultTransport. The endpoint is the host. A request is
// answered when its answer's body has been read or closed; it failed when there is no answer, or its status is 500 or
// above.
func (in *Instrument) RoundTripper(next http.RoundTripper) http.RoundTripper {
	return in.RoundTripperBy(next, func(r *http.Request) string { return r.URL.Host })
}

// RoundTripperBy is RoundTripper where endpoint names the requests.
func (in *Instrument) RoundTripperBy(next http.RoundTripper, endpoint func(*http.Request) string) http.RoundTripper {
	if next == nil {
		next = http.DefaultTransport
	}
	return &roundTripper{in, next, endpoint}
}

type roundTripper struct {
	in       *Instrument
	next     http.RoundTripper
	endpoint func(*http.Request) string
}

func (t *roundTripper) RoundTrip(r *http.Request) (*http.Response, error) {
	request := t.in.Client(t.endpoint(r)).Begin()
	returned := false
	defer func() {
		if !returned {
			request.End(true)
		}
	}()
	resp, err := t.next.RoundTrip(r)
	returned = true
	switch {
	case err != nil:
		request.End(true)
	case resp.Body == nil || resp.Body == http.NoBody:
		request.End(resp.StatusCode >= http.StatusInternalServerError)
	default:
		b := &body{ReadCloser: resp.Body, request: request, failed: resp.StatusCode >= http.StatusInternalServerError}
		resp.Body = b
		if w, ok := b.ReadCloser.(io.Writer); ok { // the connection of an upgraded protocol: the request is answered
			b.end(b.failed)
			resp.Body = struct {
				*body
				io.Writer
			}{b, w}
		}
	}
	return resp, err
}

// CloseIdleConnections is for http.Client.CloseIdleConnections.
func (t *roundTripper) CloseIdleConnections() {
	if c, ok := t.next.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// body is an answer's body, whose end ends the request.
type body struct {
	io.ReadCloser
	request Request
	failed  bool
	once    sync.Once
}

func (b *body) end(failed bool) { b.once.Do(func() { b.request.End(failed) }) }

func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		b.end(b.failed || err != io.EOF)
	}
	return n, err
}

func (b *body) Close() error {
	err := b.ReadCloser.Close()
	b.end(b.failed)
	return err
}
