package receive

import (
	"time"

	"foresail.dev"
	"foresail.dev/telemetry/agent/wire"
)

// Names finds the service and replica of a container that its agent knows by pod alone.
type Names interface {
	Name(c *wire.Container) (service, replica string, ok bool)
}

// Config bounds a Receiver. The zero value serves a cluster of 256 nodes.
type Config struct {
	MaxNodes      int              // default 256
	MaxContainers int              // over all nodes; default 16,384
	MaxSamples    int              // of containers, in beats that are held; default 524,288, about 110 MB
	Names         Names            // nil: containers are named by their agents
	Now           func() time.Time // the clock that snapshots go by; default time.Now
}

func (c *Config) complete() {
	or := func(v *int, d int) {
		if *v <= 0 {
			*v = d
		}
	}
	or(&c.MaxNodes, 256)
	or(&c.MaxContainers, 16_384)
	or(&c.MaxSamples, 524_288)
	if c.Now == nil {
		c.Now = time.Now
	}
}

// Times.
const (
	beat       = foresail.Beat
	revisions  = int64(foresail.RevisionLimit / foresail.Beat)
	ahead      = int64(10 * time.Second / foresail.Beat) // beats past the present that are taken
	awaited    = int64(2 * time.Second / foresail.Beat)  // beats without a report after which a node is not waited for
	maxCells   = 1200                                    // beats held, if nobody takes them
	heldMemory = int64(2500 * time.Millisecond)          // how long the last memory is told again
	forgotten  = int64(time.Minute / foresail.Beat)      // beats without a report after which a node is forgotten
)

// Stats count what a Receiver did since it was made.
type Stats struct {
	Nodes      int    `json:"nodes"`      // that report now
	Containers int    `json:"containers"` // of them
	Beats      uint64 `json:"beats"`      // taken
	Duplicate  uint64 `json:"duplicate"`  // beats that came again after a connection broke
	Lost       uint64 `json:"lost"`       // beats that are missing from what agents numbered, since their first that came
	Dropped    uint64 `json:"dropped"`    // beats that agents say they gave up, since they could not send them in time
	Late       uint64 `json:"late"`       // beats that came after their snapshot
	TooLate    uint64 `json:"too_late"`   // … when it was final: they don't count
	Ahead      uint64 `json:"ahead"`      // beats of the future: they don't count
	Limit      uint64 `json:"limit"`      // containers' samples over a bound: they don't count
	Unknown    uint64 `json:"unknown"`    // containers' samples of no service of the application
	Malformed  uint64 `json:"malformed"`  // streams cut off for what they sent
	Refused    uint64 `json:"refused"`    // streams refused: too many nodes, or another version
	Replaced   uint64 `json:"replaced"`   // streams ended because a newer one reports the same node
	Corrected  int    `json:"corrected"`  // nodes whose clock is off by more than half a beat
}
