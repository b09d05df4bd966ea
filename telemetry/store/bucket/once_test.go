package bucket_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"gocloud.dev/blob/memblob"

	"foresail.dev/telemetry/store/bucket"
)

// Of eight that need one thing one makes it, and all have it.
func TestOneMakesItForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := bucket.Of(memblob.OpenBucket(nil), "memory")
		want := file(t, "shared")
		var made, builders, waited atomic.Int32
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				got, built, err := b.Once(t.Context(), named("", "1"), bucket.Turns{Wait: func() { waited.Add(1) }}, func(context.Context) ([]byte, error) {
					made.Add(1)
					time.Sleep(10 * time.Minute) // much longer than a turn lasts without a sign of life
					return want, nil
				})
				if err != nil || string(got) != string(want) {
					t.Error(err)
				}
				if built {
					builders.Add(1)
				}
			})
		}
		wg.Wait()
		if made.Load() != 1 || builders.Load() != 1 || waited.Load() != 7 {
			t.Error(made.Load(), builders.Load(), waited.Load())
		}
	})
}

// One that is killed in the middle is waited for no longer than its turn lasts, and one alone takes over.
func TestAnotherTakesOverFromOneThatDied(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := memblob.OpenBucket(nil)
		b := bucket.Of(inner, "memory")
		// What a process that was killed leaves behind: a turn, with no sign of life any more.
		if err := inner.WriteAll(t.Context(), "claims/shop/forecast/madu/n60-m5/shared/1/1", []byte("dead"), nil); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		var made atomic.Int32
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				if _, _, err := b.Once(t.Context(), named("", "1"), bucket.Turns{Expire: 30 * time.Second}, func(context.Context) ([]byte, error) {
					made.Add(1)
					return file(t, "shared"), nil
				}); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if took := time.Since(began); made.Load() != 1 || took < 30*time.Second || took > 33*time.Second {
			t.Error(made.Load(), took)
		}
	})
}

// One that fails gives its turn up at once: the next tries too, and each tells its own failure.
func TestAFailureIsWaitedForByNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := bucket.Of(memblob.OpenBucket(nil), "memory")
		broken := errors.New("disk full")
		began := time.Now()
		for range 3 {
			if _, built, err := b.Once(t.Context(), named("", "1"), bucket.Turns{}, func(context.Context) ([]byte, error) { return nil, broken }); !errors.Is(err, broken) || built {
				t.Error(err, built)
			}
		}
		if took := time.Since(began); took > time.Second {
			t.Error(took)
		}
		ctx, cancel := context.WithCancel(t.Context())
		_, _, err := b.Once(ctx, named("", "1"), bucket.Turns{}, func(ctx context.Context) ([]byte, error) { cancel(); return nil, ctx.Err() })
		if !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if _, built, err := b.Once(t.Context(), named("", "1"), bucket.Turns{}, func(context.Context) ([]byte, error) { return file(t, "x"), nil }); err != nil || !built || time.Since(began) > time.Second {
			t.Error(err, built, time.Since(began))
		}
	})
}

// What is there is taken as it is; what is broken is made again.
func TestWhatIsThereIsNotMadeAgain(t *testing.T) {
	inner := memblob.OpenBucket(nil)
	b := bucket.Of(inner, "memory")
	n := named("", "1")
	build := func(context.Context) ([]byte, error) { return file(t, "new"), nil }
	if err := b.Put(t.Context(), n, file(t, "old")); err != nil {
		t.Fatal(err)
	}
	if got, built, err := b.Once(t.Context(), n, bucket.Turns{}, build); err != nil || built || string(got) != string(file(t, "old")) {
		t.Error(built, err)
	}
	if err := inner.WriteAll(t.Context(), "models/shop/forecast/madu/n60-m5/shared/1.model", file(t, "old")[:40], nil); err != nil {
		t.Fatal(err)
	}
	if got, built, err := b.Once(t.Context(), n, bucket.Turns{}, build); err != nil || !built || string(got) != string(file(t, "new")) {
		t.Error(built, err)
	}
}

func TestOnceOnEveryStore(t *testing.T) {
	stores(t, func(t *testing.T, b *bucket.Bucket) {
		var made atomic.Int32
		var wg sync.WaitGroup
		for range 6 {
			wg.Go(func() {
				_, _, err := b.Once(t.Context(), named("", "1"), bucket.Turns{Poll: time.Millisecond}, func(context.Context) ([]byte, error) {
					made.Add(1)
					return file(t, "shared"), nil
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if made.Load() != 1 {
			t.Error(made.Load())
		}
	})
}
