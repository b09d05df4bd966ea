package testbed

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"foresail.dev/cluster/testbed/cgroup"
	"foresail.dev/cluster/testbed/wire"
)

// janitorLimit is how long the janitor tries to remove what a killed parent left.
const janitorLimit = 30 * time.Second

// chores is what the janitor is told.
type chores struct {
	Groups []string // cgroup directories to empty and remove
	Dir    string   // the run directory to remove
	Done   bool     // the parent has cleaned up itself
}

// janitor is the parent's end of the janitor process. As long as the pipe between them is open, the janitor does
// nothing; when it closes and the parent has not said that it is done, the parent was killed.
type janitor struct {
	cmd  *exec.Cmd
	pipe io.WriteCloser
	out  *wire.Writer
}

func startJanitor(command []string) (*janitor, error) {
	cmd := exec.Command(command[0], append(append([]string{}, command[1:]...), roleJanitor)...)
	// A session of its own, so that neither Ctrl-C nor the end of a terminal reaches it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	cmd.Env = environment()
	pipe, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return nil, fmt.Errorf("testbed: start the janitor: %w", err)
	}
	return &janitor{cmd: cmd, pipe: pipe, out: wire.NewWriter(pipe)}, nil
}

func (j *janitor) tell(c chores) error { return j.out.Write(c) }

// dismiss ends the janitor; it has nothing to do.
func (j *janitor) dismiss() error {
	_ = j.tell(chores{Done: true}) // if it is gone, Wait tells
	_ = j.pipe.Close()
	if err := j.cmd.Wait(); err != nil {
		return fmt.Errorf("testbed: the janitor: %w", err)
	}
	return nil
}

// runJanitor is the janitor's life.
func runJanitor(in io.Reader) int {
	signal.Ignore(syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	var left chores
	// An error means the parent died in the middle of a line; what came before it counts.
	_ = wire.Read(in, func(c chores) error { left = c; return nil })
	if left.Done {
		return 0
	}
	code := 0
	if err := cgroup.Destroy(left.Groups, janitorLimit); err != nil {
		code = 1
	}
	if filepath.IsAbs(left.Dir) {
		if err := os.RemoveAll(left.Dir); err != nil {
			code = 1
		}
	}
	return code
}
