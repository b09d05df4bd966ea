package store_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"foresail.dev/telemetry/store"
)

// writerEnv names the directory that this program, run again by a test, writes to until it is killed.
const writerEnv = "FORESAIL_TEST_WRITER"

// write appends seconds to a store, and prints the number of each that is acknowledged.
func write() {
	fail := func(err error) {
		if err != nil {
			fmt.Println("error:", err)
			os.Exit(1)
		}
	}
	h, err := store.OpenSmall(os.Getenv(writerEnv), store.Options{Key: keyOf(os.Getenv(writerKeyEnv)), Sync: time.Hour, Trouble: func(err error) { fmt.Println("trouble:", err) }}, 4*time.Minute)
	fail(err)
	app := shop(5)
	fmt.Println("open")
	for k := nextSecond(h.Free()); ; k++ {
		fail(h.Append(app, second(app, k, 2)))
		fmt.Println(k)
	}
}

// nextSecond is the first second that a store takes.
func nextSecond(free time.Time) int {
	if free.Before(start) {
		return 0
	}
	return int((free.Sub(start) + time.Second - 1) / time.Second)
}

// kills is how often the writer is killed: FORESAIL_KILLS, or a few.
func kills(t *testing.T) int {
	s := os.Getenv("FORESAIL_KILLS")
	if s == "" {
		return 3
	}
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatalf("FORESAIL_KILLS is %q: give a number", s)
	}
	return n
}

// A writer is killed at random instants, while it opens, appends, compacts or mends. Each time the store opens, everything
// acknowledged is there as it was written, and check finds nothing wrong. For 200 kills with the numbers printed:
//
//	FORESAIL_KILLS=200 go test -run Killed -v ./telemetry/store
func TestNothingAcknowledgedIsLostWhenKilled(t *testing.T) { killed(t, "") }

func killed(t *testing.T, key string) {
	dir, n, seed := t.TempDir(), kills(t), uint64(1)
	rng := rand.New(rand.NewPCG(seed, 2))
	acknowledged, found := map[int]bool{}, map[int]bool{}
	started, opening := time.Now(), 0
	// A busy machine may take longer to open a store than any of these lives: then there are more and longer ones.
	for i := 0; i < n || len(acknowledged) == 0 && i < n+20; i++ {
		life := 700 * time.Millisecond
		if i >= n {
			life *= time.Duration(i - n + 2)
		}
		opened, told := run(t, dir, key, time.Duration(rng.Int64N(int64(life))))
		if !opened {
			opening++
		}
		for _, k := range told {
			acknowledged[k] = true
		}
		all := i%20 == 0 || i == n-1 // else what is new, with what was written just before
		look(t, dir, key, all, acknowledged, found)
		if all {
			t.Logf("%d kills, %d of them while it opened, in %.0f s, seed %d: %d snapshots acknowledged, %d found, %d lost",
				i+1, opening, time.Since(started).Seconds(), seed, len(acknowledged), len(found), missing(acknowledged, found))
		}
	}
	if len(acknowledged) == 0 {
		t.Error("nothing was acknowledged: the test shows nothing")
	}
}

// look opens a store after a kill: it must be sound, and hold what was acknowledged, as it was written.
func look(t *testing.T, dir, key string, all bool, acknowledged, found map[int]bool) {
	r, err := store.OpenRead(dir, store.Options{Key: keyOf(key), Trouble: func(err error) { t.Log(err) }})
	if errors.Is(err, store.ErrNoStore) && len(acknowledged) == 0 {
		return // killed before there was one
	}
	if err != nil {
		t.Fatalf("after a kill: %v", err)
	}
	defer r.Close()
	from := start
	if all {
		clear(found)
	} else if _, newest := r.Range(); !newest.IsZero() {
		from = start.Add(time.Duration(max(len(found)-60, 0)) * time.Second) // at most as many seconds as were found have passed
	}
	app := shop(5)
	for _, s := range read(t, r, from, forever, 0) {
		k := int(s.Start.Sub(start) / time.Second)
		found[k] = true
		if want := second(app, k, 2); s.Services[4].Arrivals != want.Services[4].Arrivals || s.Services[4].Latency.Count() != want.Services[4].Latency.Count() || len(s.Services[0].Replicas) != 2 {
			t.Errorf("second %d came back otherwise than it was written", k)
		}
	}
	report, err := r.Check(t.Context())
	if err != nil || len(report.Problems) > 0 {
		t.Fatalf("not sound: %v %v", report, err)
	}
	if lost := missing(acknowledged, found); lost > 0 || report.Levels[0].Snapshots != len(found) {
		t.Fatalf("%d acknowledged, %d lost; %d in all, %d found", len(acknowledged), lost, report.Levels[0].Snapshots, len(found))
	}
}

// missing is how many were acknowledged and are not there.
func missing(acknowledged, found map[int]bool) (n int) {
	for k := range acknowledged {
		if !found[k] {
			n++
		}
	}
	return n
}

// run lets the writer write for as long as told, kills it, and returns what it acknowledged, and whether it had opened the store.
func run(t *testing.T, dir, key string, life time.Duration) (opened bool, acknowledged []int) {
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), writerEnv+"="+dir, writerKeyEnv+"="+key)
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(life, func() { _ = c.Process.Kill() })
	defer timer.Stop()
	lines := bufio.NewReader(out)
	for {
		line, err := lines.ReadString('\n')
		if err != nil { // a line without its end was not printed
			if !errors.Is(err, io.EOF) && !errors.Is(err, os.ErrClosed) {
				t.Fatal(err)
			}
			break
		}
		line = strings.TrimSpace(line)
		if k, err := strconv.Atoi(line); err == nil {
			acknowledged = append(acknowledged, k)
		} else if line == "open" {
			opened = true
		} else if strings.HasPrefix(line, "error:") {
			t.Fatalf("the writer: %s", line)
		}
	}
	if err := c.Wait(); err == nil {
		t.Fatal("the writer ended by itself")
	}
	return opened, acknowledged
}

// The log may end at any byte: the store opens, and what was acknowledged before the cut is there.
func TestLogCutAtEveryByte(t *testing.T) {
	app, dir := shop(1), t.TempDir()
	h, err := store.Open(dir, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	wal := filepath.Join("samples", "wal", "00000000")
	var ends []int64 // of the log after each append
	const n = 5
	for k := range n {
		if err := h.Append(app, second(app, k, 1)); err != nil {
			t.Fatal(err)
		}
		st, err := os.Stat(filepath.Join(dir, wal))
		if err != nil {
			t.Fatal(err)
		}
		ends = append(ends, st.Size())
	}
	copied := t.TempDir()
	if err := os.CopyFS(copied, os.DirFS(dir)); err != nil { // as a kill leaves it
		t.Fatal(err)
	}
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	log, err := os.ReadFile(filepath.Join(copied, wal))
	if err != nil {
		t.Fatal(err)
	}
	step := int64(1)
	if testing.Short() || os.Getenv("FORESAIL_KILLS") == "" {
		step = 211 // every byte takes a minute
	}
	for cut := ends[n-3] - 1; cut <= ends[n-1]; cut += step {
		dir := t.TempDir()
		if err := os.CopyFS(dir, os.DirFS(copied)); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, wal), log[:cut], 0o644); err != nil {
			t.Fatal(err)
		}
		want := 0
		for want < n && ends[want] <= cut {
			want++
		}
		h, err := store.Open(dir, store.Options{})
		if err != nil {
			t.Fatalf("cut at %d: %v", cut, err)
		}
		if got := len(read(t, h, start, forever, 0)); got < want || got > want+1 {
			t.Errorf("cut at %d: %d snapshots, %d were acknowledged", cut, got, want)
		}
		if err := h.Append(app, second(app, 100, 1)); err != nil {
			t.Errorf("cut at %d: %v", cut, err)
		}
		if err := h.Close(); err != nil {
			t.Fatal(err)
		}
		r, err := store.OpenRead(dir, store.Options{})
		if err != nil {
			t.Fatalf("cut at %d: %v", cut, err)
		}
		if got := len(read(t, r, start, forever, 0)); got < want+1 || got > want+2 {
			t.Errorf("cut at %d, after one more: %d snapshots, %d were acknowledged", cut, got, want+1)
		}
		if report, err := r.Check(t.Context()); err != nil || len(report.Problems) > 0 {
			t.Errorf("cut at %d: %v %v", cut, report.Problems, err)
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		_ = os.RemoveAll(dir)
	}
}

// Without room a snapshot is refused with what to do, and taken again when there is some.
func TestFullDisk(t *testing.T) {
	app, dir, left := shop(1), t.TempDir(), int64(1<<30)
	h, err := store.OpenIn(dir, store.Options{}, func() int64 { return left })
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	want := []int{}
	for k := range 40 {
		switch k {
		case 10:
			left = 200 << 20 // under the reserve
		case 15:
			left = 10 << 20 // far under it
		case 20:
			left = 1 << 30
		}
		err := h.Append(app, second(app, k, 1))
		if err == nil {
			want = append(want, k)
			continue
		}
		if k < 10 || k > 25 || !errors.Is(err, store.ErrUnwritable) || k < 20 && !strings.Contains(err.Error(), "make room") {
			t.Fatalf("second %d: %v", k, err)
		}
	}
	if len(want) < 10+14 || len(want) > 30 {
		t.Errorf("taken: %v", want)
	}
	out := read(t, h, start, forever, 0)
	if len(out) != len(want) {
		t.Fatalf("%d snapshots, %d were taken", len(out), len(want))
	}
	for i, s := range out {
		if got := second(app, want[i], 1); !s.Start.Equal(got.Start) || s.Services[0].Arrivals != got.Services[0].Arrivals {
			t.Errorf("second %d came back otherwise", want[i])
		}
	}
}

// A minute that was being written when the process ended is missing among the minutes, and made from what it was to be made from.
func TestAMinuteNotWrittenToItsEndIsReadFromItsSeconds(t *testing.T) {
	app, dir := shop(1), t.TempDir()
	h := open(t, dir, store.Options{})
	for k := range 200 {
		if k == 119 { // the next one would complete the second minute
			if err := h.TearMinute(app, second(app, 60, 1)); err != nil {
				t.Fatal(err)
			}
			if err := h.Close(); err != nil {
				t.Fatal(err)
			}
			h = open(t, dir, store.Options{})
		}
		if err := h.Append(app, second(app, k, 1)); err != nil {
			t.Fatal(err)
		}
	}
	out := read(t, h, start, start.Add(3*time.Minute), time.Minute)
	if len(out) != 3 {
		t.Fatalf("%d minutes", len(out))
	}
	for i, s := range out {
		if s.Stale || s.Duration() != time.Minute || s.Services[0].Arrivals < 60*80 {
			t.Errorf("minute %d: stale %v, %v, %v arrivals", i, s.Stale, s.Duration(), s.Services[0].Arrivals)
		}
	}
	r, err := h.Check(t.Context())
	if err != nil || len(r.Problems) > 0 || r.Levels[1].Gaps != 1 {
		t.Errorf("%+v %v", r, err)
	}
}
