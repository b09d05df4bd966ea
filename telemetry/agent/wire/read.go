package wire

import (
	"math"
	"strings"
	"unicode/utf8"

	"foresail.dev"
	"foresail.dev/telemetry/frames"

	"google.golang.org/protobuf/encoding/protowire"
)

// number bounds a number.
func number64(f frames.Field, what string, limit uint64) (uint64, error) {
	if f.B != nil || f.V > limit {
		return 0, frames.Malformed("%s is %d: at most %d", what, f.V, limit)
	}
	return f.V, nil
}

// name copies a bounded text.
func name(f frames.Field, what string) (string, error) {
	if len(f.B) > frames.MaxName || !utf8.Valid(f.B) {
		return "", frames.Malformed("%s has %d bytes or is no text: at most %d bytes of UTF-8", what, len(f.B), frames.MaxName)
	}
	return strings.Clone(string(f.B)), nil
}

// ReadFrame reads a message of the agent. The result shares nothing with b. into, where it is not nil, is the beat to
// read one into.
func ReadFrame(b []byte, into *Beat) (f Frame, err error) {
	if len(b) > MaxFrame {
		return f, frames.Malformed("%d bytes: at most %d", len(b), MaxFrame)
	}
	n := 0
	err = frames.Fields(b, func(x frames.Field) (err error) {
		switch x.Number {
		case frameSent:
			var v uint64
			v, err = number64(x, "sent", maxTime)
			f.Sent = int64(v)
		case frameHello:
			n++
			f.Hello, err = readHello(x.B)
		case frameTable:
			n++
			f.Table, err = readTable(x.B)
		case frameBeat:
			n++
			if f.Beat = into; f.Beat == nil {
				f.Beat = &Beat{}
			}
			err = f.Beat.read(x.B)
		}
		return err
	})
	if err == nil && n != 1 {
		err = frames.Malformed("a frame with %d messages: exactly one", n)
	}
	return f, err
}

func readHello(b []byte) (*Hello, error) {
	h := &Hello{}
	err := frames.Fields(b, func(x frames.Field) (err error) {
		var v uint64
		switch x.Number {
		case helloVersion:
			v, err = number64(x, "version", math.MaxUint32)
			h.Version = uint32(v)
		case helloNode:
			h.Node, err = name(x, "the node's name")
		case helloInstance:
			h.Instance = x.V
		case helloCores:
			v, err = number64(x, "cores", 1<<20)
			h.Cores = uint32(v)
		case helloMemory:
			v, err = number64(x, "memory", MaxValue)
			h.Memory = int64(v)
		case helloNote:
			var s string
			if s, err = name(x, "a note"); err == nil && len(h.Notes) < maxNotes {
				h.Notes = append(h.Notes, s)
			}
		}
		return err
	})
	if err == nil && h.Node == "" {
		err = frames.Malformed("a node without a name")
	}
	return h, err
}

func readTable(b []byte) (*Table, error) {
	t := &Table{}
	err := frames.Fields(b, func(x frames.Field) (err error) {
		switch x.Number {
		case tableGeneration:
			t.Generation = x.V
		case tableContainer:
			if len(t.Containers) == MaxContainers {
				return frames.Malformed("more than %d containers on one node", MaxContainers)
			}
			var c Container
			c, err = readContainer(x.B)
			t.Containers = append(t.Containers, c)
		}
		return err
	})
	return t, err
}

func readContainer(b []byte) (c Container, err error) {
	err = frames.Fields(b, func(x frames.Field) (err error) {
		var v uint64
		switch x.Number {
		case containerID:
			c.ID, err = name(x, "a container's id")
		case containerService:
			c.Service, err = name(x, "a service's name")
		case containerReplica:
			c.Replica, err = name(x, "a replica's name")
		case containerPod:
			c.Pod, err = name(x, "a pod's uid")
		case containerStarted:
			v, err = number64(x, "a container's start", maxTime)
			c.Started = int64(v)
		}
		return err
	})
	return c, err
}

// read reads a beat into b, whose memory it uses again.
func (x *Beat) read(b []byte) error {
	*x = Beat{Containers: x.Containers[:0]}
	err := frames.Fields(b, func(f frames.Field) (err error) {
		var v uint64
		switch f.Number {
		case beatSeq:
			x.Seq = f.V
		case beatStart:
			v, err = number64(f, "a beat's start", maxTime)
			x.Start = int64(v)
		case beatLength:
			v, err = number64(f, "a beat's length", MaxLength)
			x.Length = int64(v)
		case beatTable:
			x.Table = f.V
		case beatDropped:
			x.Dropped, err = number64(f, "beats dropped", MaxValue)
		case beatNode:
			x.Node, err = readSample(f.B)
		case beatContainer:
			if len(x.Containers) == MaxContainers {
				return frames.Malformed("more than %d containers on one node", MaxContainers)
			}
			var s Sample
			s, err = readSample(f.B)
			x.Containers = append(x.Containers, s)
		}
		return err
	})
	if err == nil && (x.Length <= 0 || x.Start <= 0) {
		err = frames.Malformed("a beat without a time")
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
			return frames.Malformed("samples are not in the order of their containers")
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
			return frames.Malformed("field %d says %d ns within %d ns", i+sampleFirst, v, length)
		}
	}
	if s.Value[CPUOver] > length {
		return frames.Malformed("CPU observed over %d ns within %d ns", s.Value[CPUOver], length)
	}
	return nil
}

func readSample(b []byte) (s Sample, err error) {
	err = frames.Fields(b, func(f frames.Field) (err error) {
		var v uint64
		switch {
		case f.Number == sampleIndex:
			v, err = number64(f, "an index", MaxContainers)
			s.Index = uint32(v)
		case f.Number == sampleHas:
			s.Has = foresail.Signals(f.V) & Observable
		case f.Number >= sampleFirst && f.Number < sampleFirst+protowire.Number(NumFields):
			v, err = number64(f, "a value", MaxValue)
			s.Value[f.Number-sampleFirst] = int64(v)
		}
		return err
	})
	return s, err
}

// ReadAck reads a message of the daemon.
func ReadAck(b []byte) (seq uint64, err error) {
	err = frames.Fields(b, func(f frames.Field) error {
		if f.Number == ackSeq {
			seq = f.V
		}
		return nil
	})
	return seq, err
}
