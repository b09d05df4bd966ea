// Package send is an ingester: it takes spans in as an assembler does, and each beat sends what it counted to the daemon that
// makes snapshots of it. It holds up nothing while the daemon is slow, gone or not yet there: what was counted waits in an
// outbox that is bounded in bytes and age, and what had to be given up is counted and told when the daemon is back.
//
// Parts are numbered and acknowledged. A daemon that lost the connection says up to which number it has them, and the rest
// comes again. One that began anew knows nothing of that: what its predecessor was sent and did not acknowledge may be in what
// that one recorded, so it is not sent again, and counted as unsure.
//
// Everything goes by the daemon's clock, which each acknowledgement tells: an ingester's own may be off by any amount.
package send

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"foresail.dev/telemetry"
	"foresail.dev/telemetry/frames"
	"foresail.dev/telemetry/relay/wire"
)

// Config says where to, and how.
type Config struct {
	frames.Daemon        // waits 100 ms to 2 s by default: an ingester is missed
	Name          string // of this ingester, of which there is one
	Shards        int    // see telemetry.Shards; 0: one
	Memory        int64  // bytes for all shards together, see telemetry.Options; 0: its bounds
	// Lag is how long after a beat's end its spans are no longer late, as far as the count of late ones goes, and
	// foresail.RevisionLimit begins. Default: 150 ms, as the daemon has it.
	Lag time.Duration
	// Patience is how long the daemon may acknowledge nothing before the stream is given up. Default: 5 s.
	Patience time.Duration
	// Linger is how long the end of Run waits for the last part to be acknowledged. Default: 2 s.
	Linger time.Duration
	// Clock is this machine's clock. Default: time.Now.
	Clock func() time.Time
	// Log is told, a line each, when the daemon is reached, when it is not any more and why, and by how much this clock is
	// off. Default: nobody.
	Log func(line string)
}

// Ingester takes spans in. It is a sink of telemetry/otlp: any number of goroutines may add.
type Ingester struct {
	cfg      Config
	instance uint64
	clock    *clock
	out      *outbox
	acked    chan struct{}
	ready    chan struct{}
	once     sync.Once

	using  sync.RWMutex // written to change shards
	shards *telemetry.Shards

	mu     sync.Mutex
	app    *wire.App // that the daemon said last
	daemon uint64
	beat   time.Duration
	past   telemetry.Stats // of shards that were replaced
	told   int64           // the offset that was logged last
	early  atomic.Uint64   // spans refused before there was a daemon
	seq    uint64          // of the last piece; the ticking goroutine's
	known  *wire.App       // that shards are of; the ticking goroutine's
	last   time.Time       // of the last part, by the daemon's clock; the ticking goroutine's
}

// New makes an Ingester. It does nothing until Run.
func New(cfg Config) *Ingester {
	or := func(v *time.Duration, d time.Duration) {
		if *v <= 0 {
			*v = d
		}
	}
	or(&cfg.Lag, 150*time.Millisecond)
	or(&cfg.Backoff, 100*time.Millisecond)
	or(&cfg.Longest, 2*time.Second)
	or(&cfg.Patience, 5*time.Second)
	or(&cfg.Linger, 2*time.Second)
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = func(string) {}
	}
	return &Ingester{cfg: cfg, instance: rand.Uint64(), clock: newClock(cfg.Clock), out: newOutbox(),
		acked: make(chan struct{}, 1), ready: make(chan struct{})}
}

// Ready is closed once the daemon has said what the application is. Until then no span is taken.
func (g *Ingester) Ready() <-chan struct{} { return g.ready }

// Now is the daemon's time. It is when spans are received.
func (g *Ingester) Now() time.Time { return g.clock.now() }

// AddBatch is telemetry.Shards.AddBatch.
func (g *Ingester) AddBatch(received time.Time, b *telemetry.Batch) telemetry.Result {
	g.using.RLock()
	defer g.using.RUnlock()
	if g.shards == nil {
		n := b.Malformed
		for i := range b.Senders {
			n += len(b.Senders[i].Spans)
		}
		g.early.Add(uint64(n))
		return telemetry.Result{Rejected: n, Reason: "spans of an application that the daemon has not described yet"}
	}
	return g.shards.AddBatch(received, b)
}

// AddReports keeps reports of what is in flight for the daemon.
func (g *Ingester) AddReports(received time.Time, reports []telemetry.Report) telemetry.Result {
	g.using.RLock()
	defer g.using.RUnlock()
	if g.shards == nil {
		return telemetry.Result{Rejected: len(reports), Reason: "reports of an application that the daemon has not described yet"}
	}
	return g.shards.AddReports(received, reports)
}

// Stats count what an Ingester did since it was made.
type Stats struct {
	Spans   telemetry.Stats `json:"spans"`
	Early   uint64          `json:"early"`    // spans refused before the daemon had described the application
	Parts   uint64          `json:"parts"`    // made
	Waiting int             `json:"waiting"`  // of them, not acknowledged
	Lost    float64         `json:"lost"`     // requests in parts that were given up: the daemon was away for too long
	Unsure  float64         `json:"unsure"`   // requests in parts that another life of the daemon may have counted
	Offset  float64         `json:"offset_s"` // added to this machine's clock
	Within  float64         `json:"within_s"` // by which that may be wrong
}

// Stats are the counts so far.
func (g *Ingester) Stats() (s Stats) {
	s.Spans = g.counted()
	s.Early = g.early.Load()
	s.Waiting, s.Lost, s.Unsure = g.out.waiting()
	offset, within := g.clock.known()
	s.Offset, s.Within = time.Duration(offset).Seconds(), time.Duration(within).Seconds()
	g.mu.Lock()
	defer g.mu.Unlock()
	s.Parts = g.seq
	return s
}

// counted is what all shards counted, those before included.
func (g *Ingester) counted() telemetry.Stats {
	g.using.RLock()
	shards := g.shards
	g.using.RUnlock()
	g.mu.Lock()
	sum := g.past
	g.mu.Unlock()
	if shards != nil {
		sum = sum.Plus(shards.Stats())
	}
	return sum
}

// welcome takes what the daemon says at the beginning of a stream.
func (g *Ingester) welcome(a wire.Answer) {
	w := a.Welcome
	g.mu.Lock()
	if g.daemon != w.Instance {
		g.clock.forget()
	}
	g.daemon, g.app, g.beat = w.Instance, &w.App, time.Duration(w.Beat)
	g.mu.Unlock()
	g.clock.observe(a.Clock.Sent, a.Clock.At)
	g.out.rewind(w.Instance, w.Seq)
	offset, within := g.clock.known()
	if d := offset - g.told; d > tellable || d < -tellable {
		g.told = offset
		g.cfg.Log(fmt.Sprintf("this clock is %v off the daemon's, to %v: it is corrected", -time.Duration(offset).Round(time.Millisecond), time.Duration(within).Round(time.Microsecond)))
	}
	g.once.Do(func() {
		g.change(&w.App)
		close(g.ready)
	})
}

// tellable is how far a clock may be off before a person should know.
const tellable = int64(50 * time.Millisecond)

// change makes shards of an application, and returns those before, which nobody uses any more.
func (g *Ingester) change(app *wire.App) (before *telemetry.Shards) {
	n := max(g.cfg.Shards, 1)
	g.mu.Lock()
	beat := g.beat
	g.known = app
	g.mu.Unlock()
	shards := telemetry.NewShards(app.Of(), telemetry.Options{Parts: true, Beat: beat, EndpointService: app.EndpointService, MaxMemory: g.cfg.Memory / int64(n)}, n)
	g.using.Lock()
	before, g.shards = g.shards, shards
	g.using.Unlock()
	return before
}

// Run reports until ctx ends, and then what is left, for as long as Linger at most. Errors are of the configuration.
func (g *Ingester) Run(ctx context.Context) error {
	conn, err := g.cfg.Dial(window, wire.MaxFrame)
	if err != nil {
		return err
	}
	defer conn.Close()
	sending, stop := context.WithCancel(context.WithoutCancel(ctx))
	var streams sync.WaitGroup
	streams.Go(func() { g.report(sending, conn) })
	defer streams.Wait()
	defer stop()
	select {
	case <-g.ready:
	case <-ctx.Done():
		return nil
	}
	var part telemetry.Part
	for {
		timer := time.NewTimer(g.wait())
		select {
		case <-timer.C:
			g.tick(&part, false)
			continue
		case <-ctx.Done():
			timer.Stop()
		}
		break
	}
	g.tick(&part, true)
	linger := time.NewTimer(g.cfg.Linger)
	defer linger.Stop()
	for {
		if n, _, _ := g.out.waiting(); n == 0 {
			return nil
		}
		select {
		case <-g.acked:
		case <-linger.C:
			return nil
		}
	}
}

// wait is until the next beat begins, by the daemon's clock.
func (g *Ingester) wait() time.Duration {
	g.mu.Lock()
	beat := g.beat
	g.mu.Unlock()
	return beat - time.Duration(g.Now().UnixNano()%int64(beat))
}

// tick sends what was counted since the last time.
func (g *Ingester) tick(part *telemetry.Part, bye bool) {
	g.mu.Lock()
	app, known := g.app, g.known
	g.mu.Unlock()
	now := g.Now()
	// Another application, or a clock that went back, needs assemblers that know nothing of the one before.
	if back := g.last.Sub(now); back > time.Second || app != known && !reflect.DeepEqual(app, known) {
		if before := g.change(app); before != nil {
			stats := before.Stats()
			stats.Waiting = 0
			g.mu.Lock()
			g.past = g.past.Plus(stats)
			g.mu.Unlock()
			g.hand(before, g.last, part, false)
		}
	}
	g.hand(g.shards, now, part, bye)
	g.last = now
}

// hand puts what shards counted into the outbox.
func (g *Ingester) hand(shards *telemetry.Shards, now time.Time, part *telemetry.Part, bye bool) {
	shards.Take(now, now.Add(-g.cfg.Lag), part)
	stats := g.counted()
	_, lost, unsure := g.out.waiting()
	head := wire.Part{Bye: bye, Stats: &stats, Lost: uint64(math.Round(lost)), Unsure: uint64(math.Round(unsure))}
	head.Offset, head.Within = g.clock.known()
	pieces := wire.Split(g.seq+1, &head, part)
	g.mu.Lock()
	g.seq += uint64(len(pieces))
	g.mu.Unlock()
	g.out.put(time.Now(), pieces)
}
