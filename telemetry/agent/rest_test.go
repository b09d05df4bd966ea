package agent

import (
	"fmt"
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
	for i := range n {
		putGroup(t, root, fmt.Sprintf("apps/web-%d", i), 0)
	}
	written := make([]int, n)
	write = func(used []int, own int) {
		sum := own
		for i, u := range used {
			if sum += u; u != written[i] {
				put(t, root, map[string]string{fmt.Sprintf("cg/apps/web-%d/cpu.stat", i): group(u)["cpu.stat"]})
				written[i] = u
			}
		}
		put(t, root, map[string]string{"cg/apps/cpu.stat": fmt.Sprintf("usage_usec %d\n", sum)})
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
	used[4] += 2000
	write(used, 1)
	b, _ := s.look(false)
	for i, want := range map[int]int64{3: 9e6, 4: 2e6, 5: 0} {
		for _, c := range b.Containers {
			if s.place(int(c.Index)) == i && c.Value[wire.CPU] != want {
				t.Errorf("11 ms of all: %d ns of container %d", c.Value[wire.CPU], i)
			}
		}
	}
	s.look(false)
	if n := reads(); n != 2 {
		t.Errorf("two worked in the last beat: %d were read", n)
	}
}

// A quota that is used up by less than what goes unnoticed keeps a container from resting.
func TestWhoHasASmallQuotaDoesNotRest(t *testing.T) {
	for cores, want := range map[float64]bool{0: true, 0.05: false, 0.19: false, 0.2: true, 4: true} {
		write, s := resting(t, 8)
		write(make([]int, 8), 1)
		c := s.containers[0]
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
