package store_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"foresail.dev/telemetry/store"
)

// filled is a store of n seconds of 36 services with 3 replicas each.
func filled(b *testing.B, n int) (*store.Store, string) {
	b.Helper()
	dir := b.TempDir()
	h := open(b, dir, store.Options{})
	app := shop(36)
	for k := range n {
		if err := h.Append(app, second(app, k, 3)); err != nil {
			b.Fatal(err)
		}
	}
	return h, dir
}

// One snapshot is 36 services with 3 replicas each, as a second brings it.
//
//	go test -run - -bench . -benchmem ./telemetry/store
func BenchmarkAppend(b *testing.B) {
	h := open(b, b.TempDir(), store.Options{})
	app := shop(36)
	k := 0
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		s := second(app, k, 3)
		k++
		b.StartTimer()
		if err := h.Append(app, s); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "snapshots/s")
}

// Seconds are written and compacted, then read in minutes and in seconds; it says what they take on disk. There are ten minutes of
// them, or as many hours as FORESAIL_HOURS says, with 24 for a day.
func BenchmarkRead(b *testing.B) {
	hours, _ := strconv.Atoi(os.Getenv("FORESAIL_HOURS"))
	n := hours*3600 + 600
	h, dir := filled(b, n)
	if err := h.Compact(); err != nil {
		b.Fatal(err)
	}
	sizes(b, dir, n)
	b.Run("minutes", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if got := len(read(b, h, start, start.Add(time.Duration(n)*time.Second), time.Minute)); got != n/60 {
				b.Fatal(got)
			}
		}
		b.ReportMetric(float64(n/60*b.N)/b.Elapsed().Seconds(), "snapshots/s")
	})
	b.Run("seconds", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if got := len(read(b, h, start.Add(time.Duration(n-600)*time.Second), start.Add(time.Duration(n)*time.Second), 0)); got != 600 {
				b.Fatal(got)
			}
		}
		b.ReportMetric(float64(600*b.N)/b.Elapsed().Seconds(), "snapshots/s")
	})
}

// Two days of minutes, as they are kept for months, are written and compacted; then a day is read. It says what they take on disk.
func BenchmarkMinutes(b *testing.B) {
	const n = 2*24*60 + 400 // the last half a block stays in memory
	dir := b.TempDir()
	h, err := store.OpenSmall(dir, store.Options{Retention: store.DefaultMinutes}, 12*time.Hour)
	if err != nil {
		b.Fatal(err)
	}
	defer h.Close()
	app := shop(36)
	for k := range n {
		s := second(app, k, 3)
		s.Start, s.End = start.Add(time.Duration(k)*time.Minute), start.Add(time.Duration(k+1)*time.Minute)
		if err := h.Append(app, s); err != nil {
			b.Fatal(err)
		}
	}
	if err := h.Compact(); err != nil {
		b.Fatal(err)
	}
	sizes(b, dir, n*60)
	b.ReportAllocs()
	for b.Loop() {
		if got := len(read(b, h, start, start.Add(24*time.Hour), time.Minute)); got != 24*60 {
			b.Fatal(got)
		}
	}
	b.ReportMetric(24*60*float64(b.N)/b.Elapsed().Seconds(), "snapshots/s")
}

// sizes prints what is on disk, by what it is.
func sizes(b *testing.B, dir string, seconds int) {
	for _, level := range []string{"samples", "minutes"} {
		var blocks, log, head int64
		_ = filepath.WalkDir(filepath.Join(dir, level), func(p string, d os.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() {
				return nil
			}
			st, err := d.Info()
			if err != nil {
				return nil
			}
			switch rel, _ := filepath.Rel(filepath.Join(dir, level), p); {
			case filepath.Dir(rel) == "wal":
				log += st.Size()
			case filepath.Dir(rel) == "chunks_head":
				head += st.Size()
			default:
				blocks += st.Size()
			}
			return nil
		})
		fmt.Printf("%s after %d s: blocks %d, log %d, head chunks %d bytes\n", level, seconds, blocks, log, head)
	}
}
