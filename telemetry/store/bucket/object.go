package bucket

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"

	"gocloud.dev/blob"
	"gocloud.dev/gcerrors"

	"foresail.dev/telemetry/store/seal"
)

// What the bucket reports, wrapped in what was wanted.
var (
	ErrNoBucket = errors.New("no such bucket")
	ErrNotFound = errors.New("not in the bucket")
	ErrDenied   = errors.New("no permission")
	ErrExists   = errors.New("another is there already")
)

// read is an object as a whole.
func (b *Bucket) read(ctx context.Context, key string) ([]byte, error) {
	data, err := b.b.ReadAll(ctx, key)
	if err != nil {
		return nil, b.explain("read", key, err)
	}
	switch sealed := seal.IsSealed(data); {
	case b.key.IsZero() && sealed:
		return nil, fmt.Errorf("%s in %s: %w", key, b, ErrSealed)
	case b.key.IsZero():
		return data, nil
	}
	if data, _, err = seal.Unseal(b.key, key, data); err != nil {
		return nil, fmt.Errorf("read in %s: %w", b, err)
	}
	return data, nil
}

// write makes an object, whole or not at all; only where there is none, or else ErrExists.
func (b *Bucket) write(ctx context.Context, key string, data []byte, only bool) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if !b.key.IsZero() {
		data = seal.Seal(b.key, key, data, seal.Marks{})
	}
	var err error
	if b.dir != "" {
		err = writeFile(filepath.Join(b.dir, filepath.FromSlash(key)), data, only)
	} else {
		err = b.b.WriteAll(ctx, key, data, &blob.WriterOptions{ContentType: "application/octet-stream", IfNotExist: only})
	}
	if err != nil {
		return b.explain("write", key, err)
	}
	return nil
}

func (b *Bucket) delete(ctx context.Context, key string) error {
	if err := b.b.Delete(ctx, key); err != nil && gcerrors.Code(err) != gcerrors.NotFound {
		return b.explain("remove", key, err)
	}
	return nil
}

// explain says in one of this package's errors what a store said in its own words.
func (b *Bucket) explain(did, key string, err error) error {
	var coded interface{ ErrorCode() string }
	code := gcerrors.Code(err)
	switch {
	case errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%s %s in %s: %w", did, key, b, err)
	case code == gcerrors.NotFound || errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w: %s in %s", ErrNotFound, key, b)
	case code == gcerrors.PermissionDenied || errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w to %s %s in %s: check whose credentials are used, and what they may do", ErrDenied, did, key, b)
	case code == gcerrors.FailedPrecondition || errors.Is(err, fs.ErrExist),
		errors.As(err, &coded) && coded.ErrorCode() == "ConditionalRequestConflict": // S3 in two such requests at once
		return fmt.Errorf("%w: %s in %s", ErrExists, key, b)
	}
	return fmt.Errorf("%s %s in %s: %w", did, key, b, err)
}

var parts atomic.Uint64

// writeFile writes a file whole or not at all, also where the power fails. gocloud.dev's fileblob does not sync, and
// guards what may be made only once against its own process alone.
func writeFile(path string, data []byte, only bool) (err error) {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	// A name that nothing else has, and that Name never writes.
	part := path + "." + strconv.Itoa(os.Getpid()) + "-" + strconv.FormatUint(parts.Add(1), 10) + ".part"
	f, err := os.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o666)
	if err != nil {
		return err
	}
	defer os.Remove(part) // after a rename there is none
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return err
	}
	if !only {
		err = os.Rename(part, path)
	} else if err = os.Link(part, path); err != nil && !errors.Is(err, fs.ErrExist) {
		// A file system without links: what two write at once is the same, or the last stays, but it is whole.
		if _, serr := os.Lstat(path); serr == nil {
			return fs.ErrExist
		}
		err = os.Rename(part, path)
	}
	if err != nil {
		return err
	}
	return syncDir(dir)
}

// syncDir makes sure that a name is on disk. Where folders can't be synced, that is as much as there is.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	_ = d.Sync()
	return d.Close()
}
