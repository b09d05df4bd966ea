package frames

import (
	"errors"

	"google.golang.org/grpc/mem"
)

// Raw is a message as gRPC carries it: bytes. Received ones must be freed.
type Raw struct {
	Bytes  []byte
	buffer mem.Buffer
}

// Free gives a received message's memory back; Bytes must not be used afterwards.
func (r *Raw) Free() {
	if r.buffer != nil {
		r.buffer.Free()
		r.buffer, r.Bytes = nil, nil
	}
}

// Codec passes bytes through. It goes by the name that protobuf has.
type Codec struct{}

// Name is protobuf's.
func (Codec) Name() string { return "proto" }

// Marshal takes a *Raw, whose bytes must stay as they are until the message was sent.
func (Codec) Marshal(v any) (mem.BufferSlice, error) {
	m, ok := v.(*Raw)
	if !ok {
		return nil, errors.New("frames: only raw messages can be sent")
	}
	return mem.BufferSlice{mem.SliceBuffer(m.Bytes)}, nil
}

// Unmarshal fills a *Raw.
func (Codec) Unmarshal(data mem.BufferSlice, v any) error {
	m, ok := v.(*Raw)
	if !ok {
		return errors.New("frames: only raw messages can be received")
	}
	m.buffer = data.MaterializeToBuffer(mem.DefaultBufferPool())
	m.Bytes = m.buffer.ReadOnlyData()
	return nil
}
