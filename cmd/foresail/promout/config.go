// Package promout is what foresail.yaml says of Prometheus on the way out: /metrics, remote write and a remote history, and what runs for it
// beside the loop.
package promout

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"time"

	"github.com/prometheus/common/config"
	"github.com/prometheus/common/model"

	"foresail.dev/access"
	"foresail.dev/appfile"
	"foresail.dev/telemetry/prom/export"
	"foresail.dev/telemetry/prom/write"
)

// Metrics is `metrics` of foresail.yaml: what /metrics on the page's address shows.
type Metrics struct {
	Enabled  bool `yaml:"enabled"`
	Replicas bool `yaml:"replicas"`                      // series of each replica
	Limit    int  `yaml:"limit" rule:"min=1,max=100000"` // series of one name
}

// DefaultMetrics are served, without replicas.
func DefaultMetrics() Metrics { return Metrics{Enabled: true, Limit: export.DefaultLimit} }

// RemoteWrite is one of `remote_write`: a server that /metrics is sent to.
type RemoteWrite struct {
	URL        string            `yaml:"url" rule:"required"`
	Protocol   string            `yaml:"protocol" rule:"oneof=auto|2.0|1.0"`
	Histograms string            `yaml:"histograms" rule:"oneof=native|classic"`
	Every      *time.Duration    `yaml:"every" rule:"min=1s,max=1h"`
	Queue      *appfile.Bytes    `yaml:"queue" rule:"min=1MiB,max=4GiB"`
	Labels     map[string]string `yaml:"labels"` // added to every series
	LetIn
}

// LetIn is how a server elsewhere lets a client in. Secrets are in files, so that they are not in this one.
type LetIn struct {
	Headers   map[string]access.Secret `yaml:"headers"` // of every request
	BasicAuth BasicAuth                `yaml:"basic_auth"`
	TokenFile string                   `yaml:"bearer_token_file"`
	TLS       ClientTLS                `yaml:"tls"`
}

// BasicAuth is a name and where its password is.
type BasicAuth struct {
	Username     string `yaml:"username"`
	PasswordFile string `yaml:"password_file"`
}

// ClientTLS is whom a client trusts, and what it shows.
type ClientTLS struct {
	CA         string `yaml:"ca_file"`
	Cert       string `yaml:"cert_file"`
	Key        string `yaml:"key_file"`
	ServerName string `yaml:"server_name"`
}

// Check makes file names relative to the configuration's folder, and tries what can be tried without the servers. All faults are told
// at once.
func Check(path, dir string, all []RemoteWrite, h *RemoteHistory) error {
	var errs []error
	for i := range all {
		w := &all[i]
		w.In(dir)
		if _, err := w.client(); err != nil {
			errs = append(errs, fmt.Errorf("%s: remote_write[%d]: %w", path, i, err))
		}
	}
	if err := h.check(dir); err != nil {
		errs = append(errs, fmt.Errorf("%s: remote_history: %w", path, err))
	}
	return errors.Join(errs...)
}

// client is a client of the server.
func (w *RemoteWrite) client() (*write.Client, error) {
	if err := noPassword(w.URL); err != nil {
		return nil, err
	}
	for name := range w.Labels {
		if !model.LegacyValidation.IsValidLabelName(name) {
			return nil, fmt.Errorf("labels: %q is no name of a label: use letters, digits and _", name)
		}
	}
	hc, err := w.HTTP()
	if err != nil {
		return nil, err
	}
	return write.New(write.Config{URL: w.URL, Protocol: write.Protocol(w.Protocol), Histograms: write.Histograms(w.Histograms),
		Client: hc, Headers: access.Revealed(w.Headers), Meta: export.Meta})
}

// noPassword refuses a URL that holds one: it would be in messages and in /metrics.
func noPassword(text string) error {
	if u, err := url.Parse(text); err == nil && u.User != nil {
		return errors.New("the URL holds a password: use basic_auth with a password_file")
	}
	return nil
}

// In makes file names relative to a folder.
func (w *LetIn) In(dir string) {
	for _, f := range []*string{&w.BasicAuth.PasswordFile, &w.TokenFile, &w.TLS.CA, &w.TLS.Cert, &w.TLS.Key} {
		if *f != "" && !filepath.IsAbs(*f) {
			*f = filepath.Join(dir, *f)
		}
	}
}

// HTTP is a client that is let in.
func (w *LetIn) HTTP() (*http.Client, error) {
	c := config.DefaultHTTPClientConfig
	if w.BasicAuth != (BasicAuth{}) {
		if w.BasicAuth.Username == "" || w.BasicAuth.PasswordFile == "" {
			return nil, errors.New("basic_auth: give a username and a password_file")
		}
		c.BasicAuth = &config.BasicAuth{Username: w.BasicAuth.Username, PasswordFile: w.BasicAuth.PasswordFile}
	}
	if w.TokenFile != "" {
		c.Authorization = &config.Authorization{Type: "Bearer", CredentialsFile: w.TokenFile}
	}
	c.TLSConfig = config.TLSConfig{CAFile: w.TLS.CA, CertFile: w.TLS.Cert, KeyFile: w.TLS.Key, ServerName: w.TLS.ServerName}
	if err := c.Validate(); err != nil {
		return nil, err
	}
	return config.NewClientFromConfig(c, "foresail")
}
