//go:build !unix

package exemplar

import "os"

// lockFile does not lock: this system has no advisory locks.
func lockFile(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
}
