package agent

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"foresail.dev"
	"foresail.dev/telemetry/agent/wire"
)

// obey is a process in a network namespace of its own that listens, and does with one connection to itself what it is
// told to, line by line.
func obey() error {
	if err := up("lo"); err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	var client, server net.Conn
	b := make([]byte, 100)
	fmt.Println("ready")
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		time.Sleep(20 * time.Millisecond) // some ticks of the kernel's clock after what was before
		switch in.Text() {
		case "dial":
			client, err = net.Dial("tcp", l.Addr().String())
		case "accept":
			server, err = l.Accept()
		case "send":
			_, err = client.Write(b[:70])
		case "read":
			_, err = io.ReadFull(server, b[:70])
		case "answer":
			_, err = server.Write(b[:5])
		case "close":
			err = errors.Join(client.Close(), server.Close())
		}
		if err != nil {
			return err
		}
		fmt.Println("done")
	}
	return nil
}

// In a namespace without traffic nothing is asked for and nothing is walked through, and what is told is still true:
// whatever happens to a connection, the next second's look tells, also what takes no packet.
func TestWhatIsToldWithoutTraffic(t *testing.T) {
	g := newGroups(t)
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), "AGENT_TEST_TOLD=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET}
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); errors.Is(err, unix.EPERM) || errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) {
		t.Skipf("the kernel allows no network namespace: %v", err)
	} else if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close(); _ = cmd.Process.Kill(); _ = cmd.Wait() })
	lines := bufio.NewScanner(out)
	if !lines.Scan() {
		t.Fatal("the process in the namespace failed")
	}
	path, _ := g.child("pod-0")
	g.join(path, cmd.Process.Pid)
	s := &looker{Sampler: g.sampler(1)}
	for range 3 {
		s.look(true)
	}
	x := s.spaces.order[0]
	for _, step := range []struct {
		do                                 string
		backlog, unread, unreadBytes, busy int64
		settled                            bool // nothing more can change without a packet
	}{
		{"dial", 1, 0, 0, 0, false},
		{"accept", 0, 0, 0, 0, true},
		{"send", 0, 1, 70, 1, false},
		{"read", 0, 0, 0, 1, true}, // no packet goes for it
		{"answer", 0, 0, 0, 0, true},
		{"close", 0, 0, 0, 0, true},
	} {
		if _, err := io.WriteString(in, step.do+"\n"); err != nil || !lines.Scan() || !strings.HasPrefix(lines.Text(), "done") {
			t.Fatalf("%s: the process in the namespace failed", step.do)
		}
		b, table := s.look(true)
		pod := of(t, b, table, "pod")
		v := pod.Value
		if !pod.Has.Has(foresail.SignalQueue|foresail.SignalInFlight) || v[wire.Backlog] != step.backlog || v[wire.Unread] != step.unread ||
			v[wire.UnreadBytes] != step.unreadBytes || v[wire.Busy] != step.busy {
			t.Errorf("after %s: %v, %d wait, %d unread with %d bytes, %d in flight", step.do, pod.Has, v[wire.Backlog], v[wire.Unread], v[wire.UnreadBytes], v[wire.Busy])
		}
		s.look(true) // what came between reading the traffic and asking
		if s.look(true); x.still() != step.settled {
			t.Errorf("after %s: still: %v", step.do, x.still())
		}
		if x.due(true, true) {
			t.Errorf("after %s: accept queues are asked for though nothing came", step.do)
		}
	}
	// Without traffic what was seen stays fresh, though there is no credit to look again.
	s.spaces.credit, s.spaces.cfg.Connections = -time.Hour, 1e-9
	for range 4 {
		s.look(true)
	}
	s.now += 10 * time.Second
	if b, table := s.look(true); !of(t, b, table, "pod").Has.Has(foresail.SignalInFlight) {
		t.Error("what can't have changed is not told any more")
	}
	if _, err := io.WriteString(in, "dial\n"); err != nil || !lines.Scan() {
		t.Fatal("the process in the namespace failed")
	}
	s.look(true)
	s.now += 10 * time.Second
	if b, table := s.look(true); of(t, b, table, "pod").Has.Has(foresail.SignalInFlight) {
		t.Error("there was traffic, and what was before it is told as if it were now")
	}
}

func TestTrafficOf(t *testing.T) {
	a, b := trafficOf([]byte("lo: 1")), trafficOf([]byte("lo: 2"))
	if a == 0 || b == 0 || a == b || a != trafficOf([]byte("lo: 1")) {
		t.Error(a, b)
	}
	if trafficOf(nil) != 0 || trafficOf(make([]byte, 4000)) != 0 {
		t.Error("nothing, and what may not be all, tell nothing")
	}
}
