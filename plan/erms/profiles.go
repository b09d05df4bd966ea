package erms

import "foresail.dev"

// Profiles are what is known of services: learnt as minutes go by.
type Profiles interface {
	// Observe takes another minute.
	Observe(app *foresail.App, minute *foresail.Snapshot)
	// Pieces are the p95 of a service's own time, in seconds, over the calls a second of one of its containers; ok is false
	// where too little was seen to tell.
	Pieces(id foresail.ServiceID) (m Model, ok bool)
	// Full is how many calls a second use up a container's CPU; 0: not known.
	Full(id foresail.ServiceID) float64
	foresail.Stateful
}
