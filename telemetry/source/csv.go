package source

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// maxFields bounds the fields of one line.
const maxFields = 4096

var (
	errFields = fmt.Errorf("more than %d fields", maxFields)
	errQuote  = errors.New("a quotation mark that is not closed on its line, or stands where none may")
)

// Fields splits a line at commas into dst, which it returns, and which shares the line's memory. A field may be in
// quotation marks, with two for one inside, but may not go on over several lines: so a stray mark costs one line, and
// not the rest of the file.
func Fields(dst [][]byte, line []byte) ([][]byte, error) {
	dst = dst[:0]
	for {
		if len(dst) >= maxFields {
			return dst, errFields
		}
		if len(line) > 0 && line[0] == '"' {
			field, rest, more, err := quoted(line[1:])
			if err != nil {
				return dst, err
			}
			dst = append(dst, field)
			if !more {
				return dst, nil
			}
			line = rest
			continue
		}
		at := bytes.IndexByte(line, ',')
		if at < 0 {
			return append(dst, line), nil
		}
		dst = append(dst, line[:at])
		line = line[at+1:]
	}
}

// quoted reads a field after its first quotation mark. It moves the field's bytes where marks are doubled.
func quoted(b []byte) (field, rest []byte, more bool, err error) {
	n := 0
	for i := 0; i < len(b); i++ {
		if b[i] == '"' {
			switch {
			case i+1 == len(b):
				return b[:n], nil, false, nil
			case b[i+1] == ',':
				return b[:n], b[i+2:], true, nil
			case b[i+1] != '"':
				return nil, nil, false, errQuote
			}
			i++
		}
		b[n] = b[i]
		n++
	}
	return nil, nil, false, errQuote
}

// Header finds columns by name.
type Header struct {
	names []string
	at    map[string]int
}

// NewHeader reads a line of column names. Case does not matter, and neither do spaces around a name or a byte-order mark.
func NewHeader(line []byte) (*Header, error) {
	fields, err := Fields(nil, bytes.TrimPrefix(bytes.Clone(line), []byte("\xef\xbb\xbf")))
	if err != nil {
		return nil, err
	}
	h := &Header{at: map[string]int{}}
	for i, f := range fields {
		name := strings.ToLower(strings.TrimSpace(string(f)))
		if _, twice := h.at[name]; !twice {
			h.at[name] = i
		}
		h.names = append(h.names, name)
	}
	return h, nil
}

// Column is the place of the first of the names that there is; -1 when there is none.
func (h *Header) Column(names ...string) int {
	for _, n := range names {
		if i, ok := h.at[n]; ok {
			return i
		}
	}
	return -1
}

// Need is Column, for columns that must be there; what is missing is noted in missing.
func (h *Header) Need(missing *[]string, names ...string) int {
	i := h.Column(names...)
	if i < 0 {
		*missing = append(*missing, names[0])
	}
	return i
}

// Names are the columns' names, in order.
func (h *Header) Names() []string { return h.names }

// Len is how many columns there are.
func (h *Header) Len() int { return len(h.names) }

// Float reads a number that is finite; empty and not-a-number fields are absent.
func Float(b []byte) (v float64, ok bool, err error) {
	if len(b) == 0 {
		return 0, false, nil
	}
	v, err = strconv.ParseFloat(string(b), 64)
	if err != nil {
		if s := strings.ToLower(string(b)); s == "nan" || s == "null" || s == "none" {
			return 0, false, nil
		}
		return 0, false, fmt.Errorf("%.40q is not a number", b)
	}
	if v != v || v-v != 0 {
		return 0, false, nil
	}
	return v, true, nil
}
