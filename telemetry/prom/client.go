package prom

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/api"
	v1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/config"
	"github.com/prometheus/common/model"
)

// Access says where the API is and how to be let in.
type Access struct {
	URL string
	// HTTP is how it is reached: basic auth, bearer token, TLS, headers. The zero value: without any.
	HTTP config.HTTPClientConfig
	// Transport replaces what HTTP says; nil: it does not.
	Transport http.RoundTripper

	// Limits of one answer. 0: the defaults.
	Series int           // series; default 50,000
	Bytes  int64         // of the body; default 64 MiB
	Wait   time.Duration // for it; default 10 s
}

// client asks queries. Whatever the server answers, an answer costs at most as much memory and time as Access allows.
type client struct {
	api    v1.API
	access Access
	params url.Values // of every query: what is not Prometheus' own
}

func newClient(a Access) (*client, error) {
	if a.Series <= 0 {
		a.Series = 50_000
	}
	if a.Bytes <= 0 {
		a.Bytes = 64 << 20
	}
	if a.Wait <= 0 {
		a.Wait = 10 * time.Second
	}
	u, err := url.Parse(a.URL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, fmt.Errorf("prometheus: the URL %q: give one like http://127.0.0.1:9090", redacted(a.URL))
	}
	if u.User != nil {
		return nil, errors.New("prometheus: the URL holds a password: use basic_auth with a password_file")
	}
	c := &client{access: a, params: url.Values{}}
	t := a.Transport
	if t == nil {
		if err := a.HTTP.Validate(); err != nil {
			return nil, fmt.Errorf("prometheus: %w", err)
		}
		if t, err = config.NewRoundTripperFromConfig(a.HTTP, "foresail"); err != nil {
			return nil, fmt.Errorf("prometheus: %w", err)
		}
	}
	inner, err := api.NewClient(api.Config{Address: a.URL, RoundTripper: &bounded{next: t, c: c}})
	if err != nil {
		return nil, fmt.Errorf("prometheus: %w", err)
	}
	c.api = v1.NewAPI(inner)
	return c, nil
}

// redacted is a URL for people: without what may be a secret.
func redacted(s string) string {
	if u, err := url.Parse(s); err == nil {
		return u.Redacted()
	}
	return "given"
}

// bounded cuts off what is too long, and tells what is no answer of an API at all.
type bounded struct {
	next http.RoundTripper
	c    *client
}

func (b *bounded) RoundTrip(req *http.Request) (*http.Response, error) {
	if len(b.c.params) > 0 {
		req = req.Clone(req.Context())
		q := req.URL.Query()
		for k, v := range b.c.params {
			q[k] = v
		}
		req.URL.RawQuery = q.Encode()
	}
	resp, err := b.next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	if kind := resp.Header.Get("Content-Type"); strings.HasPrefix(kind, "text/html") {
		_ = resp.Body.Close()
		return nil, fmt.Errorf("answered %s with a web page: is this the address of a Prometheus API, and are you let in?", resp.Status)
	}
	resp.Body = &cutOff{ReadCloser: resp.Body, left: b.c.access.Bytes}
	return resp, nil
}

// errTooLong is told where an answer is longer than allowed.
var errTooLong = errors.New("the answer is too long: narrow what is read with selector")

type cutOff struct {
	io.ReadCloser
	left int64
}

func (c *cutOff) Read(p []byte) (int, error) {
	if c.left < 0 {
		return 0, errTooLong
	}
	if int64(len(p)) > c.left+1 {
		p = p[:c.left+1]
	}
	n, err := c.ReadCloser.Read(p)
	c.left -= int64(n)
	if c.left < 0 {
		return n, errTooLong
	}
	return n, err
}

// look is how an instant is seen: no sample older than back counts.
type look struct {
	at   time.Time
	back time.Duration
}

// query asks for an instant. Its answer is a vector with at most as many series as allowed.
func (c *client) query(ctx context.Context, q string, l look) (model.Vector, v1.Warnings, error) {
	ctx, cancel := context.WithTimeout(ctx, c.access.Wait)
	defer cancel()
	v, warnings, _, err := c.api.Query(ctx, q, l.at, v1.WithLimit(uint64(c.access.Series)+1), v1.WithLookbackDelta(l.back))
	if err != nil {
		return nil, nil, plain(err)
	}
	vector, ok := v.(model.Vector)
	if !ok {
		return nil, nil, fmt.Errorf("answered with a %s where a vector was asked for", typeOf(v))
	}
	return vector, warnings, c.few(len(vector))
}

// queryRange asks for instants from start to end, step apart.
func (c *client) queryRange(ctx context.Context, q string, r v1.Range, back time.Duration) (model.Matrix, error) {
	ctx, cancel := context.WithTimeout(ctx, c.access.Wait)
	defer cancel()
	v, _, _, err := c.api.QueryRange(ctx, q, r, v1.WithLimit(uint64(c.access.Series)+1), v1.WithLookbackDelta(back))
	if err != nil {
		return nil, plain(err)
	}
	matrix, ok := v.(model.Matrix)
	if !ok {
		return nil, fmt.Errorf("answered with a %s where a matrix was asked for", typeOf(v))
	}
	return matrix, c.few(len(matrix))
}

func (c *client) few(n int) error {
	if n > c.access.Series {
		return fmt.Errorf("more than %d series: narrow what is read with selector", c.access.Series)
	}
	return nil
}

func typeOf(v model.Value) string {
	if v == nil {
		return "nothing"
	}
	return v.Type().String()
}

// plain is an error of the API as a person reads it: one line, of bounded length.
func plain(err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return errors.New("no answer in time")
	}
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err // the URL is known, and may be long
	}
	text := err.Error()
	var e *v1.Error
	if errors.As(err, &e) && strings.TrimSpace(e.Detail) != "" && e.Type != v1.ErrBadData {
		text += ": " + e.Detail
	}
	text = strings.Join(strings.Fields(strings.ToValidUTF8(text, "?")), " ")
	if len(text) > 300 {
		text = strings.ToValidUTF8(text[:300], "") + "…"
	}
	return errors.New(text)
}

// seconds writes a duration as VictoriaMetrics reads it.
func seconds(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', -1, 64) + "s" }
