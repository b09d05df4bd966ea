package source

import (
	"container/heap"
	"time"

	"foresail.dev"
	"foresail.dev/telemetry"
	"foresail.dev/telemetry/shapes"
)

// maxWaiting is how many spans are held to be put in order of time. A file with fewer may be in any order; in a larger one
// a span may stand so many others from its place in time.
const maxWaiting = 500_000

// wait is how long after the last span of a trace the next one is waited for.
const wait = foresail.RevisionLimit

// windows makes snapshots of equal intervals out of spans that come in no order of time: it holds some, gives the one that
// ended first to an assembler, and cuts as time goes on. So the snapshots are those that a receiver would have made.
type windows struct {
	a       *telemetry.Assembler
	shapes  *shapes.Collector
	name    string
	plain   bool // replicas are not told apart
	step    time.Duration
	horizon time.Duration // how far an assembler may be ahead of its last cut
	held    byEnd
	batch   []foresail.Span      // in order, not yet given to the assembler
	next    time.Time            // end of the interval to be cut next; zero before the first span
	told    time.Time            // until when call graphs were found
	found   []*foresail.Snapshot // those of intervals that were not told yet, nothing else of them
	emit    func(*foresail.App, *foresail.Snapshot) error
}

func newWindows(o *Options) *windows {
	return &windows{name: o.Name, plain: o.Services, step: o.Interval, horizon: max(wait, o.Interval).Truncate(o.Interval), emit: o.Snapshots}
}

func (w *windows) add(spans []foresail.Span) error {
	for i := range spans {
		heap.Push(&w.held, &spans[i])
		if len(w.held) > maxWaiting {
			if err := w.take(); err != nil {
				return err
			}
		}
	}
	return nil
}

// take gives the earliest span on.
func (w *windows) take() error {
	s := heap.Pop(&w.held).(*foresail.Span)
	if w.a == nil {
		o := bounds
		o.Beat, o.Start = w.step, w.floor(s.End)
		w.a = telemetry.NewAssembler(&foresail.App{Name: w.name}, o)
		w.next = o.Start.Add(w.step)
		w.shapes, w.told = shapes.New(w.a.App(), shapes.Options{Wait: wait + 1}), w.next // what ends with an interval belongs to the next
	}
	if n := len(w.batch); n > 0 && (n >= 1024 || !w.floor(s.End).Equal(w.floor(w.batch[0].End)) || s.End.Sub(w.batch[0].End) > time.Second) {
		w.flush()
	}
	w.gather(s.End)
	if !s.End.Before(w.next.Add(w.horizon)) {
		if err := w.cut(s.End); err != nil {
			return err
		}
	}
	w.batch = append(w.batch, *s)
	if w.plain {
		w.batch[len(w.batch)-1].Replica = ""
	}
	return nil
}

// gather finds the call graphs of traces whose last span ended in intervals that ended wait before an instant.
func (w *windows) gather(now time.Time) {
	if now.Before(w.told.Add(wait)) {
		return
	}
	w.flush()
	for known := w.told.Add(wait + w.step); !now.Before(w.told.Add(wait)); w.told = w.told.Add(w.step) {
		if w.told.After(known) { // nothing is left of before; a long gap is left out
			w.told = w.floor(now.Add(-wait)).Add(w.step)
			return
		}
		if found := w.shapes.Cut(w.told.Add(wait)); len(found) > 0 {
			w.found = append(w.found, &foresail.Snapshot{Start: w.told.Add(-w.step), End: w.told, Shapes: found})
		}
	}
}

// graphs are the call graphs that were found of the time until end.
func (w *windows) graphs(end time.Time) []foresail.ShapeStats {
	n := 0
	for n < len(w.found) && !w.found[n].End.After(end) {
		n++
	}
	if n == 0 {
		return nil
	}
	all := foresail.Merge(w.found[:n]...)
	w.found = w.found[n:]
	return all.Shapes
}

func (w *windows) flush() {
	if len(w.batch) == 0 {
		return
	}
	w.a.Add(w.batch)
	w.shapes.SetApp(w.a.App())
	w.shapes.Add(w.batch[len(w.batch)-1].End, w.batch)
	clear(w.batch)
	w.batch = w.batch[:0]
}

// cut closes intervals until a span that ends at the given time is within the horizon. A long gap is left out.
func (w *windows) cut(end time.Time) error {
	w.flush()
	filled := w.next.Add(w.horizon) // nothing after this has come yet
	for !end.Before(w.next.Add(w.horizon)) {
		if w.next.After(filled) {
			w.next = w.floor(end)
			w.a.Cut(w.next) // what waits for its parent may fall behind; there is nothing else in it
			w.next = w.next.Add(w.step)
			return nil
		}
		if err := w.one(); err != nil {
			return err
		}
	}
	return nil
}

// floor is the start of the interval that an instant is in.
func (w *windows) floor(t time.Time) time.Time {
	n := t.UnixNano()
	return time.Unix(0, n-n%int64(w.step)).UTC()
}

// one closes one interval. One in which nothing was observed is not told.
func (w *windows) one() error {
	s := w.a.Cut(w.next)
	w.next = w.next.Add(w.step)
	if s == nil || s.Stale && len(s.Late) == 0 {
		return nil
	}
	s.Has |= foresail.SignalShapes
	s.Shapes = w.graphs(s.End)
	return w.emit(w.a.App(), s)
}

// finish closes what is left.
func (w *windows) finish() error {
	for len(w.held) > 0 {
		if err := w.take(); err != nil {
			return err
		}
	}
	if w.a == nil {
		return nil
	}
	w.flush()
	w.gather(w.next.Add(w.horizon + wait))
	for last := w.next.Add(w.horizon); !w.next.After(last); {
		if err := w.one(); err != nil {
			return err
		}
	}
	return nil
}

// shapesStats are what became of traces.
func (w *windows) shapesStats() shapes.Stats {
	if w.a == nil {
		return shapes.Stats{}
	}
	return w.shapes.Stats()
}

func (w *windows) stats() telemetry.Stats {
	if w.a == nil {
		return telemetry.Stats{}
	}
	return w.a.Stats()
}

// byEnd is a heap of spans, the one that ended first on top.
type byEnd []*foresail.Span

func (h byEnd) Len() int           { return len(h) }
func (h byEnd) Less(i, j int) bool { return h[i].End.Before(h[j].End) }
func (h byEnd) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *byEnd) Push(x any)        { *h = append(*h, x.(*foresail.Span)) }
func (h *byEnd) Pop() any {
	last := len(*h) - 1
	s := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	return s
}
