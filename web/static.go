package web

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strings"
	"sync"
)

//go:embed static
var staticFS embed.FS

// asset is one embedded file, compressed once.
type asset struct {
	plain, zipped []byte
	etag, kind    string
}

// kinds are fixed here: the system's own table can be wrong or absent.
var kinds = map[string]string{
	".html": "text/html; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".mjs":  "text/javascript; charset=utf-8",
	".svg":  "image/svg+xml",
}

// assets are all files of the page by path, "/" for index.html.
var assets = sync.OnceValue(func() map[string]*asset {
	out := map[string]*asset{}
	walk := func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := staticFS.ReadFile(name)
		if err != nil {
			return err
		}
		url := strings.TrimPrefix(name, "static")
		if url == "/index.html" {
			url = "/"
		}
		out[url] = newAsset(name, data)
		return nil
	}
	if err := fs.WalkDir(staticFS, "static", walk); err != nil {
		panic("web: embedded files can't be read: " + err.Error()) // the binary itself is broken
	}
	return out
})

func newAsset(name string, data []byte) *asset {
	sum := sha256.Sum256(data)
	a := &asset{plain: data, etag: `"` + hex.EncodeToString(sum[:12]) + `"`, kind: kinds[path.Ext(name)]}
	if a.kind == "" {
		a.kind = "text/plain; charset=utf-8"
	}
	var buf bytes.Buffer
	z, _ := gzip.NewWriterLevel(&buf, 6) // the level is valid, and a buffer takes everything
	z.Write(data)
	z.Close()
	if buf.Len() < len(data)*9/10 {
		a.zipped = buf.Bytes()
	}
	return a
}

func serveStatic(w http.ResponseWriter, r *http.Request) {
	a := assets()[r.URL.Path]
	switch {
	case a == nil:
		fail(w, http.StatusNotFound, "no such page: the page is at /")
		return
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		w.Header().Set("Allow", "GET, HEAD")
		fail(w, http.StatusMethodNotAllowed, "use GET")
		return
	}
	h := w.Header()
	h.Set("Content-Type", a.kind)
	h.Set("Cache-Control", "no-cache") // asked for each time, answered 304: a new binary is a new page
	h.Set("Vary", "Accept-Encoding")
	etag, data := a.etag, a.plain
	if a.zipped != nil && acceptsGzip(r.Header.Get("Accept-Encoding")) {
		h.Set("Content-Encoding", "gzip")
		etag, data = strings.TrimSuffix(a.etag, `"`)+`-gz"`, a.zipped
	}
	h.Set("ETag", etag)
	if strings.Contains(r.Header.Get("If-None-Match"), etag) {
		h.Del("Content-Type")
		h.Del("Content-Encoding")
		w.WriteHeader(http.StatusNotModified)
		return
	}
	if r.Method == http.MethodGet {
		w.Write(data)
	}
}

// acceptsGzip reads as much of Accept-Encoding as browsers and tools use: gzip named and not weighted to zero.
func acceptsGzip(header string) bool {
	for part := range strings.SplitSeq(header, ",") {
		name, params, err := mime.ParseMediaType(strings.TrimSpace(part))
		if err == nil && name == "gzip" && params["q"] != "0" {
			return true
		}
	}
	return false
}
