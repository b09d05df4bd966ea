package appfile

import (
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"foresail.dev/apps"
)

// faultsOnly fails unless err is nil or Faults, each of them with a position in a file and a message, in order.
func faultsOnly(t *testing.T, err error) {
	t.Helper()
	if err == nil {
		return
	}
	var faults Faults
	if !errors.As(err, &faults) || len(faults) == 0 {
		t.Fatalf("%T: %v", err, err)
	}
	for i, f := range faults {
		if f.File == "" || f.Line < 1 || f.Column < 1 || f.Message == "" {
			t.Errorf("fault %+v", f)
		}
		if i > 0 && f.File == faults[i-1].File && f.Line < faults[i-1].Line {
			t.Errorf("line %d after %d", f.Line, faults[i-1].Line)
		}
	}
}

// Whatever the bytes, ParseApp gives a blueprint that keeps its invariants, or faults.
func FuzzParseApp(f *testing.F) {
	for _, name := range BuiltIn() {
		data, err := apps.Files.ReadFile(name + ".yaml")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte(whole))
	f.Add([]byte(shop))
	f.Add([]byte("application: &a x\nservices: *a\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		bp, err := ParseApp("f.yaml", data)
		faultsOnly(t, err)
		if (bp == nil) == (err == nil) {
			t.Fatalf("blueprint %v and error %v", bp, err)
		}
		if bp != nil {
			if err := invariants(bp); err != nil {
				t.Error(err)
			}
		}
	})
}

// Whatever the bytes of a load file and its trace, ParseLoad gives a load whose levels and shares are finite, or faults.
func FuzzParseLoad(f *testing.F) {
	files, err := filepath.Glob("../examples/loads/*.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data, "1\n2\n")
	}
	f.Add([]byte("load: x\ncurve: [{trace: {file: t, format: counts}}]\n"), "period,count\n1998-04-30 21:30:00,2\n1998-04-30 21:31:00,11\n")
	f.Add([]byte("load: x\ncurve: [{trace: {file: t, format: arrivals, step: 1ms}}]\n"), "T\n2023-11-16 18:15:46.68,1\n2023-11-16 18:15:46.70,1\n")
	f.Add([]byte("load: x\ncurve: [{uncertain: {low: 1, high: 9, day: 1h, peak: 0.5, weekend: 0.5, in_degree: 2, call_probability: 0.3, seed: 4, for: 1h}}, {uncertain: {low: 0, high: 1, uncertainty: 0.5}}]\nwander: {uncertainty: 0.2}\n"), "")
	f.Add([]byte("load: x\ncurve: [{bursts: {base: 1, peak: 9, every: 1s, width: 1s, seed: 7, for: 1h}}, {flash: {base: 1, peak: 9, at: 1s, rise: 1s, hold: 1s, decay: 1s}}]\n"), "")
	f.Add([]byte("load: x\ncurve: [{steps: {from: 4, to: 48, by: 2, each: 1m}}]\nnoise: {cv: .5, step: 10ms, seed: 1}\ndrift: true\ncycle: 1m\n"+
		"mix: [{at: 0s, shares: {search: 1}}, {at: 30s, shares: {user: 1}}]\n"), "")
	bp, err := ReadApp("hotel-reservation")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data []byte, trace string) {
		l, err := ParseLoad("f.yaml", data, bp.App, func(string) (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(trace)), nil })
		faultsOnly(t, err)
		if (l == nil) == (err == nil) {
			t.Fatalf("load %v and error %v", l, err)
		}
		if l == nil {
			return
		}
		shares := make([]float64, len(bp.App.Endpoints))
		for _, at := range []time.Duration{0, time.Second, time.Hour, 1000 * time.Hour} {
			if v := l.Level(at); !(v >= 0) || math.IsInf(v, 0) {
				t.Errorf("level %v at %s", v, at)
			}
			l.Shares(at, shares)
			if s := sum(shares); !(math.Abs(s-1) < 1e-6) || slices.Min(shares) < 0 {
				t.Errorf("shares %v at %s", shares, at)
			}
		}
		if d, ok := l.Length(); ok && d < 0 {
			t.Errorf("lasts %s", d)
		}
	})
}

// Whatever the bytes, Decode fills a struct within its rules, or gives faults.
func FuzzDecode(f *testing.F) {
	f.Add([]byte("name: a\nevery: 1d2h\nsize: 1.5GiB\npart: 12%\nlist: [1, 2]\nmap: {a: {n: 1}}\nany: {x: [1]}\nrange: 1..2\n"))
	f.Add([]byte("name: [a\n"))
	type inner struct {
		N int8 `yaml:"n" rule:"min=-5,max=5"`
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var c struct {
			Name  string            `yaml:"name" rule:"required"`
			Every time.Duration     `yaml:"every" rule:"max=48h"`
			Size  Bytes             `yaml:"size" rule:"max=2GiB"`
			Part  Share             `yaml:"part"`
			List  []uint16          `yaml:"list" rule:"max=9"`
			Map   OrderedMap[inner] `yaml:"map"`
			Any   any               `yaml:"any"`
			Range interval[float64] `yaml:"range"`
			Deep  *inner            `yaml:"deep"`
		}
		err := Decode("f.yaml", data, &c)
		faultsOnly(t, err)
		if err != nil {
			return
		}
		if c.Name == "" || c.Every < 0 || c.Every > 48*time.Hour || c.Size < 0 || c.Size > 2<<30 || !(c.Part >= 0 && c.Part <= 1) || !(c.Range.Min <= c.Range.Max) {
			t.Errorf("%+v", c)
		}
		for _, v := range c.List {
			if v > 9 {
				t.Errorf("%+v", c)
			}
		}
		for _, e := range c.Map {
			if e.Key == "" || e.Value.N < -5 || e.Value.N > 5 {
				t.Errorf("%+v", c)
			}
		}
	})
}
