package exploring_test

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/appfile"
	"foresail.dev/cmd/foresail/exploring"
	"foresail.dev/load"
	"foresail.dev/model/tail/steps"
	"foresail.dev/plan/explore"
	"foresail.dev/plan/plantest"
	"pgregory.net/rapid"
)

func TestParseLevels(t *testing.T) {
	for text, want := range map[string]string{"4..48/22": "[4 26 48]", "4": "[4]", "1..3": "[1 2 3]", "8,2,8,5..6": "[2 5 6 8]", "300..1000/300": "[300 600 900]", "0.1..0.3/0.1": "[0.1 0.2 0.30000000000000004]"} {
		got, err := exploring.ParseLevels(text, 1000)
		if err != nil || fmt.Sprint(got) != want {
			t.Errorf("%q: %v %v, want %s", text, got, err, want)
		}
	}
	for text, want := range map[string]string{"": "must be a number above 0", "0": "above 0", "-4": "above 0", "4..2": "give the smaller one first", "1..900/0.0001": "more than 1000 levels", "2000": "up to 1000", "a..b": "must be a number", "4..8/0": "above 0"} {
		if _, err := exploring.ParseLevels(text, 1000); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

// go test -fuzz FuzzParseLevels -fuzztime 10s ./cmd/foresail/exploring
func FuzzParseLevels(f *testing.F) {
	f.Add("4..48/2,50")
	f.Fuzz(func(t *testing.T, text string) {
		got, err := exploring.ParseLevels(text, 1000)
		if err != nil {
			return
		}
		for i, v := range got {
			if !(v > 0 && v <= 1000.001) || i > 0 && v <= got[i-1] {
				t.Fatalf("%q: %v", text, got)
			}
		}
	})
}

func TestParseBudget(t *testing.T) {
	for text, want := range map[string]time.Duration{"60s": time.Minute, "5%": 90 * time.Second, "100%": 30 * time.Minute} {
		if got, err := exploring.ParseBudget(text, 30*time.Minute); err != nil || got != want {
			t.Errorf("%s: %v %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "0s", "-5s", "0%", "101%", "x%", "many"} {
		if _, err := exploring.ParseBudget(text, 30*time.Minute); err == nil {
			t.Errorf("%q was taken", text)
		}
	}
	if _, err := exploring.ParseBudget("5%", 0); err == nil {
		t.Error("a share of nothing was taken")
	}
}

func grid(t testing.TB, dir, app string) *exploring.Grid {
	t.Helper()
	bp, err := appfile.ReadApp(app)
	if err != nil {
		t.Fatal(err)
	}
	level := func(v float64) exploring.Load {
		return exploring.Load{Load: &load.Load{Name: "rates", Curve: []load.Segment{{From: v}}}, Level: v}
	}
	return &exploring.Grid{Blueprint: bp, Loads: []exploring.Load{level(20), level(60)}, Seeds: []uint64{1, 2}, Each: 15 * time.Second, Warmup: 6 * time.Second, Dir: dir, Workers: 2}
}

// read is what a folder holds, but for where it lies.
func read(t testing.TB, dir string) (out string) {
	t.Helper()
	files, err := steps.ReadDir(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		out += fmt.Sprintf("%s %+v %+v\n", filepath.Base(f.Path), f.Header, f.Runs)
	}
	return out
}

// A grid that was stopped goes on where it was, and comes to the same bytes as one that was not.
func TestGridResumes(t *testing.T) {
	whole := grid(t, t.TempDir(), "hotel-reservation-17")
	rows, detail, err := whole.Run(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) != 4 || detail.All.Steps != 60 || rows[0].Steps != 15 || len(detail.Services) != 17 || rows[3].Kept {
		t.Errorf("%+v %+v", rows, detail.All)
	}
	for _, s := range detail.Services {
		if s.Least <= 0 || s.Most > s.Bound+0.01 || s.Mean < s.Least || s.Mean > s.Most {
			t.Errorf("%+v", s)
		}
	}

	parted := grid(t, t.TempDir(), "hotel-reservation-17")
	parted.Workers = 1
	ctx, cancel := context.WithCancel(context.Background())
	parted.Progress = func(_ float64, finished *exploring.Row) {
		if finished != nil {
			cancel()
		}
	}
	if _, _, err := parted.Run(ctx); err == nil || !strings.Contains(err.Error(), "run the same command again to go on") {
		t.Fatalf("stopped: %v", err)
	}
	if left, _ := filepath.Glob(filepath.Join(parted.Dir, "*.part")); len(left) > 0 {
		t.Errorf("%v is left", left)
	}
	kept := 0
	parted.Progress = func(_ float64, finished *exploring.Row) {
		if finished != nil && finished.Kept {
			kept++
		}
	}
	if _, _, err := parted.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	if kept < 1 || kept > 3 {
		t.Errorf("%d of 4 runs were kept", kept)
	}
	if read(t, whole.Dir) != read(t, parted.Dir) {
		t.Error("what was stopped on the way differs")
	}
}

// What is in the way is told: another application's data, and the same run with other settings.
func TestGridRefuses(t *testing.T) {
	dir := t.TempDir()
	g := grid(t, dir, "hotel-reservation-17")
	g.Loads, g.Seeds, g.Each = g.Loads[:1], g.Seeds[:1], 5*time.Second
	if _, _, err := g.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	other := grid(t, dir, "hotel-reservation")
	if err := other.Check(); err == nil || !strings.Contains(err.Error(), `application "hotel-reservation-17" and this one is "hotel-reservation"`) {
		t.Errorf("got %v", err)
	}
	longer := *g
	longer.Each += time.Second
	reach := *g
	reach.Config.Reach = 4
	for _, g := range []exploring.Grid{longer, reach} {
		if err := g.Check(); err != nil {
			t.Fatal(err)
		}
		if _, _, err := g.Run(context.Background()); err == nil || !strings.Contains(err.Error(), "holds a run with other settings") {
			t.Errorf("got %v", err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "x.steps"), []byte("something"), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := g.Check(); err == nil || !strings.Contains(err.Error(), "no file of steps") {
		t.Errorf("got %v", err)
	}
}

// live turns a scripted application under an explorer, as the loop does; refuse says what Apply answers.
type live struct {
	*exploring.Live
	bed     *plantest.Cluster
	h       *foresail.History
	stopped bool
}

func newLive(t testing.TB, dir string, budget time.Duration) *live {
	app := plantest.App(2)
	l, err := exploring.Open(dir, app, "testbed", "w0", explore.Config{Budget: budget, Warmup: 3}, 1, time.Minute, t.Output())
	if err != nil {
		t.Fatal(err)
	}
	v := &live{Live: l, bed: &plantest.Cluster{Application: app}}
	v.bed.Demand = func(foresail.ServiceID, time.Duration) float64 { return 0.5 }
	v.h = foresail.NewHistory(app, l.Manager.Needs())
	l.Stop = func() { v.stopped = true }
	return v
}

func (v *live) turn(t testing.TB, apply func(p *foresail.Plan) error) {
	t.Helper()
	s := v.bed.Step()
	v.h.Add(s)
	v.Events().Observed(v.h, s)
	if !s.End.Equal(s.End.Truncate(time.Second)) {
		return
	}
	d := exploring.Decide(v.Manager, v.h)
	if d.Err == nil && d.Plan != nil {
		d.Err = apply(d.Plan)
	}
	v.Events().Decided(d)
}

func (v *live) apply(p *foresail.Plan) error { return v.bed.Apply(context.Background(), p) }

// Seconds are kept once they are final; afterwards everything is at its maximum, and a second run goes on in the same file.
func TestLive(t *testing.T) {
	dir := t.TempDir()
	for sitting := 1; sitting <= 2; sitting++ {
		v := newLive(t, dir, 0)
		if sitting == 2 {
			v.bed.Shift = func(time.Duration) time.Duration { return time.Hour }
		}
		for range 200 {
			v.turn(t, v.apply)
		}
		if v.stopped {
			t.Fatalf("stopped: %v", v.Err)
		}
		if err := v.After(context.Background(), v.bed); err != nil {
			t.Fatal(err)
		}
		for i := range v.bed.Application.Services {
			if got := v.bed.Have(foresail.ServiceID(i)); got.Cores() != 4 {
				t.Errorf("service %d is left with %v", i, got)
			}
		}
		if err := v.Close(); err != nil {
			t.Fatal(err)
		}
		files, err := steps.ReadDir(dir, nil)
		if err != nil {
			t.Fatal(err)
		}
		if len(files) != 1 || len(files[0].Runs) != sitting || len(files[0].Runs[sitting-1].Steps) != 15 {
			t.Errorf("sitting %d: %d files with %d runs: of 20 s, the last five are not final", sitting, len(files), len(files[0].Runs))
		}
	}
}

// It ends when the budget is spent, when the cluster refuses what is asked for, and when services come or go.
func TestLiveEnds(t *testing.T) {
	v := newLive(t, t.TempDir(), 8*time.Second)
	v.bed.Demand = func(_ foresail.ServiceID, at time.Duration) float64 {
		if at > 5*time.Second {
			return 40 // more than there is: every request is late
		}
		return 0.1
	}
	for range 120 {
		if v.turn(t, v.apply); v.stopped {
			break
		}
	}
	if !v.stopped || v.Err != nil || v.Manager.Spent() > 8*time.Second {
		t.Errorf("budget: stopped %v after %v, %v", v.stopped, v.Manager.Spent(), v.Err)
	}

	v = newLive(t, t.TempDir(), 0)
	for range 300 {
		v.turn(t, func(*foresail.Plan) error {
			return &foresail.ApplyError{Failed: map[foresail.ServiceID]error{1: fmt.Errorf("quota exceeded")}}
		})
	}
	if !v.stopped || v.Err == nil || !strings.Contains(v.Err.Error(), "refused allocations 10 times in a row") || !strings.Contains(v.Err.Error(), "quota exceeded") {
		t.Errorf("refused: stopped %v, %v", v.stopped, v.Err)
	}

	v = newLive(t, t.TempDir(), 0)
	for k := range 40 {
		if k == 20 {
			app := plantest.App(3)
			app.Generation = 1
			v.bed.Application = app
			v.h.SetApp(app)
		}
		v.turn(t, v.apply)
	}
	if !v.stopped || v.Err == nil || !strings.Contains(v.Err.Error(), "came or went") {
		t.Errorf("grown: stopped %v, %v", v.stopped, v.Err)
	}
}

// A folder of another application is refused before anything is done.
func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	newLive(t, dir, 0).Close()
	other := plantest.App(3)
	_, err := exploring.Open(dir, other, "testbed", "w0", explore.Config{}, 1, 0, t.Output())
	if err == nil || !strings.Contains(err.Error(), `service "s2" is new in this one`) {
		t.Errorf("got %v", err)
	}
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := exploring.Open(file, other, "testbed", "w0", explore.Config{}, 1, 0, t.Output()); err == nil {
		t.Error("a file was taken for a folder")
	}
}

// Two tallies joined are one tally of both.
func TestTallyJoin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		app := plantest.App(2)
		one, a, b := exploring.NewTally(app), exploring.NewTally(app), exploring.NewTally(app)
		bed := &plantest.Cluster{Application: app, Beat: time.Second}
		bed.Demand = func(foresail.ServiceID, time.Duration) float64 { return rapid.Float64Range(0, 2).Draw(t, "demand") }
		for range rapid.IntRange(0, 10).Draw(t, "seconds") {
			bed.Put(1, foresail.Allocation{Replicas: 1, CPU: float64(rapid.IntRange(1, 40).Draw(t, "tenths")) / 10})
			s := exploring.Observe(app, bed.Step())
			one.Add(&s)
			if rapid.Bool().Draw(t, "first") {
				a.Add(&s)
			} else {
				b.Add(&s)
			}
		}
		a.Join(b)
		got, want := a.Detail(), one.Detail()
		near := func(a, b float64) bool { return math.Abs(a-b) < 0.0011 } // sums come in another order, and figures are rounded
		x, y := got.All, want.All
		ok := x.Steps == y.Steps && near(x.Rate, y.Rate) && near(x.P99, y.P99) && near(x.Violation, y.Violation) && near(x.Cores, y.Cores) && near(x.Used, y.Used)
		for i, s := range got.Services {
			w := want.Services[i]
			ok = ok && s.Least == w.Least && near(s.Mean, w.Mean) && s.Most == w.Most
		}
		if !ok {
			t.Fatalf("%+v\n%+v", got, want)
		}
	})
}
