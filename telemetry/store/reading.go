package store

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/prometheus/prometheus/tsdb/wlog"

	"foresail.dev/telemetry/store/seal"
)

// OpenRead opens what a store holds now for reading, also while another process writes it, and changes nothing in it. What is
// appended later is not seen.
//
// It reads hard links to the store's files (the log's newest segments are copied), in a directory beside them that Close removes: a database whose log is torn must be mended to be
// read, and a running one deletes files.
func OpenRead(dir string, o Options) (*Store, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	if len(o.Key) > 0 || seal.IsVault(dir) {
		return openSealed(dir, o)
	}
	if _, err := readMeta(dir); err != nil {
		return nil, err
	}
	sweepSandboxes(dir)
	sandbox, err := os.MkdirTemp(dir, sandboxGlob)
	if errors.Is(err, os.ErrPermission) || errors.Is(err, syscall.EROFS) {
		sandbox, err = os.MkdirTemp("", "foresail-"+sandboxGlob)
	}
	if err != nil {
		return nil, err
	}
	s := &Store{dir: dir, disk: dir, sandbox: sandbox, options: o}
	for try := 0; ; try++ { // a file may go while it is linked, when blocks are compacted
		err = link(dir, sandbox)
		if err == nil || try == 3 || !errors.Is(err, os.ErrNotExist) {
			break
		}
		err = errors.Join(os.RemoveAll(sandbox), os.Mkdir(sandbox, 0o755))
	}
	if err == nil {
		err = s.openCopy()
	}
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(sandbox))
	}
	return s, nil
}

// openCopy opens what is in the sandbox.
func (s *Store) openCopy() error {
	s.options.Retention, s.options.Minutes, s.options.Size = math.MaxInt64/2, math.MaxInt64/2, 0 // nothing goes from a copy
	if err := s.open(s.sandbox, false); err != nil {
		return err
	}
	s.fine.db.DisableCompactions()
	s.minutes.db.DisableCompactions()
	return nil
}

// sweepSandboxes removes what readers left that ended early.
func sweepSandboxes(dir string) {
	old, _ := filepath.Glob(filepath.Join(dir, sandboxGlob))
	for _, d := range old {
		if st, err := os.Stat(d); err == nil && time.Since(st.ModTime()) > 24*time.Hour {
			_ = os.RemoveAll(d)
		}
	}
}

// link makes dst hold the same files as the store in src.
func link(src, dst string) error {
	for _, name := range []string{metaFile, appsDir, samplesDir, minutesDir} {
		from := filepath.Join(src, name)
		wal := filepath.Join(from, "wal")
		_, last, _ := wlog.Segments(wal) // none: nothing to mend
		err := filepath.WalkDir(from, func(p string, d os.DirEntry, err error) error {
			if err != nil {
				if p == from && errors.Is(err, os.ErrNotExist) {
					return nil
				}
				return err
			}
			rel, err := filepath.Rel(src, p)
			if err != nil {
				return err
			}
			to := filepath.Join(dst, rel)
			if d.IsDir() {
				return os.MkdirAll(to, 0o755)
			}
			if strings.Contains(rel, ".tmp") || !d.Type().IsRegular() { // being written
				return nil
			}
			// The reader may have to cut the newest segments; all others stay as they are.
			return linkFile(p, to, p == wlog.SegmentName(wal, last) || p == wlog.SegmentName(wal, last-1))
		})
		if err != nil {
			return fmt.Errorf("reading %s: %w", src, err)
		}
	}
	return nil
}

// linkFile links a file, or copies it where that can't be, or where the reader may have to mend it.
func linkFile(from, to string, mend bool) error {
	if !mend {
		err := os.Link(from, to)
		if err == nil || errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}
