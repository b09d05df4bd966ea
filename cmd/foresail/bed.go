package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"sync"
	"time"

	"foresail.dev"
	"foresail.dev/cluster/testbed"
	"foresail.dev/cluster/testbed/users"
	"foresail.dev/cluster/testbed/wire"
	"foresail.dev/cmd/foresail/agents"
	"foresail.dev/cmd/foresail/cli"
	"foresail.dev/cmd/foresail/ingesters"
	"foresail.dev/cmd/foresail/security"
	"foresail.dev/cmd/foresail/shaping"
	"foresail.dev/cmd/foresail/summary"
	"foresail.dev/load"
	"foresail.dev/telemetry"
	"foresail.dev/telemetry/agent/receive"
	"foresail.dev/telemetry/otlp"
	"foresail.dev/telemetry/readers"
	relay "foresail.dev/telemetry/relay/receive"
	"foresail.dev/telemetry/shapes"
)

// bed is a testbed and the receiver that its processes report to.
type bed struct {
	*testbed.Cluster
	assembler *telemetry.Shards   // nil, as receivers are: nobody receives spans
	receivers []*otlp.Receiver    // the processes' own first
	agents    *agents.Observer    // nil: cgroups are read here
	ingesters *ingesters.Observer // nil: all spans come here
	shapes    *shaping.Tap        // nil: nobody needs them
	poller    *readers.Poller
	stopped   sync.Once
	stopErr   error
}

// bedConfig says what to start.
type bedConfig struct {
	blueprint  *foresail.Blueprint
	load       *load.Load
	seed       uint64
	duration   time.Duration
	grpc, http string // where spans are received; http may be empty
	agents     agents.Config
	ingesters  ingesters.Config
	spansTo    string // where its processes send spans instead of here; empty: here
	ports      security.Ports
	log        io.Writer
	readers    []readers.Source
	shards     int                   // assemblers, each with a part of the traces; 0: one
	memory     int64                 // bytes that they may take; 0: see telemetry.Options
	inFlight   bool                  // replicas report their requests in flight, to http
	contend    bool                  // neighbours can take caches and the disk from replicas
	favour     bool                  // its processes go before everything else on this machine
	spans      func([]foresail.Span) // told all spans; nil: nobody is
	shapes     shaping.Config        // what of call graphs is observed
	needs      foresail.Needs        // of the manager
	metrics    bedMetrics
	processes  map[foresail.ServiceID]testbed.Process // what processes are told when they start, where it is not as usual
	blind      bool                                   // it sends no spans: it is observed by its metrics alone
}

// newAssembler makes what turns spans into snapshots.
func newAssembler(c bedConfig) *telemetry.Shards {
	n := max(c.shards, 1)
	return telemetry.NewShards(c.blueprint.App, telemetry.Options{EndpointService: users.Service, MaxMemory: c.memory / int64(n)}, n)
}

// startBed receives spans and starts the processes that send them.
func startBed(ctx context.Context, c bedConfig) (*bed, error) {
	if err := c.guardMetrics(); err != nil {
		return nil, err
	}
	if c.blind {
		return startBlind(ctx, c)
	}
	b := &bed{assembler: newAssembler(c)}
	// One steady time for who sends spans and who receives them: setting the machine's clock is then no skew.
	epoch := wire.NewEpoch()
	var err error
	var sink otlp.MetricSink = b.assembler
	if c.spans != nil {
		sink = tee{b.assembler, c.spans}
	}
	b.shapes = c.shapes.New(c.blueprint.App, c.needs, users.Service)
	if c.ingesters.Listen != "" {
		fmt.Fprint(c.log, b.shapes.Unavailable("ingesters tell counts, and no spans"))
		b.shapes = nil
	}
	if err := b.receive(c, wire.NewClock(epoch).Now, b.shapes.Sink(sink)); err != nil {
		return nil, errors.Join(badAddress(err), b.stopReceivers())
	}
	var observer testbed.Observer = b.assembler
	if c.agents.Listen != "" {
		if b.agents, err = agents.Listen(c.agents, c.ports, wire.NewClock(epoch).Now, b.assembler); err != nil {
			return nil, errors.Join(badAddress(err), b.stopReceivers())
		}
		observer = b.agents
		fmt.Fprintf(c.log, "agents report to %s\n", b.agents.Server.Addr())
	}
	if c.ingesters.Listen != "" {
		if b.ingesters, err = ingesters.Listen(c.ingesters, c.ports, wire.NewClock(epoch).Now, users.Service, b.assembler, observer); err != nil {
			return nil, errors.Join(badAddress(err), b.stopReceivers())
		}
		observer = b.ingesters
		fmt.Fprintf(c.log, "ingesters report to %s\n", b.ingesters.Server.Addr())
	}
	observer = b.shapes.Observer(observer)
	spansTo := c.spansTo
	if spansTo == "" {
		spansTo = b.receivers[0].GRPCAddr()
	} else if err := listened(ctx, spansTo); err != nil {
		return nil, errors.Join(err, b.stopReceivers())
	}
	inFlight := ""
	if c.inFlight {
		inFlight = b.receivers[0].HTTPAddr()
	}
	b.Cluster, err = testbed.New(ctx, testbed.Config{
		Blueprint: c.blueprint, Load: c.load, Seed: c.seed, Duration: c.duration, Agent: b.agents != nil,
		Observer: observer, OTLP: spansTo, Epoch: epoch, Log: c.log, Favour: c.favour, Contend: c.contend,
		InFlight: inFlight, Metrics: c.metrics.Listen, Targets: c.metrics.Targets, MetricsTLS: c.metrics.tls, MetricsGuard: c.metrics.guard, Processes: c.processes,
	})
	if err != nil {
		return nil, errors.Join(err, b.stopReceivers())
	}
	b.poller = readers.Poll(c.readers, b.assembler, func(err error) { fmt.Fprintln(c.log, err) })
	return b, nil
}

// spansWait is how long an ingester may take to hear of the daemon and to open its port.
const spansWait = 15 * time.Second

// listened waits until somebody listens at an address.
func listened(ctx context.Context, addr string) error {
	ctx, cancel := context.WithTimeout(ctx, spansWait)
	defer cancel()
	for {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("testbed.spans: nobody takes spans at %s: %w: start an ingester there, which reports to the address of ingesters", addr, err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// receive opens the ports for spans. Where they ask for something, the testbed's own processes, which have no token and
// leave this machine never, get a port of their own on loopback.
func (b *bed) receive(c bedConfig, now func() time.Time, sink otlp.Sink) error {
	cfgs := []otlp.Config{{GRPC: c.grpc, HTTP: c.http, TLS: c.ports.TLS, Tokens: c.ports.Tokens, AllowRemote: c.ports.Allows("otlp"), Log: c.ports.Log, Now: now}}
	if c.ports.TLS != nil || c.ports.Tokens != nil {
		own := otlp.Config{GRPC: "127.0.0.1:0", Now: now}
		if c.inFlight {
			own.HTTP = "127.0.0.1:0"
		}
		cfgs = append([]otlp.Config{own}, cfgs...)
	}
	for _, cfg := range cfgs {
		r, err := otlp.Listen(cfg, sink)
		if err != nil {
			return err
		}
		b.receivers = append(b.receivers, r)
		for _, addr := range []string{r.GRPCAddr(), r.HTTPAddr()} {
			if addr != "" {
				c.ports.Warn("otlp", addr)
			}
		}
	}
	return nil
}

// stop ends every process, then the receiver, so that the last spans still arrive. It may be called again.
func (b *bed) stop() error {
	b.stopped.Do(func() {
		b.poller.Close()
		b.stopErr = errors.Join(b.Cluster.Close(), b.stopReceivers())
	})
	return b.stopErr
}

func (b *bed) stopReceivers() error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	errs := []error{b.agents.Stop(), b.ingesters.Stop()}
	for _, r := range b.receivers {
		if err := r.Shutdown(ctx); err != nil {
			errs = append(errs, fmt.Errorf("stopping the OTLP receiver: %w", err))
		}
	}
	return errors.Join(errs...)
}

// bedDetail is what the result of a testbed holds beside its rows.
type bedDetail struct {
	Writes  []writeDetail   `json:"writes"`
	Clients []clientDetail  `json:"clients"`
	Behind  float64         `json:"behind_s"` // how long after its intended time the last request was sent
	Spans   telemetry.Stats `json:"spans"`
	Agents  *receive.Stats  `json:"agents,omitempty"`
	Ingest  *relay.Stats    `json:"ingest,omitempty"`
	Shapes  *shapes.Stats   `json:"shapes,omitempty"`
}

// writeDetail is one limit that a plan wrote to a cgroup.
type writeDetail struct {
	At      time.Time `json:"at"`
	Replica string    `json:"replica"`
	Path    string    `json:"path"`
	Value   string    `json:"value"`
}

// clientDetail is what the load generator itself counted of one endpoint, from the intended send time.
type clientDetail struct {
	Endpoint string   `json:"endpoint"`
	Sent     int64    `json:"sent"`
	Ended    int64    `json:"ended"`
	Errors   int64    `json:"errors"`
	Refused  int64    `json:"refused"`
	P50      *float64 `json:"p50_ms,omitempty"`
	P99      *float64 `json:"p99_ms,omitempty"`
}

func (b *bed) detail() bedDetail {
	d := bedDetail{Writes: []writeDetail{}, Shapes: b.shapes.Stats()}
	if b.assembler != nil {
		d.Spans = b.assembler.Stats()
	}
	if b.agents != nil {
		stats := b.agents.Server.Stats()
		d.Agents = &stats
	}
	if b.ingesters != nil {
		stats := b.ingesters.Server.Stats()
		d.Ingest = &stats
	}
	for _, w := range b.Writes() {
		if !w.Initial {
			d.Writes = append(d.Writes, writeDetail{w.At, w.Replica, w.Path, w.Value})
		}
	}
	counted := b.Summary()
	d.Behind = cli.Round(counted.Behind.Seconds())
	for i, e := range counted.Endpoints {
		d.Clients = append(d.Clients, clientDetail{Endpoint: b.App().Endpoints[i].Name, Sent: e.Sent, Ended: e.Ended,
			Errors: e.Errors, Refused: e.Refused, P50: summary.Quantile(e.Latency, 0.5), P99: summary.Quantile(e.Latency, 0.99)})
	}
	return d
}

// spans is what became of spans, here and in ingesters.
func (b *bed) spans() telemetry.Stats {
	s := b.assembler.Stats()
	if b.ingesters != nil {
		s = s.Plus(b.ingesters.Server.Stats().Spans)
	}
	return s
}

// print says what was written, for people.
func (b *bed) print(w io.Writer) error {
	d := b.detail()
	if _, err := fmt.Fprintf(w, "%d limits written to cgroups by plans; %d spans received\n", len(d.Writes), d.Spans.Received); err != nil || d.Ingest == nil {
		return err
	}
	_, err := fmt.Fprintf(w, "%d ingesters: %d spans received, %d dropped; %d snapshots without the part of one; %d requests lost, %d unsure\n", len(d.Ingest.Ingesters),
		d.Ingest.Spans.Received, d.Ingest.Spans.Dropped.Total(), d.Ingest.Incomplete, d.Ingest.Lost, d.Ingest.Unsure)
	return err
}

// shortfalls say in what a result is not what was asked for; observed is the requests that it holds.
func (b *bed) shortfalls(observed float64) (out []string) {
	d := b.detail()
	ended := 0.0
	if b.assembler == nil {
		observed = math.Inf(1) // metrics come later, and nothing of them is lost
	}
	for _, c := range d.Clients {
		ended += float64(c.Ended)
	}
	if lost := ended - observed; lost > 0.05*ended+20 {
		out = append(out, fmt.Sprintf("%.0f of %.0f requests that ended are not in these figures: their spans came after the end, or too late, "+
			"or were lost, since this machine is overloaded", lost, ended))
	}
	if s := b.Summary(); !s.Final {
		out = append(out, fmt.Sprintf("the load generator did not answer at the end: what it counted is as of %s", s.At.Format(time.TimeOnly)))
	}
	if d.Behind > 1 {
		out = append(out, fmt.Sprintf("the load generator was %.1f s behind its load at the end: this machine can't send so many requests", d.Behind))
	}
	return out
}
