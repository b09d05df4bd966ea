package exemplar

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"

	"foresail.dev/telemetry/store/seal"
)

// closeFile ends a file that was being written, and compresses it: the compressed one is complete before it gets its name,
// and only then does the plain one go.
func (s *Store) closeFile(w *writing) error {
	if err := w.end(); err != nil {
		return err
	}
	delete(s.open, w.app)
	return s.compress(w.file)
}

func (s *Store) compress(f file) error {
	to := f
	switch s.limits.Compress {
	case "gzip":
		to.ending = gzipped
	case "zstd":
		to.ending = zstded
	default:
		return nil
	}
	if f.sealed() {
		to.ending += sealed
	}
	size, err := s.compressFile(&f, &to)
	if err != nil {
		return err
	}
	to.size = size
	s.setSize(&to)
	return os.Remove(f.path(s.dir))
}

func (s *Store) compressFile(from, to *file) (size int64, err error) {
	path := to.path(s.dir)
	out, err := os.Create(path + partial)
	if err != nil {
		return 0, err
	}
	err = errors.Join(s.compressTo(out, from, to), s.force(out), out.Close())
	if err == nil {
		err = os.Rename(path+partial, path)
	}
	if err != nil {
		return 0, errors.Join(err, os.Remove(path+partial))
	}
	info, err := os.Stat(path)
	if err != nil {
		return 0, err
	}
	return info.Size(), s.forceDir(filepath.Dir(path))
}

// compressTo writes the lines of a file, compressed, and sealed where they were.
func (s *Store) compressTo(out io.Writer, from, to *file) error {
	in, err := os.Open(from.path(s.dir))
	if err != nil {
		return err
	}
	defer in.Close()
	var closers []io.Closer
	if from.sealed() {
		w, _, err := seal.NewWriter(out, s.limits.Key, to.under(), seal.Marks{})
		if err != nil {
			return err
		}
		out, closers = w, append(closers, w)
	}
	var z io.WriteCloser = gzip.NewWriter(out)
	if s.limits.Compress == "zstd" {
		if z, err = zstd.NewWriter(out, zstd.WithEncoderConcurrency(1)); err != nil {
			return err
		}
	}
	if from.sealed() {
		err = seal.ReadJournal(in, s.limits.Key, from.under(), func(line []byte) error { _, err := z.Write(line); return err })
	} else {
		_, err = io.Copy(z, in)
	}
	for _, c := range append([]io.Closer{z}, closers...) {
		err = errors.Join(err, c.Close())
	}
	return err
}

// recover puts in order what was there: what is not complete goes, torn lines are cut off, and of each application the
// last plain file is gone on with.
func (s *Store) recover() error {
	files, twice, err := list(s.dir)
	if err != nil {
		return err
	}
	for i := range twice {
		if err := os.Remove(twice[i].path(s.dir)); err != nil {
			return err
		}
	}
	if err := removePartial(s.dir); err != nil {
		return err
	}
	if files, err = s.unborn(files); err != nil {
		return err
	}
	last := map[string]int{}
	for i := range files {
		f := &files[i]
		switch {
		case f.sealed() && s.limits.Key.IsZero():
			return ErrSealed
		case !f.sealed() && !s.limits.Key.IsZero():
			return ErrPlain
		case f.growing():
			last[f.app] = i
		}
	}
	s.files = files
	for i := range files {
		if !files[i].growing() {
			continue
		}
		w := &writing{file: files[i]}
		torn, err := s.resume(w)
		if err != nil {
			return err
		}
		if torn {
			s.stats.Torn++
		}
		s.setSize(&w.file)
		if last[w.app] == i {
			s.open[w.app] = w
		} else if err := s.closeFile(w); err != nil {
			return err
		}
	}
	if n := len(files); n > 0 { // the newest trace is somewhere in the last hour
		s.newest = files[n-1].hour.Add(time.Hour - time.Minute)
	}
	return s.prune()
}

// unborn removes encrypted files that a crash came to before they had a header. Nothing was acknowledged in them.
func (s *Store) unborn(files []file) ([]file, error) {
	var errs []error
	kept := slices.DeleteFunc(files, func(f file) bool {
		gone := f.sealed() && f.growing() && f.size < seal.HeaderSize
		if gone {
			s.stats.Torn++
			errs = append(errs, os.Remove(f.path(s.dir)))
		}
		return gone
	})
	return kept, errors.Join(errs...)
}

// resume opens a file that grows to go on with it, and cuts off what is torn.
func (s *Store) resume(w *writing) (torn bool, err error) {
	path := w.path(s.dir)
	if !w.sealed() {
		if torn, err = s.cutTorn(path, &w.size); err == nil {
			w.f, err = os.OpenFile(path, os.O_WRONLY, 0)
		}
		return torn, err
	}
	var lost int64
	w.j, lost, err = seal.OpenJournal(path, s.limits.Key, w.under(), func([]byte) error { return nil })
	if err == nil {
		w.size = w.j.Size()
	}
	return lost > 0, err
}

func removePartial(dir string) error {
	found, err := filepath.Glob(filepath.Join(globEscape(dir), "*", "*"+partial))
	for _, f := range found {
		err = errors.Join(err, os.Remove(f))
	}
	return err
}

func globEscape(s string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(s)
}

// cutTorn cuts off a last line that has no end.
func (s *Store) cutTorn(path string, size *int64) (torn bool, err error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	end := *size
	buf := make([]byte, 64<<10)
	for end > 0 {
		from := max(end-int64(len(buf)), 0)
		part := buf[:end-from]
		if _, err := f.ReadAt(part, from); err != nil && err != io.EOF {
			return false, err
		}
		if at := bytes.LastIndexByte(part, '\n'); at >= 0 {
			end = from + int64(at) + 1
			break
		}
		end = from
	}
	if end == *size {
		return false, nil
	}
	*size = end
	return true, errors.Join(f.Truncate(end), s.force(f))
}
