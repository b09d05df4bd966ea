package receive

import (
	"context"
	"crypto/tls"
	"net"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"foresail.dev/access"
	"foresail.dev/access/accesstest"
	"foresail.dev/telemetry/agent/report"
	"foresail.dev/telemetry/agent/wire"
	"foresail.dev/telemetry/frames"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// sender is an agent's ring and the goroutine that empties it.
type sender struct {
	ring  *report.Ring
	table *report.Table
	n     int
	mu    sync.Mutex
	said  []string
}

// send runs a sender until the test ends.
func send(t *testing.T, addr string, c *tls.Config, token string) *sender {
	t.Helper()
	s := &sender{ring: report.NewRing(), table: report.NewTable(&wire.Table{Generation: 1, Containers: []wire.Container{container("front", "front-0")}})}
	cfg := report.Config{Daemon: frames.Daemon{Address: addr, TLS: c, Backoff: time.Millisecond, Longest: 5 * time.Millisecond}, Hello: wire.Hello{Node: "a", Instance: 7},
		Patience: 500 * time.Millisecond, Log: func(line string) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.said = append(s.said, line)
		}}
	if token != "" {
		cfg.Token = func() (string, error) { return token, nil }
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- report.Run(ctx, cfg, s.ring) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return s
}

// put adds beats that end now, one after the other.
func (s *sender) put(n int) {
	for range n {
		s.n++
		b := wire.Beat{Start: time.Now().Add(-beat).UnixNano(), Length: int64(beat), Table: 1, Containers: []wire.Sample{{}}}
		s.ring.Put(&b, s.table)
	}
}

// says waits until the log has a line with some text.
func (s *sender) says(t *testing.T, text string) {
	t.Helper()
	eventually(t, "the agent to say: "+text, func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return slices.ContainsFunc(s.said, func(l string) bool { return strings.Contains(l, text) })
	})
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !holds(); runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}

func listenFor(t *testing.T, r *Receiver, addr string, c *tls.Config, tokens *access.Tokens) *Server {
	t.Helper()
	s, err := r.Listen(addr, c, tokens.Options(access.Write, nil)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// free is an address that nobody listens on.
func free(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// A daemon that is not there yet gets what the ring still has, and hears how many beats it has missed. When it
// restarts, what it had not acknowledged comes again, and counts once.
func TestDaemonDeadThenThereThenRestarted(t *testing.T) {
	addr := free(t)
	s := send(t, addr, nil, "")
	s.says(t, "can't report to "+addr)
	s.put(report.Kept + 36)
	if s.ring.Waiting() != report.Kept || s.ring.Dropped() != 36 {
		t.Fatalf("%d wait, %d dropped", s.ring.Waiting(), s.ring.Dropped())
	}
	r := New(Config{})
	d := listenFor(t, r, addr, nil, nil)
	eventually(t, "the beats that were kept", func() bool { return r.Stats().Beats == report.Kept })
	if st := r.Stats(); st.Lost != 0 || st.Dropped != 36 {
		t.Errorf("%+v", st)
	}
	s.says(t, "reports to "+addr)
	s.put(7) // some of these are acknowledged and some not
	eventually(t, "the next beats", func() bool { return r.Stats().Beats == report.Kept+7 })
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	s.put(10)
	listenFor(t, r, addr, nil, nil)
	eventually(t, "the beats from the time in between", func() bool { return r.Stats().Beats == report.Kept+17 })
	if st := r.Stats(); st.Malformed+st.Refused > 0 || st.Lost != 0 || st.Dropped != 36 {
		t.Errorf("%+v", st)
	}
}

// A daemon that takes a connection and reads nothing, or never answers, is given up and tried again; meanwhile memory
// does not grow.
func TestASlowDaemonGrowsNothing(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	tried := make(chan struct{}, 100)
	var open sync.WaitGroup
	open.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { c.Close() })
			tried <- struct{}{}
		}
	})
	t.Cleanup(func() { l.Close(); open.Wait() })
	s := send(t, l.Addr().String(), nil, "")
	<-tried
	s.put(report.Kept)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	s.put(100_000)
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 1<<20 {
		t.Errorf("100,000 beats made the heap %d bytes larger", grown)
	}
	if s.ring.Waiting() != report.Kept {
		t.Errorf("%d wait", s.ring.Waiting())
	}
	s.says(t, "can't report to")
}

// Certificates and tokens: the right ones are let in, wrong ones are told what is wrong, and no token is ever said.
func TestWhoMayReport(t *testing.T) {
	ours, theirs := accesstest.New(t, "ours"), accesstest.New(t, "theirs")
	cert, key := ours.Issue(t, "server", 2, time.Now().Add(time.Hour))
	server, err := access.Server(access.Files{Cert: cert, Key: key})
	if err != nil {
		t.Fatal(err)
	}
	secret, entry, err := access.NewToken("node", access.Write, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	reader, readEntry, err := access.NewToken("ci", access.Read, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "tokens")
	for _, e := range []access.Entry{entry, readEntry} {
		if err := access.AddEntry(file, e); err != nil {
			t.Fatal(err)
		}
	}
	tokens, err := access.OpenTokens(file, nil)
	if err != nil {
		t.Fatal(err)
	}
	r := New(Config{})
	addr := listenFor(t, r, "127.0.0.1:0", server, tokens).Addr()
	client := func(ca string) *tls.Config {
		c, err := access.Client(access.Files{CA: ca})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	for _, c := range []struct {
		name, token, says string
		tls               *tls.Config
	}{
		{"the wrong authority", secret.Reveal(), "certificate", client(theirs.File)},
		{"no TLS", "", "does it want TLS", nil},
		{"no token", "", "does not know the token", client(ours.File)},
		{"a wrong token", "fs_wrong_token_wrong_token", "does not know the token", client(ours.File)},
		{"a token that may only read", reader.Reveal(), "may not report", client(ours.File)},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := send(t, addr, c.tls, c.token)
			s.put(5)
			s.says(t, c.says)
			s.mu.Lock()
			defer s.mu.Unlock()
			for _, l := range s.said {
				if c.token != "" && strings.Contains(l, c.token) {
					t.Errorf("says the token: %s", l)
				}
			}
		})
	}
	if n := r.Stats().Beats; n != 0 {
		t.Fatalf("%d beats were taken", n)
	}
	s := send(t, addr, client(ours.File), secret.Reveal())
	s.put(5)
	eventually(t, "the beats of one who may", func() bool { return r.Stats().Beats == 5 })
}
