package otlp

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Never are more requests held than there are slots, none is turned away while a slot is free or one is read for longer
// than patience, and who makes room is the one that has been read for longest.
func TestSlots(t *testing.T) {
	type request struct {
		*slot
		since time.Time
		whole bool // read whole
		cut   bool
	}
	rapid.Check(t, func(t *rapid.T) {
		most := rapid.IntRange(1, 4).Draw(t, "slots")
		s := &slots{free: most}
		now := time.Unix(1000, 0)
		var held []*request // by when they came
		remove := func(i int) { held = append(held[:i:i], held[i+1:]...) }
		pick := func() int { return rapid.IntRange(0, len(held)-1).Draw(t, "which") }
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			switch op := rapid.IntRange(0, 3).Draw(t, "op"); {
			case op == 0:
				now = now.Add(time.Duration(rapid.IntRange(0, 1500).Draw(t, "ms")) * time.Millisecond)
			case op == 1:
				oldest := -1
				if len(held) == most {
					for i := len(held) - 1; i >= 0; i-- {
						if !held[i].whole {
							oldest = i
						}
					}
					if oldest >= 0 && now.Sub(held[oldest].since) < patience {
						oldest = -1
					}
				}
				r := &request{since: now}
				var ok bool
				r.slot, ok = s.enter(now, func() { r.cut = true })
				if ok != (len(held) < most || oldest >= 0) {
					t.Fatalf("entered: %v, with %d of %d held, to be put off %d", ok, len(held), most, oldest)
				}
				if oldest >= 0 {
					if out := held[oldest]; !out.cut || out.arrived() {
						t.Fatal("the oldest was not put off")
					}
					held[oldest].leave() // changes nothing
					remove(oldest)
				}
				if ok {
					held = append(held, r)
				}
			case len(held) == 0:
			case op == 2:
				i := pick()
				held[i].whole = true
				if !held[i].arrived() {
					t.Fatal("a request was put off, though nobody needed its slot")
				}
			default:
				i := pick()
				held[i].leave()
				remove(i)
			}
			for _, r := range held {
				if r.cut {
					t.Fatal("a request was cut off without need")
				}
			}
			if s.free != most-len(held) {
				t.Fatalf("%d slots are free, want %d", s.free, most-len(held))
			}
		}
	})
}
