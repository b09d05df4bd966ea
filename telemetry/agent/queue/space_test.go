package queue

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// inSpace runs a test in a network namespace of its own, on a thread that ends with it, with its loopback up. It skips
// only where the kernel refuses one.
func inSpace(t *testing.T, test func(t *testing.T, space string)) {
	t.Helper()
	done := make(chan struct{})
	var refused error
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never unlocked: the thread is thrown away
		if err := unix.Unshare(unix.CLONE_NEWNET); errors.Is(err, unix.EPERM) || errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) {
			refused = err
			return
		} else if err != nil {
			t.Error(err)
			return
		}
		if err := loopbackUp(); err != nil {
			t.Error(err)
			return
		}
		test(t, fmt.Sprintf("/proc/%d/task/%d/ns/net", os.Getpid(), unix.Gettid()))
	}()
	<-done
	if refused != nil {
		t.Skipf("the kernel allows no network namespace: %v", refused)
	}
}

func loopbackUp() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	r, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	r.SetUint16(unix.IFF_UP)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, r)
}

// listen makes a socket that listens and is not accepted from, in the thread's namespace.
func listen(t *testing.T, backlog int, options ...int) (fd int, addr *unix.SockaddrInet4) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	for _, o := range options {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, o, 1); err != nil {
			t.Fatal(err)
		}
	}
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := unix.Listen(fd, backlog); err != nil {
		t.Fatal(err)
	}
	a, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	return fd, a.(*unix.SockaddrInet4)
}

// connect connects from the thread's namespace.
func connect(t *testing.T, to *unix.SockaddrInet4) int {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := unix.Connect(fd, to); err != nil {
		t.Fatal(err)
	}
	return fd
}

func write(t *testing.T, fd int, b string) {
	t.Helper()
	if _, err := unix.Write(fd, []byte(b)); err != nil {
		t.Fatal(err)
	}
}

func openSpace(t *testing.T, path string) *Space {
	t.Helper()
	s, err := OpenSpace(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// look claims every listening socket, reads all, and returns the one with an inode.
func look(t *testing.T, s *Space, fd int) Listener {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		t.Fatal(err)
	}
	if err := s.Discover(); err != nil {
		t.Fatal(err)
	}
	for i := range s.Listeners {
		s.Listeners[i].Owner = 0
	}
	if gone, err := s.Backlogs(); err != nil || gone {
		t.Fatalf("backlogs: gone %v, %v", gone, err)
	}
	if err := s.Connections(); err != nil {
		t.Fatal(err)
	}
	for _, l := range s.Listeners {
		if l.Inode == uint32(st.Ino) {
			return l
		}
	}
	t.Fatalf("the listening socket is not among %d", len(s.Listeners))
	return Listener{}
}

// Connections that nobody accepts wait, up to the limit; those that are accepted and not read from count as unread.
func TestQueuesOfRealSockets(t *testing.T) {
	inSpace(t, func(t *testing.T, path string) {
		fd, addr := listen(t, 16)
		s := openSpace(t, path)
		var clients []int
		for range 5 {
			clients = append(clients, connect(t, addr))
		}
		write(t, clients[4], "of one that is not accepted: in the backlog alone")
		if l := look(t, s, fd); l.Backlog != 5 || l.Limit != 16 || l.Accepted != 0 || l.Unread != 0 || l.Busy != 0 {
			t.Fatalf("five wait: %+v", l)
		}
		var accepted []int
		for range 3 {
			c, _, err := unix.Accept(fd)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { unix.Close(c) })
			accepted = append(accepted, c)
		}
		write(t, clients[0], "12345")
		write(t, clients[1], "1234567")
		if l := look(t, s, fd); l.Backlog != 2 || l.Accepted != 3 || l.Unread != 2 || l.Bytes != 12 || l.Busy != 2 {
			t.Fatalf("two of three accepted ones have unread bytes: %+v", l)
		}
		buf := make([]byte, 64)
		if n, err := unix.Read(accepted[0], buf); n != 5 || err != nil {
			t.Fatal(n, err)
		}
		if l := look(t, s, fd); l.Unread != 1 || l.Busy != 2 {
			t.Fatalf("a request that was read is still in flight: %+v", l)
		}
		write(t, accepted[0], "answer")
		if l := look(t, s, fd); l.Unread != 1 || l.Busy != 1 {
			t.Fatalf("one was answered: %+v", l)
		}
	})
}

// Listening sockets that share an address are told apart.
func TestSharedAddresses(t *testing.T) {
	inSpace(t, func(t *testing.T, path string) {
		one, addr := listen(t, 8, unix.SO_REUSEPORT)
		two, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { unix.Close(two) })
		if err := errors.Join(unix.SetsockoptInt(two, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1), unix.Bind(two, addr), unix.Listen(two, 8)); err != nil {
			t.Fatal(err)
		}
		s := openSpace(t, path)
		const n = 8
		for range n {
			connect(t, addr)
		}
		a, b := look(t, s, one), look(t, s, two)
		if a.Backlog+b.Backlog != n || !a.shared || !b.shared {
			t.Errorf("%d and %d wait of %d", a.Backlog, b.Backlog, n)
		}
	})
}

// A socket that is closed is noticed; what another namespace has is not seen.
func TestGoneAndElsewhere(t *testing.T) {
	inSpace(t, func(t *testing.T, path string) {
		s := openSpace(t, path)
		if len(s.Listeners) != 0 {
			t.Fatalf("%d listening sockets in a new namespace", len(s.Listeners))
		}
		fd, _ := listen(t, 8)
		look(t, s, fd)
		unix.Close(fd)
		if gone, err := s.Backlogs(); err != nil || !gone {
			t.Errorf("closed: gone %v, %v", gone, err)
		}
		if err := s.Discover(); err != nil || len(s.Listeners) != 0 {
			t.Errorf("%d listening sockets left, %v", len(s.Listeners), err)
		}
	})
}

// An HTTP server of whatever kind: requests that its handlers work on are in flight, idle connections are not.
func TestInFlightOfAnHTTPServer(t *testing.T) {
	l, err := net.Listen("tcp", "localhost:0")
	if err != nil {
		t.Fatal(err)
	}
	hold, entered := make(chan struct{}), make(chan struct{}, 16)
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			entered <- struct{}{}
			<-hold
		}
		io.WriteString(w, "done")
	})}
	go server.Serve(l)
	defer server.Close()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16}}
	get := func(path string) {
		r, err := client.Get("http://" + l.Addr().String() + path)
		if err != nil {
			t.Error(err)
			return
		}
		io.Copy(io.Discard, r.Body)
		r.Body.Close()
	}
	f, err := l.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	s := openSpace(t, "")
	var all sync.WaitGroup
	for range 5 {
		all.Go(func() { get("/slow") })
		<-entered
	}
	if got := look(t, s, int(f.Fd())); got.Busy != 5 || got.Backlog != 0 {
		t.Errorf("five in flight: %+v", got)
	}
	close(hold)
	all.Wait()
	deadline := time.Now().Add(5 * time.Second)
	for got := look(t, s, int(f.Fd())); got.Busy != 0 || got.Accepted == 0; got = look(t, s, int(f.Fd())) {
		if time.Now().After(deadline) {
			t.Fatalf("all were answered: %+v", got)
		}
	}
}

// A beat's question makes no garbage.
func TestBacklogsAllocateNothing(t *testing.T) {
	fd, _ := listen(t, 8)
	s := openSpace(t, "")
	look(t, s, fd)
	if n := testing.AllocsPerRun(50, func() {
		if _, err := s.Backlogs(); err != nil {
			t.Fatal(err)
		}
		if err := s.Connections(); err != nil {
			t.Fatal(err)
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

// What the kernel says is not trusted either.
func FuzzMessage(f *testing.F) {
	f.Add(make([]byte, 16))
	f.Add(append([]byte{88, 0, 0, 0, 20, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0}, make([]byte, 72)...))
	f.Fuzz(func(t *testing.T, b []byte) {
		var m message
		for n := 0; len(b) > 0; n++ {
			rest, ok := m.next(b)
			if !ok {
				return
			}
			m.busy()
			if len(rest) >= len(b) {
				t.Fatal("no progress")
			}
			b = rest
		}
	})
}

// Listening sockets asked one by one, as each beat does.
func BenchmarkBacklogs(b *testing.B) {
	s, err := OpenSpace("")
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	var all []net.Listener
	for range 64 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			b.Fatal(err)
		}
		all = append(all, l)
	}
	if err := s.Discover(); err != nil {
		b.Fatal(err)
	}
	for i := range s.Listeners {
		s.Listeners[i].Owner = 0
	}
	b.ReportAllocs()
	before := cpuTime()
	for b.Loop() {
		if _, err := s.Backlogs(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64((cpuTime()-before).Nanoseconds())/float64(b.N)/float64(len(s.Listeners)), "cpu-ns/socket")
	for _, l := range all {
		l.Close()
	}
}

// All connections of all namespaces are walked through for those of one, of one address family.
func BenchmarkConnections(b *testing.B) {
	s, err := OpenSpace("")
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	if err := s.Discover(); err != nil {
		b.Fatal(err)
	}
	for i := range s.Listeners {
		s.Listeners[i].family = unix.AF_INET // whoever else listens here
	}
	b.ReportAllocs()
	before := cpuTime()
	for b.Loop() {
		if err := s.Connections(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64((cpuTime()-before).Nanoseconds())/float64(b.N), "cpu-ns/op")
}

// cpuTime is what this process has used; the machine may be busy with other things.
func cpuTime() time.Duration {
	var u unix.Rusage
	_ = unix.Getrusage(unix.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
