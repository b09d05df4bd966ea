package erms

import (
	"foresail.dev"
	"foresail.dev/model/callgraph/profile"
)

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

// learnt are profiles that are learnt online.
type learnt struct{ *profile.Profiler }

// Full is the load at which containers have no CPU left.
func (l learnt) Full(id foresail.ServiceID) float64 {
	s, _ := l.Saturation(id)
	return s.Load
}

func newProfiles() Profiles { return learnt{profile.New(profile.Config{})} }
