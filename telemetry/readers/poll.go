package readers

import (
	"context"
	"fmt"
	"sync"
	"time"

	"foresail.dev"
	"foresail.dev/telemetry"
)

const (
	readTime  = time.Second // for one answer
	closeTime = time.Second
	again     = time.Second // after an error: when the server is asked again
	// Longer than this apart two readings say too little of the time between them.
	farthest = time.Second
)

// Source is a server to ask.
type Source struct {
	Service string
	Replica string
	Reader  Reader
	Every   time.Duration // 0: each beat
}

// Sink takes reports; telemetry.Assembler is one.
type Sink interface {
	AddReports(received time.Time, reports []telemetry.Report) telemetry.Result
}

// Poller asks servers until Close.
type Poller struct {
	cancel  context.CancelFunc
	done    sync.WaitGroup
	trouble func(error)
}

// Poll begins to ask each source, in a goroutine of its own, so that one that hangs holds up no other. trouble is told
// once when a source begins to fail, and once when it answers again; nil: nobody is told.
func Poll(sources []Source, sink Sink, trouble func(error)) *Poller {
	ctx, cancel := context.WithCancel(context.Background())
	p := &Poller{cancel: cancel, trouble: trouble}
	for i := range sources {
		p.done.Go(func() { p.poll(ctx, &sources[i], sink) })
	}
	return p
}

// Close ends the asking and closes the readers. It may be called again, and on nil.
func (p *Poller) Close() {
	if p != nil {
		p.cancel()
		p.done.Wait()
	}
}

func (p *Poller) poll(ctx context.Context, s *Source, sink Sink) {
	defer s.Reader.Close()
	every := s.Every
	if every <= 0 {
		every = foresail.Beat
	}
	h := history{source: s}
	failing := false
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		r, err := p.read(ctx, s)
		now := time.Now()
		wait := now.Truncate(every).Add(every).Sub(now)
		if err != nil {
			wait = max(wait, again)
			h.readings = 0
		} else if report, ok := h.next(r, now); ok {
			sink.AddReports(now, []telemetry.Report{report})
		}
		if ctx.Err() == nil && failing != (err != nil) && p.trouble != nil {
			if err != nil {
				p.trouble(fmt.Errorf("%s does not tell what is in flight: %w", s.Service, err))
			} else {
				p.trouble(fmt.Errorf("%s tells what is in flight again", s.Service))
			}
		}
		failing = err != nil
		timer.Reset(wait)
	}
}

func (p *Poller) read(ctx context.Context, s *Source) (Reading, error) {
	ctx, cancel := context.WithTimeout(ctx, readTime)
	defer cancel()
	return s.Reader.Read(ctx)
}

// history makes reports of readings.
type history struct {
	source   *Source
	readings int
	last     Reading
	at       time.Time
	base     Reading   // what counters are told less of
	since    time.Time // and when they stood there
}

// next is the report of the time since the last reading; false for the first one, which has none before it. In flight at
// two instants says what the mean between them is best taken to be: half the sum.
func (h *history) next(r Reading, now time.Time) (report telemetry.Report, ok bool) {
	before, from := h.last, h.at
	h.last, h.at = r, now
	h.readings++
	if h.readings == 1 {
		h.base, h.since = r, now
		return report, false
	}
	took := now.Sub(from).Seconds()
	if r.Arrivals < before.Arrivals || r.Completions < before.Completions || r.Errors < before.Errors {
		h.base, h.since = Reading{}, from // it began anew in between
	}
	in := foresail.Gauge{Last: r.InFlight, Mean: (before.InFlight + r.InFlight) / 2, Max: max(before.InFlight, r.InFlight)}
	if grown := r.Busy - before.Busy; r.Busy >= 0 && grown >= 0 && took > 0 {
		working := grown / took
		in.Mean, in.Last = in.Mean+working, in.Last+working
		in.Max = max(in.Max, in.Mean, in.Last)
	}
	if now.Sub(from) > farthest {
		from = now.Add(-foresail.Beat)
	}
	from, to := aligned(from), aligned(now)
	return telemetry.Report{Service: h.source.Service, Replica: h.source.Replica, Start: from.UnixNano(), End: to.UnixNano(), Has: r.Has,
		InFlight: in, Queue: foresail.Gauge{Last: r.Queue, Mean: (before.Queue + r.Queue) / 2, Max: max(before.Queue, r.Queue)},
		Since: aligned(h.since).UnixNano(), Arrivals: r.Arrivals - h.base.Arrivals, Completions: r.Completions - h.base.Completions, Errors: r.Errors - h.base.Errors}, true
}

// aligned is the end of a beat that is near enough: answers take a moment.
func aligned(t time.Time) time.Time {
	if r := t.Round(foresail.Beat); t.Sub(r).Abs() <= foresail.Beat/4 {
		return r
	}
	return t
}
