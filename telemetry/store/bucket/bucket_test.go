package bucket_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"gocloud.dev/blob/memblob"
	"pgregory.net/rapid"

	"foresail.dev/ml"
	"foresail.dev/telemetry/store/bucket"
)

// payload is a model of bytes.
type payload []byte

func (p payload) MarshalBinary() ([]byte, error) { return p, nil }

func file(t testing.TB, content string) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := ml.Write(&b, ml.Header{Kind: "test", Trained: ml.Training{Source: "a test", Rows: 1}}, payload(content)); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func named(service, version string) bucket.Name {
	return bucket.Name{Application: "shop", Kind: "forecast/madu/n60-m5", Service: service, Version: version}
}

// stores are what every test is run on: a folder, memory, and a server that speaks S3.
func stores(t *testing.T, test func(t *testing.T, b *bucket.Bucket)) {
	t.Run("folder", func(t *testing.T) {
		b, err := bucket.Create(t.Context(), filepath.Join(t.TempDir(), "models"))
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		test(t, b)
	})
	t.Run("memory", func(t *testing.T) {
		b := bucket.Of(memblob.OpenBucket(nil), "memory")
		defer b.Close()
		test(t, b)
	})
	t.Run("s3", func(t *testing.T) {
		b, err := bucket.Open(t.Context(), startS3(t).address("shop-models/team"))
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		test(t, b)
	})
}

func TestWhatIsPutIsFoundAgain(t *testing.T) {
	stores(t, func(t *testing.T, b *bucket.Bucket) {
		ctx := t.Context()
		n := named("cart", "20260101T000000Z-0a")
		if _, _, _, err := b.Get(ctx, n); !errors.Is(err, bucket.ErrNotFound) {
			t.Fatal(err)
		}
		want := file(t, "weights")
		if err := b.PutNew(ctx, n, want); err != nil {
			t.Fatal(err)
		}
		h, p, got, err := b.Get(ctx, n)
		if err != nil || h.Kind != "test" || string(p) != "weights" || !bytes.Equal(got, want) {
			t.Fatal(h, string(p), err)
		}
		if err := b.PutNew(ctx, n, want); err != nil {
			t.Error("the same again: ", err)
		}
		if err := b.PutNew(ctx, n, file(t, "others")); !errors.Is(err, bucket.ErrExists) {
			t.Error("another: ", err)
		}
		if err := b.Put(ctx, n, file(t, "others")); err != nil {
			t.Error("replaced: ", err)
		}
		if _, p, _, err := b.Get(ctx, n); err != nil || string(p) != "others" {
			t.Error(string(p), err)
		}
		if err := b.PutResult(ctx, n, []byte(`{"accuracy":0.9}`)); err != nil {
			t.Error(err)
		}
		if r, err := b.Result(ctx, n); err != nil || string(r) != `{"accuracy":0.9}` {
			t.Error(string(r), err)
		}
		if err := errors.Join(b.Remove(ctx, n), b.Remove(ctx, n)); err != nil {
			t.Error(err)
		}
		if _, _, _, err := b.Get(ctx, n); !errors.Is(err, bucket.ErrNotFound) {
			t.Error(err)
		}
	})
}

// The newest of a service is the one whose data ends last, whatever was written last.
func TestVersionsAreListedByService(t *testing.T) {
	stores(t, func(t *testing.T, b *bucket.Bucket) {
		ctx := t.Context()
		for _, n := range []bucket.Name{named("cart", "2026-b"), named("cart", "2025-z"), named("ads", "2026-a"), named("", "2024-q"), named("service", "2026-x"),
			{Application: "shop", Kind: "forecast/madu/n60-m50", Service: "other", Version: "1"}, {Application: "shop2", Kind: "forecast/madu/n60-m5", Service: "other", Version: "1"}} {
			if err := b.Put(ctx, n, file(t, n.String())); err != nil {
				t.Fatal(err)
			}
		}
		all, err := b.Models(ctx, "shop", "forecast/madu/n60-m5")
		if err != nil {
			t.Fatal(err)
		}
		list := func(all []bucket.Entry) (s string) {
			for _, e := range all {
				s += e.Service + " " + e.Version + "; "
			}
			return s
		}
		if got := list(all); got != " 2024-q; ads 2026-a; cart 2025-z; cart 2026-b; service 2026-x; " {
			t.Error(got)
		}
		if got := list(bucket.Newest(all)); got != " 2024-q; ads 2026-a; cart 2026-b; service 2026-x; " {
			t.Error(got)
		}
		one, err := b.Versions(ctx, "shop", "forecast/madu/n60-m5", "cart")
		if got := list(one); err != nil || got != "cart 2025-z; cart 2026-b; " {
			t.Error(got, err)
		}
	})
}

// Of many that write one name at once one wins, the others are told, and what is there is one of theirs as a whole.
func TestWritersOfOneNameDoNotMix(t *testing.T) {
	stores(t, func(t *testing.T, b *bucket.Bucket) {
		n := named("cart", "1")
		files := make([][]byte, 8)
		errs := make([]error, len(files))
		for i := range files {
			files[i] = file(t, strings.Repeat(fmt.Sprint(i), 10000*(i+1)))
		}
		var wg sync.WaitGroup
		for i := range files {
			wg.Go(func() { errs[i] = b.PutNew(t.Context(), n, files[i]) })
		}
		wg.Wait()
		_, _, got, err := b.Get(t.Context(), n)
		if err != nil {
			t.Fatal(err)
		}
		won := 0
		for i, err := range errs {
			switch {
			case err == nil:
				if won++; !bytes.Equal(got, files[i]) {
					t.Error("what is there is not the winner's")
				}
			case !errors.Is(err, bucket.ErrExists):
				t.Error(err)
			}
		}
		if won != 1 {
			t.Error(won, "won")
		}
	})
}

func TestWhatIsNoModelIsNotKept(t *testing.T) {
	b := bucket.Of(memblob.OpenBucket(nil), "memory")
	whole := file(t, "weights")
	for _, bad := range [][]byte{nil, []byte("weights"), whole[:len(whole)-1]} {
		if err := b.Put(t.Context(), named("cart", "1"), bad); !bucket.Broken(err) {
			t.Error(err)
		}
	}
	for _, n := range []bucket.Name{{}, {Application: "a", Kind: "k"}, {Application: "a", Kind: "K/../x", Version: "1"}, {Application: "a", Kind: "a/service", Version: "1"},
		{Application: "a", Kind: "k", Version: "../1"}, {Application: strings.Repeat("ü", 100), Kind: "k", Version: "1"}} {
		if err := b.Put(t.Context(), n, whole); err == nil {
			t.Error(n)
		}
	}
}

// A file that was cut off is told from one that is not there, with its place.
func TestATruncatedFileIsNamed(t *testing.T) {
	dir := t.TempDir()
	b, err := bucket.Open(t.Context(), "file://"+dir)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if err := b.Put(t.Context(), named("cart", "1"), file(t, "weights")); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "models/shop/forecast/madu/n60-m5/service/cart/1.model")
	if err := os.Truncate(path, 50); err != nil {
		t.Fatal(err)
	}
	_, _, _, err = b.Get(t.Context(), named("cart", "1"))
	if !errors.Is(err, ml.ErrTruncated) || !bucket.Broken(err) || !strings.Contains(err.Error(), "service/cart/1.model in "+dir) {
		t.Error(err)
	}
}

// A writer that was killed leaves a part behind, which nobody takes for a model.
func TestPartsAreNoModels(t *testing.T) {
	dir := t.TempDir()
	b, err := bucket.Open(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	folder := filepath.Join(dir, "models/shop/forecast/madu/n60-m5/service/cart")
	if err := errors.Join(os.MkdirAll(folder, 0o777), os.WriteFile(filepath.Join(folder, "1.model.4711-1.part"), []byte("half"), 0o666)); err != nil {
		t.Fatal(err)
	}
	if all, err := b.Models(t.Context(), "shop", "forecast/madu/n60-m5"); err != nil || len(all) != 0 {
		t.Error(all, err)
	}
}

func TestPlacesThatAreNone(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o666); err != nil {
		t.Fatal(err)
	}
	s3 := startS3(t)
	for address, want := range map[string]error{
		"": bucket.ErrURL, "file://": bucket.ErrURL, "ftp://models": bucket.ErrURL, "s3://": bucket.ErrURL, "gs:///models": bucket.ErrURL, "file:///a?b": bucket.ErrURL,
		"s3://key:secret@models": bucket.ErrURL, "s3://mo%zzdels?secret": bucket.ErrURL,
		filepath.Join(dir, "missing"): bucket.ErrNoBucket, filepath.Join(dir, "file"): bucket.ErrNoBucket,
		s3.address("nobodys"): bucket.ErrNoBucket, s3.address("closed"): bucket.ErrDenied,
	} {
		b, err := bucket.Open(t.Context(), address)
		if !errors.Is(err, want) || strings.Contains(fmt.Sprint(err), "secret") {
			t.Errorf("%s: %v, want %v", address, err, want)
		}
		if err == nil {
			b.Close()
		}
	}
}

func TestAnEndedContextWritesNothing(t *testing.T) {
	stores(t, func(t *testing.T, b *bucket.Bucket) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := b.Put(ctx, named("cart", "1"), file(t, "w")); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if all, err := b.Models(t.Context(), "shop", "forecast/madu/n60-m5"); err != nil || len(all) != 0 {
			t.Error(all, err)
		}
	})
}

// Whatever a service is called, its model is found under its name and under no other's.
func TestAnyNameMayBeAServices(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(rt *rapid.T) {
		names := rapid.SliceOfNDistinct(rapid.OneOf(rapid.StringN(1, 12, 24), rapid.SampledFrom([]string{"..", ".", "a/b", "a%2Fb", "service", "shared", "a__0x2f__b", "CON", "a b", "\x00", "\xff"})), 1, 5, rapid.ID).Draw(rt, "names")
		sub, err := os.MkdirTemp(dir, "b")
		if err != nil {
			rt.Fatal(err)
		}
		b, err := bucket.Open(t.Context(), sub)
		if err != nil {
			rt.Fatal(err)
		}
		defer b.Close()
		for _, s := range names {
			if err := b.PutNew(t.Context(), named(s, "1"), file(t, s)); err != nil {
				rt.Fatal(err)
			}
		}
		all, err := b.Models(t.Context(), "shop", "forecast/madu/n60-m5")
		if err != nil || len(all) != len(names) {
			rt.Fatalf("%d of %d found, %v", len(all), len(names), err)
		}
		for _, e := range all {
			if _, p, _, err := b.Get(t.Context(), e.Name); err != nil || string(p) != e.Service {
				rt.Fatalf("%q holds %q, %v", e.Service, p, err)
			}
		}
	})
}

func BenchmarkGet(b *testing.B) {
	store, err := bucket.Create(b.Context(), b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	defer store.Close()
	n := named("cart", "1")
	if err := store.Put(b.Context(), n, file(b, strings.Repeat("w", 100_000))); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, _, _, err := store.Get(b.Context(), n); err != nil {
			b.Fatal(err)
		}
	}
}
