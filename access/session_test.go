package access

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestASession(t *testing.T) {
	h := newHouse(t)
	s := NewSessions(h.tokens)
	ask := func(need Role, c *http.Cookie, header string) int {
		r := httptest.NewRequest("GET", "/", nil)
		if c != nil {
			r.AddCookie(c)
		}
		if header != "" {
			r.Header.Set("Authorization", header)
		}
		w := httptest.NewRecorder()
		s.HTTP(need, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {})).ServeHTTP(w, r)
		return w.Code
	}
	login := func(token string) (*http.Cookie, *Refusal) {
		r, w := httptest.NewRequest("POST", "https://h/", nil), httptest.NewRecorder()
		r.TLS = nil
		_, refusal := s.Login(w, r, NewSecret(token))
		if refusal != nil {
			if len(w.Result().Cookies()) > 0 {
				t.Fatal("a cookie for a wrong token")
			}
			return nil, refusal
		}
		return w.Result().Cookies()[0], nil
	}
	if _, refusal := login("wrong"); refusal == nil || refusal.Status != 401 {
		t.Fatalf("a wrong token: %v", refusal)
	}
	reader, _ := login(h.read.Reveal())
	if !reader.HttpOnly || reader.SameSite != http.SameSiteStrictMode || strings.Contains(reader.String(), h.read.Reveal()) {
		t.Fatalf("cookie %s", reader)
	}
	writer, _ := login(h.write.Reveal())
	bad := *reader
	bad.Value += "x"
	for _, c := range []struct {
		name   string
		need   Role
		cookie *http.Cookie
		header string
		want   int
	}{
		{"reader reads", Read, reader, "", 200},
		{"reader doesn't write", Write, reader, "", 403},
		{"writer writes", Write, writer, "", 200},
		{"nobody", Read, nil, "", 401},
		{"another cookie", Read, &bad, "", 401},
		{"a wrong header beside a right cookie", Read, reader, "Bearer wrong", 401},
		{"a right header beside a wrong cookie", Read, &bad, "Bearer " + h.read.Reveal(), 200},
	} {
		if got := ask(c.need, c.cookie, c.header); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}

	if err := RemoveEntry(h.path, "ops"); err != nil {
		t.Fatal(err)
	}
	h.clock.t = h.clock.t.Add(recheck)
	if got := ask(Read, writer, ""); got != 401 {
		t.Errorf("after its token was revoked: %d", got)
	}
	r := httptest.NewRequest("POST", "/", nil)
	r.AddCookie(reader)
	s.Logout(httptest.NewRecorder(), r)
	if got := ask(Read, reader, ""); got != 401 {
		t.Errorf("after logging out: %d", got)
	}
	reader, _ = login(h.read.Reveal())
	h.clock.t = h.clock.t.Add(sessionLife)
	if got := ask(Read, reader, ""); got != 401 {
		t.Errorf("after %s: %d", sessionLife, got)
	}

	first, _ := login(h.read.Reveal())
	for range maxSessions {
		h.clock.t = h.clock.t.Add(time.Second)
		reader, _ = login(h.read.Reveal())
	}
	if n := len(s.by); n > maxSessions || ask(Read, first, "") != 401 || ask(Read, reader, "") != 200 {
		t.Errorf("%d sessions; the oldest must go first", n)
	}
}

func TestACookieOverTLSIsForThisHostAlone(t *testing.T) {
	h := newHouse(t)
	r, w := httptest.NewRequest("POST", "https://h/", nil), httptest.NewRecorder()
	if _, refusal := NewSessions(h.tokens).Login(w, r, h.read); refusal != nil {
		t.Fatal(refusal)
	}
	c := w.Result().Cookies()[0]
	if !strings.HasPrefix(c.Name, "__Host-") || !c.Secure || c.Path != "/" || c.Domain != "" {
		t.Fatalf("cookie %s", c)
	}
}

func TestErrorLogIsBounded(t *testing.T) {
	n := 0
	l := &limitedLog{to: func(string) { n++ }, now: func() time.Time { return time.Unix(1, 0) }}
	for range 1000 {
		l.Write([]byte("http: TLS handshake error\n"))
	}
	if n != maxErrors {
		t.Fatalf("%d lines", n)
	}
	l.now = func() time.Time { return time.Unix(1, 0).Add(window) }
	if l.Write([]byte("x\n")); n != maxErrors+1 {
		t.Fatalf("%d lines a minute later", n)
	}
}
