package web_test

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"foresail.dev/access"
	"foresail.dev/access/accesstest"
	"foresail.dev/web"
)

// keys is a token file with a reader and a writer.
type keys struct {
	path        string
	tokens      *access.Tokens
	read, write access.Secret
}

func newKeys(t testing.TB) *keys {
	t.Helper()
	k := &keys{path: filepath.Join(t.TempDir(), "tokens")}
	for name, role := range map[string]access.Role{"ci": access.Read, "ops": access.Write} {
		s, e, err := access.NewToken(name, role, time.Time{})
		if err == nil {
			err = access.AddEntry(k.path, e)
		}
		if err != nil {
			t.Fatal(err)
		}
		if role == access.Read {
			k.read = s
		} else {
			k.write = s
		}
	}
	var err error
	if k.tokens, err = access.OpenTokens(k.path, nil); err != nil {
		t.Fatal(err)
	}
	return k
}

// Every path and method, without a token, as a reader and as a writer. A path that is added without a role fails here:
// the table of what is open is the test's own.
func TestWhoMayDoWhat(t *testing.T) {
	k := newKeys(t)
	f, h := page(t, func(c *web.Config) {
		c.Tokens, c.Controls = k.tokens, newDemo()
		c.Metrics = http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	})
	f.seconds(1)
	const change = `{"level": 1.5}`
	for _, c := range []struct {
		method, path, body     string
		nobody, reader, writer int
	}{
		{"GET", "/api/v1/app", "", 401, 200, 200},
		{"GET", "/api/v1/state", "", 401, 200, 200},
		{"POST", "/api/v1/load", change, 401, 403, 200},
		{"GET", "/api/v1/session", "", 401, 200, 200},
		{"GET", "/metrics", "", 401, 200, 200},
		{"GET", "/api/v1/nothing", "", 401, 404, 404},
		{"DELETE", "/api/v1/app", "", 401, 404, 404},
		{"GET", "/api/v1/healthz", "", 200, 200, 200},
		{"POST", "/api/v1/logout", "", 200, 200, 200},
		{"GET", "/", "", 303, 200, 200},
		{"GET", "/login.html", "", 200, 200, 200},
		{"GET", "/js/main.js", "", 200, 200, 200},
	} {
		for _, as := range []struct {
			token access.Secret
			want  int
		}{{access.Secret{}, c.nobody}, {k.read, c.reader}, {k.write, c.writer}, {access.NewSecret("wrong"), c.nobody}} {
			r := httptest.NewRequest(c.method, "http://localhost"+c.path, strings.NewReader(c.body))
			r.Header.Set("Accept", "text/html")
			r.Header.Set("Content-Type", "application/json")
			access.Authorize(r, as.token)
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code != as.want {
				t.Errorf("%s %s as %q: %d %s, want %d", c.method, c.path, as.token.Reveal(), w.Code, w.Body, as.want)
			}
			if w.Code >= 400 && strings.Contains(w.Body.String(), "social-network") {
				t.Errorf("%s %s: a refusal tells something: %s", c.method, c.path, w.Body)
			}
		}
	}
}

// A browser logs in with a token and is let in by its cookie, which other sites can't use.
func TestLogin(t *testing.T) {
	k := newKeys(t)
	_, h := page(t, func(c *web.Config) { c.Tokens, c.Controls = k.tokens, newDemo() })
	do := func(method, path, body string, cookie *http.Cookie, headers ...string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(method, "http://localhost"+path, strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		for i := 0; i < len(headers); i += 2 {
			r.Header.Set(headers[i], headers[i+1])
		}
		if cookie != nil {
			r.AddCookie(cookie)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w
	}
	login := `{"token": "` + k.write.Reveal() + `"}`
	for _, c := range []struct {
		body    string
		headers []string
		want    int
	}{
		{`{"token": "wrong"}`, nil, 401},
		{`{"token": ""}`, nil, 400},
		{`not JSON ` + k.write.Reveal(), nil, 400},
		{login, []string{"Content-Type", "text/plain"}, 415},
		{login, []string{"Sec-Fetch-Site", "cross-site"}, 403},
		{login, []string{"Origin", "http://evil.example"}, 403},
	} {
		w := do("POST", "/api/v1/login", c.body, nil, c.headers...)
		if w.Code != c.want || len(w.Result().Cookies()) != 0 || strings.Contains(w.Body.String(), k.write.Reveal()) {
			t.Errorf("%s %v: %d %s, want %d and no cookie", c.body, c.headers, w.Code, w.Body, c.want)
		}
	}
	w := do("POST", "/api/v1/login", login, nil)
	if w.Code != 200 || len(w.Result().Cookies()) != 1 {
		t.Fatalf("login: %d %s", w.Code, w.Body)
	}
	c := w.Result().Cookies()[0]
	if w := do("GET", "/", "", c, "Accept", "text/html"); w.Code != 200 {
		t.Errorf("the page: %d", w.Code)
	}
	if w := do("POST", "/api/v1/load", `{"level": 2}`, c); w.Code != 200 {
		t.Errorf("a change: %d %s", w.Code, w.Body)
	}
	if w := do("POST", "/api/v1/load", `{"level": 2}`, c, "Origin", "http://evil.example"); w.Code != 403 {
		t.Errorf("a change that another site asks for: %d", w.Code)
	}
	do("POST", "/api/v1/logout", "", c)
	if w := do("GET", "/api/v1/state", "", c); w.Code != 401 {
		t.Errorf("after logging out: %d", w.Code)
	}
}

// Over TLS with a token, the client sees what a reader may see, and the stream ends when the token is revoked.
func TestTLSAndTheClient(t *testing.T) {
	k := newKeys(t)
	ca := accesstest.New(t, "ca")
	cert, key := ca.Issue(t, "server", 1, time.Now().Add(time.Hour))
	clientCert, clientKey := ca.Issue(t, "client", 2, time.Now().Add(time.Hour))
	sc, err := access.Server(access.Files{Cert: cert, Key: key, CA: ca.File})
	if err != nil {
		t.Fatal(err)
	}
	f := newFeeder()
	s, url := serve(t, web.Config{App: f.app, TLS: sc, Tokens: k.tokens, Controls: newDemo(), Every: 20 * time.Millisecond})
	f.events = append(f.events, s.Events())
	f.seconds(2)
	if s.URL() != url || !strings.HasPrefix(url, "https://") {
		t.Fatalf("URL %s", url)
	}
	files := access.Files{Cert: clientCert, Key: clientKey, CA: ca.File}
	client := func(f access.Files, token access.Secret) *web.Client {
		c, err := web.NewClient(url, f, token)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.Close)
		return c
	}
	var st struct{ Title string }
	ctx := context.Background()
	if err := client(files, k.read).Get(ctx, "/api/v1/state", &st); err != nil || st.Title != "social-network" {
		t.Fatalf("%+v, %v", st, err)
	}
	level := 1.5
	if _, err := client(files, k.write).ChangeLoad(ctx, web.LoadChange{Level: &level}); err != nil {
		t.Error(err)
	}
	for name, c := range map[string]struct {
		files access.Files
		token access.Secret
		want  string
	}{
		"no token":       {files, access.Secret{}, "401"},
		"a wrong token":  {files, access.NewSecret("wrong"), "401"},
		"no certificate": {access.Files{CA: ca.File}, k.read, ""}, // the alert, or a broken pipe where that was quicker
		"an unknown CA":  {access.Files{Cert: clientCert, Key: clientKey}, k.read, "unknown authority"},
	} {
		err := client(c.files, c.token).Get(ctx, "/api/v1/state", &st)
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), k.read.Reveal()) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	if _, err := client(files, k.read).ChangeLoad(ctx, web.LoadChange{Level: &level}); err == nil || !strings.Contains(err.Error(), "403") {
		t.Errorf("a reader changed the load: %v", err)
	}

	tc, err := access.Client(files)
	if err != nil {
		t.Fatal(err)
	}
	tr := &http.Transport{TLSClientConfig: tc, ForceAttemptHTTP2: true}
	defer tr.CloseIdleConnections()
	r, _ := http.NewRequest("GET", url+"/api/v1/stream", nil)
	access.Authorize(r, k.read)
	resp, err := tr.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.ProtoMajor != 2 {
		t.Errorf("HTTP/%d", resp.ProtoMajor)
	}
	if ev, ok := readEvent(t, bufio.NewScanner(resp.Body)); !ok || ev.kind != "state" {
		t.Fatalf("the stream begins with %+v", ev)
	}
	if err := access.RemoveEntry(k.path, "ci"); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { _, err := io.Copy(io.Discard, resp.Body); ended <- err }()
	for deadline := time.After(30 * time.Second); ; {
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("the stream ended with %v", err)
			}
			return
		case <-deadline:
			t.Fatal("the stream goes on after its token was revoked")
		case <-time.After(50 * time.Millisecond):
			f.seconds(1)
		}
	}
}

func TestTheClientSendsNoTokenInTheClear(t *testing.T) {
	for url, ok := range map[string]bool{"http://127.0.0.1:7420": true, "http://[::1]:7420": true, "http://localhost": true, "https://example.org": true,
		"http://example.org:7420": false, "http://10.0.0.1": false, "ftp://x": false, "https://u:hunter2@x": false, "x": false, "http://u:hunter2@x:bad": false} {
		c, err := web.NewClient(url, access.Files{}, access.NewSecret("hunter2"))
		if (err == nil) != ok {
			t.Errorf("%s: %v", url, err)
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: the error tells a secret: %v", url, err)
		}
		if c != nil {
			c.Close()
		}
	}
}

// In a real browser: the page sends one who isn't logged in to the login, and shows itself after it.
func TestABrowserLogsIn(t *testing.T) {
	b := browser(t)
	k := newKeys(t)
	f := newFeeder()
	s, url := serve(t, web.Config{App: f.app, Tokens: k.tokens})
	f.events = append(f.events, s.Events())
	f.seconds(5)
	b.do(chromedp.Navigate(url))
	b.wait(`location.pathname === "/login.html" && document.readyState === "complete"`)
	enter := func(token string) {
		eval[bool](b, `(document.getElementById("token").value = "`+token+`", document.querySelector("#login button").click(), true)`)
	}
	b.wait(`document.getElementById("token") === document.activeElement`)
	enter("wrong")
	b.wait(`document.getElementById("said").textContent.includes("not known")`)
	enter(k.read.Reveal())
	b.wait(`document.querySelectorAll("#graph .node").length === 36`)
	b.wait(`document.getElementById("who").textContent === "ci (read)"`)
	if got := eval[string](b, `document.cookie + JSON.stringify({...localStorage, ...sessionStorage})`); strings.Contains(got, "foresail") {
		t.Errorf("scripts can read %s", got)
	}
	eval[bool](b, `(document.getElementById("logout").click(), true)`)
	b.wait(`location.pathname === "/login.html"`)
	b.clean("401") // which the browser logs
}

func TestALoginBodyIsNeverQuoted(t *testing.T) {
	k := newKeys(t)
	_, h := page(t, func(c *web.Config) { c.Tokens = k.tokens })
	for _, body := range []string{`{"token": 5` + k.read.Reveal(), `{"x": "` + k.read.Reveal(), `{"token": ["` + k.read.Reveal() + `"]}`, strings.Repeat("x", 10000)} {
		r := httptest.NewRequest("POST", "http://localhost/api/v1/login", bytes.NewReader([]byte(body)))
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != 400 || strings.Contains(w.Body.String(), "foresail_") {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	}
}
