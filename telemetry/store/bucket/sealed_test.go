package bucket_test

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"gocloud.dev/blob"
	"gocloud.dev/blob/memblob"

	"foresail.dev/telemetry/store/bucket"
	"foresail.dev/telemetry/store/seal"
)

// Objects of a bucket with a key come back with it alone, tell nothing without it, and can't change places.
func TestEncryptedObjects(t *testing.T) {
	ctx := t.Context()
	raw := memblob.OpenBucket(nil)
	defer raw.Close()
	b := bucket.Of(raw, "memory")
	k := seal.NewKey()
	b.Encrypt(k)
	one, two := file(t, "weights-of-cart"), file(t, "weights-of-checkout")
	for service, f := range map[string][]byte{"cart": one, "checkout": two} {
		if err := errors.Join(b.PutNew(ctx, named(service, "1"), f), b.PutNew(ctx, named(service, "1"), f), b.PutResult(ctx, named(service, "1"), []byte(`{"mae":1}`))); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, got, err := b.Get(ctx, named("cart", "1")); err != nil || !bytes.Equal(got, one) {
		t.Fatal(err)
	}
	if all, err := b.Versions(ctx, "shop", "forecast/madu/n60-m5", "cart"); err != nil || len(all) != 1 {
		t.Fatal(all, err)
	}
	if _, built, err := b.Once(ctx, named("cart", "1"), bucket.Turns{}, nil); err != nil || built {
		t.Fatal(built, err)
	}
	var keys []string
	for it := raw.List(nil); ; {
		o, err := it.Next(ctx)
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		data, err := raw.ReadAll(ctx, o.Key)
		if err != nil || bytes.Contains(data, []byte("weights")) || bytes.Contains(data, []byte("mae")) || !seal.IsSealed(data) {
			t.Errorf("%s is in the clear, %v", o.Key, err)
		}
		keys = append(keys, o.Key)
	}
	if len(keys) != 4 {
		t.Fatalf("objects %q", keys)
	}
	for name, c := range map[string]struct {
		key  seal.Key
		want error
	}{"no key": {seal.Key{}, bucket.ErrSealed}, "another key": {seal.NewKey(), seal.ErrKey}} {
		other := bucket.Of(raw, "memory")
		other.Encrypt(c.key)
		if _, _, _, err := other.Get(ctx, named("cart", "1")); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
		// What can't be read is not built over.
		if _, built, err := other.Once(ctx, named("cart", "1"), bucket.Turns{}, nil); !errors.Is(err, c.want) || built {
			t.Errorf("%s, once: %t, %v", name, built, err)
		}
	}
	cart, err := raw.ReadAll(ctx, "models/shop/forecast/madu/n60-m5/service/cart/1.model")
	if err != nil {
		t.Fatal(err)
	}
	if err := raw.WriteAll(ctx, "models/shop/forecast/madu/n60-m5/service/checkout/1.model", cart, &blob.WriterOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, _, _, err := b.Get(ctx, named("checkout", "1")); !errors.Is(err, seal.ErrSwapped) {
		t.Errorf("a model in another's place: %v", err)
	}
}
