package otlp

// shape is what the scanner must know of a message to check bytes that it does not need: for each field its wire type,
// the shape of a message in it, and the length of an id in it.
type shape struct {
	fields [20]field // by number
	nests  bool      // messages of this shape count towards maxDepth
}

type field struct {
	known bool
	wire  uint8
	id    uint8 // 0, or the only length besides zero that the content may have
	msg   *shape
}

// Shapes of the messages in opentelemetry/proto/trace/v1 and common/v1.
var (
	anyValueShape, keyValueShape, arrayShape, listShape shape
	scopeShape, statusShape, eventShape, linkShape      shape
	spanShape, entityShape, resourceShape               shape
)

func init() {
	bytes, number := field{known: true, wire: wireBytes}, field{known: true, wire: wireVarint}
	of := func(s *shape) field { return field{known: true, wire: wireBytes, msg: s} }
	id := func(n uint8) field { return field{known: true, wire: wireBytes, id: n} }
	wide, narrow := field{known: true, wire: wire64}, field{known: true, wire: wire32}

	anyValueShape = shape{nests: true, fields: [20]field{1: bytes, 2: number, 3: number, 4: wide, 5: of(&arrayShape), 6: of(&listShape), 7: bytes, 8: number}}
	keyValueShape = shape{nests: true, fields: [20]field{1: bytes, 2: of(&anyValueShape), 3: number}}
	arrayShape = shape{nests: true, fields: [20]field{1: of(&anyValueShape)}}
	listShape = shape{nests: true, fields: [20]field{1: of(&keyValueShape)}}
	scopeShape = shape{fields: [20]field{1: bytes, 2: bytes, 3: of(&keyValueShape), 4: number}}
	statusShape = shape{fields: [20]field{2: bytes, 3: number}}
	eventShape = shape{fields: [20]field{1: wide, 2: bytes, 3: of(&keyValueShape), 4: number}}
	linkShape = shape{fields: [20]field{1: id(16), 2: id(8), 3: bytes, 4: of(&keyValueShape), 5: number, 6: narrow}}
	entityShape = shape{fields: [20]field{1: bytes, 2: bytes, 3: bytes, 4: bytes}}
	resourceShape = shape{fields: [20]field{1: of(&keyValueShape), 2: number, 3: of(&entityShape)}}
	spanShape = shape{fields: [20]field{1: id(16), 2: id(8), 3: bytes, 4: id(8), 5: bytes, 6: number, 7: wide, 8: wide,
		9: of(&keyValueShape), 10: number, 11: of(&eventShape), 12: number, 13: of(&linkShape), 14: number, 15: of(&statusShape), 16: narrow}}
}

// check checks a message that nothing is read from.
func check(b []byte, s *shape) error { return checkAt(b, s, 0) }

func checkAt(b []byte, s *shape, depth int) error {
	if s.nests {
		if depth >= maxDepth {
			return errDepth
		}
		depth++
	}
	for pos := 0; pos < len(b); {
		t, next, err := tag(b, pos)
		if err != nil {
			return err
		}
		if pos, err = checkField(b, next, t, s, depth); err != nil {
			return err
		}
	}
	return nil
}

// checkField checks one field whose tag was read, and returns where it ends.
func checkField(b []byte, pos int, t uint64, s *shape, depth int) (int, error) {
	n := t >> 3
	if n >= uint64(len(s.fields)) || !s.fields[n].known {
		return skip(b, pos, t&7)
	}
	f := &s.fields[n]
	if uint64(f.wire) != t&7 {
		return 0, errMismatch
	}
	if f.wire != wireBytes {
		if f.wire == wireVarint {
			_, pos, err := varint(b, pos)
			return pos, err
		}
		if f.wire == wire64 {
			return fixedEnd(b, pos, 8)
		}
		return fixedEnd(b, pos, 4)
	}
	content, pos, err := bytesField(b, pos, t)
	switch {
	case err != nil:
		return 0, err
	case f.id != 0 && len(content) != 0 && len(content) != int(f.id):
		if f.id == 16 {
			return 0, errTraceID
		}
		return 0, errSpanID
	case f.msg != nil:
		if err := checkAt(content, f.msg, depth); err != nil {
			return 0, err
		}
	}
	return pos, nil
}

// plainAttribute recognises, in a few comparisons, the form in which nearly every attribute comes: one key and one value,
// in either order, each shorter than 128 bytes, and the value a plain one. False says nothing.
func plainAttribute(b []byte) bool {
	if len(b) < 4 || b[1] >= 0x80 {
		return false
	}
	second := 2 + int(b[1])
	if second+2 > len(b) || b[second+1] >= 0x80 || int(b[second+1]) != len(b)-second-2 {
		return false
	}
	const key, value = 1<<3 | wireBytes, 2<<3 | wireBytes
	switch {
	case b[0] == key && b[second] == value:
		return plainValue(b[second+2:])
	case b[0] == value && b[second] == key:
		return plainValue(b[2:second])
	}
	return false
}

// plainValue recognises a value that is a string, a truth value, a small whole number or a double.
func plainValue(b []byte) bool {
	if len(b) < 2 {
		return len(b) == 0
	}
	switch b[0] {
	case 1<<3 | wireBytes:
		return int(b[1]) == len(b)-2 && b[1] < 0x80
	case 2<<3 | wireVarint, 3<<3 | wireVarint:
		return len(b) == 2 && b[1] < 0x80 || len(b) == 3 && b[1] >= 0x80 && b[2] < 0x80
	case 4<<3 | wire64:
		return len(b) == 9
	}
	return false
}
