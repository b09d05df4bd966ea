package cgroup

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// files writes a tree.
func files(t *testing.T, root string, tree map[string]string) {
	t.Helper()
	for name, text := range tree {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func open(t *testing.T, m Mounts, path string) *Group {
	t.Helper()
	g, err := m.OpenGroup(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.Close)
	return g
}

// v2Tree is a machine with version 2 alone, as current distributions have it.
func v2Tree(t *testing.T) (Mounts, string) {
	root := t.TempDir()
	files(t, root, map[string]string{
		"cgroup.controllers": "cpuset cpu io memory pids\n",
		"pod/cpu.stat":       "usage_usec 1500\nuser_usec 1000\nsystem_usec 500\nnr_periods 10\nnr_throttled 3\nthrottled_usec 270000\n",
		"pod/cpu.max":        "20000 100000\n",
		"pod/memory.current": "1000000\n",
		"pod/memory.stat":    "anon 5\nfile 7\ninactive_anon 1\nactive_anon 2\ninactive_file 300000\nactive_file 4\n",
		"pod/io.stat":        "8:0 rbytes=100 wbytes=200 rios=1 wios=2 dbytes=0 dios=0\n253:0 rbytes=100 wbytes=200 rios=1 wios=2 dbytes=0 dios=0\n8:16 \n",
		"pod/cpu.pressure":   "some avg10=0.00 avg60=0.00 avg300=0.00 total=111\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=1\n",
		"pod/io.pressure":    "some avg10=0.00 avg60=0.00 avg300=0.00 total=222\n",
		"free/cpu.stat":      "usage_usec 7\n",
		"free/cpu.max":       "max 100000\n",
	})
	return ParseMounts("30 22 0:26 / " + root + " rw - cgroup2 cgroup rw\n"), root
}

func TestVersion2(t *testing.T) {
	m, root := v2Tree(t)
	buf := make([]byte, BufferSize)
	g := open(t, m, "/pod")
	s, err := g.CPU(buf, -1)
	if err != nil || s.CPU != 1500*time.Microsecond || s.Limited != 3 || s.Throttled != 270*time.Millisecond {
		t.Errorf("%+v, %v", s, err)
	}
	got := g.Slow(buf, Disks{"8:0": true}, true)
	want := Slow{Memory: 700000, Read: 100, Written: 200, IOWait: -1, CPUPressure: 111 * time.Microsecond, MemoryPressure: -1, IOPressure: 222 * time.Microsecond, Cores: 0.2}
	if got != want {
		t.Errorf("%+v, not %+v", got, want)
	}
	files(t, root, map[string]string{"pod/memory.current": "900000\n", "pod/memory.stat": "inactive_file 1\n"})
	if got := g.Slow(buf, nil, false); got.Memory != 600000 || got.Read != 200 { // what is idle as read last, and all devices
		t.Errorf("%+v", got)
	}
	free := open(t, m, "/free")
	if got := free.Slow(buf, nil, true); got.Cores != 0 || got.Memory != -1 || got.Read != -1 || got.CPUPressure != -1 {
		t.Errorf("%+v", got)
	}
	if n := testing.AllocsPerRun(10, func() { _, _ = g.CPU(buf, -1); g.Slow(buf, Disks{"8:0": true}, true) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
	if _, err := m.OpenGroup("/none"); err == nil {
		t.Error("a group that is not there is opened")
	}
}

func TestVersion1(t *testing.T) {
	root := t.TempDir()
	files(t, root, map[string]string{
		"acct/pod/cpuacct.usage":                            "1500\n",
		"cpu/pod/cpu.stat":                                  "nr_periods 10\nnr_throttled 3\nthrottled_time 270000000\n",
		"cpu/pod/cpu.cfs_quota_us":                          "50000\n",
		"cpu/pod/cpu.cfs_period_us":                         "100000\n",
		"mem/pod/memory.usage_in_bytes":                     "1000000\n",
		"mem/pod/memory.stat":                               "cache 1\ninactive_file 5\ntotal_inactive_file 300000\n",
		"blk/pod/blkio.throttle.io_service_bytes_recursive": "8:0 Read 100\n8:0 Write 200\n8:0 Sync 300\n8:0 Total 300\n7:0 Read 9\nTotal 309\n",
		"blk/pod/blkio.io_wait_time_recursive":              "8:0 Read 5\n8:0 Total 7000000\nTotal 7000000\n",
		"acct/free/cpuacct.usage":                           "7\n",
		"cpu/free/cpu.stat":                                 "nr_periods 0\nnr_throttled 0\nthrottled_time 0\n",
		"cpu/free/cpu.cfs_quota_us":                         "-1\n",
		"cpu/free/cpu.cfs_period_us":                        "100000\n",
	})
	var b strings.Builder
	for _, c := range [][2]string{{"acct", "cpuacct"}, {"cpu", "cpu"}, {"mem", "memory"}, {"blk", "blkio"}} {
		b.WriteString("30 22 0:26 / " + filepath.Join(root, c[0]) + " rw - cgroup cgroup rw," + c[1] + "\n")
	}
	m := ParseMounts(b.String())
	buf := make([]byte, BufferSize)
	g := open(t, m, "/pod")
	got := g.Slow(buf, Disks{"8:0": true}, true)
	want := Slow{Memory: 700000, Read: 100, Written: 200, IOWait: 7 * time.Millisecond, CPUPressure: -1, MemoryPressure: -1, IOPressure: -1, Cores: 0.5}
	if got != want {
		t.Errorf("%+v, not %+v", got, want)
	}
	s, err := g.CPU(buf, -1)
	if err != nil || s.CPU != 1500 || s.Limited != 3 || s.Throttled != 270*time.Millisecond {
		t.Errorf("%+v, %v", s, err)
	}
	files(t, root, map[string]string{"cpu/pod/cpu.stat": "nr_throttled 4\nthrottled_time 360000000\n", "acct/pod/cpuacct.usage": "1600\n"})
	if s, err = g.CPU(buf, 1600); err != nil || s.CPU != 1600 || s.Limited != 3 {
		t.Errorf("calm: %+v, %v", s, err)
	}
	if s, err = g.CPU(buf, -1); err != nil || s.Limited != 4 || s.Throttled != 360*time.Millisecond {
		t.Errorf("not calm: %+v, %v", s, err)
	}
	free := open(t, m, "/free")
	if got := free.Slow(buf, nil, true); got.Cores != 0 {
		t.Errorf("%+v", got)
	}
	files(t, root, map[string]string{"cpu/free/cpu.stat": "nr_throttled 9\n"}) // without a quota it is not even read
	if s, err := free.CPU(buf, -1); err != nil || s.CPU != 7 || s.Limited != 0 {
		t.Errorf("%+v, %v", s, err)
	}
}

// Hybrid machines have both mounted: each controller is read where it is.
func TestWhereControllersAre(t *testing.T) {
	root := t.TempDir()
	files(t, root, map[string]string{"unified/cgroup.controllers": "\n", "full/cgroup.controllers": "cpu memory\n"})
	v1 := "30 22 0:26 / /v1/cpu rw - cgroup cgroup rw,cpu,cpuacct\n31 22 0:26 / /v1/a\\040b rw - cgroup cgroup rw,memory\n"
	m := ParseMounts(v1 + "32 22 0:26 / " + root + "/unified rw - cgroup2 cgroup rw\nnonsense\n")
	for c, want := range map[string]string{"cpu": "/v1/cpu", "memory": "/v1/a b", "io": ""} {
		if at, version := m.Where(c); at != want || (version == 1) != (want != "") {
			t.Errorf("%s: %s, version %d", c, at, version)
		}
	}
	m = ParseMounts("32 22 0:26 / " + root + "/full rw - cgroup2 cgroup rw\n")
	if at, version := m.Where("memory"); at != root+"/full" || version != 2 {
		t.Errorf("%s, version %d", at, version)
	}
}

// Directories that come and go are noticed, and only then is there a reason to walk.
func TestTreeNoticesChanges(t *testing.T) {
	root := t.TempDir()
	mkdir := func(p string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Join(root, p), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	mkdir("a/b/c")
	mkdir("d")
	tree := NewTree(root)
	defer tree.Close()
	walk := func() (all []string) {
		t.Helper()
		if err := tree.Walk(func(p string) bool { all = append(all, p); return p != "/a/b" }); err != nil {
			t.Fatal(err)
		}
		return all
	}
	if !tree.Changed() {
		t.Error("nothing to walk at the start")
	}
	if got := walk(); !slices.Equal(got, []string{"/a", "/a/b", "/d"}) { // and not below what is a container
		t.Errorf("%q", got)
	}
	if tree.Changed() {
		t.Error("changed, though nothing was")
	}
	mkdir("d/e")
	if !tree.Changed() {
		t.Error("a new directory was not noticed")
	}
	walk()
	mkdir("d/e/f") // below one that is new itself
	if !tree.Changed() {
		t.Error("a directory in a new one was not noticed")
	}
	walk()
	if err := os.RemoveAll(filepath.Join(root, "d")); err != nil {
		t.Fatal(err)
	}
	if !tree.Changed() || len(walk()) != 2 {
		t.Error("a directory that went was not noticed")
	}
	if len(tree.dirs) != 2 || len(tree.ids) != 2 {
		t.Errorf("%v and %v are known still", tree.dirs, tree.ids)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("30 22 0:26 / /x rw - cgroup2 cgroup rw\n", []byte("8:0 rbytes=1 wbytes=2\n8:0 Read 5"))
	f.Fuzz(func(t *testing.T, mounts string, text []byte) {
		if strings.Contains(mounts, "/dev") || strings.Contains(mounts, "/proc") {
			return
		}
		ParseMounts(mounts)
		if a, b := ioStat(text, nil); a == -1 || b == -1 {
			t.Fatal("less than nothing")
		}
		blkioBytes(text, Disks{"8:0": true})
		Stalled(text)
		Value(text, "Total")
		if n, ok := Int(text); ok && n < 0 {
			t.Fatal(n)
		}
	})
}

// On a hybrid machine, whose controllers are of version 1, version 2 keeps the pressure of groups that it has as well.
func TestPressureOfAHybridMachine(t *testing.T) {
	root := t.TempDir()
	files(t, root, map[string]string{
		"cpu/pod/cpu.stat":              "nr_periods 1\nnr_throttled 0\nthrottled_time 0\n",
		"cpuacct/pod/cpuacct.usage":     "5\n",
		"cpu/other/cpu.stat":            "nr_periods 1\nnr_throttled 0\nthrottled_time 0\n",
		"cpuacct/other/cpuacct.usage":   "5\n",
		"unified/cpu.pressure":          "some avg10=0.00 avg60=0.00 avg300=0.00 total=1\n",
		"unified/pod/cpu.pressure":      "some avg10=0.00 avg60=0.00 avg300=0.00 total=111\n",
		"unified/pod/memory.pressure":   "some avg10=0.00 avg60=0.00 avg300=0.00 total=0\n",
		"unified/pod/io.pressure":       "some avg10=0.00 avg60=0.00 avg300=0.00 total=222\n",
		"unified/cgroup.controllers":    "hugetlb\n",
		"nopressure/cgroup.controllers": "hugetlb\n",
	})
	v1 := "30 22 0:26 / " + root + "/cpu rw - cgroup cgroup rw,cpu\n31 22 0:27 / " + root + "/cpuacct rw - cgroup cgroup rw,cpuacct\n"
	m := ParseMounts(v1 + "32 22 0:28 / " + root + "/unified rw - cgroup2 cgroup2 rw\n")
	if m.Pressure() != root+"/unified" {
		t.Errorf("pressure is at %q", m.Pressure())
	}
	buf := make([]byte, BufferSize)
	if s := open(t, m, "/pod").Slow(buf, nil, true); s.CPUPressure != 111*time.Microsecond || s.IOPressure != 222*time.Microsecond || s.MemoryPressure != 0 {
		t.Errorf("%+v", s)
	}
	if s := open(t, m, "/other").Slow(buf, nil, true); s.CPUPressure != -1 || s.IOPressure != -1 {
		t.Errorf("a group that version 2 hasn't: %+v", s)
	}
	if m := ParseMounts(v1 + "32 22 0:28 / " + root + "/nopressure rw - cgroup2 cgroup2 rw\n"); m.Pressure() != "" {
		t.Errorf("pressure is at %q", m.Pressure())
	}
}
