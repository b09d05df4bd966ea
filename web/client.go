package web

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"foresail.dev/access"
)

// maxAnswer is more than any answer of the API.
const maxAnswer = 64 << 20

// Client asks another Foresail's API. Its methods may be called from any goroutine.
type Client struct {
	base  *url.URL
	http  *http.Client
	token access.Secret
}

// NewClient asks the server at base, for example https://foresail.example.org:7420. The files say which CA to trust and
// which certificate to show; a token is sent only over TLS or to this machine itself, and never after a redirection.
func NewClient(base string, files access.Files, token access.Secret) (*Client, error) {
	u, err := access.ParseURL(base)
	if err != nil {
		return nil, fmt.Errorf("server: %w", err)
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, errors.New("server: not like http://127.0.0.1:7420 or https://foresail.example.org:7420")
	}
	if u.User != nil {
		return nil, errors.New("server: leave user and password out of the URL, and give a token")
	}
	port := u.Port()
	if port == "" {
		port = "80"
	}
	if u.Scheme == "http" && !token.IsZero() && !access.Loopback(u.Hostname()+":"+port) && !access.Loopback("["+u.Hostname()+"]:"+port) {
		return nil, fmt.Errorf("server: a token would go to %s in the clear: use https", u.Host)
	}
	c, err := access.Client(files)
	if err != nil {
		return nil, err
	}
	tr := http.DefaultTransport.(*http.Transport).Clone()
	tr.TLSClientConfig = c
	return &Client{base: u, token: token, http: &http.Client{Transport: tr, Timeout: 30 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}, nil
}

// Get decodes what the API has at a path, such as /api/v1/state.
func (c *Client) Get(ctx context.Context, path string, into any) error {
	return c.do(ctx, http.MethodGet, path, nil, into)
}

// ChangeLoad shifts the load of a demo and returns what it is then.
func (c *Client) ChangeLoad(ctx context.Context, change LoadChange) (LoadState, error) {
	var s LoadState
	b, err := json.Marshal(change)
	if err == nil {
		err = c.do(ctx, http.MethodPost, "/api/v1/load", b, &s)
	}
	return s, err
}

// Close gives connections back.
func (c *Client) Close() { c.http.CloseIdleConnections() }

func (c *Client) do(ctx context.Context, method, path string, body []byte, into any) error {
	r, err := http.NewRequestWithContext(ctx, method, c.base.JoinPath(path).String(), bytes.NewReader(body))
	if err != nil {
		return access.Clean(err)
	}
	access.Authorize(r, c.token)
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.http.Do(r)
	if err != nil {
		return access.Clean(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	if resp.StatusCode != http.StatusOK {
		var why struct {
			Error string `json:"error"`
		}
		if json.Unmarshal(b, &why) != nil || why.Error == "" {
			why.Error = "no reason given; is that a Foresail?"
		}
		return fmt.Errorf("%s %s: %s: %s", method, path, resp.Status, why.Error)
	}
	if err := json.Unmarshal(b, into); err != nil {
		return fmt.Errorf("%s %s: the answer is no JSON: is that a Foresail?", method, path)
	}
	return nil
}
