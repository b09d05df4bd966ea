package cgroup

import (
	"encoding/binary"
	"errors"
	"fmt"
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

// Tree finds the groups below a mount point and notices when groups come and go. Only directories in which something
// came or went are read again. It is used by one goroutine at a time.
type Tree struct {
	root   string
	notify int // descriptor of inotify; -1: everything is read at each look
	dirs   map[string]*dir
	ids    map[int32]*dir // by inotify's number
	dirty  bool
	round  int // of walks
	buf    [4096]byte
}

// dir is a directory that was read.
type dir struct {
	path     string
	children []string // paths
	id       int32    // inotify's number; 0: none
	dirty    bool
	round    int // in which it was seen last
}

// NewTree watches a hierarchy by its mount point.
func NewTree(root string) *Tree {
	t := &Tree{root: root, notify: -1, dirs: map[string]*dir{}, ids: map[int32]*dir{}, dirty: true}
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
		if err == unix.EINTR {
			continue
		}
		if n <= 0 {
			return t.dirty
		}
		t.events(t.buf[:n])
	}
}

// events marks the directories in which something came or went. Where the kernel has lost count, that is all.
func (t *Tree) events(b []byte) {
	t.dirty = true
	for len(b) >= unix.SizeofInotifyEvent {
		id, mask := int32(binary.NativeEndian.Uint32(b)), binary.NativeEndian.Uint32(b[4:])
		b = b[min(unix.SizeofInotifyEvent+int(binary.NativeEndian.Uint32(b[12:])), len(b)):]
		if d := t.ids[id]; d != nil {
			d.dirty = true
		}
		if mask&unix.IN_Q_OVERFLOW != 0 {
			t.Forget()
		}
	}
}

// Forget has the next walk read everything again.
func (t *Tree) Forget() {
	t.dirty = true
	for _, d := range t.dirs {
		d.dirty = true
	}
}

// Walk calls each with every group's path ("/" is the root), parents first. It goes below a group where each returns true.
func (t *Tree) Walk(each func(path string) (below bool)) error {
	t.dirty = false
	t.round++
	if t.notify < 0 {
		t.Forget()
		t.dirty = false
	}
	n := 0
	err := t.walk("/", 0, &n, each)
	for path, d := range t.dirs {
		if d.round != t.round {
			delete(t.dirs, path)
			delete(t.ids, d.id)
			if t.notify >= 0 && d.id != 0 {
				_, _ = unix.InotifyRmWatch(t.notify, uint32(d.id)) // the kernel has dropped it where the directory is gone
			}
		}
	}
	return err
}

func (t *Tree) walk(path string, depth int, n *int, each func(path string) (below bool)) error {
	if *n++; *n > maxDirs {
		return fmt.Errorf("more than %d control groups: the rest is not looked at", maxDirs)
	}
	d := t.dirs[path]
	if d == nil {
		d = &dir{path: path, dirty: true}
		t.dirs[path] = d
	}
	d.round = t.round
	if d.dirty {
		if err := t.read(d); err != nil {
			return err
		}
	}
	for _, child := range d.children {
		if each(child) && depth < maxDepth {
			if err := t.walk(child, depth+1, n, each); err != nil {
				return err
			}
		}
	}
	return nil
}

// read lists a directory, and has the kernel tell of changes from before that on, so that nothing is missed.
func (t *Tree) read(d *dir) error {
	at := filepath.Join(t.root, d.path)
	if t.notify >= 0 {
		id, err := unix.InotifyAddWatch(t.notify, at, unix.IN_CREATE|unix.IN_DELETE|unix.IN_MOVE|unix.IN_ONLYDIR)
		switch {
		case err == nil:
			delete(t.ids, d.id)
			d.id = int32(id)
			t.ids[d.id] = d
		case !errors.Is(err, unix.ENOENT): // no more watches: everything is read from now on
			t.Close()
		}
	}
	entries, err := os.ReadDir(at)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil // it has gone meanwhile
	}
	if err != nil {
		return err
	}
	d.children = d.children[:0]
	for _, e := range entries {
		if e.IsDir() {
			d.children = append(d.children, filepath.Join(d.path, e.Name()))
		}
	}
	d.dirty = false
	return nil
}
