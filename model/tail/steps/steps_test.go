package steps_test

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"foresail.dev/model/tail"
	"foresail.dev/model/tail/steps"
	"pgregory.net/rapid"
)

var begin = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func header() steps.Header {
	return steps.Header{Schema: tail.Schema{Name: "shop", Application: "a1", Services: []string{"front", "cart"}, Min: []float64{0.2, 0.2},
		Max: []float64{4, 16}, Endpoints: []string{"buy"}, Reference: 200}, Objectives: []string{"p99 < 200ms"}, Cluster: "sim", Manager: "explore", Load: "w0", Level: 12, Seed: 3}
}

// second is a step with numbers that a float32 holds exactly.
func second(n int) tail.Step {
	v := float64(n)
	return tail.Step{End: begin.Add(time.Duration(n) * time.Second), Rate: v, Latency: [5]float64{v, v + 1, v + 2, v + 3, math.NaN()},
		Endpoints: []tail.EndpointStep{{Requests: v, Late: v / 2}},
		Services:  []tail.ServiceStep{{Replicas: 1, Cores: v, Used: 0.5, Memory: v, InFlight: 3, Arrivals: v, Wait: 0.25}, {Replicas: 4, Cores: v, Used: v}}}
}

func write(t testing.TB, path string, ns ...int) {
	t.Helper()
	w, err := steps.Append(path, header())
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range ns {
		s := second(n)
		if err := w.Add(&s); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

// shown is a run for comparison: NaN equals itself there.
func shown(r tail.Run) string { return fmt.Sprintf("%+v", r) }

// What is written is read again, in several sittings, and parted where a second is missing.
func TestWriteAndRead(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "u12.steps")
	write(t, path, 1, 2, 3)
	write(t, path, 4, 7, 8)
	f, err := steps.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want := []tail.Run{{Name: "u12", Steps: []tail.Step{second(1), second(2), second(3), second(4)}}, {Name: "u12 (2)", Steps: []tail.Step{second(7), second(8)}}}
	if len(f.Runs) != 2 || shown(f.Runs[0]) != shown(want[0]) || shown(f.Runs[1]) != shown(want[1]) {
		t.Errorf("got  %+v\nwant %+v", f.Runs, want)
	}
	if h := header(); fmt.Sprint(f.Header) != fmt.Sprint(h) || f.Steps() != 6 {
		t.Errorf("got %+v with %d steps, want %+v with 6", f.Header, f.Steps(), h)
	}
	if err := os.WriteFile(filepath.Join(dir, "notes.txt"), nil, 0o666); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "u04.steps"), 1)
	files, err := steps.ReadDir(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	if runs := steps.Runs(files); len(runs) != 3 || runs[0].Name != "u04" {
		t.Errorf("got %+v: three runs, in the order of names", runs)
	}
}

// Cut at any byte, a file holds the whole records before the cut, and can be gone on with.
func TestCutAnywhere(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.steps")
	write(t, path)
	empty, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	write(t, path, 1, 2, 3)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	head := int(empty.Size())
	size := (len(whole) - head) / 3
	for cut := head; cut < len(whole); cut++ {
		if err := os.WriteFile(path, whole[:cut], 0o666); err != nil {
			t.Fatal(err)
		}
		f, err := steps.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		left := (cut - head) / size
		if f.Steps() != left || f.Dropped != (cut-head)%size {
			t.Fatalf("cut at %d: %d steps, %d bytes dropped; want %d and %d", cut, f.Steps(), f.Dropped, left, (cut-head)%size)
		}
		write(t, path, 4)
		if f, err = steps.ReadFile(path); err != nil || f.Steps() != left+1 || f.Dropped != 0 {
			t.Fatalf("cut at %d and gone on with: %+v %v", cut, f, err)
		}
	}
	for cut := range head {
		if _, err := steps.Read(bytes.NewReader(whole[:cut])); err == nil {
			t.Fatalf("read a header of %d of %d bytes", cut, head)
		}
	}
}

// A flipped byte is never read as a step: the record is refused or, at the end, dropped.
func TestFlippedBytes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.steps")
	write(t, path, 1, 2, 3)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	good := map[string]bool{}
	for n := 1; n <= 3; n++ {
		good[shown(tail.Run{Steps: []tail.Step{second(n)}})] = true
	}
	for i := range whole {
		b := bytes.Clone(whole)
		b[i] ^= 0x20
		f, err := steps.Read(bytes.NewReader(b))
		if err != nil {
			continue
		}
		if f.Steps() == 3 {
			t.Fatalf("byte %d flipped, and three steps were read", i)
		}
		for _, r := range f.Runs {
			for _, s := range r.Steps {
				if !good[shown(tail.Run{Steps: []tail.Step{s}})] {
					t.Fatalf("byte %d flipped, and read as %+v", i, s)
				}
			}
		}
	}
}

// What does not belong together is refused, and the message says in what.
func TestRefused(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.steps")
	write(t, path, 1)
	refused := func(err error, want string) {
		t.Helper()
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q in it", err, want)
		}
	}
	for want, change := range map[string]func(h *steps.Header){
		`application "shop" and this one is "bank"`:         func(h *steps.Header) { h.Schema.Name, h.Schema.Application = "bank", "b" },
		`service "cart" is not in this one`:                 func(h *steps.Header) { h.Schema.Services, h.Schema.Application = []string{"front", "basket"}, "b" },
		"it is of seed 3 and this run is of 4":              func(h *steps.Header) { h.Seed = 4 },
		"it is of cluster sim and this run is of testbed":   func(h *steps.Header) { h.Cluster = "testbed" },
		"it is of load w0 and this run is of w3":            func(h *steps.Header) { h.Load = "w3" },
		"it is of manager explore and this run is of sinan": func(h *steps.Header) { h.Manager = "sinan" },
	} {
		h := header()
		change(&h)
		_, err := steps.Append(path, h)
		refused(err, want)
	}
	_, err := steps.Create(path, header())
	if !errors.Is(err, os.ErrExist) {
		t.Errorf("creating what is there: %v", err)
	}
	_, err = steps.Create(filepath.Join(dir, "b.steps"), steps.Header{})
	refused(err, "which application")
	other := header().Schema
	other.Name, other.Application = "bank", "b"
	_, err = steps.ReadDir(dir, &other)
	refused(err, `application "shop" and this one is "bank": keep one folder for each application`)
	_, err = steps.ReadDir(t.TempDir(), nil)
	refused(err, "holds no data set: make one with 'foresail explore'")
	_, err = steps.Read(strings.NewReader("something else that is long enough"))
	refused(err, "no file of steps")

	w, err := steps.Append(path, header())
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if !w.Last().Equal(begin.Add(time.Second)) {
		t.Errorf("the last step is of %v", w.Last())
	}
	s := second(1)
	refused(w.Add(&s), "after one of")
	s = second(2)
	s.Services = s.Services[:1]
	refused(w.Add(&s), "a step of 1 services")
}

// A full disk is told, and what was written before it can be read.
func TestFullDisk(t *testing.T) {
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip("no /dev/full here")
	}
	w, err := steps.Full(header())
	if err != nil {
		t.Fatal(err)
	}
	s := second(1)
	first := w.Add(&s)
	if first == nil || !strings.Contains(first.Error(), "the data set is not complete") {
		t.Errorf("got %v", first)
	}
	s = second(2)
	if again := w.Add(&s); again != first {
		t.Errorf("got %v after %v", again, first)
	}
}

// What comes back is what a float32 holds of what went in.
func TestRoundTripProperty(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.steps")
	rapid.Check(t, func(t *rapid.T) {
		os.Remove(path)
		w, err := steps.Create(path, header())
		if err != nil {
			t.Fatal(err)
		}
		v := rapid.OneOf(rapid.Float64Range(0, 1e6), rapid.Just(math.NaN()), rapid.Float64())
		var in []tail.Step
		for n := range rapid.IntRange(0, 5).Draw(t, "steps") {
			s := second(n + 1)
			s.Rate, s.Latency[2], s.Endpoints[0].Late = v.Draw(t, "rate"), v.Draw(t, "latency"), v.Draw(t, "late")
			s.Services[1].Used = v.Draw(t, "used")
			in = append(in, s)
			if err := w.Add(&s); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		f, err := steps.ReadFile(path)
		if err != nil || f.Steps() != len(in) {
			t.Fatalf("%d steps of %d: %v", f.Steps(), len(in), err)
		}
		for i, s := range in {
			got := f.Runs[0].Steps[i]
			for _, p := range [][2]float64{{s.Rate, got.Rate}, {s.Latency[2], got.Latency[2]}, {s.Endpoints[0].Late, got.Endpoints[0].Late}, {s.Services[1].Used, got.Services[1].Used}} {
				if want := float64(float32(p[0])); want != p[1] && !(math.IsNaN(want) && math.IsNaN(p[1])) {
					t.Fatalf("%v came back as %v", p[0], p[1])
				}
			}
		}
	})
}

// go test -fuzz FuzzRead -fuzztime 10s ./model/tail/steps
func FuzzRead(f *testing.F) {
	path := filepath.Join(f.TempDir(), "a.steps")
	write(f, path, 1, 2, 5)
	whole, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	f.Add(whole[:len(whole)-3])
	f.Add([]byte("foresail steps 1\n\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := steps.Read(bytes.NewReader(b))
		if err != nil {
			return
		}
		for _, r := range got.Runs {
			for _, s := range r.Steps {
				if len(s.Services) != len(got.Header.Schema.Services) || len(s.Endpoints) != len(got.Header.Schema.Endpoints) {
					t.Fatalf("a step of %d services in a file of %d", len(s.Services), len(got.Header.Schema.Services))
				}
			}
		}
	})
}

func BenchmarkAdd(b *testing.B) {
	h := header()
	s := tail.Step{Endpoints: make([]tail.EndpointStep, 3), Services: make([]tail.ServiceStep, 28)}
	h.Schema.Endpoints = make([]string, 3)
	h.Schema.Services, h.Schema.Min, h.Schema.Max = make([]string, 28), make([]float64, 28), make([]float64, 28)
	w, err := steps.Create(filepath.Join(b.TempDir(), "a.steps"), h)
	if err != nil {
		b.Fatal(err)
	}
	s.End = begin
	b.ReportAllocs()
	for b.Loop() {
		s.End = s.End.Add(time.Second)
		if err := w.Add(&s); err != nil {
			b.Fatal(err)
		}
	}
	w.Close()
}
