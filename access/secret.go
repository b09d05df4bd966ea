package access

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"strings"
)

// redacted stands for a secret wherever it would be shown.
const redacted = "[redacted]"

// Secret is a password, token or key in a configuration. However it is printed, logged or encoded, it shows as
// [redacted]; an empty one as nothing. The value is behind a pointer since fmt reads unexported fields past all methods.
type Secret struct{ value *string }

// NewSecret wraps a value.
func NewSecret(s string) Secret {
	if s == "" {
		return Secret{}
	}
	return Secret{&s}
}

// Reveal is the value itself, for the one place that sends or uses it.
func (s Secret) Reveal() string {
	if s.value == nil {
		return ""
	}
	return *s.value
}

// Revealed are the values of secrets with names, such as headers.
func Revealed(m map[string]Secret) map[string]string {
	if m == nil {
		return nil
	}
	out := make(map[string]string, len(m))
	for name, s := range m {
		out[name] = s.Reveal()
	}
	return out
}

// IsZero reports whether there is no secret.
func (s Secret) IsZero() bool { return s.value == nil }

// Equal compares in a time that tells nothing but the lengths.
func (s Secret) Equal(o Secret) bool {
	return subtle.ConstantTimeCompare([]byte(s.Reveal()), []byte(o.Reveal())) == 1
}

// String hides the value.
func (s Secret) String() string {
	if s.IsZero() {
		return ""
	}
	return redacted
}

// Format hides the value under every verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(s.String())) }

// LogValue hides the value from structured logs.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText hides the value from JSON, YAML and everything else that encodes text.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText takes the value from a configuration.
func (s *Secret) UnmarshalText(b []byte) error {
	*s = NewSecret(string(b))
	return nil
}

// ReadSecret reads a file whose first line is a secret; others than the owner must not be able to read it.
func ReadSecret(path string) (Secret, error) {
	b, err := readPrivate(path)
	if err != nil {
		return Secret{}, err
	}
	line, rest, _ := strings.Cut(string(b), "\n")
	line = strings.TrimSpace(line)
	switch {
	case line == "":
		return Secret{}, fmt.Errorf("%s: the first line is empty: put the secret there", path)
	case strings.TrimSpace(rest) != "":
		return Secret{}, fmt.Errorf("%s: there is more than one line: put the secret alone on the first", path)
	}
	return NewSecret(line), nil
}

// ParseURL reads a URL that may hold a password; an error tells neither the URL nor the password.
func ParseURL(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	if err != nil {
		return nil, fmt.Errorf("not a URL (%w)", Clean(err))
	}
	return u, nil
}

// Clean takes user names, passwords, queries and fragments out of the URLs that errors of net/url and net/http quote. What cannot
// be read as a URL is left out whole.
func Clean(err error) error {
	var u *url.Error
	if !errors.As(err, &u) {
		return err
	}
	cause := u.Err
	var invalid url.InvalidHostError
	var escape url.EscapeError
	switch { // these quote a piece of what was given
	case errors.As(cause, &invalid):
		cause = errors.New("invalid host")
	case errors.As(cause, &escape):
		cause = errors.New("invalid escape")
	case u.Op == "parse":
		cause = errors.New("malformed")
	}
	clean := ""
	if p, perr := url.Parse(u.URL); perr == nil {
		p.User, p.RawQuery, p.Fragment = nil, "", ""
		clean = p.String()
	}
	return &url.Error{Op: u.Op, URL: clean, Err: cause}
}

// private refuses a file whose mode lets others than its owner in; see the package's comment.
func private(path string, fi os.FileInfo) error {
	mode := fi.Mode().Perm()
	allowed := os.FileMode(0o600)
	if ownedByRoot(fi) && os.Geteuid() != 0 {
		allowed = 0o640
	}
	if fi.IsDir() {
		return fmt.Errorf("%s is a folder: name the file", path)
	}
	if mode&^(allowed|0o100) != 0 {
		return fmt.Errorf("%s has mode %04o, so others can reach what is secret in it: chmod 600 %s", path, mode, path)
	}
	return nil
}
