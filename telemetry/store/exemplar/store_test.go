package exemplar_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"foresail.dev"
	"foresail.dev/telemetry/otlp"
	"foresail.dev/telemetry/source"
	. "foresail.dev/telemetry/store/exemplar"
	"foresail.dev/telemetry/store/seal"
)

func open(t testing.TB, dir string, l Limits) *Store {
	t.Helper()
	s, err := Open(dir, l)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func closeStore(t testing.TB, s *Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// readAll is what a store holds, and what of it can't be read.
func readAll(t testing.TB, dir string, q Query) (all []Stored, skipped source.Faults) {
	t.Helper()
	for s, err := range Read(dir, q, &skipped) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, s)
	}
	return all, skipped
}

func numbers(all []Stored) (out []int) {
	for _, s := range all {
		out = append(out, number(s.Trace))
	}
	return out
}

func Example() {
	dir, _ := os.MkdirTemp("", "exemplar")
	defer os.RemoveAll(dir)
	store, err := Open(dir, Limits{})
	if err != nil {
		fmt.Println(err)
		return
	}
	c := NewChooser(Choice{Slowest: 1, Random: 1, Seed: 7})
	for i, ms := range []int{20, 900, 30, 40} {
		c.Offer(request(i, time.Duration(i)*time.Second, time.Duration(ms)*time.Millisecond))
	}
	if err := store.Append("shop", c.Close(noon.Add(time.Minute))); err != nil {
		fmt.Println(err)
	}
	store.Close()
	for t, err := range Read(dir, Query{Kept: Slowest}, nil) {
		fmt.Println(t.Application, t.Root().Operation, t.Duration(), t.Kept, len(t.Spans), "spans", err)
	}
	// Output:
	// shop GET / 900ms slowest 2 spans <nil>
}

var key = seal.NewKey()

// Whatever is written comes back as it was, from any range of time, and from the store opened again.
func TestTracesComeBack(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp("", "exemplar")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(dir)
		l := Limits{Compress: rapid.SampledFrom([]string{"gzip", "zstd", "none"}).Draw(rt, "compress")}.Unsafe()
		if rapid.Bool().Draw(rt, "encrypted") {
			l.Key = key
		}
		s := open(t, dir, l)
		var want []Stored
		n := 0
		for range rapid.IntRange(1, 4).Draw(rt, "batches") {
			app := rapid.SampledFrom([]string{"shop", "a/../b", "", "%", ".hidden", strings.Repeat("ü", 90)}).Draw(rt, "app")
			at := time.Duration(rapid.IntRange(0, 300).Draw(rt, "minute")) * time.Minute
			var batch []Trace
			for range rapid.IntRange(1, 3).Draw(rt, "traces") {
				tr := request(n, at, time.Duration(rapid.IntRange(1, 1e9).Draw(rt, "ns")))
				tr.Kept = Kept(rapid.IntRange(1, 3).Draw(rt, "kept"))
				tr.Spans[0].Failed = rapid.Bool().Draw(rt, "failed")
				tr.Spans[1].Weight = rapid.SampledFrom([]float64{0, 2, 16}).Draw(rt, "weight")
				tr.Spans[1].Operation = rapid.String().Draw(rt, "operation")
				if strings.ContainsRune(tr.Spans[1].Operation, '\uFFFD') {
					tr.Spans[1].Operation = "x"
				}
				batch = append(batch, tr)
				want = append(want, Stored{app, tr})
				n++
			}
			if err := s.Append(app, batch); err != nil {
				rt.Fatal(err)
			}
			if rapid.Bool().Draw(rt, "open again") {
				closeStore(t, s)
				s = open(t, dir, l)
			}
		}
		q := Query{Key: l.Key, From: noon.Add(time.Duration(rapid.IntRange(0, 300).Draw(rt, "from")) * time.Minute)}
		got, skipped := readAll(t, dir, q)
		closeStore(t, s)
		want = slices.DeleteFunc(want, func(s Stored) bool { return s.Root().End.Before(q.From) })
		if skipped.Count != 0 || len(got) != len(want) {
			rt.Fatalf("%d of %d came back; %v", len(got), len(want), skipped.String())
		}
		slices.SortFunc(got, func(a, b Stored) int { return number(a.Trace) - number(b.Trace) })
		for i := range want {
			if !reflect.DeepEqual(got[i], want[i]) {
				rt.Fatalf("\n got %+v\nwant %+v", got[i], want[i])
			}
		}
	})
}

// Killed at any byte: the store opens, what was acknowledged is there, the torn line is counted, and it goes on.
func TestTornAtEveryByte(t *testing.T) {
	for _, k := range []seal.Key{{}, key} {
		t.Run(fmt.Sprintf("encrypted=%v", !k.IsZero()), func(t *testing.T) { tornAtEveryByte(t, k) })
	}
}

func tornAtEveryByte(t *testing.T, k seal.Key) {
	l := Limits{Key: k}.Unsafe()
	dir := t.TempDir()
	s := open(t, dir, l)
	ends := []int64{}
	for i := range 3 {
		if err := s.Append("shop", []Trace{request(i, time.Second, time.Millisecond)}); err != nil {
			t.Fatal(err)
		}
		ends = append(ends, s.Stats().Bytes)
	}
	closeStore(t, s)
	found, err := filepath.Glob(filepath.Join(dir, "*", "2026-11-27T12-0001.jsonl*"))
	if err != nil || len(found) != 1 {
		t.Fatal(found, err)
	}
	whole, err := os.ReadFile(found[0])
	if err != nil {
		t.Fatal(err)
	}
	step := func(n int) int { // each byte around the ends of lines, and every 61st elsewhere
		for _, end := range append(ends, 70) {
			if d := int64(n) - end; d >= -12 && d < 2 {
				return n + 1
			}
		}
		return n + 61
	}
	for n := 0; n <= len(whole); n = step(n) {
		at := t.TempDir()
		folder := filepath.Join(at, filepath.Base(filepath.Dir(found[0])))
		if err := errors.Join(os.Mkdir(folder, 0o755), os.WriteFile(filepath.Join(folder, filepath.Base(found[0])), whole[:n], 0o600)); err != nil {
			t.Fatal(err)
		}
		acknowledged := 0
		for _, end := range ends {
			if int64(n) >= end {
				acknowledged++
			}
		}
		if k.IsZero() {
			inLine := n > 0 && whole[n-1] != '\n'
			if got, skipped := readAll(t, at, Query{}); len(got) != acknowledged || (skipped.Count == 1) != inLine {
				t.Fatalf("cut at byte %d: %v, %v", n, numbers(got), skipped.String())
			}
		}
		s := open(t, at, l)
		if torn := !slices.Contains(append(ends, 0), int64(n)); torn && s.Stats().Torn != 1 && !(acknowledged == 0 && !k.IsZero()) {
			t.Fatalf("cut at byte %d: %+v", n, s.Stats())
		}
		if err := s.Append("shop", []Trace{request(9, time.Second, time.Millisecond)}); err != nil {
			t.Fatal(err)
		}
		closeStore(t, s)
		want := append([]int{0, 1, 2}[:acknowledged:acknowledged], 9)
		if got, skipped := readAll(t, at, Query{Key: k}); !slices.Equal(numbers(got), want) || skipped.Count != 0 {
			t.Fatalf("cut at byte %d: %v, %v", n, numbers(got), skipped.String())
		}
	}
}

// Without its key an encrypted store tells nothing, and a store is encrypted as a whole or not at all.
func TestKeys(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Limits{Key: key})
	secret := request(1, 0, time.Millisecond)
	secret.Spans[1].Operation = "secret operation"
	for i := range 2 {
		later := request(2, time.Duration(i)*time.Hour, time.Millisecond) // closes the file of the hour before
		if err := s.Append("secret application", []Trace{secret, later}[i:i+1]); err != nil {
			t.Fatal(err)
		}
	}
	closeStore(t, s)
	err := filepath.WalkDir(dir, func(p string, d os.DirEntry, err error) error {
		if strings.Contains(p, "secret") {
			t.Errorf("a name tells: %s", p)
		}
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(p)
		if bytes.Contains(b, []byte("secret")) || bytes.Contains(b, []byte("front")) {
			t.Errorf("%s is in the clear", p)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := readAll(t, dir, Query{Key: key, Application: "secret application"}); len(got) != 2 || got[0].Application != "secret application" || !reflect.DeepEqual(got[0].Spans, secret.Spans) {
		t.Errorf("%+v", got)
	}
	for _, k := range []seal.Key{{}, seal.NewKey()} {
		if _, err := Open(dir, Limits{Key: k}); err == nil || k.IsZero() && !errors.Is(err, ErrSealed) {
			t.Errorf("opened with another key: %v", err)
		}
		for _, err := range Read(dir, Query{Key: k}, nil) {
			if err == nil {
				t.Error("read with another key")
			}
		}
	}
	open := t.TempDir()
	s2, err := Open(open, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if err := s2.Append("shop", []Trace{secret}); err != nil {
		t.Fatal(err)
	}
	closeStore(t, s2)
	if _, err := Open(open, Limits{Key: key}); !errors.Is(err, ErrPlain) {
		t.Errorf("a key for what is not encrypted: %v", err)
	}
}

// A crash while a file is compressed leaves a part of the compressed one, or both.
func TestCrashWhileCompressing(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Limits{})
	for i := range 3 { // each hour closes the file of the one before
		if err := s.Append("shop", []Trace{request(i, time.Duration(i)*time.Hour, time.Millisecond)}); err != nil {
			t.Fatal(err)
		}
	}
	closeStore(t, s)
	first := filepath.Join(dir, "shop", "2026-11-27T12-0001.jsonl")
	gz, err := os.ReadFile(first + ".gz")
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.WriteFile(first+".gz.partial", gz[:20], 0o644), os.WriteFile(first, []byte("{}\n"), 0o644)); err != nil {
		t.Fatal(err)
	}
	if got, skipped := readAll(t, dir, Query{}); !slices.Equal(numbers(got), []int{0, 1, 2}) || skipped.Count != 0 {
		t.Errorf("%v %v", numbers(got), skipped.String())
	}
	s = open(t, dir, Limits{})
	defer closeStore(t, s)
	left, err := filepath.Glob(filepath.Join(dir, "shop", "*12-0001*"))
	if err != nil || len(left) != 1 {
		t.Errorf("left are %v", left)
	}
}

// The oldest go when there are too many bytes, or when they are too old.
func TestBounds(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Limits{MaxBytes: 1 << 16, Compress: "none"}.Unsafe())
	n := 0
	for n < 400 {
		if err := s.Append("shop", []Trace{request(n, time.Duration(n)*time.Minute, time.Millisecond)}); err != nil {
			t.Fatal(err)
		}
		n++
	}
	if st := s.Stats(); st.Bytes > 1<<16 || st.Deleted == 0 || st.Traces != 400 {
		t.Errorf("%+v", st)
	}
	closeStore(t, s)
	got, _ := readAll(t, dir, Query{})
	if len(got) < 50 || number(got[len(got)-1].Trace) != n-1 || number(got[0].Trace) != n-len(got) {
		t.Errorf("kept are %v", numbers(got))
	}
	s = open(t, dir, Limits{MaxBytes: 1 << 16, MaxAge: 2 * time.Hour, Compress: "none"}.Unsafe())
	defer closeStore(t, s)
	if got, _ := readAll(t, dir, Query{}); number(got[0].Trace) < n-4*60 || number(got[len(got)-1].Trace) != n-1 {
		t.Errorf("of the last two hours are kept %v", numbers(got))
	}
}

func TestOneWriter(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Limits{})
	if _, err := Open(dir, Limits{}); !errors.Is(err, ErrLocked) {
		t.Errorf("opened twice: %v", err)
	}
	closeStore(t, s)
	closeStore(t, s)
	if err := s.Append("shop", []Trace{request(1, 0, 1)}); !errors.Is(err, os.ErrClosed) {
		t.Errorf("append after close: %v", err)
	}
	closeStore(t, open(t, dir, Limits{}))
	for _, bad := range []Limits{{MaxBytes: 1}, {MaxAge: 1}, {Compress: "lz4"}} {
		if _, err := Open(dir, bad); err == nil {
			t.Errorf("%+v is accepted", bad)
		}
	}
}

// The files are what other tools read: each line is OTLP JSON by itself.
func TestFilesAreOTLP(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, Limits{})
	want := request(3, 0, time.Millisecond)
	if err := s.Append("shop", []Trace{want}); err != nil {
		t.Fatal(err)
	}
	closeStore(t, s)
	f, err := os.Open(filepath.Join(dir, "shop", "2026-11-27T12-0001.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	n := 0
	if _, err := otlp.ReadJSONLines(f, func(spans []foresail.Span) error { n += len(spans); return nil }); err != nil || n != 2 {
		t.Errorf("%d spans, %v", n, err)
	}
	got, _ := readAll(t, dir, Query{ID: want.ID(), Application: "shop"})
	if len(got) != 1 {
		t.Errorf("found %d by its id", len(got))
	}
	if got, _ := readAll(t, dir, Query{Application: "other"}); len(got) != 0 {
		t.Errorf("found %d of another application", len(got))
	}
}

// Any bytes in a file give traces that keep the invariants, or faults.
func FuzzRead(f *testing.F) {
	f.Add([]byte("{}\n"))
	f.Add([]byte(`{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"01000000000000000000000000000000","spanId":"0200000000000000","startTimeUnixNano":"1","endTimeUnixNano":"2"}]}]}]}` + "\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		dir := t.TempDir()
		if err := errors.Join(os.Mkdir(filepath.Join(dir, "a"), 0o755), os.WriteFile(filepath.Join(dir, "a", "1970-01-01T00-0001.jsonl"), b, 0o644)); err != nil {
			t.Fatal(err)
		}
		all, _ := readAll(t, dir, Query{})
		for _, s := range all {
			if len(s.Spans) == 0 {
				t.Fatal("a trace without spans")
			}
		}
	})
}

func BenchmarkAppend(b *testing.B) {
	b.ReportAllocs()
	s := open(b, b.TempDir(), Limits{})
	defer s.Close()
	batch := make([]Trace, 10)
	for i := range b.N {
		for k := range batch {
			batch[k] = request(i*10+k, time.Duration(i)*time.Minute, time.Millisecond)
		}
		if err := s.Append("shop", batch); err != nil {
			b.Fatal(err)
		}
	}
}
