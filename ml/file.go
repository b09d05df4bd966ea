package ml

import (
	"bytes"
	"crypto/sha256"
	"encoding"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
)

// Version of the model files that Write writes. Read reads this and all earlier ones.
const Version = 1

// Limits on what Read takes in, so that a broken length can't exhaust the memory.
const (
	maxHeader  = 1 << 20
	maxPayload = 1 << 30
)

// magic starts every model file. Its first byte is no text, and the line ends at its close show a transfer that took the
// file for text.
var magic = []byte("\x89FSM\r\n\x1a\n")

// What Read and Load report, wrapped in what was found.
var (
	ErrNotModel  = errors.New("not a model file")
	ErrTruncated = errors.New("the model file is truncated")
	ErrCorrupt   = errors.New("the model file is corrupt")
	ErrFuture    = errors.New("the model file is of a later version")
	ErrUnfit     = errors.New("the model does not fit") // it is of another kind, application or feature schema
)

const again = "copy it again from where it came from, or train the model again"

// Write writes a model and what is to be known of it.
func Write(w io.Writer, h Header, model encoding.BinaryMarshaler) error {
	if err := h.check(); err != nil {
		return err
	}
	header, err := json.Marshal(h)
	if err != nil {
		return fmt.Errorf("header of a model of kind %q: %w", h.Kind, err)
	}
	payload, err := model.MarshalBinary()
	if err != nil {
		return fmt.Errorf("model of kind %q: %w", h.Kind, err)
	}
	if len(header) > maxHeader || len(payload) > maxPayload {
		return fmt.Errorf("model of kind %q: header of %d and payload of %d bytes; at most %d and %d can be kept", h.Kind, len(header), len(payload), maxHeader, maxPayload)
	}
	file := slices.Clone(magic)
	file = binary.LittleEndian.AppendUint32(file, Version)
	file = binary.LittleEndian.AppendUint32(file, uint32(len(header)))
	file = binary.LittleEndian.AppendUint64(file, uint64(len(payload)))
	file = append(file, header...)
	file = append(file, payload...)
	_, err = w.Write(summed(file))
	return err
}

// summed is a file's bytes with their checksum after them.
func summed(file []byte) []byte {
	sum := sha256.Sum256(file)
	return append(file, sum[:]...)
}

// Read reads a model file and returns its header and payload. It fails with ErrNotModel, ErrTruncated, ErrCorrupt or
// ErrFuture, or with r's error.
func Read(r io.Reader) (Header, []byte, error) {
	var file bytes.Buffer
	start := len(magic) + 16
	if err := take(&file, r, start, "its first bytes"); err != nil {
		if file.Len() < len(magic) || !bytes.Equal(file.Bytes()[:len(magic)], magic) {
			return Header{}, nil, notModel(err)
		}
		return Header{}, nil, err
	}
	b := file.Bytes()
	if !bytes.Equal(b[:len(magic)], magic) {
		return Header{}, nil, notModel(nil)
	}
	version := binary.LittleEndian.Uint32(b[len(magic):])
	if version > Version {
		return Header{}, nil, fmt.Errorf("%w: %d, and this program reads up to %d: use the program that wrote it, or a later one", ErrFuture, version, Version)
	}
	headerLen, payloadLen := binary.LittleEndian.Uint32(b[len(magic)+4:]), binary.LittleEndian.Uint64(b[len(magic)+8:])
	if version == 0 || headerLen > maxHeader || payloadLen > maxPayload {
		return Header{}, nil, fmt.Errorf("%w: version %d with a header of %d and a payload of %d bytes: %s", ErrCorrupt, version, headerLen, payloadLen, again)
	}
	if err := take(&file, r, int(headerLen)+int(payloadLen), "header and payload"); err != nil {
		return Header{}, nil, err
	}
	want := sha256.Sum256(file.Bytes())
	if err := take(&file, r, len(want), "the checksum"); err != nil {
		return Header{}, nil, err
	}
	b = file.Bytes()
	end := len(b) - len(want)
	if !bytes.Equal(b[end:], want[:]) {
		return Header{}, nil, fmt.Errorf("%w: its bytes are not those that were written (SHA-256 differs): %s", ErrCorrupt, again)
	}
	if n, err := io.CopyN(io.Discard, r, 1); n != 0 {
		return Header{}, nil, fmt.Errorf("%w: something follows its checksum: %s", ErrCorrupt, again)
	} else if err != io.EOF {
		return Header{}, nil, fmt.Errorf("the model file can't be read: %w", err)
	}
	h, err := decodeHeader(b[start : start+int(headerLen)])
	if err != nil {
		return Header{}, nil, fmt.Errorf("%w: its header: %w: %s", ErrCorrupt, err, again)
	}
	return h, slices.Clip(b[start+int(headerLen) : end]), nil
}

// Load reads a model file into a model, when it fits what is wanted (see Header.Fits).
func Load(r io.Reader, want Header, model encoding.BinaryUnmarshaler) (Header, error) {
	h, payload, err := Read(r)
	if err != nil {
		return Header{}, err
	}
	if err := h.Fits(want); err != nil {
		return h, err
	}
	if err := model.UnmarshalBinary(payload); err != nil {
		return h, fmt.Errorf("model of kind %q: %w", h.Kind, err)
	}
	return h, nil
}

// take appends n bytes of r to the file. It grows with what is really there.
func take(file *bytes.Buffer, r io.Reader, n int, what string) error {
	got, err := io.CopyN(file, r, int64(n))
	if err == io.EOF {
		return fmt.Errorf("%w: of %s %d bytes are there and %d should be: %s", ErrTruncated, what, got, n, again)
	}
	if err != nil {
		return fmt.Errorf("the model file can't be read: %w", err)
	}
	return nil
}

// notModel says that a file is something else; err is why it could not be read as far as its magic, or nil.
func notModel(err error) error {
	if err != nil && !errors.Is(err, ErrTruncated) {
		return err
	}
	return fmt.Errorf("%w: it does not begin with the bytes of one: give a file that `foresail train` wrote", ErrNotModel)
}
