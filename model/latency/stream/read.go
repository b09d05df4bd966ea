package stream

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
)

// maxLine bounds a line; a longer one is passed over.
const maxLine = 64 << 10

// Report says what became of what was read.
type Report struct {
	Lines     int       `json:"lines"`
	Malformed int       `json:"malformed,omitempty"` // lines
	Counts              // of all streams
	Refused   int       `json:"refused,omitempty"` // values of streams that there was no room for
	Streams   int       `json:"streams"`
	Rows      int       `json:"rows"`              // closed, and kept
	Gone      int       `json:"gone,omitempty"`    // closed, and given up for newer ones
	Missing   int       `json:"missing,omitempty"` // values that closed rows lack
	Stopped   []Stopped `json:"stopped,omitempty"`
	Faults    []string  `json:"faults,omitempty"` // the first few, with their lines
}

// mostFaults is how many faults are told in full.
const mostFaults = 8

// Report is where a joiner stands, without what Read alone knows.
func (j *Joiner) Report() Report {
	r := Report{Refused: j.refused, Streams: len(j.columns), Rows: len(j.closed), Gone: j.gone, Stopped: j.Stopped()}
	for i := range j.columns {
		c := &j.columns[i].counts
		r.Taken += c.Taken
		r.Disorderly += c.Disorderly
		r.Late += c.Late
		r.Duplicate += c.Duplicate
		r.Differing += c.Differing
		r.Kind += c.Kind
		r.Choice += c.Choice
		r.Missing += j.columns[i].missing
	}
	return r
}

// Of is what became of a stream's values.
func (j *Joiner) Of(label string) (Counts, bool) {
	i, ok := j.at[label]
	if !ok {
		return Counts{}, false
	}
	return j.columns[i].counts, true
}

// Read takes the values of all lines, closes all rows, and reports. The error is r's: whatever the lines hold, they are read to
// the end.
func Read(r io.Reader, j *Joiner) (Report, error) {
	b := bufio.NewReaderSize(r, maxLine)
	lines, bad := 0, 0
	var faults []string
	fault := func(err error) {
		if len(faults) < mostFaults {
			faults = append(faults, fmt.Sprintf("line %d: %v", lines, err))
		}
	}
	var failed error
	for failed == nil {
		var line []byte
		line, failed = b.ReadSlice('\n')
		long := errors.Is(failed, bufio.ErrBufferFull)
		for errors.Is(failed, bufio.ErrBufferFull) {
			_, failed = b.ReadSlice('\n')
		}
		text := strings.TrimSpace(string(line))
		if text == "" && !long {
			if len(line) > 0 {
				lines++
			}
			continue
		}
		lines++
		v, err := Value{}, malformed("it is longer than %d bytes", maxLine)
		if !long {
			v, err = Parse([]byte(text))
		}
		if err == nil {
			err = j.Add(v)
		}
		if err != nil {
			fault(err)
		}
		if errors.Is(err, ErrMalformed) {
			bad++
		}
	}
	j.Flush()
	out := j.Report()
	out.Lines, out.Malformed, out.Faults = lines, bad, faults
	if errors.Is(failed, io.EOF) {
		failed = nil
	}
	return out, failed
}
