package scenario_test

import (
	"context"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"foresail.dev/scenario"
)

var update = flag.Bool("update", false, "write the outputs of all scenarios anew")

// files are all scenarios of the tree.
func files(t *testing.T) (out []string) {
	for _, pattern := range []string{"testdata/*.scenario", "../examples/scenarios/*.scenario"} {
		found, err := filepath.Glob(pattern)
		if err != nil || len(found) == 0 {
			t.Fatalf("no scenarios in %s: %v", pattern, err)
		}
		out = append(out, found...)
	}
	return out
}

// Every scenario of the tree does what it says.
func TestScenarios(t *testing.T) {
	for _, file := range files(t) {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".scenario"), func(t *testing.T) {
			t.Parallel()
			s, err := scenario.Read(file)
			if err != nil {
				t.Fatal(err)
			}
			r, err := s.Run(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			if *update {
				if err := os.WriteFile(file, []byte(r.Updated), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			for _, f := range r.Failures {
				if !*update || !f.Output {
					t.Error(f.Error())
				}
			}
			if testing.Verbose() {
				t.Log("\n" + r.Transcript)
			}
		})
	}
}

// What it costs to watch a run as scenarios do, on top of simulating it.
// benchstat: go test -run '^$' -bench . -count 6 ./scenario | tee new.txt; benchstat old.txt new.txt
func BenchmarkScenario(b *testing.B) {
	s, err := scenario.Parse("s", []byte("app apps/chain.yaml\nmanager hpa\nload constant 100\nrun 1m\nexpect errors over all == 0\n"), apps)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	simulated := 0.0
	for b.Loop() {
		r, err := s.Run(b.Context())
		if err != nil || len(r.Failures) > 0 {
			b.Fatal(err, r.Failures)
		}
		simulated += r.Simulated.Seconds()
	}
	b.ReportMetric(simulated/b.Elapsed().Seconds(), "simulated_s/s")
}
