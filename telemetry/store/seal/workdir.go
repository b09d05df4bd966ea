package seal

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// workLock is held by the process that a work directory belongs to, so that one whose process is gone is known by it. It is not kept.
const workLock = "lock"

// workDir is a private directory in memory.
type workDir struct {
	path string
	lock *os.File
}

// newWorkDir makes a directory that only this user can enter, after removing those of processes that were killed, whatever
// they worked on.
func newWorkDir(o *Options) (*workDir, error) {
	base, err := memory(o)
	if err != nil {
		return nil, err
	}
	prefix := fmt.Sprintf("foresail-%d-", os.Geteuid())
	sweep(base, prefix)
	for {
		path, err := os.MkdirTemp(base, prefix) // mode 0700
		if err != nil {
			return nil, err
		}
		w, err := lockDir(path)
		if w != nil || err != nil {
			return w, err
		}
	}
}

// lockDir takes a directory that was just made; nil where another process that starts now took it for a dead one's.
func lockDir(path string) (*workDir, error) {
	name := filepath.Join(path, workLock)
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(path))
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	held, err2 := f.Stat()
	now, err3 := os.Stat(name)
	if err != nil || err2 != nil || err3 != nil || !os.SameFile(held, now) {
		return nil, errors.Join(f.Close(), os.RemoveAll(path))
	}
	return &workDir{path, f}, nil
}

// sweep removes work directories of this user whose process is gone.
func sweep(base, prefix string) {
	list, _ := os.ReadDir(base)
	for _, d := range list {
		if !strings.HasPrefix(d.Name(), prefix) || !d.IsDir() {
			continue
		}
		path := filepath.Join(base, d.Name())
		f, err := os.OpenFile(filepath.Join(path, workLock), os.O_RDWR|unix.O_NOFOLLOW, 0)
		if err != nil {
			continue // another process is making or removing it
		}
		if unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil {
			os.RemoveAll(path)
		}
		f.Close()
	}
}

// memory is a directory on a file system without a disk.
func memory(o *Options) (string, error) {
	bases := []string{"/dev/shm", os.Getenv("XDG_RUNTIME_DIR")}
	if o.Memory != "" {
		bases = []string{o.Memory}
	}
	for _, b := range bases {
		if b == "" || !o.anywhere && !inMemory(b) {
			continue
		}
		if swap, _ := os.ReadFile("/proc/swaps"); strings.Count(string(swap), "\n") > 1 {
			o.Trouble(errors.New("this machine swaps, so what is sealed may be written to its swap space in the clear: turn swap off, or encrypt it"))
		}
		return b, nil
	}
	return "", fmt.Errorf("a sealed store is worked on in memory, and none of %s is a tmpfs: mount one and name it", strings.Join(bases, " and "))
}

// inMemory reports whether a directory is on tmpfs or ramfs.
func inMemory(dir string) bool {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return false
	}
	return st.Type == unix.TMPFS_MAGIC || st.Type == unix.RAMFS_MAGIC
}

// empty removes all but the lock.
func (w *workDir) empty() error {
	list, err := os.ReadDir(w.path)
	for _, d := range list {
		if d.Name() != workLock {
			err = errors.Join(err, os.RemoveAll(filepath.Join(w.path, d.Name())))
		}
	}
	return err
}

func (w *workDir) remove() error {
	return errors.Join(os.RemoveAll(w.path), w.lock.Close())
}
