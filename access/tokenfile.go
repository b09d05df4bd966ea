package access

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// ErrNoEntry says that a token file has no entry of that name.
var ErrNoEntry = errors.New("no such entry")

// ReadEntries reads a token file, which must be its owner's alone.
func ReadEntries(path string) ([]Entry, error) {
	b, err := readPrivate(path)
	if err != nil {
		return nil, fmt.Errorf("token file: %w", err)
	}
	es, err := ParseEntries(b)
	if err != nil {
		return nil, fmt.Errorf("token file %s: %w", path, err)
	}
	return es, nil
}

// AddEntry appends an entry to a token file, and makes the file with mode 0600 where there is none. A name that is taken is refused.
func AddEntry(path string, e Entry) error {
	if err := e.check(); err != nil {
		return err
	}
	return change(path, os.O_CREATE, func(b []byte) ([]byte, error) {
		es, err := ParseEntries(b)
		if err != nil {
			return nil, err
		}
		for _, o := range es {
			if o.Name == e.Name {
				return nil, fmt.Errorf("there is already an entry %s: choose another name, or revoke that one first", e.Name)
			}
		}
		if len(es) == maxEntries {
			return nil, fmt.Errorf("there are %d entries, which is the limit: revoke some", maxEntries)
		}
		if len(b) > 0 && !bytes.HasSuffix(b, []byte("\n")) {
			b = append(b, '\n')
		}
		return append(b, e.String()+"\n"...), nil
	})
}

// RemoveEntry takes an entry out of a token file and leaves every other line as it is.
func RemoveEntry(path, name string) error {
	return change(path, 0, func(b []byte) ([]byte, error) {
		if _, err := ParseEntries(b); err != nil {
			return nil, err
		}
		var out []byte
		found := false
		for line := range strings.Lines(string(b)) {
			if f := strings.Fields(line); len(f) > 0 && f[0] == name {
				found = true
				continue
			}
			out = append(out, line...)
		}
		if !found {
			return nil, fmt.Errorf("%w: %s", ErrNoEntry, short(name))
		}
		return out, nil
	})
}

// change rewrites a file whole: who reads it meanwhile sees the old or the new, and two changes don't lose each other.
func change(path string, flag int, edit func([]byte) ([]byte, error)) error {
	f, err := lock(path, flag)
	if err != nil {
		return fmt.Errorf("token file: %w", err)
	}
	defer f.Close() // unlocks
	b, err := readPrivate(path)
	if err != nil {
		return fmt.Errorf("token file: %w", err)
	}
	if b, err = edit(b); err != nil {
		return fmt.Errorf("token file %s: %w", path, err)
	}
	return replace(path, b)
}

// lock opens a file and holds it against other changes. The file that was waited for may have been replaced meanwhile;
// then it is the new one's turn.
func lock(path string, flag int) (*os.File, error) {
	for {
		f, err := os.OpenFile(path, os.O_RDWR|flag, 0o600)
		if err != nil {
			return nil, err
		}
		if err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
			f.Close()
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
		held, err := f.Stat()
		if err != nil {
			f.Close()
			return nil, err
		}
		now, err := os.Stat(path)
		if err == nil && os.SameFile(held, now) {
			return f, nil
		}
		f.Close()
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
}

func replace(path string, b []byte) (err error) {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), ".tokens-*") // mode 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(tmp.Name())
		}
	}()
	if _, err = tmp.Write(b); err == nil {
		err = tmp.Sync()
	}
	if cerr := tmp.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	return err
}
