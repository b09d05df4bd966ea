package neighbours

import (
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"foresail.dev/model/diagnose/resource"
	"foresail.dev/telemetry/agent/probe"
	"foresail.dev/telemetry/agent/probe/load"
)

func TestTheExample(t *testing.T) {
	f, err := Read("../../../examples/neighbours.yaml")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[Kind]bool{}
	for _, c := range f.Cases {
		seen[c.Neighbour] = true
	}
	if len(seen) != len(kinds) || f.Runs < 10 || f.Users == nil {
		t.Errorf("%+v", f)
	}
}

func TestEveryWrongFieldIsTold(t *testing.T) {
	path := filepath.Join(t.TempDir(), "n.yaml")
	text := "application: hotel-reservation\nload: none.yaml\nruns: 1\nwell: 3s\nill: 2s\ncases:\n- {neighbour: gpu, beside: geo}\n- {neighbour: cpu, beside: nobody}\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Read(path)
	for _, want := range []string{"none.yaml", `cases[0].neighbour: "gpu"`, `cases[1].beside: hotel-reservation has no service "nobody"`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want an error with %q, got %v", want, err)
		}
	}
}

func suspect(name string, r resource.Resource) Suspect { return Suspect{Service: name, Resource: &r} }

// A run is right where the service comes first and its first finding is the resource; without a neighbour, where nothing is found.
func TestCounting(t *testing.T) {
	cases := []Case{{CPU, "a"}, {Memory, "a"}, {None, "a"}, {Disk, "b"}}
	runs := []Run{
		{Neighbour: CPU, Beside: "a", Slower: 2, Suspects: []Suspect{suspect("a", resource.CPU), suspect("b", resource.Disk)}},
		{Neighbour: CPU, Beside: "a", Slower: 4, Suspects: []Suspect{suspect("a", resource.Disk)}},
		{Neighbour: CPU, Beside: "a", Slower: 3, Suspects: []Suspect{suspect("b", resource.CPU), suspect("a", resource.CPU)}},
		{Neighbour: CPU, Beside: "a", Slower: 3, Suspects: []Suspect{{Service: "a"}}},
		{Neighbour: CPU, Beside: "a", Slower: 3},
		{Neighbour: Memory, Beside: "a", Slower: 1, Suspects: []Suspect{suspect("a", resource.Cache)}},
		{Neighbour: Memory, Beside: "a", Slower: 1, Suspects: []Suspect{suspect("a", resource.MemoryBandwidth)}},
		{Neighbour: Memory, Beside: "a", Slower: 1, Suspects: []Suspect{suspect("a", resource.CPU)}},
		{Neighbour: None, Beside: "a", Slower: 1, Suspects: []Suspect{{Service: "b"}}},
		{Neighbour: None, Beside: "a", Slower: 1, Suspects: []Suspect{suspect("b", resource.CPU)}},
	}
	got := rows(cases, runs)
	want := []Row{{CPU, "a", 5, 3, 1, 3}, {Memory, "a", 3, 3, 2, 1}, {None, "a", 2, 1, 1, 1}, {Disk, "b", 0, 0, 0, 0}}
	for i := range want {
		if i >= len(got) || got[i] != want[i] {
			t.Fatalf("%+v", got)
		}
	}
}

// What gauges paid counts where it rose by more than chance does, and by a tenth or more.
func TestWhatGaugesFelt(t *testing.T) {
	at := time.Unix(100, 0)
	well, ill := [2]time.Time{at, at.Add(10 * time.Second)}, [2]time.Time{at.Add(12 * time.Second), at.Add(16 * time.Second)}
	make := func(before, now func(i int) float64) (out []price) {
		for i := range 40 {
			out = append(out, price{well[0].Add(time.Duration(i) * gaugeEvery), before(i)})
		}
		out = append(out, price{well[1].Add(time.Second), 1e9}) // of neither
		for i := range 16 {
			out = append(out, price{ill[0].Add(time.Duration(i) * gaugeEvery), now(i)})
		}
		return out
	}
	level := func(v float64) func(int) float64 {
		return func(i int) float64 { return v * (1 + 0.01*float64(i%7)) }
	}
	felt := rises("n", map[probe.Resource][]price{
		probe.L2:              make(level(1), level(1.5)),
		probe.LastLevelCache:  make(level(1), level(1.05)),
		probe.MemoryBandwidth: make(level(1), func(i int) float64 { return 1 + 5*float64(i%2) - float64(i%2)*4.9*float64(i%3) }),
	}, well, ill)
	if len(felt) != 1 || felt[0].Resource != resource.Cache || felt[0].Node != "n" || math.Abs(felt[0].Rise-0.5) > 0.03 {
		t.Errorf("%+v", felt)
	}
}

// A neighbour ends when its parent does, or says so.
func TestAHogEnds(t *testing.T) {
	l, err := load.Open(probe.IntegerCore, load.Config{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	in, parent := io.Pipe()
	ended := make(chan error, 1)
	go func() { ended <- hog(in, l) }()
	if err := parent.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	c := NewHog()
	c.SetArgs([]string{"--kind", "none"})
	c.SilenceErrors, c.SilenceUsage = true, true
	if err := c.Execute(); err == nil || !strings.Contains(err.Error(), "--kind") {
		t.Error(err)
	}
}
