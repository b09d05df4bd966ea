package web_test

import (
	"context"
	"encoding/json"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"foresail.dev"
	"foresail.dev/web"
)

func post(h http.Handler, body string, change func(*http.Request)) *httptest.ResponseRecorder {
	r := httptest.NewRequest("POST", "http://localhost:7420/api/v1/load", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Origin", "http://localhost:7420")
	if change != nil {
		change(r)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestLoadIsCheckedBeforeItIsChanged(t *testing.T) {
	d := newDemo()
	_, h := page(t, func(c *web.Config) { c.Controls = d })
	for _, c := range []struct {
		name, body string
		change     func(*http.Request)
		code       int
		says       string
	}{
		{"a level", `{"level": 2.5}`, nil, 200, ""},
		{"a spike", `{"spike": true}`, nil, 200, ""},
		{"a shape", `{"shape": "ramp"}`, nil, 200, ""},
		{"a mix", `{"mix": [1, 0, 3, 0]}`, nil, 200, ""},
		{"no browser", `{"level": 1}`, func(r *http.Request) { r.Header.Del("Origin") }, 200, ""},
		{"nothing", `{}`, nil, 400, "nothing to change"},
		{"a list", `[1]`, nil, 400, "not a change"},
		{"cut off", `{"level": 1`, nil, 400, "not a change"},
		{"empty", ``, nil, 400, "not a change"},
		{"two objects", `{"level": 1} {"level": 2}`, nil, 400, "something after"},
		{"an unknown field", `{"levle": 1}`, nil, 400, "levle"},
		{"too high", `{"level": 4.01}`, nil, 400, "give 0 to 4"},
		{"negative", `{"level": -1}`, nil, 400, "give 0 to 4"},
		{"infinite", `{"level": 1e999}`, nil, 400, "not a change"},
		{"an unknown shape", `{"shape": "<script>"}`, nil, 400, "diurnal"},
		{"a short mix", `{"mix": [1]}`, nil, 400, "each of the 4 endpoints"},
		{"a mix of nothing", `{"mix": [0, 0, 0, 0]}`, nil, 400, "at least one share"},
		{"a negative mix", `{"mix": [1, -1, 0, 1]}`, nil, 400, "mix[1]"},
		{"a huge body", `{"shape": "` + strings.Repeat("x", 1<<20) + `"}`, nil, 413, "over"},
		{"a form", `level=1`, func(r *http.Request) { r.Header.Set("Content-Type", "application/x-www-form-urlencoded") }, 415, "application/json"},
		{"no type", `{"level": 1}`, func(r *http.Request) { r.Header.Del("Content-Type") }, 415, "application/json"},
		{"another origin", `{"level": 1}`, func(r *http.Request) { r.Header.Set("Origin", "http://evil.example") }, 403, "another site"},
		{"another port", `{"level": 1}`, func(r *http.Request) { r.Header.Set("Origin", "http://localhost:9999") }, 403, "another site"},
		{"a sandboxed page", `{"level": 1}`, func(r *http.Request) { r.Header.Set("Origin", "null") }, 403, "another site"},
		{"cross-site by fetch metadata", `{"level": 1}`, func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") }, 403, "another site"},
		{"a rebound name", `{"level": 1}`, func(r *http.Request) { r.Host = "evil.example:7420" }, 421, "host"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for len(d.got) > 0 {
				<-d.got
			}
			w := post(h, c.body, c.change)
			if w.Code != c.code || !strings.Contains(w.Body.String(), c.says) {
				t.Errorf("answer %d %s, want %d with %q", w.Code, w.Body, c.code, c.says)
			}
			if changed := len(d.got) > 0; changed != (c.code == 200) {
				t.Errorf("changed: %v, with answer %d", changed, w.Code)
			}
		})
	}
}

func TestLoadOfARealApplicationCantBeShifted(t *testing.T) {
	_, h := page(t, nil)
	if w := post(h, `{"level": 1}`, nil); w.Code != http.StatusNotFound {
		t.Errorf("answer %d %s", w.Code, w.Body)
	}
	if _, now := state(t, h); now["load"] != nil {
		t.Errorf("a load is shown: %v", now["load"])
	}
}

func FuzzPostLoad(f *testing.F) {
	for _, s := range []string{`{"level": 1}`, `{"mix":[1,2,3,4],"spike":true}`, `{"shape":"ramp"}`, `null`, `{"level":null}`, "\xff"} {
		f.Add(s)
	}
	d := newDemo()
	_, h := page(f, func(c *web.Config) { c.Controls = d })
	f.Fuzz(func(t *testing.T, body string) {
		w := post(h, body, nil)
		for len(d.got) > 0 {
			c := <-d.got
			if c.Level != nil && !(*c.Level >= 0 && *c.Level <= 4) || c.Mix != nil && len(c.Mix) != 4 {
				t.Fatalf("%q let through %+v", body, c)
			}
		}
		if !json.Valid(w.Body.Bytes()) {
			t.Fatalf("%q: the answer isn't JSON: %s", body, w.Body)
		}
	})
}

func TestHosts(t *testing.T) {
	_, h := page(t, func(c *web.Config) { c.Hosts = []string{"foresail.internal"} })
	for host, ok := range map[string]bool{"localhost": true, "localhost:7420": true, "127.0.0.1:80": true, "[::1]:7420": true, "10.0.0.7": true,
		"foresail.internal:7420": true, "FORESAIL.internal.": true, "evil.example": false, "localhost.evil.example": false, "127.0.0.1.nip.io": false, "": false} {
		r := httptest.NewRequest("GET", "/api/v1/state", nil)
		r.Host = host
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if (w.Code == http.StatusOK) != ok {
			t.Errorf("host %q: answer %d, allowed should be %v", host, w.Code, ok)
		}
	}
}

func TestHeaders(t *testing.T) {
	_, h := page(t, nil)
	for _, path := range []string{"/", "/js/main.js", "/api/v1/state", "/nothing", "/api/v1/nothing", "/..%2f..%2fgo.mod"} {
		w, _ := get(t, h, path)
		csp := w.Header().Get("Content-Security-Policy")
		if strings.Contains(csp, "unsafe") || !strings.Contains(csp, "frame-ancestors 'none'") || !strings.Contains(csp, "default-src 'none'") {
			t.Errorf("%s: policy %q", path, csp)
		}
		if w.Header().Get("X-Content-Type-Options") != "nosniff" || w.Header().Get("Content-Type") == "" {
			t.Errorf("%s: headers %v", path, w.Header())
		}
	}
}

func TestAssetsAreCompressedAndCached(t *testing.T) {
	_, h := page(t, nil)
	ask := func(enc, etag string) *httptest.ResponseRecorder {
		r := httptest.NewRequest("GET", "http://localhost/vendor/echarts/echarts.esm.min.mjs", nil)
		r.Header.Set("Accept-Encoding", enc)
		r.Header.Set("If-None-Match", etag)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w
	}
	plain, zipped := ask("identity", ""), ask("br, gzip;q=0.8", "")
	if zipped.Header().Get("Content-Encoding") != "gzip" || zipped.Body.Len() > plain.Body.Len()/2 {
		t.Errorf("compressed from %d to %d bytes, encoding %q", plain.Body.Len(), zipped.Body.Len(), zipped.Header().Get("Content-Encoding"))
	}
	if plain.Header().Get("ETag") == zipped.Header().Get("ETag") {
		t.Error("both forms have the same tag")
	}
	if w := ask("gzip", zipped.Header().Get("ETag")); w.Code != http.StatusNotModified || w.Body.Len() > 0 {
		t.Errorf("asked again: %d with %d bytes", w.Code, w.Body.Len())
	}
	if w := ask("gzip;q=0", ""); w.Header().Get("Content-Encoding") != "" {
		t.Error("gzip sent to a client that refuses it")
	}
}

// The page's files obey the policy: no inline script, handler or style that a browser would refuse, and no way in for
// text as markup.
func TestPageKeepsItsOwnPolicy(t *testing.T) {
	html, err := os.ReadFile("static/index.html")
	if err != nil {
		t.Fatal(err)
	}
	for _, re := range []string{`<script(\s[^>]*)?>[^<]`, `\son[a-z]+=`, `\sstyle=`, `<style`, `https?://`} {
		if m := regexp.MustCompile(re).Find(html); m != nil {
			t.Errorf("index.html has %q", m)
		}
	}
	files, err := os.ReadDir("static/js")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		js, err := os.ReadFile("static/js/" + f.Name())
		if err != nil {
			t.Fatal(err)
		}
		if m := regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function`).Find(js); m != nil {
			t.Errorf("%s uses %s", f.Name(), m)
		}
	}
}

func TestNewReportsEveryFault(t *testing.T) {
	_, err := web.New(web.Config{Addr: "0.0.0.0:80", MaxClients: -1, Every: -1})
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"Config.App", "lacks TLS", "MaxClients", "Every"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("no word of %s in: %v", want, err)
		}
	}
}

func TestAddresses(t *testing.T) {
	app := &foresail.App{Name: "a"}
	for addr, ok := range map[string]bool{"": true, "127.0.0.1:0": true, "localhost:0": true, "[::1]:0": true, "127.8.8.8:1": true,
		":7420": false, "0.0.0.0:0": false, "[::]:0": false, "192.168.1.4:80": false, "example.com:80": false, "7420": false, "nonsense": false} {
		_, err := web.New(web.Config{App: app, Addr: addr})
		if (err == nil) != ok {
			t.Errorf("%q: error %v, allowed should be %v", addr, err, ok)
		}
	}
	if _, err := web.New(web.Config{App: app, Addr: "0.0.0.0:0", AllowRemote: true}); err != nil {
		t.Error("remote access was allowed by name: ", err)
	}
}

func TestPortTaken(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	s, err := web.New(web.Config{App: &foresail.App{Name: "a"}, Addr: l.Addr().String()})
	if err != nil {
		t.Fatal(err)
	}
	err = s.Serve()
	if err == nil || !strings.Contains(err.Error(), l.Addr().String()) || !strings.Contains(err.Error(), "choose another address") {
		t.Errorf("error is %v", err)
	}
}

func TestLifecycle(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	unstarted, err := web.New(web.Config{App: &foresail.App{Name: "a"}, Addr: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := unstarted.Shutdown(ctx); err != nil {
			t.Error("shutdown before the start: ", err)
		}
	}
	if err := unstarted.Serve(); err != nil {
		t.Error("serve after shutdown: ", err)
	}

	f := newFeeder()
	s, err := web.New(web.Config{App: f.app, Addr: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	addr, err := s.Listen()
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() { done <- s.Serve() }()
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	res, err := client.Get("http://" + addr.String() + "/api/v1/stream")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if e, ok := readEvent(t, newScanner(res)); !ok || e.kind != "state" {
		t.Errorf("first event %v", e)
	}
	if err := s.Shutdown(ctx); err != nil { // a stream that is open doesn't hold it up
		t.Error("shutdown: ", err)
	}
	if err := <-done; err != nil {
		t.Error("serve: ", err)
	}
}

func TestHostileNamesAndNumbersStayData(t *testing.T) {
	f, h := page(t, nil)
	f.app.Services[0].Name = `</script><img src=x onerror=alert(1)>`
	f.seconds(2)
	s := &foresail.Snapshot{Start: f.now, End: f.now.Add(time.Second), Services: make([]foresail.ServiceStats, 50),
		Edges: []foresail.EdgeStats{{From: -1, To: 3}, {From: 2, To: 400}}, Has: foresail.SignalEdges | foresail.SignalEndpoints}
	s.Services[0].Has = foresail.SignalsAll
	s.Services[0].CPU, s.Services[0].Arrivals = math.Inf(1), math.NaN()
	f.h.Add(s)
	f.events[0].Observed(f.h, s)
	w, _ := get(t, h, "/api/v1/state") // is JSON, or get fails
	if strings.Contains(w.Body.String(), "<img") {
		t.Error("markup in the answer isn't escaped")
	}
}
