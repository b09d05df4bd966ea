package wire

import (
	"foresail.dev/telemetry/frames"

	"google.golang.org/protobuf/encoding/protowire"
)

// Field numbers of the schema.
const (
	frameSent, frameHello, frameTable, frameBeat                                    = 1, 2, 3, 4
	helloVersion, helloNode, helloInstance, helloCores, helloMemory, helloNote      = 1, 2, 3, 4, 5, 6
	tableGeneration, tableContainer                                                 = 1, 2
	containerID, containerService, containerReplica, containerPod, containerStarted = 1, 2, 3, 4, 5
	beatSeq, beatStart, beatLength, beatTable, beatDropped, beatNode, beatContainer = 1, 2, 3, 4, 5, 6, 7
	sampleIndex, sampleHas, sampleFirst                                             = 1, 2, 3
	ackSeq                                                                          = 1
)

func appendInt(b []byte, field protowire.Number, v uint64) []byte {
	if v == 0 {
		return b
	}
	return protowire.AppendVarint(protowire.AppendTag(b, field, protowire.VarintType), v)
}

func appendFixed(b []byte, field protowire.Number, v uint64) []byte {
	return protowire.AppendFixed64(protowire.AppendTag(b, field, protowire.Fixed64Type), v)
}

func appendString(b []byte, field protowire.Number, s string) []byte {
	if s == "" {
		return b
	}
	return protowire.AppendString(protowire.AppendTag(b, field, protowire.BytesType), frames.Clip(s))
}

// begin opens a message within b; end closes it. Its length takes three bytes, whatever it is, so that nothing has to
// be moved or written twice; a padded varint is a varint.
func begin(b []byte, field protowire.Number) ([]byte, int) {
	b = append(protowire.AppendTag(b, field, protowire.BytesType), 0, 0, 0)
	return b, len(b)
}

func end(b []byte, from int) []byte {
	n := len(b) - from
	b[from-3], b[from-2], b[from-1] = byte(n)|0x80, byte(n>>7)|0x80, byte(n>>14)&0x7f
	return b
}

// Append writes a beat. It allocates nothing where b is large enough.
func (x *Beat) Append(b []byte) []byte {
	b = appendInt(b, beatSeq, x.Seq)
	b = appendFixed(b, beatStart, uint64(x.Start))
	b = appendInt(b, beatLength, uint64(x.Length))
	b = appendInt(b, beatTable, x.Table)
	b = appendInt(b, beatDropped, x.Dropped)
	b = x.Node.append(b, beatNode)
	for i := range x.Containers {
		b = x.Containers[i].append(b, beatContainer)
	}
	return b
}

func (s *Sample) append(b []byte, field protowire.Number) []byte {
	b, from := begin(b, field)
	b = appendInt(b, sampleIndex, uint64(s.Index))
	b = appendInt(b, sampleHas, uint64(s.Has))
	for i, v := range &s.Value {
		if v > 0 {
			b = appendInt(b, sampleFirst+protowire.Number(i), uint64(v))
		}
	}
	return end(b, from)
}

// Append writes a table.
func (t *Table) Append(b []byte) []byte {
	b = appendInt(b, tableGeneration, t.Generation)
	for i := range t.Containers {
		c := &t.Containers[i]
		var from int
		b, from = begin(b, tableContainer)
		b = appendString(b, containerID, c.ID)
		b = appendString(b, containerService, c.Service)
		b = appendString(b, containerReplica, c.Replica)
		b = appendString(b, containerPod, c.Pod)
		b = appendInt(b, containerStarted, uint64(max(c.Started, 0)))
		b = end(b, from)
	}
	return b
}

// Append writes a hello.
func (h *Hello) Append(b []byte) []byte {
	b = appendInt(b, helloVersion, uint64(h.Version))
	b = appendString(b, helloNode, h.Node)
	b = appendFixed(b, helloInstance, h.Instance)
	b = appendInt(b, helloCores, uint64(h.Cores))
	b = appendInt(b, helloMemory, uint64(max(h.Memory, 0)))
	for _, n := range h.Notes[:min(len(h.Notes), maxNotes)] {
		b = appendString(b, helloNote, n)
	}
	return b
}

// Frames that hold a message which is written already.
func appendFrame(b []byte, sent int64, field protowire.Number, message []byte) []byte {
	b = appendFixed(b, frameSent, uint64(sent))
	return protowire.AppendBytes(protowire.AppendTag(b, field, protowire.BytesType), message)
}

// AppendHello writes a frame with a hello.
func AppendHello(b []byte, sent int64, h *Hello) []byte {
	return appendFrame(b, sent, frameHello, h.Append(nil))
}

// AppendTable writes a frame with a table that is written already.
func AppendTable(b []byte, sent int64, table []byte) []byte {
	return appendFrame(b, sent, frameTable, table)
}

// AppendBeat writes a frame with a beat that is written already.
func AppendBeat(b []byte, sent int64, beat []byte) []byte {
	return appendFrame(b, sent, frameBeat, beat)
}

// AppendAck writes an ack: the daemon has every beat up to seq.
func AppendAck(b []byte, seq uint64) []byte { return appendInt(b, ackSeq, seq) }
