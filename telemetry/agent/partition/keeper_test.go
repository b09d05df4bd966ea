package partition

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// group2 is a control group of version 2 as a folder of files.
func group2(t testing.TB, limit string, current, idle int) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"memory.max":     limit + "\n",
		"memory.current": fmt.Sprintf("%d\n", current),
		"memory.stat":    fmt.Sprintf("anon 1\ninactive_file %d\n", idle),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func limitOf(t testing.TB, group string) string {
	t.Helper()
	text, err := readText(filepath.Join(group, "memory.max"))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func ExampleKeeper() {
	dir, _ := os.MkdirTemp("", "undo")
	defer os.RemoveAll(dir)
	keeper, err := Open(dir)
	if err != nil {
		panic(err)
	}
	defer keeper.Close()
	if _, err := keeper.Recover(); err != nil { // of a run that died
		panic(err)
	}
	share := MemoryLimit{Group: "/sys/fs/cgroup/memory/no/such/group", Bytes: 1 << 30}
	_, err = keeper.Apply(Permission{}, share)
	fmt.Println(err)
	_, err = keeper.Apply(Allow("agent.yaml: partitions.allow", Memory), share)
	fmt.Println(err)
	// Output:
	// limit of 1073741824 bytes of memory for /sys/fs/cgroup/memory/no/such/group: not allowed: nobody has permitted partitions of kind memory on this node; whoever owns it may
	// memory partition of /sys/fs/cgroup/memory/no/such/group: unavailable: there is no such group
}

func TestNothingIsChangedWithoutPermission(t *testing.T) {
	fake := newKernel()
	root := fake.mount(t)
	fake.refuse = func(_ int, what string) error { t.Errorf("called: %s", what); return nil }
	group := group2(t, "max", 1, 0)
	dir := t.TempDir()
	k := open(t, dir)
	for _, c := range []struct {
		share Share
		p     Permission
	}{
		{CacheShare{Root: root, Name: "a", Ways: 2, Processes: []int{100}}, Allow("x", Network, Memory)},
		{NetworkShare{Device: "lo", Capacity: 1e9, Name: "a", Rate: 1e6, Flows: []Flow{{SourcePort: 1}}}, Allow("x", Cache, Memory)},
		{MemoryLimit{Group: group, Bytes: 1 << 30}, Allow("x", Cache, Network)},
		{MemoryLimit{Group: group, Bytes: 1 << 30}, Permission{}},
		{MemoryLimit{Group: group, Bytes: 1 << 30}, Allow("x", "everything", "")},
	} {
		if _, err := k.Apply(c.p, c.share); !errors.Is(err, ErrForbidden) {
			t.Errorf("%s: %v", c.share, err)
		}
	}
	if files, err := k.files(); err != nil || len(files) != 0 || limitOf(t, group) != "max" {
		t.Errorf("files %v %v, limit %s", files, err, limitOf(t, group))
	}
}

func TestEveryWrongFieldIsTold(t *testing.T) {
	k := open(t, t.TempDir())
	for _, c := range []struct {
		share Share
		want  []string
	}{
		{CacheShare{Name: "../a", Processes: []int{0}}, []string{"name \"../a\"", "ways 0", "0 is no process"}},
		{CacheShare{Ways: 65}, []string{"name \"\"", "ways 65", "processes: must name"}},
		{MemoryLimit{Group: "x", Bytes: 1}, []string{"group \"x\"", "bytes 1"}},
		{NetworkShare{Name: "a b", Namespace: "x", Capacity: 1, Rate: 0, Most: -1, Flows: []Flow{{}, {Source: netip.MustParsePrefix("10.0.0.0/8"), Destination: netip.MustParsePrefix("fe80::/64")}, {Source: netip.MustParsePrefix("::ffff:1.2.3.4/128")}}},
			[]string{"name \"a b\"", "device \"\"", "namespace \"x\"", "capacity 1", "rate 0", "most -1", "flows[0]: must have", "flows[1]: source and destination", "flows[2]: ::ffff:1.2.3.4/128: write it as an IPv4 prefix"}},
		{NetworkShare{Name: "a", Device: "lo", Capacity: math.MaxInt64, Rate: 1e6}, []string{"capacity", "flows: must be 1 to 100"}},
	} {
		_, err := k.Apply(allowAll, c.share)
		for _, want := range c.want {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%+v: want an error with %q, got %v", c.share, want, err)
			}
		}
	}
}

// An agent that dies at any instant, between writing its record and the last call to the kernel, finds everything to
// take back when it starts again.
func TestACrashAtAnyInstantIsRecovered(t *testing.T) {
	crashes := 0
	for n := 1; ; n++ {
		fake := newKernel()
		fake.group("vendor", 0xff)
		before := fake.picture()
		root, dir := fake.mount(t), t.TempDir()
		k, err := Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		died := func() (died bool) {
			defer func() { died = recover() != nil }()
			fake.refuse = func(call int, _ string) error {
				if call == n {
					panic("killed")
				}
				return nil
			}
			apply(t, k, CacheShare{Root: root, Name: "a", Ways: 4, Alone: true, Processes: []int{100}})
			undo := apply(t, k, CacheShare{Root: root, Name: "b", Ways: 2, Processes: []int{101}})
			return undo() != nil
		}()
		_ = k.Close()
		fake.refuse = nil
		if !died {
			break
		}
		crashes++
		k = open(t, dir)
		if _, err := k.Apply(allowAll, CacheShare{Root: root, Name: "c", Ways: 4, Processes: []int{102}}); err == nil || !strings.Contains(err.Error(), "recover them first") {
			t.Errorf("before anything is recovered: %v", err)
		}
		undone, err := k.Recover()
		if err != nil || len(undone) == 0 || fake.picture() != before {
			t.Errorf("call %d: %v, undone %v, it was\n%sand is\n%s", n, err, undone, before, fake.picture())
		}
		if again, err := k.Recover(); err != nil || len(again) != 0 {
			t.Errorf("once more: %v %v", again, err)
		}
		apply(t, k, CacheShare{Root: root, Name: "c", Ways: 4, Processes: []int{102}})
	}
	if crashes < 10 {
		t.Errorf("only %d crashes", crashes)
	}
}

func TestTheRecordIsThereBeforeTheChange(t *testing.T) {
	group := group2(t, "max", 1, 0)
	k := open(t, t.TempDir())
	full := errors.New("no space left on device")
	k.save = func(string, record) error { return full }
	if _, err := k.Apply(allowAll, MemoryLimit{Group: group, Bytes: 1 << 30}); !errors.Is(err, full) || !strings.Contains(err.Error(), "nothing was changed") {
		t.Error(err)
	}
	if limitOf(t, group) != "max" || len(k.Shares()) != 0 {
		t.Errorf("the limit is %s", limitOf(t, group))
	}
	k.save = func(path string, r record) error {
		if limitOf(t, group) != "max" {
			t.Error("changed before the record was written")
		}
		return save(path, r)
	}
	apply(t, k, MemoryLimit{Group: group, Bytes: 1 << 30})
	if limitOf(t, group) != "1073741824" {
		t.Errorf("the limit is %s", limitOf(t, group))
	}
}

func TestRecordsThatCannotBeReadStayAndSaySo(t *testing.T) {
	dir, group := t.TempDir(), group2(t, "max", 1, 0)
	k := open(t, dir)
	apply(t, k, MemoryLimit{Group: group, Bytes: 1 << 30})
	_ = k.Close()
	torn := filepath.Join(dir, "0.undo.json")
	if err := os.WriteFile(torn, []byte(`{"schema":`), 0o600); err != nil {
		t.Fatal(err)
	}
	k = open(t, dir)
	undone, err := k.Recover()
	if len(undone) != 1 || limitOf(t, group) != "max" {
		t.Errorf("undone %v, the limit is %s", undone, limitOf(t, group))
	}
	if err == nil || !strings.Contains(err.Error(), torn) {
		t.Error(err)
	}
	if _, err := k.Apply(allowAll, MemoryLimit{Group: group, Bytes: 1 << 30}); err == nil {
		t.Error("applied beside a record that nobody has understood")
	}
	if err := os.Remove(torn); err != nil {
		t.Fatal(err)
	}
	if _, err := k.Recover(); err != nil {
		t.Error(err)
	}
	apply(t, k, MemoryLimit{Group: group, Bytes: 1 << 30})
}

func TestARecordOfBeforeTheMachineStartedMeansNothing(t *testing.T) {
	dir, group := t.TempDir(), group2(t, "max", 1, 0)
	k := open(t, dir)
	k.boot = "another"
	apply(t, k, MemoryLimit{Group: group, Bytes: 1 << 30})
	_ = k.Close()
	k = open(t, dir)
	undone, err := k.Recover()
	if err != nil || len(undone) != 0 || limitOf(t, group) != "1073741824" {
		t.Errorf("%v %v %s", undone, err, limitOf(t, group))
	}
	if files, _ := k.files(); len(files) != 0 {
		t.Errorf("left: %v", files)
	}
}

func TestOnlyOneKeeperHasAFolder(t *testing.T) {
	dir := t.TempDir()
	open(t, dir)
	if _, err := Open(dir); err == nil || !strings.Contains(err.Error(), "another process keeps them") {
		t.Error(err)
	}
}

// What a record says decides what is written to control files, so a damaged one must be refused or be harmless.
func FuzzRecord(f *testing.F) {
	f.Add([]byte(`{"schema":"foresail.dev/partition-undo/v1","boot":"b","at":"2026-11-28T07:00:00Z","memory":{"inode":1,"was":"max","made":[4096],"limit":{"group":"/x","bytes":4096}}}`))
	f.Add([]byte(`{"schema":"foresail.dev/partition-undo/v1","boot":"b","at":"2026-11-28T07:00:00Z","cache":{"root":"/x","was":{"":{"L3":{"0":15}}},"origin":{"a":""},"shares":[{"root":"/x","name":"a","ways":2,"processes":[1]}]}}`))
	f.Add([]byte(`{"schema":"foresail.dev/partition-undo/v1","boot":"b","at":"2026-11-28T07:00:00Z","network":{"inode":1,"index":2,"was":"noqueue","shares":[{"device":"x","capacity":100000,"name":"a","rate":1000,"flows":[{"source":"10.0.0.0/8"}],"number":0}]}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := parse(b)
		if err != nil {
			return
		}
		st := r.state()
		for _, s := range st.shares() {
			if s.check() != nil || s.place() == "" {
				t.Errorf("%s is let through", s)
			}
			if c, ok := s.(CacheShare); ok && strings.Contains(c.group(), "/") {
				t.Errorf("group %q", c.group())
			}
		}
	})
}
