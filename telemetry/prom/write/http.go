package write

import (
	"io"
	"net/http"
	"strconv"
	"time"
)

// maxAnswer is how much of an answer is read: nobody needs more of an error message.
const maxAnswer = 4 << 10

// outcome is what the transport saw of the last attempt.
type outcome struct{ status int }

type outcomeKey struct{}

// http is the configured client with a limit on answers. It follows no redirect, since that would show a password to
// whoever the answer names.
func (c *Client) http() *http.Client {
	h := *c.cfg.Client
	next := h.Transport
	if next == nil {
		next = http.DefaultTransport
	}
	h.Transport = &transport{next: next, headers: c.cfg.Headers, longest: c.cfg.MaxDelay}
	h.Timeout = c.cfg.Timeout
	h.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &h
}

// transport adds headers, bounds what a server can ask of the client, and tells the status to whoever put an outcome in the
// request's context.
type transport struct {
	next    http.RoundTripper
	headers map[string]string
	longest time.Duration
}

func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	if len(t.headers) > 0 {
		req = req.Clone(req.Context())
		for k, v := range t.headers {
			req.Header.Set(k, v)
		}
	}
	seen, _ := req.Context().Value(outcomeKey{}).(*outcome)
	if seen != nil {
		seen.status = 0
	}
	resp, err := t.next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	if seen != nil {
		seen.status = resp.StatusCode
	}
	resp.Body = &short{Reader: io.LimitReader(resp.Body, maxAnswer), Closer: resp.Body}
	t.boundDelay(resp.Header)
	return resp, nil
}

// boundDelay makes a Retry-After of hours one of the longest delay that is configured, and one in the past none.
func (t *transport) boundDelay(h http.Header) {
	text := h.Get("Retry-After")
	if text == "" {
		return
	}
	delay := time.Duration(0)
	if at, err := http.ParseTime(text); err == nil {
		delay = time.Until(at)
	} else if s, err := strconv.Atoi(text); err == nil {
		delay = time.Duration(min(max(s, 0), 1<<30)) * time.Second
	}
	h.Set("Retry-After", strconv.Itoa(int(min(max(delay, 0), t.longest).Round(time.Second).Seconds())))
}

type short struct {
	io.Reader
	io.Closer
}
