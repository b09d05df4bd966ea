package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"text/template"
	"time"
)

// Command sets a knob of something outside of the cluster: it is run whenever the knob's value changes.
type Command struct {
	Label   string // of the knob
	Unit    string // comes after the value
	Args    []string
	Timeout time.Duration
}

// Templated is a file that knobs' values are written into.
type Templated struct {
	Template *template.Template
	To       string
	Reload   []string // run once it is written; nil: nothing is
	Timeout  time.Duration
}

// Values is what a template is executed with: {{knob "frontend:workers"}} is a value.
type Values map[string]string

// Functions are those of templates, for a set of values; unknown is told what a template asks for and is not there.
func Functions(values Values) template.FuncMap {
	return template.FuncMap{"knob": func(label string) (string, error) {
		v, ok := values[label]
		if !ok {
			return "", fmt.Errorf("there is no knob %q", label)
		}
		return v, nil
	}}
}

// tell runs the commands of knobs that have changed, and writes the files that have.
func (b *Bench) tell(ctx context.Context, values map[string]string) error {
	for _, c := range b.cfg.Commands {
		v, ok := values[c.Label]
		if old, told := b.outside[c.Label]; !ok || told && old == v {
			continue
		}
		delete(b.outside, c.Label) // half done is not known
		service, knob, _ := strings.Cut(c.Label, ":")
		env := []string{"FORESAIL_SERVICE=" + service, "FORESAIL_KNOB=" + knob, "FORESAIL_VALUE=" + v + c.Unit}
		args := make([]string, len(c.Args))
		for i, a := range c.Args {
			args[i] = strings.ReplaceAll(a, "{value}", v+c.Unit)
		}
		if err := run(ctx, args, env, c.Timeout); err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return &Refusal{fmt.Sprintf("%s = %s: %v", c.Label, v+c.Unit, err)}
		}
		b.outside[c.Label] = v
	}
	if b.generated == nil {
		b.generated = make([]string, len(b.cfg.Files))
	}
	for i, f := range b.cfg.Files {
		var text bytes.Buffer
		t, err := f.Template.Clone()
		if err == nil {
			err = t.Funcs(Functions(values)).Execute(&text, nil)
		}
		if err != nil {
			return fmt.Errorf("file %s: %w", f.To, err)
		}
		if text.String() == b.generated[i] {
			continue
		}
		b.generated[i] = ""
		if err := writeWhole(f.To, text.Bytes()); err != nil {
			return err
		}
		if len(f.Reload) > 0 {
			if err := run(ctx, f.Reload, nil, f.Timeout); err != nil {
				if ctx.Err() != nil {
					return ctx.Err()
				}
				return &Refusal{fmt.Sprintf("file %s: %v", f.To, err)}
			}
		}
		b.generated[i] = text.String()
	}
	return nil
}

// writeWhole writes a file such that nobody ever sees a part of it.
func writeWhole(path string, data []byte) error {
	mode := os.FileMode(0o644)
	if old, err := os.Stat(path); err == nil {
		mode = old.Mode().Perm()
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

// run runs a command, and ends it, with what it started, when its time is over. The error has the end of what it wrote.
func run(ctx context.Context, args, env []string, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	c := exec.CommandContext(ctx, args[0], args[1:]...)
	c.Env = append(os.Environ(), env...)
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	c.Cancel = func() error { return syscall.Kill(-c.Process.Pid, syscall.SIGKILL) }
	c.WaitDelay = time.Second
	var out tail
	c.Stdout, c.Stderr = &out, &out
	err := c.Run()
	if err == nil {
		return nil
	}
	if ctx.Err() == context.DeadlineExceeded {
		err = fmt.Errorf("it took longer than %v", timeout)
	}
	if said := strings.TrimSpace(string(out)); said != "" {
		return fmt.Errorf("%s: %w: %s", args[0], err, strings.ToValidUTF8(said, "?"))
	}
	return fmt.Errorf("%s: %w", args[0], err)
}

// tail keeps the last of what is written.
type tail []byte

func (t *tail) Write(p []byte) (int, error) {
	*t = append(*t, p...)
	if extra := len(*t) - 300; extra > 0 {
		*t = append((*t)[:0], (*t)[extra:]...)
	}
	return len(p), nil
}
