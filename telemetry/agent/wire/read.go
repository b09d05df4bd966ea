package wire

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"unicode/utf8"

	"foresail.dev"
	"google.golang.org/protobuf/encoding/protowire"
)

// ErrMalformed is wrapped by every error of reading.
var ErrMalformed = errors.New("malformed agent message")

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrMalformed}, args...)...)
}

// field is one field of a message: v of a number, b of bytes.
type field struct {
	number protowire.Number
	v      uint64
	b      []byte
}

// fields reads a message's fields one after the other; each is called with those of known types.
func fields(b []byte, each func(f field) error) error {
	for len(b) > 0 {
		number, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			return malformed("%v", protowire.ParseError(n))
		}
		b = b[n:]
		f := field{number: number}
		switch kind {
		case protowire.VarintType:
			f.v, n = protowire.ConsumeVarint(b)
		case protowire.Fixed64Type:
			f.v, n = protowire.ConsumeFixed64(b)
		case protowire.BytesType:
			f.b, n = protowire.ConsumeBytes(b)
			if n >= 0 && f.b == nil {
				f.b = []byte{}
			}
		default:
			n = protowire.ConsumeFieldValue(number, kind, b)
			f.number = 0
		}
		if n < 0 {
			return malformed("%v", protowire.ParseError(n))
		}
		b = b[n:]
		if f.number == 0 {
			continue
		}
		if err := each(f); err != nil {
			return err
		}
	}
	return nil
}

// number bounds a number.
func (f field) number64(what string, limit uint64) (uint64, error) {
	if f.b != nil || f.v > limit {
		return 0, malformed("%s is %d: at most %d", what, f.v, limit)
	}
	return f.v, nil
}

// name copies a bounded text.
func (f field) name(what string) (string, error) {
	if len(f.b) > MaxName || !utf8.Valid(f.b) {
		return "", malformed("%s has %d bytes or is no text: at most %d bytes of UTF-8", what, len(f.b), MaxName)
	}
	return strings.Clone(string(f.b)), nil
}

// ReadFrame reads a message of the agent. The result shares nothing with b. into, where it is not nil, is the beat to
// read one into.
func ReadFrame(b []byte, into *Beat) (f Frame, err error) {
	if len(b) > MaxFrame {
		return f, malformed("%d bytes: at most %d", len(b), MaxFrame)
	}
	n := 0
	err = fields(b, func(x field) (err error) {
		switch x.number {
		case frameSent:
			var v uint64
			v, err = x.number64("sent", maxTime)
			f.Sent = int64(v)
		case frameHello:
			n++
			f.Hello, err = readHello(x.b)
		case frameTable:
			n++
			f.Table, err = readTable(x.b)
		case frameBeat:
			n++
			if f.Beat = into; f.Beat == nil {
				f.Beat = &Beat{}
			}
			err = f.Beat.read(x.b)
		}
		return err
	})
	if err == nil && n != 1 {
		err = malformed("a frame with %d messages: exactly one", n)
	}
	return f, err
}

func readHello(b []byte) (*Hello, error) {
	h := &Hello{}
	err := fields(b, func(x field) (err error) {
		var v uint64
		switch x.number {
		case helloVersion:
			v, err = x.number64("version", math.MaxUint32)
			h.Version = uint32(v)
		case helloNode:
			h.Node, err = x.name("the node's name")
		case helloInstance:
			h.Instance = x.v
		case helloCores:
			v, err = x.number64("cores", 1<<20)
			h.Cores = uint32(v)
		case helloMemory:
			v, err = x.number64("memory", MaxValue)
			h.Memory = int64(v)
		case helloNote:
			var s string
			if s, err = x.name("a note"); err == nil && len(h.Notes) < maxNotes {
				h.Notes = append(h.Notes, s)
			}
		}
		return err
	})
	if err == nil && h.Node == "" {
		err = malformed("a node without a name")
	}
	return h, err
}

func readTable(b []byte) (*Table, error) {
	t := &Table{}
	err := fields(b, func(x field) (err error) {
		switch x.number {
		case tableGeneration:
			t.Generation = x.v
		case tableContainer:
			if len(t.Containers) == MaxContainers {
				return malformed("more than %d containers on one node", MaxContainers)
			}
			var c Container
			c, err = readContainer(x.b)
			t.Containers = append(t.Containers, c)
		}
		return err
	})
	return t, err
}

func readContainer(b []byte) (c Container, err error) {
	err = fields(b, func(x field) (err error) {
		var v uint64
		switch x.number {
		case containerID:
			c.ID, err = x.name("a container's id")
		case containerService:
			c.Service, err = x.name("a service's name")
		case containerReplica:
			c.Replica, err = x.name("a replica's name")
		case containerPod:
			c.Pod, err = x.name("a pod's uid")
		case containerStarted:
			v, err = x.number64("a container's start", maxTime)
			c.Started = int64(v)
		}
		return err
	})
	return c, err
}

// read reads a beat into b, whose memory it uses again.
func (x *Beat) read(b []byte) error {
	*x = Beat{Containers: x.Containers[:0]}
	err := fields(b, func(f field) (err error) {
		var v uint64
		switch f.number {
		case beatSeq:
			x.Seq = f.v
		case beatStart:
			v, err = f.number64("a beat's start", maxTime)
			x.Start = int64(v)
		case beatLength:
			v, err = f.number64("a beat's length", MaxLength)
			x.Length = int64(v)
		case beatTable:
			x.Table = f.v
		case beatDropped:
			x.Dropped, err = f.number64("beats dropped", MaxValue)
		case beatNode:
			x.Node, err = readSample(f.b)
		case beatContainer:
			if len(x.Containers) == MaxContainers {
				return malformed("more than %d containers on one node", MaxContainers)
			}
			var s Sample
			s, err = readSample(f.b)
			x.Containers = append(x.Containers, s)
		}
		return err
	})
	if err == nil && (x.Length <= 0 || x.Start <= 0) {
		err = malformed("a beat without a time")
	}
	if err == nil {
		err = x.check()
	}
	return err
}

// check bounds what hangs on the beat's length and the order of samples.
func (x *Beat) check() error {
	if err := x.Node.check(x.Length); err != nil {
		return err
	}
	for i := range x.Containers {
		s := &x.Containers[i]
		if s.Index >= MaxContainers || i > 0 && s.Index <= x.Containers[i-1].Index {
			return malformed("samples are not in the order of their containers")
		}
		if err := s.check(x.Length); err != nil {
			return err
		}
	}
	return nil
}

func (s *Sample) check(length int64) error {
	for i, v := range &s.Value {
		if durations&(1<<i) != 0 && v > length*maxCores {
			return malformed("field %d says %d ns within %d ns", i+sampleFirst, v, length)
		}
	}
	if s.Value[CPUOver] > length {
		return malformed("CPU observed over %d ns within %d ns", s.Value[CPUOver], length)
	}
	return nil
}

func readSample(b []byte) (s Sample, err error) {
	err = fields(b, func(f field) (err error) {
		var v uint64
		switch {
		case f.number == sampleIndex:
			v, err = f.number64("an index", MaxContainers)
			s.Index = uint32(v)
		case f.number == sampleHas:
			s.Has = foresail.Signals(f.v) & Observable
		case f.number >= sampleFirst && f.number < sampleFirst+protowire.Number(NumFields):
			v, err = f.number64("a value", MaxValue)
			s.Value[f.number-sampleFirst] = int64(v)
		}
		return err
	})
	return s, err
}

// ReadAck reads a message of the daemon.
func ReadAck(b []byte) (seq uint64, err error) {
	err = fields(b, func(f field) error {
		if f.number == ackSeq {
			seq = f.v
		}
		return nil
	})
	return seq, err
}
