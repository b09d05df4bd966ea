package peers

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Required is the environment variable that makes a peer that can't be built a failure instead of a skipped test. ./test
// sets it.
const Required = "FORESAIL_PEERS"

// startTimeout is how long a server may take to be ready. They take a fraction of a second on an idle machine.
const startTimeout = 60 * time.Second

// Server is a server that runs until its test ends.
type Server struct {
	URL string // "http://127.0.0.1:PORT"
	log string // file
}

// Log is what the server has written so far, for messages of tests that fail.
func (s *Server) Log() string {
	b, err := os.ReadFile(s.log)
	if err != nil {
		return err.Error()
	}
	return tail(string(b), 50)
}

// Prometheus starts a Prometheus with a configuration file of that text ("" is a valid one) and a database of its own. It
// accepts remote write and keeps native histograms; flags are given to it besides.
func Prometheus(t testing.TB, config string, flags ...string) *Server {
	t.Helper()
	path := built(t, prometheus)
	dir := t.TempDir()
	file := filepath.Join(dir, "prometheus.yaml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	return start(t, path, dir, "/-/ready", func(addr string) []string {
		return append([]string{"--config.file=" + file, "--storage.tsdb.path=" + filepath.Join(dir, "data"),
			"--web.listen-address=" + addr, "--web.enable-remote-write-receiver", "--web.enable-lifecycle",
			"--enable-feature=metadata-wal-records"}, flags...)
	})
}

// VictoriaMetrics starts a VictoriaMetrics with a database of its own; flags are given to it besides.
func VictoriaMetrics(t testing.TB, flags ...string) *Server {
	t.Helper()
	path := built(t, victoria)
	dir := t.TempDir()
	return start(t, path, dir, "/health", func(addr string) []string {
		return append([]string{"-storageDataPath=" + filepath.Join(dir, "data"), "-httpListenAddr=" + addr,
			"-memory.allowedBytes=256MiB", "-retentionPeriod=100y"}, flags...)
	})
}

// built is the program's path. A test is skipped where it can't be built, unless Required says that it must be.
func built(t testing.TB, p program) string {
	t.Helper()
	path, err := p.build()
	switch {
	case err != nil && os.Getenv(Required) != "":
		t.Fatal(err)
	case err != nil:
		t.Skipf("needs a real %s, which takes Go's module proxy or a filled module cache to build: %v", p.name, err)
	}
	return path
}

// start runs the program until the test ends, and returns once it is ready. A port that another process takes between
// being chosen and being used costs one more try.
func start(t testing.TB, path, dir, ready string, args func(addr string) []string) *Server {
	t.Helper()
	var err error
	for range 5 {
		var s *Server
		if s, err = try(t, path, dir, ready, args); err == nil {
			return s
		}
		if !strings.Contains(err.Error(), "address already in use") {
			break
		}
	}
	t.Fatal(err)
	return nil
}

func try(t testing.TB, path, dir, ready string, args func(addr string) []string) (*Server, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	addr := l.Addr().String()
	l.Close()
	s := &Server{URL: "http://" + addr, log: filepath.Join(dir, "log")}
	log, err := os.Create(s.log)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd := exec.Command(path, args(addr)...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // nothing is left of a test that is killed
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	ended := make(chan struct{})
	go func() {
		cmd.Wait() // how it ended is in its log
		close(ended)
	}()
	end := func() {
		cmd.Process.Kill()
		<-ended
	}
	if err := s.await(ready, ended); err != nil {
		end()
		return nil, fmt.Errorf("peers: %s: %w\n%s", filepath.Base(path), err, s.Log())
	}
	t.Cleanup(end)
	return s, nil
}

// await asks until the server says that it is ready.
func (s *Server) await(ready string, ended <-chan struct{}) error {
	limit := time.After(startTimeout)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ended:
			return errors.New("ended before it was ready")
		case <-limit:
			return fmt.Errorf("not ready after %s", startTimeout)
		case <-tick.C:
		}
		resp, err := http.Get(s.URL + ready)
		if err != nil {
			continue
		}
		resp.Body.Close()
		if resp.StatusCode == http.StatusOK {
			return nil
		}
	}
}
