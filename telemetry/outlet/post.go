package outlet

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// post sends JSON. The answer's text is told of refusals, cut short.
func post(ctx context.Context, c *http.Client, to string, headers map[string]string, body []byte) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, to, bytes.NewReader(body))
	if err != nil {
		return err
	}
	for name, v := range headers {
		r.Header.Set(name, v)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", "foresail")
	resp, err := c.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	said, _ := io.ReadAll(io.LimitReader(resp.Body, 1<<12)) // what can't be read of it is not worth more
	if resp.StatusCode/100 == 2 {
		return nil
	}
	text := fmt.Sprintf("status %d: %s", resp.StatusCode, clip(string(said), 200))
	if resp.StatusCode/100 == 5 || resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode == http.StatusRequestTimeout {
		return fmt.Errorf("%s", text)
	}
	return &Refused{text}
}

// clip is at most n bytes of s, on one line.
func clip(s string, n int) string {
	s = strings.Join(strings.Fields(strings.ToValidUTF8(s, "�")), " ")
	if len(s) > n {
		s = strings.ToValidUTF8(s[:n], "") + "…"
	}
	return s
}

// address checks one, and gives what of it may be shown: neither names and passwords nor path and query, which may be tokens.
func address(text string) (u *url.URL, shown string, err error) {
	u, err = url.Parse(text)
	switch {
	case err != nil:
		return nil, "", fmt.Errorf("the URL can't be read: give one like https://host/path") // the error would show all of it
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return nil, "", fmt.Errorf("the URL needs http or https, and a host: give one like https://host/path")
	case u.User != nil:
		return nil, "", fmt.Errorf("the URL holds a name or password: use basic_auth with a password_file")
	}
	return u, u.Scheme + "://" + u.Host, nil
}
