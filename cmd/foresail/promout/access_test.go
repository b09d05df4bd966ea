package promout

import (
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/model/labels"

	"foresail.dev/telemetry/prom/write"
)

// A token goes over TLS to a server whose certificate is signed by the CA that is configured, and to no other.
func TestTokenOverTLS(t *testing.T) {
	seen := ""
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen = r.Header.Get("Authorization")
		w.WriteHeader(http.StatusNoContent)
	}))
	defer server.Close()
	dir := t.TempDir()
	for name, b := range map[string][]byte{"token": []byte("s3cret\n"), "ca.pem": pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})} {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	send := func(w RemoteWrite) error {
		all := []RemoteWrite{w}
		if err := Check("run.yaml", dir, all, &RemoteHistory{}); err != nil {
			t.Fatal(err)
		}
		hc, err := all[0].HTTP()
		if err != nil {
			t.Fatal(err)
		}
		c, err := write.New(write.Config{URL: w.URL, Protocol: write.V1, Client: hc, MinDelay: 1, Retries: 1})
		if err != nil {
			t.Fatal(err)
		}
		return c.Send(t.Context(), []write.Sample{{Labels: labels.FromStrings("__name__", "up"), T: 1, V: 1}})
	}
	w := RemoteWrite{URL: server.URL, LetIn: LetIn{TokenFile: "token", TLS: ClientTLS{CA: "ca.pem"}}}
	if err := send(w); err != nil || seen != "Bearer s3cret" {
		t.Errorf("%v; it saw %q", err, seen)
	}
	seen = ""
	w.TLS.CA = ""
	if err := send(w); err == nil || seen != "" || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("a certificate that nobody vouches for: %v; it saw %q", err, seen)
	}
}

func TestFaultsNameTheirPlace(t *testing.T) {
	err := Check("run.yaml", "/", []RemoteWrite{{URL: "http://a/"}, {URL: "nowhere"}}, &RemoteHistory{URL: "http://u:pw@host/"})
	if err == nil || !strings.Contains(err.Error(), "run.yaml: remote_write[1]") || !strings.Contains(err.Error(), "run.yaml: remote_history: the URL holds a password") {
		t.Error(err)
	}
	if err := Check("run.yaml", "/", nil, &RemoteHistory{}); err != nil {
		t.Error("nothing is configured:", err)
	}
	if err := Check("run.yaml", "/", []RemoteWrite{{URL: "http://a/", LetIn: LetIn{TokenFile: "t", BasicAuth: BasicAuth{Username: "u", PasswordFile: "p"}}}}, &RemoteHistory{}); err == nil {
		t.Error("a token and a password at once")
	}
}
