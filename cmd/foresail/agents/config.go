package agents

import (
	"errors"
	"fmt"
	"time"

	"foresail.dev"
	"foresail.dev/access"
	"foresail.dev/cmd/foresail/security"
	"foresail.dev/telemetry"
	"foresail.dev/telemetry/agent/receive"
)

// Config is, of foresail.yaml, where node agents report, see docs/formats/run.md; empty: there are none.
type Config struct {
	Listen   string `yaml:"listen"`
	MaxNodes int    `yaml:"max_nodes" rule:"min=0,max=100000"` // 0: 256
}

// Observer is a receiver of agents' reports, and the assemblers whose snapshots they are laid into.
type Observer struct {
	*telemetry.Shards
	Server *receive.Server
}

// Listen opens the port. Whoever may write may report.
func Listen(cfg Config, ports security.Ports, now func() time.Time, a *telemetry.Shards) (*Observer, error) {
	if err := access.CheckListen(cfg.Listen, ports.TLS != nil, ports.Tokens != nil, ports.Allows("agents")); err != nil {
		return nil, fmt.Errorf("agents: listen: %w", err)
	}
	r := receive.New(receive.Config{MaxNodes: cfg.MaxNodes, Now: now})
	server, err := r.Listen(cfg.Listen, ports.TLS, ports.Tokens.Options(access.Write, nil)...)
	if err != nil {
		return nil, err
	}
	ports.Warn("agents", server.Addr())
	return &Observer{a, server}, nil
}

// Cut is the assembler's, with what agents reported.
func (a *Observer) Cut(end time.Time) *foresail.Snapshot {
	s := a.Shards.Cut(end)
	if s != nil {
		a.Server.Lay(s, a.App())
	}
	return s
}

// Stop closes the port; a nil one is closed.
func (a *Observer) Stop() error {
	if a == nil {
		return nil
	}
	if err := a.Server.Close(); err != nil {
		return errors.Join(errors.New("stopping the port for agents"), err)
	}
	return nil
}
