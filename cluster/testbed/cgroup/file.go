package cgroup

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	groups "foresail.dev/telemetry/agent/cgroup"
)

// write writes a control file that is there: it never makes one, so that a directory which is no cgroup is an error.
func write(path, value string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_TRUNC, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(value)
	if err != nil {
		err = fmt.Errorf("write %q to %s: %w", value, path, reason(err))
	}
	return errors.Join(err, f.Close())
}

// confirm writes a control file and reads it back; ok judges what was read.
func confirm(path, value string, ok func(got string) bool) (Written, error) {
	if err := write(path, value); err != nil {
		return Written{}, err
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return Written{}, err
	}
	if got := strings.TrimSpace(string(b)); !ok(got) {
		return Written{}, fmt.Errorf("wrote %q to %s, but it reads %q", value, path, got)
	}
	return Written{Path: path, Value: value}, nil
}

func same(want string) func(string) bool { return func(got string) bool { return got == want } }

// about accepts bytes rounded down to pages.
func about(want int64) func(string) bool {
	return func(got string) bool {
		n, err := strconv.ParseInt(got, 10, 64)
		return err == nil && n <= want && n > want-int64(os.Getpagesize())
	}
}

func micros(cores float64) (int64, error) {
	if !(cores >= MinCores && cores <= 1e6) {
		return 0, fmt.Errorf("a CPU quota of %g cores: give at least %g", cores, MinCores)
	}
	return int64(cores*float64(Period.Microseconds()) + 0.5), nil
}

// reader reads one control file again and again through one open descriptor.
type reader struct {
	*groups.File
	buf [2048]byte
}

func open(path string) (*reader, error) {
	f, err := groups.Open(path)
	if err != nil {
		return nil, err
	}
	return &reader{File: f}, nil
}

// number is the file's content as one number.
func (r *reader) number() (int64, error) { return r.Number(r.buf[:]) }

// text is the file's content, valid until the next call.
func (r *reader) text() ([]byte, error) { return r.Text(r.buf[:]) }

func closeAll(rs ...*reader) {
	for _, r := range rs {
		if r != nil {
			r.Close()
		}
	}
}
