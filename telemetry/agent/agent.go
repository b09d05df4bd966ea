package agent

import (
	"context"
	"time"

	"foresail.dev"
	"foresail.dev/telemetry/agent/report"
	"foresail.dev/telemetry/agent/wire"
)

// Source is what Run looks at: a Sampler.
type Source interface {
	// Sample fills a beat that ends now, on a steady clock; whole says that slow numbers are due.
	Sample(b *wire.Beat, now, length time.Duration, whole bool)
	// Table is what the newest beat's samples refer to. It is asked for before Sample, which may make another for the
	// next.
	Table() *report.Table
}

// Sink takes beats without ever waiting: a report.Ring.
type Sink interface {
	Put(b *wire.Beat, t *report.Table)
}

// Run looks at a node at the end of each beat, by the machine's clock, until ctx ends. A beat that it could not attend
// to, because the machine was busy or stood still, becomes part of the next. Setting the clock moves beats, but what
// they say of how long they were comes from the steady clock.
func Run(ctx context.Context, s Source, to Sink) {
	const beat = foresail.Beat
	began := time.Now()
	var b wire.Beat
	last := began // the end of the newest beat, as it was due
	timer := time.NewTimer(0)
	defer timer.Stop()
	<-timer.C
	slow := time.Duration(-1) // the second of the newest slow numbers
	for {
		now := time.Now()
		end := now.Round(0).Truncate(beat).Add(beat)
		timer.Reset(end.Sub(now.Round(0)))
		select {
		case <-timer.C:
		case <-ctx.Done():
			return
		}
		now = time.Now()
		if behind := now.Round(0).Sub(end); behind >= beat && behind < time.Minute {
			end = end.Add(behind.Truncate(beat))
		}
		length := max(now.Sub(last).Round(beat), beat)
		last = now
		second := time.Duration(end.UnixNano()).Truncate(time.Second)
		whole := second != slow
		if whole = whole && (slow >= 0 || end.UnixNano()%int64(time.Second) == 0); whole {
			slow = second
		}
		b.Start = end.Add(-length).UnixNano()
		table := s.Table()
		s.Sample(&b, now.Sub(began), length, whole)
		to.Put(&b, table)
	}
}
