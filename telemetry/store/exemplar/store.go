package exemplar

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"foresail.dev/telemetry/store/seal"
)

// Limits say how much a store keeps and how. Fields that are zero mean what their comment says.
type Limits struct {
	MaxBytes int64         // of all files together; the oldest go first. 0 means 256 MiB
	MaxAge   time.Duration // behind the newest trace. 0 means 15 days
	Compress string        // of closed files: "gzip", "zstd" or "none". Empty means gzip
	Key      seal.Key      // encrypts all files; zero: they are not encrypted

	unsafe bool // for tests: nothing is forced to disk
}

// Check says what is wrong with limits that were set.
func (l Limits) Check() error {
	switch {
	case l.MaxBytes < 0 || l.MaxBytes > 0 && l.MaxBytes < 1<<16:
		return fmt.Errorf("%d bytes are too few: give at least 65536", l.MaxBytes)
	case l.MaxAge < 0 || l.MaxAge > 0 && l.MaxAge < time.Hour:
		return fmt.Errorf("an age of %v is too short: give at least an hour", l.MaxAge)
	case !slices.Contains([]string{"", "gzip", "zstd", "none"}, l.Compress):
		return fmt.Errorf("unknown compression %q: use gzip, zstd or none", l.Compress)
	}
	return nil
}

func (l Limits) withDefaults() Limits {
	if l.MaxBytes == 0 {
		l.MaxBytes = 256 << 20
	}
	if l.MaxAge == 0 {
		l.MaxAge = 15 * 24 * time.Hour
	}
	if l.Compress == "" {
		l.Compress = "gzip"
	}
	return l
}

// Stats count what a store did since it was opened, and what it found then.
type Stats struct {
	Traces  uint64 `json:"traces"`  // written
	Spans   uint64 `json:"spans"`   // in them
	Torn    int    `json:"torn"`    // last lines that a crash had torn, cut off when it was opened
	Deleted int    `json:"deleted"` // files that had to make room
	Bytes   int64  `json:"bytes"`   // in all files now
}

// Store is a folder of traces, open for writing by one process. Its methods may be called from any goroutine.
type Store struct {
	dir    string
	limits Limits
	lock   *os.File

	mu     sync.Mutex
	files  []file // closed and open ones, in order
	open   map[string]*writing
	newest time.Time // minute of the newest trace
	stats  Stats
	closed bool
}

// writing is the file of one application that is being written.
type writing struct {
	file
	f *os.File      // not encrypted
	j *seal.Journal // encrypted
}

// end closes the file, which stays as it is.
func (w *writing) end() error {
	if w.j != nil {
		return w.j.Close()
	}
	return w.f.Close()
}

// ErrLocked is Open's when another process has the store open.
var ErrLocked = errors.New("another process has this store open")

// Errors of keys.
var (
	ErrSealed = errors.New("the traces are encrypted: give their key")
	ErrPlain  = errors.New("the traces are not encrypted: leave the key out, or give another folder")
)

// Open opens a store for writing, and makes it where there is none. It cuts off what a crash left.
func Open(dir string, l Limits) (*Store, error) {
	if err := l.Check(); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	lock, err := lockFile(filepath.Join(dir, "lock"))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	s := &Store{dir: dir, limits: l.withDefaults(), lock: lock, open: map[string]*writing{}}
	if err := s.recover(); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return s, nil
}

// Append writes traces of an application. It returns nil after all of them are on disk; after an error none of them is
// there, or only such as a crash would leave.
func (s *Store) Append(app string, traces []Trace) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return os.ErrClosed
	}
	for len(traces) > 0 {
		hour := traces[0].Minute().Truncate(time.Hour)
		n := slices.IndexFunc(traces, func(t Trace) bool { return !t.Minute().Truncate(time.Hour).Equal(hour) })
		if n < 0 {
			n = len(traces)
		}
		if err := s.append(app, hour, traces[:n]); err != nil {
			return fmt.Errorf("exemplar traces: %w", err)
		}
		traces = traces[n:]
	}
	if err := s.prune(); err != nil {
		return fmt.Errorf("exemplar traces: %w", err)
	}
	return nil
}

// append writes traces of one hour.
func (s *Store) append(app string, hour time.Time, traces []Trace) error {
	lines := make([][]byte, len(traces))
	for i := range traces {
		var err error
		if lines[i], err = encode(app, &traces[i]); err != nil {
			return err
		}
	}
	w, err := s.writer(folder(app, s.limits.Key), hour)
	if err != nil {
		return err
	}
	if err := s.write(w, lines); err != nil {
		return err
	}
	s.setSize(&w.file)
	for i := range traces {
		s.stats.Traces++
		s.stats.Spans += uint64(len(traces[i].Spans))
		if m := traces[i].Minute(); m.After(s.newest) {
			s.newest = m
		}
	}
	return nil
}

// write appends lines to a file and forces them to disk.
func (s *Store) write(w *writing, lines [][]byte) error {
	if w.j != nil {
		if err := w.j.Append(lines...); err != nil {
			return err
		}
		w.size = w.j.Size()
		if s.limits.unsafe {
			return nil
		}
		return w.j.Sync()
	}
	b := bytes.Join(lines, nil)
	_, err := w.f.WriteAt(b, w.size)
	if err == nil {
		err = s.force(w.f)
	}
	if err != nil { // what is not acknowledged is not to stay
		return errors.Join(err, w.f.Truncate(w.size))
	}
	w.size += int64(len(b))
	return nil
}

// writer is the open file for an application's hour; the one of another hour, or that is large, is closed first.
func (s *Store) writer(app string, hour time.Time) (*writing, error) {
	if w := s.open[app]; w != nil {
		if w.hour.Equal(hour) && w.size < s.limits.MaxBytes/8 {
			return w, nil
		}
		if err := s.closeFile(w); err != nil {
			return nil, err
		}
	}
	f := file{app: app, hour: hour, number: 1, ending: plain}
	for i := range s.files {
		if g := &s.files[i]; g.app == app && g.hour.Equal(hour) {
			f.number = max(f.number, g.number+1)
		}
	}
	if err := os.MkdirAll(filepath.Join(s.dir, app), 0o755); err != nil {
		return nil, err
	}
	w := &writing{file: f}
	if err := w.create(s.dir, s.limits.Key); err != nil {
		return nil, err
	}
	f = w.file
	if err := errors.Join(s.forceDir(filepath.Join(s.dir, app)), s.forceDir(s.dir)); err != nil {
		return nil, errors.Join(err, w.end())
	}
	s.open[app] = w
	at, _ := slices.BinarySearchFunc(s.files, f, func(a, b file) int { return a.before(&b) })
	s.files = slices.Insert(s.files, at, f)
	return w, nil
}

// create makes the file, and sets its ending and size.
func (w *writing) create(dir string, k seal.Key) (err error) {
	if k.IsZero() {
		w.f, err = os.OpenFile(w.path(dir), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
		return err
	}
	w.ending += sealed
	if w.j, err = seal.CreateJournal(w.path(dir), k, w.under(), seal.Marks{}); err != nil {
		return err
	}
	w.size = w.j.Size()
	return nil
}

func (s *Store) setSize(f *file) {
	at, ok := slices.BinarySearchFunc(s.files, *f, func(a, b file) int { return a.before(&b) })
	if ok {
		s.files[at] = *f
	}
}

// prune deletes the oldest files while all are too many bytes, and those that are too old. The newest stays.
func (s *Store) prune() error {
	total := int64(0)
	for i := range s.files {
		total += s.files[i].size
	}
	oldest := s.newest.Add(-s.limits.MaxAge)
	var errs []error
	kept := s.files[:0]
	for i, f := range s.files {
		old := !f.hour.Add(time.Hour).After(oldest)
		if !(total > s.limits.MaxBytes || old) || i == len(s.files)-1 {
			kept = append(kept, f)
			continue
		}
		if w := s.open[f.app]; w != nil && w.before(&f) == 0 {
			delete(s.open, f.app)
			errs = append(errs, w.end())
		}
		if err := os.Remove(f.path(s.dir)); err != nil && !os.IsNotExist(err) {
			errs = append(errs, err)
			kept = append(kept, f)
			continue
		}
		total -= f.size
		s.stats.Deleted++
	}
	s.files, s.stats.Bytes = kept, total
	return errors.Join(errs...)
}

// Stats are the counts so far.
func (s *Store) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stats
}

// Close closes all files. It may be called again.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	var errs []error
	for _, app := range sortedKeys(s.open) {
		errs = append(errs, s.open[app].end()) // it stays plain, and the next Open goes on with it
	}
	return errors.Join(append(errs, s.lock.Close())...)
}

func sortedKeys(m map[string]*writing) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.SortFunc(out, strings.Compare)
	return out
}

// force waits until what was written to f is on disk.
func (s *Store) force(f *os.File) error {
	if s.limits.unsafe {
		return nil
	}
	return f.Sync()
}

// forceDir waits until a folder's names are on disk.
func (s *Store) forceDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(s.force(d), d.Close())
}
