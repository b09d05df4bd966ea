package otlp_test

import (
	"bytes"
	"net/http"
	"testing"

	. "foresail.dev/telemetry/otlp"
)

// Senders on this machine are served; web pages, and names that lead here from elsewhere, are not.
func TestForeignRequests(t *testing.T) {
	sink := &collect{}
	local := listen(t, Config{}, sink)
	remote := listen(t, Config{HTTP: "127.0.0.1:0", AllowRemote: true}, &collect{})
	self := "http://" + local.HTTPAddr()
	refused := uint64(0)
	for _, c := range []struct {
		r            *Receiver
		host, origin string
		want         int
	}{
		{local, "", "", 200},
		{local, "localhost", "", 200},
		{local, "LOCALHOST.:4318", "", 200},
		{local, "127.0.0.1", "", 200},
		{local, "192.0.2.7:4318", "", 200},
		{local, "[::1]:4318", "", 200},
		{local, "[::1]", "", 200},
		{local, "[fe80::1%25eth0]:4318", "", 200},
		{local, "evil.com", "", 403},
		{local, "evil.com:4318", "", 403},
		{local, "localhost.evil.com", "", 403},
		{local, "127.0.0.1.evil.com:4318", "", 403},
		{local, "evil.com:4318", "http://evil.com:4318", 403},
		{local, "", self, 200},
		{local, "localhost:4318", "http://localhost:4318", 200},
		{local, "", "http://evil.com", 403},
		{local, "", "null", 403},
		{local, "", "http://127.0.0.1:1", 403},
		{local, "", "http://127.0.0.1", 403},
		{local, "", "%zz", 403},
		{local, "", self + ".evil.com", 403},
		{remote, "collector.example:4318", "", 200},
		{remote, "collector.example", "http://collector.example", 200},
		{remote, "collector.example", "http://evil.com", 403},
	} {
		before := len(sink.got())
		req, err := http.NewRequest(http.MethodPost, "http://"+c.r.HTTPAddr()+"/v1/traces", bytes.NewReader(Encode(someSpans(1))))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/x-protobuf")
		if c.host != "" {
			req.Host = c.host
		}
		if c.origin != "" {
			req.Header.Set("Origin", c.origin)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != c.want {
			t.Errorf("host %q, origin %q: %s, want %d", c.host, c.origin, res.Status, c.want)
		}
		if kind := res.Header.Get("Content-Type"); kind != "application/x-protobuf" {
			t.Errorf("host %q, origin %q: answered with %s", c.host, c.origin, kind)
		}
		if res.StatusCode != 200 && len(sink.got()) != before {
			t.Errorf("host %q, origin %q: refused, but its spans count", c.host, c.origin)
		}
		if c.r == local && c.want == 403 {
			refused++
		}
	}
	if s := local.Stats(); s.Foreign != refused {
		t.Errorf("%d refused, %+v", refused, s)
	}
	// A page asks first whether it may send JSON.
	req, err := http.NewRequest(http.MethodOptions, self+"/v1/traces", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Origin", "http://evil.com")
	req.Header.Set("Access-Control-Request-Method", http.MethodPost)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != 403 || res.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("%s, %v", res.Status, res.Header)
	}
}
