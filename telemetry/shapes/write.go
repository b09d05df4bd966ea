package shapes

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"slices"
)

// gather makes one step of all calls that are alike or go on side by side with such, wherever they stand: the order of so many
// steps, most likely a loop's, makes no difference to how long they take together. It returns how many steps there are.
func (l *layout) gather(v *visit) int32 {
	l.few = append(l.few[:0], l.branches[v.branches[0]:]...)
	l.branches = l.branches[:v.branches[0]]
	for k := range l.few {
		b := &l.few[k]
		b.times, b.copies = b.count, 1 // for the time being
		at := noOne
		for j := v.branches[0]; int(j) < len(l.branches); j++ {
			if bytes.Equal(l.text[b.text[0]:b.text[1]], l.text[l.branches[j].text[0]:l.branches[j].text[1]]) {
				at = int(j)
				break
			}
		}
		if at == noOne {
			l.branches = append(l.branches, *b)
			continue
		}
		a := &l.branches[at]
		last := a.first
		for l.found[last].mate != noOne {
			last = l.found[last].mate
		}
		l.found[last].mate = b.first
		a.count += b.count
		a.took += b.took
	}
	mine := l.branches[v.branches[0]:]
	steps := int32(0)
	for k := range mine {
		b := &mine[k]
		b.times, b.step = rounded(b.count), noOne
		for j := range mine[:k] {
			x, y := &l.found[mine[j].first], &l.found[b.first]
			if x.op != y.op && l.beside.are(int(x.nth), int(y.nth), v.op, l.habits) {
				b.step = mine[j].step
				break
			}
		}
		if b.step == noOne {
			b.step = steps
			steps++
		}
	}
	slices.SortStableFunc(mine, func(a, b branch) int {
		if a.step != b.step {
			return int(a.step - b.step)
		}
		return bytes.Compare(l.text[a.text[0]:a.text[1]], l.text[b.text[0]:b.text[1]])
	})
	return steps
}

// rounded is a count as forms tell it.
func rounded(n int32) int32 {
	if n <= exactly {
		return n
	}
	low := floored(n)
	if int64(n)*int64(n) > 2*int64(low)*int64(low) { // beyond the middle, on the scale of ratios
		return 2 * low
	}
	return low
}

// floored is a count rounded down.
func floored(n int32) int32 {
	if n <= exactly {
		return n
	}
	return 1 << (bits.Len32(uint32(n)) - 1)
}

// Flags of a branch's text.
const (
	nextStep = 1
	unwaited = 2
)

// write writes down what a visit and all beneath look like; two are alike where their texts are equal.
func (l *layout) write(v *visit) {
	from := len(l.text)
	l.text = binary.BigEndian.AppendUint32(l.text, uint32(v.op))
	l.text = binary.AppendUvarint(l.text, uint64(v.branches[1]-v.branches[0]))
	step := int32(0)
	for k := v.branches[0]; k < v.branches[1]; k++ {
		b := &l.branches[k]
		flags := byte(0)
		if b.step != step {
			flags, step = nextStep, b.step
		}
		if b.async {
			flags |= unwaited
		}
		l.text = append(l.text, flags)
		l.text = binary.AppendUvarint(l.text, uint64(b.times))
		l.text = binary.AppendUvarint(l.text, uint64(b.copies))
		l.text = append(l.text, l.text[b.text[0]:b.text[1]]...)
	}
	v.text = [2]int32{int32(from), int32(len(l.text))}
}

func (l *layout) textOf(i int32) []byte {
	v := &l.found[i]
	return l.text[v.text[0]:v.text[1]]
}

// place gives each visit of a request its place in the form's canonical order.
func (l *layout) place(root int32) {
	l.found[root].slot = 0
	for i := root; int(i) < len(l.found); i++ { // callers before what they call
		v := &l.found[i]
		if v.slot == noOne {
			continue
		}
		at := v.slot + 1
		for k := v.branches[0]; k < v.branches[1]; k++ {
			b := &l.branches[k]
			n := int32(0)
			for c := b.first; c != noOne; c = l.found[c].mate {
				l.found[c].slot = at + n%b.copies*b.size
				n++
			}
			at += b.copies * b.size
		}
	}
}
