// Package security is who may reach the ports of a command: its part of foresail.yaml, its flags, and the token files.
package security

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/spf13/pflag"

	"foresail.dev/access"
)

// ports are those that can be opened to other machines without protection, by name.
var ports = []string{"page", "otlp", "agents", "metrics", "ingesters"}

// Config says who may reach the ports that are listened on; see docs/security.md. Every port gets the same.
type Config struct {
	Cert     string   `yaml:"cert"`      // PEM, followed by what leads to the CA; with key: every port speaks TLS alone
	Key      string   `yaml:"key"`       // PEM, mode 0600
	ClientCA string   `yaml:"client_ca"` // PEM; given, clients must show a certificate signed by it
	Tokens   string   `yaml:"tokens"`    // token file; given, every port asks for a token
	Hosts    []string `yaml:"hosts"`     // names that the page may be asked for by, besides those of TLS
	Insecure []Port   `yaml:"insecure_listen"`
}

// Port is one of ports.
type Port string

// UnmarshalText refuses a name that no port has.
func (p *Port) UnmarshalText(b []byte) error {
	if !slices.Contains(ports, string(b)) {
		return fmt.Errorf("unknown port %q: use %s", b, strings.Join(ports, ", "))
	}
	*p = Port(b)
	return nil
}

// Register adds the flags that say the same as the file, and win.
func (s *Config) Register(fl *pflag.FlagSet) {
	fl.StringVar(&s.Cert, "tls-cert", "", "certificate (PEM) that every port shows; it is read again when it changes")
	fl.StringVar(&s.Key, "tls-key", "", "private key of --tls-cert (PEM, mode 0600)")
	fl.StringVar(&s.ClientCA, "tls-client-ca", "", "CA (PEM) that clients' certificates must be signed by; without it none is asked for")
	fl.StringVar(&s.Tokens, "tokens", "", "token file: who may read and write; see 'foresail token new'")
	fl.Var((*portList)(&s.Insecure), "insecure-listen", "ports that may be open to other machines without TLS and tokens: "+strings.Join(ports, ", "))
}

// portList is a flag that names ports, with commas between them.
type portList []Port

func (l *portList) String() string { return fmt.Sprint([]Port(*l)) }
func (l *portList) Type() string   { return "ports" }
func (l *portList) Set(s string) error {
	for name := range strings.SplitSeq(s, ",") {
		var p Port
		if err := p.UnmarshalText([]byte(strings.TrimSpace(name))); err != nil {
			return err
		}
		*l = append(*l, p)
	}
	return nil
}

// With is the file's settings, but for those that flags give.
func (s Config) With(flags Config) Config {
	or := func(a, b string) string {
		if a != "" {
			return a
		}
		return b
	}
	return Config{Cert: or(flags.Cert, s.Cert), Key: or(flags.Key, s.Key), ClientCA: or(flags.ClientCA, s.ClientCA),
		Tokens: or(flags.Tokens, s.Tokens), Hosts: s.Hosts, Insecure: append(slices.Clone(s.Insecure), flags.Insecure...)}
}

// Relative makes every path relative to a folder.
func (s Config) Relative(dir string) Config {
	for _, p := range []*string{&s.Cert, &s.Key, &s.ClientCA, &s.Tokens} {
		if *p != "" && !filepath.IsAbs(*p) {
			*p = filepath.Join(dir, *p)
		}
	}
	return s
}

// Ports is what ports are opened with. The zero value opens them to this machine alone, for everybody on it.
type Ports struct {
	TLS    *tls.Config    // nil: none
	Tokens *access.Tokens // nil: everybody may do everything
	Hosts  []string
	Log    func(string) // told what is refused, and what can't be read later on

	insecure []Port
}

// Open reads the files; w is told what is refused, and what can't be read later on.
func (s Config) Open(w io.Writer) (Ports, error) {
	var mu sync.Mutex
	out := Ports{Hosts: s.Hosts, insecure: s.Insecure, Log: func(msg string) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Fprintln(w, msg)
	}}
	var errs []error
	if s.Cert != "" || s.Key != "" {
		c, err := access.Server(access.Files{Cert: s.Cert, Key: s.Key, CA: s.ClientCA, Trouble: func(err error) { out.Log(err.Error()) }})
		if err != nil {
			errs = append(errs, fmt.Errorf("security: %w", err))
		}
		out.TLS = c
	} else if s.ClientCA != "" {
		errs = append(errs, errors.New("security: client_ca is of no use without cert and key: give them too"))
	}
	if s.Tokens != "" {
		t, err := access.OpenTokens(s.Tokens, out.Log)
		if err != nil {
			errs = append(errs, fmt.Errorf("security: %w; make one with 'foresail token new --name NAME --role read --file %s'", err, s.Tokens))
		}
		out.Tokens = t
	}
	return out, errors.Join(errs...)
}

// Allows reports whether a port may be open to other machines without protection.
func (s *Ports) Allows(port Port) bool { return slices.Contains(s.insecure, port) }

// WarnOpen tells of a port that has neither TLS nor tokens, whatever the others have.
func (s *Ports) WarnOpen(port Port, addr string) {
	open := Ports{Log: s.Log}
	open.Warn(port, addr)
}

// Warn tells which ports are open to others, and what that means.
func (s *Ports) Warn(port Port, addr string) {
	if s.Log == nil || access.Loopback(addr) || s.TLS != nil && s.Tokens != nil {
		return
	}
	what := "anybody who reaches it can read and write"
	if s.Tokens != nil {
		what = "tokens go over it in the clear"
	}
	s.Log(fmt.Sprintf("warning: the %s port on %s is open to other machines without protection, as insecure_listen says: %s", port, addr, what))
}
