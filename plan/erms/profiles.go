package erms

import (
	"math"

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

// Pieces are the profiler's, which has microseconds and calls a minute. Where two pieces rise the inflection is where they
// cross, as the scaler has it, unless that is nowhere.
func (l learnt) Pieces(id foresail.ServiceID) (Model, bool) {
	p, err := l.Profiler.Pieces(id)
	if err != nil {
		return Model{}, false // the profiler says why; here it comes to the same
	}
	const second, each = 1e-6, 1.0 / 60
	piece := func(p profile.Piece) Piece { return Piece{A: p.Slope(0, 0) * second / each, B: p.D * second} }
	m := NewModel(piece(p.Before), piece(p.After))
	if !(m.Inflection > 0) || math.IsInf(m.Inflection, 1) {
		m.Inflection = p.Knee * each
	}
	return m, true
}

// Full is the load at which containers have no CPU left.
func (l learnt) Full(id foresail.ServiceID) float64 {
	s, _ := l.Saturation(id)
	return s.Load
}

func newProfiles() Profiles { return learnt{profile.New(profile.Config{})} }
