package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"foresail.dev/access"
	"foresail.dev/access/accesstest"
	"foresail.dev/telemetry/store/seal"
	"foresail.dev/web"
)

// secrets are the values that must not be seen, by what they are.
type secrets map[string]string

// hunt fails for each secret that is in what was seen.
func (s secrets) hunt(t *testing.T, where string, seen []byte) {
	t.Helper()
	for what, value := range s {
		if bytes.Contains(seen, []byte(value)) {
			i := bytes.Index(seen, []byte(value))
			t.Errorf("%s is in %s: %q", what, where, seen[max(0, i-100):min(len(seen), i+100)])
		}
	}
}

// secured is a folder with every kind of secret that a run can be given, and the run's file.
type secured struct {
	dir         string
	secrets     secrets
	reader, ops access.Secret
	ca          string
	yaml        string
	private     map[string]bool // files that hold secrets, and are for that
}

func newSecured(t *testing.T) *secured {
	t.Helper()
	s := &secured{dir: t.TempDir(), secrets: secrets{}, private: map[string]bool{}}
	ca := accesstest.New(t, "ca")
	cert, key := ca.Issue(t, "server", 1, time.Now().Add(time.Hour))
	s.ca = ca.File
	pem, err := os.ReadFile(key)
	if err != nil {
		t.Fatal(err)
	}
	s.secrets["the TLS key"] = strings.Split(string(pem), "\n")[1]
	tokens := filepath.Join(s.dir, "tokens")
	token := func(name string, role access.Role) access.Secret {
		v, e, err := access.NewToken(name, role, time.Time{})
		if err == nil {
			err = access.AddEntry(tokens, e)
		}
		if err != nil {
			t.Fatal(err)
		}
		s.secrets["the token of "+name] = strings.TrimPrefix(v.Reveal(), "foresail_")
		return v
	}
	s.reader, s.ops = token("ci", access.Read), token("ops", access.Write)
	s.secrets["a wrong token"] = "marker-of-a-wrong-token-5521"
	sealKey := seal.NewKey()
	s.secrets["the store's key"] = strings.TrimPrefix(sealKey.Text().Reveal(), "foresail-key-1:")
	s.secrets["the store's key, raw"] = string(sealKey.Bytes())
	s.file(t, "key", sealKey.Text().Reveal()+"\n")
	s.yaml = "application: hotel-reservation\nload: load.yaml\nlisten: 127.0.0.1:0\nspeed: 20\nstate: " + filepath.Join(s.dir, "state.json") + "\nmanager: autothrottle\n" +
		"security: {cert: " + cert + ", key: " + key + ", tokens: tokens}\n" +
		"history: {dir: history, key_file: key}\n" +
		"remote_write:\n" +
		"  - {url: 'http://127.0.0.1:1/write?key=" + s.marker("a query") + "', every: 1s, basic_auth: {username: u, password_file: password}, headers: {X-Scope: " + s.marker("a header") + "}}\n" +
		"  - {url: '" + refusing(t) + "?key=" + s.marker("another query") + "', every: 1s, bearer_token_file: bearer}\n"
	s.file(t, "password", s.marker("a password")+"\n")
	s.file(t, "bearer", s.marker("a bearer token")+"\n")
	s.file(t, "load.yaml", "load: steady\ncurve:\n  - constant: 100\n")
	s.private = map[string]bool{"key": true, "password": true, "bearer": true, "run.yaml": true}
	return s
}

// marker is a new secret.
func (s *secured) marker(what string) string {
	v := fmt.Sprintf("marker-%d-of-a-secret", 7000+len(s.secrets))
	s.secrets[what] = v
	return v
}

// refusing is a server that takes nothing, and says so.
func refusing(t *testing.T) string {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Error(w, "no", http.StatusUnauthorized)
	}))
	t.Cleanup(s.Close)
	return s.URL + "/write"
}

func (s *secured) file(t *testing.T, name, content string) string {
	t.Helper()
	p := filepath.Join(s.dir, name)
	if err := os.WriteFile(p, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return p
}

// A run that is given every secret there is, and asked everything by everybody, shows none of them: not on its streams, its
// page, its metrics, in answers or in any file that it writes.
func TestNoSecretIsShown(t *testing.T) {
	s := newSecured(t)
	d := start(t, "run", "-f", s.file(t, "run.yaml", s.yaml))
	if !strings.HasPrefix(d.url, "https://") {
		t.Fatalf("the page is at %s", d.url)
	}
	tc, err := access.Client(access.Files{CA: s.ca})
	if err != nil {
		t.Fatal(err)
	}
	tr := &http.Transport{TLSClientConfig: tc}
	defer tr.CloseIdleConnections()
	wrong := access.NewSecret(s.secrets["a wrong token"])
	ask := func(method, path, body string, token access.Secret) (code int) {
		r, err := http.NewRequest(method, d.url+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		access.Authorize(r, token)
		resp, err := tr.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
		if err != nil {
			t.Fatal(err)
		}
		for name, v := range resp.Header {
			if name != "Set-Cookie" { // it is a secret itself, but none of these
				b = append(b, strings.Join(v, " ")...)
			}
		}
		s.secrets.hunt(t, method+" "+path, b)
		return resp.StatusCode
	}
	for _, token := range []access.Secret{{}, s.reader, s.ops, wrong} {
		for _, path := range []string{"/", "/login.html", "/metrics", "/api/v1/app", "/api/v1/state", "/api/v1/session", "/api/v1/healthz", "/api/v1/none", "/" + s.secrets["a wrong token"][:10]} {
			ask("GET", path, "", token)
		}
		ask("POST", "/api/v1/load", `{"level": 1}`, token)
		ask("POST", "/api/v1/login", `{"token": "`+token.Reveal()+`"}`, access.Secret{})
		ask("POST", "/api/v1/login", `{"token": `+token.Reveal(), access.Secret{})
	}
	if code := ask("GET", "/api/v1/state", "", s.reader); code != 200 {
		t.Fatalf("a reader gets %d", code)
	}
	if code := ask("GET", "/api/v1/state", "", wrong); code != 401 && code != 429 {
		t.Fatalf("a wrong token gets %d", code)
	}
	if resp, err := http.Get("http" + strings.TrimPrefix(d.url, "https")); err == nil { // no TLS
		resp.Body.Close()
	}
	client, err := web.NewClient(d.url, access.Files{CA: s.ca}, wrong)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	var into any
	if err := client.Get(context.Background(), "/api/v1/state", &into); err == nil {
		t.Error("a wrong token got an answer")
	} else {
		s.secrets.hunt(t, "the client's error", []byte(err.Error()))
	}
	until(t, 20*time.Second, "a server that metrics are sent to refuses them, and that is told", func() bool {
		return strings.Contains(d.stderr(), "401")
	})
	d.cmd.Process.Signal(os.Interrupt)
	<-d.exited
	if !strings.Contains(d.stderr(), "refused a request from 127.0.0.1") {
		t.Errorf("what was refused is not logged:\n%s", d.stderr())
	}
	s.secrets.hunt(t, "the error stream", []byte(d.stderr()))
	s.secrets.hunt(t, "the output", d.out.Bytes())
	seen := 0
	err = filepath.WalkDir(s.dir, func(p string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() || s.private[e.Name()] {
			return err
		}
		b, err := os.ReadFile(p)
		s.secrets.hunt(t, p, b)
		if strings.Contains(p, "history") {
			secrets{"a service": "frontend", "a label": "hotel"}.hunt(t, p, b)
			seen++
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if seen < 2 {
		t.Errorf("only %d files of the history were searched", seen)
	}
}

// Whatever is wrong with a secret, the error says what it is and doesn't quote it.
func TestErrorsDontQuoteSecrets(t *testing.T) {
	const marker = "marker-hunter2-8841"
	all := secrets{"the marker": marker, "a part of it": "hunter2"}
	for name, c := range map[string]struct {
		change func(*secured)
		args   []string
		want   string
	}{
		"a token written down":       {func(s *secured) { s.file(t, "tokens", "ops write "+marker+"\n") }, nil, "line 1"},
		"a token as a role":          {func(s *secured) { s.file(t, "tokens", "ops "+marker+" sha256:00\n") }, nil, "line 1"},
		"a key that is none":         {func(s *secured) { s.file(t, "key", marker+"\n") }, nil, "not a key"},
		"a key that is damaged":      {func(s *secured) { s.file(t, "key", "foresail-key-1:"+marker+"\n") }, nil, "32 bytes"},
		"a key that others can read": {func(s *secured) { os.Chmod(s.file(t, "key", marker+"\n"), 0o644) }, nil, "chmod 600"},
		"tokens that others can":     {func(s *secured) { os.Chmod(s.file(t, "tokens", marker+"\n"), 0o644) }, nil, "chmod 600"},
		"a TLS key that is none":     {func(s *secured) { s.yaml = strings.Replace(s.yaml, "server.key", "server.crt", 1) }, nil, "TLS key"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSecured(t)
			c.change(s)
			cmd := program(t, append([]string{"run", "-f", s.file(t, "run.yaml", s.yaml)}, c.args...)...)
			out, err := cmd.CombinedOutput()
			var exit *exec.ExitError
			if err == nil || !strings.Contains(string(out), c.want) {
				t.Errorf("%v, want %q: %s", err, c.want, out)
			} else if exit, _ = err.(*exec.ExitError); exit == nil || exit.ExitCode() != exitUsage {
				t.Errorf("ended with %v, want %d", err, exitUsage)
			}
			all.hunt(t, "the output", out)
		})
	}
}
