package exploring

import (
	"foresail.dev"
	"foresail.dev/loop"
	"foresail.dev/model/tail"
)

// Decide is a decision as the loop tells it.
func Decide(m foresail.Manager, h *foresail.History) loop.Decision {
	p, err := m.Decide(h)
	return loop.Decision{At: h.Now(), Plan: p, Err: err, Applied: p != nil}
}

// Observe is tail.Observe.
var Observe = tail.Observe
