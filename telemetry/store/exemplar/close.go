package exemplar

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"
)

// closeFile ends a file that was being written, and compresses it: the compressed one is complete before it gets its name,
// and only then does the plain one go.
func (s *Store) closeFile(w *writing) error {
	if err := w.f.Close(); err != nil {
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
	size, err := s.compressFile(f.path(s.dir), to.path(s.dir))
	if err != nil {
		return err
	}
	to.size = size
	s.setSize(&to)
	return os.Remove(f.path(s.dir))
}

func (s *Store) compressFile(from, to string) (size int64, err error) {
	in, err := os.Open(from)
	if err != nil {
		return 0, err
	}
	defer in.Close()
	out, err := os.Create(to + partial)
	if err != nil {
		return 0, err
	}
	var z io.WriteCloser = gzip.NewWriter(out)
	if s.limits.Compress == "zstd" {
		if z, err = zstd.NewWriter(out, zstd.WithEncoderConcurrency(1)); err != nil {
			return 0, errors.Join(err, out.Close())
		}
	}
	_, err = io.Copy(z, in)
	err = errors.Join(err, z.Close(), s.force(out), out.Close())
	if err == nil {
		err = os.Rename(to+partial, to)
	}
	if err != nil {
		return 0, errors.Join(err, os.Remove(to+partial))
	}
	info, err := os.Stat(to)
	if err != nil {
		return 0, err
	}
	return info.Size(), s.forceDir(filepath.Dir(to))
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
	last := map[string]int{}
	for i := range files {
		f := &files[i]
		if f.ending != plain {
			continue
		}
		torn, err := s.cutTorn(f.path(s.dir), &f.size)
		if err != nil {
			return err
		}
		if torn {
			s.stats.Torn++
		}
		last[f.app] = i
	}
	s.files = files
	for i := range files {
		f := files[i]
		switch {
		case f.ending != plain:
		case last[f.app] == i:
			out, err := os.OpenFile(f.path(s.dir), os.O_WRONLY, 0)
			if err != nil {
				return err
			}
			s.open[f.app] = &writing{f, out}
		default:
			if err := s.compress(f); err != nil {
				return err
			}
		}
	}
	if n := len(files); n > 0 { // the newest trace is somewhere in the last hour
		s.newest = files[n-1].hour.Add(time.Hour - time.Minute)
	}
	return s.prune()
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
