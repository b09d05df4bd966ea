package steps

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"os"
	"time"

	"foresail.dev/model/tail"
)

// Writer appends the steps of one run to its file. Each is there once Add has returned, whatever becomes of the process.
type Writer struct {
	file   *os.File
	layout layout
	record []byte
	last   time.Time
	err    error // the first; nothing is written after it
}

// Create begins a file, which must not be there yet.
func Create(path string, h Header) (*Writer, error) {
	head, err := h.encode()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return nil, err
	}
	if _, err := file.Write(head); err != nil {
		return nil, errors.Join(err, file.Close(), os.Remove(path))
	}
	return newWriter(file, h, time.Time{}), nil
}

func newWriter(file *os.File, h Header, last time.Time) *Writer {
	return &Writer{file: file, layout: h.layout(), record: make([]byte, 0, h.layout().size()), last: last}
}

// Append goes on with a file, or begins it where it is not there. A record that a crash left unfinished is dropped first. The
// file must be of the same application, cluster, manager, load and seed.
func Append(path string, h Header) (*Writer, error) {
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if errors.Is(err, os.ErrNotExist) {
		return Create(path, h)
	}
	if err != nil {
		return nil, err
	}
	w, err := goOn(file, path, h)
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return w, nil
}

func goOn(file *os.File, path string, h Header) (*Writer, error) {
	var last time.Time
	f, err := read(file, func(s tail.Step) { last = s.End })
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if err := f.Header.Schema.Differs(&h.Schema); err != nil {
		return nil, fmt.Errorf("%s can't be gone on with: %w: give another folder", path, err)
	}
	have := f.Header
	for _, c := range []struct {
		what       string
		have, want any
	}{{"cluster", have.Cluster, h.Cluster}, {"manager", have.Manager, h.Manager}, {"load", have.Load, h.Load}, {"seed", have.Seed, h.Seed}} {
		if c.have != c.want {
			return nil, fmt.Errorf("%s can't be gone on with: it is of %s %v and this run is of %v: give another folder", path, c.what, c.have, c.want)
		}
	}
	if err := file.Truncate(f.whole); err != nil {
		return nil, err
	}
	if _, err := file.Seek(f.whole, io.SeekStart); err != nil {
		return nil, err
	}
	return newWriter(file, have, last), nil
}

// Last is the end of the newest step of the file; zero where it has none.
func (w *Writer) Last() time.Time { return w.last }

// Add appends a step, which must be later than the one before it and of the file's application. After an error of the disk
// every further call returns that error; what was written before it stays.
func (w *Writer) Add(s *tail.Step) error {
	switch {
	case w.err != nil:
		return w.err
	case len(s.Services) != w.layout.services || len(s.Endpoints) != w.layout.endpoints:
		return fmt.Errorf("%s: a step of %d services and %d endpoints, and the file is of %d and %d", w.file.Name(), len(s.Services), len(s.Endpoints), w.layout.services, w.layout.endpoints)
	case !s.End.After(w.last):
		return fmt.Errorf("%s: a step of %s after one of %s", w.file.Name(), s.End.Format(time.RFC3339Nano), w.last.Format(time.RFC3339Nano))
	}
	w.record = order.AppendUint64(w.record[:0], uint64(s.End.UnixNano()))
	numbers(s, func(v *float64) { w.record = order.AppendUint32(w.record, math.Float32bits(float32(*v))) })
	w.record = order.AppendUint32(w.record, crc32.Checksum(w.record, table))
	if _, err := w.file.Write(w.record); err != nil {
		w.err = fmt.Errorf("the data set is not complete: %w", err)
		return w.err
	}
	w.last = s.End
	return nil
}

// Close forces the file to disk and closes it.
func (w *Writer) Close() error { return errors.Join(w.file.Sync(), w.file.Close()) }

// encode is the file's beginning.
func (h *Header) encode() ([]byte, error) {
	if err := h.check(); err != nil {
		return nil, err
	}
	text, err := json.Marshal(h)
	if err != nil {
		return nil, err
	}
	if len(text) > maxHeader {
		return nil, fmt.Errorf("the header has %d bytes, and %d may be", len(text), maxHeader)
	}
	out := order.AppendUint32([]byte(magic), uint32(len(text)))
	out = append(out, text...)
	return order.AppendUint32(out, crc32.Checksum(text, table)), nil
}

// check reports what a header may not lack.
func (h *Header) check() error {
	if err := h.Schema.Check(); err != nil {
		return err
	}
	if s, e := len(h.Schema.Services), len(h.Schema.Endpoints); s > maxNames || e > maxNames {
		return fmt.Errorf("it has %d services and %d endpoints, and %d of each may be", s, e, maxNames)
	}
	return nil
}
