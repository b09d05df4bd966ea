package bucket

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"gocloud.dev/blob"

	"foresail.dev/ml"
	"foresail.dev/telemetry/store/seal"
)

// Bucket is a place for models and results. It may be used by many goroutines, and by many processes.
type Bucket struct {
	b   *blob.Bucket
	dir string   // of a folder's bucket: its path, where files are written by this package
	url string   // without what may be secret
	key seal.Key // none: objects are not encrypted
}

// Of is a bucket that someone else has opened; name is what errors call it.
func Of(b *blob.Bucket, name string) *Bucket { return &Bucket{b: b, url: name} }

// ErrSealed is returned for an object that is encrypted, of a bucket without a key.
var ErrSealed = errors.New("encrypted: give its key")

// Encrypt makes the bucket one whose objects are encrypted with a key, and bound to their names; the names themselves are not. It
// is called before anything else.
func (b *Bucket) Encrypt(k seal.Key) { b.key = k }

// Close ends the use of the bucket.
func (b *Bucket) Close() error { return b.b.Close() }

// String is the bucket's URL without its query.
func (b *Bucket) String() string { return b.url }

// Entry is a model that there is.
type Entry struct {
	Name
	Bytes    int64
	Modified time.Time
}

// Put keeps a model file, as ml.Write writes it, in place of one that may be there. A file that is none is refused with ml's
// error.
func (b *Bucket) Put(ctx context.Context, n Name, file []byte) error {
	return b.put(ctx, n, file, false)
}

// PutNew keeps a model file where there is none of that name. Where the very same file is there, that is as good; another
// is ErrExists, and stays.
func (b *Bucket) PutNew(ctx context.Context, n Name, file []byte) error {
	err := b.put(ctx, n, file, true)
	if !errors.Is(err, ErrExists) {
		return err
	}
	if have, rerr := b.read(ctx, n.model()); rerr == nil && bytes.Equal(have, file) {
		return nil
	}
	return err
}

func (b *Bucket) put(ctx context.Context, n Name, file []byte, only bool) error {
	if err := n.check(); err != nil {
		return err
	}
	if _, _, err := ml.Read(bytes.NewReader(file)); err != nil {
		return fmt.Errorf("not kept as %s: %w", n, err)
	}
	return b.write(ctx, n.model(), file, only)
}

// Get reads a model file and checks it. It fails with ErrNotFound, or with ml's ErrTruncated, ErrCorrupt and so on.
func (b *Bucket) Get(ctx context.Context, n Name) (h ml.Header, payload, file []byte, err error) {
	if err := n.check(); err != nil {
		return h, nil, nil, err
	}
	if file, err = b.read(ctx, n.model()); err != nil {
		return h, nil, nil, err
	}
	if h, payload, err = ml.Read(bytes.NewReader(file)); err != nil {
		return h, nil, nil, fmt.Errorf("%s in %s: %w", n.model(), b, err)
	}
	return h, payload, file, nil
}

// Remove takes a model away; one that is not there is no error.
func (b *Bucket) Remove(ctx context.Context, n Name) error {
	if err := n.check(); err != nil {
		return err
	}
	return b.delete(ctx, n.model())
}

// Models lists all versions of one kind of model of an application: those of all services first, then service by service in
// the order of their names, of each the newest last (see Newest). kind is given as a whole.
func (b *Bucket) Models(ctx context.Context, application, kind string) ([]Entry, error) {
	if err := (Name{Application: application, Kind: kind, Version: "1"}).check(); err != nil {
		return nil, err
	}
	return b.list(ctx, escape(application)+"/"+kind+"/")
}

// Versions lists the models of one service, or with an empty one those of all, the newest last.
func (b *Bucket) Versions(ctx context.Context, application, kind, service string) ([]Entry, error) {
	n := Name{Application: application, Kind: kind, Service: service, Version: "1"}
	if err := n.check(); err != nil {
		return nil, err
	}
	return b.list(ctx, n.folder())
}

func (b *Bucket) list(ctx context.Context, under string) ([]Entry, error) {
	var all []Entry
	it := b.b.List(&blob.ListOptions{Prefix: models + under})
	for {
		o, err := it.Next(ctx)
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, b.explain("list", models+under, err)
		}
		if n, ok := parse(o.Key, models, modelEnd); ok {
			all = append(all, Entry{n, o.Size, o.ModTime})
		}
	}
	slices.SortFunc(all, func(a, c Entry) int {
		if d := strings.Compare(a.Service, c.Service); d != 0 {
			return d
		}
		return older(a, c)
	})
	return all, nil
}

// older orders versions by the first part of their names, up to a hyphen, which is to say what they were made of, and those
// that are alike in it by when they were written.
func older(a, c Entry) int {
	x, _, _ := strings.Cut(a.Version, "-")
	y, _, _ := strings.Cut(c.Version, "-")
	if d := strings.Compare(x, y); d != 0 {
		return d
	}
	if d := a.Modified.Compare(c.Modified); d != 0 {
		return d
	}
	return strings.Compare(a.Version, c.Version)
}

// Newest is the last version of each service, as Models lists them.
func Newest(all []Entry) []Entry {
	var out []Entry
	for i, e := range all {
		if i+1 == len(all) || all[i+1].Service != e.Service {
			out = append(out, e)
		}
	}
	return out
}

// PutResult keeps what came of making a model, or anything else that is told as JSON, in place of what may be there.
func (b *Bucket) PutResult(ctx context.Context, n Name, json []byte) error {
	if err := n.check(); err != nil {
		return err
	}
	return b.write(ctx, n.result(), json, false)
}

// Result reads what PutResult kept; ErrNotFound where there is nothing.
func (b *Bucket) Result(ctx context.Context, n Name) ([]byte, error) {
	if err := n.check(); err != nil {
		return nil, err
	}
	return b.read(ctx, n.result())
}
