package access

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"time"

	"google.golang.org/grpc/codes"
)

// Tokens are who may come in, from a token file that is read again when it changes. A nil *Tokens lets everybody in: it
// stands for a port without tokens, which CheckListen allows on loopback alone. Methods may be called from any goroutine.
type Tokens struct {
	file   *watched[[]Entry]
	failed failures
	now    func() time.Time
}

// OpenTokens reads a token file. log is told, in one line each and never with what was sent, about refused callers (a line a minute for
// each address) and about a changed file that can't be read, which leaves the old entries in effect; nil: nobody is told.
func OpenTokens(path string, log func(string)) (*Tokens, error) {
	return openTokens(path, log, time.Now)
}

func openTokens(path string, log func(string), now func() time.Time) (*Tokens, error) {
	if log == nil {
		log = func(string) {}
	}
	t := &Tokens{now: now, failed: failures{log: log}}
	t.file = &watched[[]Entry]{paths: []string{path}, now: now, trouble: func(err error) { log(err.Error()) },
		read: func() ([]Entry, error) { return ReadEntries(path) }}
	if err := t.file.open(); err != nil {
		return nil, err
	}
	return t, nil
}

// Who is somebody that was let in.
type Who struct {
	Name string
	Role Role

	tokens *Tokens
	entry  Entry
}

type whoKey struct{}

// From is who makes a request; false where the port asks for no token.
func From(ctx context.Context) (Who, bool) {
	w, ok := ctx.Value(whoKey{}).(Who)
	return w, ok
}

// Still reports whether who makes a request would be let in now. What lasts long asks again, so that a revoked token ends
// it. Without tokens it is always true.
func Still(ctx context.Context) bool {
	w, ok := From(ctx)
	return !ok || w.tokens.still(w.entry)
}

func (t *Tokens) still(e Entry) bool {
	if e.ended(t.now()) {
		return false
	}
	for _, o := range *t.file.get() {
		if o == e {
			return true
		}
	}
	return false
}

// Refusal says why somebody isn't let in, and what to do. It holds nothing of what was sent.
type Refusal struct {
	Status int        // HTTP: 401 (who are you?), 403 (not you) or 429 (too many wrong ones)
	Code   codes.Code // gRPC
	Text   string
}

// Error is the text.
func (r *Refusal) Error() string { return r.Text }

var (
	missing   = Refusal{http.StatusUnauthorized, codes.Unauthenticated, "a token is needed: send it as 'Authorization: Bearer TOKEN'"}
	unknown   = Refusal{http.StatusUnauthorized, codes.Unauthenticated, "the token is not known here: it may be wrong, revoked or over; ask for another"}
	forbidden = Refusal{http.StatusForbidden, codes.PermissionDenied, "the token's role is read, and this needs write: use another token"}
	tooMany   = Refusal{http.StatusTooManyRequests, codes.ResourceExhausted, "too many wrong tokens from this address: try again in a minute with a right one"}
)

// caller is what somebody shows.
type caller struct {
	headers []string // every Authorization header
	state   *tls.ConnectionState
	addr    string // host:port, for the log
}

// admit decides. The remote address counts wrong tokens alone; a right one is let in whatever came from there before.
func (t *Tokens) admit(c caller, need Role) (Who, *Refusal) {
	if len(c.headers) == 0 {
		if e, ok := t.bySubject(c.state); ok {
			return t.enough(e, c.addr, need)
		}
		t.failed.add(t.now(), c.addr, "no token") // nobody guesses with nothing, so the answer stays the same
		r := missing
		return Who{}, &r
	}
	if len(c.headers) > 1 {
		return Who{}, t.refuse(c.addr, &unknown, "more than one Authorization header")
	}
	token, ok := bearer(c.headers[0])
	if !ok {
		return Who{}, t.refuse(c.addr, &missing, "an Authorization header that is no bearer token")
	}
	e, ok := t.byToken(token)
	if !ok {
		return Who{}, t.refuse(c.addr, &unknown, "a token that is not known")
	}
	return t.enough(e, c.addr, need)
}

func (t *Tokens) enough(e Entry, addr string, need Role) (Who, *Refusal) {
	if !e.Role.Allows(need) {
		r := forbidden
		t.failed.add(t.now(), addr, fmt.Sprintf("%s has role %s, which is not enough", e.Name, e.Role))
		return Who{}, &r
	}
	return Who{Name: e.Name, Role: e.Role, tokens: t, entry: e}, nil
}

func (t *Tokens) refuse(addr string, r *Refusal, why string) *Refusal {
	if t.failed.add(t.now(), addr, why) {
		r = &tooMany
	}
	again := *r
	return &again
}

// byToken compares a token's hash with every entry's, in a time that tells not which one it nearly was.
func (t *Tokens) byToken(token string) (Entry, bool) {
	sum := sha256.Sum256([]byte(token))
	entries := *t.file.get()
	found := -1
	for i := range entries {
		if entries[i].Subject == "" && subtle.ConstantTimeCompare(sum[:], entries[i].Hash[:]) == 1 {
			found = i
		}
	}
	if found < 0 || entries[found].ended(t.now()) {
		return Entry{}, false
	}
	return entries[found], true
}

// bySubject finds the entry of a client certificate that was verified. Where the certificate has names, its common name
// doesn't count, as for servers.
func (t *Tokens) bySubject(s *tls.ConnectionState) (Entry, bool) {
	if s == nil || len(s.VerifiedChains) == 0 || len(s.VerifiedChains[0]) == 0 {
		return Entry{}, false
	}
	names := namesOf(s.VerifiedChains[0][0])
	for _, e := range *t.file.get() {
		if e.Subject == "" || e.ended(t.now()) {
			continue
		}
		for _, n := range names {
			if n == e.Subject {
				return e, true
			}
		}
	}
	return Entry{}, false
}

func namesOf(c *x509.Certificate) []string {
	names := append([]string(nil), c.DNSNames...)
	for _, u := range c.URIs {
		names = append(names, u.String())
	}
	if len(names)+len(c.IPAddresses)+len(c.EmailAddresses) == 0 && c.Subject.CommonName != "" {
		names = append(names, c.Subject.CommonName)
	}
	return names
}

// hostOf is who an address belongs to: of IPv6 the network, which one machine may have all of.
func hostOf(addr string) string {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		host = addr
	}
	ip := net.ParseIP(host)
	if ip == nil {
		return "an unknown address"
	}
	if ip.To4() == nil {
		return ip.Mask(net.CIDRMask(64, 128)).String() + "/64"
	}
	return ip.String()
}
