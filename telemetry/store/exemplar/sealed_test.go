package exemplar_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	. "foresail.dev/telemetry/store/exemplar"
	"foresail.dev/telemetry/store/seal"
)

// A sealed store gives back what was written, also after a process that ended without closing it, and nothing in its
// folder tells a service, an operation or the application.
func TestASealedStoreTellsNothing(t *testing.T) {
	k := seal.NewKey()
	dir := filepath.Join(t.TempDir(), "traces")
	s, err := OpenSealed(dir, k, Limits{})
	if err != nil && strings.Contains(err.Error(), "tmpfs") {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	var want []int
	for n := range 30 { // over several hours, so that files are closed and compressed
		if err := s.Append("checkout-app", []Trace{request(n, time.Duration(n)*10*time.Minute, time.Millisecond)}); err != nil {
			t.Fatal(err)
		}
		want = append(want, n)
	}
	first := request(0, 0, time.Millisecond)
	root := first.Root()
	files := 0
	err = filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		files++
		b, err := os.ReadFile(p)
		for _, word := range []string{"checkout", root.Service, root.Operation, "resourceSpans", "jsonl"} {
			if bytes.Contains(b, []byte(word)) || strings.Contains(p, word) {
				t.Errorf("%s tells %q", p, word)
			}
		}
		return err
	})
	if err != nil || files < 3 {
		t.Fatalf("%d files, %v", files, err)
	}

	read := func() []int {
		folder, done, err := Unseal(dir, k)
		if err != nil {
			t.Fatal(err)
		}
		all, skipped := readAll(t, folder, Query{})
		if err := done(); err != nil || skipped.Count > 0 {
			t.Fatal(err, skipped.String())
		}
		return numbers(all)
	}
	if got := read(); !slices.Equal(got, want) { // while it is open: what a process that is killed now leaves
		t.Fatalf("%v came back", got)
	}
	closeStore(t, s)
	if s, err = OpenSealed(dir, k, Limits{}); err != nil {
		t.Fatal(err)
	}
	if err := s.Append("checkout-app", []Trace{request(30, 301*time.Minute, time.Millisecond)}); err != nil {
		t.Fatal(err)
	}
	closeStore(t, s)
	if got := read(); !slices.Equal(got, append(want, 30)) {
		t.Fatalf("%v came back", got)
	}

	if _, err := Open(dir, Limits{}); !errors.Is(err, ErrSealed) {
		t.Errorf("without a key: %v", err)
	}
	if _, _, err := Unseal(dir, seal.Key{}); !errors.Is(err, ErrSealed) {
		t.Errorf("without a key, to read: %v", err)
	}
	if _, err := OpenSealed(dir, seal.NewKey(), Limits{}); !errors.Is(err, seal.ErrKey) {
		t.Errorf("with another key: %v", err)
	}
	plain := filepath.Join(t.TempDir(), "plain")
	p := open(t, plain, Limits{})
	if err := p.Append("a", []Trace{request(0, 0, time.Millisecond)}); err != nil {
		t.Fatal(err)
	}
	closeStore(t, p)
	if _, err := OpenSealed(plain, k, Limits{}); err == nil {
		t.Error("a key for what is not encrypted was taken")
	}
}
