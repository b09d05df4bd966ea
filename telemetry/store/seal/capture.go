package seal

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// scan lists the files of the work directory that are kept, by slash-separated path.
func (v *Vault) scan() (map[string]os.FileInfo, error) {
	out := map[string]os.FileInfo{}
	err := filepath.WalkDir(v.work.path, func(p string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // it went meanwhile
		}
		if err != nil || p == v.work.path {
			return err
		}
		rel, err := filepath.Rel(v.work.path, p)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		if rel == workLock || strings.HasSuffix(rel, ".tmp") || strings.Contains(d.Name(), ".tmp-for-") || v.o.Skip(rel) {
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if !d.Type().IsRegular() {
			return nil
		}
		fi, err := d.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil {
			out[rel] = fi
		}
		return err
	})
	return out, err
}

// capture puts into the journal what changed. Who works in the directory removes a file only once what takes its place is
// there. So what is gone is looked for first, and what is new after that: the journal then has what takes a file's place before
// it says that the file is gone.
func (v *Vault) capture() error {
	for range 10 {
		before, err := v.scan()
		if err != nil {
			return err
		}
		var gone []string
		for p := range v.known {
			if before[p] == nil {
				gone = append(gone, p)
			}
		}
		slices.Sort(gone)
		now := before
		if len(gone) > 0 {
			if now, err = v.scan(); err != nil {
				return err
			}
		}
		err = v.captureNew(now)
		if errors.Is(err, fs.ErrNotExist) {
			continue // something new is gone already, and what takes its place is newer
		}
		if err != nil {
			return err
		}
		for _, p := range gone {
			if now[p] != nil {
				continue
			}
			if err := v.journal.Append(encodeOp(op{kind: opRemove, path: p})); err != nil {
				return err
			}
			v.forget(p)
		}
		return nil
	}
	return errors.New("what is sealed changes faster than it can be read")
}

// forget takes a file out of what is known.
func (v *Vault) forget(path string) {
	if k := v.known[path]; k != nil && k.file != (ID{}) {
		delete(v.files, k.file)
		v.past = append(v.past, k.file)
	}
	delete(v.known, path)
}

func (v *Vault) captureNew(now map[string]os.FileInfo) error {
	paths := make([]string, 0, len(now))
	for p := range now {
		paths = append(paths, p)
	}
	slices.Sort(paths)
	for _, p := range paths {
		fi, k := now[p], v.known[p]
		var err error
		switch {
		case v.o.Grows(p):
			err = v.captureLog(p, fi, k)
		case k == nil || k.info == nil || !os.SameFile(k.info, fi) || k.info.Size() != fi.Size() || !k.info.ModTime().Equal(fi.ModTime()):
			err = v.captureFile(p)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// captureLog appends what a log has grown by. One that is another file now, or shorter, begins anew.
func (v *Vault) captureLog(path string, fi os.FileInfo, k *known) error {
	if k == nil || !os.SameFile(k.info, fi) || fi.Size() < k.size {
		if err := v.journal.Append(encodeOp(op{kind: opPut, path: path})); err != nil {
			return err
		}
		v.forget(path)
		k = &known{log: true, info: fi}
		v.known[path] = k
	}
	if fi.Size() == k.size {
		return nil
	}
	f, err := os.Open(filepath.Join(v.work.path, filepath.FromSlash(path)))
	if err != nil {
		return err
	}
	defer f.Close()
	for k.size < fi.Size() {
		b := make([]byte, min(piece, fi.Size()-k.size))
		if _, err := f.ReadAt(b, k.size); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		if err := v.journal.Append(encodeOp(op{kind: opAppend, path: path, at: uint64(k.size), data: b})); err != nil {
			return err
		}
		k.size += int64(len(b))
	}
	return nil
}

// captureFile seals a file anew: a small one in the journal, another in a file of its own.
func (v *Vault) captureFile(path string) error {
	f, err := os.Open(filepath.Join(v.work.path, filepath.FromSlash(path)))
	if err != nil {
		return err
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return err
	}
	k := &known{info: fi}
	o := op{kind: opPut, path: path}
	if fi.Size() <= small {
		if o.data, err = io.ReadAll(io.LimitReader(f, small+1)); err != nil {
			return err
		}
	} else {
		if k.file, err = v.sealFile(path, f); err != nil {
			return err
		}
		o = op{kind: opFile, path: path, file: k.file}
	}
	if err := v.journal.Append(encodeOp(o)); err != nil {
		return err
	}
	v.forget(path)
	v.known[path] = k
	if k.file != (ID{}) {
		v.files[k.file] = true
	}
	return nil
}

// sealFile writes a file of its own, named by its id, with where the journal was then.
func (v *Vault) sealFile(path string, f io.Reader) (ID, error) {
	tmp := filepath.Join(v.dir, filesDir, ".new")
	id, err := writeFile(tmp, v.key, path, f, Marks{v.gen, v.journal.Count()})
	if err == nil {
		err = os.Rename(tmp, v.filePath(id))
	}
	if err == nil {
		err = syncDir(filepath.Join(v.dir, filesDir))
	}
	return id, err
}

// rotate begins a new journal with what is there now, and lets go of the old ones. Where it fails the old one still holds on disk;
// the new one may too, so its number is not used again.
func (v *Vault) rotate() (err error) {
	old := v.journal
	v.last++
	path := filepath.Join(v.dir, journalName(v.last))
	j, err := CreateJournal(path, v.key, journalName(v.last), Marks{v.last})
	if err != nil {
		v.broken = err
		return err
	}
	v.journal, v.gen = j, v.last
	if err := v.base(); err != nil {
		v.broken = err
		if old != nil {
			err = errors.Join(err, old.Close())
		}
		return err
	}
	v.broken = nil
	if old != nil {
		_ = old.Close() // nothing of it is needed any more
	}
	gens, err := generations(v.dir)
	for _, g := range gens {
		if g < v.gen {
			err = errors.Join(err, os.Remove(filepath.Join(v.dir, journalName(g))))
		}
	}
	return err
}

// base writes all that is there to a new journal, and says at the end that it is all.
func (v *Vault) base() error {
	was := v.known
	v.known = map[string]*known{}
	for p, k := range was { // files that are sealed already stay as they are
		if k.file == (ID{}) || k.info == nil {
			continue
		}
		fi, err := os.Stat(filepath.Join(v.work.path, filepath.FromSlash(p)))
		if err != nil || !os.SameFile(fi, k.info) || fi.Size() != k.info.Size() || !fi.ModTime().Equal(k.info.ModTime()) {
			continue
		}
		if err := v.journal.Append(encodeOp(op{kind: opFile, path: p, file: k.file})); err != nil {
			v.known = was
			return err
		}
		v.known[p] = k
	}
	for p, k := range was {
		if v.known[p] == nil && k.file != (ID{}) {
			delete(v.files, k.file)
			v.past = append(v.past, k.file)
		}
	}
	if err := v.capture(); err != nil {
		return err
	}
	if err := v.journal.Append(encodeOp(op{kind: opBase})); err != nil {
		return err
	}
	if err := syncDir(v.dir); err != nil {
		return err
	}
	return v.force()
}
