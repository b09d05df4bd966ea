package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"foresail.dev/telemetry/store/seal"
)

// A sealed store keeps its databases in memory, in a directory that only this user can enter, and on disk a vault (package
// seal) that has all of them but what can be made anew. Append returns once the vault has what it wrote.

// sealedSegment is the longest file of chunks in a sealed store's blocks.
const sealedSegment = 16 << 20

// remade reports whether a database makes a file anew from others: chunks of its head, of which the log has a copy.
func remade(path string) bool {
	return strings.HasSuffix(path, "/chunks_head") || strings.Contains(path, "/chunks_head/")
}

// unseal opens the vault of a store that has a key, and refuses a key where there is none, and none where there should be one.
func (s *Store) unseal(readOnly bool) error {
	sealed := seal.IsVault(s.disk)
	switch {
	case len(s.options.Key) == 0 && sealed:
		return fmt.Errorf("%s: %w", s.disk, ErrSealed)
	case len(s.options.Key) == 0:
		return nil
	case !sealed:
		if readOnly {
			return fmt.Errorf("%s: %w that is encrypted: leave the key out", s.disk, ErrNoStore)
		}
		if err := fresh(s.disk); err != nil {
			return err
		}
	}
	k, err := seal.KeyOf(s.options.Key)
	if err != nil {
		return err
	}
	v, err := seal.Open(s.disk, k, seal.Options{Skip: remade, ReadOnly: readOnly, Trouble: s.options.Trouble})
	if err != nil {
		return err
	}
	s.vault, s.dir = v, v.Work()
	return nil
}

// fresh refuses a directory that holds something else, for example a store that is not encrypted.
func fresh(dir string) error {
	if _, err := os.Stat(filepath.Join(dir, metaFile)); err == nil {
		return fmt.Errorf("%s: the store is not encrypted: leave the key out, or give an empty directory", dir)
	}
	list, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, d := range list {
		if d.Name() != lockFile && d.Name() != "files" {
			return fmt.Errorf("%s: %w, and it is not empty: give another directory", dir, ErrNoStore)
		}
	}
	return nil
}

// sealUp closes the vault and removes what is in memory.
func (s *Store) sealUp() error {
	if s.vault == nil {
		return nil
	}
	return s.vault.Close()
}

// keep makes what was appended last: on disk where it is forced to be, and sealed where the store is.
func (s *Store) keep(force bool) error {
	if s.vault != nil {
		if err := s.vault.Sync(force); err != nil {
			return &writeError{fmt.Errorf("sealing what was appended: %w", err)}
		}
		return nil
	}
	if !force {
		return nil
	}
	if err := syncLog(s.fine.wal()); err != nil {
		return fmt.Errorf("forcing the log to disk: %w", err)
	}
	return nil
}

// room is how many bytes are left where there are least, and where that is.
func (s *Store) room() (left int64, dir string, err error) {
	if left, err = s.options.room(s.disk); err != nil || s.vault == nil {
		return left, s.disk, err
	}
	inMemory, err := s.options.room(s.dir)
	if inMemory < left {
		return inMemory, s.dir, err
	}
	return left, s.disk, err
}

// openSealed opens what a sealed store holds now for reading.
func openSealed(dir string, o Options) (*Store, error) {
	if _, err := os.Stat(dir); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoStore, err)
	}
	s := &Store{dir: dir, disk: dir, options: o}
	if err := s.unseal(true); err != nil {
		return nil, err
	}
	s.sandbox = s.dir
	if err := s.openCopy(); err != nil {
		return nil, errors.Join(err, s.sealUp())
	}
	return s, nil
}
