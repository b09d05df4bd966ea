package exemplar

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"foresail.dev/telemetry/store/seal"
)

// ErrSealed is returned for a store that is encrypted, without its key.
var ErrSealed = errors.New("the traces are encrypted: give their key")

// unseal opens the vault of a store that has a key.
func (s *Store) unseal(k seal.Key) error {
	sealed := seal.IsVault(s.dir)
	switch {
	case k.IsZero() && sealed:
		return fmt.Errorf("%s: %w", s.dir, ErrSealed)
	case k.IsZero():
		return nil
	case !sealed:
		if files, _, err := list(s.dir); err != nil || len(files) > 0 {
			return errors.Join(err, fmt.Errorf("%s: the traces there are not encrypted: leave the key out, or give another folder", s.dir))
		}
	}
	v, err := seal.Open(s.dir, k, seal.Options{Grows: grows})
	if err != nil {
		return err
	}
	s.vault, s.dir = v, v.Work()
	return nil
}

// grows reports whether a file is one that is being written.
func grows(path string) bool { return strings.HasSuffix(path, ".jsonl") }

// keep makes what was written last, where the store is sealed.
func (s *Store) keep() error {
	if s.vault == nil {
		return nil
	}
	return s.vault.Sync(!s.limits.unsafe)
}

func (s *Store) sealUp() error {
	if s.vault == nil {
		return nil
	}
	return s.vault.Close()
}

// Unseal gives a folder that Read can read, of a store that may be encrypted, and what to do with it in the end.
func Unseal(dir string, k seal.Key) (folder string, done func() error, err error) {
	if !seal.IsVault(dir) {
		if _, err := os.Stat(filepath.Clean(dir)); err == nil && !k.IsZero() {
			return "", nil, fmt.Errorf("%s: the traces there are not encrypted: leave the key out", dir)
		}
		return dir, func() error { return nil }, nil
	}
	if k.IsZero() {
		return "", nil, fmt.Errorf("%s: %w", dir, ErrSealed)
	}
	v, err := seal.Open(dir, k, seal.Options{Grows: grows, ReadOnly: true})
	if err != nil {
		return "", nil, err
	}
	return v.Work(), v.Close, nil
}
