package cgroup

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// File is one control file that is read again and again through one open descriptor. It is used by one goroutine at a
// time.
type File struct {
	f  *os.File
	fd uintptr
}

// Open opens a control file.
func Open(path string) (*File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	return &File{f, f.Fd()}, nil
}

// Close closes it; a nil File is closed.
func (r *File) Close() {
	if r != nil {
		_ = r.f.Close()
	}
}

// Text is the file's content as far as it fits into buf, where it lies.
func (r *File) Text(buf []byte) ([]byte, error) {
	// The kernel makes these files up as they are read, within microseconds: the scheduler need not be told of the
	// call, which would cost a third as much again.
	n, _, errno := unix.RawSyscall6(unix.SYS_PREAD64, r.fd, uintptr(unsafe.Pointer(unsafe.SliceData(buf))), uintptr(len(buf)), 0, 0, 0)
	runtime.KeepAlive(r)
	if errno != 0 {
		return nil, &os.PathError{Op: "read", Path: r.f.Name(), Err: errno}
	}
	return buf[:n], nil
}

// Number is the file's content as one number.
func (r *File) Number(buf []byte) (int64, error) {
	b, err := r.Text(buf)
	if err != nil {
		return 0, err
	}
	n, ok := Int(bytes.TrimSpace(b))
	if !ok {
		return 0, fmt.Errorf("%s: %q is no number", r.f.Name(), b)
	}
	return n, nil
}

// Int reads a decimal number without a sign that fits 63 bits.
func Int(b []byte) (n int64, ok bool) {
	if len(b) == 0 || len(b) > 19 {
		return 0, false
	}
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		if n = 10*n + int64(c-'0'); n < 0 {
			return 0, false
		}
	}
	return n, true
}

// Value finds the number of a line "name number".
func Value(text []byte, name string) (int64, bool) {
	for len(text) > 0 {
		line := text
		if i := bytes.IndexByte(text, '\n'); i >= 0 {
			line, text = text[:i], text[i+1:]
		} else {
			text = nil
		}
		if len(line) > len(name) && line[len(name)] == ' ' && string(line[:len(name)]) == name {
			return Int(bytes.TrimSpace(line[len(name)+1:]))
		}
	}
	return 0, false
}

// Word cuts the first word off a line.
func Word(line []byte) (word, rest []byte) {
	i := 0
	for i < len(line) && (line[i] == ' ' || line[i] == '\t') {
		i++
	}
	j := i
	for j < len(line) && line[j] != ' ' && line[j] != '\t' {
		j++
	}
	return line[i:j], line[j:]
}

// Line cuts the first line off a text.
func Line(text []byte) (line, rest []byte) {
	if i := bytes.IndexByte(text, '\n'); i >= 0 {
		return text[:i], text[i+1:]
	}
	return text, nil
}
