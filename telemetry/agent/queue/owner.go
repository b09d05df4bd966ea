package queue

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// Sockets calls each with the inode of every socket that a process has open, and looks at no more than *budget of its
// files, which it lowers. proc is where the process file system is mounted.
func Sockets(proc string, pid int, budget *int, each func(inode uint32)) {
	dir := fmt.Sprintf("%s/%d/fd", proc, pid)
	f, err := os.Open(dir)
	if err != nil {
		return
	}
	defer f.Close()
	for *budget > 0 {
		names, err := f.Readdirnames(min(*budget, 256))
		for _, name := range names {
			*budget--
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
			return
		}
	}
}
