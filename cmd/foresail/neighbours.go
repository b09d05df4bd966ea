package main

import (
	"context"
	"io"

	"foresail.dev/cmd/foresail/agents"
	"foresail.dev/cmd/foresail/neighbours"
)

// startNeighbours starts the testbed of an experiment with neighbours.
func startNeighbours(log io.Writer) neighbours.Start {
	return func(ctx context.Context, s neighbours.Setup) (neighbours.Bed, error) {
		b, err := startBed(ctx, bedConfig{blueprint: s.Blueprint, load: s.Load, seed: s.Seed, grpc: "127.0.0.1:0", log: log, contend: true,
			agents: agents.Config{Listen: "127.0.0.1:0"}})
		if err != nil {
			return nil, err
		}
		return neighbourBed{b}, nil
	}
}

// neighbourBed is a bed as an experiment with neighbours knows it.
type neighbourBed struct{ *bed }

// Agents is where agents report.
func (b neighbourBed) Agents() string { return b.agents.Server.Addr() }

// Stop ends every process.
func (b neighbourBed) Stop() error { return b.stop() }
