package store_test

import (
	"cmp"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/sketch"
	"foresail.dev/telemetry/series/seriestest"
	"foresail.dev/telemetry/store"
)

// withShapes adds n forms of ten visits each to what was observed in the k-th second.
func withShapes(t testing.TB, app *foresail.App, s *foresail.Snapshot, k, n int) *foresail.Snapshot {
	t.Helper()
	s.Has |= foresail.SignalShapes
	for i := range n {
		visits := []foresail.Visit{{Operation: "GET /", Parent: -1, Times: 1}}
		for v := 1; v < 10; v++ {
			visits = append(visits, foresail.Visit{Service: foresail.ServiceID((v*3 + i) % len(app.Services)), Operation: "get", Parent: (v - 1) / 2, Step: v % 2, Times: 1 + i%2})
		}
		f, err := foresail.NewForm(0, visits)
		if err != nil {
			t.Fatal(err)
		}
		st := foresail.ShapeStats{Form: f, Requests: float64(k%7 + i + 1), Latency: latency(k, i), Own: make([]*sketch.Sketch, len(visits))}
		if i == 0 {
			st.Pooled = 1
		}
		for v := range st.Own {
			st.Own[v] = latency(k, i*10+v)
		}
		s.Shapes = append(s.Shapes, st)
	}
	slices.SortFunc(s.Shapes, func(a, b foresail.ShapeStats) int { return cmp.Compare(a.Form.Key(), b.Form.Key()) })
	return s
}

// Call graphs come back second by second and by the minute, from a store that was left in the middle of it too; a form that comes,
// goes and comes again does as well.
func TestShapesComeBack(t *testing.T) {
	dir, app := t.TempDir(), shop(7)
	var in []*foresail.Snapshot
	h := open(t, dir, store.Options{})
	for k := range 130 {
		s := withShapes(t, app, second(app, k, 1), k, 1+k/10%2)
		if k%50 == 49 {
			s.Shapes = nil // no request was traced
		}
		in = append(in, s)
		if err := h.Append(app, s); err != nil {
			t.Fatal(err)
		}
		if k == 70 {
			if err := h.Close(); err != nil {
				t.Fatal(err)
			}
			h = open(t, dir, store.Options{})
		}
	}
	r, err := store.OpenRead(dir, store.Options{}) // while it is written
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for _, from := range []*store.Store{h, r} {
		got := read(t, from, start, start.Add(130*time.Second), 0)
		if len(got) != len(in) {
			t.Fatalf("%d snapshots", len(got))
		}
		for k := range in {
			if err := seriestest.Same(in[k], got[k]); err != nil {
				t.Fatalf("second %d: %v", k, err)
			}
		}
		for k, m := range read(t, from, start, start.Add(2*time.Minute), time.Minute) {
			if err := seriestest.Same(foresail.Merge(in[k*60:k*60+60]...), m); err != nil {
				t.Fatalf("minute %d: %v", k, err)
			}
		}
	}
	rep, err := r.Check(t.Context())
	if err != nil || len(rep.Problems) > 0 {
		t.Errorf("%v, %v", rep.Problems, err)
	}
}

// A recorder keeps call graphs in the last snapshot of each ten seconds, all of them, and what each minute merges to does not change.
func TestRecorderGathersShapes(t *testing.T) {
	app := shop(7)
	h := open(t, t.TempDir(), store.Options{})
	r := store.NewRecorder(h, store.RecorderOptions{Every: time.Second, Wait: true})
	var in []*foresail.Snapshot
	for k := range 125 {
		if k >= 33 && k < 51 { // a gap over the end of ten seconds
			continue
		}
		s := second(app, k, 1)
		if k < 100 {
			s = withShapes(t, app, s, k, 2)
		}
		in = append(in, s)
		r.Observe(app, s)
	}
	r.Close()
	got := read(t, h, start, start.Add(125*time.Second), 0)
	if len(got) != len(in) {
		t.Fatalf("%d snapshots of %d", len(got), len(in))
	}
	var carry []int
	for k, s := range got {
		if s.Has.Has(foresail.SignalShapes) != (len(s.Shapes) > 0) {
			t.Errorf("second %d has no call graphs and says that there were none", k)
		}
		if len(s.Shapes) > 0 {
			carry = append(carry, int(s.Start.Sub(start).Seconds()))
		}
	}
	if want := []int{9, 19, 29, 32, 59, 69, 79, 89, 99}; !slices.Equal(carry, want) {
		t.Errorf("call graphs are in the seconds %v, want %v", carry, want)
	}
	if err := seriestest.Same(foresail.Merge(in...), foresail.Merge(got...)); err != nil {
		t.Error(err)
	}
}

// Ten minutes of seconds of 12 services with one replica, without call graphs and with 12 of ten visits each, all of them seen in each
// second: what they take on disk once compacted. FORESAIL_HOURS adds hours.
//
//	FORESAIL_HOURS=4 go test -run - -bench Shapes ./telemetry/store
func BenchmarkShapes(b *testing.B) {
	hours, _ := strconv.Atoi(os.Getenv("FORESAIL_HOURS"))
	n := hours*3600 + 600
	for _, shapes := range []int{0, 12} {
		b.Run(strconv.Itoa(shapes), func(b *testing.B) {
			dir, app := b.TempDir(), shop(12)
			h := open(b, dir, store.Options{})
			r := store.NewRecorder(h, store.RecorderOptions{Every: time.Second, Wait: true})
			began := time.Now()
			for k := range n {
				r.Observe(app, withShapes(b, app, second(app, k, 1), k, shapes))
			}
			r.Close()
			took := time.Since(began)
			if err := h.Compact(); err != nil {
				b.Fatal(err)
			}
			sizes(b, dir, n)
			blocks, _ := filepath.Glob(filepath.Join(dir, "samples", "0*", "chunks", "*"))
			var bytes int64
			for _, p := range blocks {
				if st, err := os.Stat(p); err == nil {
					bytes += st.Size()
				}
			}
			for b.Loop() {
				read(b, h, start.Add(time.Duration(n-600)*time.Second), start.Add(time.Duration(n)*time.Second), 0)
			}
			b.ReportMetric(float64(took.Microseconds())/float64(n), "µs/append")
			b.ReportMetric(float64(bytes)/float64(n), "B/s")
		})
	}
}
