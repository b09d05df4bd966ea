package store

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"foresail.dev"
)

// RecorderOptions say what a Recorder keeps.
type RecorderOptions struct {
	// Every is the length of the snapshots that are kept, aligned to the clock; shorter ones are merged. 0: as they come.
	Every time.Duration
	// Hold is how long a snapshot may still gain what comes late, foresail.RevisionLimit at most; 0: nothing comes late.
	Hold time.Duration
	// Wait makes Observe wait while the history is slower than the snapshots come; else what it can't take is dropped, and
	// counted.
	Wait bool
	// Trouble is told, from the recorder's goroutine, when snapshots begin to be lost, with why, and when they no longer are,
	// with nil and how many there were. nil: nobody.
	Trouble func(why error, lost int)
}

// Recorder puts what a loop observes into a history, in a goroutine of its own, so that a slow disk does not hold the loop up. It
// waits until snapshots are final: what it holds, Hold and Every, is not acknowledged yet. Call graphs wait up to ten seconds, and
// are in the last snapshot of each ten.
type Recorder struct {
	to      History
	o       RecorderOptions
	queue   chan observation
	done    chan struct{}
	close   sync.Once
	dropped atomic.Int64
	lost    atomic.Int64

	// Of the goroutine.
	app   *foresail.App
	held  *foresail.History
	count int // of the newest snapshots held, how many have not gone on
	parts []*foresail.Snapshot
	since int64 // lost before the present trouble
	bad   bool
	last  *foresail.Snapshot   // waits for the next, since it may be the one that carries the call graphs; nil: none does
	forms []*foresail.Snapshot // its call graphs, and those of the ones before it, nothing else
}

type observation struct {
	app *foresail.App
	s   *foresail.Snapshot
}

// formsCell is how much time the call graphs that one snapshot carries are of, aligned to the clock: the last one that starts in
// it. They are many histograms, each of which costs as much after ten seconds as after one.
const formsCell = 10 * time.Second

// queued is how many snapshots may wait: a minute of beats.
const queued = 600

// NewRecorder starts one; Close ends it.
func NewRecorder(to History, o RecorderOptions) *Recorder {
	o.Hold = min(o.Hold, foresail.RevisionLimit)
	r := &Recorder{to: to, o: o, queue: make(chan observation, queued), done: make(chan struct{})}
	go r.run()
	return r
}

// Observe takes the next snapshot of app; neither may be changed afterwards. It is called by one goroutine at a time, and not
// after Close.
func (r *Recorder) Observe(app *foresail.App, s *foresail.Snapshot) {
	if r.o.Wait {
		r.queue <- observation{app, s}
		return
	}
	select {
	case r.queue <- observation{app, s}:
	default:
		r.dropped.Add(1)
	}
}

// Lost is how many snapshots did not get into the history: those that the history refused, merged ones counted once, and
// those dropped since it was slow.
func (r *Recorder) Lost() (refused, dropped int) { return int(r.lost.Load()), int(r.dropped.Load()) }

// Close puts what is held into the history and returns when it is there. The history stays open.
func (r *Recorder) Close() {
	r.close.Do(func() { close(r.queue) })
	<-r.done
}

func (r *Recorder) run() {
	defer close(r.done)
	for o := range r.queue {
		r.hold(o)
	}
	for r.count > 0 {
		r.release()
	}
	r.flush()
	r.pour()
}

// hold lets what is late find the snapshots it belongs to, and passes on what is final.
func (r *Recorder) hold(o observation) {
	r.app = o.app
	if r.o.Hold <= 0 {
		s := *o.s
		r.pass(&s)
		return
	}
	if r.held == nil { // a history applies what is late; it holds as many of the shortest snapshots as a time that late may need
		r.held = foresail.NewHistory(o.app, foresail.Needs{Beats: int(r.o.Hold/foresail.Beat) + queued})
	}
	r.held.Add(o.s)
	r.count++
	for r.count > 0 {
		oldest := r.oldest()
		if o.s.End.Sub(oldest.End) < r.o.Hold && !o.s.End.Before(oldest.End) && r.count < queued {
			return
		}
		r.release()
	}
}

func (r *Recorder) oldest() *foresail.Snapshot { return r.held.Beats(r.count)[0] }

// release passes on the oldest snapshot that is held, as it is now.
func (r *Recorder) release() {
	s := *r.oldest()
	r.count--
	r.pass(&s)
}

// pass merges a final snapshot, which is the recorder's own, with those of its cell.
func (r *Recorder) pass(s *foresail.Snapshot) {
	s.Late = nil
	if r.o.Every <= 0 {
		r.put(s)
		return
	}
	cell := s.Start.Truncate(r.o.Every)
	if len(r.parts) > 0 && !r.parts[0].Start.Truncate(r.o.Every).Equal(cell) {
		r.flush()
	}
	r.parts = append(r.parts, s)
	if !s.End.Before(cell.Add(r.o.Every)) {
		r.flush()
	}
}

// flush merges the parts of a cell.
func (r *Recorder) flush() {
	if len(r.parts) > 0 {
		r.put(foresail.Merge(r.parts...))
		r.parts = r.parts[:0]
	}
}

// put gathers call graphs until their time is over.
func (r *Recorder) put(s *foresail.Snapshot) {
	if r.last != nil {
		if !r.forms[0].Start.Truncate(formsCell).Equal(s.Start.Truncate(formsCell)) {
			r.pour()
		} else {
			r.write(r.last)
			r.last = nil
		}
	}
	if len(r.forms) == 0 && !s.Has.Has(foresail.SignalShapes) {
		r.write(s)
		return
	}
	r.forms = append(r.forms, &foresail.Snapshot{Start: s.Start, End: s.End, Has: s.Has & foresail.SignalShapes, Shapes: s.Shapes})
	s.Shapes, s.Has = nil, s.Has&^foresail.SignalShapes
	r.last = s
}

// pour writes the last snapshot with the call graphs that wait for it.
func (r *Recorder) pour() {
	if r.last == nil {
		return
	}
	all := foresail.Merge(r.forms...)
	r.last.Shapes, r.last.Has = all.Shapes, r.last.Has|all.Has
	r.write(r.last)
	r.last, r.forms = nil, r.forms[:0]
}

func (r *Recorder) write(s *foresail.Snapshot) {
	err := r.to.Append(r.app, s)
	if err != nil {
		r.lost.Add(1)
	}
	if bad := err != nil; bad != r.bad && r.o.Trouble != nil {
		if bad {
			r.since = r.lost.Load() - 1
			r.o.Trouble(fmt.Errorf("history: the snapshot until %s is not kept: %w", s.End.Format(time.TimeOnly), err), 1)
		} else {
			r.o.Trouble(nil, int(r.lost.Load()-r.since))
		}
	}
	r.bad = err != nil
}
