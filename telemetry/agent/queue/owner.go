package queue

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// MaxFiles is how many of a process's open files are looked at. Listening sockets are opened early, so they come first.
const MaxFiles = 4096

// Sockets calls each with the inode of every socket that a process has open, and returns how many files it looked at, at
// most MaxFiles. proc is where the process file system is mounted.
func Sockets(proc string, pid int, each func(inode uint32)) (files int) {
	dir := fmt.Sprintf("%s/%d/fd", proc, pid)
	f, err := os.Open(dir)
	if err != nil {
		return 0
	}
	defer f.Close()
	for files < MaxFiles {
		names, err := f.Readdirnames(256)
		for _, name := range names {
			files++
			to, err := os.Readlink(dir + "/" + name)
			if err != nil {
				continue
			}
			if n, ok := strings.CutPrefix(to, "socket:["); ok {
				if inode, err := strconv.ParseUint(strings.TrimSuffix(n, "]"), 10, 32); err == nil {
					each(uint32(inode))
				}
			}
		}
		if err != nil || len(names) == 0 {
			break
		}
	}
	return files
}
