package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// removeLimit is how long a group may take to die: a killed process leaves its group only when the kernel has freed it.
const removeLimit = 10 * time.Second

// Destroy kills every process in the given group directories and those below them, and removes them all, deepest first.
// It tries until limit has passed; directories that are not there count as removed.
func Destroy(dirs []string, limit time.Duration) error {
	deadline := time.Now().Add(limit)
	for pause := time.Millisecond; ; pause = min(2*pause, 20*time.Millisecond) {
		var err error
		for _, d := range dirs {
			err = errors.Join(err, destroy(d))
		}
		if err == nil || time.Now().After(deadline) {
			return err
		}
		time.Sleep(pause)
	}
}

func destroy(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.IsDir() {
			err = errors.Join(err, destroy(filepath.Join(dir, e.Name())))
		}
	}
	if err != nil {
		return err
	}
	pids, err := procs(dir)
	if err != nil {
		return err
	}
	for _, pid := range pids {
		_ = syscall.Kill(pid, syscall.SIGKILL) // it may be gone by now
	}
	if err := syscall.Rmdir(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove cgroup %s, %d processes in it: %w", dir, len(pids), err)
	}
	return nil
}

// procs are the processes in one directory's group.
func procs(dir string) ([]int, error) {
	b, err := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, f := range strings.Fields(string(b)) {
		pid, err := strconv.Atoi(f)
		if err != nil || pid <= 1 {
			return nil, fmt.Errorf("%s/cgroup.procs: unexpected process %q", dir, f)
		}
		pids = append(pids, pid)
	}
	return pids, nil
}
