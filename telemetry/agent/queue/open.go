package queue

import (
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// dial makes a sock_diag socket in the namespace that a path names; empty: this process's own. It is a bare descriptor, which the runtime's
// poller does not know: answers are there when a question was sent, and waking the poller for each would cost more than they do.
func dial(path string) (fd int, err error) {
	if path == "" {
		return socket()
	}
	to, err := os.Open(path)
	if err != nil {
		return -1, err
	}
	defer to.Close()
	done := make(chan struct{})
	go func() { // on a thread that no other goroutine runs on meanwhile
		defer close(done)
		runtime.LockOSThread()
		home, herr := os.Open("/proc/thread-self/ns/net")
		if herr != nil {
			err = herr
			return
		}
		defer home.Close()
		if err = unix.Setns(int(to.Fd()), unix.CLONE_NEWNET); err != nil {
			runtime.UnlockOSThread()
			return
		}
		fd, err = socket()
		if unix.Setns(int(home.Fd()), unix.CLONE_NEWNET) == nil {
			runtime.UnlockOSThread()
		} // else it stays locked, and the runtime throws the thread away
	}()
	<-done
	if err != nil {
		return -1, fmt.Errorf("network namespace %s: %w", path, err)
	}
	return fd, nil
}

func socket() (int, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_SOCK_DIAG)
	if err != nil {
		return -1, fmt.Errorf("socket queues: %w", err)
	}
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		_ = unix.Close(fd)
		return -1, fmt.Errorf("socket queues: %w", err)
	}
	return fd, nil
}
