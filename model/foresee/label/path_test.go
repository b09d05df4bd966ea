package label

import (
	"encoding/binary"
	"testing"
	"time"

	"foresail.dev"
	"pgregory.net/rapid"
)

// The parts of a path add up to the root's time, whatever its spans are, and each span has one at most.
func TestPartsAddUp(t *testing.T) {
	start := time.Unix(0, 0)
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 12).Draw(t, "spans")
		spans := make([]foresail.Span, n)
		for i := range spans {
			from := rapid.IntRange(0, 50).Draw(t, "from")
			s := &spans[i]
			binary.BigEndian.PutUint64(s.ID[:], uint64(i+1))
			s.Kind, s.Start = foresail.KindServer, start.Add(time.Duration(from)*time.Millisecond)
			s.End = s.Start.Add(time.Duration(rapid.IntRange(0, 50).Draw(t, "length")) * time.Millisecond)
			if i > 0 {
				binary.BigEndian.PutUint64(s.Parent[:], uint64(rapid.IntRange(1, i).Draw(t, "parent")))
			}
		}
		var tr tree
		root := tr.grow(spans)
		if root != 0 {
			t.Fatalf("root %d", root)
		}
		tr.walk(root, spans[0].Start, spans[0].End)
		sum, seen := time.Duration(0), map[int]bool{}
		for _, p := range tr.parts {
			if seen[p.span] || p.time < 0 || p.time > spans[p.span].End.Sub(spans[p.span].Start) {
				t.Fatalf("span %d has %s", p.span, p.time)
			}
			seen[p.span] = true
			sum += p.time
		}
		if want := spans[0].End.Sub(spans[0].Start); sum != want {
			t.Fatalf("parts add up to %s of %s", sum, want)
		}
	})
}
