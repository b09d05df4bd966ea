package main

import (
	"context"
	"io"

	"foresail.dev/cmd/foresail/shaping"
	"foresail.dev/compare"
)

// startCompared starts the runs of an experiment on the testbed; log is told what a person should know.
func startCompared(log io.Writer) compare.Start {
	return func(ctx context.Context, r compare.Real) (compare.Started, error) {
		b, err := startBed(ctx, bedConfig{blueprint: r.Blueprint, load: r.Load, seed: r.Seed, duration: r.Duration, grpc: "127.0.0.1:0", log: log, favour: true, shapes: shaping.Default, needs: r.Needs})
		if err != nil {
			return nil, err
		}
		return comparedBed{b}, nil
	}
}

// comparedBed is a bed as compare knows it.
type comparedBed struct{ *bed }

// Stop ends every process.
func (b comparedBed) Stop() error { return b.stop() }

// Shortfalls say in what a run is not what was asked for.
func (b comparedBed) Shortfalls(requests float64) []string { return b.shortfalls(requests) }
