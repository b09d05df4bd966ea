package access

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"time"
)

// Files name the PEM files of one end of a TLS connection. They are read again when they change.
type Files struct {
	Cert string // certificate, followed by what leads to the CA
	Key  string // its private key; see the package's comment for its mode
	// CA holds the certificates that the other end's must be signed by. Given to a server, clients must show one.
	// Empty on a client: the system's.
	CA string

	// Trouble is told, once for each change, that changed files can't be used and the old ones stay. nil: nobody is.
	Trouble func(error)
}

// protocols are offered by every server: gRPC and browsers take the first, older clients the second.
var protocols = []string{"h2", "http/1.1"}

// Server is the configuration of a TLS server: version 1.2 or newer, Go's own choice of ciphers, and, when a CA is
// given, clients that show a certificate signed by it. The files are looked at when a client connects, at most once a
// second; those that changed are in effect for the next connection.
func Server(f Files) (*tls.Config, error) {
	if f.Cert == "" || f.Key == "" {
		return nil, errors.New("TLS needs a certificate and its key: give both")
	}
	pair, err := f.pair()
	if err != nil {
		return nil, err
	}
	c := &tls.Config{
		MinVersion:     tls.VersionTLS12,
		NextProtos:     protocols,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return pair.get(), nil },
	}
	if f.CA == "" {
		return c, nil
	}
	pool, err := f.pool()
	if err != nil {
		return nil, err
	}
	c.ClientAuth, c.ClientCAs = tls.RequireAndVerifyClientCert, *pool.get()
	c.SessionTicketsDisabled = true // a resumed session would outlive the CA that let it in
	base := c.Clone()
	c.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		now := base.Clone()
		now.ClientCAs = *pool.get()
		return now, nil
	}
	return c, nil
}

// Client is the configuration of a TLS client: it shows its certificate where it has one, and trusts the CA, or the
// system's where none is given. Its certificate may change while it runs; the CA is read once.
func Client(f Files) (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if (f.Cert == "") != (f.Key == "") {
		return nil, errors.New("a client certificate needs its key, and a key its certificate: give both or none")
	}
	if f.CA != "" {
		pool, err := f.pool()
		if err != nil {
			return nil, err
		}
		c.RootCAs = *pool.get()
	}
	if f.Cert != "" {
		pair, err := f.pair()
		if err != nil {
			return nil, err
		}
		c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return pair.get(), nil }
	}
	return c, nil
}

func (f Files) pair() (*watched[tls.Certificate], error) {
	w := &watched[tls.Certificate]{paths: []string{f.Cert, f.Key}, trouble: f.Trouble, read: func() (tls.Certificate, error) {
		cert, err := readPublic(f.Cert)
		if err != nil {
			return tls.Certificate{}, fmt.Errorf("TLS certificate: %w", err)
		}
		key, err := readPrivate(f.Key)
		if err != nil {
			return tls.Certificate{}, fmt.Errorf("TLS key: %w", err)
		}
		pair, err := tls.X509KeyPair(cert, key)
		if err != nil {
			return tls.Certificate{}, fmt.Errorf("TLS certificate %s with key %s: %w", f.Cert, f.Key, err)
		}
		if leaf := pair.Leaf; leaf != nil && time.Now().After(leaf.NotAfter) {
			return tls.Certificate{}, fmt.Errorf("TLS certificate %s ended on %s: renew it", f.Cert, leaf.NotAfter.UTC().Format(time.RFC3339))
		}
		return pair, nil
	}}
	return w, w.open()
}

func (f Files) pool() (*watched[*x509.CertPool], error) {
	w := &watched[*x509.CertPool]{paths: []string{f.CA}, trouble: f.Trouble, read: func() (*x509.CertPool, error) {
		b, err := readPublic(f.CA)
		if err != nil {
			return nil, fmt.Errorf("TLS CA: %w", err)
		}
		pool, n := x509.NewCertPool(), 0
		for len(bytes.TrimSpace(b)) > 0 {
			var block *pem.Block
			if block, b = pem.Decode(b); block == nil {
				break
			}
			if block.Type != "CERTIFICATE" {
				continue
			}
			cert, err := x509.ParseCertificate(block.Bytes)
			if err != nil {
				return nil, fmt.Errorf("TLS CA %s: certificate %d: %w", f.CA, n+1, err)
			}
			pool.AddCert(cert)
			n++
		}
		if n == 0 {
			return nil, fmt.Errorf("TLS CA %s: no certificate in it: it must be PEM", f.CA)
		}
		return pool, nil
	}}
	return w, w.open()
}
