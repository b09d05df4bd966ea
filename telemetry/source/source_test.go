package source_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"pgregory.net/rapid"

	"foresail.dev/telemetry/source"
)

func ExampleFields() {
	fields, err := source.Fields(nil, []byte(`a,"b, ""c""",`))
	fmt.Printf("%q %v\n", fields, err)
	// Output:
	// ["a" "b, \"c\"" ""] <nil>
}

// Fields reads what the standard library's reader reads of one line.
func TestFieldsAgreeWithTheLibrary(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.SliceOfN(rapid.StringMatching(`[a-z",; ]{0,6}`), 1, 8).Draw(t, "fields")
		var b bytes.Buffer
		w := csv.NewWriter(&b)
		if err := w.Write(want); err != nil {
			t.Fatal(err)
		}
		w.Flush()
		got, err := source.Fields(nil, bytes.TrimSuffix(b.Bytes(), []byte("\n")))
		if err != nil {
			t.Fatal(err)
		}
		text := make([]string, len(got))
		for i := range got {
			text[i] = string(got[i])
		}
		if !slices.Equal(text, want) {
			t.Fatalf("%q is read as %q, want %q", b.String(), text, want)
		}
	})
	for _, bad := range []string{`"a`, `"a"b,c`, `a,"`, strings.Repeat(",", 5000)} {
		if _, err := source.Fields(nil, []byte(bad)); err == nil {
			t.Errorf("%.20q is taken", bad)
		}
	}
}

func FuzzFields(f *testing.F) {
	f.Add([]byte(`a,"b""c",,`))
	f.Fuzz(func(t *testing.T, b []byte) {
		fields, err := source.Fields(nil, bytes.Clone(b))
		n := 0
		for _, field := range fields {
			n += len(field)
		}
		if err == nil && (len(fields) == 0 || n > len(b)) {
			t.Fatalf("%q", fields)
		}
		if err == nil && !bytes.ContainsAny(b, "\"") && len(fields) != bytes.Count(b, []byte(","))+1 {
			t.Fatalf("%d fields of %q", len(fields), b)
		}
	})
}

// Lines are those that splitting the whole text gives, however long; those too long are told and skipped.
func TestLines(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const limit = 600_000 // more than two of the reader's buffers
		var in strings.Builder
		for range rapid.IntRange(0, 5).Draw(t, "lines") {
			n := rapid.SampledFrom([]int{0, 1, 262_143, 262_144, 262_145, 599_000, 601_000, 1_000_000}).Draw(t, "length")
			in.WriteString(strings.Repeat("x", n) + rapid.SampledFrom([]string{"\n", "\r\n"}).Draw(t, "end"))
		}
		in.WriteString(rapid.SampledFrom([]string{"", "xyz"}).Draw(t, "last"))
		var want []int
		long := 0
		for line := range strings.Lines(in.String()) {
			if len(line) > limit {
				long++
				continue
			}
			want = append(want, len(strings.TrimRight(line, "\r\n")))
		}
		var faults source.Faults
		var got []int
		l := source.NewLines(strings.NewReader(in.String()), limit, &faults)
		for l.Next() {
			got = append(got, len(l.Line()))
			if last := len(got) == len(want) && strings.HasSuffix(in.String(), "xyz"); l.Torn() != last {
				t.Fatalf("line %d: torn is %v", l.Number(), l.Torn())
			}
		}
		if !slices.Equal(got, want) || faults.Count != long || l.Err() != nil {
			t.Fatalf("lines of %v, want %v; %d too long, want %d; %v", got, want, faults.Count, long, l.Err())
		}
	})
}

func TestFaults(t *testing.T) {
	var none *source.Faults
	none.Add(1, errors.New("nobody counts this"))
	f := source.Faults{File: "a.csv"}
	for i := range 9 {
		f.Add(i+1, errors.New("bad"))
	}
	if s := f.String(); f.Count != 9 || !strings.Contains(s, "a.csv: line 5: bad") || strings.Contains(s, "line 6") || !strings.Contains(s, "and 4 more") {
		t.Errorf("%s", s)
	}
	if s := (&source.Faults{}).String(); s != "" {
		t.Errorf("%q", s)
	}
}

func packed(t *testing.T, how, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	var w io.WriteCloser
	switch how {
	case "gzip":
		w = gzip.NewWriter(&b)
	case "zstd":
		w, _ = zstd.NewWriter(&b)
	default:
		return []byte(text)
	}
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// Files, folders, archives and standard input, each plain or compressed, are read alike.
func TestWalk(t *testing.T) {
	for _, how := range []string{"plain", "gzip", "zstd"} {
		dir := t.TempDir()
		var archive bytes.Buffer
		tw := tar.NewWriter(&archive)
		for name, text := range map[string]string{"in.csv": "archived", "other.txt": "not this", ".hidden.csv": "nor this"} {
			if err := errors.Join(tw.WriteHeader(&tar.Header{Name: name, Size: int64(len(text)), Mode: 0o644, Typeflag: tar.TypeReg}), func() error { _, err := io.WriteString(tw, text); return err }()); err != nil {
				t.Fatal(err)
			}
		}
		tw.Close()
		err := errors.Join(os.Mkdir(filepath.Join(dir, "sub"), 0o755),
			os.WriteFile(filepath.Join(dir, "a.csv"), packed(t, how, "first"), 0o644),
			os.WriteFile(filepath.Join(dir, "sub", "b.csv.tar"), packed(t, how, archive.String()), 0o644),
			os.WriteFile(filepath.Join(dir, "sub", "c.txt"), []byte("not this"), 0o644))
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		read := func(name string, r io.Reader) error {
			b, err := io.ReadAll(r)
			got = append(got, filepath.Base(name)+"="+string(b))
			return err
		}
		csv := func(name string) bool { return strings.Contains(name, ".csv") }
		err = source.Walk([]string{dir, filepath.Join(dir, "sub", "c.txt"), "-"}, bytes.NewReader(packed(t, how, "in")), csv, read)
		want := []string{"a.csv=first", "b.csv.tar: in.csv=archived", "c.txt=not this", "standard input=in"}
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %q, %v", how, got, err)
		}
	}
	if err := source.Walk([]string{t.TempDir()}, nil, func(string) bool { return true }, nil); err == nil {
		t.Error("an empty folder is no fault")
	}
	if _, err := source.Open(strings.NewReader("\x1f\x8bx")); err == nil {
		t.Error("broken gzip is no fault")
	}
}

// Of the quantiles given each reads as it was given, the mean is exact, and so is the count.
func TestQuantiles(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		shares := []float64{0.5, 0.9, 0.95, 0.99}
		values := rapid.SliceOfN(rapid.Float64Range(1e-6, 100), 4, 4).Draw(t, "values")
		slices.Sort(values)
		n, mean := rapid.Float64Range(1e-3, 1e6).Draw(t, "n"), rapid.Float64Range(0, 10).Draw(t, "mean")
		s := source.Quantiles(n, mean, shares, values)
		for i, q := range shares {
			if got := s.Quantile(q); math.Abs(got-values[i]) > 0.045*values[i] {
				t.Fatalf("quantile %g is %g, want %g of %v", q, got, values[i], values)
			}
		}
		if math.Abs(s.Count()-n) > 1e-9*n || mean > 0 && math.Abs(s.Mean()-mean) > 1e-9*mean {
			t.Fatalf("%g values with mean %g, want %g with %g", s.Count(), s.Mean(), n, mean)
		}
	})
	for _, n := range []float64{0, -1, math.NaN(), math.Inf(1)} {
		if s := source.Quantiles(n, 1, []float64{0.5}, []float64{1}); s != nil {
			t.Errorf("a sketch of %g values", n)
		}
	}
	if s := source.Quantiles(1, 1, nil, nil); s != nil {
		t.Error("a sketch of nothing")
	}
}

func TestHeader(t *testing.T) {
	h, err := source.NewHeader([]byte("\xef\xbb\xbfTime, Name ,\"x\",Name"))
	var missing []string
	if err != nil || h.Len() != 4 || h.Column("none", "name") != 1 || h.Column("time") != 0 || h.Need(&missing, "a", "b") != -1 || !slices.Equal(missing, []string{"a"}) {
		t.Errorf("%+v %v %v", h, missing, err)
	}
	for in, want := range map[string]bool{"1.5": true, "": false, "NaN": false, "null": false, "+Inf": false} {
		if _, ok, err := source.Float([]byte(in)); ok != want || err != nil {
			t.Errorf("%q: %v %v", in, ok, err)
		}
	}
	if _, _, err := source.Float([]byte("x")); err == nil {
		t.Error("x is a number")
	}
}
