package steps

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"foresail.dev/model/tail"
)

// File is what a file holds.
type File struct {
	Path    string
	Header  Header
	Runs    []tail.Run // its steps, parted where seconds are missing; each is named after the file
	Dropped int        // bytes of a record that a crash left unfinished

	whole int64 // bytes up to there
}

// Steps is how many steps a file holds.
func (f *File) Steps() (n int) {
	for i := range f.Runs {
		n += len(f.Runs[i].Steps)
	}
	return n
}

// ReadFile reads a file.
func ReadFile(path string) (*File, error) {
	r, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	f, err := Read(r)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	f.name(path)
	return f, nil
}

func (f *File) name(path string) {
	f.Path = path
	base := strings.TrimSuffix(filepath.Base(path), Ext)
	for i := range f.Runs {
		f.Runs[i].Name = base
		if i > 0 {
			f.Runs[i].Name = fmt.Sprintf("%s (%d)", base, i+1)
		}
	}
}

// Read reads what a file holds.
func Read(r io.Reader) (*File, error) {
	var runs []tail.Run
	f, err := read(r, func(s tail.Step) {
		if n := len(runs); n == 0 || !follows(runs[n-1].Steps, &s) {
			runs = append(runs, tail.Run{})
		}
		run := &runs[len(runs)-1]
		run.Steps = append(run.Steps, s)
	})
	if err != nil {
		return nil, err
	}
	f.Runs = runs
	return f, nil
}

// follows reports whether no second is missing before the next step.
func follows(before []tail.Step, next *tail.Step) bool {
	return next.End.Sub(before[len(before)-1].End).Round(time.Millisecond) == tail.Interval
}

// read reads a header and tells the steps that follow it.
func read(from io.Reader, each func(tail.Step)) (*File, error) {
	r := bufio.NewReaderSize(from, 1<<16)
	f := new(File)
	n, err := f.Header.decode(r)
	if err != nil {
		return nil, err
	}
	f.whole = int64(n)
	l := f.Header.layout()
	record := make([]byte, l.size())
	for at := 1; ; at++ {
		n, err := io.ReadFull(r, record)
		switch {
		case errors.Is(err, io.EOF):
			return f, nil
		case errors.Is(err, io.ErrUnexpectedEOF):
			f.Dropped = n
			return f, nil
		case err != nil:
			return nil, err
		}
		if order.Uint32(record[len(record)-4:]) != crc32.Checksum(record[:len(record)-4], table) {
			if _, err := r.Peek(1); errors.Is(err, io.EOF) { // the last one: the power went while it was written
				f.Dropped = len(record)
				return f, nil
			}
			return nil, fmt.Errorf("record %d is damaged: remove the file, or copy it from where it is whole", at)
		}
		each(l.step(record))
		f.whole += int64(len(record))
	}
}

// step is what a record holds.
func (l layout) step(record []byte) tail.Step {
	s := tail.Step{End: time.Unix(0, int64(order.Uint64(record))).UTC(),
		Endpoints: make([]tail.EndpointStep, l.endpoints), Services: make([]tail.ServiceStep, l.services)}
	at := 8
	numbers(&s, func(v *float64) {
		*v = float64(math.Float32frombits(order.Uint32(record[at:])))
		at += 4
	})
	return s
}

// decode reads a file's beginning, and how long that is.
func (h *Header) decode(r io.Reader) (int, error) {
	head := make([]byte, len(magic)+4)
	if _, err := io.ReadFull(r, head); err != nil || string(head[:len(magic)]) != magic {
		if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			return 0, err
		}
		return 0, errors.New("it is no file of steps, or one of another version of this program: give one that 'foresail explore' wrote")
	}
	n := order.Uint32(head[len(magic):])
	if n > maxHeader {
		return 0, fmt.Errorf("its header has %d bytes, and %d may be: it is damaged", n, maxHeader)
	}
	var text bytes.Buffer
	if _, err := io.CopyN(&text, r, int64(n)+4); err != nil {
		return 0, fmt.Errorf("its header is not whole: %w", err)
	}
	b := text.Bytes()
	if order.Uint32(b[n:]) != crc32.Checksum(b[:n], table) {
		return 0, errors.New("its header is damaged: remove the file")
	}
	d := json.NewDecoder(bytes.NewReader(b[:n]))
	d.DisallowUnknownFields()
	if err := d.Decode(h); err != nil {
		return 0, fmt.Errorf("its header: %w", err)
	}
	return len(head) + len(b), h.check()
}

// ReadDir reads the files of a folder, in the order of their names. All must be of one application: of want, where that is
// given. What is no data set by its name is left alone.
func ReadDir(dir string, want *tail.Schema) ([]*File, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var out []*File
	var errs []error
	for _, e := range entries {
		if e.IsDir() || filepath.Ext(e.Name()) != Ext {
			continue
		}
		f, err := ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if want == nil {
			want = &f.Header.Schema
		}
		if err := f.Header.Schema.Differs(want); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w: keep one folder for each application", f.Path, err))
			continue
		}
		out = append(out, f)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%s holds no data set: make one with 'foresail explore'", dir)
	}
	return out, nil
}

// Runs are those of all files.
func Runs(files []*File) []tail.Run {
	var out []tail.Run
	for _, f := range files {
		out = append(out, f.Runs...)
	}
	return slices.Clip(out)
}
