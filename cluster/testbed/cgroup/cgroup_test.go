package cgroup

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// mounts writes mountinfo lines for file systems of a type at points below root, with super options.
func mounts(root string, lines ...[3]string) string {
	var b strings.Builder
	b.WriteString("22 1 0:21 / / rw,relatime - ext4 /dev/vda rw\n")
	for _, l := range lines {
		b.WriteString("30 22 0:26 / " + strings.ReplaceAll(filepath.Join(root, l[1]), " ", `\040`) + " rw,nosuid shared:9 - " + l[0] + " cgroup " + l[2] + "\n")
	}
	return b.String()
}

func TestDetect(t *testing.T) {
	root := filepath.Join(t.TempDir(), "a b") // mountinfo escapes blanks
	for dir, controllers := range map[string]string{"full": "cpuset cpu io memory pids\n", "nomem": "cpu\n", "empty": "\n"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(root, dir, "cgroup.controllers"), []byte(controllers), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	cpu := [3]string{"cgroup", "cpu,cpuacct", "rw,cpu,cpuacct"}
	memory := [3]string{"cgroup", "memory", "rw,memory"}
	for _, test := range []struct {
		name    string
		mounts  string
		version int
		dirs    string // of group "g", without the root
		fault   string
		nomem   bool
	}{
		{"version 2", mounts(root, [3]string{"cgroup2", "full", "rw"}), 2, "full/g", "", false},
		{"version 2 without memory", mounts(root, [3]string{"cgroup2", "nomem", "rw"}), 2, "nomem/g", "", true},
		{"version 1, one hierarchy for both", mounts(root, cpu, memory), 1, "cpu,cpuacct/g memory/g", "", false},
		{"version 1, separate hierarchies", mounts(root, [3]string{"cgroup", "cpu", "rw,cpu"}, [3]string{"cgroup", "acct", "rw,cpuacct"}), 1, "cpu/g acct/g", "", true},
		{"a version 2 tree without controllers is not taken", mounts(root, cpu, memory, [3]string{"cgroup2", "empty", "rw"}), 1, "cpu,cpuacct/g memory/g", "", false},
		{"a version 2 tree without controllers alone", mounts(root, [3]string{"cgroup2", "empty", "rw"}), 0, "", "holds no cpu controller", false},
		{"version 1 without accounting", mounts(root, [3]string{"cgroup", "cpu", "rw,cpu"}), 0, "", "the cpuacct controller of cgroup v1 is not mounted", false},
		{"nothing", mounts(root), 0, "", "no cgroup file system is mounted", false},
		{"no mountinfo at all", "", 0, "", "no cgroup file system is mounted", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			h, err := detect(test.mounts)
			if test.fault != "" {
				if !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), test.fault) {
					t.Fatalf("error %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if missing := h.Memory(); (missing != nil) != test.nomem || test.nomem && !errors.Is(missing, ErrUnavailable) {
				t.Errorf("memory: %v", missing)
			}
			dirs := strings.ReplaceAll(strings.Join(h.Dirs("g"), " "), root+"/", "")
			if h.Version() != test.version || dirs != test.dirs {
				t.Errorf("version %d, dirs %s", h.Version(), dirs)
			}
		})
	}
}

func FuzzDetect(f *testing.F) {
	f.Add(mounts("/sys/fs/cgroup", [3]string{"cgroup2", "", "rw"}))
	f.Add("- - -\n1 2 3 4 5 - cgroup x cpu,cpuacct")
	f.Fuzz(func(t *testing.T, s string) {
		h, err := detect(s)
		if (h == nil) == (err == nil) || err != nil && !errors.Is(err, ErrUnavailable) {
			t.Errorf("%v, %v", h, err)
		}
	})
}

// fakeV2 is a version 2 tree in an ordinary directory: making a group makes its control files, as the kernel does.
func fakeV2(t *testing.T, files map[string]string) *v2 {
	t.Helper()
	fill := func(dir string) error {
		for name, content := range files {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
				return err
			}
		}
		return nil
	}
	root := t.TempDir()
	if err := fill(root); err != nil {
		t.Fatal(err)
	}
	return &v2{root: root, memory: true, mkdir: func(path string) error {
		if err := os.Mkdir(path, 0o755); err != nil {
			return err
		}
		return fill(path)
	}}
}

func kernelFiles() map[string]string {
	return map[string]string{
		"cgroup.procs": "", "cgroup.subtree_control": "", "cpu.max": "max 100000\n", "cpu.weight": "100\n", "memory.max": "max\n", "memory.current": "4096\n",
		"cpu.stat": "usage_usec 2500000\nuser_usec 2000000\nsystem_usec 500000\nnr_periods 40\nnr_throttled 7\nthrottled_usec 123456\n",
	}
}

func TestVersion2(t *testing.T) {
	h := fakeV2(t, kernelFiles())
	if err := h.Prepare("app"); err != nil {
		t.Fatal(err)
	}
	read := func(name string) string {
		b, err := os.ReadFile(filepath.Join(h.root, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	for _, dir := range []string{"", "app"} { // the controllers are handed down twice: to the parent, and to groups in it
		if got := read(filepath.Join(dir, "cgroup.subtree_control")); got != "+cpu +memory" {
			t.Errorf("%q/cgroup.subtree_control: %q", dir, got)
		}
	}
	g, err := h.Make("app/one")
	if err != nil {
		t.Fatal(err)
	}
	if ferr := h.Favour("app"); ferr != nil || read("app/cpu.weight") != "10000" {
		t.Errorf("favoured parent: %v, weight %q", ferr, read("app/cpu.weight"))
	}
	w, err := g.SetCPU(0.255)
	if ferr := g.Favour(); ferr != nil || read("app/one/cpu.weight") != "10000" {
		t.Errorf("favoured: %v, weight %q", ferr, read("app/one/cpu.weight"))
	}
	if err != nil || w.Value != "25500 100000" || read("app/one/cpu.max") != "25500 100000" || !strings.HasSuffix(w.Path, "app/one/cpu.max") {
		t.Errorf("SetCPU: %+v, %v", w, err)
	}
	if _, err := g.SetMemory(1 << 30); err != nil || read("app/one/memory.max") != "1073741824" {
		t.Error(err)
	}
	if _, err := g.SetMemory(0); err != nil || read("app/one/memory.max") != "max" {
		t.Error(err)
	}
	if err := g.Add(4711); err != nil || read("app/one/cgroup.procs") != "4711" {
		t.Error(err)
	}
	want := Stats{CPU: 2500 * time.Millisecond, Throttled: 123456 * time.Microsecond, Limited: 7, Memory: 4096}
	if s, err := g.Read(); err != nil || s != want {
		t.Errorf("Read: %+v, %v", s, err)
	}
	if err := h.Prepare("app"); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a parent that is there: %v", err)
	}
}

// What the kernel doesn't take is an error, not a silent lack of a limit.
func TestWritesAreVerified(t *testing.T) {
	h := fakeV2(t, kernelFiles())
	g, err := h.Make("one")
	if err != nil {
		t.Fatal(err)
	}
	for _, cores := range []float64{0, -1, 0.001, nan()} {
		if _, err := g.SetCPU(cores); err == nil {
			t.Errorf("%v cores were taken", cores)
		}
	}
	path := filepath.Join(h.root, "one", "cpu.max")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if _, err := g.SetCPU(1); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing control file: %v", err)
	}
	if err := os.Symlink("/dev/null", path); err != nil { // takes everything, and keeps nothing
		t.Fatal(err)
	}
	if _, err := g.SetCPU(1); err == nil || !strings.Contains(err.Error(), "but it reads") {
		t.Errorf("a value that was not kept: %v", err)
	}
}

func nan() float64 { var zero float64; return zero / zero }

// real is this machine's hierarchy with a parent of the test's own. What else the machine does must not keep the groups in
// it from using up their quota.
func real(t *testing.T) (Hierarchy, string) {
	t.Helper()
	h, err := Detect()
	if err == nil {
		parent := "foresail-test-cgroup-" + strconv.Itoa(os.Getpid())
		if err = h.Prepare(parent); err == nil {
			t.Cleanup(func() {
				if err := Destroy(h.Dirs(parent), removeLimit); err != nil {
					t.Error(err)
				}
			})
			if err := h.Favour(parent); err != nil {
				t.Fatal(err)
			}
			return h, parent
		}
	}
	if os.Getuid() != 0 && errors.Is(err, ErrUnavailable) {
		t.Skipf("making cgroups needs root: %v", err)
	}
	t.Fatal(err)
	return nil, ""
}

// A process in a group of this machine's kernel is limited, counted, and killed with its group.
func TestRealGroup(t *testing.T) {
	h, parent := real(t)
	g, err := h.Make(parent + "/one")
	if err != nil {
		t.Fatal(err)
	}
	for _, cores := range []float64{0.1, 1.5, 0.2} {
		if w, err := g.SetCPU(cores); err != nil || w.Path == "" {
			t.Fatalf("%g cores: %v", cores, err)
		}
	}
	if _, err := g.SetMemory(64 << 20); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sh", "-c", "read go; while :; do :; done")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	if err := g.Add(cmd.Process.Pid); err != nil {
		t.Fatal(err)
	}
	in.Close()
	start := time.Now()
	var s Stats
	for s.Limited < 8 && time.Since(start) < 20*time.Second {
		if s, err = g.Read(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Millisecond)
	}
	if used := s.CPU.Seconds() / time.Since(start).Seconds(); s.Limited < 8 || used > 0.26 || s.Memory < 0 {
		t.Errorf("%.2f cores used under a quota of 0.2; %+v", used, s)
	}
	for range 2 {
		if err := g.Remove(); err != nil {
			t.Fatal(err)
		}
	}
	if err := <-ended; err == nil {
		t.Error("the process ended by itself")
	}
	for _, d := range h.Dirs(parent + "/one") {
		if _, err := os.Stat(d); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is still there", d)
		}
	}
}

func BenchmarkRead(b *testing.B) {
	h, err := Detect()
	if err != nil {
		b.Skip(err)
	}
	parent := "foresail-bench-cgroup-" + strconv.Itoa(os.Getpid())
	if err := h.Prepare(parent); err != nil {
		b.Skip(err)
	}
	b.Cleanup(func() { _ = Destroy(h.Dirs(parent), removeLimit) })
	g, err := h.Make(parent + "/one")
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := g.Read(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "reads/s")
}
