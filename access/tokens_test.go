package access

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
	"pgregory.net/rapid"
)

// clock is a time that tests set.
type clock struct{ t time.Time }

func (c *clock) now() time.Time { return c.t }

// house is a token file with a reader and a writer, and everything that was logged.
type house struct {
	path        string
	clock       *clock
	tokens      *Tokens
	read, write Secret
	mu          sync.Mutex
	log         []string
}

func newHouse(t testing.TB) *house {
	t.Helper()
	h := &house{path: filepath.Join(t.TempDir(), "tokens"), clock: &clock{time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)}}
	h.read, h.write = h.add(t, "ci", Read, time.Time{}), h.add(t, "ops", Write, time.Time{})
	var err error
	h.tokens, err = openTokens(h.path, func(s string) { h.mu.Lock(); h.log = append(h.log, s); h.mu.Unlock() }, h.clock.now)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func (h *house) add(t testing.TB, name string, role Role, until time.Time) Secret {
	t.Helper()
	s, e, err := NewToken(name, role, until)
	if err == nil {
		err = AddEntry(h.path, e)
	}
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// get asks a handler that needs a role, as addr.
func (h *house) get(need Role, addr string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest("GET", "/", nil)
	r.RemoteAddr = addr
	for _, v := range headers {
		r.Header.Add("Authorization", v)
	}
	w := httptest.NewRecorder()
	h.tokens.HTTP(need, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who, ok := From(r.Context())
		fmt.Fprintf(w, "%s %s %t", who.Name, who.Role, ok && Still(r.Context()))
	})).ServeHTTP(w, r)
	return w
}

func TestRolesOverHTTP(t *testing.T) {
	h := newHouse(t)
	for _, c := range []struct {
		name    string
		need    Role
		headers []string
		status  int
		body    string
	}{
		{"reader reads", Read, []string{"Bearer " + h.read.Reveal()}, 200, "ci read true"},
		{"scheme in any case", Read, []string{"bEARER  " + h.read.Reveal()}, 200, "ci read true"},
		{"writer reads", Read, []string{"Bearer " + h.write.Reveal()}, 200, "ops write true"},
		{"writer writes", Write, []string{"Bearer " + h.write.Reveal()}, 200, "ops write true"},
		{"reader may not write", Write, []string{"Bearer " + h.read.Reveal()}, 403, "needs write"},
		{"nobody", Read, nil, 401, "a token is needed"},
		{"a wrong token", Read, []string{"Bearer foresail_AAAA"}, 401, "not known"},
		{"the hash is no token", Read, []string{"Bearer " + readFile(t, h.path)[15:79]}, 401, "not known"},
		{"another scheme", Read, []string{"Basic " + h.read.Reveal()}, 401, "Bearer TOKEN"},
		{"no scheme", Read, []string{h.read.Reveal()}, 401, "Bearer TOKEN"},
		{"two headers", Read, []string{"Bearer " + h.read.Reveal(), "Bearer " + h.write.Reveal()}, 401, "not known"},
		{"something after it", Read, []string{"Bearer " + h.read.Reveal() + " x"}, 401, "Bearer TOKEN"},
		{"far too long", Read, []string{"Bearer " + strings.Repeat("x", 5000)}, 401, "Bearer TOKEN"},
		{"no role is needed by mistake", 0, []string{"Bearer " + h.write.Reveal()}, 403, "role"},
	} {
		w := h.get(c.need, "192.0.2.1:1", c.headers...)
		if w.Code != c.status || !strings.Contains(w.Body.String(), c.body) {
			t.Errorf("%s: %d %s, want %d with %q", c.name, w.Code, w.Body, c.status, c.body)
		}
		if (w.Code == 401) != (w.Header().Get("WWW-Authenticate") != "") {
			t.Errorf("%s: WWW-Authenticate %q", c.name, w.Header().Get("WWW-Authenticate"))
		}
		if w.Code != 200 && !json.Valid(w.Body.Bytes()) {
			t.Errorf("%s: not JSON: %s", c.name, w.Body)
		}
	}
	for _, line := range h.log {
		if strings.Contains(line, h.read.Reveal()) || strings.Contains(line, h.write.Reveal()) || strings.Contains(line, "AAAA") {
			t.Errorf("a credential was logged: %s", line)
		}
	}
	if (*Tokens)(nil).HTTP(Write, http.NotFoundHandler()) == nil {
		t.Error("no tokens: no handler")
	}
}

func TestTheFileIsReadAgainWhenItChanges(t *testing.T) {
	h := newHouse(t)
	auth := "Bearer " + h.read.Reveal()
	if err := RemoveEntry(h.path, "ci"); err != nil {
		t.Fatal(err)
	}
	if w := h.get(Read, "192.0.2.1:1", auth); w.Code != 200 {
		t.Fatalf("within the second: %d", w.Code)
	}
	h.clock.t = h.clock.t.Add(recheck)
	if w := h.get(Read, "192.0.2.1:1", auth); w.Code != 401 {
		t.Fatalf("a revoked token: %d", w.Code)
	}
	brief := "Bearer " + h.add(t, "brief", Read, h.clock.t.Add(time.Minute)).Reveal()
	h.clock.t = h.clock.t.Add(recheck)
	if w := h.get(Read, "192.0.2.1:1", brief); w.Code != 200 {
		t.Fatalf("a new token: %d", w.Code)
	}
	h.clock.t = h.clock.t.Add(time.Minute)
	if w := h.get(Read, "192.0.2.1:1", brief); w.Code != 401 {
		t.Fatalf("a token that is over: %d", w.Code)
	}
	write(t, h.path, []byte("ops write "+h.write.Reveal()+"\n"), 0o600) // somebody wrote the token itself down
	h.clock.t = h.clock.t.Add(recheck)
	if w := h.get(Write, "192.0.2.1:1", "Bearer "+h.write.Reveal()); w.Code != 200 {
		t.Fatalf("a file that can't be read took effect: %d", w.Code)
	}
	last := h.log[len(h.log)-1]
	if !strings.Contains(last, "line 1") || strings.Contains(last, h.write.Reveal()) {
		t.Fatalf("logged %q", last)
	}
}

func TestWrongTokensAreBoundedAndRightOnesAlwaysPass(t *testing.T) {
	h := newHouse(t)
	for i := range 100 {
		w := h.get(Read, "192.0.2.9:1", "Bearer wrong")
		if want := 401; i >= maxFailures {
			want = 429
			if w.Code != want || w.Header().Get("Retry-After") == "" {
				t.Fatalf("attempt %d: %d", i, w.Code)
			}
		} else if w.Code != want {
			t.Fatalf("attempt %d: %d", i, w.Code)
		}
	}
	if w := h.get(Read, "192.0.2.9:1", "Bearer "+h.read.Reveal()); w.Code != 200 {
		t.Fatalf("a right token from the same address: %d", w.Code)
	}
	if w := h.get(Read, "192.0.2.10:1", "Bearer wrong"); w.Code != 401 {
		t.Fatalf("another address: %d", w.Code)
	}
	if len(h.log) != 3 {
		t.Fatalf("100 attempts of one address and one of another logged %d lines, want 3: %q", len(h.log), h.log)
	}
	for i := range 5000 {
		h.get(Read, fmt.Sprintf("[2001:db8:%x::1]:1", i), "Bearer wrong")
	}
	if n := len(h.tokens.failed.by); n > maxAddresses+1 {
		t.Fatalf("%d addresses are remembered", n)
	}
	h.clock.t = h.clock.t.Add(window)
	if w := h.get(Read, "192.0.2.9:1", "Bearer wrong"); w.Code != 401 {
		t.Fatalf("a minute later: %d", w.Code)
	}
}

func TestTokenFiles(t *testing.T) {
	h := newHouse(t)
	if fi, err := os.Stat(h.path); err != nil || fi.Mode().Perm() != 0o600 {
		t.Fatalf("mode %v, %v", fi.Mode(), err)
	}
	if b := readFile(t, h.path); strings.Contains(b, h.read.Reveal()) || strings.Contains(b, strings.TrimPrefix(h.read.Reveal(), prefix)) {
		t.Fatal("the token is in the file")
	}
	_, e, _ := NewToken("ci", Write, time.Time{})
	if err := AddEntry(h.path, e); err == nil || !strings.Contains(err.Error(), "already") {
		t.Fatalf("a name twice: %v", err)
	}
	if err := RemoveEntry(h.path, "nobody"); !errors.Is(err, ErrNoEntry) {
		t.Fatalf("nobody revoked: %v", err)
	}
	if err := os.Chmod(h.path, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenTokens(h.path, nil); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Fatalf("mode 0640: %v", err)
	}
	if err := AddEntry(h.path, e); err == nil {
		t.Fatal("mode 0640: a token was added")
	}
	if _, err := OpenTokens(h.path+"x", nil); err == nil {
		t.Fatal("no file: no error")
	}
}

func TestChangesAtTheSameTimeDontLoseEachOther(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tokens")
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() {
			_, e, err := NewToken(fmt.Sprintf("t%d", i), Read, time.Time{})
			if err == nil {
				err = AddEntry(path, e)
			}
			if err == nil && i%2 == 0 {
				err = RemoveEntry(path, e.Name)
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if es, err := ReadEntries(path); err != nil || len(es) != 10 {
		t.Fatalf("%d entries, %v", len(es), err)
	}
}

func TestFaultyEntriesAreAllNamedAndNeverQuoted(t *testing.T) {
	token, _, _ := NewToken("x", Read, time.Time{})
	_, err := ParseEntries([]byte("# fine\n\na read " + token.Reveal() + "\nb admin sha256:00\nc read sha256:zz\nd! read cert:x\ne read cert:x tomorrow\nf read\n" +
		"g read cert:g\ng read cert:h\nh " + token.Reveal() + " x\n"))
	if err == nil {
		t.Fatal("no error")
	}
	if strings.Contains(err.Error(), strings.TrimPrefix(token.Reveal(), prefix)) {
		t.Fatalf("the error holds a token: %v", err)
	}
	for _, n := range []int{3, 4, 5, 6, 7, 8, 10, 11} {
		if !strings.Contains(err.Error(), fmt.Sprintf("line %d: ", n)) {
			t.Errorf("line %d isn't named: %v", n, err)
		}
	}
}

func TestEntriesSurviveWritingAndReading(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := Entry{Name: rapid.StringMatching(`[A-Za-z0-9._-]{1,64}`).Draw(t, "name"), Role: Role(rapid.IntRange(1, 2).Draw(t, "role"))}
		if rapid.Bool().Draw(t, "cert") {
			e.Subject = rapid.StringMatching(`[!-~]{1,50}`).Draw(t, "subject")
		} else {
			copy(e.Hash[:], rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "hash"))
		}
		if rapid.Bool().Draw(t, "ends") {
			e.Until = time.Unix(rapid.Int64Range(0, 1<<33).Draw(t, "until"), 0).UTC()
		}
		got, err := ParseEntry(e.String())
		if err != nil || got != e {
			t.Fatalf("%s: %+v, %v", e, got, err)
		}
	})
}

func TestSecretsDontShow(t *testing.T) {
	const marker = "hunter2-marker"
	type config struct {
		Open   Secret `json:"open" yaml:"open"`
		hidden Secret
		Ptr    *Secret
	}
	s := NewSecret(marker)
	c := config{s, s, &s}
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T", "%p"} {
		fmt.Fprintf(&out, verb+verb+verb, s, c, &c)
		fmt.Fprintln(&out)
	}
	for _, h := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
		slog.New(h).Info("x", "s", s, "c", c, "p", &c)
	}
	j, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	y, err := yaml.Marshal(map[string]any{"s": s, "c": c})
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintln(&out, string(j), string(y), fmt.Errorf("with %v: %w", s, errors.New("x")))
	text := out.String()
	for _, bad := range []string{marker, fmt.Sprintf("%x", marker), fmt.Sprintf("%X", marker), fmt.Sprint([]byte(marker))} {
		if strings.Contains(text, bad) {
			t.Fatalf("shows %q in:\n%s", bad, text)
		}
	}
	if !strings.Contains(string(j), redacted) || !strings.Contains(string(y), redacted) {
		t.Fatalf("doesn't say that there is one: %s %s", j, y)
	}
	var back config
	if err := yaml.Unmarshal([]byte("open: "+marker), &back); err != nil || back.Open.Reveal() != marker || !back.Open.Equal(s) {
		t.Fatalf("from YAML: %v %v", back.Open.Reveal() == marker, err)
	}
	if err := json.Unmarshal([]byte(`{"open": "`+marker+`"}`), &back); err != nil || back.Open.Reveal() != marker {
		t.Fatalf("from JSON: %v", err)
	}
	if fmt.Sprint(Secret{}) != "" || !NewSecret("").IsZero() {
		t.Fatal("an empty secret shows")
	}
}

func TestErrorsAboutURLsTellNoPassword(t *testing.T) {
	for _, raw := range []string{"http://u:hunter2@h:bad/", "http://u:hunter2@h/%zz", "http://u:hun%zzter2@h/", "http://hunter2 x/", "http://[hunter2/",
		"http://h/?token=hunter2\x7f", ":hunter2"} {
		if _, err := ParseURL(raw); err == nil || strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "ter2") {
			t.Errorf("%s: %v", raw, err)
		}
	}
	_, err := http.Get("http://u:hunter2@127.0.0.1:1/x?token=hunter2#hunter2")
	if err == nil || strings.Contains(Clean(err).Error(), "hunter2") || !strings.Contains(Clean(err).Error(), "http://127.0.0.1:1/x") {
		t.Errorf("%v", Clean(err))
	}
	var u *url.Error
	if !errors.As(Clean(fmt.Errorf("x: %w", err)), &u) {
		t.Error("no url.Error is left")
	}
}

func TestReadSecret(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	write(t, path, []byte("abc\n"), 0o600)
	if s, err := ReadSecret(path); err != nil || s.Reveal() != "abc" {
		t.Fatal(s.Reveal(), err)
	}
	for content, mode := range map[string]os.FileMode{"": 0o600, "abc\ndef\n": 0o600, "abc": 0o644, "  \n": 0o600} {
		write(t, path, []byte(content), mode)
		if _, err := ReadSecret(path); err == nil || strings.Contains(err.Error(), "abc") {
			t.Errorf("%q with mode %o: %v", content, mode, err)
		}
	}
}

func readFile(t testing.TB, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func FuzzParseEntries(f *testing.F) {
	_, e, _ := NewToken("ci", Read, time.Unix(1e9, 0))
	f.Add([]byte(e.String() + "\n# x\n\nn write cert:spiffe://x/y\n"))
	f.Add([]byte("a read sha256:" + strings.Repeat("0", 64)))
	f.Add([]byte("a read foresail_secret"))
	f.Fuzz(func(t *testing.T, b []byte) {
		es, err := ParseEntries(b)
		if err != nil {
			return
		}
		var again []byte
		for _, e := range es {
			again = append(again, e.String()+"\n"...)
		}
		got, err := ParseEntries(again)
		if err != nil || len(got) != len(es) {
			t.Fatalf("%q became %q: %v", b, again, err)
		}
		for i := range es {
			if got[i].String() != es[i].String() {
				t.Fatalf("%v became %v", es[i], got[i])
			}
		}
	})
}

func FuzzBearer(f *testing.F) {
	for _, s := range []string{"Bearer abc", "bearer  x ", "Basic YTpi", "Bearer", "Bearer a b", "Bearer \x00", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		token, ok := bearer(s)
		if ok && (token == "" || len(token) > maxToken || strings.ContainsAny(token, " \t\r\n,\"\x00") || !strings.Contains(s, token)) {
			t.Fatalf("%q gave %q", s, token)
		}
	})
}

// BenchmarkAdmit is what each request pays, with ten entries.
func BenchmarkAdmit(b *testing.B) {
	h := newHouse(b)
	for i := range 8 {
		h.add(b, fmt.Sprint("t", i), Read, time.Time{})
	}
	h.tokens.file.reload()
	c := caller{headers: []string{"Bearer " + h.read.Reveal()}, addr: "192.0.2.1:1"}
	b.ReportAllocs()
	for b.Loop() {
		if _, refusal := h.tokens.admit(c, Read); refusal != nil {
			b.Fatal(refusal)
		}
	}
}
