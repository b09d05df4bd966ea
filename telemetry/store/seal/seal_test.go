package seal

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"foresail.dev/access"
)

// refused are the errors that damage may be told by.
func refused(err error) bool {
	for _, e := range []error{ErrNotSealed, ErrKey, ErrChanged, ErrSwapped, ErrRolledBack} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

func TestKeys(t *testing.T) {
	k := NewKey()
	path := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(path, []byte(k.Text().Reveal()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := ReadKey(path)
	if err != nil || got.ID() != k.ID() {
		t.Fatalf("%v, want %v: %v", got, k, err)
	}
	if shown := fmt.Sprintf("%v %+v %#v %s", k, k, &k, k.Text()); strings.Contains(shown, k.Text().Reveal()[len(keyPrefix):]) || strings.Contains(shown, k.secret.Reveal()) {
		t.Fatal("a key shows itself")
	}
	t.Setenv("FORESAIL_TEST_KEY", k.Text().Reveal())
	for _, name := range []string{path, "env:FORESAIL_TEST_KEY"} {
		if got, err := FindKey(name); err != nil || got.ID() != k.ID() {
			t.Fatal(name, got, err)
		}
	}
	if _, err := FindKey("env:FORESAIL_TEST_KEY_NONE"); err == nil {
		t.Fatal("a variable that is not set is a key")
	}
	for _, bad := range []string{"", "x", keyPrefix, keyPrefix + "AAAA", keyPrefix + "!" + k.Text().Reveal()[len(keyPrefix)+1:]} {
		if _, err := ParseKey(access.NewSecret(bad)); err == nil || len(bad) > 30 && strings.Contains(err.Error(), bad[20:]) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadKey(path); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("a key file that others read: %v", err)
	}
}

// Files of all lengths around the segment's come back as they were, from a reader that gives what it likes.
func TestFilesComeBack(t *testing.T) {
	k := NewKey()
	for _, n := range []int{0, 1, 100, segment - 200, segment - 137, segment - 16, segment, segment + 1, 3*segment - 48, 3 * segment} {
		data := make([]byte, n)
		rand.Read(data)
		sealed := Seal(k, "a", data, Marks{1, 2})
		got, m, err := Unseal(k, "a", sealed)
		if err != nil || !bytes.Equal(got, data) || m != (Marks{1, 2}) {
			t.Fatalf("%d bytes: %v", n, err)
		}
		if n > 16 && bytes.Contains(sealed, data[:16]) {
			t.Fatalf("%d bytes: in the clear", n)
		}
		if _, _, err := Unseal(k, "b", sealed); !errors.Is(err, ErrSwapped) {
			t.Fatalf("under another name: %v", err)
		}
		if _, _, err := Unseal(NewKey(), "a", sealed); !errors.Is(err, ErrKey) || !strings.Contains(err.Error(), k.ID()) {
			t.Fatalf("with another key: %v", err)
		}
	}
	if bytes.Equal(Seal(k, "a", nil, Marks{}), Seal(k, "a", nil, Marks{})) {
		t.Fatal("the same twice is sealed alike")
	}
}

// Whatever byte is changed and wherever a file is cut, nothing comes out but what was sealed, and an error.
func TestEveryByteOfAFileCounts(t *testing.T) {
	k := NewKey()
	data := []byte(strings.Repeat("checkout", 20))
	sealed := Seal(k, "a", data, Marks{})
	for i := range sealed {
		for _, change := range []byte{1, 0x80} {
			bad := bytes.Clone(sealed)
			bad[i] ^= change
			if _, _, err := Unseal(k, "a", bad); !refused(err) {
				t.Fatalf("byte %d changed by %x: %v", i, change, err)
			}
		}
		if _, _, err := Unseal(k, "a", sealed[:i]); !refused(err) {
			t.Fatalf("cut to %d bytes: %v", i, err)
		}
	}
	if _, _, err := Unseal(k, "a", append(bytes.Clone(sealed), 0)); !refused(err) {
		t.Fatalf("a byte more: %v", err)
	}
}

// Segments of a long file can't be changed, exchanged, left out or taken from another file.
func TestSegmentsHaveTheirPlace(t *testing.T) {
	k := NewKey()
	data := make([]byte, 5*segment)
	a, b := Seal(k, "a", data, Marks{}), Seal(k, "a", data, Marks{})
	first := segment + headerSize // the first segment is shorter by Tink's own header, and ends there
	part := func(s []byte, i int) []byte { return s[first+i*segment : first+(i+1)*segment] }
	for name, bad := range map[string][]byte{
		"exchanged":         join(a[:first], part(a, 1), part(a, 0), a[first+2*segment:]),
		"left out":          join(a[:first], part(a, 1), a[first+2*segment:]),
		"repeated":          join(a[:first], part(a, 0), a[first:]),
		"of another":        join(a[:first], part(b, 0), a[first+segment:]),
		"cut at a segment":  a[:first+2*segment],
		"header of another": join(b[:headerSize], a[headerSize:]),
	} {
		r, _, _, err := NewReader(bytes.NewReader(bad), k, "a")
		if err == nil {
			_, err = io.Copy(io.Discard, r)
		}
		if !refused(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

// journal writes records and returns its bytes, and where each record ends.
func journal(t testing.TB, k Key, name string, records ...[]byte) (b []byte, ends []int64) {
	t.Helper()
	path := filepath.Join(tempDir(t), "j")
	j, err := CreateJournal(path, k, name, Marks{7})
	if err != nil {
		t.Fatal(err)
	}
	ends = []int64{j.Size()}
	for _, r := range records {
		if err := j.Append(r); err != nil {
			t.Fatal(err)
		}
		ends = append(ends, j.Size())
	}
	if err := errors.Join(j.Sync(), j.Close()); err != nil {
		t.Fatal(err)
	}
	if b, err = os.ReadFile(path); err != nil {
		t.Fatal(err)
	}
	return b, ends
}

func read(k Key, name string, b []byte) (records [][]byte, s journalState, err error) {
	s, err = readJournal(bytes.NewReader(b), k, name, func(r []byte) error {
		records = append(records, bytes.Clone(r))
		return nil
	})
	return records, s, err
}

var three = [][]byte{[]byte("first"), {}, []byte(strings.Repeat("third", 30))}

// A journal that is cut anywhere holds exactly the records that were whole by then, without an error: that is what a crash leaves.
func TestATornJournalHoldsWhatWasWhole(t *testing.T) {
	k := NewKey()
	b, ends := journal(t, k, "j", three...)
	for n := headerSize; n <= len(b); n++ {
		whole := 0
		for _, e := range ends[1:] {
			if int64(n) >= e {
				whole++
			}
		}
		for _, zeros := range []int{0, 500} { // some file systems leave zeros, from the beginning of a block on
			past := int64(n) - ends[whole]
			lengthTag := past > frame-tag && past < frame
			dataTag := whole < len(three) && int64(n) > ends[whole+1]-tag
			if zeros > 0 && (lengthTag || dataTag) { // no block begins there
				continue
			}
			got, s, err := read(k, "j", append(bytes.Clone(b[:n]), make([]byte, zeros)...))
			if err != nil || len(got) != whole || s.count != uint64(whole) || s.size != ends[whole] {
				t.Fatalf("cut to %d bytes and %d zeros: %d records, %v; want %d", n, zeros, len(got), err, whole)
			}
			for i := range got {
				if !bytes.Equal(got[i], three[i]) {
					t.Fatalf("cut to %d: record %d is %q", n, i, got[i])
				}
			}
		}
	}
	for n := range headerSize {
		if _, _, err := read(k, "j", b[:n]); !refused(err) {
			t.Fatalf("cut to %d: %v", n, err)
		}
	}
}

// Any byte that is changed is an error that names the record, never taken for a crash, though it be the length of a
// record that then seems to reach past the end.
func TestEveryByteOfAJournalCounts(t *testing.T) {
	k := NewKey()
	b, ends := journal(t, k, "j", three...)
	for i := range b {
		for _, change := range []byte{1, 0x80, 0xff} {
			bad := bytes.Clone(b)
			bad[i] ^= change
			got, _, err := read(k, "j", bad)
			if !refused(err) {
				t.Fatalf("byte %d changed by %x: %d records, %v", i, change, len(got), err)
			}
			record := 0
			for record < len(three) && int64(i) >= ends[record+1] {
				record++
			}
			if i >= headerSize && !strings.Contains(err.Error(), fmt.Sprintf("record %d,", record)) {
				t.Fatalf("byte %d of record %d: %v", i, record, err)
			}
		}
	}
}

func TestRecordsHaveTheirPlace(t *testing.T) {
	k := NewKey()
	same := [][]byte{[]byte("aaaa"), []byte("bbbb"), []byte("cccc")}
	b, e := journal(t, k, "j", same...)
	other, _ := journal(t, k, "j", same...)
	rec := func(b []byte, i int) []byte { return b[e[i]:e[i+1]] }
	for name, bad := range map[string][]byte{
		"exchanged":     join(b[:e[0]], rec(b, 1), rec(b, 0), rec(b, 2)),
		"left out":      join(b[:e[0]], rec(b, 1), rec(b, 2)),
		"repeated":      join(b[:e[1]], rec(b, 0), b[e[1]:]),
		"of another":    join(b[:e[1]], rec(other, 1), rec(b, 2)),
		"other header":  join(other[:headerSize], b[headerSize:]),
		"a file's kind": join(b[:8], []byte{kindFile}, b[9:]),
	} {
		if got, _, err := read(k, "j", bad); !refused(err) {
			t.Errorf("%s: %d records, %v", name, len(got), err)
		}
	}
	if _, _, err := read(k, "i", b); !errors.Is(err, ErrSwapped) {
		t.Errorf("under another name: %v", err)
	}
	if _, _, err := read(NewKey(), "j", b); !errors.Is(err, ErrKey) {
		t.Errorf("another key: %v", err)
	}
}

// However often a journal is torn and opened again, it holds a prefix of what was appended, and all that was acknowledged.
func TestAJournalSurvivesCrashes(t *testing.T) {
	k := NewKey()
	dir := tempDir(t)
	n := 0
	rapid.Check(t, func(t *rapid.T) {
		n++
		path := filepath.Join(dir, fmt.Sprint(n))
		j, err := CreateJournal(path, k, "j", Marks{})
		if err != nil {
			t.Fatal(err)
		}
		var want [][]byte
		for range rapid.IntRange(1, 6).Draw(t, "lives") {
			for range rapid.IntRange(0, 4).Draw(t, "appends") {
				batch := rapid.SliceOfN(rapid.SliceOfN(rapid.Byte(), 0, 300), 1, 3).Draw(t, "records")
				if err := j.Append(batch...); err != nil {
					t.Fatal(err)
				}
				want = append(want, batch...)
			}
			if err := j.Close(); err != nil {
				t.Fatal(err)
			}
			garbage := boxesOf(j).seal(nil, j.Count(), make([]byte, 50)) // a record that was being written
			f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			f.Write(garbage[:rapid.IntRange(0, len(garbage)-1).Draw(t, "torn")])
			f.Close()
			var got [][]byte
			if j, _, err = OpenJournal(path, k, "j", func(r []byte) error { got = append(got, bytes.Clone(r)); return nil }); err != nil {
				t.Fatal(err)
			}
			if len(got) != len(want) {
				t.Fatalf("%d records, want %d", len(got), len(want))
			}
			for i := range want {
				if !bytes.Equal(got[i], want[i]) {
					t.Fatalf("record %d", i)
				}
			}
		}
		j.Close()
	})
}

func boxesOf(j *Journal) boxes { return j.boxes }

func FuzzUnseal(f *testing.F) {
	k, _ := KeyOf(make([]byte, keySize))
	f.Add(Seal(k, "a", []byte("hello"), Marks{}))
	f.Add([]byte("FSSEAL1\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, _, err := Unseal(k, "a", b); err != nil && !refused(err) {
			t.Fatal(err)
		}
	})
}

func FuzzJournal(f *testing.F) {
	k, _ := KeyOf(make([]byte, keySize))
	b, _ := journal(f, k, "j", three...)
	f.Add(b)
	f.Add(b[:len(b)-3])
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, s, err := read(k, "j", b); err != nil && !refused(err) || s.size > int64(len(b)) {
			t.Fatal(s, err)
		}
	})
}

func FuzzOp(f *testing.F) {
	for _, o := range []op{{kind: opPut, path: "a/b", data: []byte("x")}, {kind: opAppend, path: "wal/1", at: 9, data: []byte("x")},
		{kind: opFile, path: "a", file: ID{1}}, {kind: opRemove, path: "a"}, {kind: opBase}, {kind: opPut, path: "../a"}} {
		f.Add(encodeOp(o))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		o, err := decodeOp(b)
		if err != nil {
			return
		}
		if o.kind != opBase && !filepath.IsLocal(o.path) {
			t.Fatalf("%q is outside", o.path)
		}
		again, err := decodeOp(encodeOp(o))
		if err != nil || again.kind != o.kind || again.path != o.path || again.at != o.at || again.file != o.file || !bytes.Equal(again.data, o.data) {
			t.Fatalf("%+v became %+v: %v", o, again, err)
		}
	})
}

func BenchmarkJournalAppend(b *testing.B) {
	for _, n := range []int{1 << 10, 64 << 10} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			j, err := CreateJournal(filepath.Join(b.TempDir(), "j"), NewKey(), "j", Marks{})
			if err != nil {
				b.Fatal(err)
			}
			defer j.Close()
			r := make([]byte, n)
			b.SetBytes(int64(n))
			b.ReportAllocs()
			for b.Loop() {
				if err := j.Append(r); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkSeal(b *testing.B) {
	k, data := NewKey(), make([]byte, 1<<20)
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		Seal(k, "a", data, Marks{})
	}
}
