package access

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"
)

const (
	// prefix lets people, and programs that look for secrets in repositories, know a token for what it is.
	prefix = "foresail_"
	// maxToken is longer than any token; a longer credential is refused before it is hashed.
	maxToken = 256
	maxName  = 64
	// maxEntries bounds the work of one check: each entry is compared.
	maxEntries = 1000
)

// Entry is one line of a token file: somebody, what they may do, and what proves that it is them.
type Entry struct {
	Name    string
	Role    Role
	Hash    [sha256.Size]byte // of the token; unused where Subject is set
	Subject string            // name in a client certificate; empty: a token proves it
	Until   time.Time         // zero: for ever
}

// NewToken draws a token and makes its entry. Nothing keeps the token: whoever asked shows it once.
func NewToken(name string, role Role, until time.Time) (Secret, Entry, error) {
	var b [32]byte
	_, _ = rand.Read(b[:]) // ends the program rather than fail
	token := prefix + base64.RawURLEncoding.EncodeToString(b[:])
	e := Entry{Name: name, Role: role, Hash: sha256.Sum256([]byte(token)), Until: until.UTC().Truncate(time.Second)}
	if until.IsZero() {
		e.Until = time.Time{}
	}
	return NewSecret(token), e, e.check()
}

func (e *Entry) check() error {
	if !validName(e.Name) {
		return fmt.Errorf("name %q: use 1 to %d letters, digits, '.', '_' or '-'", short(e.Name), maxName)
	}
	if e.Role != Read && e.Role != Write {
		return errors.New("a token needs a role: read or write")
	}
	if strings.ContainsFunc(e.Subject, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
		return fmt.Errorf("certificate name %q: leave blanks out", short(e.Subject))
	}
	return nil
}

func validName(s string) bool {
	if s == "" || len(s) > maxName {
		return false
	}
	return !strings.ContainsFunc(s, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' || r == '_' || r == '-')
	})
}

// ended reports whether an entry no longer counts.
func (e *Entry) ended(now time.Time) bool { return !e.Until.IsZero() && !now.Before(e.Until) }

// String is the entry's line.
func (e Entry) String() string {
	proof := "sha256:" + hex.EncodeToString(e.Hash[:])
	if e.Subject != "" {
		proof = "cert:" + e.Subject
	}
	line := e.Name + " " + e.Role.String() + " " + proof
	if !e.Until.IsZero() {
		line += " " + e.Until.UTC().Format(time.RFC3339)
	}
	return line
}

// ParseEntry reads one line of a token file. Errors never quote what might be a token.
func ParseEntry(line string) (Entry, error) {
	f := strings.Fields(line)
	if len(f) < 3 || len(f) > 4 {
		return Entry{}, fmt.Errorf("%d fields: a line is 'name role sha256:HASH [until]'", len(f))
	}
	role, err := ParseRole(f[1])
	if err != nil {
		return Entry{}, errors.New("the second field is no role: use read or write")
	}
	e := Entry{Name: f[0], Role: role}
	kind, proof, _ := strings.Cut(f[2], ":")
	switch kind {
	case "sha256":
		sum, err := hex.DecodeString(proof)
		if err != nil || len(sum) != len(e.Hash) {
			return Entry{}, errors.New("the hash is not 64 hexadecimal digits")
		}
		e.Hash = [sha256.Size]byte(sum)
	case "cert":
		if proof == "" {
			return Entry{}, errors.New("cert: names no certificate")
		}
		e.Subject = proof
	default:
		return Entry{}, errors.New("the third field is neither sha256:HASH nor cert:NAME; a token itself must never be written down here: " +
			"make one with 'foresail token new'")
	}
	if len(f) == 4 {
		if e.Until, err = time.Parse(time.RFC3339, f[3]); err != nil {
			return Entry{}, errors.New("the fourth field is no time like 2027-01-01T00:00:00Z")
		}
		e.Until = e.Until.UTC()
	}
	if !validName(e.Name) {
		return Entry{}, fmt.Errorf("the name is not 1 to %d letters, digits, '.', '_' or '-'", maxName)
	}
	return e, e.check()
}

// ParseEntries reads a token file: a line each, blank ones and those that begin with # left out. All faults are reported at once.
func ParseEntries(b []byte) ([]Entry, error) {
	var out []Entry
	var errs []error
	seen := map[string]int{}
	n := 0
	for line := range strings.Lines(string(b)) {
		n++
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		e, err := ParseEntry(line)
		if err == nil && seen[e.Name] > 0 {
			err = fmt.Errorf("%s is already on line %d", e.Name, seen[e.Name])
		}
		if err == nil && len(out) == maxEntries {
			return nil, fmt.Errorf("line %d: more than %d entries", n, maxEntries)
		}
		if err != nil {
			if errs = append(errs, fmt.Errorf("line %d: %w", n, err)); len(errs) == 20 {
				break
			}
			continue
		}
		seen[e.Name] = n
		out = append(out, e)
	}
	return out, errors.Join(errs...)
}
