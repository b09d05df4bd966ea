package appfile

import (
	"compress/gzip"
	"encoding/csv"
	"io"
	"math"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"foresail.dev/load"
)

const sharedLoads = "../../shared/data/load/"

// sharedTrace reads a trace of ../shared as a load file would.
func sharedTrace(t *testing.T, spec string) load.Segment {
	t.Helper()
	if _, err := os.Stat(sharedLoads); err != nil {
		t.Skip("no public traces at ../shared/data/load")
	}
	bp, err := ReadApp("hotel-reservation")
	if err != nil {
		t.Fatal(err)
	}
	l, err := ParseLoad("x", []byte("load: x\ncurve: [{trace: {file: "+spec+"}}]\n"), bp.App,
		func(path string) (io.ReadCloser, error) { return os.Open(sharedLoads + path) })
	if err != nil {
		t.Fatal(err)
	}
	return l.Curve[0]
}

// sharedRows reads the same file with nothing of this package.
func sharedRows(t *testing.T, name string) [][]string {
	t.Helper()
	f, err := os.Open(sharedLoads + name)
	if err != nil {
		t.Skip("no public traces at ../shared/data/load")
	}
	defer f.Close()
	var r io.Reader = f
	if strings.HasSuffix(name, ".gz") {
		if r, err = gzip.NewReader(f); err != nil {
			t.Fatal(err)
		}
	}
	rows, err := csv.NewReader(r).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

// total is how many requests a trace stands for.
func total(s load.Segment) (sum float64) {
	for _, v := range s.Values {
		sum += v * s.Step.Seconds()
	}
	return sum
}

// peak is the largest level, and when it is first reached.
func peak(s load.Segment) (top float64, at time.Duration) {
	for i, v := range s.Values {
		if v > top {
			top, at = v, time.Duration(i)*s.Step
		}
	}
	return top, at
}

func equal(t *testing.T, what string, got, want float64) {
	t.Helper()
	if math.Abs(got-want) > 1e-9*max(math.Abs(want), 1) {
		t.Errorf("%s: %v, counted independently %v", what, got, want)
	}
}

// Autothrottle's traces: a level a second, an hour long.
func TestSharedAutothrottle(t *testing.T) {
	for _, name := range []string{"autothrottle-diurnal.txt", "autothrottle-noisy.txt"} {
		s := sharedTrace(t, name)
		sum, top, when := 0.0, 0.0, 0
		rows := sharedRows(t, name)
		for i, row := range rows {
			v, err := strconv.Atoi(row[0])
			if err != nil {
				t.Fatal(err)
			}
			sum += float64(v)
			if float64(v) > top {
				top, when = float64(v), i
			}
		}
		equal(t, name+": requests", total(s), sum)
		got, at := peak(s)
		equal(t, name+": peak", got, top)
		equal(t, name+": when", at.Seconds(), float64(when))
		equal(t, name+": length", s.For.Seconds(), float64(len(rows)))
		if len(rows) != 3600 || s.Step != time.Second {
			t.Errorf("%s: %d levels of %s", name, len(rows), s.Step)
		}
	}
	// Its authors multiply the levels for each application.
	equal(t, "scaled", total(sharedTrace(t, "autothrottle-noisy.txt, scale: 1.5")), 1.5*total(sharedTrace(t, "autothrottle-noisy.txt")))
}

const minuteLayout = "2006-01-02 15:04:05"

// minutes are the World Cup's requests by minute, counted with a map.
func minutes(t *testing.T) (counts map[time.Time]float64, first, last time.Time) {
	counts = map[time.Time]float64{}
	for i, row := range sharedRows(t, "worldcup98-per-minute.csv.gz")[1:] {
		at, err := time.Parse(minuteLayout, row[0])
		if err != nil {
			t.Fatal(err)
		}
		if counts[at], err = strconv.ParseFloat(row[1], 64); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			first = at
		}
		last = at
	}
	return counts, first, last
}

// The World Cup of 1998: requests each minute, compressed; ten minutes are missing, and repeat the one before.
func TestSharedWorldCup(t *testing.T) {
	s := sharedTrace(t, "worldcup98-per-minute.csv.gz, format: counts")
	counts, first, last := minutes(t)
	sum, top, missing := 0.0, 0.0, 0
	var when time.Time
	before := 0.0
	for at := first; !at.After(last); at = at.Add(time.Minute) {
		v, ok := counts[at]
		if !ok {
			v = before
			missing++
		}
		if v > top {
			top, when = v, at
		}
		sum += v
		before = v
	}
	if len(counts) != 80_000 || missing != 10 {
		t.Errorf("%d rows and %d missing", len(counts), missing)
	}
	equal(t, "requests", total(s), sum)
	got, at := peak(s)
	equal(t, "peak", got, top/60)
	if !first.Add(at).Equal(when) || s.Step != time.Minute || s.For != last.Sub(first)+time.Minute {
		t.Errorf("peak at %s instead of %s; %s for %s", first.Add(at), when, s.Step, s.For)
	}
}

// One day of it, cut out by skip and for: 23 June, from midnight to midnight.
func TestSharedWorldCupDay(t *testing.T) {
	counts, first, _ := minutes(t)
	day := time.Date(1998, 6, 23, 0, 0, 0, 0, time.UTC)
	if got := day.Sub(first); got != 53*24*time.Hour+2*time.Hour+30*time.Minute {
		t.Fatalf("the day begins after %s", got)
	}
	s := sharedTrace(t, "worldcup98-per-minute.csv.gz, format: counts, skip: 53d2h30m, for: 1d")
	l := load.Load{Curve: []load.Segment{s}}
	top := 0.0
	for m := range 24 * 60 {
		at := day.Add(time.Duration(m) * time.Minute)
		want, ok := counts[at]
		if !ok {
			t.Fatalf("no row for %s", at)
		}
		equal(t, at.Format(minuteLayout), l.Level(time.Duration(m)*time.Minute+30*time.Second), want/60)
		top = max(top, want)
	}
	if d, _ := l.Length(); d != 24*time.Hour {
		t.Errorf("a day lasts %s", d)
	}
	// Played sixty times as fast, the same day is cut out by times as they are played.
	fast := sharedTrace(t, "worldcup98-per-minute.csv.gz, format: counts, step: 1s, skip: 21h14m30s, for: 24m")
	equal(t, "the fast day's first minute", fast.Values[0], counts[day]/60)
	got := 0.0
	for at := time.Duration(0); at < fast.For; at += fast.Step {
		got = max(got, (&load.Load{Curve: []load.Segment{fast}}).Level(at))
	}
	equal(t, "its peak", got, top/60)
}

// Azure's arrivals: instants to a tenth of a microsecond. The counts, and so their coefficient of variation, are those
// of the instants at steps below a second too, and the last line needs no end.
func TestSharedAzure(t *testing.T) {
	rows := sharedRows(t, "azure-llm-conv-arrivals.csv.gz")[1:]
	var instants []int64 // nanoseconds since midnight
	for _, row := range rows {
		hms, fraction, ok := strings.Cut(strings.TrimPrefix(row[0], "2023-11-16 "), ".")
		part := strings.Split(hms, ":")
		if !ok || len(part) != 3 || len(fraction) != 7 {
			t.Fatalf("instant %q", row[0])
		}
		ns := int64(0)
		for _, p := range part {
			n, err := strconv.ParseInt(p, 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			ns = ns*60 + n
		}
		f, err := strconv.ParseInt(fraction, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		instants = append(instants, ns*1e9+f*100)
	}
	for _, step := range []time.Duration{time.Second, 100 * time.Millisecond, 10 * time.Millisecond} {
		s := sharedTrace(t, "azure-llm-conv-arrivals.csv.gz, format: arrivals, step: "+step.String())
		counts := map[int64]float64{}
		top := 0.0
		for _, at := range instants {
			i := (at - instants[0]) / int64(step)
			counts[i]++
			top = max(top, counts[i])
		}
		equal(t, step.String()+": requests", total(s), float64(len(rows)))
		n := (instants[len(instants)-1]-instants[0])/int64(step) + 1
		equal(t, step.String()+": length", float64(len(s.Values)), float64(n))
		got, _ := peak(s)
		equal(t, step.String()+": peak", got, top/step.Seconds())
		squares := 0.0
		for i, v := range s.Values {
			if want := counts[int64(i)] / step.Seconds(); math.Abs(v-want) > 1e-9*want {
				t.Fatalf("%s: %v in step %d, counted independently %v", step, v, i, want)
			}
			squares += v * v * step.Seconds() * step.Seconds()
		}
		want := 0.0
		for _, c := range counts {
			want += c * c
		}
		cv := func(squares float64) float64 {
			mean := float64(len(rows)) / float64(n)
			return math.Sqrt(squares/float64(n)-mean*mean) / mean
		}
		equal(t, step.String()+": coefficient of variation", cv(squares), cv(want))
		t.Logf("%s: %d levels, peak %g, coefficient of variation %.3f", step, len(s.Values), got, cv(squares))
	}
}
