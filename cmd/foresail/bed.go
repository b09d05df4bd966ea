package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"foresail.dev"
	"foresail.dev/cluster/testbed"
	"foresail.dev/cluster/testbed/users"
	"foresail.dev/cluster/testbed/wire"
	"foresail.dev/load"
	"foresail.dev/telemetry"
	"foresail.dev/telemetry/otlp"
	"foresail.dev/telemetry/readers"
)

// bed is a testbed and the receiver that its processes report to.
type bed struct {
	*testbed.Cluster
	assembler *telemetry.Assembler
	receiver  *otlp.Receiver
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
	log        io.Writer
	readers    []readers.Source
	inFlight   bool                  // replicas report their requests in flight, to http
	favour     bool                  // its processes go before everything else on this machine
	spans      func([]foresail.Span) // told all spans; nil: nobody is
}

// startBed receives spans and starts the processes that send them.
func startBed(ctx context.Context, c bedConfig) (*bed, error) {
	b := &bed{assembler: telemetry.NewAssembler(c.blueprint.App, telemetry.Options{EndpointService: users.Service})}
	// One steady time for who sends spans and who receives them: setting the machine's clock is then no skew.
	epoch := wire.NewEpoch()
	var err error
	var sink otlp.Sink = b.assembler
	if c.spans != nil {
		sink = tee{b.assembler, c.spans}
	}
	b.receiver, err = otlp.Listen(otlp.Config{GRPC: c.grpc, HTTP: c.http, Now: wire.NewClock(epoch).Now}, sink)
	if err != nil {
		return nil, badAddress(err)
	}
	metrics := ""
	if c.inFlight {
		metrics = b.receiver.HTTPAddr()
	}
	b.Cluster, err = testbed.New(ctx, testbed.Config{
		Blueprint: c.blueprint, Load: c.load, Seed: c.seed, Duration: c.duration,
		Observer: b.assembler, OTLP: b.receiver.GRPCAddr(), Metrics: metrics, Epoch: epoch, Log: c.log, Favour: c.favour,
	})
	if err != nil {
		return nil, errors.Join(err, b.stopReceiver())
	}
	b.poller = readers.Poll(c.readers, b.assembler, func(err error) { fmt.Fprintln(c.log, err) })
	return b, nil
}

// stop ends every process, then the receiver, so that the last spans still arrive. It may be called again.
func (b *bed) stop() error {
	b.stopped.Do(func() {
		b.poller.Close()
		b.stopErr = errors.Join(b.Cluster.Close(), b.stopReceiver())
	})
	return b.stopErr
}

func (b *bed) stopReceiver() error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := b.receiver.Shutdown(ctx); err != nil {
		return fmt.Errorf("stopping the OTLP receiver: %w", err)
	}
	return nil
}

// bedDetail is what the result of a testbed holds beside its rows.
type bedDetail struct {
	Writes  []writeDetail   `json:"writes"`
	Clients []clientDetail  `json:"clients"`
	Behind  float64         `json:"behind_s"` // how long after its intended time the last request was sent
	Spans   telemetry.Stats `json:"spans"`
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
	d := bedDetail{Writes: []writeDetail{}, Spans: b.assembler.Stats()}
	for _, w := range b.Writes() {
		if !w.Initial {
			d.Writes = append(d.Writes, writeDetail{w.At, w.Replica, w.Path, w.Value})
		}
	}
	counted := b.Summary()
	d.Behind = round(counted.Behind.Seconds())
	for i, e := range counted.Endpoints {
		d.Clients = append(d.Clients, clientDetail{Endpoint: b.App().Endpoints[i].Name, Sent: e.Sent, Ended: e.Ended,
			Errors: e.Errors, Refused: e.Refused, P50: quantile(e.Latency, 0.5), P99: quantile(e.Latency, 0.99)})
	}
	return d
}

// print says what was written, for people.
func (b *bed) print(w io.Writer) error {
	d := b.detail()
	_, err := fmt.Fprintf(w, "%d limits written to cgroups by plans; %d spans received\n", len(d.Writes), d.Spans.Received)
	return err
}

// shortfalls say in what a result is not what was asked for; observed is the requests that it holds.
func (b *bed) shortfalls(observed float64) (out []string) {
	d := b.detail()
	ended := 0.0
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
