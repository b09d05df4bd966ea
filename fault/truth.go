package fault

import "time"

// Truth is one thing that a simulator did to an application, as whoever evaluates a run may know it. Managers, models and
// labels never do: what they see of it is its effects.
type Truth struct {
	At     time.Time
	Moment Moment
	Number int   // of the fault in its run, from 0 in the order of beginnings; faults alone
	Fault  Fault // as it was drawn; faults alone
	// Replicas are those that it hits, by name: when it begins, those that it spreads to, and when it ends those of them
	// that are still there. Of a bad release these are the replicas of the bad version, as they start.
	Replicas []string
	Nodes    []string // that it presses on, where it does so through nodes
	// Services are those that an update brings, changes or takes away; Generation is the application's from then on.
	Services   []string
	Generation int
}

// Moment is what a Truth tells of.
type Moment uint8

// The moments.
const (
	Begins  Moment = iota // a fault begins
	Spreads               // a fault hits replicas that have come meanwhile
	Ends                  // a fault is over, though its effects may last: queues take time, and a release is rolled back
	Updates               // the application is updated
)

var moments = [...]string{"begins", "spreads", "ends", "updates"}

// String is the moment's name in files.
func (m Moment) String() string { return moments[m] }
