package access

import (
	"crypto/tls"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"foresail.dev/access/accesstest"
)

// serve answers with the name that the client's certificate bears, and returns its URL.
func serve(t *testing.T, c *tls.Config) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{TLSConfig: c, ErrorLog: log.New(io.Discard, "", 0), Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if len(r.TLS.VerifiedChains) > 0 {
			io.WriteString(w, r.TLS.VerifiedChains[0][0].Subject.CommonName)
		}
	})}
	done := make(chan struct{})
	go func() { defer close(done); s.ServeTLS(l, "", "") }()
	t.Cleanup(func() { s.Close(); <-done })
	return "https://" + l.Addr().String()
}

// ask makes a request over a connection of its own and returns the answer and the server's serial number.
func ask(t *testing.T, url string, c *tls.Config) (string, *big.Int, error) {
	t.Helper()
	tr := &http.Transport{TLSClientConfig: c, ForceAttemptHTTP2: true}
	defer tr.CloseIdleConnections()
	resp, err := (&http.Client{Transport: tr}).Get(url)
	if err != nil {
		return "", nil, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return string(b), resp.TLS.PeerCertificates[0].SerialNumber, err
}

// recheckNow makes every watched file due: a second that a test needn't wait for.
func recheckNow(t *testing.T) {
	t.Helper()
	old := recheck
	recheck = 0
	t.Cleanup(func() { recheck = old })
}

func TestCertificatesAreReadAgainWhenTheyChange(t *testing.T) {
	recheckNow(t)
	ca := accesstest.New(t, "ca")
	files := issued(t, ca, "server", 7, later())
	var trouble []error
	files.Trouble = func(err error) { trouble = append(trouble, err) }
	sc, err := Server(files)
	if err != nil {
		t.Fatal(err)
	}
	cc, err := Client(Files{CA: ca.File})
	if err != nil {
		t.Fatal(err)
	}
	s := serve(t, sc)
	serial := func() int64 {
		t.Helper()
		_, n, err := ask(t, s, cc)
		if err != nil {
			t.Fatal(err)
		}
		return n.Int64()
	}
	if n := serial(); n != 7 {
		t.Fatalf("serial %d, want 7", n)
	}
	issued(t, ca, "server", 8, later())
	if n := serial(); n != 8 {
		t.Fatalf("after renewal serial %d, want 8", n)
	}
	write(t, files.Cert, []byte("half a certif"), 0o644)
	if n := serial(); n != 8 {
		t.Fatalf("with a broken file serial %d, want the last good one, 8", n)
	}
	serial()
	if len(trouble) != 1 || !strings.Contains(trouble[0].Error(), files.Cert) {
		t.Fatalf("told %q, want one error that names the file", trouble)
	}
	issued(t, ca, "server", 9, later())
	if n := serial(); n != 9 {
		t.Fatalf("after the repair serial %d, want 9", n)
	}
}

func TestMutualTLS(t *testing.T) {
	recheckNow(t)
	ca, other := accesstest.New(t, "ca"), accesstest.New(t, "other")
	caFile := ca.File
	files := issued(t, ca, "server", 1, later())
	client := issued(t, ca, "client", 2, later())
	stranger := issued(t, other, "stranger", 3, later())
	files.CA, client.CA, stranger.CA = caFile, caFile, caFile
	sc, err := Server(files)
	if err != nil {
		t.Fatal(err)
	}
	s := serve(t, sc)
	get := func(f Files) (string, error) {
		c, err := Client(f)
		if err != nil {
			t.Fatal(err)
		}
		who, _, err := ask(t, s, c)
		return who, err
	}
	if who, err := get(client); err != nil || who != "client" {
		t.Fatalf("own client: %q, %v", who, err)
	}
	if _, err := get(Files{CA: caFile}); err == nil {
		t.Fatal("a client without a certificate was let in")
	}
	if _, err := get(stranger); err == nil {
		t.Fatal("a client of another CA was let in")
	}
	c, err := Client(client) // it goes on to trust the first CA
	if err != nil {
		t.Fatal(err)
	}
	write(t, caFile, other.PEM, 0o644) // the CA that clients must have is now another
	if _, _, err := ask(t, s, c); err == nil {
		t.Fatal("a client of the CA that was replaced was let in")
	}
	c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		p, err := tls.LoadX509KeyPair(stranger.Cert, stranger.Key)
		return &p, err
	}
	if who, _, err := ask(t, s, c); err != nil || who != "stranger" {
		t.Fatalf("client of the new CA: %q, %v", who, err)
	}
}

func TestOldTLSIsRefused(t *testing.T) {
	ca := accesstest.New(t, "ca")
	sc, err := Server(issued(t, ca, "server", 1, later()))
	if err != nil {
		t.Fatal(err)
	}
	s := serve(t, sc)
	if _, _, err := ask(t, s, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}); err == nil {
		t.Fatal("TLS 1.1 was taken")
	}
	if _, _, err := ask(t, s, &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12}); err != nil {
		t.Fatal(err)
	}
}

func TestFaultyFilesAreNamed(t *testing.T) {
	dir := t.TempDir()
	ca := accesstest.New(t, "ca")
	good := issued(t, ca, "server", 1, later())
	ended := issued(t, ca, "ended", 2, time.Now().Add(-time.Hour))
	readable := issued(t, ca, "readable", 3, later())
	if err := os.Chmod(readable.Key, 0o644); err != nil {
		t.Fatal(err)
	}
	empty := filepath.Join(dir, "empty")
	write(t, empty, []byte("no certificate here"), 0o600)
	for _, c := range []struct {
		name  string
		files Files
		want  string
	}{
		{"no key", Files{Cert: good.Cert}, "give both"},
		{"no such file", Files{Cert: dir + "/none", Key: good.Key}, dir + "/none"},
		{"key of another", Files{Cert: good.Cert, Key: ended.Key}, "private key does not match"},
		{"certificate over", ended, "ended on"},
		{"key that others read", readable, "chmod 600 " + readable.Key},
		{"CA without certificates", Files{Cert: good.Cert, Key: good.Key, CA: empty}, empty},
		{"a folder", Files{Cert: dir, Key: good.Key}, dir},
	} {
		if _, err := Server(c.files); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q", c.name, err, c.want)
		}
	}
	if _, err := Client(Files{Cert: good.Cert}); err == nil {
		t.Error("a client's certificate without its key was taken")
	}
}

func TestCheckListen(t *testing.T) {
	for _, c := range []struct {
		addr                  string
		tls, tokens, insecure bool
		want                  string // in the error; empty: none
	}{
		{"127.0.0.1:1", false, false, false, ""},
		{"localhost:1", false, false, false, ""},
		{"[::1]:1", false, false, false, ""},
		{"127.8.9.1:0", false, false, false, ""},
		{":1", false, false, false, "lacks TLS (security: cert and key) and tokens"},
		{"0.0.0.0:1", true, false, false, "lacks tokens"},
		{"[::]:1", false, true, false, "lacks TLS (security: cert and key): give"},
		{"10.0.0.1:1", true, true, false, ""},
		{"example.org:1", false, false, true, ""},
		{"localhost.example.org:1", false, false, false, "--insecure-listen"},
		{"127.0.0.1", true, true, true, "host:port"},
	} {
		err := CheckListen(c.addr, c.tls, c.tokens, c.insecure)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: got %v", c, err)
		}
	}
}
