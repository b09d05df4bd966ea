package appfile

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"foresail.dev/load"
)

// Every example load can be read for the application that its first lines speak of.
func TestExampleLoads(t *testing.T) {
	files, err := filepath.Glob("../examples/loads/*.yaml")
	if err != nil || len(files) < 6 {
		t.Fatalf("found %d example loads: %v", len(files), err)
	}
	apps := map[string]string{"Hotel Reservation": "hotel-reservation", "Social Network": "social-network", "Online Boutique": "online-boutique"}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		found := false
		for title, name := range apps {
			if !strings.HasPrefix(string(text), "# "+title) {
				continue
			}
			found = true
			bp, err := ReadApp(name)
			if err != nil {
				t.Fatal(err)
			}
			l, err := ReadLoad(file, bp.App)
			if err != nil {
				t.Error(err)
				continue
			}
			if want := strings.TrimSuffix(filepath.Base(file), ".yaml"); l.Name != want {
				t.Errorf("%s is called %s", file, l.Name)
			}
			if l.Level(time.Minute) <= 0 {
				t.Errorf("%s: no load after a minute", file)
			}
		}
		if !found {
			t.Errorf("%s does not begin with the application it is for", file)
		}
	}
}

const hotel = "mix: {search: 3, user: 1}\n"

func parseLoad(t *testing.T, text string, files map[string]string) (*load.Load, error) {
	t.Helper()
	bp, err := ReadApp("hotel-reservation")
	if err != nil {
		t.Fatal(err)
	}
	return ParseLoad("l.yaml", []byte(text), bp.App, func(path string) (io.ReadCloser, error) {
		if data, ok := files[path]; ok {
			return io.NopCloser(strings.NewReader(data)), nil
		}
		return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
	})
}

func TestShapes(t *testing.T) {
	l, err := parseLoad(t, `load: all
mode: closed
think: 1m30s
curve:
  - constant: {level: 5, for: 10s}
  - ramp: {from: 5, to: 15, for: 10s}
  - diurnal: {low: 10, high: 20, period: 10s, for: 10s}
  - spike: {base: 1, peak: 9, at: 2s, width: 3s, for: 10s}
  - trace: {file: t, step: 5s, scale: 2}
  - flash: {base: 2, peak: 8, at: 1s, rise: 2s, hold: 3s, decay: 1s, for: 10s}
  - steps: {from: 5, to: 2, by: 2, each: 3s}
  - constant: 7
mix:
  - {at: 0s, shares: {search: 1}}
  - {at: 10s, shares: {user: 1}}
drift: true
`, map[string]string{"t": "3\n4\n"})
	if err != nil {
		t.Fatal(err)
	}
	if l.Mode != load.Closed || l.Think != 90*time.Second || !l.Drift {
		t.Errorf("got %+v", l)
	}
	for at, want := range map[time.Duration]float64{0: 5, 15 * time.Second: 10, 25 * time.Second: 20, 31 * time.Second: 1,
		33 * time.Second: 9, 36 * time.Second: 1, 42 * time.Second: 6, 47 * time.Second: 8, 52 * time.Second: 5, 55 * time.Second: 8, 61 * time.Second: 5, 64 * time.Second: 3,
		68*time.Second + 999*time.Millisecond: 2, 69 * time.Second: 7, time.Hour: 7} {
		if got := l.Level(at); got != want {
			t.Errorf("level %v at %s, want %v", got, at, want)
		}
	}
	shares := make([]float64, 4)
	l.Shares(5*time.Second, shares)
	if !slices.Equal(shares, []float64{.5, 0, .5, 0}) {
		t.Errorf("shares %v half way", shares)
	}
}

func TestTraceFormats(t *testing.T) {
	zip := func(s string) string {
		var b bytes.Buffer
		w := gzip.NewWriter(&b)
		_, _ = w.Write([]byte(s)) // a buffer takes all
		_ = w.Close()
		return b.String()
	}
	counts := "period,count\n1998-04-30 21:30:00,60\n1998-04-30 21:31:00,120\n1998-04-30 21:33:00,6\n"
	for _, tt := range []struct {
		name, spec, data string
		want             []float64
		step             time.Duration
	}{
		{"one level a line", "", "1\n\n2.5\n", []float64{1, 2.5}, time.Second},
		{"step and scale", ", step: 5s, scale: 10", "1\n2\n", []float64{10, 20}, 5 * time.Second},
		{"what is skipped is counted as it is played", ", step: 5s, skip: 10s", "1\n2\n3\n", []float64{3}, 5 * time.Second},
		{"counts become rates, and a missing row repeats the one before", ", format: counts", counts, []float64{1, 2, 2, .1}, time.Minute},
		{"compressed, and played faster", ", format: counts, step: 1s", zip(counts), []float64{1, 2, 2, .1}, time.Second},
		{"arrivals are counted over steps from the first", ", format: arrivals, step: 500ms",
			"TIMESTAMP,a\n2023-11-16 18:15:46.68,1\n2023-11-16 18:15:46.70,1\n2023-11-16 18:15:48.0,1\n", []float64{4, 0, 2}, 500 * time.Millisecond},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l, err := parseLoad(t, "load: x\ncurve: [{trace: {file: t"+tt.spec+"}}]\n", map[string]string{"t": tt.data})
			if err != nil {
				t.Fatal(err)
			}
			s := l.Curve[0]
			if !slices.Equal(s.Values, tt.want) || s.Step != tt.step || s.For != tt.step*time.Duration(len(tt.want)) {
				t.Errorf("got %v each %s for %s", s.Values, s.Step, s.For)
			}
		})
	}
}

func TestNoTracesWithoutFiles(t *testing.T) {
	bp, err := ReadApp("hotel-reservation")
	if err != nil {
		t.Fatal(err)
	}
	_, err = ParseLoad("l.yaml", []byte("load: x\ncurve: [{trace: {file: t}}]\n"), bp.App, nil)
	if want := "l.yaml:2:24: curve[0].trace.file: cannot be read: no files are read here"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// Every field of a load file, broken.
func TestBadLoads(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"curve: [{constant: 1}]\n", `l.yaml:1:1: load: is missing`},
		{"load: ''\ncurve: [{constant: 1}]\n", `l.yaml:1:7: load: must not be empty`},
		{"load: x\n", `l.yaml:1:1: curve: is missing`},
		{"load: x\ncurve: []\n", `l.yaml:2:1: curve: must not be empty`},
		{"load: x\nmode: opne\ncurve: [{constant: 1}]\n", `l.yaml:2:7: mode: is "opne", must be one of open, closed`},
		{"load: x\nthink: 1s\ncurve: [{constant: 1}]\n", `l.yaml:2:8: think: is a pause of users; an open load has none: take it out or say mode: closed`},
		{"load: x\nmode: closed\nthink: 1\ncurve: [{constant: 1}]\n", `l.yaml:3:8: think: "1" has no unit; write it like 1ms or 1s`},
		{"load: x\ndrift: true\n" + hotel + "curve: [{constant: 1}]\n", `l.yaml:2:8: drift: needs a mix with at least two points in time`},
		{"load: x\ncurve: [{constnat: 1}]\n", `l.yaml:2:10: curve[0].constnat: is not a known field; did you mean "constant"?`},
		{"load: x\ncurve: [{constant: 1, ramp: {from: 1, to: 2, for: 1s}}]\n", `l.yaml:2:9: curve[0]: must have exactly one of constant, ramp, diurnal, spike, trace, bursts, flash, steps, uncertain`},
		{"load: x\ncurve: [{}]\n", `l.yaml:2:9: curve[0]: must have exactly one of constant, ramp, diurnal, spike, trace, bursts, flash, steps, uncertain`},
		{"load: x\ncurve: [{constant: 1}, {constant: 2}]\n", `l.yaml:2:20: curve[0].constant: needs for, how long it lasts: only the last segment may last for ever`},
		{"load: x\ncurve: [{constant: -1}]\n", `l.yaml:2:20: curve[0].constant: is -1, must be at least 0`},
		{"load: x\ncurve: [{constant: .nan}]\n", `l.yaml:2:20: curve[0].constant: ".nan" is not a finite decimal number`},
		{"load: x\ncurve: [{ramp: {from: 1, to: 2}}]\n", `l.yaml:2:10: curve[0].ramp.for: is missing`},
		{"load: x\ncurve: [{diurnal: {low: 2, high: 1, period: 1h}}]\n", `l.yaml:2:34: curve[0].diurnal.high: is 1, under the low of 2`},
		{"load: x\ncurve: [{diurnal: {low: 2, high: 3, period: 0s}}]\n", `l.yaml:2:45: curve[0].diurnal.period: is 0s, must be above 0s`},
		{"load: x\ncurve: [{spike: {base: 2, peak: 3, at: 1m, width: 1m, for: 1m}}]\n", `l.yaml:2:60: curve[0].spike.for: is 1m0s, but the spike ends only after 2m0s`},
		{"load: x\ncurve: [{uncertain: {low: 3, high: 2}}]\n", `l.yaml:2:36: curve[0].uncertain.high: is 2, under the low of 3`},
		{"load: x\ncurve: [{uncertain: {low: 1, high: 2, in_degree: 2}}]\n", `l.yaml:2:50: curve[0].uncertain.in_degree: needs call_probability: users, who have none, call the other services`},
		{"load: x\ncurve: [{uncertain: {low: 1, high: 2, uncertainty: 0.1, call_probability: 0.5}}]\n", `l.yaml:2:52: curve[0].uncertain.uncertainty: says what in_degree and call_probability say as well: take out either`},
		{"load: x\ncurve: [{uncertain: {low: 1, high: 2, uncertainty: 1.5, day: 1s, weekend: 0}}]\n", `l.yaml:2:52: curve[0].uncertain.uncertainty: is 1.5, must be at most 1`},
		{"load: x\ncurve: [{uncertain: {low: 1, high: 2}}]\nwander: {day: 1h}\n", `l.yaml:3:1: wander.uncertainty: is missing`},
		{"load: x\ncurve: [{bursts: {base: 1, peak: 2, every: 1m, width: 2m}}]\n", `l.yaml:2:55: curve[0].bursts.width: is 2m0s, must be at most every, 1m0s`},
		{"load: x\ncurve: [{bursts: {base: 1, peak: 2, every: 1ms, width: 1ms}}]\n", `l.yaml:2:44: curve[0].bursts.every: is 1ms, must be at least 10ms`},
		{"load: x\ncurve: [{bursts: {base: 1, peak: 2, every: 1s, width: 1s, seed: -1}}]\n", `l.yaml:2:65: curve[0].bursts.seed: is -1, out of range`},
		{"load: x\ncurve: [{bursts: {base: 1, peak: 2, width: 1s}}]\n", `l.yaml:2:10: curve[0].bursts.every: is missing`},
		{"load: x\ncurve: [{flash: {base: 3, peak: 2, at: 1m, decay: 1m}}]\n", `l.yaml:2:33: curve[0].flash.peak: is 2, under the base of 3`},
		{"load: x\ncurve: [{flash: {base: 1, peak: 2, at: 1m, hold: 1m, decay: 1m, for: 90s}}]\n", `l.yaml:2:70: curve[0].flash.for: is 1m30s, but the crowd begins to leave only after 2m0s`},
		{"load: x\ncurve: [{flash: {base: 1, peak: 2, decay: 9000h}}]\n", `l.yaml:2:10: curve[0].flash.at: is missing`},
		{"load: x\ncurve: [{steps: {from: 4, to: 48, by: 0, each: 1m}}]\n", `l.yaml:2:39: curve[0].steps.by: is 0, must be above 0`},
		{"load: x\ncurve: [{steps: {from: 4, to: 48, by: 1e-9, each: 1m}}]\n", `l.yaml:2:39: curve[0].steps.by: is 1e-09, which makes more than 100000 steps`},
		{"load: x\ncurve: [{steps: {from: 4, to: 48, by: 1, each: 9999d}}]\n", `l.yaml:2:1: curve: lasts more than 100 years`},
		{"load: x\nnoise: {cv: 2}\ncurve: [{constant: 1}]\n", `l.yaml:2:13: noise.cv: is 2, must be at most 1`},
		{"load: x\nnoise: {cv: .1, step: 1ms}\ncurve: [{constant: 1}]\n", `l.yaml:2:23: noise.step: is 1ms, must be at least 10ms`},
		{"load: x\ncycle: 1m\n" + hotel + "curve: [{constant: 1}]\n", `l.yaml:2:8: cycle: needs a mix with at least two points in time`},
		{"load: x\ncycle: 1m\nmix: [{at: 0s, shares: {user: 1}}, {at: 1m, shares: {search: 1}}]\ncurve: [{constant: 1}]\n", `l.yaml:3:41: mix[1].at: is 1m0s, must be before the cycle's end, 1m0s`},
		{"load: x\ncurve: [{trace: {file: gone}}]\n", `l.yaml:2:24: curve[0].trace.file: open gone: file does not exist`},
		{"load: x\ncurve: [{trace: {file: t, skip: 1h}}]\n", `l.yaml:2:33: curve[0].trace.skip: is 1h0m0s, but the trace lasts only 2s`},
		{"load: x\ncurve: [{trace: {file: t, scale: 0}}]\n", `l.yaml:2:34: curve[0].trace.scale: is 0, must be above 0`},
		{"load: x\ncurve: [{trace: {file: t, format: csv}}]\n", `l.yaml:2:35: curve[0].trace.format: is "csv", must be one of lines, counts, arrivals`},
		{"load: x\ncurve: [{trace: {file: t, step: 25h}}]\n", `l.yaml:2:33: curve[0].trace.step: is 25h, must be at most 24h`},
		{"load: x\ncurve: [{trace: {file: bad}}]\n", `bad:2:1: "x" is not a level: a number within 0..1e9`},
		{"load: x\ncurve: [{trace: {file: empty}}]\n", `l.yaml:2:24: curve[0].trace.file: empty cannot be read: it holds no values`},
		{"load: x\ncurve: [{trace: {file: t, format: counts}}]\n", `t:2:1: "2" is not an instant, a comma and a count`},
		{"load: x\ncurve: [{trace: {file: t, format: arrivals}}]\n", `t:2:1: "2" is not an instant like 2023-11-16 18:15:46.68`},
		{"load: x\ncurve: [{trace: {file: back, format: counts}}]\n", `back:3:1: is not after the row before it`},
		{"load: x\ncurve: [{constant: {level: 1, for: 99999d}}]\n", `l.yaml:2:1: curve: lasts more than 100 years`},
		{"load: x\ncurve: [{constant: 1}]\nmix: {serach: 1}\n", `l.yaml:3:7: mix.serach: is not an endpoint of hotel-reservation; did you mean "search"?`},
		{"load: x\ncurve: [{constant: 1}]\nmix: {search: -1, user: 2}\n", `l.yaml:3:15: mix.search: is -1, a share must lie within 0..1e12`},
		{"load: x\ncurve: [{constant: 1}]\nmix: {search: 0}\n", `l.yaml:3:1: mix: gives no endpoint a share above 0`},
		{"load: x\ncurve: [{constant: 1}]\nmix: [{at: 1s, shares: {user: 1}}, {at: 1s, shares: {user: 1}}]\n", `l.yaml:3:41: mix[1].at: is 1s, must be after the point before it, 1s`},
	} {
		_, err := parseLoad(t, tt.text, map[string]string{"t": "1\n2\n", "bad": "1\nx\n", "empty": "",
			"back": "a,b\n1998-04-30 21:30:00,1\n1998-04-30 21:30:00,2\n"})
		var faults Faults
		if !errors.As(err, &faults) || faults.Error() != tt.want && !strings.HasPrefix(faults.Error(), tt.want+"\n") {
			t.Errorf("%s\n got %v\nwant %s", tt.text, err, tt.want)
		}
	}
}
