package access

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"
)

const (
	// sessionLife is how long a browser stays logged in.
	sessionLife = 12 * time.Hour
	// maxSessions bounds what is remembered: the oldest ends for a new one.
	maxSessions = 256
)

// Sessions let browsers in, which can't send a token by themselves: a person logs in with one, and the browser gets a
// cookie that no script can read, that is sent to no other site's request, and that means nothing after a restart. The
// token itself is not kept, here or there; when it is revoked its sessions end. A nil *Sessions lets everybody in.
type Sessions struct {
	tokens *Tokens

	mu sync.Mutex
	by map[[sha256.Size]byte]session // by the hash of the cookie
}

type session struct {
	who   Who
	since time.Time
}

// NewSessions makes sessions for those who have a token; nil where there are none.
func NewSessions(t *Tokens) *Sessions {
	if t == nil {
		return nil
	}
	return &Sessions{tokens: t, by: map[[sha256.Size]byte]session{}}
}

// Request lets a request in by its token or, without one, by its cookie.
func (s *Sessions) Request(r *http.Request, need Role) (*http.Request, *Refusal) {
	if s == nil {
		return r, nil
	}
	who, ok := s.of(r)
	switch {
	case !ok:
		return s.tokens.Request(r, need)
	case !who.Role.Allows(need):
		f := forbidden
		return nil, &f
	}
	return r.WithContext(context.WithValue(r.Context(), whoKey{}, who)), nil
}

// HTTP passes on the requests of those who have a role, and answers the others as Tokens.HTTP does.
func (s *Sessions) HTTP(need Role, next http.Handler) http.Handler {
	if s == nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		in, refusal := s.Request(r, need)
		if refusal != nil {
			refusal.Answer(w)
			return
		}
		next.ServeHTTP(w, in)
	})
}

// of is whose session a request belongs to. A request that has an Authorization header is judged by that alone.
func (s *Sessions) of(r *http.Request) (Who, bool) {
	if len(r.Header.Values("Authorization")) > 0 {
		return Who{}, false
	}
	c, err := r.Cookie(cookieName(r))
	if err != nil {
		return Who{}, false
	}
	key := sha256.Sum256([]byte(c.Value))
	s.mu.Lock()
	defer s.mu.Unlock()
	in, ok := s.by[key]
	if !ok {
		return Who{}, false
	}
	if age := s.tokens.now().Sub(in.since); age >= sessionLife || age < 0 || !s.tokens.still(in.who.entry) {
		delete(s.by, key)
		return Who{}, false
	}
	return in.who, true
}

// Carries reports whether a request shows anything that could let it in, right or wrong.
func (s *Sessions) Carries(r *http.Request) bool {
	_, err := r.Cookie(cookieName(r))
	return err == nil || len(r.Header.Values("Authorization")) > 0 || r.TLS != nil && len(r.TLS.VerifiedChains) > 0
}

// Login begins a session for who sends a right token, and sets its cookie.
func (s *Sessions) Login(w http.ResponseWriter, r *http.Request, token Secret) (Who, *Refusal) {
	who, refusal := s.tokens.admit(caller{[]string{"Bearer " + token.Reveal()}, r.TLS, r.RemoteAddr}, Read)
	if refusal != nil {
		return Who{}, refusal
	}
	var b [32]byte
	_, _ = rand.Read(b[:]) // ends the program rather than fail
	id := base64.RawURLEncoding.EncodeToString(b[:])
	now := s.tokens.now()
	s.mu.Lock()
	s.makeRoom(now)
	s.by[sha256.Sum256([]byte(id))] = session{who, now}
	s.mu.Unlock()
	http.SetCookie(w, cookie(r, id, int(sessionLife/time.Second)))
	return who, nil
}

// makeRoom drops what is over and, where that isn't enough, the oldest; the lock is held.
func (s *Sessions) makeRoom(now time.Time) {
	if len(s.by) < maxSessions {
		return
	}
	var oldest [sha256.Size]byte
	first := true
	for k, in := range s.by {
		if now.Sub(in.since) >= sessionLife {
			delete(s.by, k)
			continue
		}
		if first || in.since.Before(s.by[oldest].since) {
			oldest, first = k, false
		}
	}
	if len(s.by) >= maxSessions {
		delete(s.by, oldest)
	}
}

// Logout ends the session of a request.
func (s *Sessions) Logout(w http.ResponseWriter, r *http.Request) {
	if c, err := r.Cookie(cookieName(r)); err == nil {
		s.mu.Lock()
		delete(s.by, sha256.Sum256([]byte(c.Value)))
		s.mu.Unlock()
	}
	http.SetCookie(w, cookie(r, "", -1))
}

func cookie(r *http.Request, value string, age int) *http.Cookie {
	return &http.Cookie{Name: cookieName(r), Value: value, Path: "/", MaxAge: age, HttpOnly: true, Secure: r.TLS != nil, SameSite: http.SameSiteStrictMode}
}

// cookieName holds the port, since cookies don't: two servers on one machine would log each other's people out. Over
// TLS the name makes browsers refuse such a cookie from anybody but this very host.
func cookieName(r *http.Request) string {
	name := "foresail"
	if a, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr); ok {
		name = fmt.Sprintf("foresail-%d", a.Port)
	}
	if r.TLS != nil {
		name = "__Host-" + name
	}
	return name
}
