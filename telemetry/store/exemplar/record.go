package exemplar

import (
	"sync"
	"time"

	"foresail.dev"
	"foresail.dev/telemetry/group"
)

// Recording says how a Recorder gathers traces and what it keeps. Fields that are zero mean what their comment says.
type Recording struct {
	Choice
	Wait     time.Duration // after the last span of a trace, until it counts as whole. 0 means 10 s
	MaxSpans int           // waiting at once, over all traces. 0 means 200,000
	MaxTrace int           // spans of one trace. 0 means 2,000

	// Now is the time that spans are told in: the wall clock's where it is nil, or a simulation's.
	Now func() time.Time
	// Trouble is told when traces can't be written, each time that begins; nil: nobody is.
	Trouble func(error)
}

// How far a trace's end may be from the present to be believed.
const (
	farthestBehind = 10 * time.Minute
	farthestAhead  = time.Minute
)

// RecordStats count what a Recorder did.
type RecordStats struct {
	group.Stats
	Whole    uint64 `json:"whole"`    // traces that were looked at
	Cut      uint64 `json:"cut"`      // of those, with spans missing
	Off      uint64 `json:"off"`      // traces that ended too far from the present
	Late     uint64 `json:"late"`     // traces that came after their minute was written
	Unkept   uint64 `json:"unkept"`   // traces that were chosen and could not be written
	Nameless uint64 `json:"nameless"` // spans without a trace id or times
}

// Recorder takes all spans of an application and keeps its exemplar traces. Adding never waits for the disk.
type Recorder struct {
	app   string
	store *Store
	o     Recording

	mu     sync.Mutex
	groups *group.Groups[foresail.TraceID, foresail.Span]
	stats  RecordStats
	now    int64 // of the last look at the clock, so that time does not go back
	looked int64 // when complete traces were last looked for

	writing sync.Mutex // of what follows
	chooser *Chooser
	failed  bool

	wake       chan struct{} // a second has passed, which in a simulation takes less
	quit, done chan struct{}
	once       sync.Once
}

// NewRecorder starts recording into store. Close it before the store.
func NewRecorder(store *Store, app string, o Recording) *Recorder {
	if o.Wait <= 0 {
		o.Wait = 10 * time.Second
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	r := &Recorder{app: app, store: store, o: o, chooser: NewChooser(o.Choice), wake: make(chan struct{}, 1), quit: make(chan struct{}), done: make(chan struct{})}
	r.groups = group.New[foresail.TraceID, foresail.Span](group.Options{Wait: int64(o.Wait), MaxItems: o.MaxSpans, MaxEach: o.MaxTrace})
	go r.run()
	return r
}

// Add takes spans, which it owns. Any number of goroutines may add.
func (r *Recorder) Add(spans []foresail.Span) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.clock()
	for i := range spans {
		if spans[i].Trace == (foresail.TraceID{}) || spans[i].Start.IsZero() || spans[i].End.IsZero() {
			r.stats.Nameless++
			continue
		}
		r.groups.Add(now, spans[i].Trace, spans[i])
	}
	if now-r.looked >= int64(time.Second) {
		select {
		case r.wake <- struct{}{}:
		default:
		}
	}
}

// Stats are the counts so far.
func (r *Recorder) Stats() RecordStats {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.stats
	s.Stats = r.groups.Stats()
	return s
}

// Close writes what there is and stops. It may be called again.
func (r *Recorder) Close() {
	r.once.Do(func() {
		close(r.quit)
		<-r.done
		r.turn(true)
	})
}

// clock is the present; the caller holds mu.
func (r *Recorder) clock() int64 {
	r.now = max(r.now, r.o.Now().UnixNano())
	return r.now
}

func (r *Recorder) run() {
	defer close(r.done)
	t := time.NewTicker(time.Second)
	defer t.Stop()
	for {
		select {
		case <-r.quit:
			return
		case <-t.C:
			r.turn(false)
		case <-r.wake:
			r.turn(false)
		}
	}
}

// turn looks at the traces that are whole, or at all, and writes the minutes that are over.
func (r *Recorder) turn(all bool) {
	r.writing.Lock()
	defer r.writing.Unlock()
	r.mu.Lock()
	now := r.clock()
	r.looked = now
	whole := r.groups.Due(now)
	if all {
		whole = append(whole, r.groups.Rest()...)
	}
	r.mu.Unlock()
	var chosen []Trace
	add := RecordStats{Whole: uint64(len(whole))}
	before := r.chooser.Late()
	for _, g := range whole {
		t, _ := NewTrace(g.Items)
		if behind := now - t.Root().End.UnixNano(); behind > int64(farthestBehind) || behind < -int64(farthestAhead) {
			add.Off++
			continue
		}
		if g.Cut {
			add.Cut++
		}
		chosen = append(chosen, r.chooser.Offer(t)...)
	}
	if all {
		chosen = append(chosen, r.chooser.Rest()...)
	} else {
		chosen = append(chosen, r.chooser.Close(time.Unix(0, now-2*int64(r.o.Wait)))...)
	}
	add.Late = r.chooser.Late() - before
	if len(chosen) > 0 {
		err := r.store.Append(r.app, chosen)
		if err != nil {
			add.Unkept = uint64(len(chosen))
			if !r.failed && r.o.Trouble != nil {
				r.o.Trouble(err)
			}
		}
		r.failed = err != nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stats.Whole += add.Whole
	r.stats.Cut += add.Cut
	r.stats.Off += add.Off
	r.stats.Late += add.Late
	r.stats.Unkept += add.Unkept
}
