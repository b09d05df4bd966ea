package forecasting

import (
	"context"
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"foresail.dev/model/forecast"
)

// Every example is read as it stands. Some name outside data that lies beside the project.
func TestTheExamplesAreRead(t *testing.T) {
	files, err := filepath.Glob("../../../examples/forecast*.yaml")
	if err != nil || len(files) < 2 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			f, series, err := Read(file)
			if errors.Is(err, fs.ErrNotExist) {
				t.Skip("needs the outside data in ../shared/data: ", err)
			}
			if err != nil {
				t.Fatal(err)
			}
			if len(series) != len(f.Series) {
				t.Errorf("%d of %d series", len(series), len(f.Series))
			}
			for _, s := range series {
				if s.Repairs.Any() {
					t.Logf("%s: %s", s.Name, s.Repairs)
				}
				if s.Train < 100 || len(s.Series.Values)-s.Train < 100 {
					t.Errorf("%s: %d steps, %d to train on", s.Name, len(s.Series.Values), s.Train)
				}
			}
		})
	}
}

// World Cup minutes keep their instants and counts; arrivals in 10 s add up to those in 1 s.
func TestOutsideSeriesAreWhatTheyWere(t *testing.T) {
	_, series, err := Read("../../../examples/forecast.yaml")
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("needs the outside data in ../shared/data: ", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	by := map[string]forecast.Series{}
	for _, s := range series {
		by[s.Name] = s.Series
	}
	w := by["worldcup-1m"]
	if !w.Start.Equal(time.Date(1998, 4, 30, 21, 30, 0, 0, time.UTC)) || w.Step != time.Minute || w.Values[0] != 2 || w.Values[2] != 16 {
		t.Error(w.Start, w.Step, w.Values[:3])
	}
	sum := func(v []float64) (all float64) {
		for _, x := range v {
			all += x
		}
		return all
	}
	if one, ten := sum(by["azure-1s"].Values), sum(by["azure-10s"].Values); one != ten || one != 19366 {
		t.Error(one, ten)
	}
}

func TestSumsOfUnobservedStepsAreUnobserved(t *testing.T) {
	s := Sum(forecast.Series{Step: time.Second, Values: []float64{1, 2, 3, math.NaN(), 5, 6, 7}}, 2)
	if s.Step != 2*time.Second || len(s.Values) != 3 || s.Values[0] != 3 || !math.IsNaN(s.Values[1]) || s.Values[2] != 11 {
		t.Error(s)
	}
}

// A run that is stopped keeps what is finished, and the next one goes on from there.
func TestAStoppedRunGoesOn(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "f.yaml")
	if err := os.WriteFile(file, []byte("methods: [last-value, seasonal-naive, ridge]\nseries: [{name: a, synthetic: {days: 1, entry: true}, step: 10m}]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	f, series, err := Read(file)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	first := &Run{File: f, Series: series, Workers: 1, Dir: filepath.Join(dir, "kept"), Program: "p", Progress: func(float64, string) { stop() }}
	if err := first.Do(ctx); err == nil || !strings.Contains(err.Error(), "stopped after") || len(first.Rows) == 0 || len(first.Rows) == 3 {
		t.Fatal(err, len(first.Rows))
	}
	second := &Run{File: f, Series: series, Workers: 1, Dir: first.Dir, Program: "p"}
	if err := second.Do(context.Background()); err != nil || len(second.Rows) != 3 || second.Again != len(first.Rows) {
		t.Fatal(err, len(second.Rows), second.Again)
	}
	other := &Run{File: f, Series: series, Workers: 1, Dir: first.Dir, Program: "another"}
	if err := other.Do(context.Background()); err != nil || other.Again != 0 {
		t.Error("kept by another program, found again:", other.Again, err)
	}
}

func TestThePictureInText(t *testing.T) {
	p := Picture{Start: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), Step: time.Minute, Observed: []float64{0, 10, math.NaN(), 20},
		From: 4, Mean: []float64{20, 10}, Low: []float64{10, 0}, High: []float64{40, 20}}
	want := strings.Join([]string{
		"       40 |    :",
		"          |    :",
		"       20 |   *+:",
		"          | *  :+",
		"        0 |*    :",
		"          +------",
		"           2026-01-01 00:00:00 to 2026-01-01 00:06:00 UTC; * load  + forecast  : 90 % interval", ""}, "\n")
	if got := p.Text(20, 5); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if png, err := p.PNG(); err != nil || len(png) < 1000 {
		t.Error(len(png), err)
	}
}
