package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// A run that keeps a history is killed again and again, while it starts and while it runs. After each kill "foresail history
// check" must find the store sound, and nothing that was there before may be missing. What had been observed and was not
// kept yet is printed. For 200 kills:
//
//	FORESAIL_KILLS=200 go test -run KilledRun -v -timeout 60m ./cmd/foresail
func TestAKilledRunLeavesASoundHistory(t *testing.T) {
	n := 3
	if s := os.Getenv("FORESAIL_KILLS"); s != "" {
		var err error
		if n, err = strconv.Atoi(s); err != nil || n < 1 {
			t.Fatalf("FORESAIL_KILLS=%q: want a number of kills", s)
		}
	}
	dir := t.TempDir()
	load, err := filepath.Abs("../../examples/loads/gentle.yaml")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "foresail.yaml")
	text := fmt.Sprintf("application: hotel-reservation\nload: %s\nspeed: 20\nlisten: 127.0.0.1:0\nhistory: {dir: history}\n", load)
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	const seed = 1
	rng := rand.New(rand.NewPCG(seed, 3))
	var before kept
	starting, lost, most, began := 0, 0, 0, time.Now()
	for i := range n {
		var seen time.Time
		if i%3 == 2 { // while it opens the store
			starting++
			c := program(t, "run", "-f", file)
			if err := c.Start(); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Duration(rng.Int64N(int64(500 * time.Millisecond))))
			c.Process.Kill()
			c.Wait()
		} else {
			d := start(t, "run", "-f", file)
			for end := time.Now().Add(time.Duration(rng.Int64N(int64(1500 * time.Millisecond)))); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
				if at, ok := d.newest(); ok {
					seen = at
				}
			}
			d.cmd.Process.Kill()
			<-d.exited
		}
		now := check(t, filepath.Join(dir, "history"))
		if now.Snapshots < before.Snapshots || now.To.Before(before.To) {
			t.Fatalf("kill %d: %d snapshots up to %s, after %d up to %s: what was kept is gone", i+1, now.Snapshots, now.To, before.Snapshots, before.To)
		}
		before = now
		if missing := int(seen.Sub(now.To) / time.Second); missing > 0 {
			lost, most = lost+missing, max(most, missing)
		}
		if (i+1)%20 == 0 || i == n-1 {
			t.Logf("%d kills, %d of them while it started, in %.0f s, seed %d: the history is sound after each; %d seconds kept; of those on the page %d were not kept yet, at most %d at one kill",
				i+1, starting, time.Since(began).Seconds(), seed, now.Snapshots, lost, most)
		}
	}
	if before.Snapshots == 0 {
		t.Error("nothing was kept: the test shows nothing")
	}
}

// newest is the end of the newest second that the page shows.
func (d *daemon) newest() (at time.Time, ok bool) {
	r, err := http.Get(d.url + "/api/v1/healthz")
	if err != nil {
		return at, false
	}
	defer r.Body.Close()
	var h struct{ At time.Time }
	return h.At, json.NewDecoder(r.Body).Decode(&h) == nil && !h.At.IsZero()
}

// kept is what a history holds as it was observed.
type kept struct {
	Snapshots int
	To        time.Time
}

// check fails the test unless "foresail history check" finds the store sound.
func check(t *testing.T, dir string) kept {
	t.Helper()
	c := program(t, "history", "check", "--dir", dir, "--json")
	out, err := c.Output()
	if err != nil {
		t.Fatalf("history check: %v\n%s", err, out)
	}
	var r struct{ Rows []kept }
	if err := json.Unmarshal(out, &r); err != nil || len(r.Rows) == 0 {
		t.Fatalf("history check: %v\n%s", err, out)
	}
	return r.Rows[0]
}
