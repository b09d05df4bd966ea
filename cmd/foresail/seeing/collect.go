package seeing

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	"foresail.dev/ml/nn"
	"foresail.dev/model/foresee"
)

// thinned is the share of quiet beats that is kept of runs to learn from.
const thinned = 0.2

// Thin forgets, of runs to learn from that are many, what training does not look at, so that a week fits in memory: of those that
// are not held out most of the quiet beats. Ahead is the furthest that will be foreseen. Give it to Collect.
func Thin(cfg *foresee.Config, runs int, ahead time.Duration) func(i int, r *foresee.Run) {
	held := foresee.HeldOut(runs, cfg)
	return func(i int, r *foresee.Run) {
		if runs > fewRuns && !held[i] {
			r.Thin(cfg.Window, ahead, thinned, nn.NewRand(cfg.Seed, uint64(i)))
		}
	}
}

// fewRuns are kept whole.
const fewRuns = 24

// Collect simulates runs with the seeds from first on, on all processors. The result hangs on nothing but the operation, the first
// seed and how many there are. Each, if not nil, may change a run that is done. Progress, if not nil, hears of it.
func (o *Operation) Collect(ctx context.Context, first uint64, runs int, each func(i int, r *foresee.Run), progress func(done float64, what string)) ([]*Operated, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	out, errs := make([]*Operated, runs), make([]error, runs)
	next := make(chan int)
	var mu sync.Mutex
	var wait sync.WaitGroup
	done := 0
	for range min(runtime.GOMAXPROCS(0), runs) {
		wait.Go(func() {
			for i := range next {
				if out[i], errs[i] = o.Run(ctx, first+uint64(i)); errs[i] != nil {
					cancel() // the others are not wanted without it
				} else if each != nil {
					each(i, out[i].Run)
				}
				mu.Lock()
				done++
				if progress != nil {
					progress(float64(done)/float64(runs), fmt.Sprintf("%s: %d of %d runs are simulated", o.Blueprint.App.Name, done, runs))
				}
				mu.Unlock()
			}
		})
	}
	for i := range runs {
		next <- i
	}
	close(next)
	wait.Wait()
	return out, errors.Join(errs...)
}

// Runs are what models may see of them.
func Runs(all []*Operated) []*foresee.Run {
	out := make([]*foresee.Run, len(all))
	for i, r := range all {
		out[i] = r.Run
	}
	return out
}
