package seal

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
)

// Errors that sealed data is refused with. They come wrapped, with the name of the file.
var (
	// ErrNotSealed is returned for what was never sealed, or was by a newer program.
	ErrNotSealed = errors.New("not sealed data")
	// ErrKey is returned where another key than the one given is needed.
	ErrKey = errors.New("sealed with another key")
	// ErrChanged is returned where bytes were changed, or are missing where a crash leaves none out.
	ErrChanged = errors.New("sealed data was changed or cut short")
	// ErrSwapped is returned for a file that was sealed under another name.
	ErrSwapped = errors.New("sealed data is in another file's place")
	// ErrRolledBack is returned where there is less, or older, than was there before.
	ErrRolledBack = errors.New("sealed data is older than it was")
)

var magic = []byte("FSSEAL1\n")

const (
	kindFile    = 'F'
	kindJournal = 'J'
	headerSize  = 8 + 1 + 8 + 16 + 16 + 16
)

// Marks are two numbers that a writer keeps with what it seals.
type Marks [2]uint64

// ID names one sealed file for ever.
type ID [16]byte

// String is the id in hexadecimal digits.
func (id ID) String() string { return hex.EncodeToString(id[:]) }

// header is what sealed data begins with.
type header struct {
	kind  byte
	id    ID
	marks Marks
	raw   [headerSize]byte
}

func newHeader(k Key, kind byte, name string, m Marks) header {
	h := header{kind: kind, marks: m}
	_, _ = rand.Read(h.id[:])
	b := append(h.raw[:0], magic...)
	b = append(b, kind)
	b = append(b, k.derive(nil, "key id", 8)...)
	b = append(b, h.id[:]...)
	b = append(b, nameTag(k, name)...)
	b = binary.BigEndian.AppendUint64(b, m[0])
	binary.BigEndian.AppendUint64(b, m[1])
	return h
}

// readHeader checks everything about a header that can be told before what follows it is.
func readHeader(r io.Reader, k Key, kind byte, name string) (header, error) {
	var h header
	n, err := io.ReadFull(r, h.raw[:])
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return h, err
	}
	b := h.raw[:n]
	switch {
	case n >= len(magic) && !bytes.Equal(b[:8], magic) || n < len(magic) && !bytes.HasPrefix(magic, b):
		return h, fmt.Errorf("%s: %w", name, ErrNotSealed)
	case n < headerSize:
		return h, fmt.Errorf("%s: %w: it ends within its header", name, ErrChanged)
	case subtle.ConstantTimeCompare(b[9:17], k.derive(nil, "key id", 8)) != 1:
		return h, fmt.Errorf("%s: %w: it needs key %x, and this is %s", name, ErrKey, b[9:17], k)
	case b[8] != kind:
		return h, fmt.Errorf("%s: %w: a %c where a %c belongs", name, ErrSwapped, b[8], kind)
	}
	h.kind, h.id = kind, ID(b[17:33])
	h.marks = Marks{binary.BigEndian.Uint64(b[49:]), binary.BigEndian.Uint64(b[57:])}
	if !hmac.Equal(b[33:49], nameTag(k, name)) {
		return h, fmt.Errorf("%s: %w", name, ErrSwapped)
	}
	return h, nil
}

// IsSealed reports whether data begins as sealed data does.
func IsSealed(data []byte) bool { return bytes.HasPrefix(data, magic) }

// nameTag tells names apart without telling them.
func nameTag(k Key, name string) []byte {
	m := hmac.New(sha256.New, k.derive(nil, "names", 32))
	m.Write([]byte(name))
	return m.Sum(nil)[:16]
}
