package access

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// recheck is how long what was read counts as fresh: files are looked at no more often than this. Tests set it to nothing.
var recheck = time.Second

// maxFile is more than any file of certificates or tokens needs.
const maxFile = 4 << 20

// watched is what was read from files. It looks at them again when it is asked, at most once each recheck, so that
// nothing runs where nobody asks. Files that can't be read leave what was known.
type watched[T any] struct {
	paths []string
	read  func() (T, error)

	value   atomic.Pointer[T]
	due     atomic.Int64 // unix nanoseconds from which on the files are looked at again
	mu      sync.Mutex
	seen    []os.FileInfo
	trouble func(error) // told once for each change that can't be read; nil: nobody is
	now     func() time.Time
}

// open reads for the first time; an error then is the caller's.
func (w *watched[T]) open() error {
	if w.now == nil {
		w.now = time.Now
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.due.Store(w.now().Add(recheck).UnixNano())
	w.seen = look(w.paths)
	v, err := w.read()
	if err != nil {
		return err
	}
	w.value.Store(&v)
	return nil
}

// get is what the files say, as of a second ago at most.
func (w *watched[T]) get() *T {
	if now := w.now(); now.UnixNano() >= w.due.Load() && w.mu.TryLock() {
		w.due.Store(now.Add(recheck).UnixNano())
		err := w.refresh()
		tell := w.trouble
		w.mu.Unlock()
		if err != nil && tell != nil {
			tell(err)
		}
	}
	return w.value.Load()
}

// reload reads now, whenever the files were looked at last.
func (w *watched[T]) reload() {
	w.due.Store(0)
	w.get()
}

func (w *watched[T]) refresh() error {
	// Looked at before it is read: a change in between is then seen next time.
	now := look(w.paths)
	if same(w.seen, now) {
		return nil
	}
	w.seen = now
	v, err := w.read()
	if err != nil {
		return fmt.Errorf("what was read before stays in effect: %w", err)
	}
	w.value.Store(&v)
	return nil
}

func look(paths []string) []os.FileInfo {
	out := make([]os.FileInfo, len(paths))
	for i, p := range paths {
		if fi, err := os.Stat(p); err == nil {
			out[i] = fi
		}
	}
	return out
}

func same(a, b []os.FileInfo) bool {
	for i := range a {
		if (a[i] == nil) != (b[i] == nil) {
			return false
		}
		if a[i] == nil {
			continue
		}
		if !os.SameFile(a[i], b[i]) || a[i].Size() != b[i].Size() || !a[i].ModTime().Equal(b[i].ModTime()) || a[i].Mode() != b[i].Mode() {
			return false
		}
	}
	return true
}

// readPrivate reads a file that holds secrets. The mode is that of the open file, so it can't be another's by then.
func readPrivate(path string) ([]byte, error) { return read(path, private) }

// readPublic reads a file that anybody may know.
func readPublic(path string) ([]byte, error) {
	return read(path, func(string, os.FileInfo) error { return nil })
}

func read(path string, check func(string, os.FileInfo) error) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if err := check(path, fi); err != nil {
		return nil, err
	}
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	switch {
	case errors.Is(err, syscall.EISDIR):
		return nil, fmt.Errorf("%s is a folder: name the file", path)
	case err != nil:
		return nil, err
	case len(b) > maxFile:
		return nil, fmt.Errorf("%s is larger than %d bytes", path, maxFile)
	}
	return b, nil
}

// ownedByRoot reports whether root owns a file.
func ownedByRoot(fi os.FileInfo) bool {
	st, ok := fi.Sys().(*syscall.Stat_t)
	return ok && st.Uid == 0
}
