package ingesters

import (
	"errors"
	"fmt"
	"time"

	"foresail.dev"
	"foresail.dev/access"
	"foresail.dev/cluster/testbed"
	"foresail.dev/cmd/foresail/security"
	"foresail.dev/telemetry"
	"foresail.dev/telemetry/relay/receive"
)

// Config is, of foresail.yaml, where ingesters report, see docs/formats/run.md; empty: there are none.
type Config struct {
	Listen string `yaml:"listen"`
	Max    int    `yaml:"max" rule:"min=0,max=10000"` // 0: 64
}

// Observer takes what ingesters counted into assemblers, and cuts snapshots of both.
type Observer struct {
	testbed.Observer
	Server *receive.Server
}

// Listen opens the port. Whoever may write may report. The snapshots are those that cuts gives, whose spans are a's.
func Listen(cfg Config, ports security.Ports, now func() time.Time, endpointService string, a *telemetry.Shards, cuts testbed.Observer) (*Observer, error) {
	if err := access.CheckListen(cfg.Listen, ports.TLS != nil, ports.Tokens != nil, ports.Allows("ingesters")); err != nil {
		return nil, fmt.Errorf("ingesters: listen: %w", err)
	}
	r := receive.New(receive.Config{Max: cfg.Max, Now: now, EndpointService: endpointService, Log: ports.Log}, a)
	server, err := r.Listen(cfg.Listen, ports.TLS, ports.Tokens.Options(access.Write, nil)...)
	if err != nil {
		return nil, err
	}
	ports.Warn("ingesters", server.Addr())
	return &Observer{cuts, server}, nil
}

// Cut is the assemblers' with what is there of ingesters: it waits for none.
func (o *Observer) Cut(end time.Time) *foresail.Snapshot {
	s := o.Observer.Cut(end)
	if s != nil {
		o.Server.Cut(s.End)
	}
	return s
}

// Health tells /metrics what became of parts.
func (o *Observer) Health(emit func(name string, v float64, labels ...string)) {
	s := o.Server.Stats()
	emit("foresail_ingesters", float64(s.Reporting), "reporting")
	emit("foresail_ingesters", float64(s.Silent), "silent")
	for _, c := range []struct {
		result string
		n      uint64
	}{{"taken", s.Parts}, {"duplicate", s.Duplicate}, {"missing", s.Missing}, {"late", s.Late}} {
		emit("foresail_ingest_parts_total", float64(c.n), c.result)
	}
	emit("foresail_ingest_incomplete_snapshots_total", float64(s.Incomplete))
	emit("foresail_ingest_requests_lost_total", float64(s.Lost), "lost")
	emit("foresail_ingest_requests_lost_total", float64(s.Unsure), "unsure")
}

// Stop closes the port; a nil one is closed.
func (o *Observer) Stop() error {
	if o == nil {
		return nil
	}
	if err := o.Server.Close(); err != nil {
		return errors.Join(errors.New("stopping the port for ingesters"), err)
	}
	return nil
}
