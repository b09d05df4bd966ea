package cgroup

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Bounds of a walk.
const (
	maxDepth = 16
	maxDirs  = 20_000
)

// Tree finds the groups below a mount point and notices when groups come and go. It is used by one goroutine at a time.
type Tree struct {
	root    string
	notify  int // descriptor of inotify; -1: the tree is walked at each look
	watches map[int]string
	watched map[string]int
	dirty   bool
	buf     [4096]byte
}

// NewTree watches a hierarchy by its mount point.
func NewTree(root string) *Tree {
	t := &Tree{root: root, notify: -1, watches: map[int]string{}, watched: map[string]int{}, dirty: true}
	if fd, err := unix.InotifyInit1(unix.IN_NONBLOCK | unix.IN_CLOEXEC); err == nil {
		t.notify = fd
	}
	return t
}

// Close ends the watching.
func (t *Tree) Close() {
	if t.notify >= 0 {
		_ = unix.Close(t.notify)
		t.notify = -1
	}
}

// Changed tells whether groups may have come or gone since the last walk.
func (t *Tree) Changed() bool {
	if t.notify < 0 {
		return true
	}
	for {
		n, err := unix.Read(t.notify, t.buf[:])
		if n > 0 {
			t.dirty = true // which directory does not matter: all are walked
			continue
		}
		if err == unix.EINTR {
			continue
		}
		return t.dirty
	}
}

// Walk calls each with every group's path ("/" is the root), parents first. It goes below a group where each returns true.
func (t *Tree) Walk(each func(path string) (below bool)) error {
	t.dirty = false
	seen := map[string]bool{}
	dirs := 0
	var walk func(path string, depth int) error
	walk = func(path string, depth int) error {
		if dirs++; dirs > maxDirs {
			return errors.New("more than 20000 control groups: the rest is not looked at")
		}
		t.watch(path, seen) // before it is read, so that nothing is missed
		entries, err := os.ReadDir(filepath.Join(t.root, path))
		if errors.Is(err, fs.ErrNotExist) {
			return nil // it has gone meanwhile
		}
		if err != nil {
			return err
		}
		for _, e := range entries {
			if !e.IsDir() {
				continue
			}
			if child := filepath.Join(path, e.Name()); each(child) && depth < maxDepth {
				if err := walk(child, depth+1); err != nil {
					return err
				}
			}
		}
		return nil
	}
	err := walk("/", 0)
	for path, id := range t.watched {
		if !seen[path] {
			_, _ = unix.InotifyRmWatch(t.notify, uint32(id)) // the kernel has dropped it where the directory is gone
			delete(t.watched, path)
			delete(t.watches, id)
		}
	}
	return err
}

// watch has the kernel tell of directories made and removed. Where it can't, the tree is walked at each look.
func (t *Tree) watch(path string, seen map[string]bool) {
	if t.notify < 0 {
		return
	}
	seen[path] = true
	id, err := unix.InotifyAddWatch(t.notify, filepath.Join(t.root, path), unix.IN_CREATE|unix.IN_DELETE|unix.IN_MOVE|unix.IN_ONLYDIR)
	if err != nil {
		if !errors.Is(err, unix.ENOENT) {
			t.Close()
		}
		return
	}
	if old, ok := t.watches[id]; ok && old != path {
		delete(t.watched, old)
	}
	t.watches[id], t.watched[path] = path, id
}
