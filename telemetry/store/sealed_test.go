package store_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/telemetry/store"
	"foresail.dev/telemetry/store/seal"
)

// writerKeyEnv is the key of the store that this program, run again by a test, writes.
const writerKeyEnv = "FORESAIL_TEST_WRITER_KEY"

// keyOf makes a store's key of a text of 32 bytes; empty: none.
func keyOf(text string) []byte {
	if text == "" {
		return nil
	}
	return []byte(text)
}

const someKey = "0123456789abcdef0123456789abcdef"

// memory skips a test where there is no tmpfs to work in.
func memory(t *testing.T) {
	t.Helper()
	v, err := seal.Open(t.TempDir(), seal.NewKey(), seal.Options{})
	if err != nil {
		t.Skip(err)
	}
	if err := v.Close(); err != nil {
		t.Fatal(err)
	}
}

// A sealed store that is killed at random instants has lost nothing that was acknowledged, as one that is not sealed.
func TestNothingAcknowledgedIsLostWhenASealedStoreIsKilled(t *testing.T) {
	memory(t)
	killed(t, someKey)
}

// hidden fails for each file that tells, in its name or its bytes, any of what must not be told.
func hidden(t *testing.T, dir string, words []string) (files int) {
	t.Helper()
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		files++
		b, err := os.ReadFile(p)
		for _, w := range words {
			if bytes.Contains(b, []byte(w)) || strings.Contains(p, w) {
				t.Errorf("%s tells %q", p, w)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// words are what a store of an application knows by name.
func words(app *foresail.App) []string {
	out := []string{"foresail_", "application", "node-1", "GET /", "service", "endpoint", "replica", "chunks", "meta.json", "ULID", "\"minTime\""}
	for _, s := range app.Services {
		out = append(out, s.Name, s.Name+"-0")
	}
	return out
}

// Nothing on disk tells a service's name, a label or a metric, while the store is written, when blocks were cut and
// after it was closed; the same store without a key tells all of them, so the search finds what there is to find.
func TestASealedStoreTellsNothing(t *testing.T) {
	memory(t)
	app := shop(5)
	app.Name = "application-of-secrets"
	fill := func(key []byte) (string, *store.Store) {
		dir := filepath.Join(t.TempDir(), "history")
		h, err := store.OpenSmall(dir, store.Options{Key: key, Sync: time.Minute}, 4*time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		for k := range 900 {
			if err := h.Append(app, second(app, k, 2)); err != nil {
				t.Fatal(err)
			}
		}
		return dir, h
	}
	told := map[string]bool{}
	plain, h := fill(nil)
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	filepath.WalkDir(plain, func(p string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			b, _ := os.ReadFile(p)
			for _, w := range words(app) {
				told[w] = told[w] || bytes.Contains(b, []byte(w)) || strings.Contains(p, w)
			}
		}
		return err
	})
	for _, w := range []string{"service-aa", "service-ea-0", "node-1", "foresail_", "GET /", "chunks"} {
		if !told[w] {
			t.Errorf("a store that is not sealed doesn't tell %q either: the test shows nothing", w)
		}
	}

	dir, h := fill(keyOf(someKey))
	hidden(t, dir, words(app))
	if err := h.Compact(); err != nil {
		t.Fatal(err)
	}
	if err := h.Append(app, second(app, 900, 2)); err != nil {
		t.Fatal(err)
	}
	if n := hidden(t, dir, words(app)); n < 4 {
		t.Errorf("only %d files: no block was sealed", n)
	}
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	hidden(t, dir, words(app))

	r, err := store.OpenRead(dir, store.Options{Key: keyOf(someKey)})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if got := read(t, r, start, forever, 0); len(got) != 901 || got[900].Services[4].Arrivals != second(app, 900, 2).Services[4].Arrivals {
		t.Fatalf("%d snapshots came back", len(got))
	}
	report, err := r.Check(t.Context())
	if err != nil || len(report.Problems) > 0 {
		t.Fatal(report, err)
	}
}

// A key where there should be none, none where there should be one, and another: each says so.
func TestKeysOfStores(t *testing.T) {
	memory(t)
	app := shop(2)
	dirs := map[string]string{"plain": filepath.Join(t.TempDir(), "h"), "sealed": filepath.Join(t.TempDir(), "h")}
	for name, key := range map[string]string{"plain": "", "sealed": someKey} {
		h, err := store.Open(dirs[name], store.Options{Key: keyOf(key)})
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(h.Append(app, second(app, 0, 1)), h.Close()); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name, dir, key string
		want           error
		text           string
	}{
		{"no key", "sealed", "", store.ErrSealed, ""},
		{"another key", "sealed", strings.ToUpper(someKey), seal.ErrKey, "it needs key"},
		{"a key that is too short", "sealed", "short", nil, "32 bytes"},
		{"a key too many", "plain", someKey, nil, "not encrypted"},
	} {
		for how, open := range map[string]func(string, store.Options) (*store.Store, error){"write": store.Open, "read": store.OpenRead} {
			_, err := open(dirs[c.dir], store.Options{Key: keyOf(c.key)})
			if err == nil || c.want != nil && !errors.Is(err, c.want) || how == "write" && !strings.Contains(err.Error(), c.text) {
				t.Errorf("%s, to %s: %v", c.name, how, err)
			}
			if err != nil && c.key != "" && strings.Contains(err.Error(), c.key) {
				t.Errorf("%s: the error tells the key", c.name)
			}
		}
	}
}

// A sealed file of a store that was changed is named when it opens.
func TestAChangedSealedStoreIsRefused(t *testing.T) {
	memory(t)
	dir := filepath.Join(t.TempDir(), "h")
	app := shop(2)
	h, err := store.OpenSmall(dir, store.Options{Key: keyOf(someKey)}, 4*time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	for k := range 600 {
		if err := h.Append(app, second(app, k, 1)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(h.Compact(), h.Close()); err != nil {
		t.Fatal(err)
	}
	tried := 0
	filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || d.Name() == "lock" {
			return err
		}
		good, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		bad := bytes.Clone(good)
		bad[len(bad)/2] ^= 1
		if err := os.WriteFile(p, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := store.Open(dir, store.Options{Key: keyOf(someKey)}); err == nil {
			t.Fatalf("%s was changed, and the store opens", p)
		} else if !errors.Is(err, seal.ErrChanged) {
			t.Errorf("%s: %v", p, err)
		}
		tried++
		return os.WriteFile(p, good, 0o600)
	})
	if tried < 3 {
		t.Fatalf("%d files were tried", tried)
	}
	h, err = store.Open(dir, store.Options{Key: keyOf(someKey)})
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
}

// BenchmarkAppendSealed is what sealing costs a snapshot, beside BenchmarkAppend.
func BenchmarkAppendSealed(b *testing.B) {
	for name, key := range map[string]string{"plain": "", "sealed": someKey} {
		b.Run(name, func(b *testing.B) {
			app := shop(36)
			h, err := store.Open(filepath.Join(b.TempDir(), "h"), store.Options{Key: keyOf(key)})
			if err != nil {
				b.Skip(err)
			}
			defer h.Close()
			b.ReportAllocs()
			k := 0
			for b.Loop() {
				if err := h.Append(app, second(app, k, 2)); err != nil {
					b.Fatal(err)
				}
				k++
			}
		})
	}
}
