package write

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"

	"github.com/prometheus/client_golang/exp/api/remote"
)

// Client sends samples and waits for the answer. Its methods may be called from any goroutine.
type Client struct {
	cfg Config
	api *remote.API
	old atomic.Bool // the server takes 1.0 only

	sent, refused, retries, requests atomic.Uint64
}

// Stats counts what became of samples and requests since the client was made.
type Stats struct {
	Sent     uint64 // samples that the server took
	Refused  uint64 // samples that it refused for good, or took when it was too late
	Retries  uint64 // requests that were sent once more
	Requests uint64 // requests that were answered well
	Protocol Protocol
}

// Refused is the error of a request that is not worth sending again.
type Refused struct {
	Status int    // of HTTP; 0: none
	Text   string // what the server said, cut short
}

// Error says what the server said.
func (e *Refused) Error() string {
	if e.Status == 0 {
		return "remote write: " + e.Text
	}
	return fmt.Sprintf("remote write: the server refuses with status %d: %s", e.Status, e.Text)
}

// New checks cfg and makes a client. It does not connect yet.
func New(cfg Config) (*Client, error) {
	if err := cfg.fill(); err != nil {
		return nil, err
	}
	c := &Client{cfg: cfg}
	if cfg.Histograms == Classic {
		c.cfg.Meta = classicMeta(cfg.Meta)
	}
	c.old.Store(cfg.Protocol == V1)
	api, err := remote.NewAPI(cfg.URL, remote.WithAPIPath(""), remote.WithAPIHTTPClient(c.http()),
		remote.WithAPIBackoff(remote.BackoffConfig{Min: cfg.MinDelay, Max: cfg.MaxDelay, MaxRetries: cfg.Retries}))
	if err != nil {
		return nil, fmt.Errorf("remote write: %w", err)
	}
	c.api = api
	return c, nil
}

// Send sends samples, oldest first, and returns nil once the server has all of them. It tries again on statuses 5xx and 429
// and when there is no answer, after the time the server asks for or longer and longer ones. A *Refused error concerns one
// request: those after it were sent all the same.
func (c *Client) Send(ctx context.Context, samples []Sample) error {
	if c.cfg.Histograms == Classic {
		samples = classic(samples)
	}
	var refused error
	for len(samples) > 0 {
		n := min(len(samples), c.cfg.PerSend)
		err := c.send(ctx, samples[:n])
		var r *Refused
		switch {
		case err == nil:
			c.sent.Add(uint64(n))
			c.requests.Add(1)
		case errors.As(err, &r):
			c.refused.Add(uint64(n))
			refused = err
		default:
			return err
		}
		samples = samples[n:]
	}
	return refused
}

// send sends one request, and sends it again as 1.0 when the server doesn't know 2.0: it answers 415, or takes the request
// without saying how much of it, as servers do that skip fields they don't know.
func (c *Client) send(ctx context.Context, samples []Sample) error {
	if c.old.Load() {
		return c.post(ctx, remote.WriteV1MessageType, encodeV1(samples))
	}
	err := c.post(ctx, remote.WriteV2MessageType, encodeV2(samples, c.cfg.Meta))
	var r *Refused
	if c.cfg.Protocol != Auto || !errors.As(err, &r) || r.Status != http.StatusUnsupportedMediaType && r.Status/100 != 2 {
		return err
	}
	err = c.post(ctx, remote.WriteV1MessageType, encodeV1(samples))
	if err == nil {
		c.old.Store(true)
	}
	return err
}

func (c *Client) post(ctx context.Context, kind remote.WriteMessageType, msg any) error {
	var answer outcome
	_, err := c.api.Write(context.WithValue(ctx, outcomeKey{}, &answer), kind, msg,
		remote.WithWriteRetryCallback(func(error) { c.retries.Add(1) }))
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("remote write: given up: %w", errors.Join(context.Cause(ctx), err))
	case answer.status == 0, answer.status/100 == 5, answer.status == http.StatusTooManyRequests:
		return fmt.Errorf("remote write: %w", err) // retries are used up
	case answer.status/100 == 2:
		return &Refused{Status: answer.status, Text: "it did not say that it took anything: it may know remote write 1.0 only"}
	}
	text := err.Error()
	if _, said, ok := strings.Cut(text, ": "); ok && said != "" {
		text = said // after the status line
	}
	return &Refused{Status: answer.status, Text: clip(text, 300)}
}

// Stats counts so far.
func (c *Client) Stats() Stats {
	p := V2
	if c.old.Load() {
		p = V1
	}
	return Stats{Sent: c.sent.Load(), Refused: c.refused.Load(), Retries: c.retries.Load(), Requests: c.requests.Load(), Protocol: p}
}

// clip is at most n bytes of s, on one line.
func clip(s string, n int) string {
	s = strings.Join(strings.Fields(strings.ToValidUTF8(s, "�")), " ")
	if len(s) > n {
		s = strings.ToValidUTF8(s[:n], "") + "…"
	}
	return s
}
