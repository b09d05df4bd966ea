package report

import (
	"testing"

	"pgregory.net/rapid"

	"foresail.dev/telemetry/agent/wire"
)

// Against a stupid oracle, a list of what was put and not acknowledged: what is taken comes in order, once on each
// stream, and what is neither kept nor acknowledged nor sent was counted as dropped.
func TestRing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := NewRing()
		table := NewTable(&wire.Table{Generation: 1})
		var put, acked, sent, dropped uint64
		check := func() {
			if r.Dropped() != dropped || r.Waiting() != int(min(put-acked, Kept)) {
				t.Fatalf("dropped %d, not %d; %d wait of %d put and %d acknowledged", r.Dropped(), dropped, r.Waiting(), put, acked)
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"put": func(t *rapid.T) {
				for range rapid.IntRange(1, 40).Draw(t, "n") {
					b := wire.Beat{Start: 1, Length: 1}
					if gone := int64(put) + 1 - Kept; gone > 0 && uint64(gone) > acked && uint64(gone) > sent {
						dropped++
					}
					r.Put(&b, table)
					put++
					if b.Seq != put || b.Dropped != dropped {
						t.Fatalf("beat %d, %d dropped; want %d and %d", b.Seq, b.Dropped, put, dropped)
					}
				}
				check()
			},
			"take": func(t *rapid.T) {
				raw, _, ok := r.take(nil)
				want := max(sent, acked) + 1
				if put >= Kept {
					want = max(want, put+1-Kept)
				}
				if ok != (want <= put) {
					t.Fatalf("taken: %v, though %d of %d is next", ok, want, put)
				}
				if !ok {
					return
				}
				f, err := wire.ReadFrame(wire.AppendBeat(nil, 1, raw), nil)
				if err != nil || f.Beat.Seq != want {
					t.Fatalf("beat %d is taken, not %d: %v", f.Beat.Seq, want, err)
				}
				sent = want
			},
			"ack": func(t *rapid.T) {
				seq := rapid.Uint64Range(0, put+3).Draw(t, "seq") // a daemon may say what it likes
				r.ack(seq)
				if seq <= put {
					acked = max(acked, seq)
				}
				check()
			},
			"rewind": func(t *rapid.T) {
				r.rewind()
				sent = acked
			},
		})
	})
}

// A beat of 200 containers into a full ring.
func BenchmarkPut200(b *testing.B) {
	r := NewRing()
	table := NewTable(&wire.Table{Generation: 1})
	beat := wire.Beat{Start: 1, Length: 1e8, Containers: make([]wire.Sample, 200)}
	for i := range beat.Containers {
		beat.Containers[i].Index = uint32(i)
		beat.Containers[i].Value[wire.CPU] = 1e6
	}
	b.ReportAllocs()
	for b.Loop() {
		r.Put(&beat, table)
	}
}
