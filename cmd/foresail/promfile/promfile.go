// Package promfile is how a Prometheus API is named in foresail.yaml and on the command line.
package promfile

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/prometheus/common/config"
	"github.com/spf13/pflag"

	"foresail.dev"
	"foresail.dev/access"
	"foresail.dev/appfile"
	"foresail.dev/telemetry/prom"
)

// Config is how snapshots come from a Prometheus API; see docs/formats/run.md.
type Config struct {
	URL      string            `yaml:"url" rule:"required"`
	Interval time.Duration     `yaml:"interval" rule:"min=0"` // 0: what the scrape interval allows
	Lag      time.Duration     `yaml:"lag" rule:"min=0"`
	Recipes  []string          `yaml:"recipes"`  // names, most trusted first; empty: own ones, then all built-in ones
	Own      []prom.Recipe     `yaml:"own"`      // recipes of one's own
	Services map[string]string `yaml:"services"` // the application's names, by those in labels
	Selector string            `yaml:"selector"`
	Backfill *time.Duration    `yaml:"backfill" rule:"min=0"` // how far back history is read at the start, at most; 0s: it is not

	BasicAuth       *BasicAuth               `yaml:"basic_auth"`
	BearerTokenFile string                   `yaml:"bearer_token_file"`
	TLS             *TLS                     `yaml:"tls"`
	Headers         map[string]access.Secret `yaml:"headers"` // X-Scope-OrgID, of a tenant

	Dir string // what relative files are relative to
}

// BasicAuth is a user and where the password is.
type BasicAuth struct {
	Username     string `yaml:"username" rule:"required"`
	PasswordFile string `yaml:"password_file" rule:"required"`
}

// TLS is how the server is known, and how to be known to it.
type TLS struct {
	CAFile     string `yaml:"ca_file"`
	CertFile   string `yaml:"cert_file"`
	KeyFile    string `yaml:"key_file"`
	ServerName string `yaml:"server_name"`
	SkipVerify bool   `yaml:"insecure_skip_verify"`
}

// Back is how far back history is read at the start.
func (c *Config) Back() time.Duration {
	if c.Backfill == nil {
		return defaultBackfill
	}
	return *c.Backfill
}

// defaultBackfill is how far back history is read at the start, unless the file says otherwise.
const defaultBackfill = 24 * time.Hour

// Check finds what can't be together.
func (c *Config) Check(at appfile.Place) {
	if c.BasicAuth != nil && c.BearerTokenFile != "" {
		at.Faultf("has both basic_auth and bearer_token_file: use one")
	}
	if _, err := prom.Select(c.Own, c.Recipes); err != nil {
		at.Faultf("recipes: %v", err)
	}
}

// Reading is what a reader of snapshots needs. Its errors are of the configuration.
func (c *Config) Reading(app *foresail.App) (prom.Config, error) {
	recipes, err := prom.Select(c.Own, c.Recipes)
	if err != nil {
		return prom.Config{}, err
	}
	h := config.HTTPClientConfig{FollowRedirects: true, EnableHTTP2: true}
	file := func(path string) (string, error) {
		if path == "" {
			return "", nil
		}
		path = c.relative(path)
		f, err := os.Open(path)
		if err != nil {
			return "", fmt.Errorf("telemetry.prometheus: %w", err)
		}
		return path, f.Close()
	}
	var faults [5]error
	if c.BasicAuth != nil {
		h.BasicAuth = &config.BasicAuth{Username: c.BasicAuth.Username}
		h.BasicAuth.PasswordFile, faults[0] = file(c.BasicAuth.PasswordFile)
	}
	if c.BearerTokenFile != "" {
		h.Authorization = &config.Authorization{Type: "Bearer"}
		h.Authorization.CredentialsFile, faults[1] = file(c.BearerTokenFile)
	}
	if t := c.TLS; t != nil {
		h.TLSConfig.ServerName, h.TLSConfig.InsecureSkipVerify = t.ServerName, t.SkipVerify
		h.TLSConfig.CAFile, faults[2] = file(t.CAFile)
		h.TLSConfig.CertFile, faults[3] = file(t.CertFile)
		h.TLSConfig.KeyFile, faults[4] = file(t.KeyFile)
	}
	for _, err := range faults {
		if err != nil {
			return prom.Config{}, err
		}
	}
	if len(c.Headers) > 0 {
		h.HTTPHeaders = &config.Headers{Headers: map[string]config.Header{}}
		for k, v := range c.Headers {
			h.HTTPHeaders.Headers[http.CanonicalHeaderKey(k)] = config.Header{Secrets: []config.Secret{config.Secret(v.Reveal())}}
		}
	}
	cfg := prom.Config{Access: prom.Access{URL: c.URL, HTTP: h}, App: app, Recipes: recipes, Services: c.Services, Selector: c.Selector,
		Interval: c.Interval, Lag: c.Lag}
	if _, err := prom.NewReader(cfg); err != nil { // what is wrong of it is told before anything starts
		return prom.Config{}, err
	}
	return cfg, nil
}

// Flags are the same on a command line.
type Flags struct {
	headers map[string]string
	cfg     Config
	file    string // of recipes
	user    string
	pass    string
	tls     TLS
	service []string
}

// Register adds the flags.
func (f *Flags) Register(fl *pflag.FlagSet) {
	fl.StringVar(&f.cfg.URL, "prometheus", "", "the API to read, as http://127.0.0.1:9090; Mimir, Thanos and VictoriaMetrics have it too")
	fl.StringSliceVar(&f.cfg.Recipes, "recipe", nil, "recipes to use, most trusted first; all, unless given")
	fl.StringVar(&f.file, "recipes", "", "file with recipes of your own; see docs/formats/recipes.md")
	fl.StringVar(&f.cfg.Selector, "selector", "", `label matchers that every series must meet: 'namespace="shop"'`)
	fl.StringSliceVar(&f.service, "service", nil, "a name in labels and the application's own, where they differ: checkoutservice=checkout")
	fl.DurationVar(&f.cfg.Interval, "interval", 0, "length of a snapshot; 0: what the scrape interval allows")
	fl.StringVar(&f.user, "username", "", "user of basic authentication")
	fl.StringVar(&f.pass, "password-file", "", "file with the password")
	fl.StringVar(&f.cfg.BearerTokenFile, "bearer-token-file", "", "file with a bearer token")
	fl.StringVar(&f.tls.CAFile, "ca-file", "", "certificates that the server's is checked against, instead of the system's")
	fl.StringVar(&f.tls.CertFile, "cert-file", "", "certificate to show to the server")
	fl.StringVar(&f.tls.KeyFile, "key-file", "", "its key")
	fl.StringToStringVar(&f.headers, "header", nil, "further headers: X-Scope-OrgID=tenant")
}

// URL is the API's.
func (f *Flags) URL() string { return f.cfg.URL }

// Reading is what a reader of snapshots needs.
func (f *Flags) Reading(app *foresail.App) (prom.Config, error) {
	c := f.cfg
	c.Dir = "."
	c.Headers = map[string]access.Secret{}
	for k, v := range f.headers {
		c.Headers[k] = access.NewSecret(v)
	}
	if f.file != "" {
		var file prom.File
		if err := appfile.ReadFile(f.file, &file); err != nil {
			return prom.Config{}, err
		}
		c.Own = file.Recipes
	}
	if f.user != "" || f.pass != "" {
		if f.user == "" || f.pass == "" {
			return prom.Config{}, fmt.Errorf("basic authentication needs both --username and --password-file")
		}
		if c.BearerTokenFile != "" {
			return prom.Config{}, fmt.Errorf("give --username or --bearer-token-file, not both")
		}
		c.BasicAuth = &BasicAuth{f.user, f.pass}
	}
	if f.tls != (TLS{}) {
		c.TLS = &f.tls
	}
	c.Services = map[string]string{}
	for _, s := range f.service {
		from, to, ok := strings.Cut(s, "=")
		if !ok || from == "" || to == "" {
			return prom.Config{}, fmt.Errorf("--service %q: give OUTSIDE=NAME", s)
		}
		c.Services[from] = to
	}
	return c.Reading(app)
}

// relative is where a file is.
func (c *Config) relative(path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(c.Dir, path)
}
