package bucket_test

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// s3 is a server that speaks as much of S3's protocol as this package uses: whole objects, If-None-Match, lists. It stands in
// for the real one in what it answers, not in how it fails under load or which signatures it accepts.
type s3 struct {
	mu      sync.Mutex
	objects map[string][]byte // by path
	server  *httptest.Server
}

func startS3(t testing.TB) *s3 {
	s := &s3{objects: map[string][]byte{}}
	s.server = httptest.NewServer(s)
	t.Cleanup(s.server.Close)
	t.Setenv("AWS_ACCESS_KEY_ID", "test")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "test")
	t.Setenv("AWS_CONFIG_FILE", "/nowhere")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
	return s
}

func (s *s3) address(bucket string) string {
	return "s3://" + bucket + "?region=us-east-1&use_path_style=true&request_checksum_calculation=when_required&endpoint=" + url.QueryEscape(s.server.URL)
}

func (s *s3) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fail := func(status int, code string) {
		w.Header().Set("Content-Type", "application/xml")
		w.WriteHeader(status)
		fmt.Fprintf(w, "<Error><Code>%s</Code><Message>%s</Message></Error>", code, code)
	}
	bucket, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	switch {
	case bucket == "closed":
		fail(http.StatusForbidden, "AccessDenied")
		return
	case bucket != "shop-models":
		fail(http.StatusNotFound, "NoSuchBucket")
		return
	case key == "":
		s.list(w, r)
		return
	}
	have, ok := s.objects[key]
	switch r.Method {
	case http.MethodPut:
		if ok && r.Header.Get("If-None-Match") == "*" {
			fail(http.StatusPreconditionFailed, "PreconditionFailed")
			return
		}
		data, err := io.ReadAll(r.Body)
		if err != nil || int64(len(data)) != r.ContentLength { // as S3, which keeps no object that was not sent in full
			fail(http.StatusBadRequest, "IncompleteBody")
			return
		}
		s.objects[key] = data
		w.Header().Set("ETag", tag(data))
	case http.MethodDelete:
		delete(s.objects, key)
		w.WriteHeader(http.StatusNoContent)
	case http.MethodGet, http.MethodHead:
		if !ok {
			fail(http.StatusNotFound, "NoSuchKey")
			return
		}
		w.Header().Set("ETag", tag(have))
		http.ServeContent(w, r, "", time.Now(), bytes.NewReader(have))
	default:
		fail(http.StatusNotImplemented, "NotImplemented")
	}
}

func tag(data []byte) string {
	sum := md5.Sum(data)
	return `"` + hex.EncodeToString(sum[:]) + `"`
}

func (s *s3) list(w http.ResponseWriter, r *http.Request) {
	type object struct {
		Key, LastModified, ETag string
		Size                    int
	}
	var out struct {
		XMLName     xml.Name `xml:"ListBucketResult"`
		IsTruncated bool
		// Two a page, so that pages are turned.
		NextContinuationToken string `xml:",omitempty"`
		Contents              []object
	}
	q := r.URL.Query()
	var keys []string
	for k := range s.objects {
		if strings.HasPrefix(k, q.Get("prefix")) && k > q.Get("continuation-token") {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	if len(keys) > 2 {
		out.IsTruncated, keys = true, keys[:2]
		out.NextContinuationToken = keys[1]
	}
	for _, k := range keys {
		out.Contents = append(out.Contents, object{k, "2026-01-01T00:00:00Z", tag(s.objects[k]), len(s.objects[k])})
	}
	w.Header().Set("Content-Type", "application/xml")
	_ = xml.NewEncoder(w).Encode(out)
}
