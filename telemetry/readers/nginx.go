package readers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"foresail.dev"
)

type nginx struct {
	url    string
	client http.Client
	last   float64 // requests that it had counted
	own    float64 // of those, this reader's
}

func newNginx(address string) (*nginx, error) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" { // it may hold a password
		return nil, errors.New("this is no http or https URL: give that of the stub_status page, like http://127.0.0.1/stub_status")
	}
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.MaxConnsPerHost, t.Proxy = 1, nil
	return &nginx{url: address, client: http.Client{Transport: t}}, nil
}

func (n *nginx) Read(ctx context.Context) (r Reading, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, n.url, nil)
	if err != nil {
		return r, err
	}
	resp, err := n.client.Do(req)
	if err != nil {
		return r, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return r, fmt.Errorf("%s: %s: is this the stub_status page?", req.URL.Redacted(), resp.Status)
	}
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err == nil && len(b) > maxAnswer {
		err = errLarge
	}
	if err != nil {
		return r, err
	}
	if r, err = parseNginx(string(b)); err != nil {
		return r, err
	}
	if r.Arrivals < n.last { // it began anew
		n.own = 0
	}
	n.own++
	n.last = r.Arrivals
	r.Arrivals = max(r.Arrivals-n.own, 0)
	return r, nil
}

func (n *nginx) Close() error {
	n.client.CloseIdleConnections()
	return nil
}

// parseNginx reads a stub_status page:
//
//	Active connections: 2
//	server accepts handled requests
//	 1 1 3
//	Reading: 0 Writing: 1 Waiting: 1
//
// Waiting are connections without a request. The one that asks is among those that write.
func parseNginx(page string) (r Reading, err error) {
	f := strings.Fields(page)
	if len(f) != 16 || f[0] != "Active" || f[6] != "requests" || f[10] != "Reading:" || f[12] != "Writing:" {
		return r, fmt.Errorf("no stub_status page: %.100q", page)
	}
	var n [3]float64 // requests, reading, writing
	for i, at := range [...]int{9, 11, 13} {
		v, err := strconv.ParseUint(f[at], 10, 63)
		if err != nil {
			return r, fmt.Errorf("stub_status: %w", err)
		}
		n[i] = float64(v)
	}
	return Reading{Has: foresail.SignalInFlight | foresail.SignalArrivals, InFlight: max(n[1]+n[2]-1, 0), Arrivals: n[0], Busy: -1}, nil
}
