package main

import (
	"bufio"
	"encoding/json"
	"os"
)

// lines writes JSON lines to a file. The first error stays, so that a full disk is told once, by close.
type lines struct {
	file *os.File
	buf  *bufio.Writer
	enc  *json.Encoder
	err  error
}

// createLines makes or empties a file.
func createLines(path string) (*lines, error) {
	f, err := os.Create(path)
	if err != nil {
		return nil, usage(err)
	}
	buf := bufio.NewWriterSize(f, 1<<16)
	return &lines{file: f, buf: buf, enc: json.NewEncoder(buf)}, nil
}

func (l *lines) write(v any) {
	if l.err == nil {
		l.err = l.enc.Encode(v)
	}
}

// close flushes and reports the first error of all; a file that did not get everything is an error.
func (l *lines) close() error {
	if err := l.buf.Flush(); l.err == nil {
		l.err = err
	}
	if err := l.file.Close(); l.err == nil {
		l.err = err
	}
	return l.err
}
