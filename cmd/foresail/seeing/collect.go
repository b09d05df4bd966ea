package seeing

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"

	"foresail.dev/model/foresee"
)

// Collect simulates runs with the seeds from first on, on all processors. The result hangs on nothing but the operation, the first
// seed and how many there are. Progress, if not nil, hears of each that is done.
func (o *Operation) Collect(ctx context.Context, first uint64, runs int, progress func(done float64, what string)) ([]*Operated, error) {
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
