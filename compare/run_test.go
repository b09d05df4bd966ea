package compare

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/appfile"
	"foresail.dev/plan/guard"
	"foresail.dev/plan/managers"
)

// However many runs go on at once, the results and every kept file are the same to the byte.
func TestWorkersDoNotChangeResults(t *testing.T) {
	dirs := []string{t.TempDir(), t.TempDir()}
	var rows [2]string
	for i, workers := range []int{1, 4} {
		r, err := timeless(tiny(t)).Run(t.Context(), Options{Dir: dirs[i], Workers: workers})
		if err != nil {
			t.Fatal(err)
		}
		if len(r.Rows) != 6 || len(r.Runs) != 12 || len(r.Pairs) != 4 {
			t.Fatalf("%d rows, %d runs, %d pairs", len(r.Rows), len(r.Runs), len(r.Pairs))
		}
		rows[i] = text(t, r.Rows) + text(t, r)
	}
	if rows[0] != rows[1] {
		t.Errorf("one worker:\n%s\nfour:\n%s", rows[0], rows[1])
	}
	same(t, dirs[0], dirs[1])
	shown, err := Show(dirs[0])
	if err != nil {
		t.Fatal(err)
	}
	if again := text(t, shown.Rows) + text(t, shown); again != rows[0] {
		t.Errorf("shown from the folder:\n%s\nat the end of the runs:\n%s", again, rows[0])
	}
}

func same(t *testing.T, a, b string) {
	t.Helper()
	x, y := files(t, a), files(t, b)
	if len(x) != len(y) || len(x) == 0 {
		t.Errorf("%d files and %d", len(x), len(y))
	}
	for name := range x {
		if x[name] != y[name] {
			t.Errorf("%s differs:\n%.300s\n%.300s", name, x[name], y[name])
		}
	}
}

// An experiment that is stopped, wherever it is, goes on from what it kept and comes to the same results.
func TestResumeAfterAStop(t *testing.T) {
	whole := t.TempDir()
	if _, err := timeless(tiny(t)).Run(t.Context(), Options{Dir: whole, Workers: 2}); err != nil {
		t.Fatal(err)
	}
	for _, after := range []int{0, 5, 10} {
		dir := t.TempDir()
		ctx, stop := context.WithCancel(t.Context())
		if after == 0 {
			stop()
		}
		_, err := timeless(tiny(t)).Run(ctx, Options{Dir: dir, Workers: 2, Progress: func(p Progress) {
			if p.Done == after {
				stop()
			}
		}})
		stop()
		if err != ErrStopped {
			t.Fatalf("stopped after %d: %v", after, err)
		}
		if part, err := Show(dir); err != nil || part.Missing < 12-after-1 || !strings.Contains(strings.Join(part.Notes, ""), "runs are not made yet") {
			t.Errorf("after %d runs it shows %+v, %v", after, part, err)
		}
		// what a process that was killed while it wrote leaves
		if err := os.WriteFile(filepath.Join(dir, "runs", "x.json.123.tmp"), []byte("{"), 0o600); err != nil {
			t.Fatal(err)
		}
		made := 0
		if _, err := timeless(tiny(t)).Run(t.Context(), Options{Dir: dir, Workers: 2, Progress: func(p Progress) {
			if p.Finished != nil {
				made++
			}
		}}); err != nil {
			t.Fatal(err)
		}
		if made > 12-after || made == 0 {
			t.Errorf("%d runs were made after %d had been kept", made, after)
		}
		same(t, whole, dir)
	}
}

// A file that was damaged is no run: it is made again.
func TestDamagedRunsAreMadeAgain(t *testing.T) {
	dir := t.TempDir()
	count := func() (n int) {
		_, err := timeless(tiny(t)).Run(t.Context(), Options{Dir: dir, Progress: func(p Progress) {
			if p.Finished != nil {
				n++
			}
		}})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	if n := count(); n != 12 {
		t.Fatalf("%d runs", n)
	}
	before := files(t, dir)
	n := 0
	for name, content := range before {
		if strings.HasPrefix(name, "runs") && n < 3 {
			n++
			if err := os.WriteFile(filepath.Join(dir, name), []byte(content[:len(content)*n/4]), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	if n := count(); n != 3 {
		t.Errorf("%d runs were made again, want 3", n)
	}
	for name, content := range files(t, dir) {
		if before[name] != content {
			t.Errorf("%s is not what it was", name)
		}
	}
}

// Runs of another build of the program are made anew, unless they are asked for.
func TestRunsOfAnotherProgram(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct {
		program string
		reuse   Reuse
		made    int
	}{{"a", ReuseSame, 12}, {"a", ReuseSame, 0}, {"b", ReuseAny, 0}, {"b", ReuseSame, 12}, {"b", ReuseNone, 12}} {
		made := 0
		r, err := tiny(t).Run(t.Context(), Options{Dir: dir, Program: c.program, Reuse: c.reuse, Progress: func(p Progress) {
			if p.Finished != nil {
				made++
			}
		}})
		if err != nil || made != c.made || len(r.Rows) != 6 {
			t.Errorf("program %s, reuse %v: %d runs made, want %d (%v)", c.program, c.reuse, made, c.made, err)
		}
	}
}

// A folder is written by one process at a time.
func TestOneWriter(t *testing.T) {
	dir := t.TempDir()
	s, err := openStore(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	if _, err := tiny(t).Run(t.Context(), Options{Dir: dir}); err == nil || !strings.Contains(err.Error(), dir+" is being written to by another process") {
		t.Errorf("got %v", err)
	}
}

// A full disk ends the experiment with one line that says where and what to do; what was kept before counts.
func TestFullDisk(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root, to mount a small disk")
	}
	small := t.TempDir()
	if err := syscall.Mount("none", small, "tmpfs", 0, "size=32k"); err != nil {
		t.Skipf("no small disk can be mounted: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(small, syscall.MNT_DETACH) })
	_, err := timeless(tiny(t)).Run(t.Context(), Options{Dir: small, Workers: 1})
	if err == nil {
		t.Fatal("it all went onto a disk of 32 KiB")
	}
	for _, w := range []string{"writing " + small, "no space left on device; make room there, then run the same command again", "kept"} {
		if !strings.Contains(err.Error(), w) || strings.Contains(err.Error(), "\n") {
			t.Errorf("the error does not say %q: %v", w, err)
		}
	}
	n := 0
	if err := syscall.Mount("none", small, "tmpfs", syscall.MS_REMOUNT, "size=16m"); err != nil {
		t.Fatal(err)
	}
	r, err := timeless(tiny(t)).Run(t.Context(), Options{Dir: small, Progress: func(p Progress) {
		if p.Finished != nil {
			n++
		}
	}})
	if err != nil || n == 0 || n >= 12 || len(r.Runs) != 12 {
		t.Errorf("with room it made %d runs: %v", n, err)
	}
}

// with is a Build whose hpa is another manager, guarded where that is asked for.
func with(inner func() foresail.Manager) Build {
	return func(in *Inputs, app *foresail.App, seed uint64) (foresail.Manager, error) {
		if in.Manager != "hpa" {
			return build(in, app, seed)
		}
		if !in.Guarded {
			return inner(), nil
		}
		base, err := managers.New(in.Baseline, app)
		if err != nil {
			return nil, err
		}
		return guard.New(inner(), base, guard.Config{Rebuild: func() (foresail.Manager, error) { return inner(), nil }})
	}
}

func onlyOneLoad(e *Experiment) {
	e.Applications[0].Loads = e.Loads[:1]
	e.Managers[0].Guarded = Both
}

// A bare manager that panics fails its runs, with the reason; in the guard the baseline decides, and the runs count.
func TestAManagerThatPanics(t *testing.T) {
	n := atomic.Int64{}
	r, err := timeless(tiny(t, onlyOneLoad)).Run(t.Context(), Options{Build: with(func() foresail.Manager {
		return &broken{"hpa", func(h *foresail.History) (*foresail.Plan, error) {
			if n.Add(1); h.Now().Sub(origin) > 8*time.Second {
				panic("index out of range [3]")
			}
			return nil, nil
		}}
	})})
	if err != nil {
		t.Fatal(err)
	}
	bare, guarded := r.Rows[0], r.Rows[1]
	if bare.Failed != 2 || bare.Seeds != 0 || bare.Failure != "panic at 9s: index out of range [3]" || bare.Cores != nil {
		t.Errorf("bare: %+v", bare)
	}
	if guarded.Failed != 0 || guarded.Seeds != 2 || guarded.Fallbacks == nil || *guarded.Fallbacks < 6 || !strings.Contains(guarded.Fallback, "index out of range [3]") {
		t.Errorf("guarded: %+v", guarded)
	}
	for _, row := range r.Rows[2:] {
		if row.Failed > 0 || row.Seeds != 2 {
			t.Errorf("the others: %+v", row)
		}
	}
}

// A manager that never decides has no results; one that errs at times has, and the row says so.
func TestAManagerThatErrs(t *testing.T) {
	r, err := timeless(tiny(t, onlyOneLoad)).Run(t.Context(), Options{Build: with(func() foresail.Manager {
		return &broken{"hpa", func(*foresail.History) (*foresail.Plan, error) { return nil, errBroken }}
	})})
	if err != nil {
		t.Fatal(err)
	}
	if row := r.Rows[0]; row.Failed != 2 || row.Failure != "it never decided: hpa: no model of this application" {
		t.Errorf("always: %+v", row)
	}
	r, err = timeless(tiny(t, onlyOneLoad)).Run(t.Context(), Options{Build: with(func() foresail.Manager {
		return &broken{"hpa", func(h *foresail.History) (*foresail.Plan, error) {
			if h.Now().Second() == 8 {
				return nil, errBroken
			}
			return nil, nil
		}}
	})})
	if err != nil {
		t.Fatal(err)
	}
	if row := r.Rows[0]; row.Failed != 0 || row.DecisionErrors == nil || *row.DecisionErrors != 1 || row.DecisionError != "hpa: no model of this application" {
		t.Errorf("once: %+v", row)
	}
}

// A manager that loops has its run abandoned, and its others are not begun; the others' runs go on. The next time it is
// tried again.
func TestAManagerThatLoops(t *testing.T) {
	var free atomic.Bool
	t.Cleanup(func() { free.Store(true) })
	loops := with(func() foresail.Manager {
		return &broken{"hpa", func(h *foresail.History) (*foresail.Plan, error) {
			for h.Now().Sub(origin) > 8*time.Second && !free.Load() {
			}
			return nil, nil
		}}
	})
	g := timeless(tiny(t, onlyOneLoad, func(e *Experiment) { e.Managers[0].Guarded = Bare }))
	g.exp.DecisionLimit = time.Second
	dir := t.TempDir()
	r, err := g.Run(t.Context(), Options{Dir: dir, Build: loops, Workers: 1})
	if err != nil {
		t.Fatal(err)
	}
	if row := r.Rows[0]; row.Failed != 2 || row.Failure != "the decision at 9s took longer than 1s: the run was abandoned" {
		t.Errorf("%+v", row)
	}
	if why := r.Runs[3].Failed; why != "not begun: the manager did not answer in online-boutique/steady/hpa/seed 1" {
		t.Errorf("its second run: %q", why)
	}
	for _, row := range r.Rows[1:] {
		if row.Failed > 0 || row.Seeds != 2 {
			t.Errorf("the others: %+v", row)
		}
	}
	free.Store(true)
	g.exp.DecisionLimit = time.Minute
	r, err = g.Run(t.Context(), Options{Dir: dir, Build: loops})
	if err != nil || r.Rows[0].Failed != 0 || r.Rows[0].Seeds != 2 {
		t.Errorf("once it answers: %+v, %v", r.Rows[0], err)
	}
}

// Nodes are part of what a run depends on, and what replicas run on.
func TestNodes(t *testing.T) {
	path := experiment(t, `experiment: a
applications: [online-boutique]
loads: [steady.yaml]
managers: [hpa]
seeds: [1]
duration: 5s
nodes:
  between: 20ms
  machines: [{name: m, count: 20, cores: 8}]
`)
	e, err := Read(path)
	if err != nil {
		t.Fatal(err)
	}
	p99 := func() float64 {
		t.Helper()
		g, err := Prepare(e)
		if err != nil {
			t.Fatal(err)
		}
		r, err := g.Run(t.Context(), Options{})
		if err != nil {
			t.Fatal(err)
		}
		if (r.Runs[0].Inputs.Nodes == "") != (len(e.Nodes.Nodes) == 0) || r.Runs[0].Failed != "" {
			t.Errorf("%+v", r.Runs[0])
		}
		return *r.Runs[0].endpoint("product").P99
	}
	on := p99()
	e.Nodes = appfile.Nodes{}
	if alone := p99(); on < alone+50 {
		t.Errorf("p99 is %v ms on nodes that are 20 ms apart, %v ms without", on, alone)
	}
}

// Faults hit the reported runs of a load, and are part of what they depend on.
func TestFaults(t *testing.T) {
	e, err := Read(experiment(t, `experiment: a
applications:
  - application: online-boutique
    loads:
      - steady.yaml
      - {load: steady.yaml, as: slow, faults: {fixed: [{kind: gc-pause, service: frontend, at: 5s, for: 10s, length: 900ms, period: 1s}]}}
managers: [hpa]
seeds: [1]
duration: 20s
`))
	if err != nil {
		t.Fatal(err)
	}
	g, err := Prepare(e)
	if err != nil {
		t.Fatal(err)
	}
	r, err := g.Run(t.Context(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	well, ill := r.Runs[0], r.Runs[1]
	if well.Failed+ill.Failed != "" || well.Inputs.Faults != "" || ill.Inputs.Faults == "" {
		t.Fatalf("%+v, %+v", well, ill)
	}
	if a, b := *well.endpoint("product").P99, *ill.endpoint("product").P99; b < 10*a {
		t.Errorf("p99 is %v ms with pauses of 900 ms, %v ms without", b, a)
	}
	e.Applications[0].Loads[1].Faults = appfile.FaultSchedule{}
	if g, err := Prepare(e); err != nil || g.conditions[1].faults != nil {
		t.Errorf("%v", err)
	}
}

// A fault that hits what is not there is told before anything runs, with its place in the experiment.
func TestFaultsOfWhatIsNotThere(t *testing.T) {
	e, err := Read(experiment(t, `experiment: a
applications: [online-boutique]
loads: [{load: steady.yaml, faults: {fixed: [{kind: gc-pause, service: geo, at: 5s, for: 10s, length: 900ms, period: 1s}]}}]
managers: [hpa]
seeds: [1]
duration: 20s
`))
	if err == nil {
		_, err = Prepare(e)
	}
	if err == nil || !strings.Contains(err.Error(), "e.yaml:3:") || !strings.Contains(err.Error(), "geo") {
		t.Errorf("got %v", err)
	}
}
