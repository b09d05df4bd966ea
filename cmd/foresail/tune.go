package main

import (
	"context"
	"io"

	"foresail.dev"
	"foresail.dev/cmd/foresail/tuning/bench"
	"foresail.dev/load"
)

// startTuned starts the processes of an application whose knobs are tuned.
func startTuned(log io.Writer) bench.Start {
	return func(ctx context.Context, bp *foresail.Blueprint, l *load.Load, seed uint64, processes map[foresail.ServiceID]bench.Process) (bench.Cluster, error) {
		b, err := startBed(ctx, bedConfig{blueprint: bp, load: l, seed: seed, grpc: "127.0.0.1:0", log: log, favour: true, processes: processes})
		if err != nil {
			return nil, err
		}
		return tunedBed{b}, nil
	}
}

// tunedBed is a bed as package bench knows it.
type tunedBed struct{ *bed }

// Stop ends every process.
func (b tunedBed) Stop() error { return b.stop() }
