package source

import (
	"errors"
	"fmt"
	"io"
)

// stop is an error that ends the reading of a table.
type stop struct{ err error }

func (s *stop) Error() string { return s.err.Error() }
func (s *stop) Unwrap() error { return s.err }

// Stop makes a row's error one that ends reading; others are noted as faults, and the next row is read. Nil stays nil.
func Stop(err error) error {
	if err == nil {
		return nil
	}
	return &stop{err}
}

// ReadTable reads a table with a header, compressed or not: begin looks at the header and says what is done with each row. Lines
// longer than max bytes and rows that can't be read are noted in faults. Without a header that is one, the error is unknown.
func ReadTable(in io.Reader, max int, faults *Faults, unknown error, begin func(*Header) (row func([][]byte) error, err error)) error {
	text, err := Open(in)
	if err != nil {
		return err
	}
	defer text.Close()
	lines := NewLines(text, max, faults)
	if !lines.Next() {
		return errors.Join(lines.Err(), unknown)
	}
	h, err := NewHeader(lines.Line())
	if err != nil {
		return unknown
	}
	row, err := begin(h)
	if err != nil {
		return err
	}
	var fields [][]byte
	for lines.Next() {
		if len(lines.Line()) == 0 {
			continue
		}
		if fields, err = Fields(fields, lines.Line()); err == nil && len(fields) != h.Len() {
			err = fmt.Errorf("%d fields, where the header names %d", len(fields), h.Len())
		}
		if err == nil {
			err = row(fields)
		}
		if err == nil {
			continue
		}
		var end *stop
		if errors.As(err, &end) {
			return end.err
		}
		faults.Add(lines.Number(), err)
	}
	return lines.Err()
}
