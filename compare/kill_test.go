package compare

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"foresail.dev"
)

// childDir tells a copy of this test's program what to do instead of testing: make the tiny experiment in that folder.
const (
	childDir   = "FORESAIL_COMPARE_DIR"
	childLoops = "FORESAIL_COMPARE_LOOPS" // with a manager that loops
)

func TestChild(t *testing.T) {
	dir := os.Getenv(childDir)
	if dir == "" {
		t.Skip("only as a process of its own, started by other tests")
	}
	o := Options{Dir: dir, Workers: 2}
	g := timeless(tiny(t))
	if os.Getenv(childLoops) != "" {
		g.exp.DecisionLimit = time.Second
		o.Build = with(func() foresail.Manager {
			return &broken{"hpa", func(h *foresail.History) (*foresail.Plan, error) {
				for h.Now().After(origin) { // it always is
				}
				return nil, nil
			}}
		})
	}
	if _, err := g.Run(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	fmt.Println("all runs are made")
}

func child(t *testing.T, dir string, env ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestChild$")
	cmd.Env = append(append(os.Environ(), childDir+"="+dir), env...)
	return cmd
}

// A process that is killed, wherever it is, loses only the runs it had not finished, and the next comes to the same
// bytes as one that was never killed.
func TestResumeAfterAKill(t *testing.T) {
	whole := t.TempDir()
	if out, err := child(t, whole).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for round := range 2 {
		dir := t.TempDir()
		cmd := child(t, dir)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		// Killed once a few files are there, and a little later each time: that may be in the middle of a write.
		for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(time.Millisecond) {
			if kept, _ := filepath.Glob(filepath.Join(dir, "runs", "*.json")); len(kept) > 5*round {
				break
			}
		}
		time.Sleep(time.Duration(round) * 7 * time.Millisecond)
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if _, err := timeless(tiny(t)).Run(t.Context(), Options{Dir: dir, Workers: 2}); err != nil {
			t.Fatal(err)
		}
		same(t, whole, dir)
	}
}

// A manager that loops for ever does not keep the process from ending.
func TestTheProcessEndsThoughAManagerLoops(t *testing.T) {
	dir := t.TempDir()
	if out, err := child(t, dir, childLoops+"=1").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	r, err := Show(dir)
	if err != nil || r.Rows[0].Failed != 2 || r.Rows[1].Seeds != 2 {
		t.Errorf("%+v, %v", r, err)
	}
}
