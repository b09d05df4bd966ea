package receive_test

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"foresail.dev"
	"foresail.dev/access"
	"foresail.dev/access/accesstest"
	"foresail.dev/telemetry"
	"foresail.dev/telemetry/frames"
	. "foresail.dev/telemetry/relay/receive"
	"foresail.dev/telemetry/relay/send"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func shop() *foresail.App {
	return &foresail.App{Name: "shop", Generation: 4, Services: []foresail.Service{{Name: "front"}, {Name: "cart"}, {Name: "db"}},
		Endpoints: []foresail.Endpoint{{Name: "buy", Operation: "POST /buy", Objective: &foresail.Objective{Percentile: 99, Latency: 20 * time.Millisecond}}}}
}

// daemon is one that makes snapshots: assemblers, the port for ingesters, and sums over what was cut.
type daemon struct {
	t       testing.TB
	shards  *telemetry.Shards
	server  *Server
	now     func() time.Time
	totals  map[string]float64
	cuts    int
	slowest time.Duration
}

func newDaemon(t testing.TB, addr string, c Config) *daemon {
	t.Helper()
	d := &daemon{t: t, shards: telemetry.NewShards(shop(), telemetry.Options{}, 1), totals: map[string]float64{}, now: c.Now}
	if d.now == nil {
		d.now = time.Now
	}
	r := New(c, d.shards)
	var err error
	eventually(t, "the address to be free", func() bool { d.server, err = r.Listen(addr, nil); return err == nil })
	t.Cleanup(func() { d.server.Close() })
	return d
}

// cut makes a snapshot up to lag ago.
func (d *daemon) cut(lag time.Duration) {
	began := time.Now()
	s := d.shards.Cut(d.now().Add(-lag))
	if s == nil {
		return
	}
	d.server.Cut(s.End)
	d.slowest = max(d.slowest, time.Since(began))
	d.cuts++
	tally(d.totals, s)
}

// tally adds up what a snapshot counts, with its late additions.
func tally(to map[string]float64, s *foresail.Snapshot) {
	names := []string{"front", "cart", "db"}
	for i := range s.Services {
		u := &s.Services[i].Usage
		to[names[i]+" arrivals"] += u.Arrivals
		to[names[i]+" completions"] += u.Completions
		to[names[i]+" errors"] += u.Errors
		to[names[i]+" latencies"] += u.Latency.Count()
		to[names[i]+" seconds"] += u.Latency.Sum()
		to[names[i]+" busy"] += u.InFlight.Mean * s.Duration().Seconds()
	}
	for i := range s.Endpoints {
		e := &s.Endpoints[i]
		to["buy requests"] += e.Requests
		to["buy late"] += e.Late
	}
	for _, e := range s.Edges {
		to[fmt.Sprintf("%d→%d", e.From, e.To)] += e.Calls
	}
	for _, l := range s.Late {
		tally(to, l)
	}
}

// sameTotals compares sums.
func sameTotals(t testing.TB, got, want map[string]float64) {
	t.Helper()
	for k := range want {
		if math.Abs(got[k]-want[k]) > 1e-6*math.Max(1, want[k]) {
			t.Errorf("%s: %g, want %g", k, got[k], want[k])
		}
	}
	if want["front completions"] == 0 {
		t.Error("nothing was counted: the test shows nothing")
	}
}

// ingest runs an ingester until stop, which waits for its last part, or the end of the test.
func ingest(t testing.TB, c send.Config) (g *send.Ingester, stop func()) {
	t.Helper()
	if c.Backoff == 0 {
		c.Backoff, c.Longest = time.Millisecond, 5*time.Millisecond
	}
	g = send.New(c)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- g.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return g, stop
}

func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !holds(); runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}

// lines keeps what is logged.
type lines struct {
	mu  sync.Mutex
	all []string
}

func (l *lines) log(s string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, s)
}

func (l *lines) has(text string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.ContainsFunc(l.all, func(s string) bool { return strings.Contains(s, text) })
}

// traces are requests through front, cart and db that have just ended: spans of n traces, by trace.
type traces struct {
	rng  *rand.Rand
	next uint64
}

func (w *traces) draw(n int, now time.Time) (out []*telemetry.Batch) {
	for range n {
		w.next++
		var trace foresail.TraceID
		binary.BigEndian.PutUint64(trace[8:], w.next)
		id := func(k uint64) (s foresail.SpanID) { binary.BigEndian.PutUint64(s[:], 8*w.next+k); return }
		b := &telemetry.Batch{}
		end := now.UnixNano()
		start := end - int64(w.rng.IntN(30e6))
		for k, service := range []string{"front", "cart", "db"} {
			r := telemetry.Record{Trace: trace, ID: id(uint64(k)), Name: "POST /buy", Kind: foresail.KindServer, Start: start, End: end - int64(k), Weight: 1, Failed: w.rng.IntN(10) == 0}
			if k > 0 {
				r.Parent = id(uint64(k) - 1)
			}
			b.Senders = append(b.Senders, telemetry.Sender{Service: service, Replica: service + "-1", Spans: []telemetry.Record{r}})
		}
		out = append(out, b)
	}
	return out
}

// one is a single process that sees all spans.
type one struct {
	shards *telemetry.Shards
	totals map[string]float64
}

func newOne() *one {
	return &one{telemetry.NewShards(shop(), telemetry.Options{}, 1), map[string]float64{}}
}

func (o *one) end() map[string]float64 {
	for range 2 {
		if s := o.shards.Cut(time.Now().Add(foresail.Beat)); s != nil {
			tally(o.totals, s)
		}
	}
	return o.totals
}

// Three ingesters, of which the clocks of two are off by hours, give what one process gives that sees all spans.
func TestSeveralGiveWhatOneGives(t *testing.T) {
	var log lines
	d := newDaemon(t, "127.0.0.1:0", Config{Log: log.log})
	var gs []*send.Ingester
	var stops []func()
	for i, off := range []time.Duration{0, 3 * time.Hour, -7 * time.Hour} {
		g, stop := ingest(t, send.Config{Daemon: frames.Daemon{Address: d.server.Addr()}, Name: fmt.Sprintf("ingester-%d", i), Shards: 1 + i%2,
			Clock: func() time.Time { return time.Now().Add(off) }})
		gs, stops = append(gs, g), append(stops, stop)
		<-g.Ready()
	}
	all := newOne()
	w := traces{rng: rand.New(rand.NewPCG(1, 2))}
	for i := 0; d.cuts < 12; i++ {
		for k, b := range w.draw(3, time.Now()) {
			if r := gs[k].AddBatch(gs[k].Now(), b); r.Rejected > 0 {
				t.Fatal(r)
			}
			all.shards.AddBatch(time.Now(), b)
		}
		d.cut(150 * time.Millisecond)
	}
	for _, stop := range stops {
		stop()
	}
	d.cut(-foresail.Beat)
	sameTotals(t, d.totals, all.end())
	s := d.server.Stats()
	if s.Duplicate+s.Missing+s.Lost+s.Unsure+s.Malformed+s.Refused+s.Replaced > 0 || s.Spans.Received != 3*w.next || s.Spans.Dropped.Total() > 0 || s.Spans.Skewed > 0 {
		t.Errorf("%+v", s)
	}
	for i, off := range []float64{0, 3 * 3600, -7 * 3600} {
		if r := s.Ingesters[i]; math.Abs(r.Offset+off) > r.Within+1e-3 || r.Within > 0.05 {
			t.Errorf("ingester %d adds %g s to its clock, to %g, which is %g s off", i, r.Offset, r.Within, off)
		}
	}
	if !log.has(`"ingester-1": its clock is `) || log.has(`"ingester-0": its clock`) {
		t.Errorf("%q", log.all)
	}
	eventually(t, "the end of all", func() bool { return log.has(`"ingester-2" has ended`) && d.server.Stats().Reporting == 0 })
	if s := d.server.Stats(); s.Silent > 0 {
		t.Errorf("%+v: those that ended are not silent", s)
	}
}

// proxy passes bytes on, and breaks each connection after some of them, wherever that is.
type proxy struct {
	l      net.Listener
	to     atomic.Value
	breaks atomic.Int64
	calm   atomic.Bool
	open   sync.WaitGroup
}

func newProxy(t *testing.T, to string) *proxy {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{l: l}
	p.to.Store(to)
	p.open.Go(func() {
		rng := rand.New(rand.NewPCG(3, 4))
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", p.to.Load().(string))
			if err != nil {
				in.Close()
				continue
			}
			n := int64(400 + rng.IntN(4000))
			if p.calm.Load() {
				n = math.MaxInt64
			} else {
				p.breaks.Add(1)
			}
			end := sync.OnceFunc(func() { in.Close(); out.Close() })
			t.Cleanup(end)
			p.open.Go(func() { defer end(); io.CopyN(out, in, n) })
			p.open.Go(func() { defer end(); io.Copy(in, out) })
		}
	})
	t.Cleanup(func() { l.Close() })
	return p
}

// Connections that break at any byte lose nothing, and what comes again counts once.
func TestBrokenConnectionsLoseNothingAndCountNothingTwice(t *testing.T) {
	d := newDaemon(t, "127.0.0.1:0", Config{})
	p := newProxy(t, d.server.Addr())
	g, stop := ingest(t, send.Config{Daemon: frames.Daemon{Address: p.l.Addr().String()}, Name: "a"})
	<-g.Ready()
	all := newOne()
	w := traces{rng: rand.New(rand.NewPCG(1, 2))}
	for d.cuts < 20 {
		for _, b := range w.draw(2, time.Now()) {
			g.AddBatch(g.Now(), b)
			all.shards.AddBatch(time.Now(), b)
		}
		d.cut(150 * time.Millisecond)
		runtime.Gosched()
	}
	p.calm.Store(true)
	stop()
	d.cut(-foresail.Beat)
	sameTotals(t, d.totals, all.end())
	s := d.server.Stats()
	if p.breaks.Load() < 5 || s.Missing+s.Lost+s.Unsure > 0 {
		t.Errorf("%d connections broken: %+v", p.breaks.Load(), s)
	}
	t.Logf("%d connections broken, %d parts came again, %d after their snapshot", p.breaks.Load(), s.Duplicate, s.Late)
}

// A daemon that begins anew counts nothing that the one before may have counted: what is in neither is told.
func TestADaemonThatBeginsAnew(t *testing.T) {
	d := newDaemon(t, "127.0.0.1:0", Config{})
	addr := d.server.Addr()
	g, stop := ingest(t, send.Config{Daemon: frames.Daemon{Address: addr}, Name: "a"})
	<-g.Ready()
	w := traces{rng: rand.New(rand.NewPCG(1, 2))}
	feed := func(d *daemon, cuts int) {
		for until := d.cuts + cuts; d.cuts < until; {
			for _, b := range w.draw(5, time.Now()) {
				g.AddBatch(g.Now(), b)
			}
			d.cut(150 * time.Millisecond)
		}
	}
	feed(d, 5)
	d.server.Close()
	d.cut(-foresail.Beat)                      // what it had goes into its last snapshot
	for _, b := range w.draw(50, time.Now()) { // nobody is there
		g.AddBatch(g.Now(), b)
	}
	next := newDaemon(t, addr, Config{})
	feed(next, 5)
	stop()
	next.cut(-foresail.Beat)
	got := d.totals["front completions"] + next.totals["front completions"]
	s := next.server.Stats()
	sent, unsure := float64(w.next), float64(s.Unsure)/3 // requests of three services
	if s.Lost+s.Missing > 0 || got > sent || got+unsure < sent-1e-6 || next.totals["front completions"] == 0 {
		t.Errorf("%g of %g requests counted, %g by the second; %+v", got, sent, next.totals["front completions"], s)
	}
	t.Logf("%g of %g requests counted by the two, %g unsure", got, sent, unsure)
}

// What an ingester had counted and not sent when it was killed is lost, and no more: snapshots go on, and after two seconds
// it is told to be silent. One that comes by its name begins anew.
func TestAKilledIngester(t *testing.T) {
	var log lines
	var ahead atomic.Int64 // the daemon's clock is moved on, so that the test need not wait
	now := func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	d := newDaemon(t, "127.0.0.1:0", Config{Log: log.log, Now: now})
	p := newProxy(t, d.server.Addr())
	p.calm.Store(true)
	g, _ := ingest(t, send.Config{Daemon: frames.Daemon{Address: p.l.Addr().String()}, Name: "a", Linger: time.Millisecond})
	<-g.Ready()
	w := traces{rng: rand.New(rand.NewPCG(1, 2))}
	for _, b := range w.draw(10, now()) {
		g.AddBatch(g.Now(), b)
	}
	eventually(t, "its part", func() bool { d.cut(150 * time.Millisecond); return d.totals["front completions"] == 10 })
	p.to.Store("127.0.0.1:1") // as good as dead
	p.l.Close()
	d.server.Close()
	before := d.server.Stats()
	ahead.Add(int64(2500 * time.Millisecond))
	cuts := d.cuts
	d.cut(150 * time.Millisecond)
	if !log.has(`ingester "a" has told nothing for`) || d.server.Stats().Silent != 1 || d.cuts == cuts || d.slowest > time.Second {
		t.Errorf("%q, %+v, slowest cut %v", log.all, d.server.Stats(), d.slowest)
	}
	if s := d.server.Stats(); s.Parts != before.Parts {
		t.Errorf("%+v", s)
	}
}

// One that connects and says nothing more, or half a message, or only garbage, holds up no cut.
func TestSlowAndHostileIngestersHoldUpNothing(t *testing.T) {
	d := newDaemon(t, "127.0.0.1:0", Config{Max: 2})
	g, _ := ingest(t, send.Config{Daemon: frames.Daemon{Address: d.server.Addr()}, Name: "good"})
	<-g.Ready()
	for i := range 20 {
		c, err := net.Dial("tcp", d.server.Addr())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		b := make([]byte, 1000)
		for k := range b {
			b[k] = byte(i * k)
		}
		if i%2 == 0 {
			b = append([]byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), b...)
		}
		c.Write(b)
	}
	w := traces{rng: rand.New(rand.NewPCG(1, 2))}
	for d.cuts < 5 {
		for _, b := range w.draw(1, time.Now()) {
			g.AddBatch(g.Now(), b)
		}
		d.cut(150 * time.Millisecond)
	}
	if d.totals["front completions"] == 0 || d.slowest > time.Second {
		t.Errorf("%v, slowest cut %v", d.totals, d.slowest)
	}
}

// Where the spans of one trace go to several ingesters, by service, requests count all the same: what is lost is who called
// whom, and that is counted, as are spans of no kind, of which nobody can tell whether they are requests.
func TestSplitByService(t *testing.T) {
	d := newDaemon(t, "127.0.0.1:0", Config{})
	var gs []*send.Ingester
	var stops []func()
	for i := range 3 {
		g, stop := ingest(t, send.Config{Daemon: frames.Daemon{Address: d.server.Addr()}, Name: fmt.Sprint(i)})
		<-g.Ready()
		gs, stops = append(gs, g), append(stops, stop)
	}
	w := traces{rng: rand.New(rand.NewPCG(1, 2))}
	for _, b := range w.draw(30, time.Now()) {
		for k := range b.Senders {
			gs[k].AddBatch(gs[k].Now(), &telemetry.Batch{Senders: b.Senders[k : k+1]})
		}
	}
	for _, stop := range stops {
		stop()
	}
	d.cut(-foresail.Beat)
	for _, s := range []string{"front", "cart", "db"} {
		if d.totals[s+" completions"] != 30 {
			t.Errorf("%s: %g completions", s, d.totals[s+" completions"])
		}
	}
	if d.totals["0→1"]+d.totals["1→2"] != 0 {
		t.Errorf("calls are known: %v", d.totals)
	}
}

// Certificates and tokens: the right ones are let in, wrong ones are told what is wrong, and no token is ever said.
func TestWhoMayReport(t *testing.T) {
	ours, theirs := accesstest.New(t, "ours"), accesstest.New(t, "theirs")
	cert, key := ours.Issue(t, "server", 2, time.Now().Add(time.Hour))
	server, err := access.Server(access.Files{Cert: cert, Key: key})
	if err != nil {
		t.Fatal(err)
	}
	secret, entry, err := access.NewToken("ingester", access.Write, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	reader, readEntry, err := access.NewToken("ci", access.Read, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "tokens")
	for _, e := range []access.Entry{entry, readEntry} {
		if err := access.AddEntry(file, e); err != nil {
			t.Fatal(err)
		}
	}
	tokens, err := access.OpenTokens(file, nil)
	if err != nil {
		t.Fatal(err)
	}
	r := New(Config{}, telemetry.NewShards(shop(), telemetry.Options{}, 1))
	s, err := r.Listen("127.0.0.1:0", server, tokens.Options(access.Write, nil)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	client := func(ca string) *tls.Config {
		c, err := access.Client(access.Files{CA: ca})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	show := func(token string) func() (string, error) {
		if token == "" {
			return nil
		}
		return func() (string, error) { return token, nil }
	}
	for _, c := range []struct {
		name, token, says string
		tls               *tls.Config
	}{
		{"the wrong authority", secret.Reveal(), "certificate", client(theirs.File)},
		{"no TLS", "", "does it want TLS", nil},
		{"no token", "", "does not know the token", client(ours.File)},
		{"a wrong token", "fs_wrong_token_wrong_token", "does not know the token", client(ours.File)},
		{"a token that may only read", reader.Reveal(), "may not report", client(ours.File)},
	} {
		t.Run(c.name, func(t *testing.T) {
			var log lines
			ingest(t, send.Config{Daemon: frames.Daemon{Address: s.Addr(), TLS: c.tls, Token: show(c.token)}, Name: "a", Log: log.log})
			eventually(t, "the ingester to say: "+c.says, func() bool { return log.has(c.says) })
			if c.token != "" && log.has(c.token) {
				t.Errorf("says the token: %q", log.all)
			}
		})
	}
	if st := r.Stats(); st.Parts != 0 || st.Reporting != 0 {
		t.Fatalf("%+v", st)
	}
	g, _ := ingest(t, send.Config{Daemon: frames.Daemon{Address: s.Addr(), TLS: client(ours.File), Token: show(secret.Reveal())}, Name: "a"})
	<-g.Ready()
	eventually(t, "the parts of one who may", func() bool { return r.Stats().Parts > 1 })
}
