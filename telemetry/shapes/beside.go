package shapes

import "math/bits"

// beside is which of one visit's calls go on side by side, by small numbers of their operations.
type beside struct {
	ops      []int32 // see nth
	compared [maxSteps]uint32
	met      [maxSteps]uint32
	known    [maxSteps]uint32
	so       [maxSteps]uint32
	foreign  uint32 // those that another process than the caller's told of
}

// many is the number of those beyond what there is room for.
const many = maxSteps

func (b *beside) reset() {
	b.ops, b.foreign = b.ops[:0], 0
	b.compared, b.met, b.known, b.so = [maxSteps]uint32{}, [maxSteps]uint32{}, [maxSteps]uint32{}, [maxSteps]uint32{}
}

// index is the number of the next visit of an operation.
func (b *beside) index(op int32) int {
	before := int32(0)
	for i, x := range b.ops {
		if x&(1<<14-1) != op {
			continue
		}
		if before++; before > 2 {
			return i
		}
	}
	if len(b.ops) == maxSteps {
		return many
	}
	b.ops = append(b.ops, nth(op, before))
	return len(b.ops) - 1
}

// learn takes in what was compared: once for each pair, however often it occurred.
func (b *beside) learn(caller int32, h *habits) {
	for i := range b.ops {
		for c := b.compared[i]; c != 0; c &= c - 1 {
			j := bits.TrailingZeros32(c)
			if j < i && b.compared[j]&(1<<i) != 0 {
				continue // told already
			}
			x := h.pair(caller, b.ops[i], b.ops[j])
			clocks := sideBySide
			if b.foreign&(1<<i|1<<j) != 0 {
				clocks = likely
			}
			x.see(b.met[i]&(1<<j) != 0 || b.met[j]&(1<<i) != 0, clocks)
			b.set(i, j, x.is)
		}
	}
}

func (b *beside) set(i, j int, so bool) {
	b.known[i] |= 1 << j
	b.known[j] |= 1 << i
	if so {
		b.so[i] |= 1 << j
		b.so[j] |= 1 << i
	}
}

// are tells whether two are usually side by side.
func (b *beside) are(i, j int, caller int32, h *habits) bool {
	if i == many || j == many {
		return false
	}
	if b.known[i]&(1<<j) == 0 {
		b.set(i, j, h.pair(caller, b.ops[i], b.ops[j]).is)
	}
	return b.so[i]&(1<<j) != 0
}
