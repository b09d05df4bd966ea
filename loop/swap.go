package loop

import (
	"sync/atomic"

	"foresail.dev"
)

// Swap hands a running loop another manager: a model that was trained anew, or another choice by a person. The zero
// value is ready. It may be used from any goroutine.
type Swap struct {
	next atomic.Pointer[foresail.Manager]
}

// To makes m decide from the next snapshot on, with the history there is, though a manager that looks back further than
// the one before finds the history shorter at first. A manager that waits to be swapped in is replaced.
func (s *Swap) To(m foresail.Manager) { s.next.Store(&m) }

func (s *Swap) take() foresail.Manager {
	if m := s.next.Swap(nil); m != nil {
		return *m
	}
	return nil
}
