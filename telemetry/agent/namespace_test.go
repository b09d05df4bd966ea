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

// apart is a process in a network namespace of its own: three connections wait at a socket that it listens on, one of
// two that it has accepted has unread bytes, and a request on the other was answered. When it is told to, it sends
// frames over a pair of virtual interfaces.
func apart() error {
	if err := up("lo"); err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	var clients, served []net.Conn
	for i := range 5 {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			return err
		}
		clients = append(clients, c)
		if i < 2 {
			s, err := l.Accept()
			if err != nil {
				return err
			}
			served = append(served, s)
		}
	}
	b := make([]byte, 100)
	_, e1 := clients[0].Write(b[:70])
	_, e2 := clients[1].Write(b[:5])
	_, e3 := io.ReadFull(served[1], b[:5])
	time.Sleep(30 * time.Millisecond) // some ticks of the kernel's clock
	_, e4 := served[1].Write(b[:5])
	if err := errors.Join(e1, e2, e3, e4); err != nil {
		return err
	}
	if err := exec.Command("ip", "link", "add", "v0", "type", "veth", "peer", "name", "v1").Run(); err != nil {
		fmt.Println("ready without interfaces")
	} else if err := errors.Join(up("v0"), up("v1")); err != nil {
		return err
	} else {
		fmt.Println("ready")
	}
	in := bufio.NewReader(os.Stdin)
	for {
		if _, err := in.ReadString('\n'); err != nil {
			return nil // the test is over
		}
		if err := send("v0", 10, 1000); err != nil {
			return err
		}
		fmt.Println("sent")
	}
}

func up(name string) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	r, err := unix.NewIfreq(name)
	if err != nil {
		return err
	}
	r.SetUint16(unix.IFF_UP)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, r)
}

// send sends frames that nobody waits for.
func send(name string, n, size int) error {
	i, err := net.InterfaceByName(name)
	if err != nil {
		return err
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	frame := make([]byte, size)
	copy(frame, "\xff\xff\xff\xff\xff\xff\x02\x00\x00\x00\x00\x01\x88\xb5") // to all, of an experimental protocol
	for range n {
		if err := unix.Sendto(fd, frame, 0, &unix.SockaddrLinklayer{Ifindex: i.Index}); err != nil {
			return err
		}
	}
	return nil
}

// A container with a network of its own, as pods have: its queues are read from outside, through its namespace, and its
// network is its own.
func TestAContainerInANamespaceOfItsOwn(t *testing.T) {
	g := newGroups(t)
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), "AGENT_TEST_APART=1")
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
	interfaces := lines.Text() == "ready"
	path, _ := g.child("pod-0")
	g.join(path, cmd.Process.Pid)
	g.child("host-1", "sleep", "60")
	s := &looker{Sampler: g.sampler(1)}
	for range 3 {
		s.look(true)
	}
	b, table := s.look(true)
	pod := of(t, b, table, "pod")
	want := foresail.SignalQueue | foresail.SignalInFlight | foresail.SignalRetransmits
	if v := pod.Value; !pod.Has.Has(want) || v[wire.Backlog] != 3 || v[wire.Unread] != 1 || v[wire.UnreadBytes] != 70 || v[wire.Busy] != 1 {
		t.Errorf("%v %+v", pod.Has, v)
	}
	if host := of(t, b, table, "host"); host.Has.Has(foresail.SignalNetwork) || host.Has.Has(foresail.SignalQueue) {
		t.Errorf("a container in the node's own network has one: %v", host.Has)
	}
	if !interfaces {
		t.Log("no pair of virtual interfaces can be made here: bytes are not looked at")
		return
	}
	if _, err := io.WriteString(in, "go\n"); err != nil || !lines.Scan() || !strings.HasPrefix(lines.Text(), "sent") {
		t.Fatal("the process in the namespace sent nothing")
	}
	b, table = s.look(true)
	if pod = of(t, b, table, "pod"); !pod.Has.Has(foresail.SignalNetwork) || pod.Value[wire.NetIn] < 10_000 || pod.Value[wire.NetOut] < 10_000 {
		t.Errorf("10 frames of 1000 bytes: %d in, %d out", pod.Value[wire.NetIn], pod.Value[wire.NetOut])
	}
}

func of(t *testing.T, b wire.Beat, table *wire.Table, service string) wire.Sample {
	t.Helper()
	for _, c := range b.Containers {
		if table.Containers[c.Index].Service == service {
			return c
		}
	}
	t.Fatalf("no %s among %d containers", service, len(b.Containers))
	return wire.Sample{}
}
