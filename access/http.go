package access

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
)

// bearer is the token of an Authorization header, as RFC 6750 writes it.
func bearer(header string) (string, bool) {
	scheme, token, ok := strings.Cut(header, " ")
	token = strings.Trim(token, " ")
	if !ok || !strings.EqualFold(scheme, "bearer") || token == "" || len(token) > maxToken {
		return "", false
	}
	for i := range len(token) {
		c := token[i]
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("-._~+/=", c) >= 0) {
			return "", false
		}
	}
	return token, true
}

// Request lets a request in, and returns it with who makes it (see From), or says why not.
func (t *Tokens) Request(r *http.Request, need Role) (*http.Request, *Refusal) {
	if t == nil {
		return r, nil
	}
	who, refusal := t.admit(caller{r.Header.Values("Authorization"), r.TLS, r.RemoteAddr}, need)
	if refusal != nil {
		return nil, refusal
	}
	return r.WithContext(context.WithValue(r.Context(), whoKey{}, who)), nil
}

// HTTP passes on the requests of those who have a role, and answers the others itself: 401, 403 or 429, with a JSON object whose
// "error" says what to do.
func (t *Tokens) HTTP(need Role, next http.Handler) http.Handler {
	if t == nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		in, refusal := t.Request(r, need)
		if refusal != nil {
			refusal.Answer(w)
			return
		}
		next.ServeHTTP(w, in)
	})
}

// Headers sets what belongs to a refusal besides its status.
func (r *Refusal) Headers(h http.Header) {
	switch r.Status {
	case http.StatusUnauthorized:
		h.Set("WWW-Authenticate", `Bearer realm="foresail"`)
	case http.StatusTooManyRequests:
		h.Set("Retry-After", "60")
	}
	h.Set("Cache-Control", "no-store")
}

// Answer refuses a request.
func (r *Refusal) Answer(w http.ResponseWriter) {
	r.Headers(w.Header())
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(r.Status)
	_ = json.NewEncoder(w).Encode(map[string]string{"error": r.Text}) // an error is the client's connection
}

// Authorize puts a token on a request that is sent. Without one it does nothing.
func Authorize(r *http.Request, token Secret) {
	if !token.IsZero() {
		r.Header.Set("Authorization", "Bearer "+token.Reveal())
	}
}
