package seal

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/tink-crypto/tink-go/v2/streamingaead/subtle"
)

// segment is the unit that is encrypted, and must be right before any of it is handed out.
const segment = 64 << 10

func stream(k Key) *subtle.AESGCMHKDF {
	s, err := subtle.NewAESGCMHKDF(k.derive(nil, "files", 32), "SHA256", 32, segment, 0)
	if err != nil {
		panic("seal: " + err.Error()) // sizes are fixed
	}
	return s
}

// NewWriter seals what is written to it until Close, which doesn't close w. Without Close the file is cut short.
func NewWriter(w io.Writer, k Key, name string, m Marks) (io.WriteCloser, ID, error) {
	h := newHeader(k, kindFile, name, m)
	if _, err := w.Write(h.raw[:]); err != nil {
		return nil, h.id, err
	}
	e, err := stream(k).NewEncryptingWriter(w, h.raw[:])
	return e, h.id, err
}

// NewReader opens what NewWriter sealed under the same name. It hands out nothing that is not proved right; io.EOF comes only where the
// writer was closed.
func NewReader(r io.Reader, k Key, name string) (io.Reader, ID, Marks, error) {
	h, err := readHeader(r, k, kindFile, name)
	if err != nil {
		return nil, h.id, h.marks, err
	}
	d, err := stream(k).NewDecryptingReader(r, h.raw[:])
	if err != nil {
		err = fmt.Errorf("%s: %w: it ends within its header", name, ErrChanged)
	}
	return &checked{d, r, name}, h.id, h.marks, err
}

// checked names what is wrong: of all errors, those of the file below are the only ones that are not about its bytes.
type checked struct {
	io.Reader
	below io.Reader
	name  string
}

func (c *checked) Read(b []byte) (int, error) {
	n, err := c.Reader.Read(b)
	var path *os.PathError
	if err == nil || err == io.EOF || errors.As(err, &path) {
		return n, err
	}
	return n, fmt.Errorf("%s: %w", c.name, ErrChanged)
}

// Seal is data sealed under a name.
func Seal(k Key, name string, data []byte, m Marks) []byte {
	var b bytes.Buffer
	w, _, err := NewWriter(&b, k, name, m)
	if err == nil {
		_, err = w.Write(data)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		panic("seal: " + err.Error()) // a buffer takes everything
	}
	return b.Bytes()
}

// Unseal is the data that was sealed under a name.
func Unseal(k Key, name string, sealed []byte) ([]byte, Marks, error) {
	r, _, m, err := NewReader(bytes.NewReader(sealed), k, name)
	if err != nil {
		return nil, m, err
	}
	b, err := io.ReadAll(r)
	if err != nil {
		return nil, m, err
	}
	return b, m, nil
}

// WriteFile seals data in a file of mode 0600, which is there as a whole or not at all, and on disk when it returns.
func WriteFile(path string, k Key, name string, data []byte, m Marks) error {
	_, err := writeFile(path, k, name, bytes.NewReader(data), m)
	return err
}

// ReadFile is what WriteFile sealed.
func ReadFile(path string, k Key, name string) ([]byte, Marks, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, Marks{}, err
	}
	return Unseal(k, name, b)
}

func writeFile(path string, k Key, name string, from io.Reader, m Marks) (id ID, err error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".sealing-*")
	if err != nil {
		return id, err
	}
	defer func() {
		if err != nil {
			os.Remove(f.Name())
		}
	}()
	buf := bufio.NewWriterSize(f, segment)
	w, id, err := NewWriter(buf, k, name, m)
	if err == nil {
		_, err = io.Copy(w, from)
	}
	if err == nil {
		err = w.Close()
	}
	if err == nil {
		err = buf.Flush()
	}
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err == nil {
		err = syncDir(filepath.Dir(path))
	}
	return id, err
}

// syncDir makes names in a directory last.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
