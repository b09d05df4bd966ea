package resource

import (
	"fmt"
	"strings"
)

// Resource is what can be at fault.
type Resource uint8

// The resources.
const (
	CPU Resource = iota
	Memory
	Cache
	MemoryBandwidth
	Network
	Disk
	Application // none: requests wait for each other, or need more work than before
	resourceEnd
)

var names = [resourceEnd]string{"cpu", "memory", "cache", "memory-bandwidth", "network", "disk", "application"}

// String is the name in results.
func (r Resource) String() string {
	if r >= resourceEnd {
		return fmt.Sprintf("resource %d", uint8(r))
	}
	return names[r]
}

// MarshalText is the name in results.
func (r Resource) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText reads a name.
func (r *Resource) UnmarshalText(text []byte) error {
	for i, n := range names {
		if n == string(text) {
			*r = Resource(i)
			return nil
		}
	}
	return fmt.Errorf("%q is no resource; known: %s", text, strings.Join(names[:], ", "))
}

// Blame is who takes what the service lacks.
type Blame uint8

// Who is to blame.
const (
	Limit      Blame = iota // the service's own allocation is too small for what it does
	Neighbours              // others on its nodes, or the node itself
	Work                    // the service does more for each request than it did, or waits by itself
)

// Finding is one resource that holds the service up.
type Finding struct {
	Resource Resource `json:"resource"`
	Blame    Blame    `json:"-"`
	Share    float64  `json:"share"`          // of the time that it holds the service up, beyond what it did before, 0..1
	Evidence string   `json:"evidence"`       // one sentence with the figures that it hangs on
	Action   string   `json:"action"`         // what to do
	Node     string   `json:"node,omitempty"` // the node where it is worst, where neighbours are to blame

	growth float64 // of the CPU that a request takes; 0: it is not about that
}

// Diagnosis is what holds a service up.
type Diagnosis struct {
	Findings    []Finding `json:"findings"`              // the worst first; empty: it is not held up
	Unavailable []string  `json:"unavailable,omitempty"` // what could not be told, and for want of which signal
}

// Config of Diagnose. Zero fields mean the values given.
type Config struct {
	Least   float64 // the smallest share that counts as a finding; 0 means 0.1
	Growth  float64 // what grew by less than this factor has not changed: chance; 0 means 1.25
	Timeout float64 // seconds until a lost segment is sent again; 0 means 0.2, Linux' least
	// Felt is what fixed pieces of work that live on one resource felt on the service's nodes, where somebody measured that: it takes the
	// place of counters of the cache and of memory traffic that a machine hasn't.
	Felt []Felt
}

// Felt is how much longer a fixed piece of work took now than before, of CPU time.
type Felt struct {
	Resource Resource // Cache or MemoryBandwidth
	Node     string
	Rise     float64 // as a share of what it took before: 0.5 is half as long again. Chance is no rise: whoever measured has left it out
}

func (c Config) withDefaults() Config {
	if c.Least <= 0 {
		c.Least = 0.1
	}
	if c.Growth <= 1 {
		c.Growth = 1.25
	}
	if c.Timeout <= 0 {
		c.Timeout = 0.2
	}
	return c
}
