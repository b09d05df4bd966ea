package agent

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"foresail.dev/telemetry/agent/identity"
	"foresail.dev/telemetry/agent/wire"
)

// resting is a machine of files in which all containers are below /apps, whose group has used what they have and a
// little of its own.
func resting(t *testing.T, n int) (write func(used []int, own int), s *looker) {
	root, _ := tree(t)
	var files []*os.File
	for i := range n + 1 {
		name := fmt.Sprintf("apps/web-%d", i)
		if i == n {
			name = "apps"
		} else {
			putGroup(t, root, name, 0)
		}
		f, err := os.Create(filepath.Join(root, "cg", name, "cpu.stat"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		files = append(files, f)
	}
	write = func(used []int, own int) { // in place: many are written
		t.Helper()
		sum := own
		for i, u := range append(slices.Clone(used), 0) {
			if i == n {
				u = sum
			}
			if _, err := fmt.Fprintf(io.NewOffsetWriter(files[i], 0), "usage_usec %012d\n", u); err != nil {
				t.Fatal(err)
			}
			sum += u
		}
	}
	write(make([]int, n), 1)
	rules, err := identity.Compile([]identity.Rule{{Cgroup: `^/apps/((.+)-[0-9]+)$`, Service: "$2", Replica: "$1"}})
	if err != nil {
		t.Fatal(err)
	}
	sampler, err := NewSampler(Config{Rules: rules, Proc: root + "/proc", Sys: root + "/sys"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sampler.Close)
	s = &looker{Sampler: sampler}
	for range 2 {
		s.look(true)
	}
	return write, s
}

// Whatever containers do: what is told of them is never more than they did, what is not told yet is less than the bound
// of all together, and at the end of a second nothing is left. Beats in which nobody works read nothing but the group
// above.
func TestRestingContainersAgainstAnOracle(t *testing.T) {
	const n = 8
	write, s := resting(t, n)
	used, told := make([]int, n), make([]time.Duration, n)
	own := 1
	begin := func() { // all containers are as they are
		write(used, own)
		b, _ := s.look(true)
		for i := range b.Containers {
			told[b.Containers[i].Index] = time.Duration(used[s.place(i)]) * time.Microsecond
		}
	}
	rapid.Check(t, func(r *rapid.T) {
		begin()
		for k := range rapid.IntRange(1, 8).Draw(r, "beats") {
			for range rapid.IntRange(0, 4).Draw(r, "who work") {
				used[rapid.IntRange(0, n-1).Draw(r, "who")] += rapid.SampledFrom([]int{1, 200, 999, 1000, 3000, 9000, 10_001, 90_000}).Draw(r, "µs")
			}
			write(used, own)
			whole := k%4 == 3
			b, _ := s.look(whole)
			if len(b.Containers) != n {
				r.Fatalf("%d containers", len(b.Containers))
			}
			late := time.Duration(0)
			for _, c := range b.Containers {
				i := s.place(int(c.Index))
				told[c.Index] += time.Duration(c.Value[wire.CPU])
				d := time.Duration(used[i])*time.Microsecond - told[c.Index]
				if d < 0 || whole && d > 0 {
					r.Fatalf("beat %d: %v of container %d are not told", k, d, i)
				}
				late += d
			}
			if late > untold {
				r.Fatalf("beat %d: %v are not told", k, late)
			}
		}
	})
}

// place is which of the test's groups a container is.
func (l *looker) place(index int) (i int) {
	fmt.Sscanf(l.containers[index].path, "/apps/web-%d", &i)
	return i
}

// A container that rests is woken in the very beat in which it uses more than the bound; until then nothing of it is read,
// nor of others.
func TestRestingContainersWake(t *testing.T) {
	used := make([]int, 10)
	write, s := resting(t, len(used))
	reads := func() (n int) {
		for _, c := range s.containers {
			if !c.skipped {
				n++
			}
		}
		return n
	}
	s.look(false)
	if n := reads(); n != 0 {
		t.Errorf("%d of 10 containers were read that do nothing", n)
	}
	used[3] += 9000
	write(used, 1)
	s.look(false)
	if n := reads(); n != 0 {
		t.Errorf("9 ms of all: %d containers were read", n)
	}
	used[4] += 20_000
	write(used, 1)
	b, _ := s.look(false)
	for _, c := range b.Containers {
		if i := s.place(int(c.Index)); i == 4 && c.Value[wire.CPU] != 20e6 {
			t.Errorf("it used 20 ms: %d ns are told", c.Value[wire.CPU])
		} else if i > 4 && c.Value[wire.CPU] != 0 {
			t.Errorf("%d ns of container %d, which did nothing", c.Value[wire.CPU], i)
		}
	}
	s.look(false)
	if n := reads(); n < 1 || n > 2 {
		t.Errorf("one or two worked in the last beat: %d were read", n)
	}
	// What others use below the same group wakes all, once.
	write(used, 50_000)
	s.look(false)
	if n := reads(); n != 10 {
		t.Errorf("50 ms of nobody known: %d were read", n)
	}
	s.look(false)
	if n := reads(); n != 0 {
		t.Errorf("and in the next beat %d", n)
	}
}

// Those that rest are read in turn, so that who used what is not told is found after a second at the latest, and
// nobody is left out.
func TestRestingContainersInTurn(t *testing.T) {
	used := make([]int, 40)
	write, s := resting(t, len(used))
	reads := make([]int, len(used))
	for range 40 {
		for i := range used {
			used[i] += 100 // 4 ms of all in each beat
		}
		write(used, 1)
		s.look(false)
		for i, c := range s.containers {
			if !c.skipped {
				reads[i]++
			}
		}
	}
	if least, most := slices.Min(reads), slices.Max(reads); least < 5 || most > 10 || most-least > 1 {
		t.Errorf("in 40 beats, containers were read %d to %d times", least, most)
	}
}

// A quota that is used up by less than what goes unnoticed keeps a container from resting.
func TestWhoHasASmallQuotaDoesNotRest(t *testing.T) {
	_, s := resting(t, 8)
	c := s.containers[0]
	for cores, want := range map[float64]bool{0: true, 0.05: false, 0.19: false, 0.2: true, 4: true} {
		c.cores = cores
		if got := c.rests(); got != want {
			t.Errorf("a quota of %v cores: rests: %v", cores, got)
		}
	}
}

func TestAbove(t *testing.T) {
	for _, c := range []struct {
		want  string
		paths []string
	}{
		{"/apps", []string{"/apps/a", "/apps/b"}},
		{"/k", []string{"/k/pod1/a", "/k/pod2/a", "/k/pod2/b"}},
		{"/k/pod1", []string{"/k/pod1/a"}},
		{"/", []string{"/apps/a", "/appsx/b"}},
		{"/", []string{"/a", "/b/c"}},
		{"/a", []string{"/a/b/c", "/a/b", "/a/bc/d"}},
	} {
		var all []*container
		for _, p := range c.paths {
			all = append(all, &container{path: p})
		}
		if got := above(all); got != c.want {
			t.Errorf("above %v: %s, not %s", c.paths, got, c.want)
		}
	}
}
