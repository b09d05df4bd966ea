//go:build unix

package store

import "golang.org/x/sys/unix"

// room is how many bytes are left on the disk that dir is on.
func room(dir string) (int64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, err
	}
	return int64(st.Bavail) * int64(st.Bsize), nil
}
