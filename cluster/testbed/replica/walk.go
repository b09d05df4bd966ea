package replica

import (
	"math/rand/v2"
	"sync/atomic"
	"time"
	"unsafe"

	"foresail.dev"
)

// walk is work on memory: from line to line of a footprint, each of which says where the next is. A part of each demand is so many
// steps, and not so much time: where others have thrown the footprint out of the caches it takes longer.
type walk struct {
	lines []line
	part  float64       // of a demand that is walked
	steps float64       // in a nanosecond, while the footprint is in the caches
	at    atomic.Uint32 // where the next walk begins
}

// line is what a cache holds at once.
type line struct {
	next uint32
	_    [60]byte
}

// Bounds of a footprint: fewer lines are no walk, and more are in no cache.
const (
	minFootprint = 64 << 10
	maxFootprint = 64 << 20
)

// walks lets work walk through as much memory as a service fills of a cache. The part of its work that it walks for is
// CacheSensitivity/(1+CacheSensitivity): were that part twice as long, all of it would be about CacheSensitivity longer.
func (b *burner) walks(of *foresail.Interference) error {
	if of.Cache <= 0 || of.CacheSensitivity <= 0 {
		return nil
	}
	raw, err := touched(min(max(of.Cache, minFootprint), maxFootprint))
	if err != nil {
		return err
	}
	w := &walk{lines: unsafe.Slice((*line)(unsafe.Pointer(unsafe.SliceData(raw))), len(raw)/int(unsafe.Sizeof(line{})))}
	w.part = of.CacheSensitivity / (1 + of.CacheSensitivity)
	order := rand.New(rand.NewPCG(1, uint64(len(w.lines)))).Perm(len(w.lines)) // which one makes no difference but that no prefetcher knows it
	for i, at := range order {
		w.lines[at].next = uint32(order[(i+1)%len(order)])
	}
	for range 9 { // the fastest of some tries counts: others may disturb one
		start := threadCPU()
		w.stroll(2 * len(w.lines))
		if took := threadCPU() - start; took > 0 {
			w.steps = max(w.steps, float64(2*len(w.lines))/float64(took))
		}
	}
	b.walk = w
	return nil
}

// some walks for the part of a demand that is its, and returns what is left.
func (w *walk) some(d time.Duration) time.Duration {
	if w == nil {
		return d
	}
	part := time.Duration(w.part * float64(d))
	w.stroll(int(w.steps * float64(part)))
	return d - part
}

// stroll takes steps.
func (w *walk) stroll(steps int) {
	at := w.at.Load()
	for range steps {
		at = w.lines[at].next
	}
	w.at.Store(at)
}
