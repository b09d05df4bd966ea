package sequence

import (
	"maps"
	"math"
	"math/rand/v2"
	"slices"
)

// Kind is what services of one kind have to set, what is observed of them besides latency, and what their knobs do.
type Kind struct {
	Knobs  []Knob
	States []string // names of states; see state
	does   func(v knobs) effect
}

// Knob is something that can be set, of each instance by itself. All are positive.
type Knob struct {
	Name     string
	Min, Max float64
	Whole    bool // only whole numbers
	Nominal  bool // Min and Max are shares of what an instance of the service needs in the step in which it needs most
}

// knobs are an instance's settings, by name.
type knobs map[string]float64

// effect is what an instance's knobs make of it.
type effect struct {
	CPU, Read, Write float64 // factors: on CPU time, and on the disk's of reads and writes
	Workers, Pool    int     // 0: no limit
	Miss             float64 // factor on the share of answers that a cache does not have
}

// cpuKnob is the CPU limit: from scarce to ample.
var cpuKnob = Knob{Name: "cpu", Min: 0.95, Max: 2, Nominal: true}

// The invented behaviour of knobs, told in docs/formats/sequences.md: more memory, larger buffers and longer pauses between
// collections help, ever less; limits of concurrency hurt where they bind.
func buffer(kib float64) float64 { return 0.1 * math.Sqrt(16/kib) }

func plain(e effect) effect {
	for _, f := range []*float64{&e.CPU, &e.Read, &e.Write, &e.Miss} {
		if *f == 0 {
			*f = 1
		}
	}
	return e
}

// kinds are all there are.
var kinds = map[string]Kind{
	"front": {
		Knobs:  []Knob{cpuKnob, {Name: "workers", Min: 16, Max: 128, Whole: true}, {Name: "rmem_kib", Min: 4, Max: 512}},
		States: []string{"rps", "calls", "mix"},
		does:   func(v knobs) effect { return effect{CPU: 1 + buffer(v["rmem_kib"]), Workers: int(v["workers"])} },
	},
	"caller": { // a service that calls others
		Knobs: []Knob{cpuKnob, {Name: "workers", Min: 8, Max: 64, Whole: true}, {Name: "pool", Min: 3, Max: 32, Whole: true},
			{Name: "gc_percent", Min: 50, Max: 400}, {Name: "rmem_kib", Min: 4, Max: 512}},
		States: []string{"rps", "calls"},
		does: func(v knobs) effect {
			return effect{CPU: 1 + 15/v["gc_percent"] + buffer(v["rmem_kib"]), Workers: int(v["workers"]), Pool: int(v["pool"])}
		},
	},
	"leaf": { // a service that calls none
		Knobs: []Knob{cpuKnob, {Name: "workers", Min: 3, Max: 32, Whole: true}, {Name: "gc_percent", Min: 50, Max: 400},
			{Name: "heap_mib", Min: 64, Max: 512}, {Name: "rmem_kib", Min: 4, Max: 512}, {Name: "wmem_kib", Min: 4, Max: 512}},
		States: []string{"rps"},
		does: func(v knobs) effect {
			return effect{CPU: 1 + 15/v["gc_percent"] + 10/v["heap_mib"] + buffer(v["rmem_kib"]) + buffer(v["wmem_kib"])/2, Workers: int(v["workers"])}
		},
	},
	"memcached": {
		Knobs: []Knob{cpuKnob, {Name: "memory_mib", Min: 16, Max: 256}, {Name: "threads", Min: 1, Max: 16, Whole: true},
			{Name: "slab_growth", Min: 1.1, Max: 2.2}},
		States: []string{"rps", "in"},
		does: func(v knobs) effect {
			return effect{CPU: 1 + 0.02/(v["slab_growth"]-1), Workers: int(v["threads"]), Miss: math.Sqrt(64 / v["memory_mib"] * (0.7 + 0.2*v["slab_growth"]))}
		},
	},
	"redis": { // one thread; what it evicts it finds by sampling
		Knobs: []Knob{cpuKnob, {Name: "maxmemory_mib", Min: 16, Max: 256}, {Name: "maxmemory_samples", Min: 1, Max: 10, Whole: true},
			{Name: "hash_max_ziplist_entries", Min: 32, Max: 4096}},
		States: []string{"rps", "in"},
		does: func(v knobs) effect {
			z := v["hash_max_ziplist_entries"]
			return effect{CPU: 0.8 + 0.02*v["maxmemory_samples"] + 0.2*z/4096, Workers: 1,
				Miss: math.Sqrt(64/v["maxmemory_mib"]/(1+0.05*math.Log2(z/32))) * (1 + 0.4/v["maxmemory_samples"]) / 1.1}
		},
	},
	"mongodb": {
		Knobs: []Knob{cpuKnob, {Name: "cache_mib", Min: 50, Max: 200}, {Name: "eviction_dirty_target", Min: 10, Max: 99},
			{Name: "eviction_dirty_trigger", Min: 1, Max: 99}, {Name: "rmem_kib", Min: 4, Max: 512}},
		States: []string{"rps", "read", "written"},
		does: func(v knobs) effect {
			return effect{CPU: 1 + buffer(v["rmem_kib"]) + 0.2/math.Sqrt(v["eviction_dirty_trigger"]), Workers: 32,
				Read: math.Sqrt(100 / v["cache_mib"]), Write: 0.8 + 8/v["eviction_dirty_target"]}
		},
	},
	"mysql": {
		Knobs: []Knob{cpuKnob, {Name: "innodb_buffer_pool_mib", Min: 512, Max: 3072}, {Name: "innodb_thread_concurrency", Min: 8, Max: 128, Whole: true},
			{Name: "rmem_kib", Min: 4, Max: 512}},
		States: []string{"rps", "read", "written"},
		does: func(v knobs) effect {
			return effect{CPU: 1 + buffer(v["rmem_kib"]), Workers: int(v["innodb_thread_concurrency"]), Read: math.Sqrt(1200 / v["innodb_buffer_pool_mib"])}
		},
	},
	"tidb": {
		Knobs: []Knob{cpuKnob, {Name: "scheduler_worker_pool_size", Min: 2, Max: 32, Whole: true}, {Name: "write_buffer_mib", Min: 64, Max: 256},
			{Name: "rmem_kib", Min: 4, Max: 512}},
		States: []string{"rps", "read", "written"},
		does: func(v knobs) effect {
			return effect{CPU: 1.5 + buffer(v["rmem_kib"]), Workers: int(v["scheduler_worker_pool_size"]), Read: 1.2, Write: 0.6 + 40/v["write_buffer_mib"]}
		},
	},
}

// kindNames are all kinds there are, in order.
func kindNames() []string { return slices.Sorted(maps.Keys(kinds)) }

// draw is a setting of a knob: its logarithm is uniform.
func (k *Knob) draw(nominal float64, r *rand.Rand) float64 {
	v := k.Min * math.Exp(r.Float64()*math.Log(k.Max/k.Min))
	if k.Nominal {
		v *= nominal
	}
	if k.Whole {
		v = math.Round(v)
	}
	return v
}
