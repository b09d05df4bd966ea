package source

import (
	"bufio"
	"errors"
	"fmt"
	"io"
)

// MaxLine bounds one line: more than exporters write at once.
const MaxLine = 64 << 20

// Lines gives the lines of a text one by one, without their ends. A line that is too long is told as a fault and skipped,
// so that one of them does not end a file of gigabytes.
type Lines struct {
	r      *bufio.Reader
	max    int
	number int
	line   []byte
	long   []byte // room for lines longer than the reader's buffer
	torn   bool
	err    error
	faults *Faults
}

// NewLines reads lines of at most max bytes, 0 meaning MaxLine; what is too long goes to faults.
func NewLines(r io.Reader, max int, faults *Faults) *Lines {
	if max <= 0 {
		max = MaxLine
	}
	return &Lines{r: bufio.NewReaderSize(r, 256<<10), max: max, faults: faults}
}

// Next moves to the next line; false at the end, or when reading failed.
func (l *Lines) Next() bool {
	for l.err == nil {
		l.number++
		line, err := l.r.ReadSlice('\n')
		if err == bufio.ErrBufferFull {
			line, err = l.rest(line)
			if err == errLong {
				l.faults.Add(l.number, fmt.Errorf("longer than %d MiB", l.max>>20))
				continue
			}
		}
		if err != nil {
			l.err = err
			l.torn = len(line) > 0
			if err != io.EOF || len(line) == 0 {
				return false
			}
		}
		l.line = trimEnd(line)
		return true
	}
	return false
}

var errLong = errors.New("too long")

// rest reads on after the first part of a line that is longer than the buffer.
func (l *Lines) rest(first []byte) ([]byte, error) {
	l.long = append(l.long[:0], first...)
	for {
		part, err := l.r.ReadSlice('\n')
		if len(l.long)+len(part) > l.max {
			for err == bufio.ErrBufferFull {
				_, err = l.r.ReadSlice('\n')
			}
			if err == nil || err == io.EOF {
				return nil, errLong
			}
			return nil, err
		}
		l.long = append(l.long, part...)
		if err != bufio.ErrBufferFull {
			return l.long, err
		}
	}
}

func trimEnd(b []byte) []byte {
	if n := len(b); n > 0 && b[n-1] == '\n' {
		b = b[:n-1]
	}
	if n := len(b); n > 0 && b[n-1] == '\r' {
		b = b[:n-1]
	}
	return b
}

// Line is the current line. It is valid until the next call of Next.
func (l *Lines) Line() []byte { return l.line }

// Number is the current line's, from 1.
func (l *Lines) Number() int { return l.number }

// Torn tells whether the current line lacks its end: the file stops in it.
func (l *Lines) Torn() bool { return l.torn }

// Err is what ended the lines before the end of the text; nil when nothing did.
func (l *Lines) Err() error {
	if l.err == io.EOF {
		return nil
	}
	return l.err
}
