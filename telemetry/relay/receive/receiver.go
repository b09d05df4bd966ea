// Package receive takes the parts that ingesters send, and puts each where it counts once: into the assemblers whose cuts are
// the snapshots.
//
// A cut takes what is there and waits for nobody. What an ingester tells later follows in Snapshot.Late, as late spans do, for
// foresail.RevisionLimit. One that has told within two seconds and not yet up to the end of a cut is counted as missing from
// it; one that has been silent for longer is told, and not waited for: what it holds is missing from what is observed.
//
// Parts are numbered: one that comes again counts no more, and numbers that are missing are counted as lost. Ingesters,
// connections and the size of each message are bounded, by Config. One that sends what can't be is cut off. Of two by one name
// the newer stays.
package receive

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"foresail.dev"
	"foresail.dev/telemetry"
	"foresail.dev/telemetry/relay/wire"
)

// Sink is what parts are put into: telemetry.Shards.
type Sink interface {
	App() *foresail.App
	AddPart(received time.Time, p *telemetry.Part)
}

// Config bounds a Receiver.
type Config struct {
	EndpointService string           // as the sink's options have it
	Beat            time.Duration    // likewise; 0: foresail.Beat
	Max             int              // ingesters; 0: 64
	Now             func() time.Time // the clock that snapshots go by; nil: time.Now
	Log             func(string)     // told, a line each, of ingesters that come, leave, fall silent, or whose clock is off; nil: nobody is
}

// Times.
const (
	awaited   = 2 * time.Second // without a part after which an ingester is not waited for
	forgotten = time.Minute     // … after which it is forgotten, if it has no connection
	tellable  = 50 * time.Millisecond
)

// Stats count what a Receiver did since it was made.
type Stats struct {
	Reporting  int    `json:"reporting"`  // ingesters that report now
	Silent     int    `json:"silent"`     // ingesters that did, did not say that they end, and have not been forgotten
	Parts      uint64 `json:"parts"`      // taken
	Duplicate  uint64 `json:"duplicate"`  // parts that came again after a connection broke
	Missing    uint64 `json:"missing"`    // parts that are missing from the numbers
	Late       uint64 `json:"late"`       // parts that came after the snapshot of their beat
	Incomplete uint64 `json:"incomplete"` // snapshots that an ingester had not yet told its part of
	Lost       uint64 `json:"lost"`       // requests that ingesters gave up, since they could not send them in time
	Unsure     uint64 `json:"unsure"`     // requests that ingesters did not send again, since another life of this daemon may have counted them
	Malformed  uint64 `json:"malformed"`  // streams cut off for what they sent
	Refused    uint64 `json:"refused"`    // streams refused: too many ingesters, or lives of one, or another version
	Replaced   uint64 `json:"replaced"`   // streams ended because a newer one has the same name
	Ingesters  []Row  `json:"ingesters"`  // by name
	// Spans are the sums of what the ingesters counted of spans, since each of them started.
	Spans telemetry.Stats `json:"spans"`
}

// Row is one ingester.
type Row struct {
	Name      string          `json:"name"`
	Reporting bool            `json:"reporting"`
	Behind    float64         `json:"behind_s"` // how long ago it was that it told all it had received
	Parts     uint64          `json:"parts"`
	Missed    uint64          `json:"missed"`   // snapshots that it had not yet told its part of
	Offset    float64         `json:"offset_s"` // that it adds to its own clock
	Within    float64         `json:"within_s"` // by which that may be wrong
	Spans     telemetry.Stats `json:"spans"`
}

// Receiver counts parts into a sink. Any goroutine may use it.
type Receiver struct {
	cfg      Config
	sink     Sink
	instance uint64

	mu        sync.Mutex
	ingesters map[string]*ingester
	cut       int64           // end of the last one
	past      telemetry.Stats // of ingesters that were forgotten
	stats     Stats
}

// ingester is what is known of one.
type ingester struct {
	name    string
	streams uint64 // how many it had: the newest is its own
	end     func() // ends its stream; nil: it has none
	heard   time.Time
	until   int64 // it told all that it received before
	parts   uint64
	missed  uint64
	offset  int64
	within  int64
	told    int64 // the offset that was logged last
	bye     bool
	silent  bool             // and that was logged
	said    time.Time        // when it was logged last that it reports
	*life                    // the present one
	lives   map[uint64]*life // by instance: two that have one name take turns, and each has numbers of its own
	past    telemetry.Stats  // of lives that were forgotten
}

// life is what hangs on one start of an ingester.
type life struct {
	seq          uint64 // of the last part
	last         time.Time
	started      bool // it has told a part
	lost, unsure uint64
	spans        telemetry.Stats
}

// maxLives is how often an ingester may start within forgotten.
const maxLives = 16

// counted is what became of its spans.
func (g *ingester) counted() telemetry.Stats {
	sum := g.past
	for _, l := range g.lives {
		s := l.spans
		if l != g.life {
			s.Waiting = 0
		}
		sum = sum.Plus(s)
	}
	return sum
}

// begin makes a life the present one; false when there are too many.
func (g *ingester) begin(instance uint64, now time.Time) bool {
	for i, l := range g.lives {
		if l != g.life && now.Sub(l.last) > forgotten {
			l.spans.Waiting = 0
			g.past = g.past.Plus(l.spans)
			delete(g.lives, i)
		}
	}
	l := g.lives[instance]
	if l == nil {
		if len(g.lives) >= maxLives {
			return false
		}
		l = &life{}
		g.lives[instance] = l
	}
	l.last = now
	g.life = l
	return true
}

// New makes a Receiver.
func New(cfg Config, sink Sink) *Receiver {
	if cfg.Max <= 0 {
		cfg.Max = 64
	}
	if cfg.Beat <= 0 {
		cfg.Beat = foresail.Beat
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = func(string) {}
	}
	return &Receiver{cfg: cfg, sink: sink, instance: rand.Uint64() | 1, ingesters: map[string]*ingester{}}
}

// Stats are the counts so far.
func (r *Receiver) Stats() Stats {
	now := r.cfg.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.stats
	s.Ingesters, s.Spans = []Row{}, r.past
	for _, g := range r.ingesters {
		spans := g.counted()
		row := Row{Name: g.name, Reporting: g.end != nil && !g.silent, Parts: g.parts, Missed: g.missed, Spans: spans,
			Offset: time.Duration(g.offset).Seconds(), Within: time.Duration(g.within).Seconds()}
		if g.until > 0 {
			row.Behind = now.Sub(time.Unix(0, g.until)).Seconds()
		}
		if row.Reporting {
			s.Reporting++
		} else if !g.bye {
			s.Silent++
		}
		s.Spans = s.Spans.Plus(spans)
		s.Ingesters = append(s.Ingesters, row)
	}
	slices.SortFunc(s.Ingesters, func(a, b Row) int { return strings.Compare(a.Name, b.Name) })
	return s
}

// session is one stream.
type session struct {
	r      *Receiver
	g      *ingester
	stream uint64
}

var errReplaced = errors.New("a newer ingester reports by this name: is one name given to two?")

// open begins a stream with its first message, and says what to answer.
func (r *Receiver) open(h *wire.Hello, sent int64, end func()) (*session, *wire.Answer, error) {
	now := r.cfg.Now()
	app := wire.AppOf(r.sink.App(), r.cfg.EndpointService)
	r.mu.Lock()
	defer r.mu.Unlock()
	if h.Version != wire.Version {
		r.stats.Refused++
		return nil, nil, fmt.Errorf("the ingester speaks version %d, this daemon %d: use the same release", h.Version, wire.Version)
	}
	g := r.ingesters[h.Name]
	if g == nil {
		r.forget(now)
		if len(r.ingesters) >= r.cfg.Max {
			r.stats.Refused++
			return nil, nil, fmt.Errorf("%d ingesters report already, which is the limit", len(r.ingesters))
		}
		g = &ingester{name: h.Name, lives: map[uint64]*life{}}
		r.ingesters[h.Name] = g
	}
	if !g.begin(h.Instance, now) {
		r.stats.Refused++
		return nil, nil, fmt.Errorf("%d ingesters of this name have begun within %v: give each a name of its own", maxLives, forgotten)
	}
	if g.end != nil {
		g.end()
		r.stats.Replaced++
	}
	if g.streams == 0 || g.bye || g.silent || now.Sub(g.said) > forgotten {
		g.said = now
		r.cfg.Log(fmt.Sprintf("ingester %q reports", g.name))
	}
	g.streams++
	g.end, g.bye, g.silent, g.heard = end, false, false, now
	return &session{r, g, g.streams}, &wire.Answer{Seq: g.seq, Generation: app.Generation, Clock: wire.Clock{At: now.UnixNano(), Sent: sent},
		Welcome: &wire.Welcome{Instance: r.instance, Seq: g.seq, Beat: int64(r.cfg.Beat), App: app}}, nil
}

// forget gives up ingesters that have no stream and were not heard of for long.
func (r *Receiver) forget(now time.Time) {
	for name, g := range r.ingesters {
		if g.end == nil && now.Sub(g.heard) > forgotten {
			sum := g.counted()
			sum.Waiting = 0
			r.past = r.past.Plus(sum)
			delete(r.ingesters, name)
		}
	}
}

// close ends a stream. What it told stays.
func (s *session) close() {
	s.r.mu.Lock()
	defer s.r.mu.Unlock()
	if s.g.streams != s.stream {
		return
	}
	s.g.end = nil
	if s.g.bye {
		s.r.cfg.Log(fmt.Sprintf("ingester %q has ended", s.g.name))
	}
}

// take takes a part, and says what to answer.
func (s *session) take(p *wire.Part, sent int64) (*wire.Answer, error) {
	now := s.r.cfg.Now()
	fresh, seq, err := s.count(p, now)
	if err != nil {
		return nil, err
	}
	if fresh { // not under the lock: it has one of its own, which a cut holds
		s.r.sink.AddPart(now, &p.Content)
	}
	return &wire.Answer{Seq: seq, Generation: uint64(s.r.sink.App().Generation), Clock: wire.Clock{At: now.UnixNano(), Sent: sent}}, nil
}

// count notes that a part is there; fresh unless it was before.
func (s *session) count(p *wire.Part, now time.Time) (fresh bool, seq uint64, err error) {
	r, g := s.r, s.g
	r.mu.Lock()
	defer r.mu.Unlock()
	if g.streams != s.stream {
		return false, 0, errReplaced
	}
	if p.Seq <= g.seq {
		r.stats.Duplicate++
		return false, g.seq, nil
	}
	if g.started {
		r.stats.Missing += p.Seq - g.seq - 1
	}
	g.started, g.seq, g.last, g.heard, g.bye = true, p.Seq, now, now, p.Bye
	if g.silent {
		g.silent = false
		r.cfg.Log(fmt.Sprintf("ingester %q reports again", g.name))
	}
	r.stats.Parts++
	g.parts++
	// An ingester that reported to another life of this daemon begins with what it had lost there.
	grown := func(sum *uint64, last *uint64, now uint64) {
		*sum += max(now, *last) - *last
		*last = max(now, *last)
	}
	grown(&r.stats.Lost, &g.lost, p.Lost)
	grown(&r.stats.Unsure, &g.unsure, p.Unsure)
	if p.Stats != nil {
		g.spans = *p.Stats
	}
	g.offset, g.within = p.Offset, p.Within
	if d := time.Duration(g.offset - g.told); d.Abs() > tellable {
		g.told = g.offset
		r.cfg.Log(fmt.Sprintf("ingester %q: its clock is %v off this one, to %v; it corrects that", g.name,
			-time.Duration(g.offset).Round(time.Millisecond), time.Duration(g.within).Round(time.Microsecond)))
	}
	if !p.More {
		until := min(p.Content.Until, now.UnixNano())
		if until < r.cut {
			r.stats.Late++
		}
		g.until = max(g.until, until)
	}
	return true, p.Seq, nil
}

// Cut notes that a snapshot was made of what was there, up to end.
func (r *Receiver) Cut(end time.Time) {
	now := r.cfg.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.forget(now)
	r.cut = end.UnixNano()
	incomplete := false
	for _, g := range r.ingesters {
		if g.bye || g.silent {
			continue
		}
		if behind := now.Sub(g.heard); behind > awaited {
			g.silent = true
			r.cfg.Log(fmt.Sprintf("ingester %q has told nothing for %v: what it takes in is missing", g.name, behind.Round(100*time.Millisecond)))
			continue
		}
		if g.until < r.cut {
			g.missed++
			incomplete = true
		}
	}
	if incomplete {
		r.stats.Incomplete++
	}
}

func (r *Receiver) malformed() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stats.Malformed++
}
