package store_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"foresail.dev"
	"foresail.dev/sketch"
	"foresail.dev/telemetry/series/seriestest"
	"foresail.dev/telemetry/store"
)

func TestMain(m *testing.M) {
	if os.Getenv(writerEnv) != "" {
		write()
		return
	}
	goleak.VerifyTestMain(m)
}

var start = seriestest.Start

// shop is an application of n services.
func shop(n int) *foresail.App {
	app := &foresail.App{Name: "shop", Generation: 1, Endpoints: []foresail.Endpoint{{Name: "GET /", Objective: &foresail.Objective{Percentile: 99, Latency: time.Second}}}}
	for i := range n {
		app.Services = append(app.Services, foresail.Service{Name: "service-" + string(rune('a'+i%26)) + string(rune('a'+i/26))})
	}
	return app
}

// second is what was observed in the k-th second after start, the same each time: its numbers tell k.
func second(app *foresail.App, k, replicas int) *foresail.Snapshot {
	s := &foresail.Snapshot{Start: start.Add(time.Duration(k) * time.Second), End: start.Add(time.Duration(k+1) * time.Second), Generation: app.Generation,
		Has: foresail.SignalEdges | foresail.SignalEndpoints, Services: make([]foresail.ServiceStats, len(app.Services)), Endpoints: make([]foresail.EndpointStats, len(app.Endpoints))}
	for i := range s.Services {
		svc := &s.Services[i]
		svc.Has |= foresail.SignalAllocation
		svc.Allocation = foresail.Allocation{Replicas: replicas, CPU: 0.5}
		for r := range replicas {
			u := observed(k, i*7+r)
			svc.Replicas = append(svc.Replicas, foresail.ReplicaStats{Name: app.Services[i].Name + "-" + string(rune('0'+r)), Node: "node-1", Usage: u})
			if r == 0 {
				svc.Usage.Has |= u.Has
				svc.Memory, svc.InFlight, svc.Ready = u.Memory, u.InFlight, replicas
			}
			svc.Add(&u)
		}
		if i > 0 {
			s.Edges = append(s.Edges, foresail.EdgeStats{From: 0, To: foresail.ServiceID(i), Calls: float64(k%5 + 1), Latency: latency(k, i)})
		}
	}
	for i := range s.Endpoints {
		s.Endpoints[i] = foresail.EndpointStats{Arrivals: float64(k), Requests: float64(k), Latency: latency(k, 3)}
	}
	return s
}

func observed(k, salt int) foresail.Usage {
	x := float64((k*7919+salt*104729)%1000) / 1000
	return foresail.Usage{Has: foresail.SignalReady | foresail.SignalCPU | foresail.SignalThrottled | foresail.SignalMemory | foresail.SignalNetwork |
		foresail.SignalInFlight | foresail.SignalArrivals | foresail.SignalCompletions | foresail.SignalErrors | foresail.SignalLatency,
		Ready: 1, CPU: 0.3 + 0.2*x, Throttled: time.Duration(x * 1e7), Memory: 200<<20 + int64(x*1e6), NetIn: int64(1e5 * x), NetOut: int64(3e5 * x),
		InFlight: foresail.Gauge{Last: float64(int(x * 9)), Mean: 4 * x, Max: float64(int(x * 15))}, Arrivals: float64(80 + int(40*x)), Completions: float64(79 + int(42*x)),
		Errors: float64(int(x * 1.01)), Latency: latency(k, salt)}
}

func latency(k, salt int) *sketch.Sketch {
	s := sketch.New()
	for j := range 60 {
		x := float64((k*31+salt*17+j*379)%997) / 997
		s.Add(0.002 + 0.05*x*x*x)
	}
	return s
}

// open opens a store that stays small and tells its troubles to the test.
func open(t testing.TB, dir string, o store.Options) *store.Store {
	t.Helper()
	if o.Trouble == nil {
		o.Trouble = func(err error) { t.Log(err) }
	}
	h, err := store.Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	})
	return h
}

func read(t testing.TB, h store.History, from, to time.Time, step time.Duration) (out []*foresail.Snapshot) {
	t.Helper()
	for s, err := range h.Snapshots(context.Background(), from, to, step) {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, s)
	}
	return out
}

var forever = start.Add(1000 * time.Hour)

// drawn is an application and some snapshots of it.
type drawn struct {
	app   *foresail.App
	all   []*foresail.Snapshot
	again int // the store is opened anew before this one
}

// What is appended is read back, after a restart too.
func TestSnapshotsComeBack(t *testing.T) {
	draw := rapid.Custom(func(t *rapid.T) drawn {
		app := seriestest.App(t)
		all := seriestest.Snapshots(t, app, 8)
		return drawn{app, all, rapid.IntRange(0, len(all)).Draw(t, "restart before")}
	})
	for seed := range 6 {
		d, dir := draw.Example(seed), t.TempDir()
		h := open(t, dir, store.Options{Sync: time.Hour})
		for i, s := range d.all {
			if i == d.again {
				if err := h.Close(); err != nil {
					t.Fatal(err)
				}
				h = open(t, dir, store.Options{})
			}
			if err := h.Append(d.app, s); err != nil {
				t.Fatal(err)
			}
		}
		r, err := store.OpenRead(dir, store.Options{}) // beside the writer
		if err != nil {
			t.Fatal(err)
		}
		for _, h := range []store.History{h, r} {
			out := read(t, h, start, forever, 0)
			if len(out) != len(d.all) {
				t.Fatalf("%d snapshots of %d", len(out), len(d.all))
			}
			for i := range out {
				if err := seriestest.Same(d.all[i], out[i]); err != nil {
					t.Fatalf("seed %d: snapshot %d: %v", seed, i, err)
				}
			}
			if from, to := h.Range(); !from.Equal(d.all[0].Start) || !to.Equal(d.all[len(out)-1].End) {
				t.Errorf("from %v to %v", from, to)
			}
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestStepsMergeAndGapsAreStale(t *testing.T) {
	app := shop(3)
	h := open(t, t.TempDir(), store.Options{})
	var in []*foresail.Snapshot
	for k := range 400 {
		if k >= 130 && k < 250 { // nothing was written for two minutes
			continue
		}
		in = append(in, second(app, k, 2))
		if err := h.Append(app, in[len(in)-1]); err != nil {
			t.Fatal(err)
		}
	}
	for _, step := range []time.Duration{time.Second, 10 * time.Second, 45 * time.Second, time.Minute, 2 * time.Minute} {
		out := read(t, h, start, start.Add(400*time.Second), step)
		if want := int((400*time.Second + step - 1) / step); len(out) != want {
			t.Errorf("step %v: %d snapshots, want %d", step, len(out), want)
			continue
		}
		for i, s := range out {
			cell := start.Add(time.Duration(i) * step)
			var parts []*foresail.Snapshot
			for _, p := range in {
				if !p.Start.Before(cell) && p.Start.Before(cell.Add(step)) {
					parts = append(parts, p)
				}
			}
			if len(parts) == 0 {
				if !s.Stale || s.Services[0].Has != 0 || !s.Start.Equal(cell) || s.Duration() != step || len(s.Services) != 3 {
					t.Errorf("step %v: cell %d holds %+v", step, i, s)
				}
				continue
			}
			if err := seriestest.Same(foresail.Merge(parts...), s); err != nil {
				t.Errorf("step %v: cell %d: %v", step, i, err)
			}
		}
	}
	if out := read(t, h, start.Add(10*time.Second), start.Add(20*time.Second), 0); len(out) != 10 || !out[0].Start.Equal(start.Add(10*time.Second)) {
		t.Errorf("ten seconds are %d snapshots", len(out))
	}
}

// Blocks are compacted and go by age; minutes stay.
func TestRetention(t *testing.T) {
	app := shop(2)
	dir := t.TempDir()
	h, err := store.OpenSmall(dir, store.Options{Retention: 6 * time.Minute}, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	for k := range 1200 {
		if err := h.Append(app, second(app, k, 1)); err != nil {
			t.Fatal(err)
		}
		if k%120 == 119 {
			if err := h.Compact(); err != nil {
				t.Fatal(err)
			}
		}
	}
	out := read(t, h, start, forever, 0)
	at := start
	minutes := 0
	for _, s := range out {
		if !s.Start.Equal(at) {
			t.Fatalf("after %v comes %v", at, s.Start)
		}
		if at = s.End; s.Duration() == time.Minute {
			minutes++
		}
		if got := s.Services[0].Arrivals; got < 70*s.Duration().Seconds() {
			t.Fatalf("%v arrivals in %v", got, s.Duration())
		}
	}
	if !at.Equal(start.Add(20*time.Minute)) || minutes < 9 || minutes > 15 {
		t.Errorf("until %v, of which %d are minutes", at, minutes)
	}
}

func TestWhatIsRefused(t *testing.T) {
	app, dir := shop(1), t.TempDir()
	h := open(t, dir, store.Options{})
	if err := h.Append(app, second(app, 5, 1)); err != nil {
		t.Fatal(err)
	}
	if err := h.Append(app, second(app, 5, 1)); !errors.Is(err, store.ErrOverlap) {
		t.Errorf("again: %v", err)
	}
	other := shop(1)
	other.Name = "other"
	if err := h.Append(other, second(other, 6, 1)); !errors.Is(err, store.ErrApplication) {
		t.Errorf("another application: %v", err)
	}
	if _, err := store.Open(dir, store.Options{}); err == nil || !strings.Contains(err.Error(), "another process") {
		t.Errorf("a second writer: %v", err)
	}
	if err := h.Append(app, second(app, 6, 1)); err != nil {
		t.Errorf("after what was refused: %v", err)
	}
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	if err := h.Append(app, second(app, 7, 1)); err == nil {
		t.Error("a closed store takes snapshots")
	}
	for name, c := range map[string]struct {
		meta string
		want error
	}{
		"a newer version": {`{"schema":"foresail.dev/history","version":2}`, store.ErrVersion},
		"another file":    {`{"schema":"x","version":1}`, store.ErrNoStore},
		"no JSON":         {`{`, store.ErrNoStore},
	} {
		if err := os.WriteFile(filepath.Join(dir, "history.json"), []byte(c.meta), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := store.Open(dir, store.Options{}); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := store.OpenRead(dir, store.Options{}); !errors.Is(err, c.want) {
			t.Errorf("%s, for reading: %v", name, err)
		}
	}
	foreign := t.TempDir()
	if err := os.WriteFile(filepath.Join(foreign, "letter.txt"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Open(foreign, store.Options{}); !errors.Is(err, store.ErrNoStore) {
		t.Errorf("somebody's directory: %v", err)
	}
	if _, err := store.OpenRead(filepath.Join(foreign, "none"), store.Options{}); !errors.Is(err, store.ErrNoStore) {
		t.Errorf("nothing: %v", err)
	}
}

// Services that come keep the numbers of the newest application, and every application that was is told.
func TestApplicationsAreKept(t *testing.T) {
	dir := t.TempDir()
	h := open(t, dir, store.Options{})
	app := shop(1)
	for k := range 2 {
		if err := h.Append(app, second(app, k, 1)); err != nil {
			t.Fatal(err)
		}
	}
	grown := shop(2)
	grown.Generation = 2
	if err := h.Append(grown, second(grown, 2, 1)); err != nil {
		t.Fatal(err)
	}
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	r, err := store.OpenRead(dir, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if all := r.Applications(); len(all) != 2 || len(all[0].App.Services) != 1 || !all[1].Since.Equal(start.Add(2*time.Second)) || r.App().Generation != 2 || *r.App().Endpoints[0].Objective != *app.Endpoints[0].Objective {
		t.Errorf("%+v", all)
	}
	out := read(t, r, start, forever, 0)
	if len(out) != 3 || len(out[0].Services) != 2 || out[0].Services[1].Has != 0 || out[2].Services[1].CPU == 0 || out[0].Generation != 1 || out[2].Generation != 2 {
		t.Errorf("%d snapshots: %+v", len(out), out)
	}
}
