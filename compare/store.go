package compare

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"foresail.dev/loop"
)

// store keeps outcomes in a folder:
//
//	DIR/experiment.json   what was asked for: the runs by key, in order (manifest)
//	DIR/runs/KEY.json     one Outcome each, written beside it and renamed
//	DIR/results.json …    what they say; see Results.Write
//
// The zero value keeps nothing.
type store struct {
	dir  string
	lock *os.File
}

const manifestName = "experiment.json"

// openStore makes the folder where it is not there, and holds it for this process alone.
func openStore(dir string) (*store, error) {
	if dir == "" {
		return &store{}, nil
	}
	if err := os.MkdirAll(filepath.Join(dir, "runs"), 0o777); err != nil {
		return nil, err
	}
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o666)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		lock.Close()
		return nil, fmt.Errorf("%s is being written to by another process: wait for it, or use another folder", dir)
	}
	s := &store{dir: dir, lock: lock}
	temporary, _ := filepath.Glob(filepath.Join(dir, "runs", "*.tmp")) // of a process that was killed
	for _, t := range temporary {
		os.Remove(t)
	}
	return s, nil
}

func (s *store) close() {
	if s.lock != nil {
		s.lock.Close()
	}
}

func (s *store) path(key string) string { return filepath.Join(s.dir, "runs", key+".json") }

// load reads a kept outcome; nil where there is none, or none that can be read.
func (s *store) load(key string) (*Outcome, error) {
	if s.dir == "" {
		return nil, nil
	}
	return readOutcome(s.path(key))
}

func readOutcome(path string) (*Outcome, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	o := &Outcome{}
	if err := json.Unmarshal(b, o); err != nil || o.Key != strings.TrimSuffix(filepath.Base(path), ".json") {
		return nil, nil // it was damaged after it was written: it is made again
	}
	return o, nil
}

// save keeps an outcome, whole or not at all.
func (s *store) save(o *Outcome) error { return s.write(filepath.Join("runs", o.Key+".json"), o) }

func (s *store) write(name string, v any) error {
	if s.dir == "" {
		return nil
	}
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return WriteFile(filepath.Join(s.dir, name), append(b, '\n'))
}

// WriteFile replaces a file, whole or not at all. What goes wrong is told with the path and what to do.
func WriteFile(path string, b []byte) error {
	err := loop.File(path).Save(b)
	if err == nil {
		return os.Chmod(path, 0o644) // it is read by others, too
	}
	var at *fs.PathError
	if errors.As(err, &at) { // the file beside it is of no interest
		err = at.Err
	}
	what := "see to it that it can be written"
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		what = "make room there"
	}
	return fmt.Errorf("writing %s: %w; %s", path, err, what)
}

// others are the outcomes that are kept and not wanted, without what they hold over time.
func (s *store) others(wanted map[string]bool) ([]*Outcome, error) {
	if s.dir == "" {
		return nil, nil
	}
	files, err := filepath.Glob(filepath.Join(s.dir, "runs", "*.json"))
	if err != nil {
		return nil, err
	}
	slices.Sort(files)
	var out []*Outcome
	for _, f := range files {
		if wanted[strings.TrimSuffix(filepath.Base(f), ".json")] {
			continue
		}
		o, err := readOutcome(f)
		if err != nil {
			return nil, err
		}
		if o != nil {
			o.Series, o.State = nil, nil
			out = append(out, o)
		}
	}
	return out, nil
}
