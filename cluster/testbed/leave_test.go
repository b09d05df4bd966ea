package testbed_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"foresail.dev/cluster/testbed"
	"go.uber.org/goleak"
)

// roleParent makes the test binary a parent that runs a testbed until it is killed: see TestMain.
const roleParent = "test-parent"

// parentReport is what such a parent says once its testbed runs.
type parentReport struct {
	Error string
	Dirs  []string // of the cgroups
	Pids  []int    // of all its children
	Ports []string // that replicas listen on
}

// runParent runs a testbed with the OTLP address and cgroup root given, says what belongs to it, and waits.
func runParent(args []string) int {
	report := parentReport{}
	c, err := testbed.New(context.Background(), testbed.Config{Blueprint: twoTier(), Load: rate(20), OTLP: args[0], CgroupRoot: args[1], Dir: args[2]})
	if err != nil {
		report.Error = err.Error()
	} else {
		for _, w := range c.Writes() {
			dir := filepath.Dir(w.Path)
			b, _ := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
			report.Dirs = append(report.Dirs, dir)
			for _, f := range strings.Fields(string(b)) {
				pid, _ := strconv.Atoi(f)
				report.Ports = append(report.Ports, listening(pid)...)
			}
		}
		report.Pids = children(os.Getpid())
	}
	_ = json.NewEncoder(os.Stdout).Encode(report)
	_, _ = io.Copy(io.Discard, os.Stdin)
	return 0
}

// children are the processes whose parent is pid.
func children(pid int) (out []int) {
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, d := range dirs {
		b, err := os.ReadFile(filepath.Join(d, "stat"))
		if err != nil {
			continue
		}
		_, rest, _ := strings.Cut(string(b), ") ") // after the name, which may hold blanks
		if f := strings.Fields(rest); len(f) > 1 && f[1] == strconv.Itoa(pid) {
			n, _ := strconv.Atoi(filepath.Base(d))
			out = append(out, n)
		}
	}
	return out
}

// listening are the loopback addresses that a process listens on.
func listening(pid int) (out []string) {
	links, _ := filepath.Glob("/proc/" + strconv.Itoa(pid) + "/fd/*")
	inodes := map[string]bool{}
	for _, l := range links {
		if to, err := os.Readlink(l); err == nil && strings.HasPrefix(to, "socket:[") {
			inodes[strings.Trim(to, "socket:[]")] = true
		}
	}
	b, _ := os.ReadFile("/proc/net/tcp")
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		if len(f) < 10 || f[3] != "0A" || !inodes[f[9]] {
			continue
		}
		_, hex, _ := strings.Cut(f[1], ":")
		port, _ := strconv.ParseUint(hex, 16, 16)
		out = append(out, "127.0.0.1:"+strconv.Itoa(int(port)))
	}
	return out
}

// gone reports whether a process is no more; one that nobody has reaped yet is no more either.
func gone(pid int) bool {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return true
	}
	_, rest, _ := strings.Cut(string(b), ") ")
	return strings.HasPrefix(rest, "Z") || strings.HasPrefix(rest, "X")
}

// A parent that is killed, whether it could have cleaned up or not, leaves no process, cgroup, port or file behind.
func TestKilledParentLeavesNothing(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGKILL, syscall.SIGTERM} {
		t.Run(sig.String(), func(t *testing.T) {
			run := t.TempDir()
			cmd := exec.Command("/proc/self/exe", roleParent, newReceiver(t).address, "foresail-test-parent-"+strconv.Itoa(os.Getpid()), run)
			cmd.Stderr = os.Stderr
			stdin, err := cmd.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			defer stdin.Close()
			stdout, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			var r parentReport
			if err := json.NewDecoder(bufio.NewReader(stdout)).Decode(&r); err != nil {
				t.Fatal(err)
			}
			// 4 replicas, the users and the janitor.
			if r.Error != "" || len(r.Pids) != 6 || len(r.Ports) != 4 || len(r.Dirs) != 4 {
				t.Errorf("the parent reports %+v", r)
			}
			_ = cmd.Process.Signal(sig)
			_ = cmd.Wait()
			eventually(t, 20*time.Second, "every child process ended", func() bool {
				for _, pid := range r.Pids {
					if !gone(pid) {
						return false
					}
				}
				return true
			})
			for _, d := range append(r.Dirs, filepath.Dir(r.Dirs[0])) {
				if _, err := os.Stat(d); !errors.Is(err, os.ErrNotExist) {
					t.Errorf("cgroup %s is still there: %v", d, err)
				}
			}
			for _, p := range r.Ports {
				if conn, err := net.DialTimeout("tcp", p, time.Second); err == nil {
					conn.Close()
					t.Errorf("port %s is still open", p)
				}
			}
			if left, _ := os.ReadDir(run); len(left) > 0 {
				t.Errorf("the run directory still holds %v", left)
			}
		})
	}
}

// Close leaves no process, goroutine, cgroup or file; it may be called twice, and ends Next.
func TestCloseLeavesNothing(t *testing.T) {
	r := newReceiver(t)
	already := goleak.IgnoreCurrent()
	before := len(children(os.Getpid()))
	run := t.TempDir()
	c := newCluster(t, testbed.Config{Blueprint: twoTier(), Load: rate(20), OTLP: r.address, Dir: run})
	merged(t, c, 300*time.Millisecond)
	dir := groupDir(t, c)
	ended := make(chan error, 1)
	go func() {
		for {
			if _, err := c.Next(context.Background()); err != nil {
				ended <- err
				return
			}
		}
	}()
	for range 2 {
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := <-ended; err != io.EOF {
		t.Errorf("Next after Close: %v", err)
	}
	if err := c.Apply(t.Context(), nil); err != nil {
		t.Errorf("no plan after Close: %v", err)
	}
	if n := len(children(os.Getpid())); n != before {
		t.Errorf("%d child processes, %d before", n, before)
	}
	if _, err := os.Stat(filepath.Dir(dir)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the cgroup is still there: %v", err)
	}
	if left, _ := os.ReadDir(run); len(left) > 0 {
		t.Errorf("the run directory still holds %v", left)
	}
	// The receiver's connections end on their own time.
	goleak.VerifyNone(t, already, goleak.IgnoreAnyFunction("google.golang.org/grpc.(*Server).handleRawConn.func1"),
		goleak.IgnoreAnyFunction("google.golang.org/grpc/internal/transport.NewServerTransport.func2"))
}
