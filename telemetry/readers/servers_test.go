package readers

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// The readers are tested against the servers themselves, which ./test installs.

// program finds one of the server's programs where Debian puts it.
func program(t *testing.T, name string) string {
	t.Helper()
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	for _, pattern := range []string{"/usr/sbin/" + name, "/usr/lib/postgresql/*/bin/" + name} {
		if found, _ := filepath.Glob(pattern); len(found) > 0 {
			return found[len(found)-1]
		}
	}
	t.Fatalf("%s is not installed: ./test installs what tests start", name)
	return ""
}

// unprivileged are the servers' rights where the tests have all of them: PostgreSQL and memcached refuse these.
func unprivileged(cmd *exec.Cmd, dir string) {
	if os.Getuid() == 0 {
		const nobody = 65534
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
		_ = os.Chown(dir, nobody, nobody)
	}
}

// start runs a server until the test ends, and waits until it listens.
func start(t *testing.T, address string, cmd *exec.Cmd) {
	t.Helper()
	var said strings.Builder
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(5 * time.Second):
			_ = cmd.Process.Kill()
			<-ended
		}
	})
	network := "tcp"
	if strings.HasPrefix(address, "/") {
		network = "unix"
	}
	for {
		if conn, err := net.Dial(network, address); err == nil {
			_ = conn.Close()
			return
		}
		select {
		case <-ended:
			t.Fatalf("%s ended: %s", cmd.Path, said.String())
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

// folder is one that an unprivileged server can reach.
func folder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "readers")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// until reads until what was read is as wanted.
func until(t *testing.T, r Reader, want func(Reading) bool) Reading {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	var got Reading
	for {
		var err error
		if got, err = r.Read(ctx); err != nil {
			t.Fatalf("%v, last %+v", err, got)
		}
		if want(got) {
			return got
		}
	}
}

func reader(t *testing.T, kind, address, password string) Reader {
	t.Helper()
	r, err := New(kind, address, password)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return r
}

func TestNginx(t *testing.T) {
	hold := make(chan struct{})
	backend := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-hold }))
	defer backend.Close()
	dir, port := folder(t), freePort(t)
	conf := fmt.Sprintf("daemon off; master_process off; pid %[1]s/pid; error_log %[1]s/error;\nevents {}\nhttp { access_log off; client_body_temp_path %[1]s/b; proxy_temp_path %[1]s/p;"+
		" fastcgi_temp_path %[1]s/f; uwsgi_temp_path %[1]s/u; scgi_temp_path %[1]s/s;\nserver { listen 127.0.0.1:%[2]s; location /status { stub_status; } location / { proxy_pass %[3]s; } } }\n", dir, port, backend.URL)
	if err := os.WriteFile(dir+"/nginx.conf", []byte(conf), 0o644); err != nil {
		t.Fatal(err)
	}
	address := "127.0.0.1:" + port
	start(t, address, exec.Command(program(t, "nginx"), "-p", dir, "-c", dir+"/nginx.conf", "-e", dir+"/error"))
	r := reader(t, "nginx", "http://"+address+"/status", "")
	before := until(t, r, func(r Reading) bool { return r.InFlight == 0 })
	for range 3 {
		go func() {
			if resp, err := http.Get("http://" + address + "/"); err == nil {
				_ = resp.Body.Close()
			}
		}()
	}
	got := until(t, r, func(r Reading) bool { return r.InFlight == 3 })
	if got.Arrivals != before.Arrivals+3 { // the reader's own don't count
		t.Errorf("%+v after %+v", got, before)
	}
	close(hold)
	until(t, r, func(r Reading) bool { return r.InFlight == 0 })
	if _, err := reader(t, "nginx", "http://"+address+"/nothing", "").Read(t.Context()); err == nil {
		t.Error("a page that isn't the status is taken")
	}
}

func TestMemcached(t *testing.T) {
	port := freePort(t)
	address := "127.0.0.1:" + port
	cmd := exec.Command(program(t, "memcached"), "-l", "127.0.0.1", "-p", port, "-U", "0", "-t", "2")
	unprivileged(cmd, "")
	start(t, address, cmd)
	r := reader(t, "memcached", address, "")
	if got := until(t, r, func(r Reading) bool { return true }); got.Arrivals != 0 || got.InFlight != 0 || got.Has == 0 {
		t.Errorf("%+v", got)
	}
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	const size = 1_000_000
	fmt.Fprintf(conn, "set k 0 0 %d noreply\r\n%s\r\n", size, strings.Repeat("x", size))
	until(t, r, func(r Reading) bool { return r.Arrivals == 1 })
	for range 50 { // answers that nobody reads
		_, _ = io.WriteString(conn, "get k\r\n")
	}
	until(t, r, func(r Reading) bool { return r.InFlight >= 1 && r.Arrivals > 1 })
}

func TestRedis(t *testing.T) {
	port, dir := freePort(t), folder(t)
	address := "127.0.0.1:" + port
	start(t, address, exec.Command(program(t, "redis-server"), "--bind", "127.0.0.1", "--port", port, "--save", "", "--dir", dir, "--requirepass", "secret"))
	if _, err := reader(t, "redis", address, "").Read(t.Context()); err == nil || !strings.Contains(err.Error(), "NOAUTH") {
		t.Error(err)
	}
	if _, err := reader(t, "redis", address, "wrong").Read(t.Context()); err == nil || strings.Contains(err.Error(), "wrong") {
		t.Error(err)
	}
	r := reader(t, "redis", address, "secret")
	before := until(t, r, func(Reading) bool { return true })
	for range 2 { // requests that wait
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_, _ = io.WriteString(conn, "AUTH secret\r\nBLPOP q 0\r\n")
	}
	until(t, r, func(r Reading) bool { return r.InFlight == 2 && r.Queue == 2 })
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, _ = io.WriteString(conn, "AUTH secret\r\nEVAL \"for i=1,3000000 do end return 1\" 0\r\nNOSUCH\r\n")
	got := until(t, r, func(r Reading) bool { return r.Errors > before.Errors && r.Busy > before.Busy })
	if got.Arrivals < before.Arrivals+1 || got.Arrivals > before.Arrivals+10 {
		t.Errorf("%+v after %+v", got, before)
	}
}

func TestPostgres(t *testing.T) {
	dir, port := folder(t), freePort(t)
	data := dir + "/data"
	initdb := exec.Command(program(t, "initdb"), "-D", data, "-U", "postgres", "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C")
	unprivileged(initdb, dir)
	if out, err := initdb.CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v: %s", err, out)
	}
	server := exec.Command(program(t, "postgres"), "-D", data, "-h", "127.0.0.1", "-p", port, "-k", dir, "-c", "fsync=off")
	unprivileged(server, dir)
	start(t, dir+"/.s.PGSQL."+port, server)
	address := "postgres://postgres@127.0.0.1:" + port + "/postgres"
	r := reader(t, "postgres", address, "")
	connected := func() *pgconn.PgConn {
		for {
			c, err := pgconn.Connect(t.Context(), address)
			if err == nil {
				t.Cleanup(func() { _ = c.Close(context.Background()) })
				return c
			}
			if !strings.Contains(err.Error(), "starting up") {
				t.Fatal(err)
			}
		}
	}
	holder, waiter, sleeper := connected(), connected(), connected()
	before := until(t, r, func(r Reading) bool { return r.InFlight == 0 })
	for _, sql := range []string{"CREATE TABLE x ()", "BEGIN; LOCK TABLE x"} {
		if _, err := holder.Exec(t.Context(), sql).ReadAll(); err != nil {
			t.Fatal(err)
		}
	}
	done := make(chan struct{}, 2)
	for c, sql := range map[*pgconn.PgConn]string{waiter: "SELECT * FROM x", sleeper: "SELECT pg_sleep(60)"} {
		go func() { _, _ = c.Exec(context.Background(), sql).ReadAll(); done <- struct{}{} }()
	}
	got := until(t, r, func(r Reading) bool { return r.InFlight == 2 && r.Queue == 1 })
	if got.Completions < before.Completions {
		t.Errorf("%+v after %+v", got, before)
	}
	for _, c := range []*pgconn.PgConn{waiter, sleeper} {
		_ = c.CancelRequest(t.Context())
		<-done
	}
	until(t, r, func(r Reading) bool { return r.InFlight == 0 })
}
