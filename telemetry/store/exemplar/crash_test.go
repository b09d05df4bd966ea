package exemplar_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	. "foresail.dev/telemetry/store/exemplar"
)

// TestMain lets this binary be the process that is killed.
func TestMain(m *testing.M) {
	if dir := os.Getenv("FORESAIL_TEST_WRITE"); dir != "" {
		first, _ := strconv.Atoi(os.Getenv("FORESAIL_TEST_FIRST"))
		fmt.Fprintln(os.Stderr, writeUntilKilled(dir, first))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// writeUntilKilled writes traces, each hour's a few, and says each number once it is acknowledged.
func writeUntilKilled(dir string, first int) error {
	s, err := Open(dir, Limits{})
	if err != nil {
		return err
	}
	for i := first; ; i++ {
		if err := s.Append("shop", []Trace{request(i, time.Duration(i)*15*time.Minute, time.Millisecond)}); err != nil {
			return err
		}
		fmt.Println(i)
	}
}

// A writer is killed again and again, wherever it is: the store opens each time, and has what was acknowledged.
func TestKilled(t *testing.T) {
	dir := t.TempDir()
	next, acknowledged := 0, map[int]bool{}
	for round := range 8 {
		c := exec.Command(os.Args[0])
		c.Env = append(os.Environ(), "FORESAIL_TEST_WRITE="+dir, "FORESAIL_TEST_FIRST="+strconv.Itoa(next))
		c.Stderr = os.Stderr
		out, err := c.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for n := 0; lines.Scan(); n++ {
			i, err := strconv.Atoi(lines.Text())
			if err != nil {
				t.Fatal(err)
			}
			acknowledged[i] = true
			next = i + 2 // the one after it may have been written too
			if n == 3+round {
				_ = c.Process.Kill()
			}
		}
		_ = c.Wait()
		s := open(t, dir, Limits{})
		closeStore(t, s)
	}
	got, skipped := readAll(t, dir, Query{})
	found := map[int]bool{}
	for _, tr := range got {
		found[number(tr.Trace)] = true
	}
	for i := range acknowledged {
		if !found[i] {
			t.Errorf("%d was acknowledged and is not there", i)
		}
	}
	if skipped.Count != 0 || len(acknowledged) < 8*4 {
		t.Errorf("%d acknowledged; %v", len(acknowledged), skipped.String())
	}
	t.Logf("%d traces were acknowledged, %d are there", len(acknowledged), len(got))
}
