package testbed

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"foresail.dev/cluster/testbed/wire"
)

// mailbox is how many messages may wait for a child. One that has not read so many hangs, and is killed.
const mailbox = 256

// process is a child process.
type process struct {
	name   string
	cmd    *exec.Cmd
	out    chan []byte   // lines that wait to be written to its standard input
	exited chan struct{} // closed when it has ended and been reaped
	log    string        // the file that its standard error goes to
	booted bool          // it was told what to be; guarded by Cluster.mu
	acked  int           // the newest routing table in use there; guarded by Cluster.mu
	fault  string        // what it said last about why it ends; guarded by Cluster.mu
}

// firstInherited is the descriptor under which a child has the first of the files that it is given.
const firstInherited = 3

// spawn starts a child with files that it inherits. Its messages go to handle, one after the other, and when it has ended,
// ended is called; both from one goroutine of their own, which the cluster waits for.
func (c *Cluster) spawn(role, name string, handle func(*process, wire.ToParent), ended func(*process), files ...*os.File) (*process, error) {
	p := &process{name: name, out: make(chan []byte, mailbox), exited: make(chan struct{}), log: filepath.Join(c.dir, name+".log")}
	stderr, err := os.Create(p.log)
	if err != nil {
		return nil, fmt.Errorf("testbed: log of %s: %w", name, err)
	}
	defer stderr.Close()
	p.cmd = exec.Command(c.cfg.Command[0], append(append([]string{}, c.cfg.Command[1:]...), role, name)...)
	p.cmd.Stderr, p.cmd.Env, p.cmd.ExtraFiles = stderr, environment(), files
	// A process group of its own: Ctrl-C reaches the parent alone, which then ends its children in order.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	stdin, err := p.cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("testbed: start %s: %w", name, err)
	}
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("testbed: start %s: %w", name, err)
	}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("testbed: start %s: %w", name, err)
	}
	c.wait.Go(func() {
		for {
			select {
			case line := <-p.out:
				if _, err := stdin.Write(line); err != nil {
					p.kill()
				}
			case <-p.exited:
				return
			}
		}
	})
	c.wait.Go(func() {
		if err := wire.Read(stdout, func(m wire.ToParent) error { handle(p, m); return nil }); err != nil {
			p.kill()
		}
		_ = p.cmd.Wait()
		close(p.exited)
		if ended != nil {
			ended(p)
		}
	})
	return p, nil
}

// environment is what children inherit: all but what would configure their OpenTelemetry SDK, which is ours to do.
func environment() []string {
	return slices.DeleteFunc(os.Environ(), func(e string) bool { return strings.HasPrefix(e, "OTEL_") })
}

// send queues a message; a child that doesn't read is killed.
func (p *process) send(m wire.ToChild) {
	line, err := json.Marshal(m)
	if err != nil {
		panic("testbed: a message that is no JSON: " + err.Error()) // its types are ours
	}
	select {
	case p.out <- append(line, '\n'):
	default:
		p.kill()
	}
}

// kill ends the process at once; it is safe at any time.
func (p *process) kill() { _ = p.cmd.Process.Kill() }

// death is why an ended process ended, as well as is known.
func (p *process) death() error {
	switch tail := p.tail(); {
	case p.fault != "":
		return errors.New(p.fault)
	case tail != "":
		return fmt.Errorf("%s: %s", p.cmd.ProcessState, tail)
	default:
		return errors.New(p.cmd.ProcessState.String())
	}
}

// tail is the first line of what the process wrote to its standard error: of a Go program that crashed, the reason.
func (p *process) tail() string {
	b, err := os.ReadFile(p.log)
	if err != nil {
		return ""
	}
	line, _, _ := bytes.Cut(bytes.TrimSpace(b), []byte{'\n'})
	return strings.ToValidUTF8(string(line[:min(len(line), 300)]), "?")
}

// alive reports whether it has not ended.
func (p *process) alive() bool {
	select {
	case <-p.exited:
		return false
	default:
		return true
	}
}
