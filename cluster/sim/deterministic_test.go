package sim_test

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"io"
	"math"
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/cluster/sim"
	"foresail.dev/sketch"
	"pgregory.net/rapid"
)

// digest is a hash of everything in a snapshot.
func digest(t testing.TB, s *foresail.Snapshot) [32]byte {
	t.Helper()
	return snapshotDigest(t.Fatal, s)
}

func snapshotDigest(fatal func(...any), s *foresail.Snapshot) [32]byte {
	h := sha256.New()
	e := json.NewEncoder(h)
	add := func(v any) {
		if err := e.Encode(v); err != nil {
			fatal(err)
		}
	}
	latency := func(l *sketch.Sketch) {
		add(l.Count())
		add(l.Sum())
		if l != nil {
			for i, n := range l.Buckets() {
				add([]float64{float64(i), n})
			}
		}
	}
	add(s)
	for i := range s.Services {
		latency(s.Services[i].Latency)
		for k := range s.Services[i].Replicas {
			latency(s.Services[i].Replicas[k].Latency)
		}
	}
	for i := range s.Endpoints {
		latency(s.Endpoints[i].Latency)
	}
	for i := range s.Edges {
		latency(s.Edges[i].Latency)
	}
	return [32]byte(h.Sum(nil))
}

// shake changes allocations as a restless manager would, the same way for the same beat.
func shake(t testing.TB, c *sim.Cluster, beat int) {
	if beat%3 == 0 {
		id := foresail.ServiceID(beat / 3 % len(c.App().Services))
		apply(t, c, id, alloc(1+beat%4, 0.3+float64(beat%5)/4))
	}
}

func TestSameSeedSameBytes(t *testing.T) {
	bp := rapid.Custom(func(t *rapid.T) *foresail.Blueprint { return anyBlueprint(t) })
	for example := range 20 {
		b := bp.Example(example)
		all := func(seed uint64) (out [][32]byte) {
			c := newSim(t, sim.Config{Blueprint: b, Load: constant(100), Seed: seed, NodeCores: 4})
			for beat := range 60 {
				s, err := c.Next(background)
				if err != nil {
					t.Fatal(err)
				}
				out = append(out, digest(t, s))
				shake(t, c, beat)
			}
			return out
		}
		a, same, other := all(1), all(1), all(2)
		differ := false
		for i := range a {
			if a[i] != same[i] {
				t.Fatalf("example %d: beat %d differs between two runs of one seed", example, i)
			}
			differ = differ || a[i] != other[i]
		}
		equal(t, "another seed differs", differ, true)
	}
}

// Snapshots are independent of what the simulator does next.
func TestSnapshotsAreIndependent(t *testing.T) {
	c := newSim(t, sim.Config{Blueprint: benchmarkApplication(), Load: constant(200), Seed: 1})
	first, err := c.Next(background)
	if err != nil {
		t.Fatal(err)
	}
	before := digest(t, first)
	for beat := range 30 {
		shake(t, c, beat)
		if _, err := c.Next(background); err != nil {
			t.Fatal(err)
		}
	}
	equal(t, "the first snapshot, later", digest(t, first), before)
}

// Whatever a manager does, the same requests arrive at the same instants and need the same: CPU to the nanosecond.
func TestCommonRandomNumbers(t *testing.T) {
	observe := func(act bool) (arrivals []float64, cpu []float64, completions []float64) {
		bp := benchmarkApplication()
		for i := range bp.App.Services {
			bp.App.Services[i].Initial.CPU = 2
			bp.Services[i].ColdFactor = 1 // a cold replica needs more
		}
		c := newSim(t, sim.Config{Blueprint: bp, Load: during(5*time.Second, 150), Seed: 3})
		cpu, completions = make([]float64, len(bp.Services)), make([]float64, len(bp.Services))
		for beat := 0; beat < 100 || c.Live() > 0; beat++ {
			s, err := c.Next(background)
			if err != nil {
				t.Fatal(err)
			}
			for i := range s.Endpoints {
				arrivals = append(arrivals, s.Endpoints[i].Arrivals)
				equal(t, "errors", s.Endpoints[i].Errors, 0)
			}
			for i := range s.Services {
				cpu[i] += s.Services[i].CPU
				completions[i] += s.Services[i].Completions
			}
			if act && beat < 90 {
				shake(t, c, beat)
			}
		}
		return arrivals[:300], cpu, completions
	}
	a, cpuA, doneA := observe(false)
	b, cpuB, doneB := observe(true)
	for i := range a {
		if a[i] != b[i] {
			t.Fatalf("arrival count %d is %v without and %v with a manager", i, a[i], b[i])
		}
	}
	for i := range cpuA {
		if math.Abs(cpuA[i]-cpuB[i]) > 1e-7 || doneA[i] != doneB[i] { // sums of whole nanoseconds
			t.Errorf("service %d used %v and %v core-seconds for %v and %v requests", i, cpuA[i], cpuB[i], doneA[i], doneB[i])
		}
	}
}

func TestDurationAndInstants(t *testing.T) {
	start := time.Date(2025, 3, 4, 5, 6, 7, 0, time.UTC)
	bp := blueprint(foresail.ServiceBlueprint{Operations: op(disk(1 * ms))})
	c := newSim(t, sim.Config{Blueprint: bp, Load: constant(100), Start: start, Duration: 300 * time.Millisecond})
	for i := range 3 {
		s, err := c.Next(background)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "start", s.Start, start.Add(time.Duration(i)*foresail.Beat))
		equal(t, "end", s.End, start.Add(time.Duration(i+1)*foresail.Beat))
		equal(t, "network is absent", s.Services[0].Has.Has(foresail.SignalNetwork), false)
		equal(t, "edges and endpoints are observed", s.Has, foresail.SignalEdges|foresail.SignalEndpoints)
	}
	if _, err := c.Next(background); !errors.Is(err, io.EOF) {
		t.Fatalf("after the duration: %v", err)
	}
	equal(t, "now", c.Now(), start.Add(300*time.Millisecond))
}
