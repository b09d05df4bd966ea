package rpc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"foresail.dev"
	"foresail.dev/cluster/testbed/wire"
	"go.opentelemetry.io/otel/propagation"
)

// Errors of a call. An operation that failed in the callee answers with status 500, one that was refused with 503.
var (
	ErrRefused = errors.New("refused")
	ErrFailed  = errors.New("failed")
	ErrNobody  = errors.New("no replica is ready")
	ErrTimeout = errors.New("timed out")
)

// Prefix is the path below which a replica serves its operations, by their index.
const Prefix = "/op/"

// Client calls operations of services.
type Client struct {
	table     *Table
	transport *http.Transport
	uniform   func() float64
}

// NewClient calls through table; uniform draws from 0..1 and must be safe for concurrent use. The bytes of its
// connections are counted in traffic, unless that is nil.
func NewClient(table *Table, uniform func() float64, traffic *wire.Traffic) *Client {
	dialer := &net.Dialer{Timeout: 5 * time.Second, KeepAlive: -1}
	return &Client{table: table, uniform: uniform, transport: &http.Transport{
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			c, err := dialer.DialContext(ctx, network, address)
			if err != nil {
				return nil, err
			}
			return &counted{c, traffic}, nil
		},
		MaxIdleConnsPerHost: 1024,
		IdleConnTimeout:     time.Minute,
		DisableCompression:  true,
	}}
}

// Close drops idle connections.
func (c *Client) Close() { c.transport.CloseIdleConnections() }

// Attempts makes attempts until one succeeds, the patience is at its end or ctx is. Each attempt has the patience's
// timeout. Waits between attempts are multiplied by a number drawn between a half and one and a half, so that callers don't
// retry in step.
func (c *Client) Attempts(ctx context.Context, p foresail.Patience, attempt func(context.Context) error) error {
	backoff := p.Backoff
	for retry := 0; ; retry++ {
		err := within(ctx, p.Timeout, attempt)
		if err == nil || retry >= p.Retries || ctx.Err() != nil {
			return err
		}
		if backoff > 0 {
			select {
			case <-time.After(time.Duration((0.5 + c.uniform()) * float64(backoff))):
			case <-ctx.Done():
				return err
			}
			backoff *= 2
		}
	}
}

func within(ctx context.Context, timeout time.Duration, attempt func(context.Context) error) error {
	if timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, timeout)
		defer cancel()
	}
	err := attempt(ctx)
	if err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return ErrTimeout
	}
	return err
}

// Do sends one request of so many bytes and waits for its answer. The span in ctx becomes the callee's parent. A replica that can't be
// connected to has not seen the request, so another one is asked at once; that does not count as a retry.
func (c *Client) Do(ctx context.Context, to foresail.Target, size int64) error {
	first := c.table.pick(to.Service, c.uniform)
	if first == nil {
		return ErrNobody
	}
	err := c.sendTo(ctx, first, to.Operation, size)
	if !unconnected(err) {
		return err
	}
	for _, other := range c.table.peers(to.Service) {
		if other == first {
			continue
		}
		if err = c.sendTo(ctx, other, to.Operation, size); !unconnected(err) {
			return err
		}
	}
	return fmt.Errorf("%w: %w", ErrNobody, err)
}

func (c *Client) sendTo(ctx context.Context, p *peer, operation int, size int64) error {
	p.outstanding.Add(1)
	defer p.outstanding.Add(-1)
	return c.send(ctx, p.address, operation, size)
}

func (c *Client) send(ctx context.Context, address string, operation int, size int64) error {
	req := (&http.Request{
		Method: http.MethodGet,
		URL:    &url.URL{Scheme: "http", Host: address, Path: Prefix + strconv.Itoa(operation)},
		Host:   address,
		Proto:  "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: make(http.Header, 2),
	}).WithContext(ctx)
	body(req, size)
	req.Header["User-Agent"] = nil
	propagation.TraceContext{}.Inject(ctx, propagation.HeaderCarrier(req.Header))
	if depth, _ := ctx.Value(depthKey{}).(int); depth > 0 {
		req.Header[depthHeader] = []string{strconv.Itoa(depth)}
	}
	resp, err := c.transport.RoundTrip(req)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	switch {
	case resp.StatusCode == http.StatusServiceUnavailable:
		return ErrRefused
	case resp.StatusCode != http.StatusOK:
		return ErrFailed
	}
	return err
}

// MaxDepth is how deep calls may nest; a call beyond it fails. It ends declared cycles that would not end by themselves.
const MaxDepth = 256

const depthHeader = "Foresail-Depth"

type depthKey struct{}

// Nested notes in ctx how deep the calls that a request makes are nested: one more than the request itself. It is false
// when they may not be made any more.
func Nested(ctx context.Context, req *http.Request) (context.Context, bool) {
	depth := 1
	if v := req.Header[depthHeader]; len(v) == 1 {
		if n, err := strconv.Atoi(v[0]); err == nil {
			depth = n + 1
		}
	}
	return context.WithValue(ctx, depthKey{}, depth), depth <= MaxDepth
}

func unconnected(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}
