package promfile

import (
	"encoding/pem"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"foresail.dev/appfile"
	"foresail.dev/telemetry/prom"
)

// guarded is an API that answers those alone who may ask; it has nothing to read.
func guarded(t *testing.T, may func(*http.Request) bool) (url, ca string) {
	t.Helper()
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = r.ParseForm()
		switch {
		case !may(r):
			w.WriteHeader(http.StatusUnauthorized)
		case r.Form.Get("query") == "time()":
			_, _ = w.Write([]byte(`{"status":"success","data":{"resultType":"scalar","result":[1,"1"]}}`))
		default:
			_, _ = w.Write([]byte(`{"status":"success","data":{"resultType":"vector","result":[]}}`))
		}
	}))
	t.Cleanup(server.Close)
	ca = filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	return server.URL, ca
}

// Who is let in reads; who is not is told so in one line, without a secret in it.
func TestPrometheusAccess(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"password": "hunter2\n", "wrong": "hunter3", "token": "letmein"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	basic := func(r *http.Request) bool { u, p, _ := r.BasicAuth(); return u == "me" && p == "hunter2" }
	for _, test := range []struct {
		name, config, want string // want is empty where it is let in
		may                func(*http.Request) bool
	}{
		{"basic", "basic_auth: {username: me, password_file: password}", "", basic},
		{"a wrong password", "basic_auth: {username: me, password_file: wrong}", "401", basic},
		{"bearer", "bearer_token_file: token", "", func(r *http.Request) bool { return r.Header.Get("Authorization") == "Bearer letmein" }},
		{"a tenant", "headers: {x-scope-orgid: shop}", "", func(r *http.Request) bool { return r.Header.Get("X-Scope-OrgID") == "shop" }},
		{"no file", "bearer_token_file: nowhere", "no such file", basic},
	} {
		t.Run(test.name, func(t *testing.T) {
			url, ca := guarded(t, test.may)
			var c struct {
				Prometheus Config `yaml:"prometheus"`
			}
			file := filepath.Join(dir, "foresail.yaml")
			text := "prometheus:\n    url: " + url + "\n    tls: {ca_file: " + ca + "}\n    " + test.config + "\n"
			if err := appfile.Decode(file, []byte(text), &c); err != nil {
				t.Fatal(err)
			}
			c.Prometheus.Dir = dir
			b, err := appfile.ReadApp("hotel-reservation")
			if err != nil {
				t.Fatal(err)
			}
			cfg, err := c.Prometheus.Reading(b.App)
			if err == nil {
				_, err = prom.Open(t.Context(), cfg)
			}
			if test.want == "" && !errors.Is(err, prom.ErrNothing) || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("%v, want %q", err, test.want)
			}
			if err != nil && (strings.Contains(err.Error(), "hunter") || strings.Contains(err.Error(), "\n")) {
				t.Errorf("%q", err)
			}
		})
	}
	url, _ := guarded(t, basic)
	cfg, err := (&Config{URL: url}).Reading(nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := prom.Open(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("a certificate of nobody's: %v", err)
	}
}
