package shapes

// A habit is what was seen of something that is either so or not, of late: it forgets by count, so that what changes is
// learnt anew, and it changes its mind only where the share has clearly gone to the other side.
type habit struct {
	yes, no float32
	is      bool
}

// memory is after how many observations a habit's counts are halved.
const memory = 1024

// see takes in an observation. The habit becomes true at a share of b.up, after b.least observations that were so, and false again
// below b.down.
func (h *habit) see(so bool, b bar) {
	if so {
		h.yes++
	} else {
		h.no++
	}
	share := h.yes / (h.yes + h.no)
	switch {
	case !h.is && share >= b.up && h.yes >= b.least:
		h.is = true
	case h.is && share < b.down:
		h.is = false
	}
	if h.yes+h.no > memory {
		h.yes, h.no = h.yes/2, h.no/2
	}
}

// bar is the shares at which a habit changes.
type bar struct{ up, down, least float32 }

var (
	// Calls that wait for each other never overlap, and others only where they last long enough: where one process reports both, a
	// few that do are proof.
	sideBySide = bar{0.05, 0.02, 1}
	// An answer that comes after the caller's own is proof as well; but where that is rare something else is behind it, such as
	// users who left.
	unwaitedFor = bar{0.05, 0.02, 3}
	// Between processes clocks may differ.
	likely         = bar{0.5, 0.3, 1}
	likelyUnwaited = bar{0.5, 0.3, 3}
	// A callee has server spans.
	reporting = bar{0.8, 0.5, 1}
)

// maxHabits bounds how many pairs of operations are remembered; of others each trace is taken as it is.
const maxHabits = 1 << 16

// habits are what was learnt of an application's calls, by the operation that makes them.
type habits struct {
	pairs map[uint64]int32 // caller and two callees → index
	calls map[uint64]int32 // caller and callee → index
	list  []habit
	none  habit // scratch, of what finds no room
}

func newHabits() *habits {
	return &habits{pairs: map[uint64]int32{}, calls: map[uint64]int32{}}
}

func (h *habits) find(in map[uint64]int32, key uint64) *habit {
	if i, ok := in[key]; ok {
		return &h.list[i]
	}
	if len(h.list) >= maxHabits {
		h.none = habit{}
		return &h.none
	}
	in[key] = int32(len(h.list))
	h.list = append(h.list, habit{})
	return &h.list[len(h.list)-1]
}

// pair is whether two callees of one caller, see nth, go on side by side.
func (h *habits) pair(caller, a, b int32) *habit {
	if a > b {
		a, b = b, a
	}
	return h.find(h.pairs, uint64(caller)<<40|uint64(a)<<20|uint64(b))
}

// call is whether a callee's answer comes after its caller's own.
func (h *habits) call(caller, callee int32) *habit {
	return h.find(h.calls, uint64(caller)<<20|uint64(callee))
}

// calls tells whether a callee was seen to be called so.
func (h *habits) called(caller, callee int32) bool {
	_, ok := h.calls[uint64(caller)<<20|uint64(callee)]
	return ok
}
