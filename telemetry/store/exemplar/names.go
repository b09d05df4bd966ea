package exemplar

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"foresail.dev/telemetry/store/seal"
)

// hourForm is how a file's name says its hour, UTC.
const hourForm = "2006-01-02T15"

// Endings of files.
const (
	plain   = ".jsonl"
	gzipped = ".jsonl.gz"
	zstded  = ".jsonl.zst"
	sealed  = ".sealed"  // behind one of these, where the store has a key
	partial = ".partial" // behind the name of a file that is not complete yet
)

// growing tells whether it is a file that is written line by line, and not one that was closed and compressed.
func (f *file) growing() bool { return strings.TrimSuffix(f.ending, sealed) == plain }

// sealed tells whether it is encrypted.
func (f *file) sealed() bool { return strings.HasSuffix(f.ending, sealed) }

// under is the name that it is sealed under.
func (f *file) under() string { return f.app + "/" + f.name() }

// file is one file of traces.
type file struct {
	app    string // the folder's name
	hour   time.Time
	number int
	ending string
	size   int64
}

func (f *file) name() string {
	return fmt.Sprintf("%s-%04d%s", f.hour.Format(hourForm), f.number, f.ending)
}

func (f *file) path(dir string) string { return filepath.Join(dir, f.app, f.name()) }

// before orders files by hour, then number.
func (f *file) before(g *file) int {
	if c := f.hour.Compare(g.hour); c != 0 {
		return c
	}
	if c := strings.Compare(f.app, g.app); c != 0 {
		return c
	}
	return f.number - g.number
}

// parseName reads what file.name writes.
func parseName(name string) (file, bool) {
	f := file{}
	for _, e := range []string{plain, gzipped, zstded, plain + sealed, gzipped + sealed, zstded + sealed} {
		stem, ok := strings.CutSuffix(name, e)
		if !ok {
			continue
		}
		hour, number, ok := cutLast(stem, "-")
		if !ok || len(number) < 4 {
			return f, false
		}
		var err1, err2 error
		f.hour, err1 = time.Parse(hourForm, hour)
		f.number, err2 = strconv.Atoi(number)
		f.ending = e
		return f, err1 == nil && err2 == nil && f.number > 0 && f.name() == name
	}
	return f, false
}

func cutLast(s, sep string) (before, after string, ok bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

// maxFolder is how long a folder's name may be before it is cut.
const maxFolder = 120

// folder is the name of an application's folder: escaped, so that no name leads out of the store; with a key, a tag from which
// the name can't be found.
func folder(app string, k seal.Key) string {
	if !k.IsZero() {
		secret, err := hkdf.Key(sha256.New, k.Bytes(), nil, "exemplar folder", sha256.Size)
		if err != nil {
			panic("exemplar: " + err.Error()) // the size is fixed
		}
		m := hmac.New(sha256.New, secret)
		m.Write([]byte(app))
		return hex.EncodeToString(m.Sum(nil)[:16])
	}
	name := url.PathEscape(app)
	if strings.HasPrefix(name, ".") {
		name = "%2E" + name[1:]
	}
	if name == "" {
		name = "%"
	}
	if len(name) > maxFolder {
		sum := sha256.Sum256([]byte(app))
		name = strings.TrimRight(name[:maxFolder-17], "%0123456789ABCDEF") + "~" + hex.EncodeToString(sum[:8])
	}
	return name
}

// application is the name that folder made without a key; of one that was cut, the folder's.
func application(folder string) string {
	if folder == "%" {
		return ""
	}
	if app, err := url.PathUnescape(folder); err == nil {
		return app
	}
	return folder
}

// list finds the files of a store, in order. Of a file that is there both plain and compressed the plain one is in
// twice: a crash came between the two steps of closing it.
func list(dir string) (files, twice []file, err error) {
	apps, err := os.ReadDir(dir)
	if err != nil {
		return nil, nil, err
	}
	for _, a := range apps {
		if !a.IsDir() {
			continue
		}
		entries, err := os.ReadDir(filepath.Join(dir, a.Name()))
		if os.IsNotExist(err) {
			continue
		}
		if err != nil {
			return nil, nil, err
		}
		for _, e := range entries {
			f, ok := parseName(e.Name())
			info, err := e.Info()
			if !ok || err != nil || !info.Mode().IsRegular() {
				continue
			}
			f.app, f.size = a.Name(), info.Size()
			files = append(files, f)
		}
	}
	slices.SortFunc(files, func(a, b file) int {
		if c := a.before(&b); c != 0 {
			return c
		}
		switch { // closed ones first
		case a.growing() == b.growing():
			return strings.Compare(a.ending, b.ending)
		case b.growing():
			return -1
		}
		return 1
	})
	kept := files[:0]
	for _, f := range files {
		if n := len(kept); n > 0 && kept[n-1].before(&f) == 0 {
			twice = append(twice, f)
			continue
		}
		kept = append(kept, f)
	}
	return kept, twice, nil
}
