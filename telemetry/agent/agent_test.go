package agent

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"foresail.dev"
	"foresail.dev/telemetry/agent/report"
	"foresail.dev/telemetry/agent/wire"
)

// scripted is a source that takes as long as it is told.
type scripted struct {
	takes []time.Duration
	whole []bool
	n     int
}

func (s *scripted) Table() *report.Table { return nil }

func (s *scripted) Sample(b *wire.Beat, now, length time.Duration, whole bool) {
	b.Length = int64(length)
	s.whole = append(s.whole, whole)
	if s.n < len(s.takes) {
		time.Sleep(s.takes[s.n])
	}
	s.n++
}

type collected struct{ beats []wire.Beat }

func (c *collected) Put(b *wire.Beat, _ *report.Table) { c.beats = append(c.beats, *b) }

// play runs an agent for some time of the bubble's clock.
func play(t *testing.T, s *scripted, d time.Duration) []wire.Beat {
	t.Helper()
	var got collected
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	Run(ctx, s, &got)
	return got.beats
}

// Beats end on the clock's tenths, follow each other without a gap, and each second's first has the slow numbers.
func TestTheScheduleIsAlignedToTheClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(37 * time.Millisecond) // an agent starts whenever it does
		s := &scripted{}
		beats := play(t, s, 3*time.Second)
		if len(beats) != 30 {
			t.Fatalf("%d beats in 3 s", len(beats))
		}
		slow := 0
		for i, b := range beats {
			if b.Start%int64(foresail.Beat) != 0 || b.Length != int64(foresail.Beat) {
				t.Errorf("beat %d: [%d, +%d)", i, b.Start, b.Length)
			}
			if i > 0 && b.Start != beats[i-1].Start+beats[i-1].Length {
				t.Errorf("beat %d does not follow the one before", i)
			}
			if s.whole[i] {
				slow++
				if (b.Start+b.Length)%int64(time.Second) != 0 {
					t.Errorf("beat %d ends within a second", i)
				}
			}
		}
		if slow != 3 {
			t.Errorf("%d seconds", slow)
		}
	})
}

// A machine that stands still for a while: the beats that were missed are part of the next, and the schedule is as it was.
func TestMissedBeatsBecomePartOfTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &scripted{takes: []time.Duration{0, 0, 470 * time.Millisecond}}
		beats := play(t, s, 2*time.Second)
		covered := int64(0)
		for i, b := range beats {
			if i > 0 && b.Start != beats[i-1].Start+beats[i-1].Length {
				t.Errorf("beat %d: [%d, +%d) does not follow the one before", i, b.Start, b.Length)
			}
			covered += b.Length
		}
		if beats[3].Length != 5*int64(foresail.Beat) || beats[4].Length != int64(foresail.Beat) {
			t.Errorf("lengths %d and %d ns", beats[3].Length, beats[4].Length)
		}
		if covered < int64(1900*time.Millisecond) {
			t.Errorf("%v of 2 s are covered", time.Duration(covered))
		}
	})
}

// A sink that drops everything changes nothing: the ring never waits.
func TestARingThatNobodyEmptiesHoldsUpNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ring := report.NewRing()
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		s := &scripted{}
		Run(ctx, s, ring)
		if s.n < 199 || ring.Waiting() != report.Kept || ring.Dropped() != uint64(s.n)-report.Kept {
			t.Errorf("%d beats, %d wait, %d dropped", s.n, ring.Waiting(), ring.Dropped())
		}
	})
}
