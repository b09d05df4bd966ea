package partition

import (
	"errors"
	"fmt"
	"math/bits"
	"os"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

var allowAll = Allow("test", Cache, Network, Memory)

func open(t testing.TB, dir string) *Keeper {
	t.Helper()
	k, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = k.Close() })
	return k
}

func apply(t testing.TB, k *Keeper, s Share) func() error {
	t.Helper()
	undo, err := k.Apply(allowAll, s)
	if err != nil {
		t.Fatal(err)
	}
	return undo
}

// A culprit gets four ways to itself, and a neighbour that streams through memory is held to two of those that are left.
func TestWaysOfTheCacheAreGivenAndTakenBack(t *testing.T) {
	for _, code := range []bool{false, true} {
		t.Run(fmt.Sprintf("code and data apart %t", code), func(t *testing.T) {
			fake := newKernel()
			fake.code = code
			fake.group("", fake.all)
			fake.group("vendor", 0xffff0)
			for _, tid := range fake.processes[103] {
				fake.tasks[tid] = "vendor"
			}
			before := fake.picture()
			root := fake.mount(t)
			k := open(t, t.TempDir())
			culprit := CacheShare{Root: root, Name: "culprit", Ways: 4, Alone: true, Processes: []int{100, 103 - 2}}
			streamer := CacheShare{Root: root, Name: "streamer", Ways: 2, Processes: []int{103}}
			first, second := apply(t, k, culprit), apply(t, k, streamer)
			r := fake.resources()[0]
			for group, want := range map[string]uint64{"foresail-culprit": 0xf, "foresail-streamer": 0x30, "": 0xffff0, "vendor": 0xffff0} {
				if got := fake.ways[group][r][1]; got != want {
					t.Errorf("%s has ways %x, want %x", groupName(group), got, want)
				}
			}
			if fake.tasks[1002] != "foresail-culprit" || fake.tasks[1012] != "foresail-culprit" || fake.tasks[1030] != "foresail-streamer" || fake.tasks[1020] != "" {
				t.Errorf("threads are in %v", fake.tasks)
			}
			// A process that the streamer has started since is in its group, and goes back with it.
			fake.start(200, "foresail-streamer", 1)

			if err := first(); err != nil { // not in the order in which they were made
				t.Fatal(err)
			}
			if got := fake.ways[""][r][0]; got != fake.all {
				t.Errorf("the default group has ways %x after the undo", got)
			}
			if got := fake.ways["foresail-streamer"][r][0]; got != 0x3 {
				t.Errorf("the streamer has ways %x", got)
			}
			for range 2 { // the second does nothing
				if err := errors.Join(second(), first()); err != nil {
					t.Fatal(err)
				}
			}
			if fake.tasks[2000] != "vendor" {
				t.Errorf("what the streamer started is in %q", fake.tasks[2000])
			}
			delete(fake.tasks, 2000)
			if after := fake.picture(); after != before {
				t.Errorf("before:\n%s\nafter:\n%s", before, after)
			}
			if left := k.Shares(); len(left) != 0 {
				t.Errorf("left: %v", left)
			}
		})
	}
}

func TestTheSameShareAgainChangesNothing(t *testing.T) {
	fake := newKernel()
	k := open(t, t.TempDir())
	s := CacheShare{Root: fake.mount(t), Name: "a", Ways: 4, Alone: true, Processes: []int{100}}
	apply(t, k, s)
	before := fake.picture()
	fake.refuse = func(_ int, what string) error {
		if strings.Contains(what, "schemata") {
			t.Errorf("changed again: %s", what)
		}
		return nil
	}
	apply(t, k, s)
	if after := fake.picture(); after != before || len(k.Shares()) != 1 {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
}

func TestAShareThatIsChangedLetsGoOfWhoIsNoLongerOfIt(t *testing.T) {
	fake := newKernel()
	before := fake.picture()
	k := open(t, t.TempDir())
	s := CacheShare{Root: fake.mount(t), Name: "a", Ways: 4, Processes: []int{100, 101}}
	apply(t, k, s)
	s.Ways, s.Processes = 6, []int{101, 102}
	undo := apply(t, k, s)
	if fake.tasks[1001] != "" || fake.tasks[1011] != "foresail-a" || fake.tasks[1021] != "foresail-a" || fake.ways["foresail-a"]["L3"][0] != 0x3f {
		t.Errorf("it is\n%s", fake.picture())
	}
	if err := undo(); err != nil || fake.picture() != before {
		t.Errorf("%v\n%s", err, fake.picture())
	}
}

// Whatever call the kernel refuses, everything is as it was before, or as soon as it refuses no longer an undo makes it so.
func TestARefusedCallLeavesNothingBehind(t *testing.T) {
	for n := 1; ; n++ {
		fake := newKernel()
		fake.group("vendor", 0xff)
		before := fake.picture()
		k := open(t, t.TempDir())
		fake.refuse = func(call int, what string) error {
			if call == n {
				return errRefused
			}
			return nil
		}
		_, err := k.Apply(allowAll, CacheShare{Root: fake.mount(t), Name: "a", Ways: 4, Alone: true, Processes: []int{100}})
		if err == nil {
			if n < 6 {
				t.Errorf("only %d calls change something", n-1)
			}
			return
		}
		if !errors.Is(err, errRefused) || !strings.Contains(err.Error(), "4 ways alone of the last-level caches for a") {
			t.Errorf("call %d: %v", n, err)
		}
		if after := fake.picture(); after != before || len(k.Shares()) != 0 {
			t.Errorf("call %d: before:\n%s\nafter:\n%s", n, before, after)
		}
	}
}

// A refused second share takes nothing from the first.
func TestARefusedCallLeavesEarlierSharesAlone(t *testing.T) {
	fake := newKernel()
	root := fake.mount(t)
	before := fake.picture()
	k := open(t, t.TempDir())
	first := apply(t, k, CacheShare{Root: root, Name: "a", Ways: 4, Alone: true, Processes: []int{100}})
	with := fake.picture()
	for n := 1; n < 6; n++ {
		calls := fake.calls + n
		fake.refuse = func(call int, _ string) error {
			if call == calls {
				return errRefused
			}
			return nil
		}
		if _, err := k.Apply(allowAll, CacheShare{Root: root, Name: "b", Ways: 3, Alone: true, Processes: []int{101}}); !errors.Is(err, errRefused) {
			t.Fatal(err)
		}
		if after := fake.picture(); after != with {
			t.Errorf("call %d: with a:\n%s\nafter:\n%s", n, with, after)
		}
	}
	if err := first(); err != nil || fake.picture() != before {
		t.Errorf("%v\n%s", err, fake.picture())
	}
}

func TestCacheSharesThatCannotBe(t *testing.T) {
	cases := []struct {
		name, want string
		share      CacheShare
		kernel     func(*kernel)
	}{
		{"more ways than there are", "of 20 ways others have 0 alone", CacheShare{Ways: 21}, nil},
		{"all ways alone", "the default group would keep ways 0", CacheShare{Ways: 20, Alone: true}, nil},
		{"fewer than the cache gives", "gives no group fewer than 2", CacheShare{Ways: 1}, func(k *kernel) { k.fewest = 2 }},
		{"somebody who has only the low ways", "group vendor would keep ways 0 of 3", CacheShare{Ways: 2, Alone: true}, func(k *kernel) { k.group("vendor", 3) }},
		{"somebody who is alone by mode", "of mode exclusive", CacheShare{Ways: 2}, func(k *kernel) { k.group("vendor", 0xff); k.modes["vendor"] = "exclusive" }},
		{"no more groups", "no more groups (1 in all)", CacheShare{Ways: 2}, func(k *kernel) { k.most = 1 }},
		{"processes that are gone", "none of the processes [999]", CacheShare{Ways: 2, Processes: []int{999}}, nil},
		{"processes of two groups", "are in several groups", CacheShare{Ways: 2, Processes: []int{100, 300}}, func(k *kernel) { k.group("vendor", 0xff); k.start(300, "vendor", 1) }},
		{"a group of the name that nobody knows of", "of which no record tells", CacheShare{Ways: 2}, func(k *kernel) { k.group("foresail-a", 0xff) }},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			fake := newKernel()
			if c.kernel != nil {
				c.kernel(fake)
			}
			before := fake.picture()
			c.share.Root, c.share.Name = fake.mount(t), "a"
			if c.share.Processes == nil {
				c.share.Processes = []int{100}
			}
			k := open(t, t.TempDir())
			if _, err := k.Apply(allowAll, c.share); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("want an error with %q, got %v", c.want, err)
			}
			if fake.picture() != before || len(k.Shares()) != 0 {
				t.Errorf("it has changed to\n%s", fake.picture())
			}
		})
	}
}

func TestWhatSomebodyElseHasChangedIsLeft(t *testing.T) {
	fake := newKernel()
	fake.group("vendor", fake.all)
	k := open(t, t.TempDir())
	undo := apply(t, k, CacheShare{Root: fake.mount(t), Name: "a", Ways: 4, Alone: true, Processes: []int{100}})
	fake.ways["vendor"]["L3"][0] = 0xff000
	err := undo()
	if !errors.Is(err, ErrChanged) || !strings.Contains(err.Error(), "group vendor") {
		t.Error(err)
	}
	if fake.ways["vendor"]["L3"][0] != 0xff000 || fake.ways[""]["L3"][0] != fake.all || len(k.Shares()) != 0 {
		t.Errorf("it is\n%s", fake.picture())
	}
}

// inMemory is a folder where syncing takes no time, if there is one.
func inMemory(t *testing.T) string {
	dir, err := os.MkdirTemp("/dev/shm", "foresail-undo-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// A kernel that is used at random, with some calls refused and crashes in between, is as it was in the end.
func TestAnythingThatWasDoneIsUndone(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		fake := newKernel()
		fake.fewest = rapid.IntRange(1, 2).Draw(rt, "fewest")
		fake.group("vendor", run(rapid.IntRange(0, 9).Draw(rt, "first"), rapid.IntRange(3, 10).Draw(rt, "n")))
		for _, tid := range fake.processes[105] {
			fake.tasks[tid] = "vendor"
		}
		before := fake.picture()
		root, dir := fake.mount(t), inMemory(t)
		k, err := Open(dir)
		if err != nil {
			rt.Fatal(err)
		}
		defer func() { _ = k.Close() }()
		wild := func() {
			fake.refuse = nil
			if n := rapid.IntRange(0, 12).Draw(rt, "refused call"); n > 0 {
				n += fake.calls
				fake.refuse = func(call int, _ string) error {
					if call == n {
						return errRefused
					}
					return nil
				}
			}
		}
		rt.Repeat(map[string]func(*rapid.T){
			"apply": func(rt *rapid.T) {
				wild()
				name := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(rt, "name")
				own := map[string]int{"a": 100, "b": 102, "c": 105}[name]
				processes := []int{own}
				if name != "c" && rapid.Bool().Draw(rt, "two") {
					processes = append(processes, own+1)
				}
				s := CacheShare{Root: root, Name: name, Ways: rapid.IntRange(1, 12).Draw(rt, "ways"), Alone: rapid.Bool().Draw(rt, "alone"), Processes: processes}
				_, _ = k.Apply(allowAll, s)
			},
			"undo": func(rt *rapid.T) {
				wild()
				if shares := k.Shares(); len(shares) > 0 {
					_ = k.Undo(rapid.SampledFrom(shares).Draw(rt, "share"))
				}
			},
			"crash": func(rt *rapid.T) {
				_ = k.Close()
				fake.refuse = nil
				if k, err = Open(dir); err != nil {
					rt.Fatal(err)
				}
				if _, err := k.Recover(); err != nil {
					rt.Fatal(err)
				}
				if after := fake.picture(); after != before {
					rt.Fatalf("after a crash:\n%s\nit was:\n%s", after, before)
				}
			},
		})
		fake.refuse = nil
		if err := k.UndoAll(); err != nil {
			rt.Fatal(err)
		}
		if after := fake.picture(); after != before {
			rt.Fatalf("in the end:\n%s\nit was:\n%s", after, before)
		}
	})
}

// Whoever can be served is: each mask is one run within the cache, those alone are nobody else's, and others lose no more
// than that. Masks are compared way by way.
func TestDivideAgainstItsPromises(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		lowest, total := rapid.IntRange(0, 8).Draw(t, "lowest"), rapid.IntRange(2, 32).Draw(t, "total")
		w := ways{run(lowest, total), rapid.IntRange(1, 2).Draw(t, "fewest")}
		var requests []request
		for i := range rapid.IntRange(1, 4).Draw(t, "requests") {
			requests = append(requests, request{fmt.Sprint(i), rapid.IntRange(1, total).Draw(t, "ways"), rapid.Bool().Draw(t, "alone")})
		}
		others := map[string]uint64{"": w.all, "v": run(lowest+rapid.IntRange(0, total-2).Draw(t, "at"), 2)}
		given, left, err := divide(w, requests, others)
		if err != nil {
			alone, widest := 0, 0
			for _, r := range requests {
				if r.alone {
					alone += r.ways
				} else {
					widest = max(widest, r.ways)
				}
			}
			fewest := slices.MinFunc(requests, func(a, b request) int { return a.ways - b.ways }).ways
			v := bits.TrailingZeros64(others["v"]) - lowest // the other keeps both of its ways, or is refused
			if fewest >= w.fewest && alone+max(widest, w.fewest) <= total && alone <= v {
				t.Fatalf("refused: %v", err)
			}
			return
		}
		for way := range 64 {
			bit := uint64(1) << way
			holders, alone := 0, false
			for _, r := range requests {
				if given[r.name]&bit != 0 {
					holders++
					alone = alone || r.alone
				}
			}
			for name, mask := range others {
				if left[name]&bit != 0 {
					holders++
				}
				if (mask&bit != 0 && !alone) != (left[name]&bit != 0) {
					t.Fatalf("way %d of %q: had %x, has %x", way, name, mask, left[name])
				}
			}
			if alone && holders != 1 {
				t.Fatalf("way %d is alone to one, and %d have it", way, holders)
			}
		}
		for _, r := range requests {
			if m := given[r.name]; bits.OnesCount64(m) != r.ways || !contiguous(m) || m&^w.all != 0 {
				t.Fatalf("%v has %x", r, m)
			}
		}
		for name, m := range left {
			if !contiguous(m) || bits.OnesCount64(m) < w.fewest {
				t.Fatalf("%q is left %x", name, m)
			}
		}
	})
}

func TestThisMachineSaysWhyItCannotDivideItsCache(t *testing.T) {
	err := CacheShare{Name: "a", Ways: 1, Processes: []int{1}}.Available()
	var u *Unavailable
	if err != nil && (!errors.As(err, &u) || u.Kind != Cache || u.Reason == "") {
		t.Errorf("%v", err)
	}
	t.Logf("here: %v", err)
	err = CacheShare{Root: t.TempDir(), Name: "a", Ways: 1, Processes: []int{1}}.Available()
	if !errors.As(err, &u) || !strings.Contains(err.Error(), "no resctrl file system is mounted there") {
		t.Errorf("%v", err)
	}
}

func FuzzSchemata(f *testing.F) {
	f.Add("    L3:0=fffff;1=fffff\n    MB:0=100;1=100\n")
	f.Add("L3CODE:0=1\nL3DATA:0=00000001,ffffffff")
	f.Add("L3:0=1;0=2")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := parseSchemata(text)
		if err != nil {
			return
		}
		again, err := parseSchemata(s.String())
		if err != nil || !again.equal(s) {
			t.Errorf("%q is read as %v, and that as %v (%v)", text, s, again, err)
		}
	})
}
