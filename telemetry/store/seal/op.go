package seal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"path/filepath"
)

// opKind says what a record of a vault's journal did.
type opKind byte

const (
	opPut    opKind = 1 + iota // the file has this content
	opAppend                   // the file has this content behind so many bytes
	opFile                     // the file has the content of a sealed file
	opRemove                   // the file is gone
	opBase                     // all that was there when the journal began is above
)

// op is one record: kind, length of the path, the path, and then, by kind, data, the offset and data, or an id.
type op struct {
	kind opKind
	path string
	at   uint64
	file ID
	data []byte
}

func encodeOp(o op) []byte {
	b := append(make([]byte, 0, len(o.path)+len(o.data)+32), byte(o.kind))
	b = binary.AppendUvarint(b, uint64(len(o.path)))
	b = append(b, o.path...)
	switch o.kind {
	case opAppend:
		b = binary.AppendUvarint(b, o.at)
	case opFile:
		b = append(b, o.file[:]...)
	}
	return append(b, o.data...)
}

var errOp = errors.New("a record that this program doesn't know")

// decodeOp reads a record. A path that leads out of the directory is refused, whoever sealed it.
func decodeOp(b []byte) (o op, err error) {
	if len(b) == 0 || opKind(b[0]) < opPut || opKind(b[0]) > opBase {
		return o, errOp
	}
	o.kind, b = opKind(b[0]), b[1:]
	n, w := binary.Uvarint(b)
	if w <= 0 || n > uint64(len(b)-w) {
		return o, errOp
	}
	o.path, b = string(b[w:w+int(n)]), b[w+int(n):]
	if o.kind != opBase && !filepath.IsLocal(filepath.FromSlash(o.path)) {
		return o, fmt.Errorf("a record is about %q, which is outside", o.path)
	}
	switch o.kind {
	case opAppend:
		if o.at, w = binary.Uvarint(b); w <= 0 || o.at > 1<<62 {
			return o, errOp
		}
		b = b[w:]
	case opFile:
		if len(b) != len(o.file) {
			return o, errOp
		}
		o.file = ID(b)
		return o, nil
	}
	o.data = b
	return o, nil
}
