package cli

import (
	"bufio"
	"encoding/json"
	"os"
)

// Lines writes JSON lines to a file. The first error stays, so that a full disk is told once, by close.
type Lines struct {
	file *os.File
	buf  *bufio.Writer
	enc  *json.Encoder
	err  error
}

// CreateLines makes or empties a file.
func CreateLines(path string) (*Lines, error) {
	f, err := os.Create(path)
	if err != nil {
		return nil, Usage(err)
	}
	buf := bufio.NewWriterSize(f, 1<<16)
	return &Lines{file: f, buf: buf, enc: json.NewEncoder(buf)}, nil
}

// Write writes a value as one line of JSON.
func (l *Lines) Write(v any) {
	if l.err == nil {
		l.err = l.enc.Encode(v)
	}
}

// Close flushes and reports the first error of all; a file that did not get everything is an error.
func (l *Lines) Close() error {
	if err := l.buf.Flush(); l.err == nil {
		l.err = err
	}
	if err := l.file.Close(); l.err == nil {
		l.err = err
	}
	return l.err
}
