package ml

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"pgregory.net/rapid"
)

// bytesModel is a model that is its payload.
type bytesModel []byte

func (m bytesModel) MarshalBinary() ([]byte, error)  { return m, nil }
func (m *bytesModel) UnmarshalBinary(b []byte) error { *m = bytes.Clone(b); return nil }
func drawText(t *rapid.T, label string) string {
	return rapid.StringMatching(`[a-z/µ" ]{1,9}`).Draw(t, label)
}
func write(t testing.TB, h Header, m bytesModel) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, h, m); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

var example = Header{
	Kind:        "madu",
	Application: "sha256:1d2f",
	Features:    []Feature{{Name: "calls", Unit: "1/min"}, {Name: "hour"}},
	Trained: Training{
		Source: "store", Rows: 43200, Seed: 7, Commit: "abc",
		From: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), To: time.Date(2026, 1, 31, 0, 0, 0, 0, time.UTC),
	},
}

func Example() {
	var file bytes.Buffer
	if err := Write(&file, example, bytesModel("weights")); err != nil {
		fmt.Println(err)
	}
	var m bytesModel
	h, err := Load(&file, Header{Kind: "madu"}, &m)
	fmt.Printf("%s of %d rows: %s %v\n", h.Kind, h.Trained.Rows, m, err)
	// Output: madu of 43200 rows: weights <nil>
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := Header{Kind: drawText(t, "kind"), Application: drawText(t, "app")}
		for i := range rapid.IntRange(0, 3).Draw(t, "features") {
			h.Features = append(h.Features, Feature{Name: drawText(t, "name"), Unit: fmt.Sprint(i)})
		}
		h.Trained = Training{Source: drawText(t, "source"), Rows: rapid.IntRange(0, 1e9).Draw(t, "rows"), Seed: rapid.Uint64().Draw(t, "seed")}
		m := bytesModel(rapid.SliceOf(rapid.Byte()).Draw(t, "payload"))
		var b bytes.Buffer
		if err := Write(&b, h, m); err != nil {
			t.Fatal(err)
		}
		got, payload, err := Read(iotest.OneByteReader(&b))
		if err != nil || !reflect.DeepEqual(got, h) || !bytes.Equal(payload, m) {
			t.Fatalf("%+v %q: %+v %q %v", h, m, got, payload, err)
		}
	})
}

func TestEveryTruncatedFileIsRefused(t *testing.T) {
	file := write(t, example, bytesModel("weights"))
	for n := range len(file) {
		_, _, err := Read(bytes.NewReader(file[:n]))
		want := ErrTruncated
		if n < len(magic) {
			want = ErrNotModel
		}
		if !errors.Is(err, want) {
			t.Fatalf("%d of %d bytes: %v", n, len(file), err)
		}
	}
}

func TestEveryFlippedBitIsNoticed(t *testing.T) {
	file := write(t, example, bytesModel("weights"))
	for i := range len(file) * 8 {
		bad := bytes.Clone(file)
		bad[i/8] ^= 1 << (i % 8)
		if _, _, err := Read(bytes.NewReader(bad)); err == nil {
			t.Fatalf("bit %d of byte %d", i%8, i/8)
		}
	}
}

func TestErrorsSayWhatHelps(t *testing.T) {
	file := write(t, example, bytesModel("weights"))
	future := bytes.Clone(file)
	binary.LittleEndian.PutUint32(future[len(magic):], Version+1)
	flipped := bytes.Clone(file)
	flipped[len(flipped)-40] ^= 1
	huge := bytes.Clone(file)
	binary.LittleEndian.PutUint64(huge[len(magic)+8:], 1<<40)
	other := example
	other.Features = []Feature{{Name: "calls", Unit: "1/s"}, {Name: "hour"}}
	cases := []struct {
		name string
		file []byte
		want Header
		is   error
		says string
	}{
		{"of the future", future, Header{}, ErrFuture, "this program reads up to 1: use the program that wrote it"},
		{"a bit flipped", flipped, Header{}, ErrCorrupt, "SHA-256 differs): copy it again"},
		{"a length that can't be", huge, Header{}, ErrCorrupt, "copy it again"},
		{"something appended", append(bytes.Clone(file), 'x'), Header{}, ErrCorrupt, "follows its checksum"},
		{"cut short", file[:len(file)-1], Header{}, ErrTruncated, "of the checksum 31 bytes are there and 32 should be"},
		{"text", []byte("kind: madu\nand so on and so on"), Header{}, ErrNotModel, "foresail train"},
		{"line ends changed", bytes.Replace(file, []byte("\r\n"), []byte("\n"), 1), Header{}, ErrNotModel, "does not begin"},
		{"empty", nil, Header{}, ErrNotModel, "does not begin"},
		{"another kind", file, Header{Kind: "gp"}, ErrUnfit, `of kind "madu" and "gp" is needed`},
		{"another application", file, Header{Application: "sha256:ffff"}, ErrUnfit, "application sha256:1d2f and this one is sha256:ffff: train it again"},
		{"another schema", file, other, ErrUnfit, "feature 0 is calls 1/min and calls 1/s is needed: train it again"},
		{"a shorter schema", file, Header{Features: example.Features[:1]}, ErrUnfit, "it has 2 features and 1 are needed"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			var m bytesModel
			_, err := Load(bytes.NewReader(c.file), c.want, &m)
			if !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.says) || m != nil {
				t.Fatalf("%v, model %q", err, m)
			}
		})
	}
}

func TestWhatSaysNothingOfItselfIsNotWritten(t *testing.T) {
	for says, h := range map[string]Header{
		"needs a kind":    {Trained: Training{Source: "x"}},
		"source is empty": {Kind: "gp"},
		"-1 rows":         {Kind: "gp", Trained: Training{Source: "x", Rows: -1}},
		"before":          {Kind: "gp", Trained: Training{Source: "x", From: example.Trained.To, To: example.Trained.From}},
	} {
		if err := Write(io.Discard, h, bytesModel("")); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("want %q: %v", says, err)
		}
	}
}

// A reader that fails is reported as what it says, not as a broken file.
func TestErrorsOfReadersAreKept(t *testing.T) {
	file := write(t, example, bytesModel("weights"))
	broken := errors.New("the disk is on fire")
	for n := range len(file) + 1 {
		_, _, err := Read(io.MultiReader(bytes.NewReader(file[:n]), iotest.ErrReader(broken)))
		if !errors.Is(err, broken) || errors.Is(err, ErrTruncated) {
			t.Fatalf("after %d bytes: %v", n, err)
		}
	}
}

// Whatever the bytes, Read neither panics nor returns what can't be written again. Fuzzing can't guess a checksum, so half
// of the inputs get theirs mended.
func FuzzRead(f *testing.F) {
	f.Add(write(f, example, bytesModel("weights")), false)
	f.Add(write(f, Header{Kind: "gp", Trained: Training{Source: "x"}}, nil), true)
	f.Add([]byte{}, false)
	f.Fuzz(func(t *testing.T, file []byte, mend bool) {
		if mend {
			file = mended(file)
		}
		h, payload, err := Read(bytes.NewReader(file))
		if err != nil {
			return
		}
		again := write(t, h, payload)
		h2, payload2, err := Read(bytes.NewReader(again))
		if err != nil || !reflect.DeepEqual(h, h2) || !bytes.Equal(payload, payload2) {
			t.Fatalf("%+v became %+v: %v", h, h2, err)
		}
	})
}

// mended is the file with a length and a checksum that are right for its bytes, where it is long enough for them.
func mended(file []byte) []byte {
	start := len(magic) + 16
	if len(file) < start {
		return file
	}
	file = bytes.Clone(file)
	copy(file, magic)
	binary.LittleEndian.PutUint32(file[len(magic):], Version)
	header := min(int(binary.LittleEndian.Uint32(file[len(magic)+4:])), len(file)-start)
	binary.LittleEndian.PutUint32(file[len(magic)+4:], uint32(header))
	binary.LittleEndian.PutUint64(file[len(magic)+8:], uint64(len(file)-start-header))
	return summed(file)
}
