package neighbours

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"foresail.dev/cmd/foresail/cli"
	"foresail.dev/telemetry/agent/probe/load"
)

// NewHog is the neighbour as a command of its own, which no user calls.
func NewHog() *cobra.Command {
	var kind, dir string
	var cpu int
	c := &cobra.Command{
		Use: "hog", Hidden: true, Args: cli.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			of, ok := kinds[Kind(kind)]
			if !ok || of.load == "" {
				return cli.Usagef("--kind %q: cpu, memory or disk", kind)
			}
			if Kind(kind) == Memory { // it is to take memory from others, not their time
				if err := idle(); err != nil {
					return err
				}
			}
			l, err := load.Open(of.load, load.Config{Dir: dir, Threads: 1, CPUs: []int{cpu}})
			if err != nil {
				return err
			}
			fmt.Fprintln(c.OutOrStdout(), "ready")
			return errors.Join(hog(c.InOrStdin(), l), l.Close())
		},
	}
	c.Flags().StringVar(&kind, "kind", "", "what it takes")
	c.Flags().StringVar(&dir, "dir", "", "on the disk")
	c.Flags().IntVar(&cpu, "cpu", 0, "that it runs on")
	return c
}

// hog loads until its parent is gone or says so, by closing its standard input.
func hog(in io.Reader, l *load.Load) error {
	ctx, stop := context.WithCancel(context.Background())
	go func() {
		_, _ = io.Copy(io.Discard, in) // its end, however it ends
		stop()
	}()
	for ctx.Err() == nil {
		if _, err := l.Burst(1, 100*time.Millisecond); err != nil {
			return err
		}
	}
	return nil
}

// idle lets all threads of this process, and those they start, have the time alone that nobody else wants.
func idle() error {
	return threads(os.Getpid(), func(tid int) error {
		return unix.SchedSetAttr(tid, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_IDLE}, 0)
	})
}

// threads does something with all threads of a process, also with those that start meanwhile.
func threads(pid int, do func(tid int) error) error {
	done := map[int]bool{}
	for again := true; again; {
		again = false
		entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
		if err != nil {
			return err
		}
		for _, e := range entries {
			tid, err := strconv.Atoi(e.Name())
			if err != nil || done[tid] {
				continue
			}
			if err := do(tid); err != nil && !errors.Is(err, unix.ESRCH) {
				return fmt.Errorf("thread %d of process %d: %w", tid, pid, err)
			}
			done[tid], again = true, true
		}
	}
	return nil
}

// keep puts a process on one CPU.
func keep(pid, cpu int) error {
	var set unix.CPUSet
	set.Set(cpu)
	return threads(pid, func(tid int) error { return unix.SchedSetaffinity(tid, &set) })
}

// neighbour is a hog that runs.
type neighbour struct {
	cmd *exec.Cmd
	in  io.Closer
	err bytes.Buffer
}

// begin starts a neighbour and waits until it is about to take what it takes.
func begin(command []string, kind Kind, dir string, cpu int) (*neighbour, error) {
	if kind == None {
		return nil, nil
	}
	args := append(append([]string{}, command[1:]...), "hog", "--kind", string(kind), "--dir", dir, "--cpu", strconv.Itoa(cpu))
	n := &neighbour{cmd: exec.Command(command[0], args...)}
	n.cmd.Stderr = &n.err
	n.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	in, err := n.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	n.in = in
	out, err := n.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := n.cmd.Start(); err != nil {
		return nil, fmt.Errorf("neighbour: %w", err)
	}
	var said [6]byte
	if _, err := io.ReadFull(out, said[:]); err != nil {
		return nil, errors.Join(fmt.Errorf("neighbour of kind %s: %w", kind, err), n.end())
	}
	return n, nil
}

// end ends it; of nil nothing.
func (n *neighbour) end() error {
	if n == nil {
		return nil
	}
	err := n.in.Close()
	over := time.AfterFunc(10*time.Second, func() { _ = n.cmd.Process.Kill() })
	defer over.Stop()
	if e := n.cmd.Wait(); e != nil {
		return fmt.Errorf("neighbour: %w: %s", e, bytes.TrimSpace(n.err.Bytes()))
	}
	return err
}

// pids are the processes of a control group's directory.
func pids(dir string) (out []int, err error) {
	b, err := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
	if err != nil {
		return nil, err
	}
	for _, f := range bytes.Fields(b) {
		pid, err := strconv.Atoi(string(f))
		if err != nil {
			return nil, fmt.Errorf("%s/cgroup.procs: %q", dir, f)
		}
		out = append(out, pid)
	}
	return out, nil
}
