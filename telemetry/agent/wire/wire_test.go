package wire

import (
	"bytes"
	"encoding/hex"
	"errors"
	"reflect"
	"strings"
	"testing"

	"foresail.dev"
	"foresail.dev/telemetry/frames"

	"google.golang.org/protobuf/encoding/protowire"
	"pgregory.net/rapid"
)

func drawSample(t *rapid.T, index int) Sample {
	s := Sample{Index: uint32(index), Has: foresail.Signals(rapid.Uint32().Draw(t, "has")) & Observable}
	for i := range s.Value {
		s.Value[i] = rapid.Int64Range(0, 1e8).Draw(t, "value")
	}
	return s
}

// What is written is what is read.
func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := Beat{Seq: rapid.Uint64Min(1).Draw(t, "seq"), Start: rapid.Int64Range(1, maxTime).Draw(t, "start"), Length: rapid.Int64Range(1e8, MaxLength).Draw(t, "length"),
			Table: rapid.Uint64().Draw(t, "table"), Dropped: rapid.Uint64Range(0, MaxValue).Draw(t, "dropped"), Node: drawSample(t, 0), Containers: []Sample{}}
		for i := range rapid.IntRange(0, 5).Draw(t, "containers") {
			b.Containers = append(b.Containers, drawSample(t, 3*i))
		}
		sent := rapid.Int64Range(1, maxTime).Draw(t, "sent")
		f, err := ReadFrame(AppendBeat(nil, sent, b.Append(nil)), &Beat{Containers: []Sample{}})
		if err != nil || f.Sent != sent || !reflect.DeepEqual(*f.Beat, b) {
			t.Fatalf("%v\n%+v\n%+v", err, f.Beat, b)
		}
		table := &Table{Generation: 7}
		for range rapid.IntRange(0, 4).Draw(t, "names") {
			table.Containers = append(table.Containers, Container{ID: rapid.StringN(1, 20, -1).Draw(t, "id"), Service: rapid.StringN(0, 20, -1).Draw(t, "service"),
				Replica: "r", Pod: "p", Started: rapid.Int64Range(0, maxTime).Draw(t, "started")})
		}
		f, err = ReadFrame(AppendTable(nil, sent, table.Append(nil)), nil)
		if err != nil || !reflect.DeepEqual(f.Table, table) {
			t.Fatalf("%v\n%+v\n%+v", err, f.Table, table)
		}
	})
	h := &Hello{Version: 1, Node: "n", Instance: 1 << 63, Cores: 4, Memory: 5, Notes: []string{"no counters"}}
	f, err := ReadFrame(AppendHello(nil, 1, h), nil)
	if err != nil || !reflect.DeepEqual(f.Hello, h) {
		t.Fatalf("%v %+v", err, f.Hello)
	}
	if seq, err := ReadAck(AppendAck(nil, 300)); seq != 300 || err != nil {
		t.Error(seq, err)
	}
}

// The bytes are those of docs/formats/agent.md: other releases read them.
func TestBytes(t *testing.T) {
	b := Beat{Seq: 5, Start: 1000, Length: 1e8, Table: 2, Node: Sample{Has: foresail.SignalCPU}}
	b.Node.Value[CPU] = 7
	b.Containers = []Sample{{Index: 1, Has: foresail.SignalQueue}}
	b.Containers[0].Value[DiskBusy] = 300
	const want = "0805" + "11e803000000000000" + "1880c2d72f" + "2002" + "32848000" + "10021807" + "3a898000" + "0801" + "108040" + "c001ac02"
	if got := hex.EncodeToString(b.Append(nil)); got != want {
		t.Errorf("%s, not %s", got, want)
	}
}

// A newer agent may send fields that this release doesn't know.
func TestUnknownFieldsAreSkipped(t *testing.T) {
	b := Beat{Seq: 5, Start: 1000, Length: 1e8}
	raw := b.Append(nil)
	raw = protowire.AppendVarint(protowire.AppendTag(raw, 99, protowire.VarintType), 1)
	raw = protowire.AppendFixed32(protowire.AppendTag(raw, 98, protowire.Fixed32Type), 1)
	raw = protowire.AppendBytes(protowire.AppendTag(raw, 97, protowire.BytesType), []byte("x"))
	if f, err := ReadFrame(AppendBeat(nil, 1, raw), nil); err != nil || f.Beat.Seq != 5 {
		t.Errorf("%v %+v", err, f)
	}
}

func TestHostileFrames(t *testing.T) {
	beat := func(change func(*Beat)) []byte {
		b := Beat{Seq: 1, Start: 1000, Length: 1e8, Containers: []Sample{{Index: 0}, {Index: 1}}}
		change(&b)
		return AppendBeat(nil, 1, b.Append(nil))
	}
	long := strings.Repeat("x", frames.MaxName+1)
	name := func(number protowire.Number, field protowire.Number) []byte {
		inner := protowire.AppendString(protowire.AppendTag(nil, field, protowire.BytesType), long)
		return protowire.AppendBytes(protowire.AppendTag(nil, number, protowire.BytesType), inner)
	}
	many := &Table{Containers: make([]Container, MaxContainers+1)}
	for what, raw := range map[string][]byte{
		"nothing":                   {},
		"two messages":              append(beat(func(*Beat) {}), beat(func(*Beat) {})...),
		"no time":                   beat(func(b *Beat) { b.Start = 0 }),
		"no length":                 beat(func(b *Beat) { b.Length = 0 }),
		"an hour":                   beat(func(b *Beat) { b.Length = 3600e9 }),
		"order":                     beat(func(b *Beat) { b.Containers[1].Index = 0 }),
		"more than MaxContainers":   beat(func(b *Beat) { b.Containers[1].Index = MaxContainers }),
		"CPU for a year":            beat(func(b *Beat) { b.Node.Value[CPU] = 365 * 24 * 3600e9 }),
		"observed for longer":       beat(func(b *Beat) { b.Node.Value[CPUOver] = 2e8 }),
		"a large number":            beat(func(b *Beat) { b.Node.Value[NetIn] = MaxValue + 1 }),
		"a long name of a node":     name(frameHello, helloNode),
		"a nameless node":           AppendHello(nil, 1, &Hello{Version: 1}),
		"too many containers":       AppendTable(nil, 1, many.Append(nil)),
		"cut off":                   beat(func(*Beat) {})[:20],
		"bytes that are no message": bytes.Repeat([]byte{0xff}, 30),
	} {
		if f, err := ReadFrame(raw, nil); !errors.Is(err, frames.ErrMalformed) {
			t.Errorf("%s: %v, %+v", what, err, f)
		}
	}
}

func TestWritingAllocatesNothing(t *testing.T) {
	b := Beat{Seq: 1, Start: 1000, Length: 1e8, Containers: make([]Sample, 200)}
	for i := range b.Containers {
		b.Containers[i] = Sample{Index: uint32(i), Has: Observable}
		for k := range b.Containers[i].Value {
			b.Containers[i].Value[k] = 1 << k
		}
	}
	buf := b.Append(nil)
	if n := testing.AllocsPerRun(20, func() { buf = b.Append(buf[:0]) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
	t.Logf("%d bytes a beat of 200 containers", len(buf))
}

func FuzzReadFrame(f *testing.F) {
	b := Beat{Seq: 5, Start: 1000, Length: 1e8, Containers: []Sample{{Index: 1, Has: foresail.SignalCPU}}}
	f.Add(AppendBeat(nil, 1, b.Append(nil)))
	f.Add(AppendHello(nil, 1, &Hello{Version: 1, Node: "n"}))
	f.Add(AppendTable(nil, 1, (&Table{Containers: []Container{{ID: "x"}}}).Append(nil)))
	var into Beat
	f.Fuzz(func(t *testing.T, raw []byte) {
		got, err := ReadFrame(raw, &into)
		if err != nil {
			if !errors.Is(err, frames.ErrMalformed) {
				t.Fatal(err)
			}
			return
		}
		if got.Beat != nil { // what was taken can be written, and is then the same
			again, err := ReadFrame(AppendBeat(nil, got.Sent, got.Beat.Append(nil)), nil)
			if err != nil || len(again.Beat.Containers) != len(got.Beat.Containers) {
				t.Fatalf("%v", err)
			}
		}
		_, _ = ReadAck(raw)
	})
}

func BenchmarkReadBeat200(b *testing.B) {
	beat := Beat{Seq: 1, Start: 1000, Length: 1e8, Containers: make([]Sample, 200)}
	for i := range beat.Containers {
		beat.Containers[i] = Sample{Index: uint32(i), Has: Observable}
		beat.Containers[i].Value[CPU] = 12345678
		beat.Containers[i].Value[Memory] = 123456789
	}
	raw := AppendBeat(nil, 1, beat.Append(nil))
	var into Beat
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ReadFrame(raw, &into); err != nil {
			b.Fatal(err)
		}
	}
}
