package bucket

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"gocloud.dev/blob"
	"gocloud.dev/blob/fileblob"
	_ "gocloud.dev/blob/gcsblob" // gs://
	_ "gocloud.dev/blob/s3blob"  // s3://
)

// ErrURL is an address that names no bucket.
var ErrURL = errors.New("no bucket's address")

// patience is how long an object store may take to say whether a bucket is there.
const patience = 30 * time.Second

// Open opens a bucket that there is: a folder (a path, or file://), s3://BUCKET or gs://BUCKET. A path after the bucket's name
// comes before all names in it. Queries are those of gocloud.dev's s3blob and gcsblob, like ?region=eu-west-1. It fails with
// ErrURL, ErrNoBucket or ErrDenied.
func Open(ctx context.Context, address string) (*Bucket, error) { return open(ctx, address, false) }

// Create opens a bucket like Open, and makes the folder where it is one and missing. Buckets of object stores are made by
// their owners.
func Create(ctx context.Context, address string) (*Bucket, error) { return open(ctx, address, true) }

// Check says what of an address is wrong without going there: an ErrURL.
func Check(address string) error {
	_, _, err := place(address)
	return err
}

func open(ctx context.Context, address string, create bool) (*Bucket, error) {
	dir, u, err := place(address)
	if err != nil {
		return nil, err
	}
	if dir != "" {
		return openFolder(dir, create)
	}
	name := u.Scheme + "://" + u.Host + u.Path
	prefix := strings.Trim(u.Path, "/")
	u.Path = ""
	opened, err := blob.OpenBucket(ctx, u.String())
	if err != nil {
		return nil, fmt.Errorf("%s can't be opened: %w", name, err)
	}
	if prefix != "" {
		opened = blob.PrefixedBucket(opened, prefix+"/")
	}
	b := Of(opened, name)
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if _, _, err := opened.ListPage(ctx, blob.FirstPageToken, 1, nil); err != nil {
		err = b.explain("list", "", err)
		if errors.Is(err, ErrNotFound) {
			err = fmt.Errorf("%w: %s: make it first, or mend its name", ErrNoBucket, name)
		}
		return nil, errors.Join(err, opened.Close())
	}
	return b, nil
}

// place reads an address: a folder's absolute path, or a URL.
func place(address string) (dir string, u *url.URL, err error) {
	path, local := strings.CutPrefix(address, "file://")
	switch {
	case address == "" || local && path == "":
		return "", nil, fmt.Errorf("%w: it is empty: give a folder, s3://BUCKET or gs://BUCKET", ErrURL)
	case local && strings.ContainsAny(path, "?#"):
		return "", nil, fmt.Errorf("%w: %s: a folder's address has no ? or #", ErrURL, address)
	case local || !strings.Contains(address, "://"):
		if !local {
			path = address
		}
		dir, err := filepath.Abs(filepath.FromSlash(path))
		return dir, nil, err
	}
	u, err = url.Parse(address)
	switch {
	case err != nil: // url's error tells the whole address, secrets and all
		return "", nil, fmt.Errorf("%w: it can't be read: give a folder, s3://BUCKET or gs://BUCKET", ErrURL)
	case u.Scheme != "s3" && u.Scheme != "gs":
		return "", nil, fmt.Errorf("%w: %s://…: give a folder, s3://BUCKET or gs://BUCKET", ErrURL, u.Scheme)
	case u.Host == "" || u.User != nil || u.Fragment != "":
		return "", nil, fmt.Errorf("%w: %s://…: give %s://BUCKET, and credentials as its own tools take them", ErrURL, u.Scheme, u.Scheme)
	}
	return "", u, nil
}

func openFolder(dir string, create bool) (*Bucket, error) {
	if create {
		if err := os.MkdirAll(dir, 0o777); err != nil {
			return nil, folderError(dir, err)
		}
	}
	if s, err := os.Stat(dir); err != nil {
		return nil, folderError(dir, err)
	} else if !s.IsDir() {
		return nil, fmt.Errorf("%w: %s is a file, not a folder", ErrNoBucket, dir)
	}
	opened, err := fileblob.OpenBucket(dir, &fileblob.Options{Metadata: fileblob.MetadataDontWrite, NoTempDir: true})
	if err != nil {
		return nil, folderError(dir, err)
	}
	b := Of(opened, dir)
	b.dir = dir
	return b, nil
}

func folderError(dir string, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w: there is no folder %s: mend its name, or make it with `foresail train`", ErrNoBucket, dir)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w: the folder %s may not be used: %w", ErrDenied, dir, err)
	}
	return fmt.Errorf("folder %s: %w", dir, err)
}
