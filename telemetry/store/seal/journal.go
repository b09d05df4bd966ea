package seal

import (
	"bufio"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/crypto/chacha20poly1305"
)

// A journal is its header and then records, each as two boxes of XChaCha20-Poly1305 under a key of this journal's own:
//
//	nonce   23 bytes, random; a 24th is 0 for the length and 1 for the data
//	length  4 bytes, sealed: 20 bytes
//	data    length bytes, sealed: length + 16 bytes
//
// The length is sealed by itself so that a journal that ends within a record, as after a crash, is told apart from one whose
// length was changed so that it seems to. The header and the record's number are authenticated with both boxes, so a record is right in
// its own place alone. Nonces are random, not counted: a record that a crash tore is cut off and its number used again, and
// who copied the disk in between must not get two records under one nonce.
const (
	tag       = chacha20poly1305.Overhead
	nonceSize = chacha20poly1305.NonceSizeX
	frame     = nonceSize - 1 + 4 + tag // what comes before the data
	// MaxRecord is the longest record.
	MaxRecord = 16 << 20
	// HeaderSize is how long a file's header is. A journal that is shorter was being created when its writer ended.
	HeaderSize = headerSize
)

// boxes seal and open the records of one journal.
type boxes struct {
	aead cipher.AEAD
	aad  []byte // the header and room for the record's number
}

func newBoxes(k Key, h *header) boxes {
	aead, err := chacha20poly1305.NewX(k.derive(h.id[:], "journal", chacha20poly1305.KeySize))
	if err != nil {
		panic("seal: " + err.Error()) // the size is fixed
	}
	return boxes{aead, append(h.raw[:headerSize:headerSize], make([]byte, 8)...)}
}

func (b boxes) place(i uint64) []byte {
	binary.BigEndian.PutUint64(b.aad[headerSize:], i)
	return b.aad
}

func (b boxes) seal(dst []byte, i uint64, record []byte) []byte {
	var nonce [nonceSize]byte
	_, _ = rand.Read(nonce[:nonceSize-1]) // ends the program rather than fail
	aad := b.place(i)
	dst = append(dst, nonce[:nonceSize-1]...)
	dst = b.aead.Seal(dst, nonce[:], binary.BigEndian.AppendUint32(nil, uint32(len(record))), aad)
	nonce[nonceSize-1] = 1
	return b.aead.Seal(dst, nonce[:], record, aad)
}

// length opens what comes before the data of a record, and returns the nonce of that.
func (b boxes) length(i uint64, f []byte) (n int, nonce []byte, err error) {
	nonce = append(append(make([]byte, 0, nonceSize), f[:nonceSize-1]...), 0)
	length, err := b.aead.Open(nil, nonce, f[nonceSize-1:], b.place(i))
	if err != nil {
		return 0, nil, err
	}
	nonce[nonceSize-1] = 1
	return int(binary.BigEndian.Uint32(length)), nonce, nil
}

// Journal is a sealed file that grows by records. It is used by one goroutine at a time.
type Journal struct {
	f      *os.File
	boxes  boxes
	count  uint64
	size   int64
	buf    []byte
	broken error
}

// CreateJournal begins a journal in a new file of mode 0600.
func CreateJournal(path string, k Key, name string, m Marks) (*Journal, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	h := newHeader(k, kindJournal, name, m)
	if _, err := f.Write(h.raw[:]); err != nil {
		return nil, errors.Join(err, f.Close(), os.Remove(path))
	}
	return &Journal{f: f, boxes: newBoxes(k, &h), size: headerSize}, nil
}

// OpenJournal opens a journal to append to, gives each of its records to visit, and cuts off a record that was not written to its end;
// lost is how many bytes that were.
func OpenJournal(path string, k Key, name string, visit func(record []byte) error) (j *Journal, lost int64, err error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, 0, err
	}
	defer func() {
		if err != nil {
			j, err = nil, errors.Join(err, f.Close())
		}
	}()
	got, err := readJournal(f, k, name, visit)
	if err != nil {
		return nil, 0, err
	}
	end, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, 0, err
	}
	if end > got.size {
		if err := f.Truncate(got.size); err != nil {
			return nil, 0, err
		}
		if _, err := f.Seek(got.size, io.SeekStart); err != nil {
			return nil, 0, err
		}
	}
	return &Journal{f: f, boxes: got.boxes, count: got.count, size: got.size}, end - got.size, nil
}

// ReadJournal gives each whole record of a journal to visit, whose slice is valid until it returns, and changes nothing: the journal
// may be written meanwhile. A torn end is no error.
func ReadJournal(r io.Reader, k Key, name string, visit func(record []byte) error) error {
	_, err := readJournal(r, k, name, visit)
	return err
}

// journalState is how far a journal is right.
type journalState struct {
	boxes boxes
	marks Marks
	count uint64 // records
	size  int64  // bytes, up to the end of the last whole record
}

// readJournal gives each whole record to visit, whose slice is valid until it returns. A torn end is no error.
func readJournal(f io.Reader, k Key, name string, visit func([]byte) error) (journalState, error) {
	r := bufio.NewReaderSize(f, 1<<16)
	h, err := readHeader(r, k, kindJournal, name)
	if err != nil {
		return journalState{}, err
	}
	s := journalState{boxes: newBoxes(k, &h), marks: h.marks, size: headerSize}
	var box []byte
	for {
		var before [frame]byte
		_, err := io.ReadFull(r, before[:])
		if torn, err := ended(err); torn || err != nil {
			return s, err
		}
		size, nonce, err := s.boxes.length(s.count, before[:])
		if err != nil && tailIsZero(before[:]) && restIsZero(r) {
			return s, nil
		}
		if err != nil || size > MaxRecord {
			return s, changedRecord(name, s)
		}
		if cap(box) < size+tag {
			box = make([]byte, size+tag)
		}
		box = box[:size+tag]
		_, err = io.ReadFull(r, box)
		if torn, err := ended(err); torn || err != nil {
			return s, err
		}
		cut := tailIsZero(box)
		record, err := s.boxes.aead.Open(box[:0], nonce, box, s.boxes.place(s.count))
		if err != nil {
			if cut && restIsZero(r) {
				return s, nil
			}
			return s, changedRecord(name, s)
		}
		if err := visit(record); err != nil {
			return s, err
		}
		s.count++
		s.size += frame + int64(size) + tag
	}
}

// ended tells a file that ends where a record is due, or within one, from one that can't be read.
func ended(err error) (bool, error) {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return true, nil
	}
	return false, err
}

func changedRecord(name string, s journalState) error {
	return fmt.Errorf("%s: %w: record %d, at byte %d", name, ErrChanged, s.count, s.size)
}

// restIsZero reports that nothing but zeros follow to the end: some file systems leave them after a loss of power, where a
// file had grown before its data was written. They give nothing away to who could cut the file there instead.
func restIsZero(r *bufio.Reader) bool {
	for {
		c, err := r.ReadByte()
		if err != nil {
			return err == io.EOF
		}
		if c != 0 {
			return false
		}
	}
}

// tailIsZero reports that a box ends in zeros where its tag should be: that its end never came to the disk.
func tailIsZero(box []byte) bool {
	for _, c := range box[len(box)-tag:] {
		if c != 0 {
			return false
		}
	}
	return true
}

// Append adds records, which survive the end of this process once it returns nil. After an error none of them is there.
func (j *Journal) Append(records ...[]byte) error {
	if j.broken != nil {
		return j.broken
	}
	j.buf = j.buf[:0]
	for i, r := range records {
		if len(r) > MaxRecord {
			return fmt.Errorf("a record of %d bytes: at most %d fit", len(r), MaxRecord)
		}
		j.buf = j.boxes.seal(j.buf, j.count+uint64(i), r)
	}
	if _, err := j.f.WriteAt(j.buf, j.size); err != nil {
		// What was written must go, or what is appended next would stand behind half a record.
		if terr := j.f.Truncate(j.size); terr != nil {
			j.broken = fmt.Errorf("the journal ends in the middle of a record: %w", errors.Join(err, terr))
		}
		return err
	}
	j.count += uint64(len(records))
	j.size += int64(len(j.buf))
	if cap(j.buf) > 1<<20 {
		j.buf = nil
	}
	return nil
}

// Sync forces what was appended to disk.
func (j *Journal) Sync() error { return j.f.Sync() }

// Count is how many records there are.
func (j *Journal) Count() uint64 { return j.count }

// Size is how many bytes they take.
func (j *Journal) Size() int64 { return j.size }

// Close closes the file.
func (j *Journal) Close() error { return j.f.Close() }
