package main

import (
	"errors"
	"time"

	"foresail.dev"
	"foresail.dev/access"
	"foresail.dev/cmd/foresail/security"
	"foresail.dev/telemetry"
	"foresail.dev/telemetry/agent/receive"
)

// agentsConfig is where node agents report, see docs/formats/run.md; empty: there are none.
type agentsConfig struct {
	Listen   string `yaml:"listen"`
	MaxNodes int    `yaml:"max_nodes" rule:"min=0,max=100000"` // 0: 256
}

// agents are a receiver of agents' reports, and the assembler whose snapshots they are laid into.
type agents struct {
	*telemetry.Assembler
	server *receive.Server
}

// listenForAgents opens the port. Whoever may write may report.
func listenForAgents(cfg agentsConfig, ports security.Ports, now func() time.Time, a *telemetry.Assembler) (*agents, error) {
	if err := access.CheckListen(cfg.Listen, ports.TLS != nil, ports.Tokens != nil, ports.Allows("agents")); err != nil {
		return nil, usagef("agents: listen: %w", err)
	}
	r := receive.New(receive.Config{MaxNodes: cfg.MaxNodes, Now: now})
	server, err := r.Listen(cfg.Listen, ports.TLS, ports.Tokens.Options(access.Write, nil)...)
	if err != nil {
		return nil, badAddress(err)
	}
	ports.Warn("agents", server.Addr())
	return &agents{a, server}, nil
}

// Cut is the assembler's, with what agents reported.
func (a *agents) Cut(end time.Time) *foresail.Snapshot {
	s := a.Assembler.Cut(end)
	if s != nil {
		a.server.Lay(s, a.App())
	}
	return s
}

// stop closes the port; a nil one is closed.
func (a *agents) stop() error {
	if a == nil {
		return nil
	}
	if err := a.server.Close(); err != nil {
		return errors.Join(errors.New("stopping the port for agents"), err)
	}
	return nil
}
