package seal

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// restore fills the work directory with what was sealed, and begins a new journal.
func (v *Vault) restore() error {
	mark, marked, err := v.readMark() // first: who writes meanwhile only gets further
	if err != nil {
		return err
	}
	gens, err := generations(v.dir)
	if err != nil {
		return err
	}
	s, gen, err := v.replayNewest(gens)
	if err != nil {
		return err
	}
	switch {
	case gen == 0 && !marked && v.o.ReadOnly:
		return errors.New("nothing is sealed here")
	case gen == 0 && !marked && !v.hasFiles(): // new, or a crash came before anything was acknowledged
	case gen == 0:
		return fmt.Errorf("%w: no journal has all that it began with", ErrRolledBack)
	case !marked && gen > 1: // each journal's beginning is marked before the one before it goes
		return fmt.Errorf("%s: %w: it is missing", markName, ErrRolledBack)
	case gen < mark[0] || gen == mark[0] && s.count < mark[1]:
		return fmt.Errorf("%s: %w: it has %d records, and had %d of %s when it was last forced to disk",
			journalName(gen), ErrRolledBack, s.count, mark[1], journalName(mark[0]))
	}
	if err := v.fetch(gen, s.count); err != nil {
		return err
	}
	v.gen = gen
	if n := len(gens); n > 0 {
		v.last = gens[n-1]
	}
	if v.o.ReadOnly {
		return nil
	}
	if err := tidy(v.dir); err != nil {
		return err
	}
	return v.rotate() // also so that nothing is ever appended behind a torn end
}

// tidy removes what a crash left of files that were not written to their end.
func tidy(dir string) error {
	left, err := filepath.Glob(filepath.Join(dir, ".sealing-*"))
	for _, p := range left {
		err = errors.Join(err, os.Remove(p))
	}
	return err
}

// readMark is how far the journal was when it was last forced to disk; a vault that was never has none.
func (v *Vault) readMark() (Marks, bool, error) {
	_, m, err := ReadFile(filepath.Join(v.dir, markName), v.key, markName)
	if errors.Is(err, fs.ErrNotExist) {
		return Marks{}, false, nil
	}
	return m, true, err
}

func (v *Vault) hasFiles() bool {
	list, _ := os.ReadDir(filepath.Join(v.dir, filesDir))
	return len(list) > 0
}

// replayNewest plays the newest journal that was begun to the end of its base; 0: there is none. One that wasn't is what a crash
// left, and the one before it still holds.
func (v *Vault) replayNewest(gens []uint64) (journalState, uint64, error) {
	for i := len(gens) - 1; i >= 0; i-- {
		s, whole, err := v.replay(gens[i])
		if err != nil || whole {
			return s, gens[i], err
		}
		v.known = map[string]*known{}
		if err := v.work.empty(); err != nil {
			return s, 0, err
		}
	}
	return journalState{}, 0, nil
}

// replay does again in the work directory what a journal says; files of their own are only noted.
func (v *Vault) replay(gen uint64) (s journalState, whole bool, err error) {
	name := journalName(gen)
	f, err := os.Open(filepath.Join(v.dir, name))
	if err != nil {
		return s, false, err
	}
	defer f.Close()
	if fi, err := f.Stat(); err != nil || fi.Size() < headerSize {
		return s, false, err // begun, and no more
	}
	logs := map[string]*os.File{}
	defer func() {
		for _, l := range logs {
			err = errors.Join(err, l.Close())
		}
	}()
	s, err = readJournal(f, v.key, name, func(b []byte) error {
		o, err := decodeOp(b)
		if err != nil {
			return err
		}
		if o.kind == opBase {
			whole = true
			return nil
		}
		return v.play(o, logs)
	})
	if err == nil {
		if fi, serr := f.Stat(); serr == nil && fi.Size() > s.size && whole && !v.o.ReadOnly {
			v.o.Trouble(fmt.Errorf("%s: %s ended within a record: %d bytes that were not acknowledged are left out", v.dir, name, fi.Size()-s.size))
		}
	}
	return s, whole, err
}

func (v *Vault) play(o op, logs map[string]*os.File) error {
	path := filepath.Join(v.work.path, filepath.FromSlash(o.path))
	closeLog := func() error {
		l := logs[o.path]
		delete(logs, o.path)
		if l == nil {
			return nil
		}
		return l.Close()
	}
	switch o.kind {
	case opPut:
		if err := errors.Join(closeLog(), os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, o.data, 0o600)); err != nil {
			return err
		}
		v.known[o.path] = &known{log: v.o.Grows(o.path), size: int64(len(o.data))}
	case opAppend:
		k := v.known[o.path]
		if k == nil || !k.log || uint64(k.size) != o.at {
			return fmt.Errorf("%s: %w: its pieces don't join", o.path, ErrChanged)
		}
		l := logs[o.path]
		if l == nil {
			var err error
			if l, err = os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0); err != nil {
				return err
			}
			logs[o.path] = l
		}
		if _, err := l.Write(o.data); err != nil {
			return err
		}
		k.size += int64(len(o.data))
	case opFile:
		if err := closeLog(); err != nil {
			return err
		}
		v.known[o.path] = &known{file: o.file}
	case opRemove:
		if err := closeLog(); err != nil {
			return err
		}
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		_ = os.Remove(filepath.Dir(path)) // where that was the last of it; the work directory itself is never empty
		delete(v.known, o.path)
	}
	return nil
}

// fetch opens the files that the journal refers to, and looks at those that it doesn't: one that was sealed when the journal was
// longer than it is now tells that the journal was rolled back; others are what a crash left.
func (v *Vault) fetch(gen, count uint64) error {
	for p, k := range v.known {
		if k.file != (ID{}) {
			if err := v.fetchFile(p, k.file); err != nil {
				return err
			}
			v.files[k.file] = true
		}
		fi, err := os.Stat(filepath.Join(v.work.path, filepath.FromSlash(p)))
		if err != nil {
			return err
		}
		k.info = fi
	}
	if v.o.ReadOnly {
		return nil
	}
	list, err := os.ReadDir(filepath.Join(v.dir, filesDir))
	if err != nil {
		return err
	}
	for _, d := range list {
		path := filepath.Join(v.dir, filesDir, d.Name())
		if strings.HasPrefix(d.Name(), ".") {
			if err := os.Remove(path); err != nil {
				return err
			}
			continue
		}
		if v.refersTo(d.Name()) {
			continue
		}
		m, err := marksOf(path, v.key)
		if err != nil {
			return err
		}
		if m[0] > gen || m[0] == gen && m[1] > count {
			return fmt.Errorf("%s: %w: %s was sealed behind record %d of %s", journalName(gen), ErrRolledBack, d.Name(), m[1], journalName(m[0]))
		}
		if err := os.Remove(path); err != nil {
			return err
		}
	}
	return nil
}

func (v *Vault) refersTo(name string) bool {
	for id := range v.files {
		if id.String() == name {
			return true
		}
	}
	return false
}

func (v *Vault) fetchFile(path string, id ID) (err error) {
	f, err := os.Open(v.filePath(id))
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s: %w: %s/%s is missing", path, ErrRolledBack, filesDir, id)
	}
	if err != nil {
		return err
	}
	defer f.Close()
	r, got, _, err := NewReader(f, v.key, path)
	if err != nil {
		return err
	}
	if got != id {
		return fmt.Errorf("%s: %w: %s/%s holds file %s", path, ErrSwapped, filesDir, id, got)
	}
	to := filepath.Join(v.work.path, filepath.FromSlash(path))
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return err
	}
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, r)
	return errors.Join(err, out.Close())
}

// marksOf reads the marks of a sealed file whose name is not known. They are not proved by that; a wrong key still is told.
func marksOf(path string, k Key) (Marks, error) {
	f, err := os.Open(path)
	if err != nil {
		return Marks{}, err
	}
	defer f.Close()
	h, err := readHeader(f, k, kindFile, "")
	if errors.Is(err, ErrSwapped) { // under the name that isn't known
		err = nil
	}
	return h.marks, err
}
